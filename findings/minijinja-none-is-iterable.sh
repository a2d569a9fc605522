#!/bin/sh
# One would guess that minijinja answers the tests of a chat template as Jinja does: `none is iterable` is false there, and texts and
# mappings are sequences.
# In minijinja nothing is iterable, texts and mappings are no sequences, and a loop over nothing is an empty loop instead of an error. Chat
# templates ask `tools is iterable` before they write tools, and transformers gives them none where there are none: a template that is guarded
# so fails, or tells the model of tools that it has not.
# minijinja 3.1.0 and jinja2 3.1.6 of PyPI, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet minijinja==3.1.0 jinja2==3.1.6
"$here/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
import jinja2, minijinja

TEMPLATES = ["{{ none is iterable }}", "{{ 'abc' is sequence }}", "{{ {'a': 1} is sequence }}", "{% for x in none %}{% endfor %}-",
             "{% if tools is iterable %}{{ tools | length }} tools{% endif %}"]
EXPECTED = {"minijinja": ["True", "False", "False", "-", "TemplateError"], "jinja2": ["False", "True", "True", "TypeError", ""]}


def shown(render, template):
    try:
        return render(template)
    except Exception as error:
        return type(error).__name__


renders = {"minijinja": lambda text: minijinja.Environment().render_str(text, tools=None),
           "jinja2": lambda text: jinja2.Template(text).render(tools=None)}
seen = {name: [shown(render, template) for template in TEMPLATES] for name, render in renders.items()}
for name, outputs in seen.items():
    for template, output in zip(TEMPLATES, outputs):
        print(f"{name} {version(name)}: {template} gives {output!r}")
assert seen == EXPECTED, "this has changed"
PYTHON

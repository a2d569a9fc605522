#!/bin/sh
# One would guess that transformers renders a chat template without escapes for HTML: its environment has no autoescape, and `tojson` is its
# own, which leaves quotes and ampersands alone.
# A text that a template marks `|safe` is Jinja's Markup, though, and whatever is added to it by `+` is escaped: `"Use: "|safe + tool | tojson`
# shows the model `{&#34;name&#34;: …`. Templates are written so: meetkai-functionary-medium-v3.1, as llama.cpp ships it, describes its tools
# in this way. Renderers without Markup show plain quotes.
# transformers 5.24.0 and jinja2 3.1.6 of PyPI, 2026-11-28.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet transformers==5.24.0 jinja2==3.1.6
"$here/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from transformers.utils.chat_template_utils import render_jinja_template


def rendered(template):
    texts, _ = render_jinja_template(conversations=[[{"role": "user", "content": "a & b"}]], chat_template=template, tools=[{"name": "weather"}])
    return texts[0]


plain = rendered("{{ 'Use: ' + tools[0] | tojson }} {{ messages[0].content }}")
safe = rendered("{{ 'Use: ' | safe + tools[0] | tojson }} {{ 'Say: ' | safe + messages[0].content }}")
print(f"transformers {version('transformers')}, jinja2 {version('jinja2')}")
print("without safe:", plain)
print("with safe:   ", safe)
assert plain == 'Use: {"name": "weather"} a & b', "this has changed"
assert safe == "Use: {&#34;name&#34;: &#34;weather&#34;} Say: a &amp; b", "this has changed"
PYTHON

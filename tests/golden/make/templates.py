"""Real chat templates out of public packages, and what transformers renders from them.

usage: templates.py OUT [../templates/real.json]
The texts are other people's work: they are written to OUT for tests to read and do not lie in the
repository. What lies there is where each comes from, its SHA-256, and those of its renderings of
`conversations`: `null` where the reference refuses or fails. With the second argument, and
transformers (5.24.0 with jinja2 3.1.6) installed, that list is made anew.
"""

import ast, hashlib, json, pathlib, subprocess, sys, tarfile, tempfile, zipfile

PACKAGES = {
    "trl": "1.16.0",
    "axolotl": "0.19.0",
    "unsloth": "2026.10.9",
    "llama-cpp-python": "0.3.36",
}
WHERE = {
    "trl": "trl/chat_templates/",
    "axolotl": "axolotl/utils/chat_templates/templates/",
    "unsloth": "unsloth/",
    "llama-cpp-python": "vendor/llama.cpp/models/templates/",
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
# 12:34 on 5 June 2024.
MOMENT = 1717590840


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def files(package, version, folder):
    """The package's files that may be or hold templates, by their paths."""
    source = ["--no-binary", package] if package == "llama-cpp-python" else []
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        *source,
        "--dest",
        folder,
        f"{package}=={version}",
    ]
    subprocess.run(command, check=True)
    [archive] = pathlib.Path(folder).iterdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if name.endswith((".jinja", "/chat_templates.py")):
                    yield name, wheel.read(name).decode()
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and member.name.endswith(".jinja"):
                    yield member.name.split("/", 1)[1], tar.extractfile(member).read().decode()


def templates():
    """(package, version, path, text), the same text once."""
    seen = set()
    for package, version in PACKAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            for path, text in sorted(files(package, version, folder)):
                if not (
                    path.startswith(WHERE[package])
                    or (package == "unsloth" and path.endswith(".jinja"))
                ):
                    continue
                for name, template in (
                    [(path, text)] if path.endswith(".jinja") else in_python(path, text)
                ):
                    if sha256(template) not in seen:
                        seen.add(sha256(template))
                        yield package, version, name, template


def in_python(path, text):
    """Texts with statements of Jinja that a module gives names to."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                continue
            if isinstance(value, str) and "{%" in value and "messages" in value:
                yield f"{path}#{node.targets[0].id}", value


def text_parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather at a place, now & today.",
            "parameters": {
                "type": "object",
                "properties": {
                    "place": {"type": "string", "description": "A town."},
                    "days": {"type": "integer"},
                },
                "required": ["place"],
            },
        },
    }
]
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "abcdef123",
            "type": "function",
            "function": {"name": "weather", "arguments": {"place": "Zürich", "days": 2}},
        }
    ],
}
CONVERSATIONS = [
    {"messages": [{"role": "user", "content": "Which planet is red?"}]},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "  Which planet is red?\n"},
        ]
    },
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello & 'welcome' <b>!</b>"},
            {"role": "user", "content": 'naïve 😀 "q"'},
            {"role": "assistant", "content": " Yes.\n"},
            {"role": "user", "content": "Why?"},
        ]
    },
    {"messages": [{"role": "user", "content": "Rain in Zürich?"}], "tools": TOOLS},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Rain in Zürich?"},
            CALL,
            {
                "role": "tool",
                "name": "weather",
                "tool_call_id": "abcdef123",
                "content": '{"rain": true}',
            },
        ],
        "tools": TOOLS,
    },
    {
        "messages": [
            {"role": "user", "content": text_parts("One, ", "two?")},
            {"role": "assistant", "content": text_parts("Three.")},
            {"role": "user", "content": text_parts("Four?")},
        ]
    },
    {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]},
    {
        "messages": [
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\n4"},
            {"role": "user", "content": "3+3?"},
        ]
    },
]


def rendered(template, messages, tools=None):
    import datetime
    from transformers.utils import chat_template_utils as utils

    class Then(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(MOMENT, datetime.timezone.utc)

    utils.datetime = Then
    try:
        texts, _ = utils.render_jinja_template(
            conversations=[messages],
            tools=tools,
            chat_template=template,
            add_generation_prompt=True,
            **TOKENS,
        )
        return texts[0]
    except Exception as error:
        print("   ", type(error).__name__, str(error)[:100], file=sys.stderr)
        return None


out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rows = []
for package, version, path, text in templates():
    (out / f"{sha256(text)}.jinja").write_bytes(text.encode())
    rows.append({"package": package, "version": version, "path": path, "sha256": sha256(text)})
    if len(sys.argv) > 2:
        print(package, path, file=sys.stderr)
        texts = [rendered(text, **conversation) for conversation in CONVERSATIONS]
        (out / f"{sha256(text)}.json").write_text(json.dumps(texts, ensure_ascii=False))
        rows[-1]["renderings"] = [None if one is None else sha256(one) for one in texts]
print(f"{len(rows)} templates")
if len(sys.argv) > 2:
    golden = {
        "reference": "transformers 5.24.0, jinja2 3.1.6",
        "tokens": TOKENS,
        "moment": MOMENT,
        "conversations": CONVERSATIONS,
        "templates": rows,
    }
    pathlib.Path(sys.argv[2]).write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n")

"""Writes tests/golden/json-schema: JSON Schema's own test suite, draft 2020-12 with its optional
formats, as the source archive of Python's jsonschema has it.

    pip download --no-deps --no-binary :all: jsonschema==4.26.0
    python tests/golden/make/json_schema.py jsonschema-4.26.0.tar.gz   (from the repository's root)
"""

import gzip
import json
import sys
import tarfile
from pathlib import Path

OUT = Path("tests/golden/json-schema")
TESTS = "json/tests/draft2020-12/"

groups = []
with tarfile.open(sys.argv[1]) as archive:
    for member in sorted(archive.getmembers(), key=lambda member: member.name):
        name = member.name.split("/", 1)[-1]
        if name == "json/LICENSE":
            (OUT / "LICENSE").write_bytes(archive.extractfile(member).read())
        file = name.removeprefix(TESTS).removesuffix(".json")
        is_wanted = "/" not in file or file.startswith("optional/format/")
        if name.startswith(TESTS) and name.endswith(".json") and is_wanted:
            for group in json.load(archive.extractfile(member)):
                group["tests"] = [
                    [test["description"], test["data"], test["valid"]] for test in group["tests"]
                ]
                groups.append({"file": file, **group})

text = json.dumps(groups, ensure_ascii=True, separators=(",", ":"))
with open(OUT / "draft2020-12.json.gz", "wb") as file:
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        packed.write(text.encode())
print(len(groups), "groups")

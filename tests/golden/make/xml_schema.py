"""What tests/golden/xml_schema holds beside its schemas: documents with lxml's verdict.

    pip install lxml llguidance==1.9.1
    UPDATE_GRAMMARS=1 cargo test --lib xml_schema     # writes NAME.lark for each NAME.xsd
    python tests/golden/make/xml_schema.py [SEED]     # checks, and writes documents.json

Each grammar is walked at random, 200 documents a schema; lxml's own validator has to call every one
valid. Then they are changed here and there: what lxml calls invalid, the grammar may not accept. A
few of either kind are written down, so that a test can do without Python.
"""

import json
import random
import sys
from pathlib import Path

import llguidance
import numpy
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from lxml import etree

FOLDER = Path(__file__).parents[1] / "xml_schema"
DOCUMENTS, MUTANTS, KEPT = 200, 1500, 8
# A text that may go on is ended before long, and is of these characters mostly.
LIKELY = set(b"abcxyzABCZ0123456789 .-:/<>&;'\"=\n")
LONGEST = 4000

tokenizer = llguidance.LLTokenizer("byte")
bits = allocate_token_bitmask(1, tokenizer.vocab_size)


def walk(grammar, rng):
    matcher = llguidance.LLMatcher(tokenizer, grammar)
    assert not matcher.get_error(), matcher.get_error()
    out = bytearray()
    while len(out) < LONGEST:
        fill_next_token_bitmask(matcher, bits)
        allowed = numpy.flatnonzero(numpy.unpackbits(bits.view(numpy.uint8), bitorder="little"))
        allowed = [int(token) for token in allowed if token < tokenizer.vocab_size]
        if matcher.is_accepting() and (len(allowed) <= 1 or rng.random() < 0.5):
            return bytes(out)
        allowed = [token for token in allowed if token < 256]
        assert allowed, ("a dead end", bytes(out), matcher.get_error())
        # Tags are closed rather than what is before them drawn out, the more the longer it is.
        closing = [byte for byte in allowed if byte in b'<>"/']
        likely = [byte for byte in allowed if byte in LIKELY]
        if closing and rng.random() < 0.25 + len(out) / LONGEST:
            allowed = closing
        elif likely and rng.random() < 0.97:
            allowed = likely
        byte = rng.choice(allowed)
        assert matcher.consume_token(byte), bytes(out)
        out.append(byte)
    return None


def accepts(grammar, document):
    matcher = llguidance.LLMatcher(tokenizer, grammar)
    return matcher.try_consume_tokens(list(document)) == len(document) and matcher.is_accepting()


def is_valid(schema, document):
    try:
        return schema.validate(etree.fromstring(document))
    except etree.XMLSyntaxError:
        return False


def mutate(document, rng, others):
    """A document changed in a place or two: a digit, a tag, an attribute, a piece of another."""
    text = bytearray(document)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice([0, 1, 1, 1, 2, 5, 12]))
        match rng.randrange(6):
            case 0:
                del text[at:end]
            case 1:
                digits = [i for i, byte in enumerate(text) if byte in b"0123456789"]
                if digits:
                    text[rng.choice(digits)] = rng.choice(b"0123456789")
            case 2:
                text[at:at] = bytes([rng.choice(b"0123456789-:.+TZaAz<>&; \"'\n")])
            case 3:
                text[at:at] = text[at:end]
            case 4:
                pieces = bytes(text).split(b"><")
                if len(pieces) > 2:
                    i, j = rng.randrange(1, len(pieces)), rng.randrange(1, len(pieces))
                    pieces[i], pieces[j] = pieces[j], pieces[i]
                    text = bytearray(b"><".join(pieces))
            case 5:
                other = rng.choice(others)
                cut = rng.randrange(len(other))
                text[at:end] = other[cut : cut + rng.choice([1, 2, 6, 20])]
    return bytes(text)


def main():
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 19)
    kept = {}
    for path in sorted(FOLDER.glob("*.xsd")):
        schema = etree.XMLSchema(etree.parse(path))
        grammar = llguidance.grammar_from("lark", path.with_suffix(".lark").read_text())
        documents = []
        while len(documents) < DOCUMENTS:
            document = walk(grammar, rng)
            if document is None:
                continue
            assert is_valid(schema, document), (path.name, document, schema.error_log)
            documents.append(document)
        mutants = [mutate(rng.choice(documents), rng, documents) for _ in range(MUTANTS)]
        valid = [mutant for mutant in mutants if is_valid(schema, mutant)]
        invalid = [mutant for mutant in mutants if not is_valid(schema, mutant)]
        for mutant in invalid:
            assert not accepts(grammar, mutant), (path.name, mutant)
        narrow = sum(not accepts(grammar, mutant) for mutant in valid)
        print(
            f"{path.stem}: {len(documents)} documents valid; of {len(mutants)} changed ones "
            f"{len(invalid)} invalid and refused, {len(valid)} valid, {narrow} of them written "
            f"in another way than ours"
        )
        text = lambda all: [one.decode() for one in all if is_utf8(one)]
        short = sorted(set(text(documents)), key=len)[: 6 * KEPT]
        kept[path.stem] = {
            "valid": rng.sample(short, min(KEPT, len(short))),
            "invalid": rng.sample(sorted(set(text(invalid)), key=len)[: 30 * KEPT], 3 * KEPT),
        }
    (FOLDER / "documents.json").write_text(
        json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def is_utf8(document):
    try:
        document.decode()
        return True
    except UnicodeDecodeError:
        return False


if __name__ == "__main__":
    main()

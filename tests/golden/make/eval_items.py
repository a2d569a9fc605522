"""What tests/golden/eval is made of: items in the form of MMLU's, ARC's and HellaSwag's own files.
`eval.py` writes them, and beside them the same as datasets has them, for the harness."""

import csv
import json
import random
from pathlib import Path

OUT = Path("tests/golden/eval")
SHOTS, ITEMS = 5, 24
rng = random.Random(18)

CAPITALS = {
    "France": "Paris",
    "Japan": "Tokyo",
    "Italy": "Rome",
    "Egypt": "Cairo",
    "Peru": "Lima",
    "Norway": "Oslo",
    "Kenya": "Nairobi",
    "Cuba": "Havana",
    "Greece": "Athens",
    "Poland": "Warsaw",
    "Chile": "Santiago",
    "Iran": "Tehran",
    "Spain": "Madrid",
    "Ghana": "Accra",
    "Côte d'Ivoire": "Yamoussoukro",
    "Iceland": "Reykjavík",
    "Paraguay": "Asunción",
    "China": "Beijing",
    "Canada": "Ottawa",
}
ANIMALS = {
    "a spider": "eight legs",
    "a fish": "gills",
    "an owl": "large eyes that see at night",
    "a turtle": "a shell",
    "a snake": "no legs at all",
    "a bat": "wings of skin",
    "a camel": "a hump that stores fat",
    "a whale": "a thick layer of blubber",
    "a bee": "a sting",
    "a kangaroo": "a pouch for its young",
    "an elephant": "a long trunk",
    "a porcupine": "sharp quills",
}
CAUSES = [
    (
        "water freezes in the cracks of a rock",
        "the rock slowly breaks apart",
        "the rock melts",
        "the rock becomes lighter than air",
        "nothing",
    ),
    (
        "a plant is kept in a dark room for weeks",
        "its leaves turn pale",
        "it grows fruit",
        "it turns into stone",
        "it makes more sugar than before",
    ),
    (
        "a metal spoon stands in hot soup",
        "its handle becomes warm",
        "its handle freezes",
        "it floats",
        "the soup begins to boil at once, whatever it is made of",
    ),
    (
        "the Moon passes between the Sun and the Earth",
        "a solar eclipse is seen",
        "a tide stops",
        "winter begins",
        "a comet appears",
    ),
    (
        "salt is stirred into a glass of water",
        "it dissolves",
        "it burns",
        "it turns blue",
        "it becomes a gas",
    ),
    (
        "a ball is thrown straight up",
        "it slows down, stops and falls",
        "it flies on for ever",
        "it gains mass",
        "it loses its shape",
    ),
    (
        "two magnets' north poles meet",
        "they push each other away",
        "they stick together",
        "they glow",
        "they melt",
    ),
    (
        "an ice cube is left in the sun",
        "it melts",
        "it grows",
        "it becomes harder",
        "it turns into salt",
    ),
]


def shuffled(right, wrong):
    """The choices, and where the right one is."""
    choices = [right, *wrong]
    rng.shuffle(choices)
    return choices, choices.index(right)


def capital(most=4):
    land, right = rng.choice(list(CAPITALS.items()))
    choices, gold = shuffled(
        right, rng.sample([city for city in CAPITALS.values() if city != right], most - 1)
    )
    return (
        rng.choice(
            [
                "What is the capital of {}?",
                "The capital of {} is",
                "Which of these cities is the seat of the government of {}?",
            ]
        ).format(land),
        choices,
        gold,
    )


def animal(most=4):
    name, right = rng.choice(list(ANIMALS.items()))
    choices, gold = shuffled(
        right, rng.sample([other for other in ANIMALS.values() if other != right], most - 1)
    )
    return f"Which of these does {name} have?", choices, gold


def cause(most=4):
    what, right, *wrong = rng.choice(CAUSES)
    choices, gold = shuffled(right, wrong[: most - 1])
    return f"What happens when {what}?", choices, gold


def sum_of(most=4):
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    op, right = rng.choice([("+", a + b), ("-", a - b), ("*", a * b)])
    near = [right + delta for delta in (-10, -2, -1, 1, 2, 9, 10, 100)]
    choices, gold = shuffled(str(right), [str(x) for x in rng.sample(near, most - 1)])
    return f"Calculate {a} {op} {b}.", choices, gold


def quoted(most=4):
    """What a table of commas and quotes must put in quotes."""
    word = rng.choice(
        ["whale", "river", "silver", "lantern", "garden", "thunder", "mirror", "pepper"]
    )
    right = str(len(set(word)))
    choices, gold = shuffled(
        right, rng.sample([str(n) for n in range(1, 10) if str(n) != right], most - 1)
    )
    asked = f'A child writes the word "{word}", and then, on the next line:\n"{word[::-1]}".\n'
    return f"{asked}How many different letters are there?", choices, gold


def mmlu(folder):
    subjects = {
        "made_up_geography": [capital, capital, quoted],
        "made_up_science": [cause, animal],
        "made_up_mathematics": [sum_of, quoted],
    }
    for subject, makers in subjects.items():
        for split, count in ("dev", SHOTS), ("test", ITEMS):
            rows = [rng.choice(makers)() for _ in range(count)]
            if split == "test":
                rows[0] = ("  " + rows[0][0] + "  ", *rows[0][1:])
            path = OUT / "mmlu" / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "w", newline="") as out:
                csv.writer(out, lineterminator="\n").writerows(
                    [question, *choices, "ABCD"[gold]] for question, choices, gold in rows
                )
            lines(
                folder / f"{subject}_{split}.jsonl",
                (
                    {"question": q, "subject": subject, "choices": c, "answer": gold}
                    for q, c, gold in rows
                ),
            )
    return subjects


def arc(folder):
    rows = []
    for number in range(3 * ITEMS):
        count = 3 if number % 9 == 4 else 4
        question, choices, gold = rng.choice([capital, animal, cause, sum_of, quoted])(count)
        if number % 9 == 7:
            choices.append("none of these")
        labels = list("12345" if number % 7 == 3 else "ABCDE")[: len(choices)]
        rows.append((f"made-up-{number}", question, choices, labels, labels[gold]))
    lines(
        OUT / "arc.jsonl",
        (
            {
                "id": id,
                "question": {
                    "stem": q,
                    "choices": [{"text": text, "label": label} for text, label in zip(c, labels)],
                },
                "answerKey": key,
            }
            for id, q, c, labels, key in rows
        ),
    )
    lines(
        folder / "arc.jsonl",
        (
            {"id": id, "question": q, "choices": {"text": c, "label": labels}, "answerKey": key}
            for id, q, c, labels, key in rows
        ),
    )


WHO = [
    "a man",
    "the woman in the red coat",
    "two children",
    "the cook",
    "a gymnast",
    "an old sailor",
    "the dog",
    "someone",
]
DOING = [
    (
        "Making a sandwich",
        "takes two slices of bread and butters them",
        [
            "puts cheese between the slices and cuts the sandwich in two.",
            "climbs onto the roof and waves to the crowd below.",
            "paints the slices green, lets them dry and nails them to the door.",
            "throws the ball to the referee.",
        ],
    ),
    (
        "Washing windows",
        "dips a sponge into a bucket of soapy water",
        [
            "wipes the glass with it from top to bottom.",
            "eats the sponge.",
            "[substeps] drives the bucket to another town [step] and sells it there.",
            "sings about the sea until the lights go out, and then begins to pack a suitcase.",
        ],
    ),
    (
        "[header] How to plant a tree",
        "digs a hole that is twice as wide as the roots [title] Water it well",
        [
            "sets the tree into the hole and fills it with earth.",
            "fills the hole with cement.",
            "calls a taxi.",
            "closes the book, and  puts it back on the shelf.",
        ],
    ),
    (
        "Playing the violin",
        "lifts the bow and looks at the conductor",
        [
            "begins to play a slow melody.",
            "pours milk into a bowl.",
            "ties the strings around the tree.",
            "jumps over the fence with it.",
        ],
    ),
    (
        "Fixing a bicycle",
        "turns the bicycle upside down and takes the wheel off",
        [
            "pulls the tube out and looks for the hole.",
            "puts the wheel into the oven for an hour.",
            "reads a poem to the wheel.",
            "dives into the pool.",
        ],
    ),
    (
        "Ski jumping",
        "slides down the ramp, faster and faster",
        [
            "leaps into the air and lands far below.",
            "stops to buy some bread.",
            "opens a window and shouts at the neighbours, who do not answer.",
            "begins to knit.",
        ],
    ),
]


def hellaswag(folder):
    rows = []
    for number in range(3 * ITEMS):
        label, begun, endings = rng.choice(DOING)
        who = rng.choice(WHO)
        endings, gold = shuffled(endings[0], endings[1:])
        ctx_a = f"{who[0].upper()}{who[1:]} {begun}." + rng.choice(
            ["", " It is a warm day.", " “Watch!” somebody says."]
        )
        ctx_b = rng.choice(["then ", "", "after a while "]) + rng.choice(["he", "SHE", "it"])
        if number % 8 == 5:
            ctx_b = ""
        rows.append(
            {
                "ind": number,
                "activity_label": label,
                "ctx_a": ctx_a,
                "ctx_b": ctx_b,
                "ctx": f"{ctx_a} {ctx_b}",
                "split": "val",
                "split_type": "indomain",
                "label": gold,
                "endings": endings,
                "source_id": f"made-up~{number}",
            }
        )
    lines(OUT / "hellaswag.jsonl", rows)
    lines(folder / "hellaswag.jsonl", ({**row, "label": str(row["label"])} for row in rows))


def lines(path, rows):
    with open(path, "w") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

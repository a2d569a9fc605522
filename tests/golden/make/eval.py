"""Writes tests/golden/eval: items in the form of MMLU's, ARC's and HellaSwag's own files, made up
here, and what lm-evaluation-harness scores them with SmolLM2-135M-Instruct as its GGUF (Q4_1) gives
its weights back, in float32: each choice's log-probability, and the shares that are right.

    pip install torch==2.15.0 transformers==5.24.0 gguf==0.19.0 lm_eval[hf]==0.4.13
    python tests/golden/make/eval.py GGUF   (from the repository's root)
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
import lm_eval
import torch
import yaml
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks.hellaswag.utils import process_docs

from eval_items import OUT, SHOTS, arc, hellaswag, mmlu

TASKS = Path(lm_eval.__file__).parent / "tasks"


def task(name, file, data, **more):
    """A task as the harness describes it, over files of ours."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda *_: process_docs)
    config = yaml.load((TASKS / file).read_text(), Loader)
    for key in "tag", "group", "dataset_name", "training_split", "validation_split", "include":
        config.pop(key, None)
    splits = {split: str(path) for split, path in data.items()}
    return ConfigurableTask(
        config={
            **config,
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": splits},
            "test_split": "test",
            **more,
        }
    )


def main(gguf):
    OUT.mkdir(parents=True, exist_ok=True)
    folder, file = os.path.split(os.path.abspath(gguf))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        subjects = mmlu(scratch)
        arc(scratch)
        hellaswag(scratch)
        tasks = [
            task(
                subject,
                "mmlu/default/_default_template_yaml",
                {split: scratch / f"{subject}_{split}.jsonl" for split in ("dev", "test")},
                num_fewshot=SHOTS,
                description="The following are multiple choice questions (with answers) about "
                f"{subject.replace('_', ' ')}.\n\n",
            )
            for subject in subjects
        ] + [
            task(name, f"{name}/{yml}", {"test": scratch / f"{name}.jsonl"})
            for name, yml in (("arc", "arc_easy.yaml"), ("hellaswag", "hellaswag.yaml"))
        ]
        model = HFLM(pretrained=folder, gguf_file=file, dtype="float32", device="cpu", batch_size=8)
        with torch.no_grad():
            said = lm_eval.simple_evaluate(
                model=model, tasks=tasks, log_samples=True, bootstrap_iters=0
            )
    answers = {}
    for name, samples in said["samples"].items():
        samples.sort(key=lambda sample: sample["doc_id"])
        answers[name] = [
            [round(float(choice[0]), 5) for choice in sample["filtered_resps"]]
            for sample in samples
        ]
        figures = said["results"][name]
        answers[f"{name}.acc"] = round(figures["acc,none"], 6)
        if "acc_norm,none" in figures:
            answers[f"{name}.acc_norm"] = round(figures["acc_norm,none"], 6)
        print(name, len(samples), figures)
    with open(OUT / "answers.json", "w") as out:
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in answers.items()]
        out.write("{\n" + ",\n".join(lines) + "\n}\n")


main(sys.argv[1])

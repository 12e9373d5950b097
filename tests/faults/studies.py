#!/usr/bin/env python3
"""Studies whose file was changed at random are read and refused, or planned: never a crash, a hang or a file outside.

Usage: studies.py COVER [--count N] [--seed N]
"""
import argparse
import copy
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from stage import Tap

STUDY = {"name": "tiny", "about": "words", "variables": {"seed": [0, 1], "loss": [{"name": "base", "set": ["--set", "loss_vec=off"]},
                                                                                {"name": "full", "set": []}]},
         "runs": [{"id": "{loss}-{seed}", "for": ["loss", "seed"], "needs": ["few"],
                   "command": ["pretrain", "{out}/few.h5", "-o", "{out}/{id}", "--batch", 2, "--seed", "{seed}", "{loss.set}"]},
                  {"id": "few", "command": ["pack", "{data}", "-o", "{out}/few.h5"]}],
         "tables": [{"title": "All", "rows": ["loss"], "over": ["seed"], "value": {"ratio": "ratio"}, "digits": 2},
                    {"title": "Gain", "columns": ["loss"], "over": ["seed"], "against": {"loss": "base"}, "value": "l_con"}]}
LEAVES = [None, True, -1, 0, 1e308, "", "{", "}", "{seed", "{seed.x}", "{{}}", "../../x", "\0", "\n", "a" * 5000, [], {}, [[]], {"name": "x"},
          "{out}", "{id}", "%s%n", "--resume", "\x1b[2J"]


def changed(draw, value):
    if draw.random() < 0.1:
        return draw.choice(LEAVES)
    if isinstance(value, dict):
        made = {key: changed(draw, inner) if draw.random() < 0.35 else inner for key, inner in value.items()}
        if made and draw.random() < 0.1:
            made.pop(draw.choice(sorted(made)))
        if draw.random() < 0.05:
            made["{seed}"] = draw.choice(LEAVES)
        return made
    if isinstance(value, list):
        return [changed(draw, inner) if draw.random() < 0.3 else inner for inner in value] * draw.choice([1, 1, 1, 1, 2])
    return draw.choice(LEAVES) if draw.random() < 0.3 else value


def damaged(draw, text):
    data = bytearray(text.encode())
    for _ in range(draw.choice([0, 0, 0, 1, 4])):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cover")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    cover, draw, tap, findings = str(Path(given.cover).resolve()), random.Random(given.seed), Tap(), []
    with tempfile.TemporaryDirectory(prefix="cover-studies-") as scratch:
        file, before = Path(scratch) / "study.json", None
        for number in range(given.count):
            file.write_bytes(damaged(draw, json.dumps(changed(draw, copy.deepcopy(STUDY)))))
            try:
                ran = subprocess.run([cover, "study", "study.json", "-o", "out", "--define", "data=x", "--dry-run"], cwd=scratch,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
            except subprocess.TimeoutExpired:
                findings.append(f"study {number} hangs")
                continue
            if ran.returncode not in (0, 1, 2):
                findings.append(f"study {number}: status {ran.returncode}")
            if ran.returncode and not ran.stderr.strip():
                findings.append(f"study {number} is refused without a word")
            if b"\x1b" in ran.stderr:
                findings.append(f"study {number} steers the terminal")
            before = before or sorted(os.listdir(scratch))
            if sorted(os.listdir(scratch)) != before:
                findings.append(f"study {number} leaves {set(os.listdir(scratch)) - set(before)}")
    tap.line(f"{given.count} studies changed at random", findings)
    print(f"# {given.count} studies, {len(findings)} findings")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())

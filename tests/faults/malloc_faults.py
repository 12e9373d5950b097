#!/usr/bin/env python3
"""The N-th allocation of a whole process fails, in our code or in a library's, for a sample of all N.

Usage: malloc_faults.py COVER libshort_memory.so [--samples N] [--seed N] [--sticky] [--only COMMAND,...] [--without COMMAND,...]
What is right: no signal, no exit of a library, no hang; status 0 with the right bytes, or a failure that speaks of memory, not of a damaged
file, and leaves no temporary file.
"""
import argparse
import random
import subprocess
import sys
from pathlib import Path

from stage import COMMANDS, Stage, Tap, digest

# Words for a thread or a table that could not be had, in the library's texts and in those of others.
SHORT = ("memory", "Cannot allocate", "could not be started", "allocat")


def disturbed(stage, library, command, at, sticky):
    count = stage.root / "count"
    count.unlink(missing_ok=True)
    ran = stage.run(command.args, LD_PRELOAD=library, SHORT_AT=str(at), SHORT_STICKY="1" if sticky else "0", SHORT_COUNT=str(count))
    return ran, int(count.read_text()) if count.exists() else 0


def judge(stage, library, command, at, sticky):
    stage.fresh()
    try:
        ran, _ = disturbed(stage, library, command, at, sticky)
    except subprocess.TimeoutExpired:
        return "hangs"
    said = (ran.stderr + ran.stdout).strip()
    if ran.returncode < 0 or ran.returncode > 3:
        return f"status {ran.returncode}: {said[-200:]}"
    if ran.returncode == 0:
        wrong = [name for name, good in command.outputs.items() if digest(stage.work / name) != stage.good[good]]
        return f"says 0, but {wrong[0]} has other bytes" if wrong else None
    if not any(word in said for word in SHORT):
        return f"does not speak of memory: {said[-200:]}"
    if stage.left_over():
        return f"leaves {stage.left_over()[0]}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cover")
    parser.add_argument("library")
    parser.add_argument("--samples", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sticky", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--without", default="")
    given = parser.parse_args()
    library, draw, tries, wrong = str(Path(given.library).resolve()), random.Random(given.seed), 0, 0
    stage, tap = Stage(given.cover, threads=2), Tap()
    try:
        for name, command in COMMANDS.items():
            if (given.only and name not in given.only.split(",")) or name in given.without.split(","):
                continue
            stage.fresh()
            _, seen = disturbed(stage, library, command, 0, False)
            first = given.samples // 3 # the start, where libraries set themselves up, whole; of the rest a sample
            sample = sorted({*range(1, min(seen, first) + 1), *draw.sample(range(1, seen + 1), min(seen, given.samples - first))})
            findings = {} if seen else {f"nothing was counted: is {library} there?": [0]}
            for at in sample:
                finding = judge(stage, library, command, at, given.sticky)
                if finding:
                    findings.setdefault(finding, []).append(at)
            tries, wrong = tries + len(sample), wrong + sum(map(len, findings.values()))
            tap.line(f"{name}: {len(sample)} of {seen} allocations fail once" + (" and for ever" if given.sticky else ""),
                     [f"{finding} (N = {', '.join(map(str, at[:8]))}{', ...' if len(at) > 8 else ''})" for finding, at in findings.items()])
        print(f"# {tries} tries, {wrong} findings")
    finally:
        stage.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())

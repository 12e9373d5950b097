#!/usr/bin/env python3
"""Which lines and branches of src/ and tools/ the tests reached, by room; the files that are furthest from all of them.

Usage: coverage.py BUILD [--below PERCENT] [--file PATH]     BUILD was configured with -Db_coverage=true, and its tests ran.
A branch that only a failing call takes (TRY, GO, COVER_ERROR_MEMORY) and that was not taken is counted beside the others: tests/faults
lets those calls fail.  --file lists the lines of one file that were not reached, and those with a branch that was not taken.
Called by `make coverage`.
"""
import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def read(data):
    ran = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", str(data)], capture_output=True, cwd=data.parent)
    for line in ran.stdout.splitlines():
        if line.startswith(b"{"):
            yield json.loads(line)


def gather(build):
    """file -> line -> [times, branches taken or not]; a file that is compiled twice counts where it ran most."""
    root, files = build.parent.resolve(), defaultdict(dict)
    data = [path for path in build.rglob("*.gcda") if not path.parent.name.startswith("meson-")]
    with ThreadPoolExecutor(2) as pool:
        for reports in pool.map(lambda path: list(read(path)), data):
            for report in reports:
                here = Path(report["current_working_directory"])
                for file in report["files"]:
                    path = (here / file["file"]).resolve()
                    if not path.is_relative_to(root) or path.relative_to(root).parts[0] not in ("src", "tools"):
                        continue
                    lines = files[path.relative_to(root).as_posix()]
                    for line in file["lines"]:
                        taken = [branch["count"] > 0 for branch in line["branches"] if not branch["throw"]]
                        known = lines.setdefault(line["line_number"], [0, taken])
                        known[0] += line["count"]
                        if len(known[1]) == len(taken):
                            known[1] = [a or b for a, b in zip(known[1], taken)]
    return files


FAILING = re.compile(r"\b(?:TRY|GO)\(|COVER_ERROR_MEMORY")


def count(lines, text):
    """lines, reached, branches, taken, and those that are not taken since a call did not fail"""
    failing = sum(min(taken.count(False), len(FAILING.findall(text[number - 1]))) for number, (times, taken) in lines.items() if times)
    return (len(lines), sum(1 for times, _ in lines.values() if times), sum(len(taken) for _, taken in lines.values()),
            sum(sum(taken) for _, taken in lines.values()), failing)


def percent(part, whole):
    return f"{100 * part / whole:6.1f}" if whole else "     -"


def table(rows, width):
    print(f"{'':{width}} {'lines':>6} {'%':>6}  {'branches':>8} {'%':>6}  {'failing calls':>13} {'% of others':>11}")
    for name, (lines, reached, branches, taken, failing) in rows:
        print(f"{name:{width}} {lines:6d} {percent(reached, lines)}  {branches:8d} {percent(taken, branches)}  {failing:13d} "
              f"{percent(taken, branches - failing):>11}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--below", type=float, default=80)
    parser.add_argument("--file")
    given = parser.parse_args()
    files = gather(given.build.resolve())
    text = {path: Path(given.build.parent / path).read_text().splitlines() for path in files}
    if given.file:
        for number, (times, taken) in sorted(files[given.file].items()):
            if not times or not all(taken):
                print(f"{number:5d} {'line  ' if not times else 'branch'} {text[given.file][number - 1]}")
        return 0
    counts = {path: count(lines, text[path]) for path, lines in files.items()}
    rooms = defaultdict(lambda: (0,) * 5)
    for path, counted in counts.items():
        rooms[str(Path(path).parent)] = tuple(map(sum, zip(rooms[str(Path(path).parent)], counted)))
    rows = sorted(rooms.items()) + [("all", tuple(map(sum, zip(*rooms.values()))) if rooms else (0,) * 5)]
    table(rows, max(len(name) for name, _ in rows))
    share = {path: 100 * taken / (branches - failing) for path, (_, _, branches, taken, failing) in counts.items() if branches > failing}
    far = [(path, counts[path]) for path in sorted(share, key=share.get) if share[path] < given.below]
    if far:
        print(f"\nfiles with less than {given.below:g} % of their other branches taken")
        table(far, max(len(path) for path, _ in far))
    return 0 if files else 1


if __name__ == "__main__":
    sys.exit(main())

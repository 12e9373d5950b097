#!/usr/bin/env python3
"""The whole fault programme, part by part, and a table of what was tried.

Usage: all.py BUILD [--parts memory,io,malloc,kill,soak,studies] [--every N] [--report FILE] [--without COMMAND,...]
Everything takes some hours on two processors; --every N takes every N-th fault.  The tests run small slices of the same programs.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--parts", default="memory,io,malloc,kill,soak,studies")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--report")
    parser.add_argument("--without", default="", help="commands that malloc leaves out: those that enter oneDNN and libhdf5")
    given = parser.parse_args()
    build = Path(given.build).resolve()
    faults, cover, every = build / "tests/faults", build / "cover", given.every
    scratch = tempfile.TemporaryDirectory(prefix="cover-faults-")
    images, work = Path(scratch.name) / "images", Path(scratch.name) / "work"
    python = [sys.executable]
    parts = {
        "memory": [("each allocation through the host's allocator refused", [faults / "cycle", "refuse", images, work, every]),
                   ("the same, and all behind it", [faults / "cycle", "refuse", images, work, 100 * every, 0, "sticky"])],
        "io": [("each call of the file system fails", [*python, HERE / "io_faults.py", cover, faults / "libfault.so", "--every", every])],
        "malloc": [("allocations of the whole process fail", [*python, HERE / "malloc_faults.py", cover, faults / "libshort_memory.so",
                                                              "--without", given.without, "--samples", max(24, 300 // every)]),
                   ("the same, and all behind it", [*python, HERE / "malloc_faults.py", cover, faults / "libshort_memory.so", "--sticky", "--without", given.without,
                                                    "--samples", max(9, 60 // every)])],
        "kill": [("SIGKILL", [*python, HERE / "kills.py", cover, "--points", max(3, 50 // every)]),
                 ("SIGTERM", [*python, HERE / "kills.py", cover, "--points", max(3, 20 // every), "--signal", "TERM"])],
        "soak": [("3,000 steps and predictions", [faults / "cycle", "soak", images, work, 3000 // every if every < 10 else 300])],
        "studies": [("studies changed at random", [*python, HERE / "studies.py", cover, "--count", max(100, 2000 // every)])],
    }
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    subprocess.run([*python, HERE / "stage.py", images], check=True, env=environment)
    rows, failed = [], False
    for part in given.parts.split(","):
        for words, command in parts[part]:
            print(f"== {words}", flush=True)
            start = time.monotonic()
            ran = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=environment)
            said = ""
            for line in ran.stdout:
                print(line, end="", flush=True)
                said += line
            ran.wait()
            failed = failed or ran.returncode != 0
            counts = re.findall(r"^# (\d+) (?:tries|signals|studies), (\d+) findings", said, re.MULTILINE)
            tries, findings = counts[-1] if counts else ("1", str(int(ran.returncode != 0)))
            rows.append((words, tries, findings, f"{time.monotonic() - start:.0f} s"))
    table = "\n".join(["| what | tries | findings | time |", "|---|---:|---:|---:|", *("| " + " | ".join(row) + " |" for row in rows)])
    print(table)
    if given.report:
        Path(given.report).write_text(table + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

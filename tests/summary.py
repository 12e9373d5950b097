#!/usr/bin/env python3
"""Count single tests in the log of `meson test` and print "N passed, N failed, N skipped" as the last line, above it what
failed, and what was skipped and why.  BUILD/test-report.md says the same with all that belongs to it (summary_report.py).

Usage: summary.py BUILD
A Check program counts its test functions, a TAP script its lines, any other program one.  A program that crashed, ran
out of time, or failed without saying how counts as one failure more; one that is to fail, and does, as one that passes.
Exit 1 when anything failed or nothing ran.
"""
import json
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import summary_report

CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.MULTILINE)
TAP = re.compile(r"^(not )?ok\b(.*)$", re.MULTILINE)
SKIPPED = re.compile(r"^ok \d+ (?:- )?(.*?)\s*# SKIP\b\s*(.*)$", re.MULTILINE | re.IGNORECASE)


def count(test):
    """(passed, failed, skipped) of one program."""
    output, result = test.get("stdout", ""), test["result"]
    if result == "EXPECTEDFAIL": # its faults have been found, whatever they were
        return 1, 0, 0
    passed = failed = skipped = 0
    for checks, failures, errors in CHECK.findall(output):
        failed += int(failures) + int(errors)
        passed += int(checks) - int(failures) - int(errors)
    if not passed + failed:
        for bad, rest in TAP.findall(output):
            if "# SKIP" in rest.upper():
                skipped += 1
            elif bad:
                failed += 1
            else:
                passed += 1
    if result == "SKIP":
        return passed, failed, max(skipped, 1)
    if result != "OK":
        failed = max(failed, 1)
    elif not passed + failed + skipped:
        passed = 1
    return passed, failed, skipped


def reasons(test):
    """A line a skipped test of one program: its words, and why it was skipped."""
    output = test.get("stdout", "").strip()
    cases = SKIPPED.findall(output)
    if not cases: # a whole program: its last words
        cases = [("", output.splitlines()[-1].removeprefix("skipped: ") if output else "it did not say why")]
    return [f"  {test['name']}{', ' + words if words else ''}: {why or 'it did not say why'}" for words, why in cases]


def main():
    build = Path(sys.argv[1])
    path = build / "meson-logs" / "testlog.json"
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    tests = [json.loads(line) for line in filter(None, text.splitlines())]
    log = [(test, count(test)) for test in tests]
    totals = [sum(counts[column] for _, counts in log) for column in range(3)]
    bad = [f"  {test['name']}: {test['result'].lower()}, {counts[1]} failed" for test, counts in log if counts[1]]
    skipped = [reason for test, counts in log if counts[2] for reason in reasons(test)]
    last = f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped"
    summary_report.write(build, log, skipped, bad, last)
    for title, lines in ("skipped:", skipped), ("failed:", bad):
        if lines:
            print(title, *lines, sep="\n")
    print(last)
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())

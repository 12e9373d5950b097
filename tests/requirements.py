"""docs/requirements.md as rows, and what a log of tests says of each.  Used by summary_report.py and test_requirements.py.

A row is | REQ-NAME | a sentence | the tests that show it |.  A test is a program of `meson test` in backticks (a star stands for any
text), or a case of one: `graph: ablations_have_the_right_gradients_too` (a function of Check), `command run: another seed makes other
weights` (a sentence of TAP, in which a star stands for a variable of the shell).
"""
import fnmatch
import re
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "docs" / "requirements.md"
ROW = re.compile(r"^\|\s*(REQ-[^|]*?)\s*\|\s*([^|]*?)\s*\|\s*([^|]*?)\s*\|\s*$", re.MULTILINE)
CHECK_CASE = r"(?m)^[^\n]*:[FE]:[^\n:]*:{}:"


def rows(text=None):
    """[(id, sentence, [(program, case or None)])]"""
    found = []
    for identity, sentence, tests in ROW.findall(FILE.read_text(encoding="utf-8") if text is None else text):
        words = (re.sub(r"\s+", " ", word).partition(": ") for word in re.findall(r"`([^`]+)`", tests))
        found.append((identity, sentence, [(program, case or None) for program, _, case in words]))
    return found


def name_of(test):
    """libcover:slow / cuda_ mov, or cuda: mov: cuda_ mov"""
    return test.rpartition(" / ")[2].replace(":", "_")


def pattern(case):
    return re.sub(r"\\\*", ".+", re.escape(case))


def of_program(case, test, failed):
    """passed, failed or skipped: one case of a program that has run; failed: how many of it have."""
    output = test.get("stdout", "")
    if case and re.search(rf"(?m)^not ok \d+ (?:- )?{pattern(case)}\s*$", output):
        return "failed"
    if case and re.search(rf"(?mi)^ok \d+ (?:- )?{pattern(case)}\s*# SKIP", output):
        return "skipped"
    if case and re.search(rf"(?m)^ok \d+ (?:- )?{pattern(case)}\s*$", output):
        return "passed"
    if case and re.search(CHECK_CASE.format(re.escape(case)), output):
        return "failed"
    if test["result"] == "SKIP":
        return "skipped"
    # Check names what failed, but says nothing more when the program itself ended early
    named = re.search(CHECK_CASE.format("[^\n:]+"), output) and test["result"] in ("OK", "FAIL")
    return "failed" if failed and not (case and named) else "passed"


def result(tests, log):
    """passed, failed, skipped, in part or not run: what the tests of a row say; log: [(test, how many of it failed)]"""
    states = []
    for program, case in tests:
        matching = [of_program(case, test, failed) for test, failed in log if fnmatch.fnmatchcase(name_of(test["name"]), program)]
        if "failed" in matching or not matching:
            states.append("failed" if matching else "not run")
        else:
            states.append("passed" if "passed" in matching else "skipped")
    if "failed" in states:
        return "failed"
    if len(set(states)) == 1:
        return states[0]
    return f"in part ({states.count('passed')} of {len(states)})" if "passed" in states else "not run"

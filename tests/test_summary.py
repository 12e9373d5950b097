#!/usr/bin/env python3
"""summary.py counts what each kind of program says, and names what failed and what was skipped and why."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SUMMARY = Path(__file__).parent / "summary.py"
FIELDS = ("name", "result", "stdout", "duration")


def summary(*tests, report=None):
    """(exit status, lines) for programs given as (name, result, stdout, seconds); report: a list that gets the report's lines."""
    with tempfile.TemporaryDirectory() as build:
        log = Path(build) / "meson-logs" / "testlog.json"
        log.parent.mkdir()
        log.write_text("".join(json.dumps(dict(zip(FIELDS, test))) + "\n" for test in tests))
        run = subprocess.run([sys.executable, SUMMARY, build], capture_output=True, text=True)
        if report is not None:
            report += (Path(build) / "test-report.md").read_text().splitlines()
        return run.returncode, run.stdout.splitlines()


class Summary(unittest.TestCase):
    def test_a_check_program_counts_its_functions_and_another_program_one(self):
        self.assertEqual(summary(("graph", "OK", "100%: Checks: 7, Failures: 0, Errors: 0"), ("docs", "OK", "")),
                         (0, ["8 passed, 0 failed, 0 skipped"]))

    def test_what_failed_is_named(self):
        status, lines = summary(("graph", "FAIL", "50%: Checks: 2, Failures: 1, Errors: 0"), ("crash", "FAIL", ""))
        self.assertEqual((status, lines[-1]), (1, "1 passed, 2 failed, 0 skipped"))
        self.assertEqual(lines[:-1], ["failed:", "  graph: fail, 1 failed", "  crash: fail, 1 failed"])

    def test_a_skipped_case_is_named_with_its_reason_before_the_last_line(self):
        self.assertEqual(summary(("usage", "OK", "ok 1 - help\nok 2 - zsh takes its completion # SKIP no zsh\n1..2")),
                         (0, ["skipped:", "  usage, zsh takes its completion: no zsh", "1 passed, 0 failed, 1 skipped"]))

    def test_a_skipped_program_is_named_with_its_last_words(self):
        self.assertEqual(summary(("ok", "OK", ""), ("cudnn", "SKIP", "looking\nskipped: no cuDNN\n"), ("mute", "SKIP", ""))[1],
                         ["skipped:", "  cudnn: no cuDNN", "  mute: it did not say why", "1 passed, 0 failed, 2 skipped"])

    def test_the_report_says_the_same_with_machine_and_programs(self):
        report = []
        _, lines = summary(("p / graph", "OK", "100%: Checks: 7, Failures: 0, Errors: 0", 1.25),
                           ("p:slow / crash | burn", "TIMEOUT", "", 60), ("cudnn", "SKIP", "no cuDNN", 0), report=report)
        self.assertEqual(report[-1], lines[-1])
        for line in ("| graph | ok | 7 | 0 | 0 | 1.2 |", "| crash \\| burn | timeout | 0 | 1 | 0 | 60.0 |",
                     "- p:slow / crash | burn: timeout, 1 failed", "- cudnn: no cuDNN"):
            self.assertIn(line, report)
        for key in "version", "commit", "date", "processor", "memory", "kernel", "compiler", "options", "sanitizer":
            self.assertTrue(any(line.startswith(f"| {key} | ") for line in report), key)

    def test_the_report_has_each_requirement_with_its_result(self):
        report = []
        summary(("p / api nulls", "OK", "ok 1 - a\n", 1), ("p / api exports", "FAIL", "not ok 1 - b\n", 1), report=report)
        rows = {line.split(" | ")[0]: line.split(" | ")[-1] for line in report if line.startswith("| REQ-")}
        self.assertEqual((rows["| REQ-HOST-1"], rows["| REQ-HOST-2"], rows["| REQ-HOST-3"]), ("passed |", "failed |", "not run |"))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(summary(), (1, ["0 passed, 0 failed, 0 skipped"]))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""docs/requirements.md names tests that are there, the log of a run is read for it as it should be, and KNOWN_ANOMALIES.md lists what it
describes.

Usage: test_requirements.py PROJECT BUILD
"""
import fnmatch
import json
import re
import sys
import unittest
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
import requirements

PROJECT, BUILD = Path(sys.argv[1]), Path(sys.argv[2])
ROWS = requirements.rows()


def introspection(name):
    return json.loads((BUILD / "meson-info" / f"intro-{name}.json").read_text())


TARGETS = {file: target for target in introspection("targets") for file in target["filename"]}
PROGRAMS = {requirements.name_of(test["name"]): test["cmd"] for test in introspection("tests")}


def texts(command):
    """The sources of a program, with the headers beside them, or the script that it is."""
    for word in command:
        path = Path(BUILD, word)
        for source in [source for group in TARGETS.get(word, {}).get("target_sources", []) for source in group.get("sources", [])]:
            text = Path(source).read_text()
            yield text
            for name in re.findall(r'^#include "([^"/]+)"', text, re.MULTILINE):
                if (header := Path(source).parent / name).exists():
                    yield header.read_text()
        if path.suffix in (".sh", ".py") and path.exists():
            yield path.read_text()


def is_there(case, text):
    """As a function of Check, a method of unittest, or a sentence of TAP."""
    return re.search(rf"START_TEST\({re.escape(case)}\)|def {re.escape(case)}\(|\bit (['\"]){requirements.pattern(case)}\1", text)


class Requirements(unittest.TestCase):
    def test_each_has_an_id_of_its_own_a_sentence_and_a_test(self):
        self.assertGreater(len(ROWS), 50)
        lines = re.findall(r"^\| *(?:REQ[^|]*)\|.*$", requirements.FILE.read_text(), re.MULTILINE)
        self.assertEqual(len(lines), len(ROWS), "a row of another form than | id | sentence | tests |")
        self.assertEqual([identity for identity, count in Counter(row[0] for row in ROWS).items() if count > 1], [])
        for identity, sentence, tests in ROWS:
            self.assertRegex(identity, r"^REQ-[A-Z]+-[1-9][0-9]*$")
            self.assertTrue(sentence.endswith("."), identity)
            self.assertTrue(tests, f"{identity} names no test")

    def test_each_test_that_is_named_is_there(self):
        wrong = []
        for identity, _, tests in ROWS:
            for program, case in tests:
                commands = [PROGRAMS[name] for name in PROGRAMS if fnmatch.fnmatchcase(name, program)]
                if not commands:
                    wrong.append(f"{identity}: no program is called '{program}' (meson test --list)")
                elif case and not any(is_there(case, text) for command in commands for text in texts(command)):
                    wrong.append(f"{identity}: '{program}' has no case '{case}'")
        self.assertEqual(wrong, [], "\n".join(["", *wrong]))


class Anomalies(unittest.TestCase):
    def test_each_has_a_line_in_the_table_and_a_part_of_its_own(self):
        text = (PROJECT / "KNOWN_ANOMALIES.md").read_text()
        listed = re.findall(r"^\| \[(KA-\d+)\]\(#ka-\d+\) \|", text, re.MULTILINE)
        self.assertEqual(listed, re.findall(r"^### (KA-\d+)$", text, re.MULTILINE))
        self.assertEqual(len(listed), len(set(listed)))
        for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:-1]: # the last says what was not tried
            for word in "**", "Since ", "*State*: ":
                self.assertIn(word, part, part.splitlines()[0])


class Results(unittest.TestCase):
    def result(self, tests, *log):
        return requirements.result(tests, [({"name": name, "result": end, "stdout": output}, failed)
                                           for name, end, output, failed in log])

    def test_what_passed_failed_or_was_skipped_is_told_by_case(self):
        tap = ("p:slow / command run", "FAIL", "ok 1 - a is b\nnot ok 2 - SIGHUP saves\nok 3 - c # SKIP no d\n", 1)
        self.assertEqual(self.result([("command run", "a is b")], tap), "passed")
        self.assertEqual(self.result([("command run", "SIG* saves")], tap), "failed")
        self.assertEqual(self.result([("command run", "c")], tap), "skipped")
        self.assertEqual(self.result([("command run", "a is b"), ("command run", "c")], tap), "in part (1 of 2)")

    def test_a_function_of_check_fails_alone_but_a_program_that_ended_early_fails_whole(self):
        failed = ("p / graph", "FAIL", "50%: Checks: 2, Failures: 1, Errors: 0\n../t.c:9:F:core:one_is_two:0: Assertion", 1)
        self.assertEqual([self.result([("graph", case)], failed) for case in ("one_is_two", "two_is_two", None)],
                         ["failed", "passed", "failed"])
        self.assertEqual(self.result([("graph", "two_is_two")], ("p / graph", "TIMEOUT", failed[2], 1)), "failed")

    def test_a_star_is_every_program_of_that_form_and_what_did_not_run_is_said(self):
        log = [("p:slow / golden: a avx2", "OK", "", 0), ("p:slow / golden: b avx2", "FAIL", "", 1)]
        self.assertEqual(self.result([("golden_ * avx2", None)], *log), "failed")
        self.assertEqual(self.result([("golden_ a *", None)], *log), "passed")
        self.assertEqual(self.result([("golden_ c *", None)], *log), "not run")

    def test_a_row_is_read_from_markdown(self):
        text = "| REQ-A-1 | One is one. | `graph`, `command run: a, b: c` |\n| other | x | `y` |\n"
        self.assertEqual(requirements.rows(text), [("REQ-A-1", "One is one.", [("graph", None), ("command run", "a, b: c")])])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

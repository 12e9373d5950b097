#!/usr/bin/env python3
"""Calls that have one place of their own, and stand nowhere else in src/ and tools/.

Usage: test_calls.py PROJECT     Names each call that should be one of the place's.
A group is a pattern, the folders it is about, and the files that may hold it, each with its reason.
"""
import re
import sys
from functools import cache
from pathlib import Path

NUMBER = re.compile(r"%[-+ #0-9.*]*(?:l|L)?[aefgAEFG]")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def plain_call(names):
    """A call by its own name: not a member, not a declaration behind a type, not the end of a longer name."""
    return re.compile(r"(?<![\w.])(?<!->)(?<!int )(?<!\*)(" + names + r")\s*\(")


class Group:
    def __init__(self, instead, folders, calls, allowed, among=None):
        self.instead, self.folders, self.calls, self.allowed = instead, folders, calls, allowed
        self.among = among or (lambda text, call: True)  # which of the calls are meant


def integers_alone(text, call):
    return not (call[1] == "sscanf" and not NUMBER.search(text[call.start():text.find(";", call.start())]))


def prints_numbers(text, call):
    arguments = text[call.end():text.find(";", call.end())]
    return bool(NUMBER.search("".join(TEXT.findall(arguments)))) or '"' not in arguments


NUMBERS = {"src/core/base/number.c": "the one place"}
GROUPS = [
    Group("core/base/number.h and core/base/json.h: by the locale of the host program", ["src"], re.compile(
        r"\b(strto(?:d|f|ld)|ato[fl]|[a-z]*scanf|strn?casecmp|strcasestr|strcoll|localeconv|setlocale|is(?:alpha|digit|alnum|space|"
        r"upper|lower|print|punct|xdigit|cntrl)|to(?:upper|lower)|json_(?:dumps|dumpf|dumpb|dump_file))\s*\("),
        NUMBERS, integers_alone),
    Group("core/base/number.h: prints by the locale of the host program", ["src"], re.compile(
        r"\b(v?snprintf|v?sprintf|v?fprintf|v?dprintf|v?asprintf|printf)\s*\("),
        NUMBERS | {"src/core/base/shown.c": "between locale_enter() and locale_leave()"}, prints_numbers),
    Group("json_read() of core/base/json.h: jansson's reader takes memory that is short for a damaged text", ["src", "tools"],
        re.compile(r"\b(json_load\w*)\s*\("), {}),
    Group("core/base/descriptor.h: an interrupted or short call, a descriptor below 3", ["src"], plain_call(
        r"open(?:at)?(?:64)?|creat|fopen|fdopen|freopen|fwrite|tmpfile|mk[od]?[ds]?temps?|p?write(?:v|64)?|fsync|fdatasync|rename(?:at2?)?|"
        r"f?truncate(?:64)?|flock|lockf|mkdir(?:at)?|unlink(?:at)?|rmdir|remove|opendir|fdopendir|link(?:at)?|symlink(?:at)?"), {
            "src/core/base/descriptor.c": "the one place",
            "src/api/bench/bench.c": "reads /proc/self/status by lines",
            "src/comm/address.c": "sockets have names, too",
            "src/comm/rendezvous.c": "sockets have names, too"}),
    Group("its file of tools/cover: the command writes no files but these", ["tools"], plain_call(
        r"open(?:at)?(?:64)?|creat|fopen|fdopen|freopen|tmpfile|mk[od]?[ds]?temps?|p?write(?:v|64)?|fsync|fdatasync|rename(?:at2?)?|"
        r"f?truncate(?:64)?|flock|lockf|mkdir(?:at)?|opendir|fdopendir|link(?:at)?|symlink(?:at)?"), {
            "tools/cover/study/study_child.c": "/dev/null, between fork and exec",
            "tools/cover/ranks_start.c": "the folder of sockets; /dev/null, between fork and exec",
            "tools/cover/main.c": "/dev/null for standard descriptors that are closed",
            "tools/cover/signals.c": "a signal's words, in its handler",
            "tools/cover/json_text.c": "reads JSON files of a study and of a user",
            "tools/cover/run.c": "reads the end of a run's files"}),
]


@cache
def code_of(path):
    """A file's text, with line breaks alone in the place of comments."""
    return re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), path.read_text(), flags=re.DOTALL)


def calls_of(group, text):
    for call in group.calls.finditer(text):
        if group.among(text, call):
            yield text.count("\n", 0, call.start()) + 1, call[1]


def sources(root, folder):
    return [path for end in ("*.c", "*.h", "*.cu", "*.cuh") for path in sorted((root / folder).rglob(end))]


def wrong_in(root):
    for group in GROUPS:
        used = set()
        for folder in group.folders:
            for path in sources(root, folder):
                name = str(path.relative_to(root))
                found = list(calls_of(group, code_of(path)))
                if name in group.allowed:
                    used |= {name} if found else set()
                else:
                    yield from (f"{name}:{line}: {call}: instead {group.instead}" for line, call in found)
        yield from (f"{name}: is allowed what it does not call: strike it out" for name in sorted(set(group.allowed) - used))


EXAMPLES = [
    (0, 'x = strtod(t, NULL); atof(u); sscanf(a, "%d", &b);', ["strtod", "atof"]),
    (1, 'snprintf(a, b, "%.3g", c); snprintf(a, b, "%d", c); vsnprintf(a, b, c, d);', ["snprintf", "vsnprintf"]),
    (2, 'json_loads(a); json_load_file (b); json_dumps(c);', ["json_loads", "json_load_file"]),
    (3, 'file->open(a); x.write(b); open(a, b); file_open(a); bool rename(c); "fsync"; fsync(d); mkstemp(e);',
     ["open", "rename", "fsync", "mkstemp"]),
]


def main():
    print("1..2")
    seen = all([call for _, call in calls_of(GROUPS[group], text)] == calls for group, text, calls in EXAMPLES)
    print(f"{'ok' if seen else 'not ok'} 1 - such calls are found, and no others")
    wrong = list(wrong_in(Path(sys.argv[1])))
    for line in wrong:
        print("#", line)
    print(f"{'ok' if not wrong else 'not ok'} 2 - each stands in its one place")


main()

#!/usr/bin/env python3
"""No file of the library reads or writes numbers, or ignores case, by the locale of its host program.

Usage: sources.py PROJECT     Names each call that should be one of core/base/number.h or core/base/json.h.
"""
import re
import sys
from pathlib import Path

ALLOWED = {"src/core/base/number.c", "src/core/base/json.c"}
CALLS = re.compile(r"\b(strto(?:d|f|ld)|ato[fl]|[a-z]*scanf|strn?casecmp|strcasestr|strcoll|localeconv|setlocale|is(?:alpha|digit|"
                   r"alnum|space|upper|lower|print|punct|xdigit|cntrl)|to(?:upper|lower)|json_(?:loads|loadb|loadf|loadfd|load_file|load_callback|dumps|dumpf|"
                   r"dumpb|dump_file))\s*\(")
PRINTS = re.compile(r"\b(v?snprintf|v?sprintf|v?fprintf|v?dprintf|v?asprintf|printf)\s*\(([^;]*);")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
JSON = re.compile(r"\bjson_load\w*\s*\(")
NUMBER = re.compile(r"%[-+ #0-9.*]*(?:l|L)?[aefgAEFG]")


def faults(text):
    """Line and call of all that follow the locale."""
    text = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL)
    for call in CALLS.finditer(text):
        integers = call[1] == "sscanf" and not NUMBER.search(text[call.start():text.find(";", call.start())])
        if not integers:
            yield text.count("\n", 0, call.start()) + 1, call[1]
    for call in PRINTS.finditer(text):
        literals = "".join(TEXT.findall(call[2]))
        if NUMBER.search(literals) or '"' not in call[2]:
            yield text.count("\n", 0, call.start()) + 1, call[1]


def main():
    root = Path(sys.argv[1])
    example = 'x = strtod(t, NULL); /* atof( */ snprintf(a, b, "%.3g", c); snprintf(a, b, "%d", c); sscanf(a, "%d", &b);'
    seen = [call for _, call in faults(example)] == ["strtod", "snprintf"]
    print("1..3")
    print(f"{'ok' if seen else 'not ok'} 1 - calls that follow the locale are found")
    wrong = [f"{path.relative_to(root)}:{line}: {call}" for end in ("*.c", "*.h", "*.cu", "*.cuh")
             for path in sorted((root / "src").rglob(end)) if str(path.relative_to(root)) not in ALLOWED
             for line, call in faults(path.read_text())]
    for line in wrong:
        print("#", line)
    print(f"{'ok' if not wrong else 'not ok'} 2 - the library calls none of them")
    readers = [path for path in sorted((root / "tools").rglob("*.[ch]")) if JSON.search(path.read_text())]
    for path in readers:
        print("#", path)
    print(f"{'ok' if not readers else 'not ok'} 3 - the command reads JSON by the library's reader alone")


main()

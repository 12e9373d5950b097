#!/usr/bin/env python3
"""The house rules that can be read off the sources of src/: includes point down, rooms stand in no circle, parts stay in their
room, what the comment at the head of a file says of other files is true, and no text speaks of the command.

Usage: test_rooms.py SOURCE_ROOT
The table below is docs/architecture.md's picture in full.  A new folder gets a row; a new arrow that the table does not have is
either a mistake or a sentence in the review.
"""
import re
import sys
from functools import cache
from pathlib import Path

# A room, and the rooms that its files may include headers of, beside its own and those in folders under it.  Lowest first.
CORE = "core/base core/settings core/graph core/nn core/views core/method core/train core/objective core/metrics"
FILES = "io/bytes io/image io/dicom io/dataset io/weights io/pack io/check"
ROOMS = {
    "core/base": "",
    "core/settings": "core/base",
    "core/metrics": "core/base",
    "core/graph": "core/base",
    "core/nn": "core/base core/settings core/graph",
    "core/views": "core/base core/settings",
    "core/method": "core/base core/settings core/graph core/nn core/views",
    "core/train": "core/base core/settings core/graph core/nn core/views core/method",
    "core/objective": "core/base core/settings core/metrics core/graph core/nn core/views core/method core/train",
    "cpu": "core/base core/graph",
    "cuda": "core/base core/settings core/graph core/views core/method core/train",
    "comm": "core/base",
    "io/bytes": CORE,
    "io/image": CORE + " io/bytes",
    "io/dicom": CORE + " io/bytes io/image",
    "io/dataset": CORE + " io/bytes io/image",
    "io/weights": CORE + " io/bytes io/image",
    "io/pack": CORE + " io/bytes io/image io/dicom io/dataset",
    "io/check": CORE + " io/bytes io/image io/dicom io/dataset io/weights",
    "report": "core/base core/settings core/metrics io/image",
    "api/run": " ".join((CORE, FILES, "report")),
    "api/network": " ".join((CORE, FILES)),
    "api/predict": " ".join((CORE, FILES, "api/network")),
    "api/pretrain": " ".join((CORE, FILES, "report api/run api/network")),
    "api/finetune": " ".join((CORE, FILES, "report api/run api/network api/predict")),
    "api/evaluate": " ".join((CORE, FILES)),
    "api/analysis": " ".join((CORE, FILES, "report api/run api/network")),
    "api/bench": " ".join((CORE, FILES, "report api/network")),
    "": " ".join((CORE, FILES, "cpu cuda comm report")),  # src/ itself asks every layer
}
# Arrows that the table does not have, each with its reason.
EXCEPTIONS = {
    ("report/pretrain_pairs.c", "cpu/kernels.h"): "pictures of warped images are made by the kernel that training warps with",
    ("api/pretrain/run_report.c", "api/finetune/task_preview.h"): "cover_report() hands a fine-tuning run on to its own report",
}
# Headers of a room's own parts (*_parts.h) that another room includes.
SHARED_PARTS = {
    ("cuda/sevr.c", "core/views/sevr_parts.h"): "the host's half of SeVR on a device draws what the CPU draws",
}
# Calls that only these files make, for all others.
ONE_FILE = {
    r"H5(?:[ADGFOT]open\w*|Literate\w*|[LO]visit\w*)": ("io/bytes/hdf5.c", "io/bytes/hdf5_sink.c"),
    r"json_load\w*": (),
}
SOURCES = {".c", ".cpp", ".h", ".cu", ".cuh", ".def"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
HEAD = re.compile(r"\A\s*/\*.*?\*/", re.DOTALL)
NAME = re.compile(r"[\w./-]*\w\.(?:c|h|cu|cuh|def|cc|md|py|sh|map)\b")
COMMENT = re.compile(r"^\s*#include[^\n]*|/\*.*?\*/", re.MULTILINE | re.DOTALL)
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
CALLERS = re.compile(r"\b(?:Called|Read|Filled|Included) by\b(.*?)(?:\.\s|\*/)", re.DOTALL)
# Files of others that heads name.
FOREIGN = {"math.h", "nifti1.h", "nifti2.h", "Operators.md", "pickletools.py", "torch/serialization.py",
           "tensorflow/core/lib/io/record_writer.h", "documentation/dataset_format.md", "ignore_label.md"}


def room_of(path):
    """The row of a file (relative to src/): the longest one that it lies under."""
    folder = path.parent.as_posix().removeprefix(".")
    return max((room for room in ROOMS if room and (folder + "/").startswith(room + "/")), key=len, default=None if folder else "")


class House:
    def __init__(self, root):
        self.root, self.src = root, root / "src"
        self.files = {path.relative_to(self.src): path.read_text() for path in sorted(self.src.rglob("*"))
                      if path.suffix in SOURCES}
        self.everything = {path.relative_to(root).as_posix() for folder in ("src", "include", "tools", "tests", "docs", "bench", "scripts",
                           "examples") for path in (root / folder).rglob("*") if path.is_file()}
        self.wrong = []

    def say(self, path, text):
        self.wrong.append(f"src/{path}: {text}")

    @cache
    def includes(self, path):
        """The files of src/ that one includes."""
        found = []
        for name in INCLUDE.findall(self.files[path]):
            for target in Path(name), Path(*normal(path.parent / name)):
                if target in self.files:
                    found.append(target)
                    break
        return found

    def arrows(self):
        edges = {}
        for path in self.files:
            room = room_of(path)
            if room is None:
                self.say(path, "its folder has no row in ROOMS of tests/test_rooms.py")
                continue
            for target in self.includes(path):
                other, pair = room_of(target), (path.as_posix(), target.as_posix())
                if other == room or other is None:
                    continue
                edges.setdefault(room, set()).add(other)
                if other not in ROOMS[room].split() and pair not in EXCEPTIONS:
                    self.say(path, f"includes {target}: {room or 'src'} may not include {other or 'src'}")
                if target.stem.endswith("_parts") and pair not in SHARED_PARTS:
                    self.say(path, f"includes {target}, which holds parts of {other} alone")
        for pair in list(EXCEPTIONS) + list(SHARED_PARTS):
            path = Path(pair[0])
            if path not in self.files or Path(pair[1]) not in self.includes(path):
                self.say(pair[0], f"is excepted for {pair[1]}, which it does not include: strike the exception out")
        return edges

    def circles(self, edges):
        state = {}

        def visit(room, way):
            if state.get(room) == "done":
                return
            if room in way:
                self.wrong.append("rooms in a circle: " + " -> ".join(way[way.index(room):] + [room]))
                return
            for other in sorted(edges.get(room, ())):
                visit(other, way + [room])
            state[room] = "done"

        for room in edges:
            visit(room, [])

    @cache
    def named(self, name):
        """Files that a name in the head of a file may mean: under src/ from there on, beside it, or anywhere by its end."""
        return [Path(known) for known in self.everything if ("/" + known).endswith("/" + name.removeprefix("../"))]

    @cache
    def reaches(self, path):
        """All headers of src/ that a file includes, itself or through others."""
        text = (self.root / path).read_text(errors="replace")
        under = Path(*path.parts[1:]) if path.parts[0] == "src" else None
        seen, todo = set(), list(self.includes(under)) if under in self.files else [
            target for name in INCLUDE.findall(text) for target in (Path(name),) if target in self.files]
        while todo:
            target = todo.pop()
            if target not in seen:
                seen.add(target)
                todo += self.includes(target)
        return frozenset(seen)

    def uses(self, caller, path):
        """Does one file have a header of the other's, or share a header of that room with a name that the other defines?"""
        reached = self.reaches(caller)
        if path in reached or path.with_suffix(".h") in reached or Path(*caller.parts[1:]) in self.includes(path):
            return True
        text = (self.root / caller).read_text(errors="replace")
        if any(re.search(rf"\b{name}\b", text) for name in self.defined(path)):
            return True
        room = {header for header in self.includes(path) if header.parent == path.parent}
        return caller.parent == Path("src") / path.parent and bool(room & reached)

    @cache
    def defined(self, path):
        """Functions and tables that a file defines for others."""
        return set(re.findall(r"^(?!static|return|else)\w[\w \t*\"]*?[ *](\w{4,})(?:\(| = |\[)", self.files[path], re.MULTILINE))

    def heads(self):
        for path, text in self.files.items():
            head = HEAD.match(text)
            if not head:
                self.say(path, "has no comment at its head that says what it is")
                continue
            for name in NAME.findall(head[0]):
                if name not in FOREIGN and not self.named(name):
                    self.say(path, f"its head names {name}, which is not there")
            for sentence in CALLERS.findall(head[0]):
                for name in NAME.findall(re.sub(r"\([^)]*\)|;.*|, which.*", "", sentence, flags=re.DOTALL)):
                    callers = [caller for caller in self.named(name) if caller.suffix in SOURCES | {".cc"}]
                    if callers and not any(self.uses(caller, path) for caller in callers):
                        self.say(path, f"its head says that {name} calls it, which has nothing of it")

    def calls(self):
        """What is dangerous or must be the same everywhere is called in one place."""
        for path, text in self.files.items():
            plain = COMMENT.sub("", text)
            for call, allowed in ONE_FILE.items():
                found = re.search(rf"\b(?:{call})\s*\(", plain)
                if found and path.as_posix() not in allowed:
                    self.say(path, f"calls {found[0]}), which only {' and '.join(allowed) or 'nobody'} may")

    def texts(self):
        """The library has no command line: its texts name fields of options, settings and functions (words.c translates)."""
        cover = self.root / "tools" / "cover"
        option = "|".join(re.findall(r'^(?:OPTION|COMMON)\(\w+, [^,]+, "([^"]+)"', (cover / "options.def").read_text(), re.MULTILINE))
        verb = "|".join(re.findall(r'&verb_(\w+)', (cover / "verbs.c").read_text()))
        spoken = re.compile(rf"(?<![\w-])--(?:{option})\b|\bcover (?:{verb})\b")
        for path, text in self.files.items():
            for string in STRING.findall(COMMENT.sub("", text)):
                found = spoken.search(string)
                if found:
                    self.say(path, f"speaks of the command, {found[0]!r}: name the field, the setting or the function")


def normal(path):
    parts = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return parts


def main():
    house = House(Path(sys.argv[1]))
    house.circles(house.arrows())
    house.heads()
    house.calls()
    house.texts()
    for line in house.wrong:
        print(line)
    print(f"{len(house.files)} files in {len(ROOMS)} rooms: {len(house.wrong)} wrong")
    return 1 if house.wrong or not house.files else 0


if __name__ == "__main__":
    sys.exit(main())

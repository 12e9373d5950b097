#!/usr/bin/env python3
"""Write a header that names what the library and its modules share: for each module a text NAME_INTERFACE of the version and a hash
of all headers that the module's sources include, themselves or through others.  Both sides are compiled with it, so a module of
another build is refused, whatever was changed.

Usage: interfaces.py SOURCE_ROOT HEADER DEPFILE VERSION NAME SOURCE... [-- NAME SOURCE...]
Called by the build; the tests are tests/test_interfaces.py and the module doubles of tests/cuda.
"""
import hashlib
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)


def closure(root, sources):
    """All files of src/ and include/ that the sources include."""
    seen, todo = set(), list(sources)
    while todo:
        path = todo.pop()
        for name in INCLUDE.findall(path.read_text()):
            for target in path.parent / name, root / "src" / name, root / "include" / name:
                target = target.resolve()
                if target.is_file() and target not in seen:
                    seen.add(target)
                    todo.append(target)
                    break
                if target in seen:
                    break
    return sorted(seen)


def interface(root, version, sources):
    found, digest = closure(root, sources), hashlib.sha256()
    for path in found:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return f"{version}-{digest.hexdigest()[:16]}", found


def main():
    root, header, depfile, version = Path(sys.argv[1]).resolve(), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    lines, needed = ["/* Made by scripts/interfaces.py. */"], set()
    group = []
    for word in sys.argv[5:] + ["--"]:
        if word != "--":
            group.append(word)
            continue
        sources = [Path(source).resolve() for source in group[1:]]
        text, found = interface(root, version, sources)
        lines.append(f'#define {group[0]}_INTERFACE "{text}"')
        needed |= set(found) | set(sources)
        group = []
    guard = "COVER_MODULE_INTERFACES_H"
    header.write_text("\n".join([f"#ifndef {guard}", f"#define {guard}", *lines, "#endif", ""]))
    depfile.write_text(f"{header}: " + " ".join(str(path).replace(" ", "\\ ") for path in sorted(needed)) + "\n")


if __name__ == "__main__":
    main()

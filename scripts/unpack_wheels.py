"""Checks wheels against their SHA-256 and unpacks their data files (include, lib, share) into one folder.

Called by deps.sh:  unpack_wheels.py FOLDER_OF_WHEELS TARGET NAME.whl=SHA256 ...
A wheel cannot hold symbolic links and so repeats the library under three names; one file and one link are enough.
"""
import hashlib
import os
import sys
import zipfile


def checked(path, expected):
    with open(path, "rb") as file:
        found = hashlib.sha256(file.read()).hexdigest()
    if found != expected:
        os.remove(path)
        sys.exit(f"deps: {path}: its SHA-256 is {found}, but {expected} was expected; the file was deleted")
    return path


def unpack(path, target):
    with zipfile.ZipFile(path) as wheel:
        for member in wheel.infolist():
            _, is_data, name = member.filename.partition(".data/data/")
            parts = name.split("/")
            if not is_data or member.is_dir() or ".." in parts or name.startswith("/"):
                continue
            if parts[-1].startswith("libdnnl.so") and parts[-1] != "libdnnl.so.3":
                continue
            destination = os.path.join(target, *parts)
            os.makedirs(os.path.dirname(destination), exist_ok=True)
            with wheel.open(member) as source, open(destination, "wb") as out:
                while block := source.read(1 << 20):
                    out.write(block)


def main():
    wheels, target, *entries = sys.argv[1:]
    paths = [checked(os.path.join(wheels, name), digest) for name, digest in (e.split("=") for e in entries)]
    for path in paths:
        unpack(path, target)
    os.symlink("libdnnl.so.3", os.path.join(target, "lib", "libdnnl.so"))


main()

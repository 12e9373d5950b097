#!/usr/bin/env python3
"""Each call of the file system that a command makes fails once, with each error that it may give.

Usage: io_faults.py COVER libfault.so [--every N] [--offset K] [--only COMMAND,...]
N > 1 tries every N-th fault, from the K-th on.  What is right: no crash and no hang; status 0 with the bytes of an undisturbed run, or a
failure that names the file, leaves what was there before and no temporary file, and can be gone on from to the same bytes.  A call
that was interrupted (EINTR) or did only half (SHORT) is no failure at all.
"""
import argparse
import re
import sys
import subprocess
from pathlib import Path

from stage import COMMANDS, Stage, Tap, digest

ERRORS = {
    "open": ["EIO", "EMFILE", "EACCES"], "opendir": ["EIO", "EMFILE"], "read": ["EIO", "EINTR", "SHORT"], "pread": ["EIO", "EINTR", "SHORT"],
    "write": ["EIO", "ENOSPC", "EINTR", "SHORT"], "pwrite": ["EIO", "ENOSPC", "EINTR", "SHORT"], "fsync": ["EIO", "ENOSPC", "EINTR"],
    "fsyncdir": ["EIO", "EINVAL", "ENOTSUP"], "rename": ["EIO", "EACCES"], "ftruncate": ["EIO", "EINTR"], "mkdir": ["EACCES", "ENOSPC"],
    "flock": ["EINTR", "ENOLCK"], "close": ["EIO"], "unlink": ["EACCES"],
}
NO_FAILURE = {"EINTR", "SHORT"}
TEMPORARY = re.compile(r"\.cover-[0-9a-f]{16}$")
# What the C library and its loader open for themselves; sources of randomness: nobody names them, and nothing depends on them.
FOREIGN = re.compile(r"^(/proc|/sys|/dev|/etc|/usr|/lib)")


class Tries:
    def __init__(self, stage, library, every, offset):
        self.stage, self.library, self.every, self.offset = stage, library, every, offset
        self.number = self.tries = self.right = 0

    def disturbed(self, command, call, error, at):
        count = self.stage.root / "count"
        count.unlink(missing_ok=True)
        ran = self.stage.run(command.args, LD_PRELOAD=self.library, FAULT_CALL=call, FAULT_ERRNO=error, FAULT_AT=str(at),
                             FAULT_COUNT=str(count))
        seen, failed, what = 0, 0, ""
        for line in count.read_text().splitlines() if count.exists() else []:
            words = (line + "  ").split(" ", 3)
            if int(words[1]) > failed or int(words[0]) > seen:
                seen, failed, what = int(words[0]), int(words[1]), words[3].strip()
        return ran, seen, failed, what

    def judge(self, command, call, error, at):
        """What is wrong with one try, or None; and whether the fault happened."""
        stage = self.stage
        stage.fresh()
        try:
            ran, _, failed, path = self.disturbed(command, call, error, at)
        except subprocess.TimeoutExpired:
            return "hangs", True
        if not failed:
            return None, False
        if ran.returncode < 0 or ran.returncode > 3:
            return f"status {ran.returncode}: {ran.stderr.strip()[-200:]}", True
        wrong = [name for name, good in command.outputs.items() if digest(stage.work / name) != stage.good[good]]
        if ran.returncode == 0:
            return (f"says 0, but {wrong[0]} has other bytes" if wrong else None), True
        if error in NO_FAILURE:
            return f"gives up: {ran.stderr.strip()[-200:]}", True
        said = (ran.stderr + ran.stdout).strip() # check tells what it finds on stdout
        if not said:
            return "fails without a word", True
        name = Path(path).name
        known = name in said or Path(path).parent.name in said or FOREIGN.match(path)
        if TEMPORARY.match(name) or call == "fsyncdir": # the file that is to stand there is named
            known = any(Path(output).name in said for output in [*command.outputs, *command.keep, *command.work])
        if "study" in command.args: # DICOM is called by number and hash: no path below what was given leaves
            known = known or "image 1" in said or "study" in said
        if not known and command.args[0] != "check":
            return f"does not name {path}: {said[-200:]}", True
        for kept in command.keep:
            made = stage.good[command.outputs.get(kept, kept)]
            if digest(stage.work / kept) not in (stage.good[kept], made):
                return f"{kept} is neither what it was nor what it should be", True
        if call != "unlink" and stage.left_over():
            return f"leaves {stage.left_over()[0]}", True
        if command.again is not None:
            again = stage.run([*command.args, *command.again])
            wrong = [name for name, good in command.outputs.items() if digest(stage.work / name) != stage.good[good]]
            if again.returncode or wrong:
                return f"cannot be gone on from: status {again.returncode} {wrong} {again.stderr.strip()[-200:]}", True
        return None, True

    def sweep(self, name, command, call):
        findings, tried = [], 0
        self.stage.fresh()
        _, seen, _, _ = self.disturbed(command, call, "EIO", 0)
        for at in range(1, seen + 1):
            for error in ERRORS[call]:
                self.number += 1
                if (self.number - 1 - self.offset) % self.every:
                    continue
                finding, happened = self.judge(command, call, error, at)
                tried += happened
                self.right += happened and not finding
                if finding:
                    findings.append(f"{call} {at} of {seen}, {error}: {finding}")
        self.tries += tried
        return findings, tried


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cover")
    parser.add_argument("library")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    stage, tap = Stage(given.cover), Tap()
    try:
        tries = Tries(stage, str(Path(given.library).resolve()), given.every, given.offset)
        for name, command in COMMANDS.items():
            if given.only and name not in given.only.split(","):
                continue
            findings, tried = [], 0
            for call in ERRORS:
                more, happened = tries.sweep(name, command, call)
                findings += more
                tried += happened
            if not tries.number:
                findings.append(f"nothing was counted: is {given.library} there?")
            tap.line(f"{name}: {tried} calls that fail once", findings)
        print(f"# {tries.tries} tries, {tries.tries - tries.right} findings")
    finally:
        stage.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())

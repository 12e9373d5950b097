#!/usr/bin/env python3
"""A process is killed at random moments, some again while they go on; then the same command with --resume ends with the same bytes.

Usage: kills.py COVER [--points N] [--signal KILL] [--seed N]
What is right: every checkpoint that is there is whole at every moment; what is gone on from ends with the bytes of a run that nobody
disturbed; nothing temporary is left when it is done.  With TERM the status is 130 and the work done is kept.
"""
import argparse
import random
import signal
import subprocess
import sys
import time

from stage import COMMANDS, SMALL, Command, Stage, Tap, digest

LONG = {
    "pack": COMMANDS["pack"],
    "pretrain": Command(["pretrain", "d.h5", "-o", "new", "--preset", "demo", "--steps", "60", "--set", "save_every=5",
                         "--set", "heads=1,1,1,1,1", "--set", "radius=1", *SMALL], {"new/weights.safetensors": "long/weights.safetensors"},
                        again=["--resume"], work=["new"]),
    "finetune": Command(["finetune", "run", "--data", "s.h5", "-o", "new", "--task", "seg", "--steps", "40", "--set", "save_every=5",
                         "--set", "val_every=10", *SMALL], {"new/weights.safetensors": "long/weights.safetensors"}, again=["--resume"],
                        work=["new"]),
    "predict": Command(["predict", "task", "-i", "images/plain", "-o", "new"], {f"new/i{i}.png": f"long/i{i}.png" for i in range(8)},
                       again=[], work=["new"]),
}


def disturb(stage, args, after, number):
    """Start, wait, send; (status, stderr, was it still there)."""
    ran = subprocess.Popen([stage.cover, *args, "--threads", "2"], cwd=stage.work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)
    time.sleep(after)
    alive = ran.poll() is None
    if alive:
        ran.send_signal(number)
    _, said = ran.communicate(timeout=120)
    return ran.returncode, said.decode(errors="replace").strip(), alive


def one_point(stage, command, good, whole, number, draw):
    """(findings, kills) of one try."""
    findings, kills = [], 0
    stage.fresh()
    for _ in range(draw.choice([1, 1, 2, 3])):
        status, said, alive = disturb(stage, [*command.args, *command.again], draw.random() * whole, number)
        kills += alive
        early = status == -number and not list(stage.work.glob("new/*")) # before the command listens, and anything was done
        if status not in (0, -number if number == signal.SIGKILL else 130) and not early:
            findings.append(f"status {status}: {said[-200:]}")
        for checkpoint in stage.work.glob("new/*.h5"):
            if stage.run(["check", str(checkpoint), "-q"]).returncode:
                findings.append(f"{checkpoint.name} is not whole")
    ran = stage.run([*command.args, *command.again])
    wrong = [name for name, sum in good.items() if digest(stage.work / name) != sum]
    if ran.returncode or wrong:
        findings.append(f"gone on: status {ran.returncode}, other bytes {wrong}: {ran.stderr.strip()[-200:]}")
    if stage.left_over():
        findings.append(f"leaves {stage.left_over()[0]}")
    return findings, kills


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cover")
    parser.add_argument("--points", type=int, default=50, help="tries a command")
    parser.add_argument("--signal", default="KILL")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    number, draw, total, wrong = getattr(signal, "SIG" + given.signal), random.Random(given.seed), 0, 0
    stage, tap = Stage(given.cover, threads=2), Tap()
    try:
        for name, command in LONG.items():
            stage.fresh()
            start = time.monotonic()
            ran = stage.run(command.args)
            whole = time.monotonic() - start
            good = {out: digest(stage.work / out) for out in command.outputs}
            findings, kills = ([] if ran.returncode == 0 and all(good.values()) else [f"cannot run: {ran.stderr[-200:]}"]), 0
            for point in range(given.points if not findings else 0):
                more, sent = one_point(stage, command, good, 1.1 * whole, number, draw)
                findings += [f"try {point}: {finding}" for finding in more]
                kills += sent
            total, wrong = total + kills, wrong + len(findings)
            tap.line(f"{name}: SIG{given.signal} at {kills} moments of {given.points} tries", findings)
        print(f"# {total} signals, {wrong} findings")
    finally:
        stage.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Make the files of this folder with an older build: small datasets, runs and weights, and what that build computed from them.

Usage: make.py COVER OUTDIR
COVER is the command of the version whose files they are to be; OUTDIR a new folder.  Images come from a formula, so the same
build makes the same files.  README.md says what each file is for; tests/tools/test_compatibility.sh uses them.
"""
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

COVER = Path(sys.argv[1]).resolve()
OUT = Path(sys.argv[2])
NARROW = ["--set", "widths=8,8,8,8,8,8,8,8,8", "--set", "warmup=0", "--set", "schedule=constant", "--set", "log_every=1",
          "--set", "lr=0.01", "--quiet"]
HEADS = ["--set", "heads=1,1,1,1,1", "--set", "head_dim=4", "--set", "radius=1"]


def cover(*words):
    subprocess.run([COVER, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def png(path, side, pixel):
    """An 8-bit grey PNG of side x side pixels."""
    rows = b"".join(b"\0" + bytes(pixel(y, x) % 256 for x in range(side)) for y in range(side))
    chunk = lambda kind, data: (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def nifti(path, side, pixel):
    """An 8-bit NIfTI-1 volume of side^3 voxels of 1 mm."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, side, side, side, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<2f", header, 108, 352.0, 1.0)
    header[344:348] = b"n+1\0"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(header) + bytes(pixel(z, y, x) % 256 for z in range(side) for y in range(side) for x in range(side)))


def inside(case, y, x):
    """The square that is to be found in image number `case`."""
    return 4 + 2 * case <= y < 16 + 2 * case and 8 <= x < 22


def grey(case, y, x):
    return 60 + (x * 7 + y * 13 + case * 29 + x * y) % 40 + (70 if inside(case, y, x) else 0)


def sources():
    for case in range(6):
        png(Path(f"raw/images/image_{case}.png"), 32, lambda y, x: grey(case, y, x))
        png(Path(f"raw/squares/imagesTr/case_{case}_0000.png"), 32, lambda y, x: grey(case, y, x))
        png(Path(f"raw/squares/labelsTr/case_{case}.png"), 32, lambda y, x: int(inside(case, y, x)))
        png(Path(f"raw/classes/train/{'dark' if case % 2 else 'bright'}/image_{case}.png"), 32,
            lambda y, x: grey(case, y, x) // (2 if case % 2 else 1))
    Path("raw/squares/dataset.json").write_text('{"channel_names": {"0": "X-ray"}, "labels": {"background": 0, "square": 1}, '
                                                '"numTraining": 6, "file_ending": ".png"}\n')
    for case in range(2):
        nifti(Path(f"raw/volumes/volume_{case}.nii"), 16, lambda z, y, x: 40 + (x * 3 + y * 5 + z * 7 + case * 11) % 90)


def keep(run, into, *names):
    Path(into).mkdir()
    for name in names:
        shutil.copy(Path(run) / name, into)


def main():
    OUT.mkdir()
    os.chdir(OUT)
    sources()
    for name, source in {"images": "images", "volumes": "volumes", "labels": "squares", "classes": "classes"}.items():
        cover("pack", f"raw/{source}", "-o", f"{name}.h5", "--quiet")

    pretrain = ["images.h5", *NARROW, *HEADS, "--crop", "32x32", "--set", "work=32x32", "--batch", 2]
    cover("pretrain", *pretrain, "-o", "raw/run", "--steps", 3)
    keep("raw/run", "run", "config.json", "log.jsonl", "checkpoint.h5", "weights.safetensors")
    cover("pretrain", *pretrain, "-o", "raw/run", "--steps", 6, "--resume")
    shutil.copy("raw/run/log.jsonl", "run-resumed.jsonl")

    seg = ["run", "--task", "seg", "--data", "labels.h5", *NARROW, "--crop", "32x32", "--set", "work=32x32", "--batch", 2,
           "--set", "val_every=3", "--set", "folds=3"]
    cover("finetune", *seg, "-o", "raw/seg", "--steps", 3)
    keep("raw/seg", "seg", "config.json", "log.jsonl", "checkpoint.h5", "weights.safetensors", "result.json")
    cover("finetune", *seg, "-o", "raw/seg", "--steps", 6, "--resume")
    shutil.copy("raw/seg/log.jsonl", "seg-resumed.jsonl")

    cls = ["run", "--task", "cls", "--data", "classes.h5", *NARROW, "--crop", "32x32", "--set", "work=32x32", "--batch", 2,
           "--set", "val_every=3", "--set", "folds=3", "--set", "lr=1e-4"] # slow: its scores are to be neither 0 nor 1
    cover("finetune", *cls, "-o", "raw/cls", "--steps", 2)
    shutil.copy("raw/cls/weights.safetensors", "cls.safetensors")

    # what that build makes of them
    for case, name in (1, "moving.png"), (3, "fixed.png"):
        shutil.copy(f"raw/images/image_{case}.png", name)
    cover("match", "run", "moving.png", "fixed.png", "-o", "field.nii", "--quiet")
    cover("predict", "seg", "-i", "fixed.png", "-o", "raw/masks", "--scores", "--quiet")
    shutil.copy("raw/masks/fixed.npy", "seg-fixed.npy")
    cover("predict", "cls.safetensors", "-i", "fixed.png", "-o", "raw/classes-of", "--quiet")
    shutil.copy("raw/classes-of/scores.csv", "cls-scores.csv")
    shutil.rmtree("raw")


if __name__ == "__main__":
    main()

"""What the fault programmes work on: tiny images, what the command makes of them without a fault, and the commands that are then disturbed.
Called by io_faults.py, malloc_faults.py and kills.py; tests/faults/README.md."""
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

SIDE = 32
SMALL = "--set widths=8,8,8,8,8,8,8,8,8 --batch 2 --crop 32x32 --set work=32x32 --set log_every=1".split()


def png(path, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def picture(draw):
    """A bright disc on noise, and its label map."""
    a, b = draw.randrange(8, SIDE - 8), draw.randrange(8, SIDE - 8)
    label = [[int((y - a) ** 2 + (x - b) ** 2 < 36) for x in range(SIDE)] for y in range(SIDE)]
    return [[draw.randrange(60) + 120 * value for value in row] for row in label], label


def draw_images(folder):
    draw = random.Random(7)
    for part in ("plain", "seg/imagesTr", "seg/labelsTr", "seg/imagesTs", "cls/train/a", "cls/train/b"):
        (folder / part).mkdir(parents=True)
    for i in range(8):
        image, label = picture(draw)
        png(folder / f"plain/i{i}.png", image)
        png(folder / f"seg/imagesTr/c{i}_0000.png", image)
        png(folder / f"seg/labelsTr/c{i}.png", label)
        png(folder / f"cls/train/{'ab'[i % 2]}/k{i}.png", image)
    for i in range(3):
        png(folder / f"seg/imagesTs/t{i}_0000.png", picture(draw)[0])
    (folder / "seg/dataset.json").write_text(json.dumps({"channel_names": {"0": "X"}, "labels": {"background": 0, "disc": 1},
                                                         "file_ending": ".png", "numTraining": 8}))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


class Command:
    """args; outputs: file -> file of the same bytes made without a fault; keep: files that a failure must leave as they were;
    again: how to go on after one; work: what is removed between two tries."""

    def __init__(self, args, outputs=None, keep=(), again=None, work=()):
        self.args, self.outputs, self.keep, self.again, self.work = args, outputs or {}, keep, again, work


PRETRAIN = ["pretrain", "d.h5", "--preset", "demo", "--steps", "6", "--set", "save_every=2", "--set", "heads=1,1,1,1,1",
            "--set", "radius=1", *SMALL]
FINETUNE = ["finetune", "run", "--data", "s.h5", "--task", "seg", "--steps", "6", "--set", "save_every=2", "--set", "val_every=3", *SMALL]
CLASSES = ["finetune", "run", "--data", "c.h5", "--task", "cls", "--steps", "2", "--set", "val=2", *SMALL]
STUDY = ["predict", "task", "-i", "study", "--time", "2026-11-30T12:00:00Z", "--as", "dicom-seg,nifti"]
# Labels and scores of the three test images.
PREDICTED = {f"new/t{i}.png": f"predicted/t{i}.png" for i in range(3)}
COMMANDS = {
    "pack": Command(["pack", "images/plain", "-o", "new.h5"], {"new.h5": "d.h5"}, again=["--resume"], work=["new.h5", "new.h5.spool"]),
    "pack over": Command(["pack", "images/plain", "-o", "d.h5"], {"d.h5": "d.h5"}, keep=["d.h5"]),
    "pretrain": Command([*PRETRAIN, "-o", "new"], {"new/weights.safetensors": "run/weights.safetensors"}, again=["--resume"], work=["new"]),
    "pretrain on": Command([*PRETRAIN, "-o", "half", "--resume"], {"half/weights.safetensors": "run/weights.safetensors"}, again=[],
                           work=["half"]),
    "finetune": Command([*FINETUNE, "-o", "new"], {"new/weights.safetensors": "task/weights.safetensors"}, again=["--resume"], work=["new"]),
    "predict": Command(["predict", "task", "-i", "images/seg/imagesTs", "-o", "new"], PREDICTED, again=[], work=["new"]),
    "predict classes": Command(["predict", "classes", "-i", "images/plain", "-o", "new"], {"new/scores.csv": "scored/scores.csv"},
                               again=[], work=["new"]),
    "report": Command(["report", "run", "-o", "page.html"], keep=["page.html"]),
    "export": Command(["export", "run", "-o", "e.safetensors"], {"e.safetensors": "e.safetensors"}, keep=["e.safetensors"]),
    "export task": Command(["export", "task", "-o", "e.onnx"], {"e.onnx": "e.onnx"}, keep=["e.onnx"]),
    "convert": Command(["convert", "run/checkpoint.h5", "-o", "k.safetensors"], {"k.safetensors": "k.safetensors"}, keep=["k.safetensors"]),
    "match": Command(["match", "run", "images/plain/i0.png", "images/plain/i1.png", "-o", "field.nii.gz"],
                     {"field.nii.gz": "field.nii.gz"}, keep=["field.nii.gz"]),
    "eval": Command(["eval", "predicted", "predicted", "--csv", "cases.csv"], {"cases.csv": "cases.csv"}, keep=["cases.csv"]),
    "check": Command(["check", "d.h5"], keep=["d.h5"]),
    "pack study": Command(["pack", "study", "-o", "new.h5"], {"new.h5": "study.h5"}, again=["--resume"], work=["new.h5", "new.h5.spool"]),
    "predict study": Command([*STUDY, "-o", "new"], {"new/P0001_S01.seg.dcm": "labelled/P0001_S01.seg.dcm"}, again=[], work=["new"]),
    "dicom volume": Command(["dicom", "volume", "study", "-o", "study.nii.gz"], {"study.nii.gz": "study.nii.gz"}, keep=["study.nii.gz"]),
    "dicom deidentify": Command(["dicom", "deidentify", "study", "-o", "new", "--key", "key"], again=[], work=["new"]),
    "check run": Command(["check", "run"], keep=["run/checkpoint.h5"]),
}


class Stage:
    """A folder with all that the commands start from; `fresh` brings it back to that between two tries."""

    def __init__(self, cover, threads=1):
        self.cover, self.threads = str(Path(cover).resolve()), threads
        self.root = Path(tempfile.mkdtemp(prefix="cover-faults-"))
        self.base, self.work = self.root / "base", self.root / "work"
        self.base.mkdir()
        draw_images(self.base / "images")
        (self.base / "study").mkdir()
        shutil.copy(Path(__file__).parent.parent / "data/dicom/slice.dcm", self.base / "study")
        (self.base / "key").write_bytes(bytes(range(32)))
        half = [*PRETRAIN, "-o", "half"]
        for args in (["pack", "images/plain", "-o", "d.h5"], ["pack", "images/seg", "-o", "s.h5"], ["pack", "images/cls", "-o", "c.h5"],
                     [*PRETRAIN, "-o", "run"], [*FINETUNE, "-o", "task"], [*CLASSES, "-o", "classes"],
                     ["predict", "task", "-i", "images/seg/imagesTs", "-o", "predicted"],
                     ["predict", "classes", "-i", "images/plain", "-o", "scored"], [*STUDY, "-o", "labelled"],
                     ["pack", "study", "-o", "study.h5"], *(c.args for n, c in COMMANDS.items()
                     if n in ("report", "export", "export task", "convert", "match", "eval", "dicom volume"))):
            self.must(args)
        self.interrupted(half)
        self.good = {name: digest(self.base / name) for command in COMMANDS.values()
                     for name in [*command.outputs.values(), *command.keep]}
        self.fresh()

    def interrupted(self, args):
        """The run of `args`, killed once its first checkpoint is there and before it is done."""
        run = self.base / "half"
        for _ in range(50):
            shutil.rmtree(run, ignore_errors=True)
            ran = subprocess.Popen([self.cover, *args], cwd=self.base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while ran.poll() is None and not (run / "checkpoint.h5").exists():
                pass
            ran.kill()
            ran.wait()
            if not (run / "weights.safetensors").exists():
                for path in run.rglob(".cover-*"):  # killed while it was writing: no command of those that are tried has left it
                    path.unlink()
                return
        raise SystemExit("the run is done before it can be killed: give it more steps")

    def must(self, args):
        ran = self.run(args, self.base)
        if ran.returncode:
            raise SystemExit(f"cover {' '.join(args)}: {ran.stderr}")

    def run(self, args, where=None, timeout=120, **environment):
        args = [self.cover, *args, "--threads", str(self.threads)]
        return subprocess.run(args, cwd=where or self.work, env=dict(os.environ, **environment), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, errors="replace")

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.base, self.work, symlinks=True)

    def left_over(self):
        """Temporary files, as paths."""
        return sorted(str(path.relative_to(self.work)) for path in self.work.rglob("*") if path.name.startswith(".cover-"))

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)


class Tap:
    """Test lines on stdout; each finding behind the line it belongs to."""

    def __init__(self):
        self.count = self.failed = 0

    def line(self, sentence, findings):
        self.count += 1
        self.failed += bool(findings)
        print(f"{'not ok' if findings else 'ok'} {self.count} - {sentence}", flush=True)
        for finding in findings[:20]:
            print(f"#   {finding}", flush=True)
        if len(findings) > 20:
            print(f"#   and {len(findings) - 20} more", flush=True)

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.failed or not self.count else 0


if __name__ == "__main__": # stage.py FOLDER: the images alone, for cycle.c
    import sys
    draw_images(Path(sys.argv[1]))

#!/usr/bin/env python3
"""Everything of the CUDA module on a real GPU: tests, golden files, compute-sanitizer, training, timings; into one report.

Usage: check_gpu.py [--parts WORDS] BUILD RESULTS
BUILD is a build folder with libcover-cuda.so; the report is RESULTS/gpu-NAME-DATE.md, written anew after each part.  --parts: only
those of which one of these words, parted by commas, is in the name.
Exit 0: nothing failed; 1: something has, or there is no GPU.  Called by `make check-gpu`; docs/cuda.md says what is looked at.
"""
import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gpu_roofline

PROJECT = Path(__file__).resolve().parent.parent
KERNEL_TESTS = ("kernels", "mov", "warp", "sevr")
TESTS = (*KERNEL_TESTS, "conv", "module")
SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
GOLDEN = (("fp32", "*.safetensors"), ("bf16", "cover*.safetensors"))
# part, dims, size, pairs, precision, TF32
TIMINGS = [(part, dims, size, pairs, precision, tf32)
           for part, dims, size, pairs in (("step", 2, 384, 2), ("step", 2, 384, 24), ("step", 3, 64, 2), ("step", 3, 64, 16),
                                           ("mov", 2, 384, 1), ("mov", 3, 64, 1), ("infer", 2, 384, 1), ("infer", 3, 64, 1))
           for precision, tf32 in (("fp32", False), ("fp32", True), ("bf16", False))
           if part != "mov" or (precision, tf32) == ("fp32", False)]  # MoV is float32 in any
MINUTES = 60  # seconds


def told(command, env=None):
    """Standard output of a command that need not exist, in one string; None when it fails."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=5 * MINUTES)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout if run.returncode == 0 else None


class Report:
    def __init__(self, words):
        self.words, self.path, self.head, self.rows, self.timings, self.failures = words, None, [], [], [], []

    def wants(self, part):
        return not self.words or any(word in part for word in self.words)

    def row(self, part, outcome, seconds, text):
        self.rows.append(f"| {part} | {outcome} | {seconds} | {text} |")
        print(f"{outcome:8} {part}: {text}", flush=True)
        self.write()

    def not_run(self, part, why):
        if self.wants(part):
            self.row(part, "not run", "", why)

    def failed(self, part, seconds, text, output):
        self.failures.append(f"### {part}\n\n```\n{output[-3000:].strip()}\n```\n")
        self.row(part, "FAILED", seconds, text)

    def run(self, part, command, limit, env=None):
        """A part that is one command: it must succeed.  Its output, or None."""
        if not self.wants(part):
            return None
        start = time.monotonic()
        try:
            run = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                 check=False, timeout=limit, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
        except OSError as error:
            self.failed(part, "", f"cannot be started: {error}", "")
            return None
        except subprocess.TimeoutExpired as late:
            output = late.stdout or b""  # bytes, in some versions of Python, in spite of text
            self.failed(part, f"{limit}", "did not end", output if isinstance(output, str) else output.decode(errors="replace"))
            return None
        seconds = f"{time.monotonic() - start:.1f}"
        lines = [line.strip() for line in run.stdout.splitlines() if line.strip()]
        last = (lines or ["no output"])[-1][:160].replace("|", "/")
        if run.returncode and "the plan needs" in run.stdout:
            self.not_run(part, last)
            return None
        if run.returncode:
            self.failed(part, seconds, f"exit status {run.returncode}: {last}", run.stdout)
            return None
        self.row(part, "passed", seconds, "" if last.startswith("{") else last)
        return run.stdout

    def write(self):
        text = [*self.head, "", "## Parts", "", "| part | | seconds | |", "|---|---|---:|---|", *self.rows, ""]
        if self.timings:
            text += ["## Timings", "", "Estimates are floors of `scripts/gpu_roofline.py` for this GPU, where it knows it.", "",
                     "| `cover bench` | median ms | least ms | estimate ms |", "|---|---:|---:|---:|", *self.timings, ""]
        if self.failures:
            text += ["## What failed", "", *self.failures]
        part = self.path.with_suffix(".part")
        part.write_text("\n".join(text), encoding="utf-8")
        part.replace(self.path)


def find_sanitizer():
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    return shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=str(Path(nvcc).resolve().parent))


def check_tests(report, build):
    parts = [f"test: {name}" for name in TESTS] + [f"{tool}: {name}" for tool in SANITIZERS for name in (*KERNEL_TESTS, "all")]
    if not any(map(report.wants, parts)):
        return
    if told(["ninja", "-C", str(build), "gpu-tests"]) is None:
        report.failed("test: build", "", "`ninja gpu-tests` fails", "")
        return
    folder = build / "tests/cuda"
    for name in TESTS:
        report.run(f"test: {name}", [folder / f"gpu_{name}"], 30 * MINUTES, {"CK_DEFAULT_TIMEOUT": "300"})
    sanitizer = find_sanitizer()
    for tool in SANITIZERS:
        for name in KERNEL_TESTS:
            if sanitizer:
                # all tests in one process: each would load CUDA under the tool otherwise
                report.run(f"{tool}: {name}", [sanitizer, "--tool", tool, "--error-exitcode", "9", folder / f"gpu_{name}"],
                           60 * MINUTES, {"CK_FORK": "no"})
        if not sanitizer:
            report.not_run(f"{tool}: all", "compute-sanitizer is not installed")


def check_golden(report, build):
    for precision, pattern in GOLDEN:
        files = sorted((PROJECT / "tests/golden").glob(pattern))
        report.run(f"golden files, {precision}", [build / "golden_check", "--device", "cuda", "--precision", precision, *files],
                   20 * MINUTES)


def steps_of(run):
    """The log of a run: a list of objects."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def check_training(report, build, gpus):
    """The demo network through the command: on the CPU, a GPU, and two."""
    cover, ways = build / "cover", {"one GPU": ["--device", "cuda"], "two GPUs": ["--device", "cuda", "--ranks", "2"]}
    if not any(report.wants(f"pretrain: {way}") for way in ways):
        return
    if gpus < 2:
        report.not_run("pretrain: two GPUs", "there is one GPU")
        del ways["two GPUs"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        common = ["--preset", "demo", "--batch", "4", "--steps", "20", "--set", "log_every=1", "-q"]
        for command in ([cover, "pack", PROJECT / "examples/data/images", "-o", folder / "data.h5", "-q"],
                        [cover, "pretrain", folder / "data.h5", "-o", folder / "cpu", *common]):
            if told(list(map(str, command))) is None:
                report.failed("pretrain: preparation", "", " ".join(map(str, command[1:3])), "")
                return
        expected = steps_of(folder / "cpu")
        for way, options in ways.items():
            run = folder / way.replace(" ", "-")
            if report.run(f"pretrain: {way}", [cover, "pretrain", folder / "data.h5", "-o", run, *common, *options], 20 * MINUTES) is None:
                continue
            found = steps_of(run)
            worst = max(abs(a["l_vec"] - b["l_vec"]) / abs(b["l_vec"]) for a, b in zip(found, expected))
            part, text = f"pretrain: {way}, beside the CPU", f"l_vec differs by {worst:.2g} of itself at most, in {len(found)} steps"
            if len(found) == len(expected) and worst < 0.05:
                report.row(part, "passed", "", text)
            else:
                report.failed(part, "", text, "")


def check_timings(report, build, name):
    for part, dims, size, pairs, precision, tf32 in TIMINGS:
        kind = "tf32" if tf32 else precision
        words = f"{part} {'x'.join([str(size)] * dims)}, {pairs} {'pair' if pairs == 1 else 'pairs'}, {kind}"
        options = ["--part", part, "--dims", dims, "--size", size, "--pairs", pairs, "--precision", precision, *(["--tf32"] if tf32 else [])]
        out = report.run(f"time: {words}", [build / "cover", "bench", "--device", "cuda", "-q", "--brief", "--json", *options],
                         10 * MINUTES)
        if out is None:
            continue
        figures, _ = json.JSONDecoder().raw_decode(out[out.index("{"):])
        estimate = gpu_roofline.floor_ms(name, dims, size, pairs, kind) if part == "step" else None
        report.timings.append(f"| {words} | {1e3 * figures['seconds']:.3f} | {1e3 * figures['seconds_min']:.3f} "
                              f"| {'' if estimate is None else f'{estimate:.1f}'} |")
        report.write()


def look(build):
    """What `cover info` says of the GPU; ends the program where there is none."""
    if not (build / "libcover-cuda.so").exists():
        sys.exit(f"check-gpu: {build} has no libcover-cuda.so: nvcc, or cuDNN's or NCCL's headers, were not found (docs/cuda.md)")
    run = subprocess.run([build / "cover", "info", "--device", "cuda", "--json"], capture_output=True, text=True, check=False)
    if run.returncode:
        why = (run.stderr.strip().splitlines() or ["no word"])[-1]
        sys.exit(f"check-gpu: nothing was run: {why.removeprefix('cover info: ')}")
    return json.loads(run.stdout)


def count_gpus(build):
    count = 1
    while count < 16 and told([str(build / "cover"), "info", "--device", f"cuda:{count}", "--json"]) is not None:
        count += 1
    return count


def heading(info, gpus, now):
    cuda, cudnn = info["cuda"], info["cuda"]["cudnn"]
    smi = told(["nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm", "--format=csv,noheader", "-i", str(cuda["ordinal"])])
    revision = told(["git", "-C", str(PROJECT), "describe", "--always", "--dirty"])
    nccl = told([sys.executable, "-c", "import ctypes; n = ctypes.c_int(); l = ctypes.CDLL('libnccl.so.2'); "
                                       "l.ncclGetVersion(ctypes.byref(n)); print(n.value)"])
    return [f"# {cuda['name']}, {now:%Y-%m-%d}", "",
            f"- GPUs: {gpus}; compute capability {cuda['capability']}, {cuda['processors']} processors, "
            f"{cuda['memory_bytes'] / 2**30:.1f} GiB",
            f"- driver, power limit, clock: {smi.strip() if smi else 'nvidia-smi is not there'}",
            f"- CUDA: driver {cuda['driver']}, runtime {cuda['runtime']}; cuDNN {cudnn // 10000}.{cudnn // 100 % 100}.{cudnn % 100}; "
            f"NCCL {nccl.strip() if nccl else 'is not installed'}",
            f"- libcover {info['version']}, revision {revision.strip() if revision else 'unknown'}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="")
    parser.add_argument("build", type=Path)
    parser.add_argument("results", type=Path)
    given = parser.parse_args()
    build = given.build.resolve()
    info = look(build)
    gpus, now, name = count_gpus(build), datetime.datetime.now(datetime.timezone.utc), info["cuda"]["name"]
    report = Report([word for word in given.parts.split(",") if word])
    given.results.mkdir(parents=True, exist_ok=True)
    report.path = given.results / f"gpu-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-{now:%Y-%m-%d}.md"
    report.head = heading(info, gpus, now)
    check_tests(report, build)
    check_golden(report, build)
    check_training(report, build, gpus)
    check_timings(report, build, name)
    failed = sum("| FAILED |" in row for row in report.rows)
    print(f"check-gpu: {len(report.rows)} parts, {failed} failed; the report is {report.path}")
    return 1 if failed or not report.rows else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Compile every file of kernels for each GPU it is meant for, and look at what ptxas says of them.

Usage: nvcc_gate.py [--nvcc NVCC] [--cache FOLDER] [--jobs N] [--write] SOURCE [FILE...]
SOURCE is the root of the sources, FILE a .cu file (all of src/cuda/kernels, if none is named).  Refused are: a kernel that spills
registers or has a stack frame, or a larger one than tests/cuda/resources.txt puts up with; more registers, or other shared memory,
than it records (for the version of nvcc that it names; of another one spills alone count); a kernel that the table lacks, or has in
vain.  --write records anew, but leaves the stack frames that are put up with as they are.
What has been compiled is kept in FOLDER by its hash.  The table tells also which share of a processor's threads can run at once on
an A100 (sm_80) and an H100 (sm_90).  Exit 0: all well, 1: refused, 77: there is no nvcc.
"""
import argparse
import hashlib
import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ARCHS = ("80", "90", "100", "120")
# NVIDIA's published limits of a processor: bytes of shared memory; the rest is the same for both
SHARED_OF = {"A100": ("80", 164 * 1024), "H100": ("90", 228 * 1024)}
REGISTERS, WARPS, BLOCKS, WARP, REGISTERS_AT_ONCE, QUARTERS, SHARED_OF_SYSTEM = 65536, 64, 32, 32, 256, 4, 1024

ENTRY = re.compile(r"Compiling entry function '(\S+)' for 'sm_(\d+)a?'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?, (\d+) bytes smem)?")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
THREADS = re.compile(r"\.entry (\w+)\([^{]*?\.maxntid (\d+)", re.DOTALL)


def plain_name(demangled):
    """vector<float,4> of void (anonymous namespace)::vector<float, 4>(float*, ...)"""
    name, depth = demangled.replace("(anonymous namespace)::", "").replace(", ", ","), 0
    for i, letter in enumerate(name):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            name = name[:i]
            break
    return name.removeprefix("void ").replace(" ", "").replace("__nv_bfloat16", "bf16")


def compile_file(nvcc, source, file):
    """{kernel: {"threads": n, "shared": bytes, "registers": {arch: n}, "stack": {arch: bytes}}}, or the compiler's words."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-std=c++17", "-O3", "-fatbin", "-Xptxas", "-v", "-DTELL_SHARED_BYTES", "--keep", "--keep-dir", folder,
                   "-I", str(source / "src"), "-o", folder + "/out.fatbin", str(file)]
        for arch in ARCHS:
            command += ["-gencode", f"arch=compute_{arch},code=sm_{arch}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            return run.stdout + run.stderr
        threads = {name: int(count) for ptx in Path(folder).glob("*.ptx") for name, count in THREADS.findall(ptx.read_text())}
    kernels, names, kernel, arch = {}, {}, None, None
    for line in run.stderr.splitlines():
        if found := ENTRY.search(line):
            name, arch = found.groups()
            kernel = kernels.setdefault(name, {"threads": threads.get(name, 0), "shared": 0, "registers": {}, "stack": {}})
        elif kernel and (found := STACK.search(line)):
            kernel["stack"][arch] = max(int(n) for n in found.groups())
        elif kernel and (found := USED.search(line)):
            kernel["registers"][arch] = int(found.group(1))
            kernel["shared"] = int(found.group(2) or 0)
    if not kernels:
        return {}
    demangled = subprocess.run(["c++filt"], input="\n".join(kernels), capture_output=True, text=True, check=True).stdout.split("\n")
    names = dict(zip(kernels, map(plain_name, demangled)))
    return {f"{file.name}:{names[key]}": value for key, value in kernels.items()}


def included(file, files):
    """The file and all that it includes of ours."""
    if file not in files and file.exists():
        files.append(file)
        for name in INCLUDE.findall(file.read_text()):
            included((file.parent / name).resolve(), files)
    return files


def cached(nvcc, version, source, file, cache):
    hashed = hashlib.sha256(inspect.getsource(compile_file).encode() + version.encode())
    for part in included(file.resolve(), []):
        hashed.update(part.read_bytes())
    place = cache / f"{file.stem}-{hashed.hexdigest()[:24]}.json" if cache else None
    if place and place.exists():
        return json.loads(place.read_text())
    result = compile_file(nvcc, source, file)
    if place and isinstance(result, dict):
        cache.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(result))
    return result


def occupancy(registers, threads, shared, shared_of_processor):
    """Threads that can run at once on a processor, in percent of those that it can hold."""
    warps = -(-threads // WARP)
    of_warp = -(-registers * WARP // REGISTERS_AT_ONCE) * REGISTERS_AT_ONCE
    by_registers = REGISTERS // QUARTERS // of_warp * QUARTERS // warps
    by_shared = shared_of_processor // (shared + SHARED_OF_SYSTEM)
    return 100 * min(by_registers, by_shared, WARPS // warps, BLOCKS) * warps // WARPS


COLUMNS = ("threads", "shared", *ARCHS, "A100", "H100", "stack")


def rows_of(table):
    """{kernel: {column: number}}"""
    rows = (line.split() for line in table.splitlines() if line and line[0] != "#")
    return {name: dict(zip(COLUMNS, map(int, numbers))) for name, *numbers in rows}


def table_of(version, kernels, before):
    lines = [f"# What each kernel takes, by {version} (nvcc_gate.py --write): threads of a block, bytes of shared memory,",
             "# registers of a thread on sm_80, 90, 100 and 120, percent of a processor's threads that can run at once on an A100 and an",
             "# H100, and bytes of a stack frame that is put up with."]
    for name, k in sorted(kernels.items()):
        threads = k["threads"] or 256 # what launches without bounds have
        share = [occupancy(k["registers"][arch], threads, k["shared"], limit) for arch, limit in SHARED_OF.values()]
        stack = min(before.get(name, {"stack": 0})["stack"], max(k["stack"].values()))
        numbers = (threads, k["shared"], *(k["registers"][arch] for arch in ARCHS), *share, stack)
        lines.append(f"{name:<64}" + "".join(f"{n:>6}" for n in numbers))
    return "\n".join(lines) + "\n"


def check(version, kernels, recorded, whole):
    """What is wrong, a line each."""
    rows, wrong = rows_of(recorded), []
    for name, k in sorted(kernels.items()):
        row = rows.get(name, {"stack": 0})
        wrong += [f"{name}, sm_{arch}: a stack frame, or spills, of {stack} bytes" for arch, stack in k["stack"].items()
                  if stack > row["stack"]]
        if f"by {version} " not in recorded:
            continue
        if name not in rows:
            wrong.append(f"{name}: is not in the table")
            continue
        if k["shared"] != row["shared"]:
            wrong.append(f"{name}: {k['shared']} bytes of shared memory instead of {row['shared']}")
        wrong += [f"{name}, sm_{arch}: {k['registers'][arch]} registers instead of {row[arch]}"
                  for arch in ARCHS if k["registers"][arch] > row[arch]]
    if f"by {version} " not in recorded:
        print(f"the table is of another nvcc than {version}: only spills and stack frames count")
    elif whole:
        wrong += [f"{name}: is in the table, but nowhere else" for name in sorted(rows) if name not in kernels]
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("source", type=Path)
    parser.add_argument("files", type=Path, nargs="*")
    options = parser.parse_args()
    if not Path(options.nvcc).exists():
        print("skipped: there is no nvcc")
        return 77
    told = subprocess.run([options.nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    version = "nvcc " + re.search(r"V([\d.]+)", told).group(1)
    files = options.files or sorted((options.source / "src/cuda/kernels").glob("*.cu"))
    with ThreadPoolExecutor(options.jobs) as pool: # the slowest first
        order = sorted(files, key=lambda file: -file.stat().st_size)
        results = dict(zip(order, pool.map(lambda file: cached(options.nvcc, version, options.source, file, options.cache), order)))
    kernels = {}
    for file, result in results.items():
        if not isinstance(result, dict):
            print(f"{file}: does not compile\n{result}")
            return 1
        kernels.update(result)
    table = Path(__file__).parent / "resources.txt"
    recorded = table.read_text() if table.exists() else ""
    if options.write:
        recorded = table_of(version, kernels, rows_of(recorded))
        table.write_text(recorded)
    wrong = check(version, kernels, recorded, not options.files)
    print("\n".join(wrong), end="\n" if wrong else "")
    print(f"{len(kernels)} kernels of {len(files)} files, for {', '.join('sm_' + arch for arch in ARCHS)}: {len(wrong)} refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

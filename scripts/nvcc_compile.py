#!/usr/bin/env python3
"""Compile one file of kernels into an object, and write beside it what ptxas says of each kernel.

Usage: nvcc_compile.py NVCC SOURCE OBJECT RESOURCES DEPFILE TARGET...
SOURCE lies in src/cuda/kernels; headers of other rooms are named from src/ on.  TARGET is a compute capability, 90 for example; the
last one's code also goes along for chips to come.  RESOURCES is JSON:
{"nvcc": version, "kernels": {name: {"threads": n, "shared": bytes, "registers": {target: n}, "stack": {target: bytes}}}}.
Called by the build; read by tests/cuda/nvcc_gate.py.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENTRY = re.compile(r"Compiling entry function '(\S+)' for 'sm_(\d+)a?'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?, (\d+) bytes smem)?")
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


def resources(told, threads):
    """What ptxas told of each kernel, by its mangled name."""
    kernels, kernel, target = {}, None, None
    for line in told.splitlines():
        if found := ENTRY.search(line):
            name, target = found.groups()
            kernel = kernels.setdefault(name, {"threads": threads.get(name, 0), "shared": 0, "registers": {}, "stack": {}})
        elif kernel and (found := STACK.search(line)):
            kernel["stack"][target] = max(int(n) for n in found.groups())
        elif kernel and (found := USED.search(line)):
            kernel["registers"][target] = int(found.group(1))
            kernel["shared"] = int(found.group(2) or 0)
    return kernels


def main():
    nvcc, source, made, told_to, depfile, *targets = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-c", "-std=c++17", "-O3", "-I", str(Path(source).parents[2]), "-Xptxas", "-v", "-Xcompiler", "-fPIC,-fvisibility=hidden", "--keep", "--keep-dir",
                   folder, "-MD", "-MF", depfile, "-MT", made, "-o", made, source]
        for target in targets:
            command += ["-gencode", f"arch=compute_{target},code=sm_{target}"]
        command += ["-gencode", f"arch=compute_{targets[-1]},code=compute_{targets[-1]}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            sys.stderr.write(run.stdout + run.stderr)
            return run.returncode
        threads = {name: int(count) for ptx in Path(folder).glob("*.ptx") for name, count in THREADS.findall(ptx.read_text())}
    kernels = resources(run.stderr, threads)
    demangled = subprocess.run(["c++filt"], input="\n".join(kernels), capture_output=True, text=True, check=True).stdout.split("\n")
    named = {f"{Path(source).name}:{plain_name(name)}": kernels[key] for key, name in zip(kernels, demangled)}
    version = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    Path(told_to).write_text(json.dumps({"nvcc": re.search(r"V([\d.]+)", version).group(1), "kernels": named}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

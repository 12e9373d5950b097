#!/usr/bin/env python3
"""Look at what nvcc's ptxas has said of every kernel, for each GPU that the module is built for.

Usage: nvcc_gate.py [--write] FOLDER
FOLDER has what scripts/nvcc_compile.py wrote when the module was built.  Refused are: a kernel that spills registers or has a stack
frame, or a larger one than tests/cuda/resources.txt puts up with; more registers, or other shared memory, than it records (for the
version of nvcc that it names; of another one spills alone count); a kernel that the table lacks, or has in vain.  --write records
anew, but leaves the stack frames that are put up with as they are.
The table tells also which share of a processor's threads can run at once on an A100 (sm_80) and an H100 (sm_90).
Exit 0: all well, 1: refused, 77: the module was not built.
"""
import argparse
import json
import sys
from pathlib import Path

ARCHS = ("80", "90", "100", "120")
# NVIDIA's published limits of a processor: bytes of shared memory; the rest is the same for both
SHARED_OF = {"A100": ("80", 164 * 1024), "H100": ("90", 228 * 1024)}
REGISTERS, WARPS, BLOCKS, WARP, REGISTERS_AT_ONCE, QUARTERS, SHARED_OF_SYSTEM = 65536, 64, 32, 32, 256, 4, 1024


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


def check(version, kernels, recorded):
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
    else:
        wrong += [f"{name}: is in the table, but nowhere else" for name in sorted(rows) if name not in kernels]
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    files = [json.loads(file.read_text()) for file in sorted(options.folder.glob("*.resources.json"))]
    if not files:
        print("skipped: the module was not built, for want of nvcc")
        return 77
    version = "nvcc " + files[0]["nvcc"]
    kernels = {name: kernel for file in files for name, kernel in file["kernels"].items()}
    if any(set(kernel["registers"]) != set(ARCHS) for kernel in kernels.values()):
        print(f"skipped: built for other targets than {', '.join(ARCHS)}")
        return 77
    table = Path(__file__).parent / "resources.txt"
    recorded = table.read_text() if table.exists() else ""
    if options.write:
        recorded = table_of(version, kernels, rows_of(recorded))
        table.write_text(recorded)
    wrong = check(version, kernels, recorded)
    print("\n".join(wrong), end="\n" if wrong else "")
    print(f"{len(kernels)} kernels of {len(files)} files, for {', '.join('sm_' + arch for arch in ARCHS)}: {len(wrong)} refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

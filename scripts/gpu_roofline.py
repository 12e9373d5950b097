#!/usr/bin/env python3
"""A floor for a training step on a GPU, by kernel families: the larger of arithmetic and memory traffic.  Nothing of it was run.

Usage: gpu_roofline.py [--pairs N] [--bench BENCH.json] [--write]
Prints the Markdown tables of docs/cuda.md: paper-2d at 384x384, radius 2, and what some kernels take of a chip, from
tests/cuda/resources.txt.  BENCH.json is what `cover bench --part step --json` prints, in 2D or 3D; its operations take the place of
those in MEGABYTES.  --write puts the tables into docs/cuda.md, in the place of those that begin alike.
Assumptions: EXTRA, and the published rates in GPUS.
Imported by check_gpu.py, which sets floors beside what it has measured.
"""
import argparse
import json
import re
from pathlib import Path

# NVIDIA's published peaks, without sparsity: bytes/s, and FLOP/s of fp32, TF32, bf16
GPUS = {
    "A100 PCIe": ("A100.*PCIE", 1.94e12, {"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12}),
    "A100": ("A100", 2.04e12, {"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12}),
    "H100": ("H100.*HBM3", 3.35e12, {"fp32": 66.9e12, "tf32": 494.7e12, "bf16": 989e12}),
    "H200": ("H200", 4.8e12, {"fp32": 66.9e12, "tf32": 494.7e12, "bf16": 989e12}),
}
SHOWN = ("A100", "H100")
# Convolutions: level (pixels: size / 2^level along each axis), channels in and out, width of the kernel.  Both images of a pair.
CONVOLUTIONS = [(0, 1, 32, 3), (0, 32, 32, 3), (1, 32, 64, 3), (1, 64, 64, 3), (2, 64, 128, 3), (2, 128, 128, 3), (3, 128, 256, 3),
                (3, 256, 256, 3), (4, 256, 512, 3), (4, 512, 512, 3), (3, 768, 256, 3), (3, 256, 256, 3), (2, 384, 128, 3),
                (2, 128, 128, 3), (1, 192, 64, 3), (1, 64, 64, 3), (0, 96, 32, 3), (0, 32, 32, 3),
                (4, 512, 32, 1), (3, 256, 32, 1), (2, 128, 32, 1), (1, 64, 8, 1), (0, 32, 8, 1)]
# `cover bench --part step --json`: megabytes of an operation for one pair, 2D 384x384 in bf16 and fp32, 3D 64x64x64 in both
MEGABYTES = {
    "norm_act": (318.5, 606.3, 398.0, 755.1),
    "norm_grad": (476.5, 908.3, 595.9, 1131.4),
    "norm_apply": (97.3, 135.1, 147.4, 214.5),
    "add": (130.8, 240.5, 185.3, 319.4),
    "upsample": (176.9, 353.9, 200.5, 401.1),
    "upsample_grad": (88.5, 176.9, 100.3, 200.5),
    "max_pool2": (48.7, 92.9, 52.9, 103.1),
    "max_pool2_grad": (84.0, 163.7, 97.5, 192.2),
    "resize_corners": (3.9, 3.9, 8.1, 8.1),
    "resize_corners_grad": (3.9, 3.9, 8.1, 8.1),
    "warp": (44.6, 63.4, 80.5, 114.1),
    "warp_grad": (58.9, 77.8, 107.6, 141.2),
    "mov": (16.5, 16.5, 23.7, 23.7),
    "mov_grad": (31.4, 31.4, 43.7, 43.7),
    "cosine_loss": (19.5, 38.3, 34.6, 68.2),
    "cosine_loss_grad": (38.3, 76.1, 68.2, 135.3),
    "vector_loss": (2.9, 2.9, 7.3, 7.3),
    "vector_loss_grad": (4.1, 4.1, 10.5, 10.5),
}
MEASURED = {2: 384**2, 3: 64**3}  # pixels of an image there
MOV_FLOPS = {2: 372.3e6, 3: 2508.8e6}  # forward and backward of a pair, in fp32; exponentials are not counted
PARAMETERS = {2: 7881712, 3: 23567920}
FAMILIES = {
    "normalisation": ("norm_act", "norm_grad", "norm_apply"),
    "resampling, pooling": ("upsample", "upsample_grad", "max_pool2", "max_pool2_grad", "resize_corners", "resize_corners_grad"),
    "warps": ("warp", "warp_grad"),
    "losses, sums of gradients": ("cosine_loss", "cosine_loss_grad", "vector_loss", "vector_loss_grad", "add"),
}
# What the device moves by what the graph counts: norm_act reads its input for the sums and writes no output; norm_grad reads both of
# its inputs twice, for the sums and for the result.
EXTRA = {"norm_act": 1 / 2, "norm_grad": 5 / 3}

KERNELS = ("mov::vectors<mov::form<2,2,8,4,0>>", "mov::query_gradient<mov::form<2,2,8,2,0>>", "mov::key_gradient<mov::form<2,2,8,2,4>>",
           "mov::vectors<mov::form<3,2,8,4,0>>", "mov::query_gradient<mov::form<3,2,8,2,0>>", "mov::key_gradient<mov::form<3,2,8,2,4>>",
           "warp::warp_rows<bf16,8,2>", "warp::scatter<bf16,2>", "warp::field_gradient<bf16,8,2>", "join<bf16,bf16,8>",
           "column_sums<moments<bf16,8>>", "column_sums<grad_terms<bf16,8>>", "norm_grad_apply<bf16,8>", "max_pool2<bf16,8,4>",
           "upsample<bf16,8,2>", "upsample_grad<bf16,8,2>", "cosine_loss<bf16,8>", "adam_update", "sevr::read_views<2>")
PROJECT = Path(__file__).resolve().parent.parent
RESOURCES, PAGE = PROJECT / "tests/cuda/resources.txt", PROJECT / "docs/cuda.md"


def table(heads, rows, words=1):
    """A Markdown table, whose first `words` columns are not numbers."""
    lines = [heads, ["---"] * words + ["---:"] * (len(heads) - words), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def table_of_resources():
    """Columns of RESOURCES: name, threads, shared memory, registers for sm_80, 90, 100, 120, shares on an A100 and an H100, stack."""
    recorded = {name.split(":", 1)[1]: numbers for name, *numbers in map(str.split, RESOURCES.read_text().splitlines()) if name != "#"}
    rows = []
    for kernel in KERNELS:
        threads, shared, sm_80, sm_90, _, _, a100, h100, _ = recorded[kernel]
        rows.append([f"`{kernel}`", threads, f"{int(shared):,}", sm_80, sm_90, f"{a100} %", f"{h100} %"])
    return table(["kernel", "threads", "shared bytes", "registers, sm_80", "sm_90", "threads at once, A100", "H100"], rows)


def convolutions(dims, size, kind):
    """Of one pair: [(FLOPs, bytes)] of every pass of every convolution, and the bytes of making inputs dense for cuDNN."""
    element, passes, dense = 2 if kind == "bf16" else 4, [], 0
    for index, (level, c_in, c_out, kernel) in enumerate(CONVOLUTIONS):
        pixels = 2 * (size / 2**level) ** dims
        flops, moved = 2 * pixels * c_in * c_out * kernel**dims, pixels * (c_in + c_out) * element
        passes += [(flops, moved)] * (3 if index else 2)  # forward, weights, and but for the images data
        # normalised or joined into the workspace, for forward and again for the weights: read and written each time
        dense += 4 * pixels * c_in * element if index else 0
    return passes, dense


def families(dims, size, pairs, kind, measured=None):
    """{family: [(FLOPs, bytes, type of the products)]} of a step."""
    column, scale = 2 * (dims - 2) + (kind != "bf16"), pairs * size**dims / MEASURED[dims]
    passes, dense = convolutions(dims, size, kind)
    made = {"convolutions": [(pairs * flops, pairs * moved, kind) for flops, moved in passes],
            "dense inputs for cuDNN": [(0, pairs * dense, "fp32")]}

    def moved(op):
        return EXTRA.get(op, 1) * (measured[op] * pairs if measured else 1e6 * MEGABYTES[op][column] * scale)

    for name, ops in FAMILIES.items():
        made[name] = [(0, sum(map(moved, ops)), "fp32")]
    made["MoV"] = [(MOV_FLOPS[dims] * scale, moved("mov") + moved("mov_grad"), "fp32")]
    # sum of squares; Adam reads weights, moments and gradient and writes all but the last; packing for cuDNN
    made["update"] = [(0, (1 + 7 + 2) * 4 * PARAMETERS[dims], "fp32")]
    return made


def floor_of(work, gpu):
    _, rate, peaks = GPUS[gpu]
    return sum(max(flops / peaks[kind], moved / rate) for flops, moved, kind in work)


def floor_ms(name, dims, size, pairs, kind):
    """Of a step on the GPU that CUDA calls so; None where it is not one of GPUS."""
    for gpu, (pattern, *_) in GPUS.items():
        if re.search(pattern, name, re.IGNORECASE):
            return 1e3 * sum(floor_of(work, gpu) for work in families(dims, size, pairs, kind).values())
    return None


def table_of_families(made, what):
    rows = []
    for name, work in (*made.items(), ("all", [part for work in made.values() for part in work])):
        flops, moved = (sum(part[i] for part in work) for i in (0, 1))
        rows.append([name, f"{flops / 1e12:.2f}", f"{moved / 1e9:.1f}", *(f"{1e3 * floor_of(work, gpu):.1f}" for gpu in SHOWN)])
    return table([what, "TFLOP", "GB", *(f"{gpu} ms" for gpu in SHOWN)], rows)


def table_of_floors(made):
    rows = [[kind, *(f"{1e3 * sum(floor_of(work, gpu) for work in step.values()):.0f}" for gpu in SHOWN)] for kind, step in made.items()]
    return table(["floor of a step, ms", *SHOWN], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--bench")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    dims, size, kinds, measured = 2, 384, ("bf16", "tf32", "fp32"), None
    if given.bench:
        with open(given.bench, encoding="utf-8") as file:
            bench = json.load(file)
        dims, size, kinds = bench["dims"], bench["size"], (bench["precision"],)
        measured = {row["op"]: row["bytes"] for row in bench["operations"]}
    tables = [table_of_families(families(dims, size, given.pairs, kinds[0], measured), f"{kinds[0]}, {given.pairs} pairs"),
              table_of_floors({kind: families(dims, size, given.pairs, kind, measured) for kind in kinds}), table_of_resources()]
    print("\n\n".join(tables))
    for table in tables if given.write else ():
        head = re.escape(table.split("|")[1])
        PAGE.write_text(re.sub(rf"^\|{head}\|.*\n(\|.*\n)+", lambda _, table=table: table + "\n", PAGE.read_text(), flags=re.MULTILINE))


if __name__ == "__main__":
    main()

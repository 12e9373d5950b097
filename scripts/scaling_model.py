#!/usr/bin/env python3
"""A model of pretraining on many GPUs: compute, reduction and reading time of a step.  Nothing of it was run.

Usage: scaling_model.py [--plan PLAN.json] [--pairs-per-gpu N]
Prints the Markdown table of docs/cluster.md.  PLAN.json is what `cover plan --json` prints; without it the numbers are those of
paper-2d.  Every assumption is a line of ASSUMED.
"""
import argparse
import json
import math

# `cover plan --preset paper-2d --json`, 24 pairs
PLAN = {"parameters": 7881712, "flops_per_step": 9.06272e12, "pairs": 24}

ASSUMED = {
    "compute_flops": 150e12,    # a GPU's rate over a whole step in bf16: 15 % of an H100's peak, as normalisation, MoV and warps wait for memory
    "backward": 2 / 3,          # share of a step in which gradients are being made, and reduction can go on beside it
    "buckets": 4,               # in which gradients are reduced, the first ones while backward goes on
    "gpus_per_node": 8,
    "node_bytes": 300e9,        # a second, each GPU to and from its neighbours in a node (NVLink)
    "network_bytes": 40e9,      # a second, each GPU to and from other nodes (one 400 Gbit/s adapter a GPU)
    "latency": 20e-6,           # seconds of one stage of a reduction
    "image_bytes": 512 * 512,   # of a pair as packed: one 8-bit image
    "storage_bytes": 20e9,      # a second, of the shared file system, for all nodes together
    "storage_node_bytes": 2e9,  # a second, of it to one node
    "local_bytes": 5e9,         # a second, of a copy of the dataset on each node's own disk
    "draw_seconds": 3e-3,       # of one pair on one core (measured here: 2 ms)
    "cores_per_gpu": 8,
}


def step(gpus, pairs, plan):
    """Seconds of compute, reduction, reading from shared and from local storage, and a step with either."""
    a = ASSUMED
    compute = pairs * plan["flops_per_step"] / plan["pairs"] / a["compute_flops"]
    gradient = 4 * plan["parameters"]
    inside, nodes = min(gpus, a["gpus_per_node"]), math.ceil(gpus / a["gpus_per_node"])
    # within a node, then each GPU's part between nodes, then back: 2 (n - 1) / n of what is reduced there
    reduce = 2 * (inside - 1) / inside * gradient / a["node_bytes"] + 2 * math.ceil(math.log2(inside)) * a["latency"]
    if nodes > 1:
        reduce += 2 * (nodes - 1) / nodes * gradient / inside / a["network_bytes"] + 2 * math.ceil(math.log2(nodes)) * a["latency"]
    storage = min(a["storage_bytes"], nodes * a["storage_node_bytes"])
    draw = pairs * a["draw_seconds"] / a["cores_per_gpu"]  # on the host, beside reading
    shared = max(gpus * pairs * a["image_bytes"] / storage, draw)
    local = max(inside * pairs * a["image_bytes"] / a["local_bytes"], draw)
    hidden = min(a["backward"] * compute, (1 - 1 / a["buckets"]) * reduce)  # the last bucket has nothing to hide behind
    work = compute + reduce - hidden
    return compute, reduce, shared, local, max(work, shared), max(work, local)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plan")
    parser.add_argument("--pairs-per-gpu", type=int, default=24)
    given = parser.parse_args()
    plan = dict(PLAN)
    if given.plan:
        with open(given.plan, encoding="utf-8") as file:
            read = json.load(file)
        plan.update(parameters=read["parameters"], flops_per_step=read["flops_per_step"], pairs=read.get("pairs_per_rank", 24))
    pairs = given.pairs_per_gpu
    one = step(1, pairs, plan)[5]
    print("| GPUs | batch | compute ms | reduction ms | reading ms, shared | local | step ms, shared | local | of linear, shared | local |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for exponent in range(11):
        gpus = 1 << exponent
        *parts, shared, local = step(gpus, pairs, plan)
        columns = [f"{gpus:,}", f"{gpus * pairs:,}", *(f"{1e3 * part:.1f}" for part in (*parts, shared, local)),
                   *(f"{100 * one / whole:.0f} %" for whole in (shared, local))]
        print("|", " | ".join(columns), "|")


if __name__ == "__main__":
    main()

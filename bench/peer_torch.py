#!/usr/bin/env python3
"""The same work in PyTorch, beside `cover bench`: same shapes, threads and precision, rounds in turn, in the same run.

COVER is written here as one would in PyTorch, from the paper's formulas: U-Net, VPA with MoV, both losses, Adam; bf16 is
autocast with channels last.  Without PyTorch there is nothing to compare, which is said and is no failure.

    python bench/peer_torch.py --part step --precision bf16 --cover build/cover
"""
import argparse
import contextlib
import copy
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    torch = None

WIDTHS, HEADS, HEAD_DIM, RADIUS = (32, 64, 128, 256, 512), (4, 4, 4, 1, 1), 8, 2
OUTSIDE = -1000.0  # logit of a key outside the image

if torch:

    def of_dims(dims):
        return (nn.Conv2d, nn.MaxPool2d, "bilinear") if dims == 2 else (nn.Conv3d, nn.MaxPool3d, "trilinear")

    class Block(nn.Module):
        """Twice: convolution, GroupNorm with groups of eight channels, LeakyReLU."""

        def __init__(self, dims, inputs, outputs):
            super().__init__()
            conv = of_dims(dims)[0]
            layers = []
            for channels in (inputs, outputs):
                layers += [conv(channels, outputs, 3, padding=1), nn.GroupNorm(outputs // 8, outputs), nn.LeakyReLU(0.2, inplace=True)]
            self.layers = nn.Sequential(*layers)

        def forward(self, x):
            return self.layers(x)

    class Unet(nn.Module):
        """Levels, coarse to full size."""

        def __init__(self, dims):
            super().__init__()
            self.down = nn.ModuleList(Block(dims, i, o) for i, o in zip((1,) + WIDTHS, WIDTHS))
            self.up = nn.ModuleList(Block(dims, WIDTHS[i] + WIDTHS[i + 1], WIDTHS[i]) for i in (3, 2, 1, 0))
            self.pool, self.mode = of_dims(dims)[1](2), of_dims(dims)[2]
            for module in self.modules():
                if hasattr(module, "kernel_size") and hasattr(module, "weight"):
                    nn.init.kaiming_normal_(module.weight)

        def forward(self, x):
            skips = []
            for i, block in enumerate(self.down):
                x = block(self.pool(x) if i else x)
                skips.append(x)
            levels = [x]
            for block, skip in zip(self.up, skips[-2::-1]):
                x = F.interpolate(x, scale_factor=2, mode=self.mode, align_corners=False)
                x = block(torch.cat((skip, x), 1))
                levels.append(x)
            return levels

    def positions(size, like):
        axes = [torch.arange(n, dtype=torch.float32, device=like.device) for n in size]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def warp(x, field):
        """x(p + field(p)), linear, zero outside; the field in pixels, in the order of the axes."""
        size = field.shape[2:]
        at = positions(size, field) + field.float()
        at = [2 * at[:, i] / (n - 1) - 1 for i, n in enumerate(size)]
        return F.grid_sample(x.float(), torch.stack(at[::-1], -1), mode="bilinear", padding_mode="zeros", align_corners=True)

    def mov(query, key, heads, radius=RADIUS):
        """Mixture of vectors: softmax over the window of <query(p), key(p + o)> / sqrt(d), then the mean offset."""
        batch, channels, *size = query.shape
        dims, width = len(size), 2 * radius + 1
        by_head = (batch, channels // heads, heads, *size)  # channel c belongs to head c % heads
        query = query.float().view(by_head) / math.sqrt(channels // heads)
        padded = F.pad(key.float().view(by_head), (radius, radius) * dims)
        inside = F.pad(padded.new_ones((1, 1, *size)), (radius, radius) * dims)
        offsets, logits = [], []
        for number in range(width**dims):
            offset = [number // width ** (dims - 1 - i) % width for i in range(dims)]
            window = (..., *(slice(o, o + n) for o, n in zip(offset, size)))
            products = (query * padded[window]).sum(1)
            logits.append(torch.where(inside[window] > 0, products, OUTSIDE))
            offsets.append([float(o - radius) for o in offset])
        weights = torch.stack(logits, 1).softmax(1).mean(2)  # over heads
        return torch.einsum("bo...,oi->bi...", weights, query.new_tensor(offsets))

    class Cover(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.backbone, self.mode = Unet(dims), of_dims(dims)[2]
            conv = of_dims(dims)[0]
            self.project = nn.ModuleList(
                nn.Sequential(conv(width, HEAD_DIM * heads, 1), nn.GroupNorm(1, HEAD_DIM * heads))
                for width, heads in zip(WIDTHS[::-1], HEADS))

        def twice(self, field):
            return F.interpolate(2 * field, scale_factor=2, mode=self.mode, align_corners=True)

        def forward(self, moving, fixed):
            """The field, and the full-size features of both."""
            levels = self.backbone(torch.cat((moving, fixed)))
            flow = None
            for i, (level, project, heads) in enumerate(zip(levels, self.project, HEADS)):
                m, f = level.chunk(2)
                if flow is not None:
                    m = warp(m, flow)
                step = mov(project(f), project(m), heads)
                if i + 1 < len(levels):
                    step = self.twice(step)
                    flow = None if flow is None else self.twice(flow)
                flow = step if flow is None else warp(flow, step) + step
            return flow, *levels[-1].chunk(2)

    def loss(model, moving, fixed, truth):
        flow, m, f = model(moving, fixed)
        size = truth.shape[2:]
        at = positions(size, truth) + truth
        valid = torch.stack([(at[:, i] >= 0) & (at[:, i] <= n - 1) for i, n in enumerate(size)]).all(0)
        count = valid.sum()
        vector = ((truth - flow).abs().sum(1) * valid).sum() / count
        cosine = F.cosine_similarity(f.float(), warp(m, truth), dim=1, eps=1e-12)
        return vector + 1 - (cosine * valid).sum() / count

    # ---- other objectives: the step alone, on views that are there

    class Whole(nn.Module):
        """An image from what is left of it: denoising, in-painting, Models Genesis."""

        def __init__(self, dims, sigmoid=False):
            super().__init__()
            self.backbone, self.recon, self.sigmoid = Unet(dims), of_dims(dims)[0](WIDTHS[0], 1, 1), sigmoid

        def loss(self, seen, truth):
            image = self.recon(self.backbone(seen)[-1]).float()
            return F.mse_loss(image.sigmoid() if self.sigmoid else image, truth)

    class Encoder(nn.Module):
        """Level 0, mean over pixels."""

        def __init__(self, dims):
            super().__init__()
            self.down, self.pool = Unet(dims).down, of_dims(dims)[1](2)

        def forward(self, x):
            for i, block in enumerate(self.down):
                x = block(self.pool(x) if i else x)
            return x.float().flatten(2).mean(2)

    def mlp(*widths, last=None):
        layers = []
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            layers += [nn.Linear(inputs, outputs, bias=False)]
            if i + 2 < len(widths):
                layers += [nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers, *([last] if last else []))

    def cosine(p, z):
        return F.cosine_similarity(p, z.detach(), eps=1e-12).mean()

    class Rotation(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.encoder, self.classifier = Encoder(dims), nn.Linear(WIDTHS[-1], 4 if dims == 2 else 10)

        def loss(self, a, b):
            x = torch.cat([torch.rot90(a, turns, (-2, -1)) for turns in range(4)])
            return F.cross_entropy(self.classifier(self.encoder(x)), torch.arange(4).repeat_interleave(len(a)))

    class SimSiam(nn.Module):
        def __init__(self, dims):
            super().__init__()
            c = WIDTHS[-1]
            self.encoder, self.projector = Encoder(dims), mlp(c, c, c, 2048, last=nn.BatchNorm1d(2048, affine=False))
            self.predictor = mlp(2048, 512, 2048)

        def loss(self, a, b):
            z = [self.projector(rows) for rows in self.encoder(torch.cat((a, b))).chunk(2)]
            p = [self.predictor(rows) for rows in z]
            return -(cosine(p[0], z[1]) + cosine(p[1], z[0])) / 2

    class Twins(nn.Module):
        """Those with a twin, which follows after each update."""

        def __init__(self, own, momentum):
            super().__init__()
            self.own, self.twin, self.momentum = own, copy.deepcopy(own).requires_grad_(False), momentum

        def after(self):
            torch._foreach_lerp_(list(self.twin.parameters()), list(self.own.parameters()), 1 - self.momentum)

    class Byol(Twins):
        def __init__(self, dims):
            super().__init__(nn.Sequential(Encoder(dims), mlp(WIDTHS[-1], 4096, 256)), 0.996)
            self.predictor = mlp(256, 4096, 256)

        def projections(self, network, a, b):
            return [network[1](rows) for rows in network[0](torch.cat((a, b))).chunk(2)]

        def loss(self, a, b):
            with torch.no_grad():
                z = self.projections(self.twin, a, b)
            p = [self.predictor(rows) for rows in self.projections(self.own, a, b)]
            return 4 - 2 * cosine(p[0], z[1]) - 2 * cosine(p[1], z[0])

    class SimClr(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.encoder, self.projector = Encoder(dims), mlp(WIDTHS[-1], WIDTHS[-1], 128, last=nn.BatchNorm1d(128))

        def loss(self, a, b):
            z = F.normalize(self.projector(self.encoder(torch.cat((a, b)))))
            likeness = (z @ z.T / 0.1).fill_diagonal_(-math.inf)
            return F.cross_entropy(likeness, torch.arange(len(z)).roll(len(a)))

    class Moco(Twins):
        def __init__(self, dims, queue=6144):
            c = WIDTHS[-1]
            super().__init__(nn.Sequential(Encoder(dims), nn.Linear(c, c), nn.ReLU(inplace=True), nn.Linear(c, 128)), 0.999)
            self.queue = F.normalize(torch.randn(queue, 128))

        def loss(self, a, b):
            with torch.no_grad():
                self.key = F.normalize(self.twin(b))
            q = F.normalize(self.own(a))
            logits = torch.cat(((q * self.key).sum(1, keepdim=True), q @ self.queue.T), 1) / 0.2
            return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))

        def after(self):
            super().after()
            self.queue[: len(self.key)] = self.key

    class DeepCluster(nn.Module):
        """A step within a period."""

        def __init__(self, dims, clusters=18):
            super().__init__()
            self.encoder, self.top = Encoder(dims), nn.Linear(WIDTHS[-1], clusters)

        def loss(self, a, b):
            return F.cross_entropy(self.top(self.encoder(a)), torch.arange(len(a)) % self.top.out_features)

    OBJECTIVES = {"denoising": Whole, "inpainting": Whole, "genesis": lambda dims: Whole(dims, True), "rotation": Rotation,
                  "simsiam": SimSiam, "byol": Byol, "simclr": SimClr, "moco": Moco, "deepcluster": DeepCluster}

    def objective_step(options, size, layout, precision):
        model = OBJECTIVES[options.objective](options.dims).to(memory_format=layout)
        adam = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=1e-4)
        a, b = (torch.rand(options.pairs, 1, *size).to(memory_format=layout) for _ in range(2))

        def step():
            with precision():
                total = model.loss(a, b)
            adam.zero_grad()
            total.backward()
            adam.step()
            if isinstance(model, Twins):
                with torch.no_grad():
                    model.after()

        return step

    def work(options):
        """A function that does one round, and a description."""
        size, bf16 = (options.size,) * options.dims, options.precision == "bf16"
        layout = (torch.channels_last if options.dims == 2 else torch.channels_last_3d) if bf16 else torch.contiguous_format
        torch.manual_seed(0)

        def precision():
            return torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()

        if options.part == "step" and options.objective != "cover":
            return objective_step(options, size, layout, precision)
        if options.part == "step":
            model = Cover(options.dims).to(memory_format=layout)
            adam = torch.optim.Adam(model.parameters(), lr=1e-4)
            moving, fixed = (torch.rand(options.pairs, 1, *size).to(memory_format=layout) for _ in range(2))
            truth = 16 * torch.rand(options.pairs, options.dims, *size) - 8

            def step():
                with precision():
                    total = loss(model, moving, fixed, truth)
                adam.zero_grad()
                total.backward()
                adam.step()

            return step
        if options.part == "mov":
            query, key = (torch.rand(1, HEAD_DIM, *size, requires_grad=True) for _ in range(2))
            gradient = torch.rand(1, options.dims, *size)

            def both():
                query.grad = key.grad = None
                mov(query, key, 1).backward(gradient)

            return both
        model = Unet(options.dims).eval().to(memory_format=layout)
        image = torch.rand(1, 1, *size).to(memory_format=layout)

        def infer():
            with torch.inference_mode(), precision():
                model(image)

        return infer


def ours(options, rounds):
    """Seconds of each round, the least and the median of one call, and bytes."""
    command = [options.cover, "bench", "--json", "--brief", "--part", options.part, "--dims", str(options.dims), "--size",
               str(options.size), "--pairs", str(options.pairs), "--threads", str(options.threads), "--precision",
               options.precision, "--rounds", str(rounds)]
    if options.objective != "cover":
        command += ["--objective", options.objective]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"peer_torch: {' '.join(command)} failed")
    return json.loads(done.stdout)


def timed(function, rounds):
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def compare(options):
    torch.set_num_threads(options.threads)
    estimate = ours(options, 1)["seconds"]
    our_rounds = max(1, min(64, round(0.3 / max(estimate, 1e-6))))
    theirs = work(options)
    theirs()  # not measured: the first round allocates
    estimate = timed(theirs, 1)[0]
    their_rounds = max(1, min(64, round(0.3 / max(estimate, 1e-6))))
    result = {"ours": [], "torch": []}
    least = {"ours": math.inf, "torch": math.inf}
    peak = 0
    for _ in range(options.rounds):
        figures = ours(options, our_rounds)
        result["ours"].append(figures["seconds"])
        least["ours"], peak = min(least["ours"], figures["seconds_min"]), max(peak, figures["peak_bytes"])
        seconds = timed(theirs, their_rounds)
        result["torch"].append(statistics.median(seconds))
        least["torch"] = min(least["torch"], *seconds)
    median = {who: statistics.median(seconds) for who, seconds in result.items()}
    return {
        "part": options.part, "objective": options.objective, "dims": options.dims, "size": options.size, "pairs": options.pairs, "precision": options.precision,
        "threads": options.threads, "rounds": options.rounds, "torch": torch.__version__,
        "ours": {"seconds": median["ours"], "seconds_min": least["ours"], "peak_bytes": peak},
        "theirs": {"seconds": median["torch"], "seconds_min": least["torch"],
                   "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024},
        "ratio": median["ours"] / median["torch"], "ratio_min": least["ours"] / least["torch"],
    }


def main():
    parser = argparse.ArgumentParser(description="the same work in PyTorch, beside `cover bench`")
    parser.add_argument("--cover", default="build/cover", help="the command to compare with")
    parser.add_argument("--part", choices=("step", "mov", "infer"), default="step")
    parser.add_argument("--objective", default="cover", help="of part step: " + ", ".join(["cover", *OBJECTIVES]) if torch else argparse.SUPPRESS)
    parser.add_argument("--dims", type=int, choices=(2, 3), default=2)
    parser.add_argument("--size", type=int, default=0, help="pixels of each axis; 384 in 2D, 64 in 3D")
    parser.add_argument("--pairs", type=int, default=0, help="view pairs a step; 2 in 2D, 1 in 3D")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--rounds", type=int, default=3, help="times that each has its turn")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    options = parser.parse_args()
    options.size = options.size or (384 if options.dims == 2 else 64)
    options.pairs = options.pairs or (2 if options.dims == 2 else 1)
    name = f"{options.part} {options.dims}D {options.precision}"
    if options.objective != "cover":
        name = f"{options.objective} {name}"
    if not torch:
        print(f"{name}: no PyTorch for {sys.executable}, nothing to compare with")
        return
    result = compare(options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    for who, label in (("ours", "libcover"), ("theirs", "PyTorch " + torch.__version__)):
        figures = result[who]
        print(f"{name}: {label}: median {figures['seconds']:.4g} s, least {figures['seconds_min']:.4g} s, "
              f"peak {figures['peak_bytes'] / 2**30:.2f} GiB")
    print(f"{name}: ratio {result['ratio']:.3f} of the medians, {result['ratio_min']:.3f} of the least: {1 / result['ratio']:.1f} times as fast")


if __name__ == "__main__":
    main()

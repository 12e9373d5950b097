#!/usr/bin/env python3
"""Draws the seeds of the fuzzers: small files of each kind that a parser reads.  Needs Pillow and NumPy for JPEG and TIFF.

Usage: make.py BUILD FOLDER_OF_0.1.0      run in tests/fuzz/corpus; what is there already is kept.
"""
import gzip
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from PIL import Image

COVER, SEED, OLD = Path(sys.argv[1]) / "cover", Path(sys.argv[1]) / "tests/fuzz/checkpoint_seed", Path(sys.argv[2])
HERE = Path(".")


def put(folder, name, data):
    path = HERE / folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def nifti(shape, dtype, code, big=False, units=2, dim0=None):
    end = ">" if big else "<"
    values = (numpy.arange(numpy.prod(shape)) % 100).astype(numpy.dtype(dtype).newbyteorder(end)).reshape(shape, order="F")
    dim = [dim0 or len(shape), *shape] + [1] * (7 - len(shape))
    head = struct.pack(end + "i10s18sihcB", 348, b"", b"", 0, 0, b"r", 0) + struct.pack(end + "8h", *dim) + struct.pack(end + "3f4h", 0, 0, 0, 0, code,
        values.itemsize * 8, 0) + struct.pack(end + "8f", 1, 1, 2, 3, 1, 1, 1, 1) + struct.pack(end + "3fhcB4f2i", 352, 1, 0, 0, b"\0", units, 0, 0, 0, 0, 0, 0)
    head += b"\0" * 104 + struct.pack(end + "2h6f12f", 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 4, 0, 2, 0, 5, 0, 0, 3, 6) + b"\0" * 16 + b"n+1\0"
    assert len(head) == 348, len(head)
    return head + b"\0" * 4 + values.tobytes(order="F")


grey = (numpy.arange(20 * 24) % 251).astype(numpy.uint8).reshape(20, 24)
with tempfile.TemporaryDirectory() as scratch:
    def image(name, picture, **more):
        path = Path(scratch) / name
        picture.save(path, **more)
        put("image", name, path.read_bytes())
    image("grey.png", Image.fromarray(grey))
    image("grey16.png", Image.fromarray(grey.astype(numpy.uint16) * 200))
    image("rgb.png", Image.fromarray(numpy.stack([grey] * 3, 2)))
    image("palette.png", Image.fromarray(grey % 4).convert("P"))
    image("grey.jpg", Image.fromarray(grey))
    image("rgb.jpg", Image.fromarray(numpy.stack([grey] * 3, 2)), progressive=True)
    for kind in "raw", "tiff_lzw", "tiff_deflate", "packbits":
        image(kind + ".tif", Image.fromarray(grey), compression=kind)
    image("stack.tif", Image.fromarray(grey), save_all=True, append_images=[Image.fromarray(grey)] * 2)
    for name, text in (("imagej.tif", "ImageJ=1.53\nimages=3\nslices=3\nloop=false\n"),
                       ("ome.tif", '<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="1" SizeT="1" SizeX="24" SizeY="20" SizeZ="3">'
                                   "<TiffData/></Pixels></Image></OME>")):
        image(name, Image.fromarray(grey), save_all=True, append_images=[Image.fromarray(grey)] * 2, description=text)
    put("image", "volume.nii", nifti((6, 5, 4), "i2", 4))
    put("image", "big.nii", nifti((6, 5, 4), "f4", 16, big=True))
    put("image", "channels.nii", nifti((4, 4, 3, 2), "u1", 2))
    put("image", "volume.nii.gz", gzip.compress(nifti((5, 5, 5), "u1", 2), mtime=0))

    for i in range(2):
        Image.fromarray(numpy.roll(numpy.tile(grey, (2, 2))[:32, :32], i * 5, 0)).save(Path(scratch) / f"i{i}.png")
    subprocess.run([COVER, "pack", "i0.png", "i1.png", "-o", "d.h5", "-q"], cwd=scratch, check=True)
    put("dataset", "plain.h5", (Path(scratch) / "d.h5").read_bytes())
    for name in "labels.h5", "classes.h5", "volumes.h5":
        data = (OLD / name).read_bytes()
        if len(data) < 100000:
            put("dataset", name, data)

(HERE / "checkpoint").mkdir(exist_ok=True)
for run in "run", "seg":
    subprocess.run([SEED, OLD / run / "checkpoint.h5", HERE / "checkpoint" / f"{run}.h5"], check=True)

def safetensors(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body
put("tensor_file", "two.safetensors", safetensors({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]}, "__metadata__": {"format": "pt", "k": "v"}}, bytes(range(22))))
put("tensor_file", "empty.safetensors", safetensors({}))
for path in sorted((OLD.parent / "pth").glob("*.pth")):
    if path.stat().st_size < 6000:
        put("tensor_file", path.name, path.read_bytes())

put("csv", "scores.csv", "file,a,b\nx.png,0.25,0.75\n\"y,z.png\",1e-3,\"0.5\"\n'=1,-1,+2\n")
put("csv", "semicolon.csv", "\ufefffile;label\r\na.png;1\r\n\"b \"\"q\"\"\";2\r\n")
put("csv", "tabs.csv", "file\tpatient\r\"one\ntwo\"\tp1\r\r")
for kind, name, text in (
        (0, "labels.csv", "file,label,patient,split\ni0.png,bright,p1,train\ni1.png,dark|bright,p2,val\n"),
        (0, "nih.csv", "Image Index,Finding Labels\ni0.png,Mass|Nodule\ni1.png,No Finding\n"),
        (1, "split.csv", "file,patient,split\ni0.png,p1,train\ni1.png,p2,test\n"),
        (2, "dataset2.json", json.dumps({"channel_names": {"0": "X"}, "labels": {"background": 0, "a": 1, "ignore": 2}, "file_ending": ".png", "numTraining": 2})),
        (2, "regions.json", json.dumps({"channel_names": {"0": "X"}, "labels": {"background": 0, "whole": [1, 2], "core": 2}, "regions_class_order": [1, 2], "file_ending": ".png"})),
        (2, "decathlon.json", json.dumps({"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "a"}, "numTraining": 2, "training": [{"image": "./imagesTr/c0_0000.png", "label": "./labelsTr/c0.png"}], "test": []})),
        (3, "collection.json", json.dumps({"collection_index": "x", "collection_name": "y", "datasets": {"a": {"name": "a", "subjects": {"s": {"sessions": {"t": {"images": [{"image_path": "plain/i0.png", "modality": "T1"}]}}}}}}})),
        (4, "folds.json", json.dumps([{"train": ["i0"], "val": ["i1"]}, {"train": ["i1"], "val": ["i0"]}])),
        (5, "spool", "COVER spool 2\n" + "\0" * 48)):
    put("pack", name, bytes([kind]) + text.encode())
for flags, name, text in ((4 | 0xf8, "demo.json", '{"lr": 0.001, "widths": [8,8,8,8,8,8,8,8,8], "crop": [32, 32], "schedule": "cosine", "steps": 3}'),
                          (5, "task.json", '{"task": "seg", "classes": 2, "crop": "64x64", "val": 2}'), (8, "one", "widths=8,8,16,16,16,16,16,8,8"),
                          (2, "three", "rotate_degrees=1e2"), (1, "task", "class_weights=1,2.5")):
    put("config", name, bytes([flags]) + text.encode())
put("log", "pretrain.jsonl", '{"step": 1, "loss": 2.5, "l_vec": 1e-3, "seconds": 0.25}\n{"step": 2, "loss": null, "lr": 0.001}\n{"step": 2, "loss": 1}\n')
put("log", "finetune.jsonl", '{"step": 4, "loss": 1.5, "val.mean_dice": 0.5, "val.dice.a b": 0.25}\n{"step": 8, "lo')

# Frames of DICOM behind a header that fuzz_frame.c reads: transfer syntax (row of src/io/dicom/syntax.c), rows, columns, then codes.
frames = HERE.parent.parent / "data/dicom/frames"
for syntax, rows, columns, names in (
        (4, 40, 32, ["ct_rle"]), (4, 100, 100, ["rgb8_rle", "rgb16_rle", "rgb32_rle"]), (4, 512, 512, ["mask_rle"]),
        (7, 40, 32, [f"ct_jpegll_{n}" for n in range(1, 8)] + ["ct_jpegll_point"]), (8, 40, 32, ["ct_jpegll"]), (8, 100, 100, ["rgb_jpegll"]),
        (5, 3, 3, ["odd_jpeg"]), (5, 100, 100, ["rgb_jpeg", "ybr_jpeg"]), (9, 40, 32, ["ct_jpegls"]), (9, 24, 20, ["rgb_jpegls_0", "rgb_jpegls_1", "rgb_jpegls_2", "near_jpegls"]), (11, 40, 32, ["ct_j2k"])):
    for name in names:
        colour, width = name.startswith(("rgb", "ybr", "odd")), 1 if "16" in name or name.startswith(("ct", "near")) else 2 if "32" in name else 3 if "mask" in name else 0
        stored = {0: 8, 1: 12 if name.startswith(("ct", "near")) else 16, 2: 32, 3: 1}[width]
        put("frame", name, struct.pack("<BHH5B", syntax, rows, columns, colour, width, stored - 1, 0, 0) + (frames / name).read_bytes())


# Two phases at each of three places, told apart by an Echo Time that is no number for one of them.
def element(group, number, kind, value):
    value += (b"\0" if kind in ("UI", "OW") else b" ") * (len(value) % 2)
    return struct.pack("<HH2s", group, number, kind.encode()) + struct.pack("<HI" if kind == "OW" else "<H", *[0] * (kind == "OW"), len(value)) + value


def short(group, number, value):
    return element(group, number, "US", struct.pack("<H", value))


def phase(number, place, second):
    return bytes(128) + b"DICM" + element(2, 0x10, "UI", b"1.2.840.10008.1.2.1") + b"".join([
        element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.2"), element(8, 0x18, "UI", b"2.25.9.%d" % number),
        element(8, 0x33, "TM", b"11223%d" % second), element(8, 0x60, "CS", b"MR"), element(0x10, 0x20, "LO", b"CANARY"),
        element(0x18, 0x81, "DS", b"nan" if second else b"20"), element(0x18, 0x86, "IS", b"1"), element(0x18, 0x1060, "DS", b"0"),
        element(0x18, 0x9087, "FD", struct.pack("<d", 0 if second else 1000)), element(0x20, 0xd, "UI", b"2.25.7"),
        element(0x20, 0xe, "UI", b"2.25.8"), element(0x20, 0x11, "IS", b"3"), element(0x20, 0x12, "IS", b"1"),
        element(0x20, 0x32, "DS", b"0\\0\\%d" % place), element(0x20, 0x37, "DS", b"1\\0\\0\\0\\1\\0"), element(0x20, 0x52, "UI", b"2.25.6"),
        short(0x28, 2, 1), element(0x28, 4, "CS", b"MONOCHROME2"), short(0x28, 0x10, 2), short(0x28, 0x11, 2), element(0x28, 0x30, "DS", b"1\\1"),
        short(0x28, 0x100, 16), short(0x28, 0x101, 12), short(0x28, 0x102, 11), short(0x28, 0x103, 0),
        element(0x7fe0, 0x10, "OW", struct.pack("<4H", *range(number, number + 4)))])


put("dicom", "two_phases", b"\nNEXT OBJECT\n".join(phase(2 * place + second, place, second) for place in range(3) for second in range(2)))

#!/usr/bin/env python3
"""DICOM where images are used: packed and predicted, through the command.

Usage: test_dicom_use.py COVER CASES TASK     TASK: a segmentation of 2D images of one channel.
"""
import gzip
import itertools
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import tap

COVER, SERIES, TASK = sys.argv[1], Path(sys.argv[2]) / "series", sys.argv[3]
HERE = Path(tempfile.mkdtemp(prefix="cover-dicom-use-"))


def cover(*words):
    return subprocess.run([COVER, *map(str, words)], capture_output=True, text=True)


def pack(*words):
    ran = cover("pack", *words, "-o", HERE / "data.h5", "-q", "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def write_png(path, width, height, value):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(int(value(x, y)) for x in range(width)) for y in range(height))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# ---- a volume of our own, so that it can be written in any way

def element(group, number, kind, value):
    value += (b"\0" if kind in ("UI", "OB", "OW") else b" ") * (len(value) % 2)
    head = struct.pack("<HH2s", group, number, kind.encode())
    return head + (struct.pack("<HI", 0, len(value)) if kind in ("OB", "OW") else struct.pack("<H", len(value))) + value


def text(*values):
    return "\\".join(str(v) for v in values).encode()


def write_slice(path, number, rows, columns, spacing, position, orientation, values):
    meta = element(2, 0x10, "UI", b"1.2.840.10008.1.2.1")
    body = b"".join([
        element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.2"), element(8, 0x18, "UI", f"2.25.9.{number}".encode()),
        element(8, 0x60, "CS", b"CT"), element(0x10, 0x20, "LO", b"SOMEBODY"), element(0x20, 0xd, "UI", b"2.25.7"),
        element(0x20, 0xe, "UI", b"2.25.8"), element(0x20, 0x32, "DS", text(*position)), element(0x20, 0x37, "DS", text(*orientation)),
        element(0x20, 0x52, "UI", b"2.25.6"), element(0x28, 2, "US", struct.pack("<H", 1)), element(0x28, 4, "CS", b"MONOCHROME2"),
        element(0x28, 0x10, "US", struct.pack("<H", rows)), element(0x28, 0x11, "US", struct.pack("<H", columns)),
        element(0x28, 0x30, "DS", text(*spacing)), element(0x28, 0x100, "US", struct.pack("<H", 16)),
        element(0x28, 0x101, "US", struct.pack("<H", 12)), element(0x28, 0x102, "US", struct.pack("<H", 11)),
        element(0x28, 0x103, "US", struct.pack("<H", 0)), element(0x7fe0, 0x10, "OW", struct.pack(f"<{len(values)}H", *values))])
    path.write_bytes(bytes(128) + b"DICM" + meta + body)


def write_volume(folder, order, signs):
    """The same voxels in LPS, with axes in another order and direction: columns along order[0], rows along order[1], slices order[2]."""
    size, spacing, origin = (5, 7, 6), (0.75, 1.5, 2.5), (-3.0, 4.0, 10.0)  # of x, y, z: exact in binary
    along = [[float(signs[k]) if axis == order[k] else 0.0 for axis in range(3)] for k in range(3)]
    width, height, depth = (size[axis] for axis in order)
    for s in range(depth):
        corner, values = list(origin), []
        for k, index in ((0, 0), (1, 0), (2, s)):
            axis = order[k]
            corner[axis] += spacing[axis] * (index if signs[k] > 0 else size[axis] - 1 - index)
        for r in range(height):
            for c in range(width):
                voxel = [0, 0, 0]
                for k, index in ((0, c), (1, r), (2, s)):
                    voxel[order[k]] = index if signs[k] > 0 else size[order[k]] - 1 - index
                values.append(voxel[0] + 10 * voxel[1] + 100 * voxel[2])
        write_slice(folder / f"{s}", s, height, width, (spacing[order[1]], spacing[order[0]]), corner, along[0] + along[1], values)


def write_colour(path, photometric, planar, values, palette=(), samples=3):
    short = lambda *numbers: struct.pack(f"<{len(numbers)}H", *numbers)
    body = b"".join([
        element(8, 0x16, "UI", b"1.2.840.10008.5.1.4.1.1.7"), element(8, 0x18, "UI", b"2.25.5"), element(8, 0x60, "CS", b"OT"),
        element(0x10, 0x20, "LO", b"SOMEBODY"), element(0x20, 0xd, "UI", b"2.25.7"), element(0x20, 0xe, "UI", b"2.25.8"),
        element(0x28, 2, "US", short(samples)), element(0x28, 4, "CS", photometric), element(0x28, 6, "US", short(planar)),
        element(0x28, 0x10, "US", short(4)), element(0x28, 0x11, "US", short(6)), element(0x28, 0x100, "US", short(8)),
        element(0x28, 0x101, "US", short(8)), element(0x28, 0x102, "US", short(7)), element(0x28, 0x103, "US", short(0)),
        *palette, element(0x7fe0, 0x10, "OB", bytes(values))])
    path.write_bytes(bytes(128) + b"DICM" + element(2, 0x10, "UI", b"1.2.840.10008.1.2.1") + body)


# ---- packing

@tap.test
def r8_odd_lengths_are_read():
    folder = fresh("odd")
    write_slice(folder / "even", 1, 4, 4, ("1.5 ", "1.5"), (0, 0, 0), (1, 0, 0, 0, 1, 0), range(16))
    even = pack(folder)["hash"]
    data = (folder / "even").read_bytes()
    padded = struct.pack("<HH2sH", 0x28, 0x30, b"DS", 8) + b"1.5 \\1.5"
    at = data.index(struct.pack("<HH", 0x28, 0x30))
    assert data[at:at + 16] == padded, data[at:at + 16]
    (folder / "even").write_bytes(data[:at] + struct.pack("<HH2sH", 0x28, 0x30, b"DS", 7) + b"1.5\\1.5" + data[at + 16:])
    assert pack(folder)["hash"] == even


@tap.test
def r23_colour_is_rgb_whatever_its_form():
    red, green, blue = [list(range(k, 24 * 9 + k, 9)) for k in (0, 30, 7)]
    pixels = [value for rgb in zip(red, green, blue) for value in rgb]
    tables = [(0x1101, red), (0x1102, green), (0x1103, blue)]
    words = lambda values: struct.pack("<24H", *values)
    palette = [*(element(0x28, number, "US", struct.pack("<3H", 24, 0, 8)) for number, _ in tables),
               *(element(0x28, number + 0x100, "OW", words(values)) for number, values in tables)]
    forms = {"pixels": (b"RGB", 0, pixels), "planes": (b"RGB", 1, red + green + blue)}
    hashes = {}
    for name, form in forms.items():
        write_colour(fresh("colour") / "a", *form)
        hashes[name] = pack(HERE / "colour")["hash"]
    write_colour(fresh("colour") / "a", b"PALETTE COLOR", 0, range(24), palette, samples=1)
    report = pack(HERE / "colour")
    assert hashes["pixels"] == hashes["planes"] and report["channels"] == 3, (hashes, report)
    grey = [value for y in range(0, 240, 10) for value in (y, 128, 128)]
    write_colour(fresh("colour") / "a", b"YBR_FULL", 0, grey)
    converted = pack(HERE / "colour")["hash"]
    write_colour(fresh("colour") / "a", b"RGB", 0, [y for y in range(0, 240, 10) for _ in range(3)])
    assert pack(HERE / "colour")["hash"] == converted


@tap.test
def r32_48_rewritings_of_one_volume_are_one_sample():
    hashes = set()
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            folder = fresh("rewritten")
            write_volume(folder, order, signs)
            hashes.add(pack(folder)["hash"])
    assert len(hashes) == 1, f"{len(hashes)} different samples"


@tap.test
def r32_as_it_is_stored_on_demand():
    stored, turned = (pack(SERIES / "ct_coronal", *words) for words in (("--orientation", "stored"), ()))
    assert stored["max_size"] == [24, 40, 32] and stored["hash"] != turned["hash"], (stored, turned)


@tap.test
def r21_both_polarities_of_a_radiograph_pack_to_equal_bytes():
    assert pack(SERIES / "cr_monochrome1")["hash"] == pack(SERIES / "cr_monochrome2")["hash"]


@tap.test
def p2_a_patient_is_one_wherever_his_studies_lie():
    first = pack(SERIES / "ct", SERIES / "ct_coronal")
    again = pack(SERIES / "ct_coronal", SERIES / "ct")
    assert first["samples"] == 2 and first["hash"] == again["hash"]


@tap.test
def p2_a_split_by_patient_ids_is_matched_and_then_forgotten():
    split = HERE / "split.csv"
    split.write_text("patient,split\nCANARYPID,train\nCANARYPID2,test\n")
    report = pack(SERIES / "mixed", "--split", split)
    assert report["samples"] == 3, report
    stored = (HERE / "data.h5").read_bytes()
    assert b"CANARY" not in stored
    split.write_text("patient,split\nCANARYPID,train\nCANARYPID,test\n")
    ran = cover("pack", SERIES / "mixed", "-o", HERE / "no.h5", "-q", "--split", split)
    assert ran.returncode == 1 and "lines 2 and 3 put one patient into two splits" in ran.stderr and "CANARY" not in ran.stderr
    split.write_text("patient,split\nCANARYPID,train\n")
    ran = cover("pack", SERIES / "mixed", "-o", HERE / "no.h5", "-q", "--split", split)
    assert ran.returncode == 1 and "not listed in the split file" in ran.stderr, ran.stderr


@tap.test
def images_of_other_formats_are_packed_beside_dicom():
    folder = fresh("both")
    shutil.copytree(SERIES / "ct", folder / "study")
    ran = cover("dicom", "volume", SERIES / "ct", "-o", folder / "ct.nii.gz", "-q")
    assert ran.returncode == 0, ran.stderr
    assert pack(folder)["samples"] == 2


@tap.test
def a_volume_that_is_refused_is_told_and_left_out():
    ran = cover("pack", SERIES / "ct_gap", SERIES / "ct", "-o", HERE / "no.h5", "-q", "--json")
    assert ran.returncode == 1 and not (HERE / "no.h5").exists()
    bad = json.loads(ran.stdout)["bad"]
    assert bad[0]["file"] == "series 2 (CT, 23 images)" and bad[0]["reason"].startswith("1 image is missing"), bad
    assert pack(SERIES / "ct_gap", SERIES / "ct", "--skip-bad")["samples"] == 1


@tap.test
def frames_without_a_place_are_samples_of_their_own():
    assert pack(SERIES / "us_cine")["samples"] == 12


@tap.test
def r48_a_segmentation_is_the_labels_of_the_volume_that_it_lies_on():
    for name in ("binary", "labelmap"):
        folder = fresh("labelled")
        for i, path in enumerate(sorted((SERIES / "ct").iterdir())):
            shutil.copy(path, folder / f"other names {i}")
        shutil.copy(SERIES.parent / "seg" / f"{name}.dcm", folder / "a")
        report = pack(folder)
        assert report["labels"] == 1 and report["classes"] == 3, report
    folder = fresh("foreign")
    shutil.copytree(SERIES / "ct", folder / "ct")
    shutil.copy(SERIES.parent / "seg/binary_oblique.dcm", folder)
    ran = cover("pack", folder, "-o", HERE / "no.h5", "-q")
    assert ran.returncode == 1 and "a segmentation: none of its images is here" in ran.stderr, ran.stderr


# ---- predicting

def predict(source, output, *words):
    return cover("predict", TASK, "-i", source, "-o", output, "-q", "--json", *words)


@tap.test
def a_prediction_of_dicom_is_that_of_the_image_it_holds():
    output = fresh("labels")
    ran = predict(SERIES / "cr_monochrome2", output, "--as", "nifti")
    assert ran.returncode == 0, ran.stderr
    image = HERE / "image.nii.gz"
    assert cover("dicom", "volume", SERIES / "cr_monochrome2", "-o", image, "-q").returncode == 0
    assert predict(image, fresh("other")).returncode == 0
    labels = [gzip.decompress(path.read_bytes())[352:] for path in (output / "P0001_S01.nii.gz", HERE / "other/image.nii.gz")]
    assert labels[0] == labels[1]


@tap.test
def several_series_that_fit_are_listed_and_one_is_chosen():
    output = fresh("several")
    folder = fresh("two")
    for i, name in enumerate(("cr_monochrome1", "dx_none")):
        shutil.copytree(SERIES / name, folder / str(i))
    ran = predict(folder, output)
    assert ran.returncode == 1 and "2 series fit this task: 1 (CR, 1 image, 64x48), 2 (DX, 1 image, 64x48)" in ran.stderr, ran.stderr
    assert "--series" in ran.stderr
    ran = predict(folder, output, "--series", "Modality=DX", "--as", "nifti")
    assert ran.returncode == 0 and len(list(output.iterdir())) == 1, ran.stderr
    ran = predict(folder, fresh("all"), "--series", "all", "--as", "nifti")
    assert ran.returncode == 0 and json.loads(ran.stdout)["written"] == 2, ran.stderr


@tap.test
def the_usual_result_is_a_segmentation_of_the_same_study():
    output = fresh("seg")
    assert predict(SERIES / "cr_monochrome2", output).returncode == 0
    result = output / "P0001_S01.seg.dcm"
    assert list(output.iterdir()) == [result] and b"1.2.840.10008.5.1.4.1.1.66.4" in result.read_bytes()
    report = json.loads(cover("dicom", "ls", result, "--json", "-q").stdout)
    assert report["objects"] == 1 and not report["unreadable"] and not report["volumes"], report


@tap.test
def r44_codes_come_with_the_task():
    folder, codes = fresh("codes"), HERE / "codes.json"
    for part in "imagesTr", "labelsTr":
        (folder / part).mkdir()
    for case in range(4):
        write_png(folder / f"imagesTr/c{case}_0000.png", 64, 64, lambda x, y: (x * 3 + y + case) % 256)
        write_png(folder / f"labelsTr/c{case}.png", 64, 64, lambda x, y: x > 20 + case)
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "x"}, "labels": {"background": 0, "square": 1}, "numTraining": 4,
                                                     "file_ending": ".png"}))
    codes.write_text(json.dumps({"square": {"category": ["C1", "99ME", "Kind"], "type": ["T1", "99ME", "My own square"]}}))
    train = ["finetune", "scratch", "--task", "seg", "--data", folder, "-q", "--steps", 2, "--set", "val_every=1", "--set", "folds=2", "--set",
             "warmup=0", "--set", "widths=8,8,16,16,24,16,16,8,8", "--segments", codes]
    ran = cover(*train, "-o", HERE / "task")
    assert ran.returncode == 0, ran.stderr
    ran = cover("predict", HERE / "task", "-i", SERIES / "cr_monochrome2", "-o", fresh("coded"), "-q")
    assert ran.returncode == 0, ran.stderr
    assert b"My own square" in (HERE / "coded/P0001_S01.seg.dcm").read_bytes()
    codes.write_text(json.dumps({"square": {"type": ["T1", "ME", "x"]}}))
    ran = cover(*train, "-o", HERE / "no-task")
    assert ran.returncode == 1 and 'unknown scheme "ME"' in ran.stderr, ran.stderr


@tap.test
def r45_probabilities_are_written_and_shown():
    output = fresh("fractional")
    ran = predict(SERIES / "cr_monochrome2", output, "--as", "dicom-seg,dicom-sc,nifti", "--seg-type", "fractional")
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in output.iterdir()) == ["P0001_S01.nii.gz", "P0001_S01.sc.dcm", "P0001_S01.seg.dcm"]
    assert b"PROBABILITY" in (output / "P0001_S01.seg.dcm").read_bytes()
    assert predict(SERIES / "cr_monochrome2", fresh("shown"), "--as", "dicom-sc", "--seg-type", "fractional").returncode == 0


@tap.test
def r12_texts_go_into_results_as_they_were_sent():
    for name in ("charset_german", "charset_japanese", "charset_chinese"):
        source = sorted((SERIES / name).iterdir())[0]
        shutil.copy(source, fresh("charset") / "a")
        assert predict(HERE / "charset", fresh("charset out")).returncode == 0
        sent, result = source.read_bytes(), (HERE / "charset out/P0001_S01.seg.dcm").read_bytes()
        for group, number in ((8, 5), (0x10, 0x10)):
            at = sent.index(struct.pack("<HH", group, number), 132)
            whole = sent[at:at + 8 + struct.unpack("<H", sent[at + 6:at + 8])[0]]
            assert whole in result, (name, whole)


@tap.test
def images_of_one_object_are_frames_of_one_segmentation():
    output = fresh("cine")
    assert predict(SERIES / "us_cine", output, "--as", "dicom-seg,nifti").returncode == 0
    assert sorted(path.name for path in output.iterdir()) == ["P0001_S01.nii.gz", "P0001_S01.seg.dcm"]
    header = gzip.decompress((output / "P0001_S01.nii.gz").read_bytes())[:352]
    assert struct.unpack("<4h", header[40:48]) == (3, 32, 40, 12)


@tap.test
def what_does_not_fit_the_task_is_said():
    ran = predict(SERIES / "ct", fresh("no"))
    assert ran.returncode == 1 and "trained on 2D ones" in ran.stderr, ran.stderr
    ran = predict(SERIES / "ct", fresh("no"), "--as", "tea")
    assert ran.returncode == 1 and 'as "tea": known are' in ran.stderr, ran.stderr


@tap.test
def p5_each_job_is_in_the_audit_and_the_chain_holds():
    audit = fresh("audit") / "audit.jsonl"
    folder = fresh("mixed")
    for i, name in enumerate(("cr_monochrome2", "ct_gap")):
        shutil.copytree(SERIES / name, folder / str(i))
    ran = predict(folder, fresh("audited"), "--series", "all", "--as", "dicom-seg,nifti", "--audit", audit)
    assert ran.returncode == 1, ran.stderr
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert sorted((line["event"], line.get("status")) for line in lines) == [
        ("end", "ok"), ("end", "refused"), ("start", None), ("start", None)], lines
    done = [line for line in lines if line.get("status") == "ok"][0]
    assert [output["as"] for output in done["output"]] == ["nifti", "dicom-seg"], done
    assert "CANARY" not in audit.read_text() and "19010203" not in audit.read_text() and "1.2.826" not in audit.read_text()
    assert audit.stat().st_mode & 0o777 == 0o600
    assert cover("check", audit, "-q").returncode == 0
    audit.write_text(audit.read_text().replace('"refused"', '"ok"', 1))
    assert cover("check", audit, "-q").returncode == 1
    ran = predict(folder, fresh("audited"), "--series", "1", "--audit", "/nowhere/audit.jsonl")
    assert ran.returncode == 1 and not list((HERE / "audited").iterdir()), ran.stderr


@tap.test
def r35_a_job_that_is_run_again_gives_the_same_object():
    audit = fresh("once") / "audit.jsonl"
    words = ("--time", "once", "--audit", audit)
    assert predict(SERIES / "cr_monochrome2", fresh("first"), *words).returncode == 0
    assert predict(SERIES / "cr_monochrome2", fresh("again"), *words).returncode == 0
    results = [(HERE / name / "P0001_S01.seg.dcm").read_bytes() for name in ("first", "again")]
    assert results[0] == results[1]
    study = fresh("resent")
    for path in (SERIES / "cr_monochrome2").iterdir():
        data = path.read_bytes()
        assert data.count(b"PYDICOM 3.0.2 ") == 1
        (study / path.name).write_bytes(data.replace(b"PYDICOM 3.0.2 ", b"BY ANOTHER    "))  # who has stored it, in the meta header
    assert predict(study, fresh("again"), *words).returncode == 0
    assert (HERE / "again/P0001_S01.seg.dcm").read_bytes() == results[0]
    assert "option audit" not in (ran := predict(SERIES / "cr_monochrome2", fresh("first"), "--time", "once")).stderr and ran.returncode == 1


@tap.test
def p3_results_and_the_link_are_for_their_owner():
    output = fresh("own")
    link = output / "link.csv"
    assert predict(SERIES / "cr_monochrome2", output / "out", "--link", link).returncode == 0
    assert [path.stat().st_mode & 0o777 for path in (link, output / "out/P0001_S01.seg.dcm")] == [0o600, 0o600]
    assert "P0001/S01,CANARYPID" in link.read_text(), link.read_text()


@tap.test
def r22_a_task_warns_where_spacing_was_measured_elsewhere():
    images, run = fresh("radiographs"), HERE / "trained"
    for patient in (1, 2):
        study = fresh("study")
        for path in (SERIES / "dx_pixel_spacing").iterdir():
            data = path.read_bytes().replace(b"3680043.10.1561.1.", f"3680043.10.1561.{patient}.".encode())
            (study / path.name).write_bytes(data.replace(b"CANARYPID", f"CANARYPI{patient}".encode()))
        assert predict(study, images / f"labels{patient}").returncode == 0
        shutil.copytree(study, images / f"images{patient}")
    small = ["--set", "widths=8,8,8,8,8,8,8,8,8", "--crop", "32x32", "--set", "batch=1", "--steps", "1", "--set", "val=1"]
    ran = cover("finetune", "scratch", "--data", images, "--task", "seg", "-o", run, "-q", *small)
    assert ran.returncode == 0, ran.stderr
    warned = [cover("predict", run, "-i", SERIES / name, "-o", fresh("warned"), "-q", "--as", "nifti").stderr
              for name in ("dx_detector_only", "dx_pixel_spacing")]
    assert 'the spacing of its pixels is "detector", that of the training images "patient"' in warned[0], warned[0]
    assert "spacing of its pixels" not in warned[1], warned[1]


@tap.test
def two_studies_are_matched():
    run = Path(TASK).parent / "run"
    folders = [SERIES / name for name in ("cr_monochrome1", "cr_monochrome2")]
    ran = cover("match", run, *folders, "-o", HERE / "field.nii.gz", "-q")
    assert ran.returncode == 0, ran.stderr
    ran = cover("match", run, SERIES / "mixed", folders[1], "-o", HERE / "field.nii.gz", "-q")
    assert ran.returncode == 1 and "3 series are there" in ran.stderr, ran.stderr


tap.run()
shutil.rmtree(HERE)

#!/usr/bin/env python3
"""`cover dicom seg` and `cover check SEG --source`: label maps of any program become segmentations, or are refused, and nothing that is said
or left behind tells of the patient.

Usage: test_dicom_seg_command.py COVER CASES     CASES: tests/data/dicom/cases.tar.xz, unpacked
"""
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from array import array
from pathlib import Path

import tap

COVER, SERIES = sys.argv[1], Path(sys.argv[2]) / "series"
HERE = Path(tempfile.mkdtemp(prefix="cover-dicom-seg-"))
CODES = {"mass": {}, "left lung": {"rgb": [10, 20, 30]}}
TIME = ("--time", "2026-11-30T12:00:00Z")


def cover(*words):
    ran = subprocess.run([COVER, *map(str, words)], capture_output=True)
    for said in ran.stdout, ran.stderr:
        assert b"CANARY" not in said and b"19010203" not in said, said
    ran.stdout, ran.stderr = ran.stdout.decode(), ran.stderr.decode()
    return ran


def codes(content):
    path = HERE / "codes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def label_of(series):
    """The volume as NIfTI with a label a voxel: above 420 is 1, below -420 is 2."""
    volume, label = HERE / "volume.nii", HERE / f"{series}.nii"
    ran = cover("dicom", "volume", SERIES / series, "-o", volume, "-q")
    assert ran.returncode == 0, ran.stderr
    data = volume.read_bytes()
    head = bytearray(data[:352])
    head[70:74] = struct.pack("<hh", 2, 8)
    label.write_bytes(bytes(head) + bytes(1 if v > 420 else 2 if v < -420 else 0 for v in array("f", data[352:])))
    return label


def seg(label, series, output, *words, content=CODES):
    return cover("dicom", "seg", label, "--source", SERIES / series, "--segments", codes(content), "-o", output, "-q", *TIME, *words)


def refused(status, ran, *words):
    assert ran.returncode == status, (ran.returncode, ran.stderr)
    for word in words:
        assert word in ran.stderr, f"no {word!r} in {ran.stderr}"
    assert not (HERE / "no.dcm").exists()


@tap.test
def a_label_map_becomes_a_segmentation_that_lies_on_its_images():
    for series in "ct", "ct_oblique", "enhanced_ct", "ct_sagittal":
        output = HERE / f"{series}.dcm"
        ran = seg(label_of(series), series, output)
        assert ran.returncode == 0, ran.stderr
        ran = cover("check", output, "--source", SERIES / series, "--json")
        assert ran.returncode == 0 and json.loads(ran.stdout)["segments"] == 2, ran.stdout
        assert cover("check", output).returncode == 0


@tap.test
def the_same_words_give_the_same_bytes_and_a_root_its_identifiers():
    label, first, second = label_of("ct"), HERE / "first.dcm", HERE / "second.dcm"
    assert seg(label, "ct", first).returncode == 0 and seg(label, "ct", second).returncode == 0
    assert first.read_bytes() == second.read_bytes()
    assert seg(label, "ct", second, "--uid-root", "1.2.826.0.1.3680043.10.1561").returncode == 0
    assert b"1.2.826.0.1.3680043.10.1561.1" in second.read_bytes() and b"2.25." in first.read_bytes()


@tap.test
def options_say_what_it_is():
    label, output = label_of("ct"), HERE / "options.dcm"
    ran = seg(label, "ct", output, "--seg-type", "labelmap", "--description", "two things", "--series-number", 77)
    data = output.read_bytes()
    assert ran.returncode == 0 and b"LABELMAP" in data and b"two things" in data and b"IS\x02\x0077" in data, ran.stderr
    assert seg(label, "ct", output, "--empty-frames").returncode == 0
    assert json.loads(cover("check", output, "--json").stdout)["frames"] == 48


@tap.test
def a_label_map_of_other_images_is_refused():
    label = label_of("ct")
    refused(1, seg(label, "ct_sagittal", HERE / "no.dcm"), "its images")
    refused(1, seg(label, "ct_gap", HERE / "no.dcm"), "1 image is missing")
    refused(1, seg(label, "ct_tilt", HERE / "no.dcm", "--tilt", "resample"), "tilted")
    refused(1, seg(label, "ct", HERE / "no.dcm", content={"mass": {}}), "label holds 2")
    ran = cover("check", HERE / "first.dcm", "--source", SERIES / "ct_oblique")
    assert ran.returncode == 1 and "none of the 1 volumes" in ran.stdout, ran.stdout


@tap.test
def wrong_words_are_said():
    label, output = label_of("ct"), HERE / "no.dcm"
    refused(2, cover("dicom", "seg", label, "--segments", codes(CODES), "-o", output), "--source DIR is missing")
    refused(2, cover("dicom", "seg", label, "--source", SERIES / "ct", "-o", output), "--segments FILE is missing")
    refused(2, seg(label, "ct", output, content="{"), "--segments", "line 1")
    refused(1, seg(label, "ct", output, content={"mass": {"type": ["1", "MINE", "x"]}, "b": {}}), "unknown scheme \"MINE\"")
    refused(1, seg(label, "ct", output, "--uid-root", "1..2"), "1..2")
    refused(1, cover("dicom", "seg", label, "--source", SERIES / "ct", "--segments", codes(CODES), "-o", output, "--time", "noon"), "noon")


tap.run()
shutil.rmtree(HERE)

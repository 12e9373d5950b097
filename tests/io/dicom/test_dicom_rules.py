#!/usr/bin/env python3
"""The rules of reading DICOM (docs/dicom.md, R1 to R34), each by a test of its name, through the command.

Usage: test_dicom_rules.py COVER CASES     CASES: tests/data/dicom/cases.tar.xz, unpacked.
"""
import hashlib
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

import tap

COVER, CASES = sys.argv[1], Path(sys.argv[2])
HAS_CODECS = (Path(COVER).parent / "libcover-codecs.so").exists()
EXPECTED = json.loads((CASES / "expected.json").read_text())
HERE = Path(tempfile.mkdtemp(prefix="cover-dicom-"))


def cover(*words, limit=None):
    return subprocess.run([COVER, *map(str, words)], capture_output=True, text=True, preexec_fn=limit)


def ls(path, *options):
    ran = cover("dicom", "ls", path, "--json", "-q", *options)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def volume(path, *options):
    """Values of a volume as little-endian float32, and the header of its NIfTI."""
    output = HERE / "volume.nii"
    ran = cover("dicom", "volume", path, "-o", output, "-q", *options)
    assert ran.returncode == 0, ran.stderr
    data = output.read_bytes()
    return data[352:], data[:352]


def refusal(path, *options):
    ran = cover("dicom", "volume", path, "-o", HERE / "refused.nii", "-q", *options)
    assert ran.returncode == 1 and not (HERE / "refused.nii").exists(), ran.stderr
    return ran.stderr


def floats(data):
    return array("f", data)


def near(a, b, tolerance):
    return len(a) == len(b) and all(abs(x - y) <= tolerance for x, y in zip(a, b))


def as_expected(name):
    """Every volume of a series is there, with its values, place and spacing, or is refused."""
    want, got = EXPECTED[name]["volumes"], ls(CASES / "series" / name)["volumes"]
    assert len(got) == len(want), f"{name}: {len(got)} volumes, not {len(want)}"
    left = list(want)
    for row in got:
        if row["refused"]:
            match = [w for w in left if "refused" in w]
        else:
            data, _ = volume(CASES / "series" / name, "--series", row["number"])
            match = [w for w in left if w.get("sha256") == hashlib.sha256(data).hexdigest()]
        assert match, f"{name}: volume {row['number']} is none of those expected: {row['refused'] or row['size']}"
        w = match[0]
        left.remove(w)
        assert row["modality"] == w["modality"] and row["transfer_syntax"] == w["transfer_syntax"], name
        if "refused" in w:
            continue
        assert row["size"] == w["size"] and near(row["spacing_mm"], w["spacing_mm"], 1e-6), (name, row)
        assert near(row["affine"], w["affine"], 1e-5), (name, row["affine"], w["affine"])
        assert row["duplicates"] == w.get("duplicates_dropped", 0), (name, row["duplicates"])
        if "kind" in w:
            assert row["kind"] == "images" and row["spacing_at"] == w["spacing_at"], (name, row)


def equal_to(*names):
    values = {hashlib.sha256(volume(CASES / "series" / name)[0]).hexdigest() for name in names}
    assert len(values) == 1, f"{names}: not one volume"


def hostile(name):
    return CASES / "hostile" / name


def says(name, *words):
    text = refusal(hostile(name))
    for word in words:
        assert word in text, f"{name}: {text}"


# ---- files

@tap.test
def r1_dicom_is_known_by_its_content():
    folder = HERE / "names"
    folder.mkdir()
    for i, path in enumerate(sorted((CASES / "series/ct").iterdir())):
        data = path.read_bytes()
        # without preamble; under names of other things
        (folder / ["{}", "{}.png", "{}.txt", ".{}"][i % 3].format(i)).write_bytes(data[132:] if i % 2 else data)
    (folder / "notes.dcm").write_text("not DICOM at all, whatever it is called; and long enough to be looked at" * 4)
    report = ls(folder)
    assert [v["images"] for v in report["volumes"]] == [24] and report["files"] == 1, report
    assert volume(folder)[0] == volume(CASES / "series/ct")[0]


@tap.test
def r2_a_dicomdir_gives_files_of_its_own_folder_and_no_circle():
    ran = cover("dicom", "ls", hostile("dicomdir_circle.dcm"), "-q")
    assert ran.returncode == 1 and "circle" in ran.stderr, ran.stderr


@tap.test
def r3_objects_without_an_image_are_counted():
    report = ls(CASES / "series/mixed")
    assert report["others"] == 1 and report["files"] == 2 and not report["unreadable"], report
    assert "no image" in refusal(hostile("no_pixels.dcm"))


@tap.test
def r3_a_file_that_cannot_be_read_refuses_what_may_miss_it():
    folder = HERE / "missing"
    shutil.copytree(CASES / "series/ct", folder)
    (folder / "lost").symlink_to("/nowhere/at/all")
    assert "cannot be read (image" in refusal(folder) and "/nowhere" not in refusal(folder)
    volume(folder, "--skip-bad")


@tap.test
def r4_a_length_is_compared_with_the_bytes_left():
    says("pixels_short.dcm", "image 1 (sha256 40cb7a0f): pixel data ends early: 2558 of 2560 bytes")
    says("pixels_long.dcm", "3072 bytes, where 2560")
    says("rows_65535.dcm", "ends early")
    for kind in ("sequence", "text", "unknown", "pixels"):
        says(f"length_1g_{kind}.dcm", "1073741824 bytes, but 16 are left")
        says(f"length_4g_{kind}.dcm", "4294967294 bytes, but 16 are left")
    says("item_length_lies.dcm", "4000 bytes, but 8 are left")
    volume(hostile("pixels_padded_ok.dcm"))


@tap.test
def r5_sequences_nest_to_32_levels():
    for depth in (33, 1000, 20000):
        says(f"sequences_{depth}_deep.dcm", "more than 32 deep")
    volume(hostile("sequences_10_deep_ok.dcm"))


@tap.test
def r6_a_decoder_gets_the_exact_size_of_its_frame():
    for name in ("rle_16_segments", "rle_literal_past_end", "rle_no_segments", "rle_offset_past_end", "rle_too_little", "rle_too_much",
                 "jpegll_65535", "jpegll_no_table", "jpeg_garbage"):
        says(name + ".dcm", "image 1 (sha256 ")
    says("fragments_none.dcm", "no fragments")


@tap.test
def r7_tags_ascend():
    says("descending_tags.dcm", "out of order")
    says("pixels_twice.dcm", "stands there twice")


@tap.test
def r9_numbers_of_text_are_numbers():
    says("spacing_comma.dcm", 'Pixel Spacing (0028,0030) is "0,7\\0,9": not a number')
    says("spacing_nan.dcm", "not a number")
    says("position_inf.dcm", "not a number")
    says("slope_text.dcm", "not a number")
    says("orientation_five.dcm", "5 of 6 values")
    says("spacing_one_value.dcm", "1 of 2 values")
    as_expected("ct_decimal_text")


@tap.test
def r10_a_deflated_object_stops_at_what_it_needs():
    says("deflate_bomb_300m.dcm", "314572800 bytes, where 2560")
    says("deflate_cut.dcm", "ends early")
    says("deflate_garbage.dcm", "damaged")
    equal_to("ct_deflated", "ct_implicit")


@tap.test
def r11_what_is_odd_and_clear_is_read():
    volume(hostile("program_in_preamble_ok.dcm"))
    data = sorted((CASES / "series/ct").iterdir())[0].read_bytes()
    (HERE / "rest.dcm").write_bytes(data + b"rest of something")
    assert ls(HERE / "rest.dcm")["volumes"][0]["refused"] is None


# ---- values

@tap.test
def r17_stored_bits_count_and_no_others():
    as_expected("mr_high_bit_15")
    as_expected("mr_signed12")
    for name in ("bits_stored_0", "bits_stored_17", "bits_allocated_12", "high_bit_3", "representation_2"):
        says(name + ".dcm", "(0028,010")


@tap.test
def r19_slope_and_tables_are_those_of_the_slice_or_frame():
    for name in ("pt_slope_per_slice", "pt_tiny_slopes", "enhanced_mr_slope_per_frame", "ct_modality_lut"):
        as_expected(name)
    equal_to("ct_voi", "ct_implicit")
    says("slope_zero.dcm", "Rescale Slope (0028,1053) is 0")


@tap.test
def r19_a_window_is_applied_on_demand_alone():
    plain, shown = (floats(volume(CASES / "series/ct_voi", *words)[0]) for words in ((), ("--window", "header")))
    assert min(shown) >= 0 and max(shown) <= 255 and plain != shown
    assert len(set(shown)) > 2, set(shown)


@tap.test
def r20_padding_becomes_the_smallest_other_value():
    as_expected("ct_padding")
    kept = floats(volume(CASES / "series/ct_padding", "--padding", "keep")[0])
    assert min(kept) < EXPECTED["ct_padding"]["volumes"][0]["min"]


@tap.test
def r21_negatives_of_radiographs_are_turned():
    equal_to("cr_monochrome1", "cr_monochrome2")
    assert ls(CASES / "series/cr_monochrome1")["volumes"][0]["inverted"]


@tap.test
def r22_spacing_of_radiographs_says_where_it_was_measured():
    for name in ("dx_detector_only", "dx_magnified", "dx_none", "dx_pixel_spacing", "us_cine"):
        as_expected(name)


# ---- volumes

@tap.test
def r24_names_and_order_never_matter():
    folder, files = HERE / "shuffled", list((CASES / "series/ct").iterdir())
    folder.mkdir()
    random.Random(7).shuffle(files)
    for i, path in enumerate(files):
        target = folder / f"{i % 5}" / f"{i}"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    assert volume(folder) == volume(CASES / "series/ct")


@tap.test
def r25_what_is_of_one_volume_comes_together():
    as_expected("mixed")
    as_expected("ct_localizer")
    assert [v["localizer"] for v in ls(CASES / "series/ct_localizer")["volumes"]] == [False, True]
    equal_to("ct", "ct_localizer")


@tap.test
def r26_geometry_is_that_of_position_and_orientation():
    for name in ("ct_oblique", "ct_sagittal", "ct_coronal", "ct_row_negated", "ct_column_negated", "ct_as_secondary_capture",
                 "ct_spacing_tag_negative", "ct_tilt_tag_only"):
        as_expected(name)
    for name in ("orientation_zero", "orientation_parallel"):
        says(name + ".dcm", "must be of length 1")
    for name in ("spacing_zero", "spacing_negative"):
        says(name + ".dcm", "above 0")


@tap.test
def r27_frames_of_all_stacks_are_one_volume():
    for name in ("enhanced_ct", "enhanced_ct_sagittal", "enhanced_mr_three_stacks"):
        as_expected(name)
    equal_to("enhanced_ct", "enhanced_ct_shuffled", "enhanced_ct_rle", "enhanced_mr_three_stacks")


@tap.test
def r28_a_detector_says_where_frames_lie():
    as_expected("nm_negative_spacing")


@tap.test
def r29_gaps_and_uneven_steps_are_refused_with_the_numbers():
    text = refusal(CASES / "series/ct_gap")
    assert "series 1 (CT, 23 images): 1 image is missing: after image 7 the distance is 5.00 mm, elsewhere 2.50 mm" in text, text
    text = refusal(CASES / "series/ct_two_gaps")
    assert "3 images are missing: after image 3 the distance is 7.50 mm, after image 10 5.00 mm, elsewhere 2.50 mm" in text, text
    assert "after image 4 the distance is 5.00 mm" in refusal(CASES / "series/enhanced_ct_gap")
    text = refusal(CASES / "series/ct_irregular")
    assert "not evenly spaced (2.50 to 3.10 mm)" in text, text
    as_expected("ct_jitter")


@tap.test
def r30_doubles_are_dropped_and_phases_are_told_apart():
    as_expected("ct_duplicates_equal")
    as_expected("ct_two_phases")
    assert "two different images at position -100.50 mm" in refusal(CASES / "series/ct_duplicates_differ")


def with_element(data, tag, kind, value):
    """A data set of explicit little endian with another value, or with one element more, before (0028,0000)."""
    at = data.index(b"DICM") + 4
    while struct.unpack_from("<HH", data, at) < tag:
        at += 8 + struct.unpack_from("<H", data, at + 6)[0] if data[at + 4:at + 6] not in (b"OB", b"OW", b"SQ", b"UN", b"UT") else \
            12 + struct.unpack_from("<I", data, at + 8)[0]
    end = at + 8 + struct.unpack_from("<H", data, at + 6)[0] if struct.unpack_from("<HH", data, at) == tag else at
    return data[:at] + struct.pack("<HH2sH", *tag, kind, len(value)) + value + data[end:]


def two_phases(*elements):
    """ct_two_phases in one frame of reference, told apart by what is given: (tag, VR, value of one phase, value of the other)."""
    folder = HERE / "phases"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in (CASES / "series/ct_two_phases").iterdir():
        data = with_element(path.read_bytes(), (0x20, 0x12), b"IS", b"1 ")
        data = with_element(with_element(data, (0x20, 0x52), b"UI", b"2.25.6"), (8, 0x33), b"TM", b"112233")
        for tag, kind, *values in elements:
            data = with_element(data, tag, kind, values[path.name.startswith("p2")])
        (folder / path.name).write_bytes(data)
    return [v["refused"] or v["size"] for v in ls(folder)["volumes"]]


@tap.test
def r30_each_attribute_tells_phases_apart():
    whole = [[12, 40, 32]] * 2
    assert "differ in no attribute that tells phases apart" in two_phases()[0]
    for tag, kind, *values in [((0x20, 0x12), b"IS", b"1 ", b"2 "), ((0x20, 0x100), b"IS", b"1 ", b"2 "), ((0x18, 0x1060), b"DS", b"0 ", b"40"),
                               ((0x18, 0x86), b"IS", b"1 ", b"2 "), ((0x18, 0x81), b"DS", b"10", b"20"), ((8, 0x33), b"TM", b"112231", b"112233"),
                               ((0x18, 0x9087), b"FD", struct.pack("<d", 0), struct.pack("<d", 1000))]:
        assert two_phases((tag, kind, *values)) == whole, tag
        none = struct.pack("<d", float("nan")) if kind == b"FD" else b"nan "
        assert two_phases((tag, kind, none, values[1])) == whole, tag
        assert "differ in no attribute" in two_phases((tag, kind, none, none))[0], tag


@tap.test
def r24_a_series_number_that_is_none_takes_no_volume_apart():
    for value in (b"nan ", b"inf ", b"a "):
        assert two_phases(((0x20, 0x11), b"IS", value, value), ((0x20, 0x12), b"IS", b"1 ", b"2 ")) == [[12, 40, 32]] * 2, value


@tap.test
def p1_what_is_no_modality_and_no_syntax_is_not_said():
    folder = HERE / "odd"
    folder.mkdir()
    data = next((CASES / "series/ct_single").iterdir()).read_bytes()
    for word in (b"CANARY", b"CT CANARY ", b"CTCANARY", b"  "):
        (folder / "one").write_bytes(with_element(data, (8, 0x60), b"CS", word))
        ran = cover("dicom", "ls", folder, "--json")
        row = json.loads(ran.stdout)["volumes"][0]
        assert row["modality"] == "" and row["size"] == [1, 40, 32] and "CANARY" not in ran.stdout + ran.stderr, row
    for number, word in enumerate((b"1.2.840.CANARY^NAME", b"1.2.840.19010203.19", b"1.2.840.113619.5.99")):
        (folder / "one").write_bytes(data.replace(b"1.2.840.10008.1.2.1", word))
        text = refusal(folder)
        assert "CANARY" not in text and "19010203" not in text and "not known" in text and ("113619.5.99 is" in text) == (number == 2), text


@tap.test
def r31_a_tilt_is_refused_or_straightened():
    for name in ("ct_tilt", "ct_tilt_no_tag", "ct_tilt_wrong_sign"):
        text = refusal(CASES / "series" / name)
        assert "tilted by 15.0 degrees" in text and "--tilt resample" in text, text
    straight, _ = volume(CASES / "series/ct_tilt", "--tilt", "resample")
    assert len(straight) == 4 * 12 * 40 * 32


@tap.test
def r33_one_slice_has_its_thickness():
    as_expected("ct_single")


@tap.test
def r34_frames_without_a_place_are_images():
    as_expected("enhanced_ct_no_positions")
    as_expected("us_cine")


@tap.test
def every_syntax_gives_the_same_volume():
    equal_to("ct_implicit", "ct_bigendian", "ct_deflated", "ct_rle", "ct_jpegll", "ct_as_secondary_capture", "ct_decimal_text",
             "ct_spacing_tag_negative", "ct_tilt_tag_only", "ct_voi", "ct_jpegls", *(("ct_j2k",) if HAS_CODECS else ()))


@tap.test
def every_series_is_as_expected():
    for name in sorted(EXPECTED):
        if HAS_CODECS or name != "ct_j2k":
            as_expected(name)


@tap.test
def r47_a_nifti_says_twice_where_it_lies():
    for name in ("ct_oblique", "ct", "ct_coronal", "ct_sagittal", "ct_row_negated", "ct_column_negated"):
        _, header = volume(CASES / "series" / name)
        want = EXPECTED[name]["volumes"][0]["affine"]
        assert struct.unpack("<hh", header[252:256]) == (1, 1), name
        assert near(struct.unpack("<12f", header[280:328]), want, 1e-4), name
        b, c, d, *offset = struct.unpack("<6f", header[256:280])
        handed, *step = struct.unpack("<4f", header[76:92])
        a = max(0, 1 - b * b - c * c - d * d) ** 0.5
        turn = [[a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c]]
        step[2] *= handed
        got = [value for row in range(3) for value in [turn[row][k] * step[k] for k in range(3)] + [offset[row]]]
        assert near(got, want, 2e-3), (name, got, want)  # a quaternion of float32, near half a turn


@tap.test
def every_hostile_file_is_refused_quickly_and_with_little_memory():
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))

    for path in sorted((CASES / "hostile").iterdir()):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        ran = cover("dicom", "volume", path, "-o", HERE / "hostile.nii", "-q", "-t", 1, limit=limit)
        took = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert ran.returncode in (0, 1), f"{path.name}: {ran.returncode}"
        assert path.name.endswith("_any.dcm") or (ran.returncode == 0) == path.name.endswith("_ok.dcm"), f"{path.name}: {ran.stderr}"
        assert ran.returncode == 0 or ran.stderr.startswith("cover dicom: "), f"{path.name}: {ran.stderr}"
        assert cpu < 0.1, f"{path.name}: {cpu:.2f} s of a processor, {took:.2f} s"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 64 << 10


tap.run()
shutil.rmtree(HERE)

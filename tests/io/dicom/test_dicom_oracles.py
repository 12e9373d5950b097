#!/usr/bin/env python3
"""What other implementations say of the objects that leave: dciodvfy and dcentvfy (dicom3tools), dcmdump and dsrdump (DCMTK), highdicom.
What is not installed is skipped by name.

Usage: test_dicom_oracles.py WRITER CASES PROJECT     WRITER: dicom_write_all; CASES: tests/data/dicom/cases.tar.xz, unpacked
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tap

WRITER, CASES = sys.argv[1], Path(sys.argv[2])
wheels = Path(sys.argv[3]) / ".deps" / "highdicom"  # where make deps puts it
if wheels.is_dir():
    sys.path.insert(0, str(wheels))
try:
    import highdicom
    import numpy
    import pydicom
except ImportError:
    highdicom = None
HERE = Path(tempfile.mkdtemp(prefix="cover-dicom-oracles-"))

# a series, what of it is class 1 (above) and class 2 (below)
SERIES = {"ct": (420, -420), "ct_oblique": (420, -420), "ct_coronal": (420, -420), "ct_tilt": (420, -420), "enhanced_ct": (420, -420),
          "enhanced_ct_shuffled": (420, -420), "mr_signed12": (30, 10), "nm_negative_spacing": (30, 10), "cr_monochrome1": (30, 10),
          "dx_none": (30, 10), "us_cine": (30, 10), "charset_japanese": (420, -420)}


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise tap.Skipped(f"no {program}")


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, errors="replace")


def made(series):
    """The folder with the objects of a series, and what could not be made."""
    out = HERE / series
    if not out.is_dir():
        out.mkdir()
        ran = run(WRITER, CASES / "series" / series, out, *SERIES[series])
        assert ran.returncode == 0, f"{series}: {ran.stderr}"
        (out / "said").write_text(ran.stdout)
    return out


def objects(*names):
    """(series, path) of all that were made of these kinds."""
    for series in SERIES:
        for name in names:
            path = made(series) / f"{name}.dcm"
            if path.stat().st_size > 0:
                yield series, path


def is_quiet(ran, *allowed):
    lines = (ran.stdout + ran.stderr).splitlines()
    loud = [line for line in lines if ("Error" in line or "Warning" in line) and not any(word in line for word in allowed)]
    return "\n".join(loud)


@tap.test
def all_objects_are_made_but_reports_of_images():
    for series in SERIES:
        images = series.startswith(("cr_", "dx_", "us_"))
        said = (made(series) / "said").read_text()
        assert said.startswith("report: series 1") if images else said == "", f"{series}: {said}"


@tap.test
def dciodvfy_has_no_word_on_segmentations_and_reports():
    need("dciodvfy")
    for series, path in objects("binary", "fractional", "report"):
        loud = is_quiet(run("dciodvfy", path))
        assert not loud, f"{series}, {path.name}: {loud}"


@tap.test
def dciodvfy_finds_no_error_in_captures():
    need("dciodvfy")
    for series, path in objects("capture"):  # the phantoms do not say which side they are of, nor which part of a body
        loud = is_quiet(run("dciodvfy", path), "<Laterality>")
        assert not loud, f"{series}: {loud}"


@tap.test
def dcentvfy_finds_patient_and_study_as_in_the_images():
    need("dcentvfy")
    for series, path in objects("binary", "fractional"):
        loud = is_quiet(run("dcentvfy", *sorted((CASES / "series" / series).iterdir()), path))
        assert not loud, f"{series}, {path.name}: {loud}"


@tap.test
def dcmtk_reads_every_object():
    need("dcmdump", "dsrdump")
    for series, path in objects("binary", "labelmap", "fractional", "report", "capture"):
        ran = run("dcmdump", "+P", "0008,0018", path)
        assert ran.returncode == 0 and not is_quiet(ran), f"{series}, {path.name}: {ran.stderr}"
    for series, path in objects("report"):
        ran = run("dsrdump", path)
        assert ran.returncode == 0 and '"Measurement Group"' in ran.stdout and "mm3" in ran.stdout, f"{series}: {ran.stderr}"


def has_measures(path):
    """highdicom wants a slice thickness wherever there is a pixel spacing; a radiograph has none."""
    shared = pydicom.dcmread(path).SharedFunctionalGroupsSequence[0]
    return "PixelMeasuresSequence" not in shared or "SliceThickness" in shared.PixelMeasuresSequence[0]


@tap.test
def pydicom_reads_the_same_voxels_frame_by_frame():
    if not highdicom:
        raise tap.Skipped("no pydicom")
    for series, path in objects("binary", "labelmap", "fractional"):
        seg = pydicom.dcmread(path)
        label = numpy.fromfile(made(series) / "label.raw", numpy.uint8).reshape(-1, seg.Rows, seg.Columns)
        frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
        marked = numpy.unique(label[label > 0])
        if path.stem == "labelmap":
            want = [plane for plane in label if plane.any()]
        else:
            full = {"binary": lambda k: 1, "fractional": lambda k: round(255 / (k + 1))}[path.stem]
            want = [(plane == k) * full(k) for k in marked for plane in label if (plane == k).any()]
        assert len(want) == len(frames) and all((a == b).all() for a, b in zip(want, frames)), f"{series}, {path.name}"


@tap.test
def highdicom_reads_the_same_voxels():
    if not highdicom:
        raise tap.Skipped("no highdicom")
    for series, path in objects("binary", "labelmap", "fractional"):
        if not has_measures(path):
            continue
        seg = highdicom.seg.segread(str(path))
        sources = [pydicom.dcmread(file) for file in (CASES / "series" / series).iterdir()]
        frames = [int(d.get("NumberOfFrames", 1)) for d in sources]
        label = numpy.fromfile(made(series) / "label.raw", numpy.uint8).reshape(-1, seg.Rows, seg.Columns)
        how = {"combine_segments": False, "rescale_fractional": False}
        if sum(frames) == 1 or len(sources) > 1:
            if "ImagePositionPatient" in sources[0]:
                cosines = numpy.array(sources[0].ImageOrientationPatient, float)
                normal = numpy.cross(cosines[:3], cosines[3:])
                sources.sort(key=lambda d: float(normal @ numpy.array(d.ImagePositionPatient, float)))
            got = seg.get_pixels_by_source_instance([d.SOPInstanceUID for d in sources], assert_missing_frames_are_empty=True, **how)
        else:
            order = list(range(1, frames[0] + 1))
            groups = sources[0].get("PerFrameFunctionalGroupsSequence")
            if groups:
                shared = sources[0].SharedFunctionalGroupsSequence[0]
                cosines = numpy.array((shared if "PlaneOrientationSequence" in shared else groups[0]).PlaneOrientationSequence[0].ImageOrientationPatient, float)
                normal = numpy.cross(cosines[:3], cosines[3:])
                order.sort(key=lambda k: float(normal @ numpy.array(groups[k - 1].PlanePositionSequence[0].ImagePositionPatient, float)))
            elif series.startswith("nm_"):
                continue  # its frames have their order from the detector: what lies where is asked below
            got = seg.get_pixels_by_source_frame(sources[0].SOPInstanceUID, order, assert_missing_frames_are_empty=True, **how)
        for segment in (1, 2):
            want = (label == segment) * (round(255 / (segment + 1)) if path.stem == "fractional" else 1)
            assert (got[..., segment - 1] == want).all(), f"{series}, {path.name}: segment {segment} differs"


@tap.test
def highdicom_finds_segments_with_their_codes():
    if not highdicom:
        raise tap.Skipped("no highdicom")
    for series, path in objects("binary", "labelmap", "fractional"):
        if not has_measures(path):
            continue
        seg = highdicom.seg.segread(str(path))
        assert list(seg.segment_numbers) == [1, 2], series
        lung = seg.get_segment_description(2)
        assert lung.segment_label == "left lung" and lung.segmented_property_type.value == "39607008", series
        assert lung.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000", series


@tap.test
def highdicom_finds_the_volumes_of_a_report():
    if not highdicom:
        raise tap.Skipped("no highdicom")
    for series, path in objects("report"):
        report = highdicom.sr.srread(str(path))
        groups = report.content.get_volumetric_roi_measurement_groups()
        assert len(groups) == 2, series
        label = numpy.fromfile(made(series) / "label.raw", numpy.uint8)
        volumes = [float(group.get_measurements()[0].value) for group in groups]
        counts = [int((label == k).sum()) for k in (1, 2)]
        assert abs(volumes[0] * counts[1] - volumes[1] * counts[0]) <= 1e-6 * max(volumes) * max(counts), f"{series}: {volumes} of {counts}"
        assert (counts[0] > 0) == (volumes[0] > 0), series
        segment = groups[1].reference_type
        assert segment.value == "121191", series


tap.run()
shutil.rmtree(HERE)

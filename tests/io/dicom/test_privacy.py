#!/usr/bin/env python3
"""Nothing of a person leaves (docs/dicom.md, P1 and P3): every header of the cases holds CANARY wherever a name, an address or a comment may be,
and 19010203 wherever a date may; neither, nor a UID of theirs, nor a path below the input is in what commands print or write, whether they
end well, are refused or are killed.  DICOM objects that belong to the study are not looked at, those that were de-identified are.

Usage: test_privacy.py COVER CASES TASK PROJECT     TASK: a segmentation of 2D images of one channel.
"""
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import tap

COVER, CASES, TASK, PROJECT = os.path.abspath(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
SERIES, HOSTILE = CASES / "series", CASES / "hostile"
HERE = Path(tempfile.mkdtemp(prefix="cover-privacy-"))
TELLING = [b"CANARY", b"19010203", b"1.2.826.0.1.3680043.10.1561"]
TINY = ["--preset", "demo", "--set", "widths=8,8,8,8,8,8,8,8,8", "--set", "heads=1,1,1,1,1", "--set", "radius=1", "--set", "schedule=constant",
        "--set", "warmup=0", "--set", "work=48x48", "--crop", "32x32", "--batch", "2"]


def tells(data, where):
    for word in TELLING:
        assert word not in data, f"{where} holds {word.decode()}: ...{data[max(0, data.find(word) - 80):][:200]!r}"


def cover(*words, status=None):
    ran = subprocess.run([COVER, *map(str, words)], capture_output=True)
    assert status is None or ran.returncode == status, f"{words}: {ran.returncode}, not {status}: {ran.stderr.decode()}"
    tells(ran.stdout + ran.stderr, f"what 'cover {' '.join(map(str, words))}' says")
    return ran


def contents(path):
    """A file as it is, and as it unpacks."""
    data = path.read_bytes()
    yield data
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    at = data.find(b"\x78\x9c")  # deflated pieces, of HDF5 for example
    while at >= 0:
        try:
            yield zlib.decompressobj().decompress(data[at:])
        except zlib.error:
            pass
        at = data.find(b"\x78\x9c", at + 1)


def look(folder, dicom=False):
    """All files below, DICOM objects only where they are to be anonymous; names of files, too."""
    count = 0
    for path in sorted(Path(folder).rglob("*")):
        tells(str(path.relative_to(folder)).encode(), "the name of a file")
        if not path.is_file() or (path.suffix == ".dcm" and not dicom):
            continue
        count += 1
        for data in contents(path):
            tells(data, path)
    return count


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def key():
    path = HERE / "key"
    path.write_bytes(bytes(range(32)))
    return path


# ---- the canaries are there at all

@tap.test
def the_cases_hold_what_is_looked_for():
    data = b"".join(path.read_bytes() for path in (SERIES / "ct").iterdir())
    assert all(word in data for word in TELLING)


# ---- verbs of DICOM

@tap.test
def p1_lists_and_volumes_say_nothing():
    cover("dicom", "ls", SERIES, status=0)
    cover("dicom", "ls", SERIES, "--json", status=0)
    folder = fresh("volumes")
    for series in sorted(SERIES.iterdir()):
        cover("dicom", "ls", series, "--json", status=0)
        cover("dicom", "volume", series, "-o", folder / f"{series.name}.nii.gz")
        cover("check", series)
    assert look(folder) > 30


@tap.test
def p1_phi_shows_it_to_who_asks():
    ran = subprocess.run([COVER, "dicom", "ls", SERIES / "ct", "--phi"], capture_output=True)
    assert ran.returncode == 0 and b"CANARY" in ran.stdout


@tap.test
def p1_hostile_files_are_refused_without_a_word_of_them():
    folder = fresh("hostile")
    for path in sorted(HOSTILE.iterdir()):
        own = folder / "in"
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        shutil.copy(path, own / "CANARY")  # nor is its name said
        cover("dicom", "ls", own, "--json")
        cover("dicom", "volume", own, "-o", folder / "out.nii.gz")
        cover("pack", own, "-o", folder / "out.h5")
        cover("dicom", "deidentify", own, "-o", folder / "out", "--key", key(), "--accept-burned-in", "--audit", folder / "audit.jsonl")
    shutil.rmtree(folder / "in")
    look(folder, dicom=True)
    assert json.loads(cover("check", folder / "audit.jsonl", "--json", status=0).stdout)["jobs"] >= len(list(HOSTILE.iterdir())) - 10


@tap.test
def p4_de_identified_objects_hold_nothing():
    folder = fresh("deidentified")
    for number, (source, options) in enumerate(((SERIES, ["--dates", "shift"]), (SERIES / "ct", []),
                                                (SERIES / "charset_german", ["--retain", "patient"]))):
        cover("dicom", "deidentify", source, "-o", folder / str(number), "--key", key(), "--skip-bad", "--accept-burned-in", *options, status=0)
        assert look(folder / str(number), dicom=True) > (500 if number == 0 else 0)
        cover("dicom", "ls", folder / str(number), "--json", status=0)


# ---- learning and predicting

@tap.test
def p1_packed_trained_and_predicted_there_is_nothing_left():
    folder = fresh("work")
    cover("pack", SERIES / "cr_monochrome1", SERIES / "dx_pixel_spacing", SERIES / "dx_magnified", "-o", folder / "data.h5", status=0)
    cover("pack", SERIES, "-o", folder / "all.h5")  # refused, for what is damaged in it
    cover("pack", SERIES, "-o", folder / "all.h5", "--json")
    cover("pack", SERIES / "ct", SERIES / "mr_signed12", "-o", folder / "volumes.h5", "--json", status=0)
    cover("check", folder / "data.h5", status=0)
    cover("plan", folder / "data.h5")
    cover("pretrain", folder / "data.h5", "-o", folder / "run", "--steps", "2", *TINY, status=0)
    cover("report", folder / "run")
    cover("predict", TASK, "-i", SERIES / "cr_monochrome1", "-o", folder / "labels", "--as", "nifti", "--json", status=0)
    cover("predict", TASK, "-i", SERIES / "cr_monochrome1", "-o", folder / "objects", "--as", "dicom-seg", "--json", status=0)
    cover("check", folder / "objects" / "P0001_S01.seg.dcm", "--source", SERIES / "cr_monochrome1", status=0)
    cover("match", folder / "run", SERIES / "cr_monochrome1", SERIES / "dx_none", "-o", folder / "field.nii.gz", "--warped", folder / "w.nii", status=0)
    cover("predict", TASK, "-i", SERIES, "-o", folder / "no")  # several fit
    cover("predict", TASK, "-i", SERIES / "ct", "-o", folder / "no")  # none does
    assert look(folder) > 8


@tap.test
def p1_a_task_that_was_trained_on_segmentations_holds_nothing():
    folder = fresh("task")
    images = folder / "images"
    for number, name in enumerate(("cr_monochrome1", "dx_none", "dx_magnified", "dx_pixel_spacing")):
        own = images / str(number)
        own.mkdir(parents=True)
        for path in (SERIES / name).iterdir():
            data = path.read_bytes()
            at = data.index(b"\x10\x00\x20\x00LO") + 8  # Patient ID: another patient each
            (own / "image.dcm").write_bytes(data[:at] + str(number).encode() + data[at + 1:])
        cover("predict", TASK, "-i", own, "-o", images / f"labels{number}", "--as", "dicom-seg", "-q", status=0)
    cover("finetune", TASK, "--task", "seg", "--data", images, "-o", folder / "run", "--steps", "2", "--batch", "2", "--crop", "32x32", status=0)
    cover("report", folder / "run")
    assert look(folder) > 5


@tap.test
def p1_what_is_killed_leaves_nothing_of_a_person():
    folder = fresh("killed")
    for number in range(6):
        for words in (["pack", SERIES / "ct", SERIES / "mr_signed12", "-o", folder / f"{number}.h5"],
                      ["dicom", "deidentify", SERIES / "ct", "-o", folder / f"out{number}", "--key", key()],
                      ["predict", TASK, "-i", SERIES / "cr_monochrome1", "-o", folder / f"labels{number}", "--as", "nifti"]):
            running = subprocess.Popen([COVER, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(0.01 * 2 ** number)
            running.send_signal(signal.SIGKILL)
            out, err = running.communicate()
            tells(out + err, "what a killed command says")
    look(folder, dicom=True)


# ---- the process

@tap.test
def p3_no_core_is_dumped_of_a_command_that_opens_images():
    """The bit that says whether a core was written; where the machine writes none of anybody, there is nothing to see."""
    folder = fresh("core")

    def dumps(words, delay):
        def limits():
            import resource
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        running = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limits)
        time.sleep(delay)
        os.kill(running.pid, signal.SIGQUIT)  # not send_signal(), which may find that it is done, and take its status
        _, status = os.waitpid(running.pid, 0)
        return os.WIFSIGNALED(status), os.WIFSIGNALED(status) and os.WCOREDUMP(status)
    killed, dumped = dumps(["sleep", "5"], 0.1)
    if not (killed and dumped):
        raise tap.Skipped("no process of this machine leaves a core")
    many = fresh("many")
    for number, series in enumerate(sorted(SERIES.glob("ct*")) * 4):
        shutil.copytree(series, many / str(number))
    for delay in (0.1, 0.05, 0.02, 0.1, 0.05, 0.02):  # once it has begun, before it is done
        killed, dumped = dumps([COVER, "dicom", "ls", str(many)], delay)
        if killed:
            break
    else:
        raise tap.Skipped("the command was done before the signal")
    assert not dumped, "a core was dumped"


@tap.test
def the_audit_holds_every_pack_and_the_link_says_who_is_who():
    folder = fresh("audit")
    audit = folder / "audit.jsonl"
    words = ["pack", SERIES / "ct", SERIES / "mr_signed12", "-o", folder / "data.h5", "--audit", audit]
    cover(*words, "--link", folder / "link.csv", status=0)
    cover("pack", SERIES / "ct_gap", "-o", folder / "no.h5", "--audit", audit, status=1)
    cover("pack", SERIES / "ct", "-o", folder / "no.h5", "--audit", folder / "nowhere" / "audit.jsonl", status=1)
    assert not (folder / "no.h5").exists()
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(line["event"], line.get("status")) for line in lines] == [("start", None), ("end", "ok"), ("start", None), ("end", "refused")]
    assert lines[1]["output"][0]["as"] == "dataset" and "1 image is missing" in lines[3]["reason"], lines
    assert json.loads(cover("check", audit, "--json", status=0).stdout)["jobs"] == 2
    link = (folder / "link.csv").read_text().splitlines()
    assert len(link) == 3 and all("CANARY" in line for line in link[1:]), link
    (folder / "link.csv").unlink()
    for output in ("first", "again"):
        cover("predict", TASK, "-i", SERIES / "cr_monochrome1", "-o", folder / output, "--time", "once", "--audit", audit, status=0)
    first, again = (folder / output / "P0001_S01.seg.dcm" for output in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    cover("check", audit, status=0)
    look(folder)


@tap.test
def outputs_are_for_their_owner_alone():
    folder = fresh("modes")
    cover("pack", SERIES / "ct", "-o", folder / "data.h5", "--link", folder / "link.csv", status=0)
    cover("dicom", "volume", SERIES / "ct", "-o", folder / "ct.nii", status=0)
    cover("predict", TASK, "-i", SERIES / "cr_monochrome1", "-o", folder / "labels", "--as", "nifti,dicom-seg", status=0)
    cover("dicom", "deidentify", SERIES / "ct", "-o", folder / "out", "--key", key(), "--audit", folder / "audit.jsonl", status=0)
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o777 == 0o600, f"{path}: {path.stat().st_mode & 0o777:o}"


# ---- other readers

@tap.test
def p4_pydicom_reads_what_is_left():
    sys.path.insert(0, str(PROJECT / ".deps" / "highdicom"))
    try:
        import pydicom
    except ImportError:
        raise tap.Skipped("pydicom is not installed")
    folder = fresh("pydicom")
    for name in ("ct", "ct_implicit", "ct_bigendian", "ct_deflated", "ct_rle", "ct_jpegll", "enhanced_ct", "charset_japanese"):
        cover("dicom", "deidentify", SERIES / name, "-o", folder / name, "--key", key(), "--dates", "shift", status=0)
        given = {}
        for path in (SERIES / name).iterdir():
            data = pydicom.dcmread(path)
            given[(data.get("InstanceNumber"), data.PixelData)] = data
        for path in (folder / name).rglob("*.dcm"):
            left = pydicom.dcmread(path)
            before = given.pop((left.get("InstanceNumber"), left.PixelData))  # pixels are those that were sent
            assert left.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
            assert left.file_meta.MediaStorageSOPInstanceUID == left.SOPInstanceUID != before.SOPInstanceUID
            assert left.PatientIdentityRemoved == "YES" and left.preamble == bytes(128)
            codes = [item.CodeValue for item in left.DeidentificationMethodCodeSequence]
            assert codes == ["113100", "113107"], codes
            for element in left.iterall():
                assert not element.tag.is_private, element
            for word in ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "RescaleSlope", "BitsStored"):
                assert left.get(word) == before.get(word), word
        assert not given, f"{name}: {len(given)} objects are missing"


@tap.test
def p4_dciodvfy_finds_nothing_wrong_that_was_not_wrong_before():
    if not shutil.which("dciodvfy"):
        raise tap.Skipped("dciodvfy is not installed")

    def errors(path):
        text = subprocess.run(["dciodvfy", str(path)], capture_output=True).stderr.decode(errors="replace")
        return {line for line in text.splitlines() if line.startswith("Error")}
    folder = fresh("verified")
    for series in sorted(SERIES.iterdir()):
        if series.name == "mixed":  # objects of several kinds: no two to compare
            continue
        cover("dicom", "deidentify", series, "-o", folder / series.name, "--key", key(), "--accept-burned-in", "--skip-bad")
        left = next((folder / series.name).rglob("*.dcm"), None)
        if left:
            more = errors(left) - errors(next(path for path in sorted(series.iterdir()) if path.is_file()))
            assert not more, f"{series.name}: {more}"


tap.run()
shutil.rmtree(HERE, ignore_errors=True)

#!/usr/bin/env python3
"""Our tables of de-identification against other readings of the standard: dicom-anonymizer's of PS3.15 Table E.1-1, pydicom's of PS3.6.

Usage: test_confidentiality.py PROJECT     Both from PROJECT/.deps (scripts/deps.sh) or installed; skipped where they are not.
"""
import importlib.util
import re
import sys
from pathlib import Path

import tap

PROJECT = Path(sys.argv[1])
sys.path[:0] = [str(PROJECT / ".deps" / "highdicom"), str(PROJECT / ".deps" / "dicom_anonymizer")]
ROOM = PROJECT / "src" / "io" / "dicom"
ACTIONS = {"X_TAGS": "X", "Z_TAGS": "Z", "D_TAGS": "D", "U_TAGS": "U", "X_Z_TAGS": "XZ", "X_D_TAGS": "XD", "Z_D_TAGS": "ZD",
           "X_Z_D_TAGS": "XZD", "X_Z_U_STAR_TAGS": "XZU"}


def their_table():
    """The tables of dicom-anonymizer alone: the module that uses them wants more packages."""
    found = importlib.util.find_spec("dicomanonymizer")
    if not found or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "dicom_anonymization_databases" / "dicomfields_2026c.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("dicomfields", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {tag: action for name, action in ACTIONS.items() for tag in getattr(module, name)}


def their_dictionary():
    try:
        from pydicom._dicom_dict import DicomDictionary
    except ImportError:
        return None
    return DicomDictionary


ROWS = {int(tag, 16): (vr, action) for tag, vr, action in
        re.findall(r'^ROW\(0x([0-9a-f]{8}), "(..)", ([XZDU]+), ', (ROOM / "confidentiality.def").read_text(), re.M)}
MASKS = {(int(tag, 16), int(mask, 16)) for tag, mask in
         re.findall(r"^MASK\(0x([0-9a-f]{8}), 0x([0-9a-f]{8}),", (ROOM / "confidentiality.def").read_text(), re.M)}
MORE = {int(tag, 16) for tag in re.findall(r"^MORE\(0x([0-9a-f]{8}),", (ROOM / "confidentiality.def").read_text(), re.M)}
KEPT = {kind: [tag for first, last in re.findall(kind + r"\(0x([0-9a-f]{8}), 0x([0-9a-f]{8})\)", (ROOM / "retained.def").read_text())
               for tag in range(int(first, 16), int(last, 16) + 1)] for kind in ("VALUES", "SEQUENCES")}


@tap.test
def every_row_has_the_action_that_dicom_anonymizer_reads():
    table = their_table()
    if table is None:
        raise tap.Skipped("dicom-anonymizer with the table of 2026c is not installed")
    theirs = {tag[0] << 16 | tag[1]: action for tag, action in table.items() if len(tag) == 2}
    assert ROWS.keys() == theirs.keys(), [hex(tag) for tag in ROWS.keys() ^ theirs.keys()]
    wrong = [hex(tag) for tag in ROWS if ROWS[tag][1] != theirs[tag]]
    assert not wrong, wrong
    groups = {tag[0] & 0xff00 for tag in table if len(tag) == 4}
    assert groups == {tag >> 16 for tag, _ in MASKS}, groups


@tap.test
def representations_are_those_of_the_dictionary():
    dictionary = their_dictionary()
    if dictionary is None:
        raise tap.Skipped("pydicom is not installed")
    wrong = []
    for tag, (vr, action) in ROWS.items():
        if vr == "--":  # of what goes, and is newer than the dictionary, it does not matter
            wrong += [hex(tag)] if action != "X" else []
        elif tag in dictionary and dictionary[tag][0][:2] != vr:
            wrong.append(hex(tag))
    assert not wrong, wrong


@tap.test
def what_is_kept_is_known_and_says_nothing_of_a_person():
    dictionary = their_dictionary()
    if dictionary is None:
        raise tap.Skipped("pydicom is not installed")
    for kind, tags in KEPT.items():
        for tag in tags:
            assert tag not in ROWS and tag not in MORE and not tag >> 16 & 1, hex(tag)
            vr, _, name, retired, _ = dictionary[tag]
            assert (vr == "SQ") == (kind == "SEQUENCES"), hex(tag)
            assert not retired, f"{tag:08x} {name} is retired"
            assert vr not in ("PN", "DA", "DT", "TM", "AE", "AS", "LT") or tag == 0x00080108, f"{tag:08x} {name} is {vr}"
            assert not re.search(r"Physician|Operator|Institution|Person|Address|Telephone|Patient.s (Name|ID)", name), name


tap.run()

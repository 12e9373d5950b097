#!/usr/bin/env python3
"""unpack.py ARCHIVE FOLDER STAMP: the DICOM of the tests, anew."""
import shutil
import sys
import tarfile
from pathlib import Path

archive, folder, stamp = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
with tarfile.open(archive) as cases:
    cases.extractall(folder)
Path(stamp).touch()

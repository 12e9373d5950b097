#!/usr/bin/env python3
"""The software bill of materials is sound, its two forms say the same, and it is that of the files that were built.

Usage: test_sbom.py SCRIPT SPDX.json CDX.json COVER FILE...     a FILE is a built program or library
"""
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

SCRIPT, SPDX_FILE, CDX_FILE, COVER, *FILES = sys.argv[1:]
SPDX, CDX = json.loads(Path(SPDX_FILE).read_text()), json.loads(Path(CDX_FILE).read_text())
KNOWN = {"Apache-2.0", "libpng-2.0", "IJG", "BSD-3-Clause", "BSD-2-Clause", "Zlib", "libtiff", "MIT", "GPL-3.0-or-later", "GCC-exception-3.1",
         "LGPL-2.1-or-later", "BSD-3-Clause-Open-MPI"}  # of SPDX's list
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
WORDS = ["libcover=1.2.3", "cover=1.2.3", "zlib=1.3", "glibc=2.36", "cudnn=9.1.0", "libcover-cuda=1.2.3"]


def components(document=None):
    document = document or CDX
    return {part["bom-ref"]: part for part in [document["metadata"]["component"]] + document["components"]}


def needed(path):
    """Names of the libraries that a program or library asks for."""
    dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)


def begins(begin, name):
    """libpng: libpng16.so.16; libc: not libcover.so.0"""
    return re.match(re.escape(begin) + r"(?![a-zA-Z])", name)


def made(words=None, **environment):
    """Both documents as texts, made anew in a folder without a repository."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "spdx.json", Path(folder) / "cdx.json"]
        clean = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        with mock.patch.dict(os.environ, clean | {"GIT_CEILING_DIRECTORIES": str(Path(folder).parent)} | environment, clear=True), \
                mock.patch.object(sys, "argv", [SCRIPT, folder, *files, *(words or WORDS)]):
            runpy.run_path(SCRIPT, run_name="__main__")
        return [file.read_text() for file in files]


class Sbom(unittest.TestCase):
    def test_every_library_that_a_built_file_needs_is_listed(self):
        listed = [value["value"] for part in components().values() for value in part["properties"]
                  if value["name"] == "libcover:library"]
        for path in FILES:
            for name in needed(path):
                self.assertTrue(any(begins(begin, name) for begin in listed), f"{path} needs {name}: a row in scripts/sbom.py")

    def test_every_library_that_is_listed_is_needed(self):
        names = [name for path in FILES for name in needed(path)]
        for reference, part in components().items():
            begin = [value["value"] for value in part["properties"] if value["name"] == "libcover:library"]
            if begin and reference != "openmpi":  # what MPI's compiler adds is MPI's affair
                self.assertTrue(any(begins(one, name) for one in begin for name in names), f"{reference} is linked by nothing")

    def test_versions_are_those_that_the_library_tells(self):
        info = json.loads(subprocess.run([COVER, "info", "--json"], capture_output=True, text=True, check=True).stdout)
        for name, version in info["libraries"].items():
            self.assertEqual(components()[name]["version"], version, name)
        self.assertEqual(components()["libcover"]["version"], info["version"])

    def test_spdx_has_what_its_standard_wants(self):
        self.assertEqual((SPDX["spdxVersion"], SPDX["dataLicense"], SPDX["SPDXID"]), ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertRegex(SPDX["creationInfo"]["created"], DATE)
        names = [package["SPDXID"] for package in SPDX["packages"]]
        self.assertEqual(len(names), len(set(names)))
        for package in SPDX["packages"]:
            self.assertRegex(package["SPDXID"], r"^SPDXRef-[a-zA-Z0-9.-]+$")
            for key in "name", "versionInfo", "supplier", "downloadLocation", "licenseDeclared", "copyrightText":
                self.assertTrue(package[key], (package["name"], key))
        for relation in SPDX["relationships"]:
            self.assertIn(relation["spdxElementId"], names + ["SPDXRef-DOCUMENT"])
            self.assertIn(relation["relatedSpdxElement"], names)

    def test_cyclonedx_has_what_its_standard_wants(self):
        self.assertEqual((CDX["bomFormat"], CDX["specVersion"], CDX["version"]), ("CycloneDX", "1.5", 1))
        self.assertRegex(CDX["serialNumber"], r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertEqual(len(components()), len(CDX["components"]) + 1)
        self.assertEqual([link["ref"] for link in CDX["dependencies"]], list(components()))
        for link in CDX["dependencies"]:
            for part in link["dependsOn"]:
                self.assertIn(part, components())
        told = [name for group in CDX["compositions"] for name in group["dependencies"]]
        self.assertEqual(sorted(told), sorted(components()))

    def test_licences_are_of_the_list_of_spdx_or_explained(self):
        for document in SPDX, json.loads(made()[0]):
            explained = {text["licenseId"] for text in document.get("hasExtractedLicensingInfos", [])}
            for package in document["packages"]:
                for word in re.split(r" AND | OR | WITH |[()]", package["licenseDeclared"]):
                    self.assertIn(word, KNOWN | explained, package["name"])

    def test_both_forms_say_the_same(self):
        def of_spdx(package):
            references = {ref["referenceType"]: ref["referenceLocator"] for ref in package["externalRefs"]}
            return (package["name"], package["versionInfo"], package["supplier"].removeprefix("Organization: "),
                    package["licenseDeclared"], references["purl"], references.get("cpe23Type"))

        def of_cdx(part):
            licence = part["licenses"][0]
            return (part["name"], part["version"], part["supplier"]["name"],
                    licence.get("expression") or licence["license"]["name"], part["purl"], part.get("cpe"))

        self.assertEqual([of_spdx(package) for package in SPDX["packages"]], [of_cdx(part) for part in components().values()])

    def test_the_same_versions_give_the_same_bytes(self):
        self.assertEqual(made(), made())
        serials = {json.loads(made(words)[1])["serialNumber"] for words in (WORDS, WORDS + ["libpng=1.6.39"])}
        self.assertEqual(len(serials), 2)

    def test_its_date_is_the_one_that_is_asked_for_or_none(self):
        dated, undated = made(SOURCE_DATE_EPOCH="86400"), made()
        self.assertEqual(json.loads(dated[0])["creationInfo"]["created"], "1970-01-02T00:00:00Z")
        self.assertEqual(json.loads(dated[1])["metadata"]["timestamp"], "1970-01-02T00:00:00Z")
        self.assertNotIn("timestamp", json.loads(undated[1])["metadata"])

    def test_a_library_that_comes_with_libcover_is_told_from_the_systems(self):
        with tempfile.TemporaryDirectory() as wheel:
            (Path(wheel) / "version-2023.2.0").touch()
            words = WORDS + ["gcc-runtime=12", "onednn=3.2.0"]
            ours, theirs = (components(json.loads(made(words[:-1] + [words[-1] + end])[1]))["onednn"] for end in (f"@{wheel}", ""))
        self.assertEqual((ours["purl"], ours["version"]), ("pkg:pypi/onednn-cpu-gomp@2023.2.0", "3.2.0"))
        self.assertEqual(theirs["purl"], "pkg:github/uxlfoundation/onednn@v3.2.0")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

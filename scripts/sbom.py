#!/usr/bin/env python3
"""Write the software bill of materials of what is built: libcover, its command and modules, and each library that they are linked
with or open at run time, as SPDX 2.3 and as CycloneDX 1.5.

Usage: sbom.py SOURCE_ROOT SPDX.json CDX.json libcover=VERSION NAME=VERSION...     onednn=VERSION@FOLDER: of the wheel there
Called by the build, which names what Meson found; tests/test_sbom.py compares it with what the built files need.  Same versions,
same bytes: the date is SOURCE_DATE_EPOCH's, else the commit's; identifiers are hashes of the content.
"""
import json
import os
import re
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

URL = "https://arxiv.org/abs/2506.20850"
ALWAYS = "always, with libcover.so"
LINK, STATIC, OPENED = "DYNAMIC_LINK", "STATIC_LINK", "RUNTIME_DEPENDENCY_OF"
ABOUT = ("Versions are those of the build; a system's own package may be a later one of the same interface, with repairs that its "
         "number does not tell. What these libraries need in their turn is named where libcover brings the library along (oneDNN), "
         "and is otherwise the system's: not listed here.")

# Each thing that can be in a build.  files: how names of its shared libraries begin; by: (what uses it, relation).
ROWS = {
    "libcover": dict(title="libcover", supplier="The libcover authors", licence="Apache-2.0", purl="pkg:generic/libcover@{}",
                     files=["libcover"], loaded="by the program that is linked with it", used="everything", by=[]),
    "cover": dict(title="cover", supplier="The libcover authors", licence="Apache-2.0", purl="pkg:generic/libcover@{}#bin/cover",
                  files=[], loaded="when it is called", used="the command line", by=[]),
    "libcover-mpi": dict(title="libcover-mpi", supplier="The libcover authors", licence="Apache-2.0",
                         purl="pkg:generic/libcover@{}#lib/libcover-mpi.so", files=[], loaded="in processes that mpirun or srun "
                         "started", used="ranks by MPI", by=[("libcover", OPENED)]),
    "libcover-cuda": dict(title="libcover-cuda", supplier="The libcover authors", licence="Apache-2.0",
                          purl="pkg:generic/libcover@{}#lib/libcover-cuda.so", files=[], loaded="when a context asks for a GPU",
                          used="computing on GPUs", by=[("libcover", OPENED)]),
    "libcover-codecs": dict(title="libcover-codecs", supplier="The libcover authors", licence="Apache-2.0",
                            purl="pkg:generic/libcover@{}#lib/libcover-codecs.so", files=[], loaded="when a DICOM image of JPEG 2000 "
                            "is read", used="decoding it", by=[("libcover", OPENED)]),
    "libpng": dict(title="libpng", supplier="PNG Reference Library Authors", licence="libpng-2.0", purl="pkg:generic/libpng@{}",
                   cpe="libpng:libpng", files=["libpng"], loaded=ALWAYS, used="PNG images that are read and written",
                   by=[("libcover", LINK)]),
    "libjpeg-turbo": dict(title="libjpeg-turbo", supplier="The libjpeg-turbo Project", licence="IJG AND BSD-3-Clause AND Zlib",
                          purl="pkg:github/libjpeg-turbo/libjpeg-turbo@{}", cpe="libjpeg-turbo:libjpeg-turbo", files=["libjpeg"],
                          loaded=ALWAYS, used="JPEG images that are read", by=[("libcover", LINK)]),
    "libtiff": dict(title="LibTIFF", supplier="LibTIFF", licence="libtiff", purl="pkg:generic/libtiff@{}", cpe="libtiff:libtiff",
                    files=["libtiff"], loaded=ALWAYS, used="TIFF images that are read and written", by=[("libcover", LINK)]),
    "zlib": dict(title="zlib", supplier="zlib (Jean-loup Gailly, Mark Adler)", licence="Zlib", purl="pkg:generic/zlib@{}",
                 cpe="zlib:zlib", files=["libz"], loaded=ALWAYS, used="pixels of datasets, .nii.gz, packed PyTorch files",
                 by=[("libcover", LINK)]),
    "jansson": dict(title="Jansson", supplier="Petri Lehtinen", licence="MIT", purl="pkg:github/akheron/jansson@v{}",
                    cpe="jansson_project:jansson", files=["libjansson"], loaded=ALWAYS,
                    used="JSON: headers of weights, settings, logs, results", by=[("libcover", LINK), ("cover", LINK)]),
    "hdf5": dict(title="HDF5", supplier="The HDF Group", licence="BSD-3-Clause", purl="pkg:generic/hdf5@{}", cpe="hdfgroup:hdf5",
                 files=["libhdf5"], loaded=ALWAYS, used="pack writes datasets, check compares them; not in training or prediction",
                 by=[("libcover", LINK)]),
    "onednn": dict(title="oneDNN", supplier="UXL Foundation", licence="Apache-2.0", purl="pkg:github/uxlfoundation/onednn@v{}",
                   files=["libdnnl"], loaded=ALWAYS, used="convolutions that no form of ours takes", by=[("libcover", LINK)],
                   note="third parties within it: THIRD-PARTY-PROGRAMS of its distribution"),
    "gcc-runtime": dict(title="GCC runtime libraries", supplier="Free Software Foundation",
                        licence="GPL-3.0-or-later WITH GCC-exception-3.1", purl="pkg:generic/gcc@{}", cpe="gnu:gcc",
                        files=["libgomp", "libgcc_s", "libstdc++", "libatomic", "libasan", "libubsan", "libtsan"], loaded=ALWAYS,
                        used="OpenMP and C++ for oneDNN, C++ for the CUDA module", by=[("libcover", LINK)]),
    "glibc": dict(title="GNU C Library", supplier="Free Software Foundation", licence="LGPL-2.1-or-later",
                  purl="pkg:generic/glibc@{}", cpe="gnu:glibc", files=["libc", "libm", "libmvec", "libpthread", "libdl", "librt",
                  "ld-linux-x86-64"], loaded=ALWAYS, used="everything", by=[("libcover", LINK), ("cover", LINK)]),
    "openmpi": dict(title="Open MPI", supplier="The Open MPI Project", licence="BSD-3-Clause-Open-MPI",
                    purl="pkg:generic/openmpi@{}", cpe="open-mpi:open_mpi", files=["libmpi", "libopen-rte", "libopen-pal"],
                    loaded="by libcover-mpi.so alone", used="ranks by MPI", by=[("libcover-mpi", LINK)]),
    "openjpeg": dict(title="OpenJPEG", supplier="The OpenJPEG Project", licence="BSD-2-Clause",
                     purl="pkg:github/uclouvain/openjpeg@v{}", cpe="uclouvain:openjpeg", files=["libopenjp2"],
                     loaded="by libcover-codecs.so alone", used="JPEG 2000 and HTJ2K of DICOM", by=[("libcover-codecs", LINK)]),
    "cuda-runtime": dict(title="CUDA runtime", supplier="NVIDIA Corporation", licence="LicenseRef-NVIDIA-CUDA-EULA",
                         purl="pkg:generic/cuda-cudart@{}", files=[], loaded="within libcover-cuda.so", used="computing on GPUs",
                         by=[("libcover-cuda", STATIC)]),
    "cudnn": dict(title="cuDNN", supplier="NVIDIA Corporation", licence="LicenseRef-NVIDIA-cuDNN-SLA", purl="pkg:generic/cudnn@{}",
                  files=[], loaded="opened by libcover-cuda.so", used="convolutions on GPUs", by=[("libcover-cuda", OPENED)],
                  note="version of the headers; the one that is there when it runs counts"),
    "nccl": dict(title="NCCL", supplier="NVIDIA Corporation", licence="BSD-3-Clause", purl="pkg:github/nvidia/nccl@v{}", files=[],
                 loaded="opened by libcover-cuda.so with several ranks", used="sums over GPUs", by=[("libcover-cuda", OPENED)],
                 note="version of the headers; the one that is there when it runs counts"),
}
OURS = ["libcover", "cover", "libcover-mpi", "libcover-codecs", "libcover-cuda"]
LICENCES = {  # of licences that SPDX's list does not have: where they are
    "LicenseRef-NVIDIA-CUDA-EULA": "End User License Agreement of the CUDA Toolkit: https://docs.nvidia.com/cuda/eula/",
    "LicenseRef-NVIDIA-cuDNN-SLA": "Software License Agreement of cuDNN: https://docs.nvidia.com/deeplearning/cudnn/",
}


def facts(names):
    """The rows of the names that were given, with their versions, and the links between them: (from, relation, to)."""
    parts = {}
    for name, version in names.items():
        version, _, wheel = version.partition("@")
        row = ROWS[name] | {"version": version, "purl": ROWS[name]["purl"].format(version)}
        if wheel:  # the one that `make deps` takes: with a version of its own
            package = next(Path(wheel).glob("version-*")).name.removeprefix("version-")
            row |= {"purl": f"pkg:pypi/onednn-cpu-gomp@{package}",
                    "note": f"of a wheel, installed beside libcover.so; {row['note']}"}
        parts[name] = row
    links = [(user, relation, name) for name, row in parts.items() for user, relation in row["by"] if user in parts]
    links.append(("cover", LINK, "libcover"))
    if "onednn" in parts:
        links += [("onednn", LINK, "gcc-runtime"), ("onednn", LINK, "glibc")]
    return parts, sorted(links)


def told(row):
    return f"Loaded: {row['loaded']}. Used for: {row['used']}." + (f" Note: {row['note']}." if "note" in row else "")


def cpe(row):
    return f"cpe:2.3:a:{row['cpe']}:{row['version']}:*:*:*:*:*:*:*" if "cpe" in row else None


def spdx(parts, links, date, identity):
    def package(name, row):
        references = [("PACKAGE-MANAGER", "purl", row["purl"])] + ([("SECURITY", "cpe23Type", cpe(row))] if cpe(row) else [])
        return {"SPDXID": f"SPDXRef-{name}", "name": row["title"], "versionInfo": row["version"],
                "supplier": f"Organization: {row['supplier']}", "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
                "licenseConcluded": "NOASSERTION", "licenseDeclared": row["licence"], "copyrightText": "NOASSERTION",
                "comment": told(row), "primaryPackagePurpose": "APPLICATION" if name == "cover" else "LIBRARY",
                "externalRefs": [{"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}
                                 for category, kind, locator in references]}

    def relation(user, kind, part):
        ends = (part, user) if kind == OPENED else (user, part)
        return {"spdxElementId": f"SPDXRef-{ends[0]}", "relationshipType": kind, "relatedSpdxElement": f"SPDXRef-{ends[1]}"}

    described = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": f"SPDXRef-{name}"}
                 for name in OURS if name in parts]
    used = {row["licence"] for row in parts.values()}
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"libcover-{parts['libcover']['version']}", "comment": ABOUT,
        "documentNamespace": f"https://spdx.org/spdxdocs/libcover-{parts['libcover']['version']}-{identity}",
        "creationInfo": {"created": date or "1970-01-01T00:00:00Z", "creators": ["Tool: libcover-scripts-sbom.py"]},
        "packages": [package(name, row) for name, row in parts.items()],
        "relationships": described + [relation(*link) for link in links],
    }
    texts = [{"licenseId": name, "extractedText": text} for name, text in LICENCES.items() if name in used]
    return document | ({"hasExtractedLicensingInfos": texts} if texts else {})


def cyclonedx(parts, links, date, identity):
    def component(name, row):
        reference = re.fullmatch(r"LicenseRef-\S+", row["licence"])
        licence = {"license": {"name": row["licence"]}} if reference else {"expression": row["licence"]}
        properties = [("libcover:loaded", row["loaded"]), ("libcover:used", row["used"])]
        properties += [("libcover:library", begin) for begin in row["files"]]
        made = {"type": "application" if name == "cover" else "library", "bom-ref": name, "supplier": {"name": row["supplier"]},
                "name": row["title"], "version": row["version"], "licenses": [licence], "purl": row["purl"],
                "scope": "required" if row["loaded"] == ALWAYS else "optional",
                "description": told(row), "properties": [{"name": key, "value": value} for key, value in properties]}
        return made | ({"cpe": cpe(row)} if cpe(row) else {})

    tool = {"type": "application", "name": "scripts/sbom.py", "version": parts["libcover"]["version"]}
    metadata = {"tools": {"components": [tool]},
                "component": component("libcover", parts["libcover"]) | {"externalReferences": [{"type": "website", "url": URL}]},
                "properties": [{"name": "libcover:about", "value": ABOUT}]}
    depends = {name: [part for user, _, part in links if user == name] for name in parts}
    known = [name for name in parts if name in OURS or name == "onednn"]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{identity}", "version": 1,
            "metadata": ({"timestamp": date} if date else {}) | metadata,
            "components": [component(name, row) for name, row in parts.items() if name != "libcover"],
            "dependencies": [{"ref": name, "dependsOn": sorted(set(depends[name]))} for name in parts],
            "compositions": [{"aggregate": "complete", "dependencies": known},
                             {"aggregate": "unknown", "dependencies": [name for name in parts if name not in known]}]}


def date_of(source):
    """SOURCE_DATE_EPOCH, else the time of the commit, else none."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        try:
            git = subprocess.run(["git", "-C", source, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True)
            seconds = git.stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return None
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    source, spdx_file, cyclonedx_file, *words = sys.argv[1:]
    parts, links = facts(dict(word.split("=", 1) for word in words))
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([parts, links], sort_keys=True))
    for path, make in (spdx_file, spdx), (cyclonedx_file, cyclonedx):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(make(parts, links, date_of(source), identity), file, indent=2, ensure_ascii=False)
            file.write("\n")


if __name__ == "__main__":
    main()

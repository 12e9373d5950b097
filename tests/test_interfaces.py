#!/usr/bin/env python3
"""What the library and its modules are compared by changes with every header and table that a module includes, and with nothing else.
"""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Interfaces(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name, text in {
            "src/cuda/module.c": '#include "core/module.h"\n',
            "src/cuda/own.h": "",
            "src/core/module.h": '#include "graph.h"\n#include <libcover/status.h>\n#include <stdio.h>\n',
            "src/core/graph.h": '#  include "core/ops.def"\n#include "module.h" /* a circle ends */\n',
            "src/core/ops.def": "OP(conv)\n",
            "src/core/other.h": "int other;\n",
            "include/libcover/status.h": "enum status { OK };\n",
        }.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.first = self.made()

    def made(self, version="0.1.0"):
        out, deps = self.root / "out.h", self.root / "out.d"
        subprocess.run([sys.executable, ROOT / "scripts/interfaces.py", self.root, out, deps, version, "CUDA",
                        self.root / "src/cuda/module.c"], check=True)
        self.deps = deps.read_text()
        return out.read_text()

    def test_every_header_and_table_of_the_module_counts(self):
        for name in "src/core/module.h", "src/core/graph.h", "src/core/ops.def", "include/libcover/status.h":
            with self.subTest(name):
                path = self.root / name
                old = path.read_text()
                path.write_text(old + " ")
                self.assertNotEqual(self.made(), self.first)
                self.assertIn(name, self.deps)
                path.write_text(old)
                self.assertEqual(self.made(), self.first)

    def test_what_it_does_not_include_does_not_count(self):
        for name in "src/core/other.h", "src/cuda/own.h", "src/cuda/module.c":
            path = self.root / name
            path.write_text(path.read_text() + "\n/* more */\n")
        self.assertEqual(self.made(), self.first)

    def test_the_version_counts_and_is_said(self):
        self.assertIn('CUDA_INTERFACE "0.1.0-', self.first)
        self.assertIn('CUDA_INTERFACE "0.1.1-', self.made("0.1.1"))

    def test_what_struct_settings_and_operations_are_made_of_is_found_in_the_house(self):
        subprocess.run([sys.executable, ROOT / "scripts/interfaces.py", ROOT, self.root / "out.h", self.root / "out.d", "0", "CUDA",
                        *sorted((ROOT / "src/cuda").glob("*.c"))], check=True)
        deps = (self.root / "out.d").read_text()
        for name in ("src/core/settings/settings.def", "src/core/settings/settings.h", "src/core/graph/ops.def",
                     "src/core/graph/executor.h", "src/core/train/device.h", "src/core/base/base.h", "include/libcover/context.h"):
            self.assertIn(f"{ROOT}/{name} ", deps + " ")


if __name__ == "__main__":
    unittest.main()

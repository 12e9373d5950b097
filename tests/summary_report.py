"""The report of a run of the tests, as Markdown: what was built where, each requirement with its result, each program with its counts
and seconds, what was skipped and why.  Written by summary.py beside the build."""
import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import requirements

OPTIONS = ["buildtype", "optimization", "debug", "b_sanitize", "onednn", "mpi", "cuda", "isa", "fuzz"]


def said(command, folder=None):
    """The first line that a command prints, or nothing."""
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, timeout=60).stdout
        return output.strip().splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def introspection(build, name):
    path = Path(build) / "meson-info" / f"intro-{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def line_of(path, key):
    """The value of `key: value` in a file of /proc."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def memory():
    kilobytes = line_of("/proc/meminfo", "MemTotal")
    return f"{int(kilobytes.split()[0]) / 2**20:.1f} GiB" if kilobytes else None


def facts(build):
    project = introspection(build, "projectinfo") or {}
    options = {option["name"]: option["value"] for option in introspection(build, "buildoptions")}
    sources = [source for target in introspection(build, "targets") for source in target["target_sources"] if source.get("compiler")]
    compiler = next((source["compiler"] for source in sources if source["language"] == "c"), None)
    return {
        "version": project.get("version"),
        "commit": said(["git", "describe", "--always", "--dirty", "--tags"], Path(__file__).parent),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": line_of("/proc/cpuinfo", "model name") or platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory": memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "C library": " ".join(platform.libc_ver()),
        "compiler": said([*compiler, "--version"]) if compiler else None,
        "options": ", ".join(f"{name}={options[name]}" for name in OPTIONS if name in options and name != "b_sanitize"),
        "sanitizer": options.get("b_sanitize"),
    }


def table(head, lines):
    """Markdown; counts and seconds stand on the right."""
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    rule = ["---:" if name in ("passed", "failed", "skipped", "seconds") else "---" for name in head]
    return ["", *("| " + " | ".join(line) + " |" for line in [head, rule, *cells]), ""]


def write(build, log, skipped, bad, last):
    """log: [(test, (passed, failed, skipped))]; skipped, bad: lines; last: the line that is printed last."""
    states = [(identity, sentence, requirements.result(tests, [(test, counts[1]) for test, counts in log]))
              for identity, sentence, tests in requirements.rows()]
    passed = sum(state == "passed" for _, _, state in states)
    lines = ["# Test report of libcover", *table(["", ""], [(key, value or "not known") for key, value in facts(build).items()]),
             "## Requirements", "", f"{passed} of {len(states)} are shown by tests that passed; their tests: docs/requirements.md.",
             *table(["id", "requirement", "result"], states)]
    for title, words in ("Failed", bad), ("Skipped", skipped):
        lines += [f"## {title}", "", *([f"- {word.strip()}" for word in words] or ["Nothing."]), ""]
    programs = [(requirements.name_of(test["name"]), test["result"].lower(), *counts, f"{test.get('duration') or 0:.1f}")
                for test, counts in log]
    lines += ["## Programs", *table(["program", "result", "passed", "failed", "skipped", "seconds"], programs), last]
    path = Path(build) / "test-report.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

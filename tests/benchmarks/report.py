"""BENCHMARKS.md: one section a benchmark, with machine, versions, date and load."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "BENCHMARKS.md"
_HEAD = """# Benchmarks

Written by `make bench` (`python -m tests.benchmarks [NAME ...]`). Compare figures of one run on
one machine with each other, not with another machine's; the load says how busy it was.
"""


def machine(packages: Sequence[str]) -> str:
    """Return date, processor, load and versions in one paragraph."""
    try:
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        name = cpu[1] if cpu else platform.processor()
    except OSError:
        name = platform.processor()
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {os.cpu_count()} cores, {name}; "
        f"Python {platform.python_version()}, {versions}."
    )


def load() -> str:
    """Return the load average of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def spread(milliseconds: Sequence[float]) -> tuple[float, float, int]:
    """Return median, 90th percentile (the nearest measured value above) and how many there are."""
    ordered = sorted(milliseconds)
    n = len(ordered)
    return statistics.median(ordered), ordered[min(n - 1, -(-9 * n // 10) - 1)], n


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are figures."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def write_section(name: str, title: str, body: str) -> None:
    """Replace the section of a benchmark, or add it; the others stay as they are."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = FILE.read_text("utf-8") if FILE.exists() else _HEAD
    section = f"{begin}\n## {title}\n\n{body.strip()}\n{end}"
    found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if found.search(text):
        text = found.sub(lambda _: section, text)
    else:
        text = text.rstrip() + "\n\n" + section + "\n"
    FILE.write_text(text, "utf-8")

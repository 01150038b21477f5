"""Runs the benchmarks, all or those named, and writes their sections of BENCHMARKS.md."""

from __future__ import annotations

import importlib
import sys

from tests.benchmarks.report import write_section

# Each module has a TITLE and a `measure()` that returns its section as Markdown.
MODULES = [
    "fit_speed", "passes", "decoding", "matrix", "scoring", "growth", "ranks", "gpu", "dashboard",
    "map", "triage", "tables",
]  # fmt: skip


def main(names: list[str]) -> int:
    strange = [name for name in names if name not in MODULES]
    if strange:
        print(f"{strange[0]} is no benchmark; there are {', '.join(MODULES)}.", file=sys.stderr)
        return 2
    for name in names or MODULES:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        section = module.measure()
        write_section(name, module.TITLE, section)
        print(section)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

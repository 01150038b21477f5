"""Runs the benchmarks, all or those named, and writes their sections of BENCHMARKS.md."""

from __future__ import annotations

import importlib
import sys

from tests.benchmarks.report import write_section

# Each module has a TITLE and a `measure()` that returns its section as Markdown; what stands behind
# a colon is given to it.
MODULES = [
    "fit_speed:mobilenet_v2", "fit_speed:resnet18", "whole_network", "passes", "executors",
    "decoding", "large_images", "matrix", "scoring", "growth", "more_images", "ranks", "gpu",
    "dashboard", "map", "triage", "tables", "coverage", "statements",
]  # fmt: skip


def main(names: list[str]) -> int:
    strange = [name for name in names if name not in MODULES]
    if strange:
        print(f"{strange[0]} is no benchmark; there are {', '.join(MODULES)}.", file=sys.stderr)
        return 2
    for name in names or MODULES:
        short, _, given = name.partition(":")
        module = importlib.import_module(f"tests.benchmarks.{short}")
        section = module.measure(*filter(None, [given]))
        write_section(name, module.TITLE + (f": {given}" if given else ""), section)
        print(section)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

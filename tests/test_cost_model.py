"""The cost model: its table in BENCHMARKS.md is what the constants give."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.cost_model import MACHINES, limits, pass_seconds, table, told

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_in_benchmarks_is_what_the_constants_give():
    assert table() in (ROOT / "BENCHMARKS.md").read_text("utf-8")


def test_a_pass_takes_as_long_as_what_holds_it():
    cpu, gpu, many = MACHINES
    # 25,000 images: 58.1 s of MobileNetV2 at 430 a second, and 12.5 s to decode 2,000 a second.
    assert pass_seconds(cpu, "MobileNetV2", 25_000) == (pytest.approx(70.6, abs=0.1), "network")
    # One GPU takes 7,745 VGG16 a second, 16 processes decode 6,400 of them.
    assert limits(gpu, "VGG16")["network"] == pytest.approx(989e12 * 0.242 / 30.9e9)
    assert pass_seconds(gpu, "MobileNetV2", 16_000) == (2.5, "decoding")
    assert pass_seconds(many, "VGG16", 1e9) == (pytest.approx(1e9 / (1024 * 400)), "decoding")
    assert [told(s) for s in (0.4, 1.0, 150, 7_200, 172_800)] == [
        "under 1 s",
        "1 s",
        "2 min",
        "2 h",
        "2 days",
    ]

"""One place decides device and precision, and refuses by the option's name."""

from __future__ import annotations

import pytest
import torch

from engine import portable
from engine.errors import UserError
from engine.model.device import choose_device


def test_auto_takes_a_gpu_where_there_is_one_and_the_cpu_where_not(monkeypatch):
    monkeypatch.setattr(torch.mps, "is_available", lambda: False)
    for there, expected in [(False, "cpu"), (True, "cuda")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto", "float32").name == expected


def test_auto_precision_is_bfloat16_only_where_the_processor_computes_in_it(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for flags, expected in [
        ({"avx512_bf16"}, "bfloat16"),
        ({"amx_bf16"}, "bfloat16"),
        ({"avx512f"}, "float32"),
    ]:
        monkeypatch.setattr(portable, "cpu_flags", lambda flags=flags: flags)
        assert choose_device("cpu").precision == expected
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(portable, "cpu_flags", lambda: {"avx512_bf16"})
    assert choose_device("cpu").precision == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_named_precision_is_taken(precision):
    chosen = choose_device("cpu", precision)
    assert (chosen.name, chosen.precision) == ("cpu", precision)
    assert chosen.dtype is getattr(torch, precision)


@pytest.mark.parametrize(
    ("device", "precision", "option"),
    [
        ("tpu", "auto", "device='tpu'"),
        ("cpu", "float64", "precision='float64'"),
        ("cpu", "float16", "precision='float16'"),
    ],
)
def test_what_is_unknown_or_impossible_is_refused(device, precision, option):
    with pytest.raises(UserError, match=option):
        choose_device(device, precision)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"device='{device}' is not available.*use cpu"):
        choose_device(device)

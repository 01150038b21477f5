"""The table of features is made once, reads only what is wanted, and keeps nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.model import shards
from engine.model.shards import Table, write_shard

WIDTH = 3


def name_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def values_of(numbers: list[int]) -> torch.Tensor:
    return torch.tensor([[n, n + 0.5, -n] for n in numbers], dtype=torch.float16)


def kept(folder: Path, *numbers: int) -> Path:
    before = set(folder.glob("*"))
    write_shard(folder, [name_of(n) for n in numbers], values_of(list(numbers)))
    return next(iter(set(folder.glob("*.safetensors")) - before))


@given(
    wanted=st.sets(st.integers(0, 40), min_size=1),
    parts=st.lists(st.lists(st.integers(0, 40), min_size=1, unique=True), max_size=6),
    chunk=st.integers(1, 7),
)
def test_a_table_gives_back_what_it_took_of_what_was_wanted(wanted, parts, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "_CHUNK", chunk)
        table = Table(map(name_of, wanted))
        for part in parts:
            table.add([name_of(n) for n in part], values_of(part))
        there = {n for part in parts for n in part} & wanted
        assert {n for n in range(41) if name_of(n) in table} == there
        values, row_of = table.taken()
    assert len(values) == len(row_of) == len(there)
    assert list(row_of) == sorted(row_of)
    for n in there:
        assert values[row_of[name_of(n)]].tolist() == values_of([n])[0].tolist()


def test_only_shards_that_hold_something_wanted_are_read(tmp_path, monkeypatch):
    paths = {numbers: kept(tmp_path, *numbers) for numbers in [(1, 2), (3, 4), (5, 6)]}
    read: list[Path] = []
    real = shards.read_file
    monkeypatch.setattr(shards, "read_file", lambda path: read.append(path) or real(path))
    table = Table([name_of(4), name_of(9)])
    table.load(tmp_path)
    assert read == [paths[3, 4]]
    assert table.taken()[0].tolist() == values_of([4]).tolist()
    table = Table([name_of(4), name_of(5)])
    table.add([name_of(4)], values_of([4]))
    read.clear()
    table.load(tmp_path)
    assert read == [paths[5, 6]]


def test_a_shard_whose_names_were_changed_is_said_to_be_damaged(tmp_path, capsys):
    path = kept(tmp_path, 1, 2)
    content = bytearray(path.read_bytes())
    at = content.index(bytes.fromhex(name_of(1)))
    content[at] ^= 1
    path.write_bytes(content)
    table = Table([name_of(1), name_of(2)])
    table.load(tmp_path)
    assert f"{path} is damaged" in capsys.readouterr().err
    assert not path.exists() and len(table.taken()[0]) == 0


def test_gaps_are_closed_in_the_table_itself():
    names = [name_of(number) for number in range(6)]
    table = Table(names)
    table.add(names[:1] + names[2:5], values_of([0, 2, 3, 4]))
    first = table.taken()[0]
    table.add(names[5:], values_of([5]))
    assert first.data_ptr() == table.taken()[0].data_ptr()

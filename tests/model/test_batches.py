"""Threads fill the batches, in order, of one shape, whatever else happens."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from engine.data import images
from engine.data.formats import Unreadable
from engine.data.images import Reduced, decode, decode_reduced
from engine.errors import UserError
from engine.model.batches import batches, decoded
from engine.model.device import Device, decode_threads
from engine.model.preprocessing import Preprocessing
from tests.support.tiny_images import image_bytes, put

STEPS = Preprocessing(36, 32, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs processes that fork")
CPU = Device("cpu", torch.float32, 4)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batches")
    for number in range(23):
        put(folder / f"{number:02}.jpg", image_bytes("cat", number))
    for number in (3, 4, 20):
        put(folder / f"{number:02}.jpg", b"no image " + bytes([number]))
    return folder


@pytest.fixture(scope="module")
def wanted(root: Path) -> dict[str, str]:
    return {hashlib.sha256(p.read_bytes()).hexdigest(): p.name for p in sorted(root.iterdir())}


def decoders() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("decode")]


@pytest.mark.parametrize("size", [1, 4, 6, 32])
def test_every_image_lies_where_its_batch_says(size, root, wanted):
    bad: dict[str, str] = {}
    seen: list[str] = []
    for batch in batches(root, wanted, STEPS, size, CPU, bad):
        assert batch.pixels.shape == (size, 3, 32, 32) and batch.pixels.dtype == torch.uint8
        assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
        for name, row in zip(batch.names, batch.rows, strict=True):
            expected = STEPS.resized(decode((root / wanted[name]).read_bytes()))
            assert torch.equal(batch.pixels[row], expected)
        seen += batch.names
    assert seen == [name for name in wanted if name not in bad]
    assert [wanted[name] for name in bad] == ["03.jpg", "04.jpg", "20.jpg"]
    assert all("not an image" in reason for reason in bad.values())
    assert not decoders()


def test_on_a_cpu_nothing_is_decoded_while_the_network_works(root, wanted, monkeypatch):
    at_work = threading.Event()
    during: list[bool] = []

    def watched(content: bytes, short: int) -> Reduced:
        during.append(at_work.is_set())
        return decode_reduced(content, short)

    monkeypatch.setattr("engine.model.decoders.decode_reduced", watched)
    for _ in batches(root, wanted, STEPS, 2, CPU, {}):
        at_work.set()
        threading.Event().wait(0.01)  # time in which threads could decode
        at_work.clear()
    assert len(during) == len(wanted) and not any(during)


@linux_only
@pytest.mark.parametrize("size", [4, 6])
def test_processes_fill_the_batches_as_threads_do(size, root, wanted, monkeypatch):
    def of(apart: bool) -> tuple[list[torch.Tensor], dict[str, str]]:
        monkeypatch.setattr("engine.model.batches.worth_processes", lambda *_: apart)
        bad: dict[str, str] = {}
        found = batches(root, wanted, STEPS, size, CPU, bad)
        return [batch.pixels[batch.rows].clone() for batch in found], bad

    (ours, bad), (expected, also_bad) = of(apart=True), of(apart=False)
    assert len(ours) == len(expected) and all(map(torch.equal, ours, expected))
    assert bad == also_bad and not multiprocessing.active_children()


@linux_only
def test_a_process_that_the_system_ends_is_one_sentence(root, wanted, monkeypatch):
    monkeypatch.setattr("engine.model.batches.worth_processes", lambda *_: True)
    monkeypatch.setattr("engine.model.decoders.decode_reduced", lambda *_: os.kill(os.getpid(), 9))
    with pytest.raises(UserError, match="ended a process that decodes"):
        next(batches(root, wanted, STEPS, 4, CPU, {}))
    assert not multiprocessing.active_children()


@linux_only
def test_large_images_take_turns_among_processes(root, wanted, monkeypatch):
    monkeypatch.setattr("engine.model.batches.worth_processes", lambda *_: True)
    monkeypatch.setattr("engine.model.decoders.decode_threads", lambda: 3)
    monkeypatch.setattr("engine.data.images._LARGE", 0)
    at_work = multiprocessing.get_context("fork").Value("i", 0)

    def slow(content: bytes) -> torch.Tensor:
        at_work.value += 1
        alone = at_work.value == 1
        time.sleep(0.01)
        at_work.value -= 1
        if not alone:
            raise Unreadable("two at a time")
        return whole(content)

    whole = images._decode_whole
    monkeypatch.setattr("engine.data.images._decode_whole", slow)
    bad: dict[str, str] = {}
    assert sum(len(batch.rows) for batch in batches(root, wanted, STEPS, 6, CPU, bad)) == 20
    assert len(bad) == 3


@pytest.mark.parametrize("when", ["at once", "later"])
def test_no_thread_is_left_when_the_pass_is_stopped(when, root, wanted):
    running = batches(root, wanted, STEPS, 2, CPU, {})
    with pytest.raises(KeyboardInterrupt):
        for number, _ in enumerate(running):
            if when == "at once" or number == 3:
                raise KeyboardInterrupt
    running.close()
    assert not decoders()


def test_images_come_in_order_where_they_are_asked_for_one_by_one(root, wanted):
    found = list(decoded(root, wanted, STEPS, window=3))
    assert [name for name, _ in found] == list(wanted)
    assert sum(isinstance(pixels, str) for _, pixels in found) == 3


def test_processes_of_one_machine_share_its_processors(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    for others, threads in (("1", 16), ("8", 2), ("32", 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", others)
        assert decode_threads() == threads

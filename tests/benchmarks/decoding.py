"""From bytes to the network's square: ours against Pillow with torchvision's transforms."""

from __future__ import annotations

import io
import os
import statistics
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from engine.data.images import decode
from engine.model.decoders import TASK
from engine.model.preprocessing import Preprocessing, preprocessing
from tests.benchmarks.clocked import seconds_of, take_turns, verdict
from tests.benchmarks.material import REPEATS, labelled_split
from tests.benchmarks.report import load, machine, table

TITLE = "Decode and resize"
GOAL = 2.5
BATCH = 64


class Decoded(Dataset[torch.Tensor]):
    """Images as a usual Dataset reads them: Pillow, then torchvision's transforms."""

    def __init__(self, contents: Sequence[bytes], steps: Preprocessing) -> None:
        self.contents = contents
        self.transform = transforms.Compose(
            [
                transforms.Resize(steps.resize),
                transforms.CenterCrop(steps.crop),
                transforms.ToTensor(),
                transforms.Normalize(steps.mean, steps.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, row: int) -> torch.Tensor:
        image = Image.open(io.BytesIO(self.contents[row])).convert("RGB")
        tensor: torch.Tensor = self.transform(image)
        return tensor


def ours(contents: Sequence[bytes], steps: Preprocessing, threads: int) -> Iterator[torch.Tensor]:
    """Decode and resize all, uint8, in so many threads, each a few at once as in the pass."""

    def some(part: Sequence[bytes]) -> list[torch.Tensor]:
        return [steps.resized(decode(content)) for content in part]

    parts = [contents[at : at + TASK] for at in range(0, len(contents), TASK)]
    with ThreadPoolExecutor(threads) as pool:
        for squares in pool.map(some, parts):
            yield from squares


def ours_normalised(
    contents: Sequence[bytes], steps: Preprocessing, threads: int
) -> Iterator[torch.Tensor]:
    """Decode and resize all, and normalise each batch, as the network gets it."""
    squares = ours(contents, steps, threads)
    while batch := list(islice(squares, BATCH)):
        yield steps.normalised(torch.stack(batch), torch.float32)


def run_through(made: Iterable[torch.Tensor]) -> None:
    """Make everything, and keep nothing."""
    deque(made, maxlen=0)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Leave the cores to the threads and workers that are compared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure() -> str:
    """Measure everything and return the section."""
    with tempfile.TemporaryDirectory() as name:
        split = labelled_split(Path(name) / "images")
        contents = [file.read_bytes() for file in split.files]
    return "\n\n".join(
        [machine(("torch", "torchvision", "pillow")), compared(contents), split.said + _HOW]
    )


def compared(contents: Sequence[bytes]) -> str:
    """Return the table: images a second of every side."""
    steps, cores = preprocessing("vgg16"), os.cpu_count() or 1
    data = Decoded(contents, steps)
    workers = DataLoader(data, batch_size=BATCH, num_workers=2, persistent_workers=True)
    alone = DataLoader(data, batch_size=BATCH)
    work: dict[str, Callable[[], Iterable[torch.Tensor]]] = {
        "ours, 1 thread": lambda: ours(contents, steps, 1),
        "ours, normalised, 1 thread": lambda: ours_normalised(contents, steps, 1),
        "Pillow + torchvision, 1 thread": lambda: alone,
        f"ours, {cores} threads": lambda: ours(contents, steps, cores),
        f"ours, normalised, {cores} threads": lambda: ours_normalised(contents, steps, cores),
        "Pillow + torchvision, 2 workers": lambda: workers,
    }
    with one_torch_thread():
        run_through(workers)  # starts them
        sides = {k: (lambda w=w: seconds_of(lambda: run_through(w()))) for k, w in work.items()}
        taken = {name: statistics.median(t) for name, t in take_turns(sides, REPEATS).items()}
    with_goal = ("ours, 1 thread", f"ours, {cores} threads")
    rows = []
    for name, seconds in taken.items():
        rival = taken[[k for k in taken if k.startswith("Pillow")][name not in list(taken)[:3]]]
        ratio = rival / seconds
        goal = f"{GOAL}" if name in with_goal else ""
        judged = verdict(ratio >= GOAL) if goal else ""
        rows.append([name, f"{len(contents) / seconds:.0f}", f"{ratio:.2f}", goal, judged, load()])
    return table(("", "images /s", "times as fast", "goal", "", "load"), rows)


_HOW = """, their bytes in memory. Ours: decode upright, resize with antialiasing and crop, uint8;
"normalised" adds what the pass does to each batch, so that both end as float32. Theirs: Pillow,
then Resize, CenterCrop, ToTensor, Normalize, collated by a DataLoader whose workers have started.
Torch's own threads are held to one. The goal is set for decode and resize."""

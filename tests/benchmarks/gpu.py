"""A whole fit of 37,500 images on a GPU, and how near each part comes to what limits it.

SECONDLOOK_GPU_IMAGES=60 runs the same on any machine at a small size; what needs a GPU is then
said to be not measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from engine.model.backbones import load_network
from engine.model.batches import batches
from engine.model.decoders import worth_processes
from engine.model.weights import find_weights
from tests.benchmarks.clocked import Ran, fit_command, run_process, seconds_of, verdict
from tests.benchmarks.decoding import ours as decode_all
from tests.benchmarks.decoding import run_through
from tests.benchmarks.gpu_images import make_images
from tests.benchmarks.material import REPEATS
from tests.benchmarks.matrix import flops_per_image, matrix_rate
from tests.benchmarks.passes import Ready, checksums, network_alone, ready, whole_pass
from tests.benchmarks.report import load, machine, table

TITLE = "GPU"
LABELLED, VALID, UNLABELLED = 25_000, 2_000, 12_500
ALL = LABELLED + UNLABELLED
SECONDS, PER_SECOND = 10.0, 100 * 23_000 / 615  # goals: everything, and one forward pass an image
WHOLE, WHOLE_VALID, SAMPLE = 2_048, 128, 4_096
NOT_MEASURED = "not measured: no GPU here"
Row = list[str]


@dataclass(frozen=True)
class Size:
    """How many images there are, all in the proportions of the full size."""

    labelled: int
    valid: int
    unlabelled: int

    @classmethod
    def of(cls, n: int) -> Size:
        """Share ``n`` images out."""
        unlabelled = n * UNLABELLED // ALL
        return cls(n - unlabelled, max(4, n * VALID // ALL), unlabelled)


def measure() -> str:
    """Measure everything and return the section."""
    asked, there = os.environ.get("SECONDLOOK_GPU_IMAGES"), torch.cuda.is_available()
    if not there and asked is None:
        return "Not measured: no GPU here. On a machine with one, `make bench` fills this section."
    size = Size.of(int(asked or ALL))
    packages = ("torch", "torchvision")
    name = torch.cuda.get_device_name() if there else "no GPU"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = folder / "images"
        _say("making images")
        written: list[int] = []
        took = seconds_of(lambda: written.append(make_images(data, size.labelled, size.unlabelled)))
        n = size.labelled + size.unlabelled
        made = (
            f"{n:,} different JPEGs of 500 × 375, {written[0] / n / 1000:.0f} kB each, made on "
            f"this machine in {took:.0f} s."
        )
        rows = _whole_fit(folder, data, size, _weights(folder))
        rows += [_train_all(folder, data, backbone, there) for backbone in ("vgg16", "resnet50")]
        rows += _limits(data, there)
    told = table(("", "measured", "goal", "", "load"), rows)
    return "\n\n".join([f"{machine(packages)} {name}.", made, told, _HOW])


def _weights(folder: Path) -> Path:
    """Write random weights of VGG16 to a file, which a fit then checks and reads."""
    file = folder / "vgg16.safetensors"
    save_file(load_network("vgg16", find_weights("vgg16", "none", 0), 0, 224).state_dict(), file)
    return file


def _whole_fit(folder: Path, data: Path, size: Size, weights: Path) -> list[Row]:
    runs, used = [], []
    for turn in range(REPEATS):
        _say(f"fit {turn + 1} of {REPEATS}")
        options = ("--backbone", "vgg16", "--weights", str(weights), "--valid", str(size.valid))
        with _Utilisation() as sampled:
            home = folder / f"home-{turn}"
            runs.append(run_process(fit_command(data, *options), SECONDLOOK_HOME=home))
        used.append(sampled.share())
    n = runs[0].answer["n"]
    assert n["train"] + n["valid"] + n["test"] == size.labelled + size.unlabelled
    seconds = statistics.median(run.seconds for run in runs)
    rate = statistics.median(run.answer["images_per_second"] for run in runs)
    full = torch.cuda.is_available() and size.labelled + size.unlabelled == ALL
    stages = " · ".join(f"{name} {value:.1f}" for name, value in _stages(runs).items())
    busy = [share for share in used if share is not None]
    return [
        _row("whole fit and predictions, cold, VGG16, s", f"{seconds:.1f}", full, SECONDS,
             seconds <= SECONDS),
        _row("its stages, s", stages),
        _row("peak memory of the process, MB", f"{statistics.median(r.peak_mb for r in runs):.0f}"),
        _row("images /s in its feature pass", f"{rate:.0f}", full, PER_SECOND,
             rate >= PER_SECOND),
        _row("GPU in use from first to last kernel, by nvidia-smi",
             f"{statistics.median(busy):.0%}" if busy else NOT_MEASURED),
    ]  # fmt: skip


def _stages(runs: list[Ran]) -> dict[str, float]:
    names = runs[0].answer["seconds"]  # precision: the GPU's start and two networks, too
    return {name: statistics.median(r.answer["seconds"][name] for r in runs) for name in names}


def _train_all(folder: Path, data: Path, backbone: str, there: bool) -> Row:
    """Train a whole network for three epochs; the first also decodes, so the others count."""
    _say(f"{backbone} --train all")
    few = folder / f"few-{backbone}"
    (few / "train").mkdir(parents=True)
    for file in sorted((data / "train").iterdir())[:: _every(data)][: WHOLE + WHOLE_VALID]:
        os.link(file, few / "train" / file.name)
    n = len(list((few / "train").iterdir()))
    options = ["--backbone", backbone, "--weights", "none", "--train", "all", "--epochs", "3"]
    options += ["--valid", str(min(WHOLE_VALID, n // 4))]
    if not there:
        options += ["--image-size", "64"]
    home = folder / f"home-{backbone}"
    run = run_process(fit_command(few, *options), SECONDLOOK_HOME=home)
    lines = (home / "runs" / run.answer["run"] / "log.jsonl").read_text().splitlines()
    seconds = statistics.median(json.loads(line)["seconds"] for line in lines[1:])
    trained = run.answer["n"]["train"]
    size = "" if there else " at 64 pixels"
    said = f"--train all, {backbone}{size}, images /s of an epoch ({trained:,})"
    return _row(
        said, f"{trained / seconds:.0f}" if there else f"{trained / seconds:.1f} on the CPU"
    )


def _every(data: Path) -> int:
    """Return the step through the sorted images that takes cats and dogs alike."""
    return max(1, len(list((data / "train").iterdir())) // (WHOLE + WHOLE_VALID))


def _limits(data: Path, there: bool) -> list[Row]:
    """Return what each part could do alone: cores, nvJPEG, matrix products, network."""
    _say("limits")
    files = sorted(data.glob("*/*.jpg"))[:SAMPLE]
    contents = [file.read_bytes() for file in files]
    model, cores, n = ready("vgg16"), os.cpu_count() or 1, len(files)
    decoding = _rate(lambda: run_through(decode_all(contents, model.steps, cores)), n)
    wanted = {name: str(file) for name, file in zip(checksums(files), files, strict=True)}
    reading = _rate(lambda: _decoded(data, wanted, model), n)
    how = "processes" if worth_processes(model.device, n) else "threads"
    rows = [
        _row(f"decode and resize alone, {cores} threads, images /s", f"{decoding:.0f}"),
        _row(f"read, decode and resize as the pass does, {how}, images /s", f"{reading:.0f}"),
    ]
    if not there:
        names = (
            "nvJPEG alone, images /s",
            "bfloat16 matrix rate, TFLOP/s",
            "network alone, images /s",
            "its share of the matrix rate",
            "the pass's share of the matrix rate",
            "time in which a kernel runs in the pass",
        )
        whole_pass(model, data, files[:8], checksums(files[:8]))
        return rows + [_row(name, NOT_MEASURED) for name in names]  # fmt: skip
    crop = model.steps.crop
    rate = matrix_rate(torch.bfloat16, (4096, 8192, 16384), "cuda")
    pixels = model.pixels(SAMPLE)
    network_alone(model, pixels[: 2 * model.batch_size])
    alone = _rate(lambda: network_alone(model, pixels), SAMPLE)
    sha256 = checksums(files)
    whole_pass(model, data, files, sha256)
    passing = _rate(lambda: whole_pass(model, data, files, sha256), n)
    flops = flops_per_image("vgg16", crop)
    return rows + [
        _row("nvJPEG alone, images /s", f"{_nvjpeg(contents):.0f}"),
        _row("bfloat16 matrix rate, TFLOP/s", f"{rate / 1e12:.0f}"),
        _row(f"network alone, {model.device.precision}, images /s", f"{alone:.0f}"),
        _row("its share of the matrix rate", f"{alone * flops / rate:.0%}"),
        _row(f"the pass's share of the matrix rate, {n:,} images", f"{passing * flops / rate:.0%}"),
        _row("time in which a kernel runs in the pass", f"{_busy(model, data, files, sha256):.0%}"),
    ]


def _decoded(data: Path, wanted: dict[str, str], model: Ready) -> None:
    for batch in batches(data, wanted, model.steps, model.batch_size, model.device, {}):
        del batch
    if model.device.name == "cuda":
        torch.cuda.synchronize()


def _nvjpeg(contents: list[bytes]) -> float:
    files = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in contents]
    mode = torchvision.io.ImageReadMode.RGB

    def decode() -> None:
        for start in range(0, len(files), 256):
            torchvision.io.decode_jpeg(files[start : start + 256], mode=mode, device="cuda")
        torch.cuda.synchronize()

    decode()
    return _rate(decode, len(files))


def _busy(model: Ready, data: Path, files: list[Path], sha256: list[str]) -> float:
    """Return the share of a pass's time in which at least one kernel runs."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        seconds = seconds_of(lambda: whole_pass(model, data, files, sha256))
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profiler.events() or ()
        if event.device_type == DeviceType.CUDA and not event.name.startswith(("Memcpy", "Memset"))
    )
    return covered(spans) / 1e6 / seconds


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of sorted intervals."""
    total, until = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


class _Utilisation:
    """Samples nvidia-smi while a process works; nothing where there is none."""

    def __enter__(self) -> _Utilisation:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        self.process: subprocess.Popen[str] | None = None
        if torch.cuda.is_available():
            try:
                self.process = subprocess.Popen(
                    [*command, "-lms", "100", "-i", "0"], stdout=subprocess.PIPE, text=True
                )
            except OSError:
                pass
        return self

    def __exit__(self, *_: object) -> None:
        self.samples: list[int] = []
        if self.process:
            self.process.terminate()
            lines = (self.process.communicate()[0] or "").splitlines()
            self.samples = [int(line) for line in lines if line.strip().isdigit()]

    def share(self) -> float | None:
        """Return the mean from the first busy sample to the last."""
        busy = [at for at, sample in enumerate(self.samples) if sample]
        if not busy:
            return None
        return statistics.mean(self.samples[busy[0] : busy[-1] + 1]) / 100


def _rate(work: Callable[[], object], n: int) -> float:
    return n / statistics.median(seconds_of(work) for _ in range(REPEATS))


def _row(
    name: str, value: str, judged: bool = False, goal: float | None = None, met: bool = False
) -> Row:
    shown = f"{goal:,.0f}" if judged and goal is not None else ""
    _say(f"{name}: {value}")  # what was measured is known even if the rest does not come to an end
    return [name, value, shown, verdict(met) if judged else "", load()]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


_HOW = """The fit is a whole process on an empty workspace, the interpreter's start included; the
weights are random, in a file that the fit checks and reads; the images have just been written and
lie in the page cache. Network alone: VGG16 up to its features on
tensors that lie on the GPU; the matrix rate is `torch.mm`'s best; FLOPs are counted, 2 a
multiply-add. The goal for the pass is 100 times the 23,000 images in 615 s of an epoch in the
tutorial. An epoch of `--train all` holds its validation pass too."""

"""The network alone against the machine's own matrix rate, and where the rest of the time goes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from engine.model.backbones import load_network, split_network
from engine.model.weights import find_weights
from tests.benchmarks.clocked import seconds_of, take_turns
from tests.benchmarks.material import REPEATS
from tests.benchmarks.passes import Ready, network_alone, ready
from tests.benchmarks.report import load, machine, table

TITLE = "The network against the machine's matrix rate"
BACKBONES = ("vgg16", "resnet50")
IMAGES = 64
# Sides of the square matrices; the best rate of all of them is the machine's.
SIDES = {"bfloat16": (1024, 2048, 4096, 8192), "float32": (1024, 2048, 4096)}
KINDS = {  # kind of work: what its operators' names contain; the first kind that fits
    "convolution": ("conv",),
    "matrix products": ("mm", "linear", "matmul"),
    "pooling": ("pool", "mean"),
    "activations": ("relu", "clamp", "hardtanh", "silu"),
    "sums of branches": ("aten::add",),
    "normalising the input": ("aten::sub", "aten::div"),
    "casts and layout": ("copy", "reorder", "to_dense", "cat", "clone", "contiguous"),
}
OTHER = "the rest"


def matrix_rate(dtype: torch.dtype, sides: Sequence[int], device: str = "cpu") -> float:
    """Return the best measured FLOP a second of a square matrix product, 2 a multiply-add."""
    return max(product(dtype, side, device)() for side in sides)


def product(dtype: torch.dtype, side: int, device: str = "cpu") -> Callable[[], float]:
    """Return a function that measures the rate of one size, the median of several products."""
    a = torch.randn(side, side, device=device).to(dtype)
    b = torch.randn(side, side, device=device).to(dtype)
    times = 20 if device == "cuda" else 1

    def work() -> None:
        for _ in range(times):
            torch.mm(a, b)
        if a.is_cuda:
            torch.cuda.synchronize()

    work()
    return lambda: times * 2 * side**3 / statistics.median(seconds_of(work) for _ in range(3))


def flops_per_image(backbone: str, crop: int) -> float:
    """Return what one image costs up to the features, counted, 2 a multiply-add."""
    whole = load_network(backbone, find_weights(backbone, "none", 0), 0, crop)
    network = split_network(whole)[0]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, crop, crop))
    return float(counter.get_total_flops())


def time_by_kind(model: Ready, pixels: torch.Tensor) -> dict[str, float]:
    """Return the share of the operators' own time that each kind of work takes."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        network_alone(model, pixels)
    spent = dict.fromkeys((*KINDS, OTHER), 0.0)
    for event in profiler.key_averages():
        name = event.key.lower()
        fits = (kind for kind, parts in KINDS.items() if any(part in name for part in parts))
        spent[next(fits, OTHER)] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: time / total for kind, time in spent.items()}


def measure() -> str:
    """Measure everything and return the section."""
    rows, said = [], []
    for precision, sides in SIDES.items():
        dtype = getattr(torch, precision)
        side = max(sides, key=lambda side: product(dtype, side)())
        for backbone in BACKBONES:
            row, sentence = _measured(ready(backbone, precision), product(dtype, side))
            rows.append(row)
            said.append(sentence)
    head = ("", "precision", "GFLOP per image", "images /s", "network TFLOP/s", "matrix TFLOP/s",
            "share", "load")  # fmt: skip
    return "\n\n".join([machine(("torch",)), table(head, rows), "\n".join(said), _HOW])


def _measured(model: Ready, multiply: Callable[[], float]) -> tuple[list[str], str]:
    pixels = model.pixels(IMAGES)
    flops = flops_per_image(model.name, model.steps.crop)
    network_alone(model, pixels[: model.batch_size])
    name = f"{model.name} {model.device.precision}"
    sides = {
        name: lambda: IMAGES / seconds_of(lambda: network_alone(model, pixels)),
        f"{name}, product": multiply,
    }
    taken = take_turns(sides, REPEATS)
    per_second, rate = (statistics.median(rates) for rates in taken.values())
    share = statistics.median(
        images * flops / product for images, product in zip(*taken.values(), strict=True)
    )
    row = [
        model.name, model.device.precision, f"{flops / 1e9:.1f}", f"{per_second:.1f}",
        f"{per_second * flops / 1e12:.2f}", f"{rate / 1e12:.2f}", f"{share:.0%}", load(),
    ]  # fmt: skip
    return row, "- " + sentence(model, share, time_by_kind(model, pixels))


def sentence(model: Ready, share: float, spent: dict[str, float]) -> str:
    """Say where the time goes and what holds the network back, from the figures."""
    parts = ", ".join(
        f"{kind} {part:.0%}"
        for kind, part in sorted(spent.items(), key=lambda item: -item[1])
        if part >= 0.005
    )
    products = spent["convolution"] + spent["matrix products"]
    missing, pace = max(1 - share, 0.0), max(products - share, 0.0)
    return (
        f"{model.name}, {model.device.precision}: {parts} of the operators' time. Convolutions and "
        f"products run at {share / products:.0%} of the matrix rate while they run; of the "
        f"{missing:.0%} that is missing, their own pace keeps {pace:.0%} and other work "
        f"{missing - pace:.0%}."
    )


_HOW = f"""Matrix rate: `torch.mm` of square matrices, the best of several sizes; FLOPs counted by
`FlopCounterMode` on the network as torchvision builds it, 2 a multiply-add. The network runs as in
the pass, on {IMAGES} tensors that lie ready, normalisation included; its share is FLOPs a second
over the matrix rate, both measured in turns. Time by kind of operator: `torch.profiler`, in a run
of its own."""

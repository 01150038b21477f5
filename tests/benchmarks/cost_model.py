"""What a fit costs, from measured constants: the table in BENCHMARKS.md."""

from __future__ import annotations

from dataclasses import dataclass

# Measured on 2 cores of an Intel Xeon with AMX; see BENCHMARKS.md.
JPEG_BYTES = 39_000
DECODED_A_SECOND = 1_000  # images a thread, decode and resize
DECODED_FOR_A_GPU = 400  # images a process, measured with 16 beside an H100
WIDTH = 1_280  # MobileNetV2
FEATURE_BYTES = 2 * WIDTH + 32  # float16, and the image's checksum
TABLE_BYTES = 17 + 40  # predictions of two classes, and the images table
GFLOP = {"VGG16": 30.9, "ResNet-50": 8.2, "MobileNetV2": 0.6}  # 2 a multiply-add, 224 pixels
CPU_A_SECOND = {"VGG16": 69, "ResNet-50": 110, "MobileNetV2": 430}
# The card's published dense bfloat16 rate, and the network's share of it: measured on one H100 for
# VGG16 (7,752 images a second) and MobileNetV2 (23,007), assumed for ResNet-50.
GPU_FLOPS = 989e12
GPU_SHARE = {"VGG16": 0.242, "ResNet-50": 0.1, "MobileNetV2": 0.014}


@dataclass(frozen=True)
class Machine:
    """A machine or many: processors for the network, threads that decode, bytes a second read."""

    name: str
    gpus: int
    threads: int
    disk: float


MACHINES = (
    Machine("1 CPU, 2 cores", 0, 2, 1.4e9),
    Machine("1 GPU, 16 cores", 1, 16, 5e9),
    Machine("8 × 8 GPUs, 8 × 128 cores", 64, 1024, 8 * 5e9),
)


def limits(machine: Machine, backbone: str) -> dict[str, float]:
    """Return images a second that the disk, the decoders and the network each allow."""
    on_gpus = machine.gpus * GPU_FLOPS * GPU_SHARE[backbone] / (GFLOP[backbone] * 1e9)
    # Without a GPU the network and the decoders share the same cores.
    return {
        "disk": machine.disk / JPEG_BYTES,
        "decoding": machine.threads * (DECODED_FOR_A_GPU if machine.gpus else DECODED_A_SECOND),
        "network": on_gpus or CPU_A_SECOND[backbone],
    }


def pass_seconds(machine: Machine, backbone: str, images: float) -> tuple[float, str]:
    """Return the time of the feature pass and what holds it."""
    allowed = limits(machine, backbone)
    slowest = min(allowed, key=allowed.__getitem__)
    seconds = images / allowed[slowest]
    if not machine.gpus:
        seconds = images * (1 / allowed["network"] + 1 / allowed["decoding"])
    return seconds, slowest


def told(seconds: float) -> str:
    """Return a time as a person says it."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def table() -> str:
    """Return the table of BENCHMARKS.md."""
    head = ("images", "on", "read", "written", "VGG16 PFLOP", *GFLOP)
    lines = [head, ["---"] * len(head)]
    for n, name in ((25e3, "25 thousand"), (1e6, "1 million"), (1e9, "1 billion")):
        sizes = [n * JPEG_BYTES / 1e9, n * (FEATURE_BYTES + TABLE_BYTES) / 1e9]
        said = [*(f"{size:,.1f} GB" for size in sizes), f"{n * GFLOP['VGG16'] / 1e6:,.1f}"]
        for machine in MACHINES:
            passes = [pass_seconds(machine, backbone, n) for backbone in GFLOP]
            cells = [f"{told(seconds)} ({slowest})" for seconds, slowest in passes]
            lines.append([name, machine.name, *said, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table())

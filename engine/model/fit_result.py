"""The result of a fit, and its summary in the run's config and environment."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch

from engine.data.dataset import Dataset
from engine.model.device import Device
from engine.model.openvino_network import openvino_version
from engine.runs.files import write_json
from engine.runs.precision_check import PrecisionCheck
from engine.runs.run import Run
from engine.runs.run_config import OPENVINO
from engine.runs.run_results import FoldsSummary, ImageCounts, Scores


@dataclass(frozen=True)
class FitResult:
    """The result of a fit: the run, its counts, scores and times (seconds by stage)."""

    run: Run
    n: ImageCounts
    accuracy: float
    log_loss: float
    forward_passes: int
    seconds: dict[str, float]
    images_per_second: float
    duplicates: list[dict[str, object]]
    resumed: bool
    precision_check: PrecisionCheck | None = None
    folds: FoldsSummary | None = None
    test: Scores | None = None  # where all test images are labelled
    warnings: tuple[str, ...] = ()
    weights_note: str = ""  # what lay around the tensors in a weights file

    def summary(self) -> dict[str, Any]:
        """Return the result as plain values for the command line's JSON."""
        config = self.run.config
        edits, effect = config.label_edits, config.label_edit_effect
        return {
            "run": self.run.name,
            "n": asdict(self.n),
            "valid": {"accuracy": self.accuracy, "log_loss": self.log_loss},
            "forward_passes": self.forward_passes,
            "seconds": {key: round(value, 3) for key, value in self.seconds.items()},
            "images_per_second": round(self.images_per_second, 1),
            "duplicates": self.duplicates,
            "notes": config.notes,
            "resumed": self.resumed,
            "warnings": list(self.warnings),
            "weights_note": self.weights_note,
            **({"backbones": asdict(config.compared)} if config.compared else {}),
            **({"test": asdict(self.test)} if self.test else {}),
            "precision": config.precision_sentence,
            "precision_check": asdict(self.precision_check) if self.precision_check else None,
            **({"folds": asdict(self.folds)} if self.folds else {}),
            **(
                {"corrections": asdict(edits), "change": effect and asdict(effect)} if edits else {}
            ),
        }


def image_counts(dataset: Dataset) -> ImageCounts:
    """Return the number of images of a data set in each split and in quarantine."""
    splits = dataset.images["split"].value_counts()
    train, valid, test = (int(splits.get(split, 0)) for split in ("train", "valid", "test"))
    return ImageCounts(train, valid, test, len(dataset.quarantine))


def save_result(result: FitResult, dataset: Dataset, device: Device, head_sha256: str) -> None:
    """Write the run's config and environment."""
    counts = dataset.of("train")["label"].value_counts()
    result.run.update_config(
        n=result.n,
        scores=Scores(result.accuracy, result.log_loss),
        train_counts={name: int(counts.get(name, 0)) for name in dataset.class_names},
        ignored=dataset.ignored,
        origin=dataset.origin.summary(),
        test_scores=result.test,
        notes=dataset.notes,
        duplicates=result.duplicates,
        head_sha256=head_sha256,
        precision_check=result.precision_check,
        out_of_fold=result.folds,
    )
    check, executors = result.precision_check, result.run.config.executors
    write_json(
        result.run.folder / "environment.json",
        {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": version("torchvision"),
            **({"openvino": openvino_version()} if OPENVINO in executors else {}),
            "platform": platform.platform(),
            "device": device.description,
            "precision": device.precision,
            "threads": torch.get_num_threads(),
            "seconds": result.seconds,
            "forward_passes": result.forward_passes,
            "images_per_second": result.images_per_second,
            "precision_check": check and asdict(check),
        },
    )

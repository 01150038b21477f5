"""fastai's Learner with a frozen body, or its `fine_tune`: what a fit is compared with.

FOLDER BACKBONE WEIGHTS EPOCHS [fine_tune]; prints the last valid log loss as JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import torch  # noqa: E402
import torchvision  # noqa: E402
from fastai.vision.all import (  # noqa: E402
    BnFreeze,
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Learner,
    Normalize,
    Resize,
    accuracy,
    default_split,
    imagenet_stats,
    model_meta,
    vision_learner,
)
from safetensors.torch import load_file  # noqa: E402

from tests.benchmarks.usual_loop import new_last_layer  # noqa: E402


def main(folder: str, backbone: str, weights: str, epochs: int) -> dict[str, float]:
    learner = frozen_learner(folder, backbone, weights)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs, 3e-3)
    return {"log_loss": float(learner.recorder.values[-1][1])}


def fine_tuned(folder: str, backbone: str, weights: str, epochs: int) -> dict[str, float]:
    """Train MobileNetV2 as fastai's first lesson does: one frozen epoch, then all layers."""

    def published(**_: Any) -> torch.nn.Module:
        model = torchvision.models.get_model(backbone)
        model.load_state_dict(load_file(weights))
        return model

    images = _images(folder)
    # MobileNetV2 has its features and its classifier as children: all but the last are the body.
    model_meta[published] = {"cut": -1, "split": default_split}
    learner = vision_learner(images, published, metrics=accuracy, normalize=False)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)
    _, log_loss, right = learner.recorder.values[-1]
    return {"log_loss": float(log_loss), "accuracy": float(right)}


def frozen_learner(folder: str, backbone: str, weights: str) -> Any:
    """Return a Learner whose last layer alone trains; batch statistics stay as they are."""
    dls = _images(folder)
    model = torchvision.models.get_model(backbone)
    model.load_state_dict(load_file(weights))
    model.requires_grad_(False)
    new_last_layer(model, dls.c)
    return Learner(dls, model, loss_func=CrossEntropyLossFlat(), train_bn=False, cbs=BnFreeze())


def _images(folder: str) -> Any:
    torch.manual_seed(0)
    return ImageDataLoaders.from_folder(
        folder, train="train", valid="valid", bs=64, num_workers=2, device=torch.device("cpu"),
        item_tfms=Resize(224), batch_tfms=Normalize.from_stats(*imagenet_stats),
    )  # fmt: skip


if __name__ == "__main__":
    work = fine_tuned if sys.argv[5:] == ["fine_tune"] else main
    print(json.dumps(work(*sys.argv[1:4], int(sys.argv[4]))))

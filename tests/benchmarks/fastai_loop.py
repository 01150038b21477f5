"""fastai's Learner with a frozen body, as a script: what a fit is compared with.

FOLDER BACKBONE WEIGHTS EPOCHS; prints the last valid log loss as JSON.
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
    imagenet_stats,
)
from safetensors.torch import load_file  # noqa: E402

from tests.benchmarks.usual_loop import new_last_layer  # noqa: E402


def main(folder: str, backbone: str, weights: str, epochs: int) -> dict[str, float]:
    learner = frozen_learner(folder, backbone, weights)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs, 3e-3)
    return {"log_loss": float(learner.recorder.values[-1][1])}


def frozen_learner(folder: str, backbone: str, weights: str) -> Any:
    """Return a Learner whose last layer alone trains; batch statistics stay as they are."""
    torch.manual_seed(0)
    dls = ImageDataLoaders.from_folder(
        folder, train="train", valid="valid", bs=64, num_workers=2, device=torch.device("cpu"),
        item_tfms=Resize(224), batch_tfms=Normalize.from_stats(*imagenet_stats),
    )  # fmt: skip
    model = torchvision.models.get_model(backbone)
    model.load_state_dict(load_file(weights))
    model.requires_grad_(False)
    new_last_layer(model, dls.c)
    return Learner(dls, model, loss_func=CrossEntropyLossFlat(), train_bn=False, cbs=BnFreeze())


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:4], int(sys.argv[4]))))

"""A run's model: the network that makes its features, and its head."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from engine import portable
from engine.data.dataset import Progress
from engine.errors import UserError
from engine.model.backbones import (
    check_backbone,
    feature_key,
    for_inference,
    load_network,
    load_state,
    split_network,
)
from engine.model.device import Device, choose_device
from engine.model.features import (
    Features,
    FrozenNetwork,
    ImageFiles,
    compute_features,
    kept_features,
)
from engine.model.head import Head
from engine.model.preprocessing import Preprocessing
from engine.model.ranks import ALONE, Ranks
from engine.model.views import averaged, views_of
from engine.model.weights import Weights, checked_finite, find_weights
from engine.runs.caches import decoded_cache
from engine.runs.fit_options import FitOptions
from engine.runs.opening import open_regular
from engine.runs.run import Run
from engine.runs.typed_json import from_json


@dataclass(frozen=True)
class Extractor:
    """A frozen network without its last layer, and the properties that identify its features.

    Attributes
    ----------
    backbone, weights, seed : the arguments that build the network
    steps : its preprocessing
    device : its device and precision
    body : fine-tuned tensors that replace the backbone's if the whole network was trained
    views : the number of views of an image whose features are averaged
    """

    backbone: str
    weights: Weights
    seed: int
    steps: Preprocessing
    device: Device
    body: Path | None = None
    views: int = 1

    @classmethod
    def of(
        cls, options: FitOptions, weights: Weights, steps: Preprocessing, device: Device
    ) -> Extractor:
        """Return the frozen network that the options of a fit name."""
        return cls(options.backbone, weights, options.seed, steps, device, views=options.views)

    def features(
        self,
        root: Path,
        images: pd.DataFrame,
        progress: Progress | None = None,
        ranks: Ranks = ALONE,
    ) -> Features:
        """Return the features of the images in an images table, each view cached by itself."""
        files = ImageFiles(root, images["path"].tolist(), images["sha256"].tolist())
        build = cache(self._build)  # once for all views

        def of_view(index: int, steps: Preprocessing) -> Features:
            def report(stage: str, done: int, total: int) -> None:
                if progress:
                    progress(stage, index * total + done, self.views * total)

            network = FrozenNetwork(self._folder(steps), build, steps, self.device)
            return compute_features(files, network, progress=report, ranks=ranks)

        return averaged([of_view(*each) for each in enumerate(views_of(self.steps, self.views))])

    def kept_features(self, images: pd.DataFrame) -> Features:
        """Return the cached features of those images that have some."""
        views = views_of(self.steps, self.views)
        return averaged([kept_features(self._folder(steps), images["sha256"]) for steps in views])

    def _folder(self, steps: Preprocessing) -> Path:
        key = feature_key(self.backbone, self.weights, steps, self.device.precision)
        return decoded_cache("features") / key

    def network(self) -> nn.Module:
        """Build the network without its last layer, unmodified and in float32."""
        if self.body is None:
            network, _ = split_network(self._whole(self.weights))
        else:
            network, _ = split_network(self._whole(Weights("none", "", None)))
            tensors = read_tensors(self.body, self.weights.sha256)
            load_state(
                network, {name[5:]: t for name, t in tensors.items() if name.startswith("body.")}
            )
        return network.eval()

    def _build(self) -> nn.Module:
        return for_inference(self.network(), self.device.dtype, self.device.name)

    def _whole(self, weights: Weights) -> nn.Module:
        return load_network(self.backbone, weights, self.seed, self.steps.crop)


def open_model(run: Run, device: Device | None = None) -> tuple[Extractor, Head]:
    """Open the model of a run: its extractor and its head.

    Raises
    ------
    UserError
        If a file is missing, damaged, or differs from the one used by the run.
    """
    try:
        extractor, head = _opened(run, device)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{run.folder / 'config.json'} is damaged ({error!r}).") from error
    if len(head.bias) != len(run.class_names):
        raise UserError(
            f"run {run.name} is damaged: its head has {len(head.bias)} classes, its config.json "
            f"{len(run.class_names)}."
        )
    return extractor, head


def _opened(run: Run, device: Device | None) -> tuple[Extractor, Head]:
    config = run.config
    if config.head_sha256 is None:
        what = "a blend" if config.blend else "imported, or its fit did not finish"
        raise UserError(f"run {run.name} has no model: it is {what}.")
    check_backbone(config.backbone)
    options, initial, described = run.fit_options, config.weights, config.preprocessing
    if initial is None or described is None:
        raise UserError(f"run {run.name} is damaged: its weights or preprocessing are not named.")
    device = device or choose_device(precision=options.precision)
    steps = from_json(Preprocessing, described, f"run {run.name} is damaged: preprocessing.")
    if options.train == "all":
        path = run.folder / "model.safetensors"
        tensors = read_tensors(path, config.head_sha256)
        weights = Weights(str(path), config.head_sha256, path)
        extractor = Extractor(config.backbone, weights, options.seed, steps, device, body=path)
        return extractor, Head(tensors["head.weight"], tensors["head.bias"])
    weights = find_weights(config.backbone, initial.source, options.seed)
    if weights.sha256 != initial.sha256:
        raise UserError(
            f"run {run.name} was made with weights that differ from {weights.source} "
            f"(sha256 {initial.sha256[:12]}…); restore that file."
        )
    tensors = read_tensors(run.folder / "head.safetensors", config.head_sha256)
    extractor = Extractor(
        config.backbone, weights, options.seed, steps, device, views=options.views
    )
    return extractor, Head(tensors["weight"], tensors["bias"])


def read_tensors(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    """Read a safetensors file after checking its checksum.

    Raises
    ------
    UserError
        If it is missing or its content has changed.
    """
    try:
        with open_regular(path) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise UserError(
                    f"{path} is damaged: its checksum differs from the one in config.json."
                )
            tensors = load_file(portable.name_of_open(file.fileno(), path))
        return checked_finite(tensors, path)
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}).") from error
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}).") from error

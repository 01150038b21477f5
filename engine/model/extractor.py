"""A run's model: the network that makes its features, and its head."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pandas as pd
from torch import nn

from engine.data.dataset import Progress
from engine.errors import UserError
from engine.model.backbones import (
    check_backbone,
    feature_key,
    folded,
    for_inference,
    load_extractor,
    load_state,
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
from engine.model.openvino_network import OpenVinoUnusable, openvino_network
from engine.model.preprocessing import Preprocessing, preprocessing
from engine.model.ranks import ALONE, Ranks
from engine.model.shards import missing_names
from engine.model.side_by_side import side_by_side
from engine.model.views import averaged, views_of
from engine.model.weights import Weights, find_weights, read_tensors
from engine.runs.caches import decoded_cache
from engine.runs.fit_options import FitOptions
from engine.runs.run import Run
from engine.runs.run_config import OPENVINO, TORCH, NetworkUsed
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
    beside : further networks, whose features stand beside those of this one
    scales : the factor of each network's features where there are several; () to find them
    openvino : whether OpenVINO computes the features instead of PyTorch
    """

    backbone: str
    weights: Weights
    seed: int
    steps: Preprocessing
    device: Device
    body: Path | None = None
    views: int = 1
    beside: tuple[Extractor, ...] = ()
    scales: tuple[float, ...] = ()
    openvino: bool = False

    @classmethod
    def of(cls, options: FitOptions, weights: Sequence[Weights], device: Device) -> Extractor:
        """Return the frozen networks that the options of a fit name."""
        first, *others = (
            cls(
                name, each, options.seed, preprocessing(name, options.image_size, source), device,
                views=options.views,
            )
            for (name, source), each in zip(options.networks, weights, strict=True)
        )  # fmt: skip
        return replace(first, beside=tuple(others))

    @property
    def every(self) -> tuple[Extractor, ...]:
        """Return the extractor of each network by itself."""
        return replace(self, beside=(), scales=()), *self.beside

    @property
    def executors(self) -> tuple[str, ...]:
        """Return what computes each network, as the run's config holds it."""
        return tuple(OPENVINO if each.openvino else TORCH for each in self.every)

    @property
    def decoded_short(self) -> int:
        """Return the short side that a large JPEG must keep for all networks, in pixels."""
        return max(each.steps.decoded_short for each in self.every)

    def on(self, device: Device) -> Extractor:
        """Return the same networks on another device, or in another precision."""
        return replace(self, device=device, beside=tuple(each.on(device) for each in self.beside))

    def by_torch(self) -> Extractor:
        """Return the same networks, all computed by PyTorch."""
        return replace(self, openvino=False, beside=tuple(each.by_torch() for each in self.beside))

    def with_views(self, views: int) -> Extractor:
        """Return the same networks with another number of views."""
        beside = tuple(each.with_views(views) for each in self.beside)
        return replace(self, views=views, beside=beside)

    def features(
        self,
        root: Path,
        images: pd.DataFrame,
        progress: Progress | None = None,
        ranks: Ranks = ALONE,
    ) -> Features:
        """Return the features of the images in an images table.

        Those of each network and each view are cached by themselves.
        """
        if self.beside:
            n = len(self.every)

            def of(index: int, each: Extractor) -> Features:
                def report(stage: str, done: int, total: int) -> None:
                    if progress:
                        progress(stage, index * total + done, n * total)

                return each.features(root, images, report, ranks)

            return side_by_side([of(*each) for each in enumerate(self.every)], self.scales)
        files = ImageFiles(root, images["path"].tolist(), images["sha256"].tolist())
        build = cache(self.build)  # once for all views

        def of_view(index: int, steps: Preprocessing) -> Features:
            def report(stage: str, done: int, total: int) -> None:
                if progress:
                    progress(stage, index * total + done, self.views * total)

            network = FrozenNetwork(self._folder(steps), build, steps, self.device)
            return compute_features(files, network, progress=report, ranks=ranks)

        try:
            views = views_of(self.steps, self.views)
            return averaged([of_view(*each) for each in enumerate(views)])
        except OpenVinoUnusable as error:
            print(f"{error}; PyTorch computes the features of {self.backbone}.", file=sys.stderr)
            return self.by_torch().features(root, images, progress, ranks)

    def missing(self, images: pd.DataFrame) -> int:
        """Return how many views of images this network by itself has to compute."""
        views = views_of(self.steps, self.views)
        return sum(missing_names(self._folder(steps), images["sha256"]) for steps in views)

    def kept_features(self, images: pd.DataFrame) -> Features:
        """Return the cached features of those images that have some."""
        if self.beside:
            return side_by_side([each.kept_features(images) for each in self.every], self.scales)
        views = views_of(self.steps, self.views)
        return averaged([kept_features(self._folder(steps), images["sha256"]) for steps in views])

    def _folder(self, steps: Preprocessing) -> Path:
        key = feature_key(self.backbone, self.weights, steps, self.device.precision, self.openvino)
        return decoded_cache("features") / key

    def network(self) -> nn.Module:
        """Build the network without its last layer, unmodified and in float32.

        Of several networks it is the first; see `every`.
        """
        if self.body is None:
            network = self._loaded(self.weights)
        else:
            network = self._loaded(Weights("none", "", None))
            tensors = read_tensors(self.body, self.weights.sha256)
            load_state(
                network, {name[5:]: t for name, t in tensors.items() if name.startswith("body.")}
            )
        return network.eval()

    def build(self) -> nn.Module:
        """Build the network that makes the features.

        Raises
        ------
        OpenVinoUnusable
            If OpenVINO was to compute it and cannot.
        """
        if self.openvino:
            return openvino_network(folded(self.network()), self.device, self.steps.crop)
        return for_inference(self.network(), self.device.dtype, self.device.name)

    def _loaded(self, weights: Weights) -> nn.Module:
        return load_extractor(self.backbone, weights, self.seed, self.steps.crop)


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
            f"{len(run.class_names)}; fit again."
        )
    return extractor, head


def _opened(run: Run, device: Device | None) -> tuple[Extractor, Head]:
    config = run.config
    if config.head_sha256 is None:
        what = "a blend" if config.blend else "imported, or its fit did not finish"
        raise UserError(f"run {run.name} has no model: it is {what}.")
    options = run.fit_options
    device = device or choose_device(precision=options.precision)
    if not config.networks:
        raise UserError(
            f"run {run.name} is damaged: its weights or preprocessing are not named; fit again."
        )
    if options.train == "all":
        path = run.folder / "model.safetensors"
        tensors = read_tensors(path, config.head_sha256)
        weights = Weights(str(path), config.head_sha256, path)
        steps = _steps(run, config.networks[0])
        extractor = Extractor(config.backbone, weights, options.seed, steps, device, body=path)
        return extractor, Head(tensors["head.weight"], tensors["head.bias"])
    executors = config.executors or (TORCH,) * len(config.networks)
    first, *others = (
        Extractor(
            each.name, _weights(run, each), options.seed, _steps(run, each), device,
            views=options.views, openvino=executor == OPENVINO,
        )
        for each, executor in zip(config.networks, executors, strict=True)
    )  # fmt: skip
    tensors = read_tensors(run.folder / "head.safetensors", config.head_sha256)
    scales = tuple(tensors["scales"].tolist()) if others else ()
    extractor = replace(first, beside=tuple(others), scales=scales)
    return extractor, Head(tensors["weight"], tensors["bias"])


def _steps(run: Run, network: NetworkUsed) -> Preprocessing:
    check_backbone(network.name)
    where = f"run {run.name} is damaged: preprocessing."
    return from_json(Preprocessing, network.preprocessing, where)


def _weights(run: Run, network: NetworkUsed) -> Weights:
    """Return the weights that a network of a run was made with."""
    weights = find_weights(network.name, network.weights.source, run.fit_options.seed)
    if weights.sha256 != network.weights.sha256:
        raise UserError(
            f"run {run.name} was made with weights that differ from {weights.source} "
            f"(sha256 {network.weights.sha256[:12]}…); restore that file."
        )
    return weights

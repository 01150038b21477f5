"""Predicts and explains an image that belongs to no run, from its bytes."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import Any

import torch

from engine.data.formats import Unreadable
from engine.data.images import Reduced, decode_reduced
from engine.data.overlays import laid_over, overlay
from engine.errors import UserError
from engine.model.device import choose_device
from engine.model.extractor import Extractor, open_model
from engine.model.features import Features
from engine.model.heat_maps import HeatMaps, open_networks
from engine.model.side_by_side import side_by_side
from engine.model.training_features import TrainingFeatures
from engine.model.views import averaged, views_of
from engine.runs.explanations import Neighbour
from engine.runs.run import Run

MOST_CLASSES, _MAPS = 6, 2  # the likeliest classes that are listed, and that have a heat map
_KEY = "tried"


@dataclass(frozen=True)
class PredictedImage:
    """A run's prediction for an image, with heat maps and neighbours.

    Attributes
    ----------
    classes : the likeliest classes with their probabilities
    maps : class, and the image with its heat map as base64 of a PNG, '' without any evidence
    neighbours : the nearest training images, as :meth:`TrainingFeatures.nearest` returns them
    map_note, note : why there are no heat maps, and why no neighbours; '' if there are some
    """

    classes: list[tuple[str, float]]
    maps: list[tuple[str, str]]
    neighbours: list[Neighbour]
    map_note: str
    note: str

    def plain(self) -> dict[str, Any]:
        """Return the prediction as plain values for JSON."""
        return asdict(self)


class ImagePredictor:
    """A run's networks, kept open for images that are not in the run.

    Raises
    ------
    UserError
        If the run has no model.
    """

    def __init__(self, run: Run) -> None:
        self.class_names = run.class_names
        self._extractor, self._head = open_model(run)
        device = choose_device(precision="float32").name
        self._networks = open_networks(self._extractor, device)
        self._device, self._map_note = device, ""
        self._heat_maps: HeatMaps | None = None
        try:
            self._heat_maps = HeatMaps(self._extractor, self._head, self._networks)
        except UserError as error:
            self._map_note = str(error)
        images = run.images
        self._learnt = TrainingFeatures.of(run, images, self._extractor.kept_features(images))

    def of(self, content: bytes) -> PredictedImage:
        """Return the run's prediction for an image.

        Raises
        ------
        UserError
            If the bytes are not an image that can be decoded.
        """
        try:
            features = self._features(content)
            p = self._head.probabilities(features)[0]
            order = p.argsort(descending=True).tolist()
            maps = self._maps(content, order[:_MAPS]) if self._heat_maps else []
        except Unreadable as error:
            raise UserError(f"the image cannot be decoded: {error}.") from error
        return PredictedImage(
            [(self.class_names[i], float(p[i])) for i in order[:MOST_CLASSES]],
            maps, self._learnt.nearest(features.numpy()), self._map_note, self._learnt.note,
        )  # fmt: skip

    def _features(self, content: bytes) -> torch.Tensor:
        """Return the features as the run's own images have them, (1, width)."""
        found = []
        for each, network in zip(self._extractor.every, self._networks, strict=True):
            image = decode_reduced(content, each.steps.decoded_short)
            views = [
                Features(self._passed(each, network, image, view), {_KEY: 0}, {}, 1)
                for view in range(each.views)
            ]
            found.append(averaged(views))
        joined = side_by_side(found, self._extractor.scales) if len(found) > 1 else found[0]
        return joined.of([_KEY])

    def _passed(
        self, each: Extractor, network: torch.nn.Module, image: Reduced, view: int
    ) -> torch.Tensor:
        steps = views_of(each.steps, each.views)[view]
        small = steps.resized(image.pixels, image.sides)[None].to(self._device)
        with torch.inference_mode():
            passed: torch.Tensor = network(steps.normalised(small, torch.float32))
        return passed.cpu().half()

    def _maps(self, content: bytes, classes: list[int]) -> list[tuple[str, str]]:
        assert self._heat_maps
        image = decode_reduced(content, self._extractor.decoded_short)
        height, width = image.pixels.shape[-2:]
        seen = self._heat_maps.of(image, classes)
        drawn = []
        for index, heat in zip(classes, seen.maps, strict=True):
            over = overlay(heat, (width, height), seen.box)
            shown = laid_over(content, over) if float(heat.max()) > 0 else b""
            drawn.append((self.class_names[index], base64.b64encode(shown).decode("ascii")))
        return drawn

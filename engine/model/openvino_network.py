"""A frozen network that OpenVINO, an optional package, computes on a CPU."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from engine.model.device import Device

_TELEMETRY = "openvino_telemetry"
_AT_ONCE = 8  # images: OpenVINO is up to a seventh slower with 16, PyTorch is not


class OpenVinoUnusable(Exception):
    """OpenVINO is not installed, or cannot compute a network; the message says why."""


class OpenVinoNetwork(nn.Module):
    """A network that OpenVINO computes, compiled for the shape of the first images.

    Attributes
    ----------
    plain : the network that it was made of, as the only item of a tuple, so that it is not a part

    Raises
    ------
    OpenVinoUnusable
        If OpenVINO cannot compile the network or compute a batch.
    """

    def __init__(self, network: nn.Module, model: Any, device: Device) -> None:
        super().__init__()
        self.plain = (network,)
        self._model, self._device = model, device
        self._request: Any = None
        self._size = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features, float32 (B, width), of images (B, 3, crop, crop)."""
        return torch.cat([self._features(some) for some in torch.split(images, _AT_ONCE)])

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        rows = images.float().permute(0, 2, 3, 1).contiguous()  # without a copy: channels last
        try:
            if len(rows) != self._size:
                self._request = _compiled(self._model, tuple(rows.shape), self._device)
                self._size = len(rows)
            result = self._request.infer([rows.numpy()], share_inputs=True)
            return torch.from_numpy(result[0])
        except Exception as error:
            raise _unusable(error) from error


def openvino_installed() -> bool:
    """Return whether OpenVINO is installed, without importing it."""
    return find_spec("openvino") is not None


def openvino_version() -> str:
    """Return OpenVINO's version, without importing it; "unknown" where its package has none."""
    try:
        return version("openvino")
    except PackageNotFoundError:
        return "unknown"


def openvino_network(network: nn.Module, device: Device, crop: int) -> nn.Module:
    """Convert a network with float32 weights for OpenVINO.

    Nothing is kept on the disk: the conversion takes about as long as reading a kept one would.

    Parameters
    ----------
    network : on the CPU; it is traced on two images
    device : of a CPU, with the precision that OpenVINO computes in
    crop : the side of its images in pixels

    Raises
    ------
    OpenVinoUnusable
        If OpenVINO is missing, the device is no CPU, or an operation cannot be converted.

    Examples
    --------
    >>> device = Device("cpu", torch.float32, 16)
    >>> layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten()).eval()
    >>> images = torch.randn(2, 3, 16, 16)
    >>> with torch.inference_mode():
    ...     converted = openvino_network(layers, device, 16)
    ...     torch.allclose(converted(images), layers(images), atol=1e-5)
    True
    """
    if device.name != "cpu":
        raise OpenVinoUnusable(f"OpenVINO is for a CPU, not {device.name}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit.trace is deprecated
            return OpenVinoNetwork(network, _converted(network, crop), device)
    except Exception as error:
        raise _unusable(error) from error


def _openvino() -> Any:
    """Import OpenVINO without the module by which it would report its use to its makers."""
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]
    import openvino

    return openvino


@torch.inference_mode()
def _converted(network: nn.Module, crop: int) -> Any:
    """Return the model of OpenVINO, whose images are (B, crop, crop, 3)."""
    openvino = _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(2, 3, crop, crop)
    traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
    reader = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # which must live as long as the conversion
    model = reader.convert(reader.load(decoder))
    model.reshape([-1, 3, crop, crop])
    steps = openvino.preprocess.PrePostProcessor(model)
    images = steps.input()
    images.tensor().set_element_type(openvino.Type.f32).set_layout(openvino.Layout("NHWC"))
    images.model().set_layout(openvino.Layout("NCHW"))
    return steps.build()


def _compiled(model: Any, shape: tuple[int, ...], device: Device) -> Any:
    """Return a request that computes batches of one shape, on as many threads as PyTorch."""
    openvino = _openvino()
    model.reshape(list(shape))
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if device.dtype == torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # several processes would share the first cores
    }
    return openvino.Core().compile_model(model, "CPU", settings).create_infer_request()


def _unusable(error: Exception) -> OpenVinoUnusable:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return OpenVinoUnusable(f"OpenVINO cannot be used ({lines[0][:160]})")

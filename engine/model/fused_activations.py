"""Convolutions that apply the ReLU behind them before their result is written to memory."""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

import torch
from torch import nn
from torch.fx import GraphModule, Node


class _Activation(NamedTuple):
    """An activation by oneDNN's name, and its numbers."""

    name: str
    numbers: tuple[float, ...] = ()


_FUNCTIONS: dict[object, _Activation] = {
    torch.relu: _Activation("relu"),
    torch.relu_: _Activation("relu"),
    nn.functional.relu: _Activation("relu"),
    nn.functional.relu6: _Activation("hardtanh", (0.0, 6.0)),
}
_METHODS = {"relu": _Activation("relu"), "relu_": _Activation("relu")}


class FusedConvolution(nn.Module):
    """A convolution and its activation in one call of oneDNN.

    Only activations that return their input or a bound are fused, which rounding to bfloat16 does
    not move. So the bits are those of oneDNN's convolution followed by the activation; PyTorch
    computes some shapes by another library if it has one thread, where the last bits differ.
    """

    def __init__(self, convolution: nn.Conv2d, activation: _Activation) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self._arguments = (
            list(convolution.padding), list(convolution.stride), list(convolution.dilation),
            convolution.groups, activation.name, list(activation.numbers), "",
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the activations (B, channels, H, W) of images or activations (B, C, H, W)."""
        run = torch.ops.mkldnn._convolution_pointwise
        result: torch.Tensor = run(images, self.weight, self.bias, *self._arguments)
        return result


def fuse_activations(network: nn.Module) -> nn.Module:
    """Fuse each convolution with the ReLU that alone reads it; return the network.

    It is for inference on a CPU: a fused convolution has no gradient. A network that was not
    traced stays unchanged, and so does every network where PyTorch lacks the call (it is not a
    public one) or the processor lacks it in this precision.

    Parameters
    ----------
    network : with its parameters on the CPU, all of one precision, traced by `torch.fx`

    Examples
    --------
    >>> layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> images = torch.randn(2, 3, 16, 16)
    >>> with torch.inference_mode():
    ...     fused = fuse_activations(torch.fx.symbolic_trace(layers))
    ...     torch.allclose(fused(images), layers(images), atol=1e-6)
    True
    """
    if not isinstance(network, GraphModule):
        return network
    precision = next((each.dtype for each in network.parameters()), None)
    if precision is None or not _available(precision):
        return network
    modules = dict(network.named_modules())
    calls = [node for node in network.graph.nodes if node.op == "call_module"]
    for node in calls:
        convolution = modules.get(str(node.target))
        activation = _activation_behind(node, modules)
        called_once = sum(each.target == node.target for each in calls) == 1
        if activation and called_once and _is_fusible(convolution):
            path, _, name = str(node.target).rpartition(".")
            setattr(network.get_submodule(path), name, FusedConvolution(convolution, activation))
            behind = next(iter(node.users))
            behind.replace_all_uses_with(node)
            network.graph.erase_node(behind)
    network.recompile()
    return network


def _is_fusible(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    """Return whether this is a convolution whose padding is numbers of zeros."""
    return (
        type(module) is nn.Conv2d
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def _activation_behind(node: Node, modules: dict[str, nn.Module]) -> _Activation | None:
    """Return the activation that is the only reader of a node, if it can be fused."""
    if len(node.users) != 1:
        return None
    behind = next(iter(node.users))
    if behind.op == "call_function":
        return _FUNCTIONS.get(behind.target)
    if behind.op == "call_method":
        return _METHODS.get(str(behind.target))
    if behind.op != "call_module":
        return None
    module = modules[str(behind.target)]
    if type(module) is nn.ReLU6:
        return _Activation("hardtanh", (0.0, 6.0))
    return _Activation("relu") if type(module) is nn.ReLU else None


def _available(precision: torch.dtype) -> bool:
    """Return whether PyTorch has the call for this processor, and it computes the same."""
    images = torch.linspace(-9, 9, 2 * 3 * 5 * 5).reshape(2, 3, 5, 5).to(precision)
    with torch.random.fork_rng(devices=[]):
        convolution = nn.Conv2d(3, 4, 3, dtype=precision)
    try:
        with torch.inference_mode():
            for parameter in convolution.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape))
            fused = FusedConvolution(convolution, _Activation("relu"))(images)
            return torch.allclose(torch.relu(convolution(images)), fused, rtol=1e-2)
    except (AttributeError, RuntimeError, TypeError):  # no such call, or not with these arguments
        return False

"""torchvision, imported without PyTorch's compiler, which takes nine tenths of the time.

``from engine.light_torchvision import torchvision`` is ``import torchvision``, only faster:
torchvision's ROIAlign asks the compiler one question when it is called, and imports all of it for
that (2 s of a processor). Here it gets a function that imports the compiler when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_COMPILER, _UTILS, _ASKED = "torch._dynamo", "torch._dynamo.utils", "is_compile_supported"


class _Deferred(ModuleType):
    """A module that becomes the real one as soon as anything unforeseen is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by the import system itself
            raise AttributeError(name)
        _remove()
        return getattr(import_module(self.__name__), name)


def _is_compile_supported(device: Any) -> Any:
    return getattr(import_module(_UTILS), _ASKED)(device)


def _remove() -> None:
    for name in (_COMPILER, _UTILS):
        if isinstance(sys.modules.get(name), _Deferred):
            del sys.modules[name]


@contextmanager
def _without_compiler() -> Iterator[None]:
    torch = import_module("torch")
    if _COMPILER not in sys.modules:
        package, utils = _Deferred(_COMPILER), _Deferred(_UTILS)
        package.__path__ = [str(Path(torch.__file__ or "").with_name("_dynamo"))]
        setattr(utils, _ASKED, _is_compile_supported)
        sys.modules |= {_COMPILER: package, _UTILS: utils}
    try:
        yield
    finally:
        _remove()


with _without_compiler():
    import torchvision as torchvision

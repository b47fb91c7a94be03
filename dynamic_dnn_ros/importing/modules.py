# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A PyTorch module as a user names it: a model of torchvision or timm, or a function of theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import importlib.util
from pathlib import Path

import torch
from torch import nn

from dynamic_dnn_ros.importing.checkpoint import load_tensors, read_tensors
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.library_models import LIBRARIES, LibraryModel, make, parse_name
from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing, Resize

_SIDE = 224
_IMAGENET = Preprocessing(
    Resize.CENTER_CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), Interpolation.BILINEAR
)


@dataclasses.dataclass(frozen=True)
class NamedModule:
    """
    A module.

    :param name: of the model or function, without what it is from.
    :param side: of the pictures that it was designed for, pixels.
    :param trained: whether its weights are trained ones; those of a function are taken for such.
    """

    module: nn.Module
    name: str
    side: int
    preprocessing: Preprocessing
    trained: bool


def named_module(source: str, weights: Path | None, say: Callable[[str], None]) -> NamedModule:
    """
    Return the module that a user names.

    :param source: torchvision:NAME, timm:NAME or FILE.py:FUNCTION; the function is called without
        arguments and returns the module, with its weights or without.
    :param weights: a file of weights; of as many classes as it has, where that can be told.
    :param say: is told what was found out.
    :raises ImportingError: if there is none, or the weights do not fit.
    :raises ModuleNotFoundError: when the library is not installed.
    """
    own = source.partition(':')[0] not in LIBRARIES
    found = _of_function(source) if own else _of_library(source, None)
    if weights is None:
        return found
    tensors = read_tensors(weights, say)
    classes = None if own else _classes_of(tensors, found.module)
    if classes is not None:
        say(f'weights: of {classes} classes')
        found = _of_library(source, classes)
    load_tensors(found.module, tensors, weights, say)
    return dataclasses.replace(found, trained=True)


def _of_library(source: str, classes: int | None) -> NamedModule:
    library, name = parse_name(source)
    labels = None if classes is None else [str(index) for index in range(classes)]
    made = make(LibraryModel(library, name, None), labels)
    if made.traced is not made.network or made.outputs != ('logits',):
        raise ImportingError(
            source,
            'is no classifier',
            'Classifiers can be made dynamic; import others as they are',
        )
    side = max(made.size)
    return NamedModule(made.network, name, side, made.assumption.preprocessing, trained=False)


def _classes_of(tensors: Mapping[str, torch.Tensor], module: nn.Module) -> int | None:
    """Return the number of classes of weights where it alone differs from that of a module."""
    others = {
        tensors[name].shape[0]
        for name, own in module.state_dict().items()
        if name in tensors
        and tensors[name].ndim
        and tensors[name].shape != own.shape
        and tensors[name].shape[1:] == own.shape[1:]
    }
    return others.pop() if len(others) == 1 else None


def _of_function(source: str) -> NamedModule:
    file, _, function = source.rpartition(':')
    path = Path(file).expanduser()
    if path.suffix != '.py' or not function.isidentifier():
        raise ImportingError(
            source,
            'is no network',
            'Write torchvision:NAME, timm:NAME, or FILE.py:FUNCTION for one of your own',
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ImportingError(path, 'is no file', 'Name the file with the function')
    code = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(code)
        module = getattr(code, function)()
    # It is the user's code: whatever it raises is told.
    except Exception as error:
        raise ImportingError(
            source, f'failed ({type(error).__name__}: {error})', 'Mend the function'
        ) from error
    if not isinstance(module, nn.Module):
        raise ImportingError(
            source, f'returns {type(module).__name__}', 'Let it return a torch.nn.Module'
        )
    return NamedModule(module, function, _SIDE, _IMAGENET, trained=True)

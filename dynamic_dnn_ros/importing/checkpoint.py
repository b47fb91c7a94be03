# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Load a checkpoint into a model, whatever a training wrapped around its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
import torch
from torch import nn

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.networks.checkpoint_file import CheckpointFileError, load_checkpoint

#: Where checkpoints keep the tensors: averaged ones first, which trainings measure.
_PLACES = ('model_ema', 'ema', 'state_dict_ema', 'state_dict', 'model_state_dict', 'model')

#: What wrappers put in front of names: of distributed training, torch.compile, averaging.
_PREFIXES = ('module.', '_orig_mod.', 'ema.', 'model.')

#: Tensors that are counters, or made anew by the model.
_UNNEEDED = ('num_batches_tracked', 'n_averaged')

#: Parts that only training uses, and that models leave out without it.
_FOR_TRAINING = ('aux_classifier.', 'aux1.', 'aux2.', 'AuxLogits.')

_LISTED = 3


def read_tensors(path: Path, say: Callable[[str], None]) -> dict[str, torch.Tensor]:
    """
    Read the tensors of a checkpoint; a pickle that names code is refused, not run.

    :param say: is told where in the file they were
    :raises ImportingError: when the file cannot be read, would run code, or holds no tensors
    """
    content = _safetensors(path) if path.suffix == '.safetensors' else _pickle(path)
    places: list[str] = []
    while isinstance(content, Mapping) and not _is_state(content):
        place = next((key for key in _PLACES if isinstance(content.get(key), Mapping)), None)
        if place is None:
            break
        places.append(place)
        content = content[place]
    if not isinstance(content, Mapping) or not _is_state(content):
        kind = type(content).__name__
        raise ImportingError(
            path,
            f'holds no tensors by name, but {kind}',
            'Save them with torch.save(model.state_dict(), path)',
        )
    if places:
        say(f'weights: those under {" / ".join(map(repr, places))} of {path.name}')
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _pickle(path: Path) -> Any:
    try:
        return load_checkpoint(path)
    except CheckpointFileError as error:
        raise ImportingError(path, error.problem, error.remedy) from error


def _safetensors(path: Path) -> Any:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise ImportingError(
            path, f'cannot be opened ({error.strerror or error})', 'Name a file of weights'
        ) from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise ImportingError(
            path, f'is damaged, or no safetensors file ({error})', 'Save or copy it again'
        ) from error


def load_tensors(
    module: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    where: object,
    say: Callable[[str], None],
) -> None:
    """
    Load tensors into a model: all of them, and nothing is left over.

    :param say: is told which prefixes were taken off the names
    :raises ImportingError: naming tensors that are missing, left over or of another shape
    """
    wanted = {name: value for name, value in module.state_dict().items() if not _unneeded(name)}
    found = dict(tensors)
    removed: list[str] = []
    while not set(wanted) <= set(found):
        prefix = next(
            (each for each in _PREFIXES if any(name.startswith(each) for name in found)), None
        )
        if prefix is None or any(name.startswith(prefix) for name in wanted if name not in found):
            break
        # Also once more where it is doubled; what has none beside those keeps its name.
        found = {name.removeprefix(prefix): value for name, value in found.items()}
        removed.append(prefix)
    if removed:
        say(f'weights: {" and ".join(map(repr, removed))} taken off the names')
    missing = sorted(set(wanted) - set(found))
    left = {name for name in set(found) - set(wanted) if not _unneeded(name)}
    extra = sorted(name for name in left if not name.startswith(_FOR_TRAINING))
    if len(extra) < len(left):
        say(f'weights: {len(left) - len(extra)} tensors that only training uses are left out')
    if missing or extra:
        raise ImportingError(
            where,
            f'does not fit the model: {_few(missing, "missing")}; {_few(extra, "left over")}',
            'Name the model that the weights were trained for',
        )
    for name, value in wanted.items():
        if found[name].shape != value.shape:
            raise ImportingError(
                where,
                f'does not fit the model: {name} is {_shape(found[name])}, the model needs '
                f'{_shape(value)}',
                'Give the labels that it was trained with, one a class, with --labels; or name '
                'the right model',
            )
    module.load_state_dict({name: found[name] for name in wanted}, strict=False)


def _is_state(content: Mapping[Any, Any]) -> bool:
    """Return whether a mapping holds tensors by name; some files have a few values beside."""
    tensors = sum(isinstance(value, torch.Tensor) for value in content.values())
    return tensors > 0 and all(isinstance(name, str) for name in content)


def _unneeded(name: str) -> bool:
    return name.rpartition('.')[2] in _UNNEEDED


def _few(names: list[str], what: str) -> str:
    if not names:
        return f'none {what}'
    more = ', ...' if len(names) > _LISTED else ''
    return f'{len(names)} {what} ({", ".join(names[:_LISTED])}{more})'


def _shape(tensor: torch.Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'one number'

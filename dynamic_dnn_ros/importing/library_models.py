# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Models of torchvision and timm: made by name, given a user's weights, exported as ONNX.

By the exporter of PyTorch that traces: it needs no further package and takes the control flow of
torchvision's detectors, whose own scaling and normalisation stay inside of the graph. The size of
the input is fixed in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import tempfile
from typing import Any
import warnings

import onnx
import torch
from torch import nn

from dynamic_dnn_ros.importing.checkpoint import load_tensors, read_tensors
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.known_labels import COCO
from dynamic_dnn_ros.importing.model import Given
from dynamic_dnn_ros.importing.presets import Assumption
from dynamic_dnn_ros.importing.torchvision_operators import ensure_operators
from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size

#: Of the exported graph: RoI align of it is that of torchvision, and all runtimes read it.
OPERATOR_SET = 17

LIBRARIES = ('torchvision', 'timm')

_BACKGROUND = '__background__'

#: Classes of torchvision's detectors for COCO: its numbers from 0 to 90, of which 80 are used.
_COCO_NUMBERS = 91


@dataclass(frozen=True)
class LibraryModel:
    """
    A model of a library, as it was named.

    :param weights: file of the user's; None for random ones
    :param size: of the input; None for that of the library
    """

    library: str
    name: str
    weights: Path | None
    size: Size | None = None

    def __str__(self) -> str:
        """Return how the command names it."""
        return f'{self.library}:{self.name}'


def parse_name(text: str) -> tuple[str, str]:
    """
    Return library and model of `torchvision:resnet18`.

    :raises ImportingError: when the library is none of those known
    """
    library, colon, name = text.partition(':')
    if not colon or library not in LIBRARIES or not name:
        raise ImportingError(
            text,
            'is no model of a library',
            'Write torchvision:NAME or timm:NAME, torchvision:ssdlite320_mobilenet_v3_large for '
            'example',
        )
    return library, name


def exported(
    model: LibraryModel, labels: Sequence[str] | None, say: Callable[[str], None]
) -> Given:
    """
    Make a model, load its weights and export it.

    :param labels: of the weights; None for those that the library's own weights have
    :raises ImportingError: for an unknown name, weights that do not fit, or a failing export
    :raises ModuleNotFoundError: when the library is not installed
    """
    made = make(model, labels)
    if model.weights is not None:
        load_tensors(made.network, read_tensors(model.weights, say), model.weights, say)
    size = model.size or made.size
    return Given(
        stem=model.name,
        where=str(model),
        model=_traced(made.traced, size, made.outputs, str(model)),
        labels=made.labels if labels is None else tuple(labels),
        assumption=made.assumption,
    )


def make(model: LibraryModel, labels: Sequence[str] | None) -> Made:
    """
    Make a model with weights drawn at random.

    :param labels: its classes; None for those that the library's own weights have
    :raises ImportingError: for an unknown name
    :raises ModuleNotFoundError: when the library is not installed
    """
    return _torchvision(model, labels) if model.library == 'torchvision' else _timm(model, labels)


@dataclass(frozen=True)
class Made:
    """A network as its library has it, and what of it is traced."""

    network: nn.Module
    traced: nn.Module
    size: Size
    outputs: tuple[str, ...]
    assumption: Assumption
    labels: tuple[str, ...] | None


class _Output(nn.Module):
    """A network that returns one tensor of what it has in a dictionary: a segmenter."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the map of logits."""
        found: torch.Tensor = self.network(pictures)['out']
        return found


class _Detections(nn.Module):
    """A detector of torchvision for one picture: boxes, scores, labels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what was found, the best first."""
        (found,) = self.network([pictures[0]])
        return found['boxes'], found['scores'], found['labels']


def _torchvision(model: LibraryModel, labels: Sequence[str] | None) -> Made:
    from torchvision import models

    ensure_operators()
    known = models.list_models()
    if model.name not in known:
        raise ImportingError(
            model, 'is no model of torchvision', f'Known are: {_alike(model.name, known)}'
        )
    weights = next(iter(models.get_model_weights(model.name)), None)
    meta: Mapping[str, Any] = {} if weights is None else weights.meta
    builder = models.get_model_builder(model.name).__module__
    detects, segments = '.detection.' in builder, '.segmentation.' in builder
    if any(each in builder for each in ('.video', '.optical_flow', '.quantization')) or (
        'keypoint' in builder or 'mask_rcnn' in builder
    ):
        raise ImportingError(
            model,
            'is of a task that is not here',
            'Classifiers, detectors and semantic segmenters are taken',
        )
    categories = tuple(meta.get('categories', ())) or None
    known_labels = tuple(labels) if labels is not None else categories
    options: dict[str, Any] = {'weights': None}
    if detects or segments:
        options['weights_backbone'] = None
    if known_labels is not None:
        # Detectors count the background as a class.
        missing = detects and known_labels[0] != _BACKGROUND
        options['num_classes'] = len(known_labels) + int(missing)
        if detects and known_labels == COCO:
            options['num_classes'] = _COCO_NUMBERS
    if model.name.startswith(('googlenet', 'inception')):
        options['init_weights'] = True
    try:
        module = models.get_model(model.name, **options)
    except (TypeError, ValueError) as error:
        raise ImportingError(model, f'cannot be made ({error})', 'Name another model') from error
    if detects:
        size = _detector_size(module)
        preprocessing = Preprocessing(Resize.STRETCH, (0.0,) * 3, (1.0,) * 3)
        source = 'torchvision, whose detectors normalise by themselves'
        return Made(
            module,
            _Detections(module),
            size,
            ('boxes', 'scores', 'labels'),
            Assumption(preprocessing, source),
            known_labels,
        )
    transforms = None if weights is None else weights.transforms()
    mean = tuple(getattr(transforms, 'mean', (0.485, 0.456, 0.406)))
    deviation = tuple(getattr(transforms, 'std', (0.229, 0.224, 0.225)))
    sizes = (getattr(transforms, name, None) for name in ('crop_size', 'resize_size'))
    side = next(filter(None, sizes), [224])
    resize = Resize.STRETCH if segments else Resize.CENTER_CROP
    preprocessing = Preprocessing(
        resize,
        (mean[0], mean[1], mean[2]),
        (deviation[0], deviation[1], deviation[2]),
        _interpolation(getattr(getattr(transforms, 'interpolation', None), 'value', '')),
    )
    return Made(
        module,
        _Output(module) if segments else module,
        Size(side[0], side[-1]),
        ('out',) if segments else ('logits',),
        Assumption(preprocessing, f"torchvision's own weights of {model.name}"),
        known_labels,
    )


def _detector_size(module: nn.Module) -> Size:
    """Return the size that a detector scales to by itself: then it has nothing to scale."""
    transform: Any = module.transform
    fixed = transform.fixed_size
    if fixed is not None:
        width, height = fixed
        return Size(int(height), int(width))
    side = int(transform.min_size[0])
    return Size(side, side)


def _timm(model: LibraryModel, labels: Sequence[str] | None) -> Made:
    import timm

    if model.name.partition('.')[0] not in timm.list_models():
        raise ImportingError(
            model, 'is no model of timm', f'Known are: {_alike(model.name, timm.list_models())}'
        )
    options = {} if labels is None else {'num_classes': len(labels)}
    module = timm.create_model(model.name, pretrained=False, exportable=True, **options)
    cfg = module.pretrained_cfg
    mean, deviation = cfg['mean'], cfg['std']
    _, height, width = cfg['input_size']
    preprocessing = Preprocessing(
        Resize.CENTER_CROP,
        (mean[0], mean[1], mean[2]),
        (deviation[0], deviation[1], deviation[2]),
        _interpolation(cfg.get('interpolation', '')),
    )
    return Made(
        module,
        module,
        Size(height, width),
        ('logits',),
        Assumption(preprocessing, f"timm's own weights of {model.name}"),
        None,
    )


def _interpolation(name: str) -> Interpolation:
    known = {each.value: each for each in Interpolation}
    return known.get(name, Interpolation.BILINEAR)


def _alike(name: str, known: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    return ', '.join(near) if near else f'{len(known)} others, see its documentation'


def _traced(module: nn.Module, size: Size, outputs: Sequence[str], where: str) -> onnx.ModelProto:
    module.eval()
    # Some value everywhere: a detector that sees nothing has nothing to trace.
    example = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, torch.no_grad():
        warnings.simplefilter('ignore')
        file = Path(folder) / 'model.onnx'
        try:
            torch.onnx.export(
                module,
                (example,),
                file,
                input_names=['picture'],
                output_names=list(outputs),
                opset_version=OPERATOR_SET,
                dynamo=False,
            )
        except Exception as error:  # the exporter and all models have their own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ImportingError(
                where,
                f'cannot be exported as ONNX ({reason})',
                'Export it by other means, and import the file',
            ) from error
        return onnx.load(file)

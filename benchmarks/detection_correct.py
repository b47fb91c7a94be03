# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Do our decoders find what the models' own post-processing finds? On real pictures, box by box.

Published networks run with their weights; their post-processing is written here from its method,
with torch and torchvision. Where no weights are to be had, networks are made with random ones by
the packages that define them (torchvision; ultralytics and transformers where they are installed),
and the post-processing of the package is the reference. Limits are set so that about a hundred
boxes a picture come through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import importlib.util
import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
import torchvision
import torchvision_nms

from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.raw import RawPicture
from dynamic_dnn_ros.pictures.scaling import fitted
from dynamic_dnn_ros.tasks.contract import Limits, Outputs
from dynamic_dnn_ros.tasks.registry import create_task, recognise
from dynamic_dnn_ros.tasks.tensors import specs_of
from support.published import PUBLISHED
from support.shared_data import DATA

#: Of the picture, and in score: so much may ours and the reference differ.
BOX_TOLERANCE, SCORE_TOLERANCE = 1e-3, 1e-4
_NUMBER = 100


class Found(NamedTuple):
    """Boxes in pixels of the picture, scores and classes, the best first."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """
    A network with its own post-processing.

    `run` takes a picture and gives the outputs, the input's size and the placement; `reference`
    takes outputs, placement and limits, and gives boxes in pixels of the picture.
    """

    labels: int
    run: Callable[[NDArray[np.uint8]], tuple[Outputs, Size, Placement]]
    reference: Callable[[Outputs, Placement, Limits], Found]
    overlap: float = 0.6
    decoder: str | None = None
    score: float | None = None


class Comparison(NamedTuple):
    """What a case showed over all pictures."""

    boxes: int
    different: int
    largest_box: float
    largest_score: float
    decoder: str


def compare(case: Case, pictures: list[NDArray[np.uint8]]) -> Comparison:
    """Run a case on pictures; a box is different where the other side has none like it."""
    labels = tuple(str(number) for number in range(case.labels))
    task = options = None
    boxes = different = 0
    largest_box = largest_score = 0.0
    limits = None
    for picture in pictures:
        outputs, size, placement = case.run(picture)
        if task is None:
            _, options = recognise(
                specs_of(outputs), labels, size, [outputs], decoder=case.decoder
            )
            task = create_task('detection', options)
        if limits is None:
            score = case.score
            if score is None:
                score = _score_of_many(task, outputs, placement, labels, case.overlap)
            limits = Limits(score, _NUMBER, case.overlap)
        ours = task.decode(outputs, 0, placement, labels, limits)
        own = case.reference(outputs, placement, limits)
        result = _matched(Found(ours.boxes, ours.scores, ours.classes), own, placement.picture)
        boxes += len(own.scores)
        different += result[0]
        largest_box = max(largest_box, result[1])
        largest_score = max(largest_score, result[2])
    assert options is not None
    return Comparison(boxes, different, largest_box, largest_score, options['decoder'])


def _score_of_many(
    task: Any, outputs: Outputs, placement: Placement, labels: tuple[str, ...], overlap: float
) -> float:
    """Return a score just below the hundredth box: networks with random weights find little."""
    found = task.decode(outputs, 0, placement, labels, Limits(0.0, _NUMBER, overlap))
    return float(found.scores[-1]) * 0.9 if len(found) else 0.0


def _matched(ours: Found, own: Found, size: Size) -> tuple[int, float, float]:
    """Return how many have no like on the other side, and the largest differences of the rest."""
    different = abs(len(ours.scores) - len(own.scores))
    largest_box = largest_score = 0.0
    free = np.ones(len(ours.scores), bool)
    scale = np.array((size.width, size.height) * 2)
    for box, score, label in zip(own.boxes, own.scores, own.classes):
        by_box = abs((ours.boxes - box) / scale).max(axis=1, initial=0)
        by_score = abs(ours.scores - score)
        good = free & (ours.classes == label)
        good &= (by_box <= BOX_TOLERANCE) & (by_score <= SCORE_TOLERANCE)
        if not good.any():
            different += 1
            continue
        best = int(np.flatnonzero(good)[by_box[good].argmin()])
        free[best] = False
        largest_box = max(largest_box, float(by_box[best]))
        largest_score = max(largest_score, float(by_score[best]))
    return different, largest_box, largest_score


def cases() -> Iterator[tuple[str, Callable[[], Case], str | None]]:
    """Give the name of each case, what makes it, and why it cannot be measured here."""
    absent = None
    if not (DATA / 'models').exists():
        absent = f'{DATA / "models"} is absent (DYNAMIC_DNN_SHARED_DATA names another folder)'
    for name in ('nanodet_m', 'nanodet_plus_416', 'yolox_nano', 'fastestdet'):
        yield name, lambda name=name: _published(name), absent  # type: ignore[misc]
    for name in _TORCHVISION:
        absent = None
        if 'rcnn' in name and not torchvision_nms.is_compiled():
            absent = "torchvision's compiled operators are not installed"
        yield f'torchvision {name}', lambda name=name: _torchvision(name), absent  # type: ignore[misc]
    absent = None if importlib.util.find_spec('ultralytics') else 'ultralytics is not installed'
    for name in ('yolov8n', 'yolo11n', 'yolo12n', *_END_TO_END, 'rtdetr-resnet50'):
        yield f'ultralytics {name}', lambda name=name: _ultralytics(name), absent  # type: ignore[misc]
    absent = None if importlib.util.find_spec('transformers') else 'transformers is not installed'
    for name in ('detr', 'rt_detr', 'rf_detr'):
        yield f'transformers {name}', lambda name=name: _transformers(name), absent  # type: ignore[misc]


def _input(
    picture: NDArray[np.uint8], size: Size, fit: Preprocessing
) -> tuple[torch.Tensor, Placement]:
    """Return a picture as a network of torch reads it: 0..1, (1, 3, height, width)."""
    height, width = picture.shape[:2]
    camera = RawPicture('rgb8', width, height, 3 * width, picture.tobytes())
    pixels, placement = fitted(camera, size, fit)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, placement


def _fit(resize: Resize) -> Preprocessing:
    return Preprocessing(resize, (0, 0, 0), (1, 1, 1))


def _finish(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    classes: torch.Tensor,
    placement: Placement,
    limits: Limits,
    nms: bool = True,
) -> Found:
    """Suppress, take the best, carry back to the picture."""
    if nms:
        kept = _suppressed(boxes, scores, classes, limits.overlap)
    else:
        kept = scores.argsort(descending=True, stable=True)
    boxes = boxes[kept].double()
    left, upper = placement.offset[1], placement.offset[0]
    boxes = (boxes - torch.tensor([left, upper] * 2)) / torch.tensor(placement.scale[::-1] * 2)
    height, width = placement.picture
    boxes = torchvision.ops.clip_boxes_to_image(boxes, (height, width)).float()
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    chosen = inside.nonzero()[:, 0][: limits.number]
    return Found(
        boxes[chosen].numpy(), scores[kept][chosen].numpy(), classes[kept][chosen].numpy()
    )


def _suppressed(
    boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor, overlap: float
) -> torch.Tensor:
    """Return the indices to keep, the best first: one box after the other, class by class."""
    order = scores.argsort(descending=True, stable=True)
    shared = torchvision.ops.box_iou(boxes[order].double(), boxes[order].double()) > overlap
    shared &= classes[order][:, None] == classes[order][None]
    gone = torch.zeros(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if not gone[place]:
            gone[place + 1 :] |= shared[place, place + 1 :]
    return order[~gone]


# The published networks, decoded as their papers and codes describe.


def _published(name: str) -> Case:
    published = PUBLISHED[name]
    session = published.session(DATA / 'models')
    side = 352 if name == 'fastestdet' else 320
    size = Size(side, side)

    def run(picture: NDArray[np.uint8]) -> tuple[Outputs, Size, Placement]:
        outputs, placement = published.run(session, picture, size)
        return outputs, size, placement

    references = {'yolox_nano': _yolox, 'fastestdet': _fastestdet}
    return Case(80, run, references.get(name, _nanodet), decoder=published.decoder, score=0.05)


def _places(size: Size, strides: tuple[int, ...]) -> torch.Tensor:
    """Return column, row and stride of each point, shape (points, 3)."""
    levels = []
    for stride in strides:
        height, width = math.ceil(size.height / stride), math.ceil(size.width / stride)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
        levels.append(
            torch.stack([columns, rows, torch.full_like(rows, stride)], dim=2).reshape(-1, 3)
        )
    return torch.cat(levels).float()


def _nanodet(outputs: Outputs, placement: Placement, limits: Limits) -> Found:
    rows = torch.from_numpy(next(iter(outputs.values())))[0]
    size = placement.input
    places, offset = _places(size, (8, 16, 32)), 0.5
    if len(places) != len(rows):
        places, offset = _places(size, (8, 16, 32, 64)), 0.0
    scores, shares = rows[:, :80], rows[:, 80:].reshape(-1, 4, 8).softmax(dim=2)
    far = (shares * torch.arange(8)).sum(dim=2) * places[:, 2:]
    centers = (places[:, :2] + offset) * places[:, 2:]
    boxes = torch.cat([centers - far[:, :2], centers + far[:, 2:]], dim=1)
    boxes = torchvision.ops.clip_boxes_to_image(boxes, tuple(size))
    points, classes = (scores >= limits.score).nonzero(as_tuple=True)
    return _finish(boxes[points], scores[points, classes], classes, placement, limits)


def _yolox(outputs: Outputs, placement: Placement, limits: Limits) -> Found:
    rows = torch.from_numpy(next(iter(outputs.values())))[0]
    places = _places(placement.input, (8, 16, 32))
    centers = (rows[:, :2] + places[:, :2]) * places[:, 2:]
    sides = rows[:, 2:4].exp() * places[:, 2:]
    boxes = torchvision.ops.box_convert(torch.cat([centers, sides], dim=1), 'cxcywh', 'xyxy')
    scores, classes = (rows[:, 4:5] * rows[:, 5:]).max(dim=1)
    good = scores >= limits.score
    return _finish(boxes[good], scores[good], classes[good], placement, limits)


def _fastestdet(outputs: Outputs, placement: Placement, limits: Limits) -> Found:
    planes = torch.from_numpy(next(iter(outputs.values())))[0]
    _, height, width = planes.shape
    rows = planes.reshape(85, -1).T
    places = _places(Size(height, width), (1,))
    centers = (places[:, :2] + rows[:, 1:3].tanh()) / torch.tensor([width, height])
    boxes = torch.cat([centers, rows[:, 3:5].sigmoid()], dim=1)
    boxes = torchvision.ops.box_convert(boxes, 'cxcywh', 'xyxy')
    boxes = boxes * torch.tensor([placement.input.width, placement.input.height] * 2)
    best, classes = rows[:, 5:].max(dim=1)
    scores = rows[:, 0] ** 0.6 * best**0.4
    good = scores >= limits.score
    return _finish(boxes[good], scores[good], classes[good], placement, limits)


# Networks of torchvision: what they give is the result.

_TORCHVISION: dict[str, dict[str, Any]] = {
    'ssdlite320_mobilenet_v3_large': {},
    'fasterrcnn_mobilenet_v3_large_320_fpn': {'box_score_thresh': 0.0},
    'retinanet_resnet50_fpn': {'min_size': 128, 'max_size': 256, 'score_thresh': 0.0},
    'fcos_resnet50_fpn': {'min_size': 128, 'max_size': 256, 'score_thresh': 0.0},
}


def _torchvision(name: str) -> Case:
    torch.manual_seed(0)
    network = getattr(torchvision.models.detection, name)(
        weights=None, weights_backbone=None, num_classes=21, **_TORCHVISION[name]
    ).eval()
    size = Size(320, 320)

    def run(picture: NDArray[np.uint8]) -> tuple[Outputs, Size, Placement]:
        pixels, placement = _input(picture, size, _fit(Resize.LETTERBOX))
        with torch.no_grad(), torchvision_nms.suppression():
            found = network(list(pixels))[0]
        return {key: value.numpy() for key, value in found.items()}, size, placement

    def reference(outputs: Outputs, placement: Placement, limits: Limits) -> Found:
        boxes, scores, numbers = (
            torch.from_numpy(outputs[key]) for key in ('boxes', 'scores', 'labels')
        )
        good = (scores >= limits.score) & (numbers > 0)
        return _finish(boxes[good], scores[good], numbers[good] - 1, placement, limits, nms=False)

    return Case(20, run, reference)


# Networks of Ultralytics, with random weights, as their export leaves them.


_END_TO_END = ('yolov10n', 'yolo26n')


def _ultralytics(name: str) -> Case:
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel
    from ultralytics.utils import nms, ops

    torch.manual_seed(0)
    kind = RTDETRDetectionModel if 'rtdetr' in name else DetectionModel
    network = kind(f'{name}.yaml', nc=20, verbose=False).eval()
    for module in network.modules():
        if hasattr(module, 'export'):
            module.export, module.format = True, 'onnx'
    if name in _END_TO_END:
        network.model[-1].end2end = True  # as the exporter sets it
    _spread_scores(network)
    size = Size(320, 320)
    stretch = 'rtdetr' in name
    fit = _fit(Resize.STRETCH if stretch else Resize.LETTERBOX)

    def run(picture: NDArray[np.uint8]) -> tuple[Outputs, Size, Placement]:
        pixels, placement = _input(picture, size, fit)
        with torch.no_grad():
            found = network(pixels)
        return (
            {'output0': (found if torch.is_tensor(found) else found[0]).numpy()},
            size,
            placement,
        )

    def reference(outputs: Outputs, placement: Placement, limits: Limits) -> Found:
        prediction = torch.from_numpy(outputs['output0'].copy())
        if stretch:
            rows = prediction[0]
            rows[:, :4] = ops.xywh2xyxy(rows[:, :4]) * 320
            rows = rows[rows[:, 4] >= limits.score]
        else:
            with torchvision_nms.suppression():
                (rows,) = nms.non_max_suppression(
                    prediction,
                    limits.score,
                    limits.overlap,
                    max_det=prediction.shape[-1] * prediction.shape[-2],  # cut below, as ours
                    max_time_img=60,
                    end2end=prediction.shape[2] == 6,
                )
        boxes, scores, classes = rows[:, :4], rows[:, 4], rows[:, 5].long()
        return _finish(boxes, scores, classes, placement, limits, nms=False)

    return Case(20, run, reference)


def _spread_scores(network: torch.nn.Module) -> None:
    """Give the last layers of scores larger weights: random ones find everything alike."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.out_channels == 20:
            torch.nn.init.normal_(module.weight, std=0.5)


# Networks of transformers, with random weights.


def _transformers(name: str) -> Case:
    import transformers

    torch.manual_seed(0)
    size = Size(224, 224)
    labels = {number: str(number) for number in range(20)}
    network, post_process, outputs_of = _transformers_network(transformers, name, labels)
    network.eval()

    def run(picture: NDArray[np.uint8]) -> tuple[Outputs, Size, Placement]:
        pixels, placement = _input(picture, size, _fit(Resize.STRETCH))
        with torch.no_grad():
            found = network(pixel_values=pixels)
        return outputs_of(found), size, placement

    def reference(outputs: Outputs, placement: Placement, limits: Limits) -> Found:
        boxes, logits = (torch.from_numpy(value) for value in outputs.values())
        found = SimpleNamespace(pred_boxes=boxes, logits=logits)
        (rows,) = post_process(found, limits.score, [tuple(placement.input)])
        good = rows['labels'] < 20
        return _finish(
            rows['boxes'][good],
            rows['scores'][good],
            rows['labels'][good],
            placement,
            limits,
            nms=False,
        )

    return Case(20, run, reference)


def _transformers_network(
    transformers: Any, name: str, labels: dict[int, str]
) -> tuple[Any, Any, Callable[[Any], Outputs]]:
    """Return a network, its own post-processing, and what names its outputs."""
    names = ('dets', 'labels') if name == 'rf_detr' else ('pred_boxes', 'logits')

    def outputs_of(found: Any) -> Outputs:
        logits = found.logits
        if name == 'rf_detr':
            logits[..., 20:] = -20  # training leaves the class beyond the labels unused
        return {names[0]: found.pred_boxes.numpy(), names[1]: logits.numpy()}

    if name == 'detr':
        backbone = transformers.ResNetConfig(
            depths=[1, 1, 1, 1], out_features=['stage4'], layer_type='basic'
        )
        configuration = transformers.DetrConfig(
            use_timm_backbone=False,
            use_pretrained_backbone=False,
            backbone=None,
            backbone_config=backbone,
            id2label=labels,
            num_queries=100,
        )
        network = transformers.DetrForObjectDetection(configuration)
        post = transformers.DetrImageProcessor().post_process_object_detection
    elif name == 'rt_detr':
        network = transformers.RTDetrForObjectDetection(transformers.RTDetrConfig(id2label=labels))
        post = transformers.RTDetrImageProcessor().post_process_object_detection
    else:
        network = transformers.RfDetrForObjectDetection(
            transformers.RfDetrConfig(id2label={**labels, 20: 'none'}, num_queries=100)
        )
        post = transformers.RfDetrImageProcessor().post_process_object_detection
    return network, post, outputs_of


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)

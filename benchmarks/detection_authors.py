# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
AP of published detectors: our whole way from a picture to boxes against their authors' own code.

Theirs: a picture read by OpenCV, their scaling and post-processing, AP by pycocotools. Ours: our
reader, our scaling, our decoder, our AP. The network is the same file in the same engine. Two
things differ on purpose: we average pixels where a picture becomes smaller, and cut boxes at its
border. So theirs is also measured with these two, which leaves decoder and AP to compare. Their
code is read from a checkout that an environment variable names; it is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
from functools import partial
import importlib
import importlib.util
import io
import os
from pathlib import Path
import sys
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray
from report import Figure, figure
import torch
import torchvision_nms

from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Limits
from dynamic_dnn_ros.tasks.registry import create_task, recognise
from dynamic_dnn_ros.tasks.tensors import specs_of
from support.published import PUBLISHED
from support.shared_data import DATA

_LABELS = tuple(str(number) for number in range(80))
_POINTS = 100
"""AP is told in points, hundredths."""

_OF_TRAINING = (
    'termcolor',
    'lightning_fabric',
    'lightning_fabric.utilities',
    'lightning_fabric.utilities.cloud_io',
    'pytorch_lightning',
    'pytorch_lightning.loggers',
    'pytorch_lightning.loggers.logger',
    'pytorch_lightning.utilities',
)

Rows = NDArray[np.float64]
"""Of one picture, shape (boxes, 6): left, upper, right, lower in its pixels, score, class."""


class Theirs(NamedTuple):
    """
    The two halves of the code of the authors.

    `scale` takes a picture as OpenCV reads it, and gives the input, float32 (1, 3, height, width);
    `boxes` takes what the network answers, and the size of the picture.
    """

    scale: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    boxes: Callable[[torch.Tensor, Size], Rows]


class Author(NamedTuple):
    """Whose code it is, where its checkout is named, its size of input and its limits."""

    network: str
    variable: str
    side: int
    limits: Limits
    theirs: Callable[[Path], Theirs]


def authors_accuracy(missing: list[str]) -> Iterator[Figure]:
    """Yield both APs of each network, and their difference; say in `missing` what is not here."""
    folder = DATA / 'labelled' / 'coco128'
    for author in AUTHORS:
        checkout = os.environ.get(author.variable)
        absent = None
        if not folder.exists():
            absent = f'{folder} is absent (DYNAMIC_DNN_SHARED_DATA names another)'
        elif checkout is None:
            absent = f'{author.variable} names no checkout of the code of its authors'
        elif importlib.util.find_spec('pycocotools') is None:
            absent = 'pycocotools is not installed'
        if absent is not None or checkout is None:
            missing.append(f'AP by the code of the authors, {author.network}: {absent}')
            continue
        with torchvision_nms.suppression():
            code = author.theirs(Path(checkout))
        ours = _ours(author, folder)
        title = f'correct: AP of {author.network}'
        yield figure(f'{title}, ours', _POINTS * ours, 'points')
        compared = Theirs(partial(_scaled, author), _cut(code.boxes))
        with torchvision_nms.suppression():
            as_it_is = _theirs(author, code, folder)
            same_input = _theirs(author, compared, folder)
        yield figure(f'{title}, code of its authors', _POINTS * as_it_is, 'points')
        name = 'code of its authors, our scaling, boxes cut at the border'
        yield figure(f'{title}, {name}', _POINTS * same_input, 'points')
        difference = _POINTS * abs(ours - same_input)
        yield figure(f'{title}, difference of these two', difference, 'points', '<= 0.2')


def _cut(boxes: Callable[[torch.Tensor, Size], Rows]) -> Callable[[torch.Tensor, Size], Rows]:
    """Cut boxes at the border of the picture, as labels are: FastestDet's code does not."""

    def cut(answer: torch.Tensor, size: Size) -> Rows:
        rows = boxes(answer, size)
        rows[:, :4] = rows[:, :4].clip(0, [size.width, size.height] * 2)
        return rows

    return cut


def _scaled(author: Author, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale a picture as OpenCV reads it, in the way of this package."""
    network, size = PUBLISHED[author.network], Size(author.side, author.side)
    return network.scaled(np.ascontiguousarray(picture[..., ::-1]), size)[0]


def _ours(author: Author, folder: Path) -> float:
    published = PUBLISHED[author.network]
    session = published.session(DATA / 'models')
    data = open_dataset(folder, 'detection', split='val')
    size = Size(author.side, author.side)
    task: Any = None
    for index in range(len(data)):
        labelled = data[index]
        outputs, placement = published.run(session, labelled.pixels, size)
        if task is None:
            _, options = recognise(
                specs_of(outputs), _LABELS, size, [outputs], decoder=published.decoder
            )
            task = create_task('detection', options)
            scorer = task.scorer(_LABELS)
        found = task.decode(outputs, 0, placement, _LABELS, author.limits)
        scorer.add(found, labelled.truth)
    return float(scorer.value())


def _theirs(author: Author, code: Theirs, folder: Path) -> float:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    session = PUBLISHED[author.network].session(DATA / 'models')
    truth, found = _empty_truth(), []
    for number, path in enumerate(sorted((folder / 'images' / 'val2017').iterdir())):
        picture = cv2.imread(str(path))
        _add_truth(truth, number, picture, folder / 'labels' / 'val2017' / f'{path.stem}.txt')
        answer = _run(session, code.scale(picture))
        rows = code.boxes(answer, Size(*picture.shape[:2]))
        for left, upper, right, lower, score, label in rows:
            found.append(
                {
                    'image_id': number,
                    'category_id': int(label) + 1,
                    'bbox': [left, upper, right - left, lower - upper],
                    'score': score,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth
        known.createIndex()
        evaluation = COCOeval(known, known.loadRes(found), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def _empty_truth() -> dict[str, Any]:
    categories = [{'id': number + 1, 'name': name} for number, name in enumerate(_LABELS)]
    return {'images': [], 'annotations': [], 'categories': categories}


def _add_truth(truth: dict[str, Any], number: int, picture: NDArray[np.uint8], path: Path) -> None:
    """Add a picture and the boxes of its file, in YOLO text."""
    height, width = picture.shape[:2]
    truth['images'].append({'id': number, 'width': width, 'height': height})
    rows = np.loadtxt(path, ndmin=2) if path.exists() and path.stat().st_size else []
    for label, x, y, across, down in rows:
        sides = [across * width, down * height]
        truth['annotations'].append(
            {
                'id': len(truth['annotations']) + 1,
                'image_id': number,
                'category_id': int(label) + 1,
                'bbox': [x * width - sides[0] / 2, y * height - sides[1] / 2, *sides],
                'area': sides[0] * sides[1],
                'iscrowd': 0,
            }
        )


def _run(session: Any, values: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: values})[0])


def _nanodet(
    checkout: Path, module: str, head: str, strides: tuple[int, ...], side: int
) -> Theirs:
    """NanoDet: its pipeline of pictures, and the post-processing of its heads."""
    # What its training logs with; nothing of it runs here.
    absent = dict.fromkeys(_OF_TRAINING, mock.MagicMock())
    with _importing(checkout, absent):
        transform = importlib.import_module('nanodet.data.transform')
        heads = importlib.import_module(f'nanodet.model.head.{module}')
    loss = SimpleNamespace(
        loss_qfl=SimpleNamespace(use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_dfl=SimpleNamespace(loss_weight=0.25),
        loss_bbox=SimpleNamespace(loss_weight=2.0),
    )
    with contextlib.redirect_stdout(io.StringIO()):
        decoder = getattr(heads, head)(80, loss, 96, reg_max=7, strides=list(strides))
    normal = {'normalize': [[103.53, 116.28, 123.675], [57.375, 57.12, 58.395]]}
    pipeline = transform.Pipeline(normal, keep_ratio=False)

    def scale(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        meta = pipeline(None, {'img': picture}, (side, side))
        values: NDArray[np.float32] = meta['img'].transpose(2, 0, 1)[None]
        return np.ascontiguousarray(values)

    def boxes(answer: torch.Tensor, size: Size) -> Rows:
        image = {'id': [0], 'height': [size.height], 'width': [size.width]}
        meta = {
            'img': torch.empty(1, 3, side, side),
            'img_info': image,
            'warp_matrix': [np.diag([side / size.width, side / size.height, 1.0])],
        }
        # The file ends in scores; the code expects what is before the sigmoid.
        answer[..., :80] = answer[..., :80].double().logit().float()
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            (result,) = decoder.post_process(answer, meta).values()
        rows = [[*box, label] for label, found in result.items() for box in found]
        return np.array(rows, np.float64).reshape(-1, 6)

    return Theirs(scale, boxes)


def _fastestdet(checkout: Path) -> Theirs:
    """FastestDet: the steps of its own test.py, and its post-processing."""
    path = checkout / 'utils' / 'tool.py'
    specification = importlib.util.spec_from_file_location('fastestdet_tool', path)
    assert specification is not None and specification.loader is not None
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)

    def scale(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = cv2.resize(picture, (352, 352), interpolation=cv2.INTER_LINEAR)
        return scaled.transpose(2, 0, 1)[None].astype(np.float32) / 255

    def boxes(answer: torch.Tensor, size: Size) -> Rows:
        (found,) = tool.handle_preds(answer, 'cpu', _FASTESTDET.score, _FASTESTDET.overlap)
        rows = found.double().numpy().reshape(-1, 6)
        return np.concatenate([rows[:, :4] * [*size[::-1], *size[::-1]], rows[:, 4:]], axis=1)

    return Theirs(scale, boxes)


@contextlib.contextmanager
def _importing(checkout: Path, absent: dict[str, Any]) -> Iterator[None]:
    path = mock.patch.object(sys, 'path', [str(checkout), *sys.path])
    with path, mock.patch.dict(sys.modules, absent):
        yield


#: What their configurations and their code say.
_NANODET = Limits(score=0.05, number=100, overlap=0.6)
_FASTESTDET = Limits(score=0.001, number=1000, overlap=0.45)

AUTHORS: Sequence[Author] = (
    Author(
        'nanodet_m',
        'DYNAMIC_DNN_NANODET',
        320,
        _NANODET,
        partial(
            _nanodet, module='nanodet_head', head='NanoDetHead', strides=(8, 16, 32), side=320
        ),
    ),
    Author(
        'nanodet_plus_416',
        'DYNAMIC_DNN_NANODET',
        416,
        _NANODET,
        partial(
            _nanodet,
            module='nanodet_plus_head',
            head='NanoDetPlusHead',
            strides=(8, 16, 32, 64),
            side=416,
        ),
    ),
    Author('fastestdet', 'DYNAMIC_DNN_FASTESTDET', 352, _FASTESTDET, _fastestdet),
)

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How long it takes from a detector's outputs to a message, ours and that of yolo_ros.

The same outputs for both: those of a YOLO v8 of 80 classes at 640x640, with 100 objects, each
found at several points, as networks do. Ours: decode, suppress, carry back to 640x480, fill the
message, serialise it. yolo_ros: its own callback `image_cb` with the post-processing of
Ultralytics that it calls; conversion of the image, inference and publication are left out, and its
messages are plain Python objects without checks, which can only be to its advantage. Where
torchvision lacks its compiled suppression, OpenCV's stands in (`torchvision_nms`).
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import gc
import importlib.util
import os
from pathlib import Path
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
import torchvision_nms

from dynamic_dnn_ros.nodes.inference.results.detection import DetectionPublisher
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import Detections, Limits
from dynamic_dnn_ros.tasks.registry import create_task

CAMERA, INPUT = Size(480, 640), Size(640, 640)
OBJECTS, POINTS_EACH, LABELS = 100, 6, 80
LIMITS = Limits(score=0.25, number=100, overlap=0.5)
ROUNDS, WARM_UP = 300, 20

#: Names the file yolo_node.py of a checkout of github.com/mgonzs13/yolo_ros (GPL-3.0).
YOLO_ROS = 'DYNAMIC_DNN_YOLO_ROS'


def outputs() -> NDArray[np.float32]:
    """Return what a YOLO v8 gives for a picture with 100 objects, shape (1, 84, 8400)."""
    generator = np.random.default_rng(0)
    values = np.zeros((1, 4 + LABELS, 8400), np.float32)
    values[0, 4:] = generator.uniform(0, 0.05, (LABELS, 8400))
    values[0, :2] = generator.uniform(100, 540, (2, 8400))
    values[0, 2:4] = generator.uniform(10, 100, (2, 8400))
    columns, rows = np.meshgrid(np.arange(10), np.arange(10))
    first = generator.permutation(8400 // POINTS_EACH)[:OBJECTS] * POINTS_EACH
    for number, point in enumerate(first):
        label = generator.integers(LABELS)
        place = (40 + 58 * columns.flat[number], 100 + 46 * rows.flat[number], 44, 36)
        for other in range(point, point + POINTS_EACH):
            values[0, :4, other] = place + generator.normal(0, 1, 4)
            values[0, 4 + label, other] = generator.uniform(0.3, 0.9)
    return values


def ours(values: NDArray[np.float32]) -> Callable[[], Detections]:
    """Return what makes a serialised message of outputs."""
    labels = tuple(f'class {number}' for number in range(LABELS))
    task = create_task('detection', {'decoder': 'ultralytics_v8'})
    fit = Preprocessing(Resize.LETTERBOX, (0, 0, 0), (1, 1, 1))
    placement = Placement.of(CAMERA, INPUT, fit)
    publisher = DetectionPublisher.__new__(DetectionPublisher)
    publisher.labels = labels
    publisher.node = SimpleNamespace(identifier='/camera/detector')
    publisher._rows = []
    served: Any = SimpleNamespace(sub_network='s0', processor='cpu', placement=placement)
    header = Header(frame_id='camera')

    def once() -> Detections:
        found = task.decode({'output0': values}, 0, placement, labels, LIMITS)
        serialize_message(publisher.message(header, served, found))
        return found

    return once


class _Message:
    """A message without checks; its fields are made when they are used."""

    def __getattr__(self, name: str) -> Any:
        value: Any = [] if name == 'detections' else _Message()
        object.__setattr__(self, name, value)
        return value


def theirs(values: NDArray[np.float32]) -> Callable[[], Any] | str:
    """Return what makes yolo_ros' message of outputs, or why that cannot be measured."""
    path = Path(os.environ.get(YOLO_ROS, 'absent'))
    if not path.is_file():
        return (
            f'yolo_ros: set {YOLO_ROS} to yolo_ros/yolo_ros/yolo_node.py of a checkout of '
            'github.com/mgonzs13/yolo_ros'
        )
    if importlib.util.find_spec('ultralytics') is None:
        return (
            'yolo_ros: the Python package ultralytics (AGPL-3.0), which it calls, is not installed'
        )
    import torch
    from ultralytics.models.yolo.detect import DetectionPredictor

    torch.set_num_threads(1)
    node_class = _yolo_node(path)
    predictor = DetectionPredictor(
        overrides={
            'conf': LIMITS.score,
            'iou': LIMITS.overlap,
            'max_det': LIMITS.number,
            'verbose': False,
            'save': False,
        }
    )
    names = {number: f'class {number}' for number in range(LABELS)}
    predictor.model = SimpleNamespace(names=names, end2end=False)
    predictor.batch = (['camera'],)
    camera = np.zeros((*CAMERA, 3), np.uint8)
    network_input = torch.zeros(1, 3, *INPUT)
    prediction = torch.from_numpy(values)

    def predict(**_: Any) -> Any:
        return predictor.postprocess(prediction.clone(), network_input, [camera])

    published: list[Any] = []
    node: Any = node_class.__new__(node_class)
    settings = dict.fromkeys(
        ('imgsz_height', 'imgsz_width', 'half', 'augment', 'agnostic_nms', 'retina_masks'), 0
    )
    node.__dict__.update(
        settings,
        enable=True,
        threshold=LIMITS.score,
        iou=LIMITS.overlap,
        max_det=LIMITS.number,
        device='cpu',
        yolo_encoding='bgr8',
        cv_bridge=SimpleNamespace(imgmsg_to_cv2=lambda *_, **__: camera),
        yolo=SimpleNamespace(predict=predict, names=names),
        _pub=SimpleNamespace(publish=published.append),
    )
    image = SimpleNamespace(header=Header())

    def once() -> Any:
        published.clear()
        node.image_cb(image)
        return published[0].detections

    return once


def _yolo_node(path: Path) -> Any:
    """Return the class of yolo_ros' node; ROS packages that its file imports are stood in for."""
    messages = ('Point2D', 'BoundingBox2D', 'Mask', 'KeyPoint2D', 'KeyPoint2DArray')
    stand_ins = {
        'cv_bridge': {'CvBridge': object},
        'std_srvs': {},
        'std_srvs.srv': {'SetBool': mock.MagicMock()},
        'yolo_msgs': {},
        'yolo_msgs.msg': dict.fromkeys((*messages, 'Detection', 'DetectionArray'), _Message),
        'yolo_msgs.srv': {'SetClasses': mock.MagicMock()},
    }
    modules = {}
    for name, fields in stand_ins.items():
        modules[name] = ModuleType(name)
        modules[name].__dict__.update(fields)
    specification = importlib.util.spec_from_file_location('yolo_ros_node', path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    with mock.patch.dict(sys.modules, modules):
        specification.loader.exec_module(module)
    return module.YoloNode


def timed(calls: dict[str, Callable[[], Any]]) -> dict[str, NDArray[np.float64]]:
    """
    Return the seconds of each call, measured in turns on one core.

    What was loaded for comparisons, transformers for one, is kept from the garbage collector: it
    would look through it in the middle of a call, ours or theirs.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    with _one_core(), _frozen_heap(), torchvision_nms.suppression():
        for number in range(WARM_UP + ROUNDS):
            for name, call in calls.items():
                begun = time.perf_counter()
                call()
                if number >= WARM_UP:
                    found[name].append(time.perf_counter() - begun)
    return {name: np.array(values) for name, values in found.items()}


@contextlib.contextmanager
def _frozen_heap() -> Any:
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def _one_core() -> Any:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

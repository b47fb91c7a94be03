# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
An imported detector through camera topic, node and engine, against the same frames off line.

Beside it, what annotated pictures cost while nobody looks, and the time from a file to boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import tempfile
import time

from detection_switching import MODELS, camera_pictures
import numpy as np
from report import Figure, figure
from sensor_msgs.msg import CompressedImage

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.msg import Detections
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.tasks.contract import Limits
from support.application import Application
from support.deployment import deployment
from support.graph import Collector, Graph
from support.images import image_message
from support.process import NodeProcess
from support.shared_data import DATA

PICTURES = 64
FRAMES = 100
SIZE = '320'


def detection_live(runs: int, not_measured: list[str]) -> list[Figure]:
    """Return the figures; nothing where the detector is not here."""
    model = DATA / 'models' / 'nanodet' / MODELS[1]
    folder = DATA / 'labelled' / 'coco128' / 'images' / 'val2017'
    if not model.exists() or not folder.exists():
        not_measured.append('an imported detector through the node: the shared model is absent')
        return []
    frames = camera_pictures(folder, PICTURES)
    with tempfile.TemporaryDirectory() as work:
        begun = time.monotonic()
        output = Path(work) / 'detector'
        arguments = ['import-onnx', str(model), '--labels', 'coco', '--resolutions', SIZE]
        if main([*arguments, '--output', str(output)]) != 0:
            raise RuntimeError('the detector could not be imported')
        bundle = read_bundle(output)
        different, first = _live(bundle, frames, begun)
        with_it, without = _annotated(bundle, frames, runs)
    return [
        figure(
            'from an ONNX file to the first boxes on a topic: two commands', first, 's', '<= 120'
        ),
        figure(
            f'frames of {PICTURES} whose boxes differ between topic and off line',
            different,
            'frames',
            '<= 0',
        ),
        figure('frame through the node, nobody looks at pictures: median', without, 's'),
        figure('the same while somebody looks at annotated pictures: median', with_it, 's'),
    ]


def _off_line(bundle: Bundle, frames: list[RawPicture]) -> list[list[tuple[str, float]]]:
    manifest = bundle.manifest
    prepared = create_engine('onnxruntime', bundle, 1).prepare(manifest.sub_networks[0], 'cpu')
    task, found = manifest.make_task(), []
    for frame in frames:
        size = prepared.sub_network.size
        picture, placement = fitted(frame, size, manifest.preprocessing)
        result = task.decode(prepared.run(picture), 0, placement, manifest.labels, Limits())
        found.append(_rows(result.boxes, [manifest.labels[i] for i in result.classes]))
    return found


def _rows(boxes: np.ndarray, labels: list[str]) -> list[tuple[str, float]]:
    """Return label and box as numbers that can be compared: to a tenth of a pixel."""
    return sorted(
        (label, *(round(float(side), 1) for side in box)) for label, box in zip(labels, boxes)
    )


def _served(
    graph: Graph, start: Callable[..., NodeProcess], bundle: Bundle
) -> tuple[Application, Collector[Detections]]:
    """Return an active node that serves a detector, and its results."""
    application = Application(graph, start, bundle.folder, wait=False, engine='onnxruntime')
    results: Collector[Detections] = graph.collect(Detections, f'{application.id}/detections')
    graph.wait_for_state(application.id, 'active')
    graph.wait_for_subscriptions(application.images)
    graph.wait_for_publishers(results.topic)
    return application, results


def _message(frame: RawPicture, index: int):
    pixels = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
    return image_message(pixels, 'rgb8', nanoseconds=10**9 + index, frame_id=str(index))


def _live(bundle: Bundle, frames: list[RawPicture], begun: float) -> tuple[int, float]:
    """Return how many frames have other boxes, and when the first boxes came, s from `begun`."""
    expected, first, different = _off_line(bundle, frames), 0.0, 0
    waited = time.monotonic()
    with deployment() as (graph, start):
        application, results = _served(graph, start, bundle)
        for index, frame in enumerate(frames):
            application.images.publish(_message(frame, index))
            result = results.wait_for(lambda r, i=index: r.header.frame_id == str(i))
            # The frames were computed off line meanwhile, which no user does.
            first = first or (time.monotonic() - waited) + (waited - begun)
            boxes = np.array(
                [[d.x_min, d.y_min, d.x_max, d.y_max] for d in result.detections]
            ).reshape(-1, 4)
            rows = _rows(boxes, [d.class_id for d in result.detections])
            different += not _alike(rows, expected[index])
    return different, first


def _alike(found: list, expected: list) -> bool:
    return len(found) == len(expected) and all(
        one[0] == other[0] and np.allclose(one[1:], other[1:], atol=0.11)
        for one, other in zip(found, expected)
    )


def _annotated(
    bundle: Bundle, frames: list[RawPicture], runs: int
) -> tuple[list[float], list[float]]:
    """Return the median of frames, s, with somebody who looks at pictures and without."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(runs):
        for looked_at in (False, True):
            with deployment() as (graph, start):
                application, results = _served(graph, start, bundle)
                if looked_at:
                    looker = graph.collect(
                        CompressedImage, f'{application.id}/annotated/compressed'
                    )
                    graph.wait_for_publishers(looker.topic)
                taken = []
                for index in range(FRAMES):
                    message = _message(frames[index % len(frames)], index)
                    sent = time.perf_counter()
                    application.images.publish(message)
                    results.wait_for(lambda r, i=index: r.header.frame_id == str(i))
                    taken.append(time.perf_counter() - sent)
            times[looked_at].append(float(np.median(taken[10:])))
    return times[True], times[False]

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a running node on camera frames, next to that of its network without a node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from dynamic_dnn_ros.msg import Classification, InferenceStatus
from dynamic_dnn_ros.pictures.scaling import RawPicture
from support.application import Application
from support.deployment import deployment
from support.images import Pixels, decode, image_message, nanoseconds_of
from support.offline import offline_classifier
from support.shared_data import LabelledPicture, cifar10_test

WIDTH, HEIGHT = 320, 240
FIRST_STAMP = 10**9


@dataclass(frozen=True)
class Accuracy:
    """
    Top-1 accuracy of one sub-network, 0..1.

    `live` of the node on frames of 320x240, `offline` of the network alone on the same frames,
    `different` the share of frames that the two put into different classes. `original` is that
    of the network alone on the pictures before they were scaled to frames: what scaling costs
    is not the node's doing.
    """

    live: float
    offline: float
    original: float
    different: float
    received: int
    served: int
    replaced: int
    pictures: tuple[LabelledPicture, ...]
    results: list[Classification]


def frame_of(picture: LabelledPicture) -> Pixels:
    """Return a picture as a camera that looks at a screen sees it: each pixel a rectangle."""
    frame = Picture.fromarray(decode(picture.jpeg)).resize(
        (WIDTH, HEIGHT), Picture.Resampling.NEAREST
    )
    return np.asarray(frame)


def frame_picture(frame: Pixels) -> RawPicture:
    """Return a frame as the preprocessing takes it, without any message."""
    return RawPicture('rgb8', WIDTH, HEIGHT, WIDTH * 3, frame.tobytes())


def measure_accuracy(bundle: Path, sub_network: str, count: int) -> Accuracy:
    """
    Publish pictures as camera frames, the next one after the result of the last.

    Picture k has the stamp `FIRST_STAMP` + k nanoseconds and its name as frame id, and rows with
    k modulo 5 bytes of padding.
    """
    pictures = cifar10_test(count)
    offline = offline_classifier(bundle)
    with deployment() as (graph, start):
        application = Application(graph, start, bundle, sub_network=sub_network)
        for index, picture in enumerate(pictures):
            message = image_message(
                frame_of(picture),
                'bgr8',
                nanoseconds=FIRST_STAMP + index,
                frame_id=picture.name,
                padding=index % 5,
            )
            application.serve(message)
        status = application.wait_for_event(
            InferenceStatus.EVENT_HEARTBEAT, len(application.all_statuses)
        )
        results = list(application.results)
    truth = [picture.class_name for picture in pictures]
    live = [result.results[0].class_id for result in results]
    frames = (frame_of(picture) for picture in pictures)
    alone = [
        offline.classes[int(offline.scores(frame_picture(frame), sub_network).argmax())]
        for frame in frames
    ]
    original = [offline.class_of(picture.jpeg, sub_network) for picture in pictures]
    return Accuracy(
        live=float(np.mean([one == other for one, other in zip(live, truth)])),
        offline=float(np.mean([one == other for one, other in zip(alone, truth)])),
        original=float(np.mean([one == other for one, other in zip(original, truth)])),
        different=float(np.mean([one != other for one, other in zip(live, alone)])),
        received=int(status.received),
        served=int(status.served),
        replaced=int(status.replaced),
        pictures=pictures,
        results=results,
    )


def carries_its_stamp(accuracy: Accuracy) -> bool:
    """Return whether each result has the stamp and the frame id of its own frame."""
    return all(
        nanoseconds_of(result.header.stamp) == FIRST_STAMP + index
        and result.header.frame_id == picture.name
        for index, (picture, result) in enumerate(zip(accuracy.pictures, accuracy.results))
    )

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as `foxglove_msgs/ImageAnnotations`: shapes that a viewer draws over the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Time

from dynamic_dnn_ros.tasks.drawing import Colour, text_colour


def image_annotations(messages: Any, outlines: Sequence[Any], texts: Sequence[Any]) -> Any:
    """Return a message of outlines and texts."""
    return messages.ImageAnnotations(points=list(outlines), texts=list(texts))


def box_annotation(messages: Any, box: Sequence[float], width: float, colour: Colour) -> Any:
    """Return the outline of a box: left, upper, right, lower, pixels; `width` of its lines."""
    left, upper, right, lower = box
    corners = ((left, upper), (right, upper), (right, lower), (left, lower))
    return messages.PointsAnnotation(
        type=messages.PointsAnnotation.LINE_LOOP,
        points=[messages.Point2(x=x, y=y) for x, y in corners],
        outline_color=_colour(messages, colour),
        thickness=float(width),
    )


def text_annotation(
    messages: Any, corner: tuple[float, float], text: str, height: float, colour: Colour
) -> Any:
    """Return a text on a colour; `corner` is its lower left, `height` its size, pixels."""
    return messages.TextAnnotation(
        position=messages.Point2(x=corner[0], y=corner[1]),
        text=text,
        font_size=float(height),
        text_color=_colour(messages, text_colour(colour)),
        background_color=_colour(messages, colour),
    )


def set_stamp(annotations: Any, stamp: Time) -> None:
    """Write the stamp of the image, by which viewers find the two together."""
    # The message has had a stamp of its own since 2026; its parts always had.
    if hasattr(annotations, 'timestamp'):
        annotations.timestamp = stamp
    for part in (*annotations.points, *annotations.texts, *annotations.circles):
        part.timestamp = stamp


def _colour(messages: Any, colour: Colour) -> Any:
    red, green, blue = (value / 255 for value in colour)
    return messages.Color(r=red, g=green, b=blue, a=1.0)

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results drawn on the camera's picture: boxes, coloured masks, the best classes."""

from __future__ import annotations

from collections.abc import Sequence
import colorsys
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Detections, LabelMap

if TYPE_CHECKING:
    from PIL import ImageDraw

#: Red, green, blue, 0..255.
Colour = tuple[int, int, int]

#: First and last column and row, pixels: left, upper, right, lower.
_Rectangle = tuple[int, int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

#: Names of the class that stands for "nothing"; it is left uncoloured.
BACKGROUND = ('background', '__background__', '_background_')

#: How much of a mask's colour is laid over the picture.
_OPACITY = 0.5

#: Classes that the legend of a mask names at most.
_LEGEND = 8

#: Hues that follow each other by this share of the circle stay as far apart as they can.
_GOLDEN_RATIO = 0.618034

#: Luma of a class's colour, 0..255, at least.
_DARKEST = 85.0

_PANEL: Colour = (24, 24, 24)


@functools.cache
def class_colour(index: int) -> Colour:
    """Return the colour of a class: neighbours differ clearly, and it is the same everywhere."""
    hue = (0.02 + index * _GOLDEN_RATIO) % 1.0
    value = (1.0, 0.8, 0.92)[index % 3]
    saturation = (0.85, 0.7, 1.0)[index // 3 % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    # Pure blue is too dark for a line on a dark picture.
    lift = max(0.0, (_DARKEST - _luma((red, green, blue))) / (255 - _DARKEST))
    red, green, blue = (round(part + lift * (255 - part)) for part in (red, green, blue))
    return red, green, blue


def text_colour(background: Colour) -> Colour:
    """Return black or white, whichever is readable on a colour."""
    return BLACK if _luma(background) > 140 else WHITE


def _luma(colour: Colour) -> float:
    """Return the brightness of a colour, 0..255, by ITU-R BT.601."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def line_width(size: Size) -> int:
    """Return the width of lines on a picture, pixels."""
    return max(1, round(min(size) / 200))


def font_height(size: Size) -> int:
    """Return the height of text on a picture, pixels."""
    return max(10, round(min(size) / 30))


def box_text(label: str, score: float, track_id: int = 0) -> str:
    """Return what is written on a box; a track id of 0 is none."""
    track = f' #{track_id}' if track_id else ''
    return f'{label}{track} {score:.2f}'


def draw_detections(
    picture: Image.Image,
    detections: Detections,
    labels: Sequence[str],
    track_ids: Sequence[int] | None = None,
) -> Image.Image:
    """
    Draw boxes with label and score, the best on top.

    A label that would cover that of a better box moves into its own box or below it, and is left
    out where there is no room either.

    :param picture: the camera's, of any mode; it is left as it is
    :param track_ids: of each detection, 0: none
    :return: mode RGB, of the same size
    """
    canvas = picture.convert('RGB') if picture.mode != 'RGB' else picture.copy()
    size = Size(canvas.height, canvas.width)
    draw = _brush(canvas)
    font = font_of(font_height(size))
    width = line_width(size)
    drawn = [
        index for index in range(len(detections)) if np.isfinite(detections.boxes[index]).all()
    ]
    for index in reversed(drawn):
        colour = class_colour(int(detections.classes[index]))
        left, upper, right, lower = _whole(detections.boxes[index], size)
        draw.rectangle((left, upper, right, lower), outline=colour, width=width)
    tagged: list[_Rectangle] = []
    for index in drawn:
        number = int(detections.classes[index])
        track_id = 0 if track_ids is None else int(track_ids[index])
        text = box_text(labels[number], float(detections.scores[index]), track_id)
        height, tag_width, padding = _measure([text], font)
        box = _whole(detections.boxes[index], size)
        place = _free_place(box, (tag_width, height), tagged, size)
        if place is not None:
            tagged.append(place)
            colour = class_colour(number)
            draw.rectangle(place, colour)
            corner = (place[0] + padding, place[1] + 1)
            _write(draw, corner, text, font, text_colour(colour))
    return canvas


def draw_scores(picture: Image.Image, scores: Sequence[tuple[str, float]]) -> Image.Image:
    """
    Draw the best classes with their probabilities, as bars in the upper left.

    :param picture: the camera's, of any mode; it is left as it is
    :param scores: names and probabilities 0..1, best first
    :return: mode RGB, of the same size
    """
    canvas = picture.convert('RGB') if picture.mode != 'RGB' else picture.copy()
    if not scores:
        return canvas
    size = Size(canvas.height, canvas.width)
    font = font_of(font_height(size))
    texts = [f'{score:.2f}   {label}' for label, score in scores]
    row, width, padding = _measure(texts, font)
    rows = max(1, min(len(texts), (size.height - 2 * padding) // row))
    panel = Image.new('RGB', (min(size.width, width), rows * row + padding), _PANEL)
    draw = _brush(panel)
    for index in range(rows):
        upper = index * row + padding // 2
        share = min(1.0, max(0.0, scores[index][1]))
        colour = class_colour(0) if index == 0 else (90, 90, 90)
        if share > 0:
            draw.rectangle((0, upper, round(share * (panel.width - 1)), upper + row - 2), colour)
        _write(draw, (padding, upper + 1), texts[index], font, WHITE)
    return _laid_over(canvas, panel, 0.8)


def draw_label_map(
    picture: Image.Image, label_map: LabelMap, labels: Sequence[str]
) -> Image.Image:
    """
    Colour the pixels of a picture by their class, with a legend of the most frequent ones.

    A class named as one of `BACKGROUND`, and what the network did not see, stay as they are.

    :param picture: the camera's, of any mode; it is left as it is
    :return: mode RGB, of the same size
    """
    canvas = picture.convert('RGB') if picture.mode != 'RGB' else picture
    classes = label_map.classes
    coloured = [number for number, label in enumerate(labels) if label not in BACKGROUND]
    table = np.zeros((max(int(classes.max(initial=0)) + 1, len(labels)), 3), np.uint8)
    shown = np.zeros(len(table), bool)
    for number in coloured:
        table[number] = class_colour(number)
        shown[number] = number != LabelMap.UNLABELLED
    mask = shown[classes]
    # The border of a region in its full colour: two regions of like colours stay two.
    border = _borders(classes) & mask
    opacity = np.where(border, 1.0, np.where(mask, _OPACITY, 0.0)).astype(np.float32)
    pixels = np.asarray(canvas, np.float32)
    blended = pixels + opacity[..., None] * (table[classes].astype(np.float32) - pixels)
    drawn = Image.fromarray(np.rint(blended).astype(np.uint8))
    return _legend(drawn, _shares(classes[mask]), labels)


def _shares(classes: NDArray[Any]) -> list[int]:
    """Return the classes that occur, the most frequent first."""
    counts = np.bincount(classes.ravel())
    order = np.argsort(counts, kind='stable')[::-1]
    return [int(number) for number in order if counts[number]]


def _borders(classes: NDArray[Any]) -> NDArray[np.bool_]:
    border = np.zeros(classes.shape, bool)
    border[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    border[1:, :] |= classes[1:, :] != classes[:-1, :]
    return border


def _legend(canvas: Image.Image, numbers: Sequence[int], labels: Sequence[str]) -> Image.Image:
    if not numbers:
        return canvas
    size = Size(canvas.height, canvas.width)
    font = font_of(font_height(size))
    texts = [labels[number] for number in numbers[:_LEGEND]]
    row, width, padding = _measure(texts, font)
    panel = Image.new('RGB', (min(size.width, width + row), len(texts) * row + padding), _PANEL)
    draw = _brush(panel)
    for index, text in enumerate(texts):
        upper = index * row + padding // 2
        swatch = (padding, upper + 2, padding + row - 5, upper + row - 3)
        draw.rectangle(swatch, class_colour(numbers[index]))
        _write(draw, (padding + row, upper + 1), text, font, WHITE)
    return _laid_over(canvas, panel, 0.75)


def _laid_over(canvas: Image.Image, panel: Image.Image, opacity: float) -> Image.Image:
    panel = panel.crop((0, 0, min(panel.width, canvas.width), min(panel.height, canvas.height)))
    below = canvas.crop((0, 0, panel.width, panel.height))
    canvas.paste(Image.blend(below, panel, opacity), (0, 0))
    return canvas


def _whole(box: NDArray[Any], size: Size) -> tuple[int, int, int, int]:
    """Return the first and last pixels of a box, inside the picture and in order."""
    left, upper, right, lower = (round(float(edge)) for edge in np.clip(box, -1e6, 1e6))
    left, upper = min(max(left, 0), size.width - 1), min(max(upper, 0), size.height - 1)
    right, lower = min(right, size.width) - 1, min(lower, size.height) - 1
    return left, upper, max(left, right), max(upper, lower)


def _brush(picture: Image.Image) -> ImageDraw.ImageDraw:
    # Whoever never draws does without the 10 ms that fonts take to import.
    from PIL import ImageDraw

    return ImageDraw.Draw(picture)


def _free_place(
    box: _Rectangle, tag: tuple[int, int], taken: Sequence[_Rectangle], size: Size
) -> _Rectangle | None:
    """
    Return where a tag covers no other: above its box, in it, or below; None: nowhere.

    :param tag: its width and height, pixels
    """
    width, height = tag
    left = max(0, min(box[0], size.width - width))
    for upper in (box[1] - height, box[1], box[3] + 1):
        place = (left, upper, left + width - 1, upper + height - 1)
        if upper < 0 or (upper > box[1] and place[3] >= size.height):
            continue
        if not any(_meet(place, other) for other in taken):
            return place
    return None


def _meet(one: _Rectangle, other: _Rectangle) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _measure(texts: Sequence[str], font: Any) -> tuple[int, int, int]:
    """Return height of a line, width of the longest, and what is left free beside it, pixels."""
    bounds = [font.getbbox(writable(text, font)) for text in ('Ag', *texts)]
    height = round(bounds[0][3]) + 3
    padding = max(2, height // 5)
    return height, round(max(bound[2] for bound in bounds)) + 2 * padding, padding


def _write(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, font: Any, colour: Colour
) -> None:
    draw.text(corner, writable(text, font), colour, font)


def writable(text: str, font: Any) -> str:
    """Return a text as a font can write it: the bitmap font knows Latin-1 alone."""
    text = ''.join(letter if letter.isprintable() else ' ' for letter in text)
    from PIL import ImageFont

    if isinstance(font, ImageFont.FreeTypeFont):
        return text
    return text.encode('latin-1', 'replace').decode('latin-1')


@functools.lru_cache(maxsize=16)
def font_of(height: int) -> Any:
    """Return the font that is always there, in a height in pixels where it has several."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(height)
    except TypeError:  # Pillow before 10.1 has one small font of pixels.
        return ImageFont.load_default()

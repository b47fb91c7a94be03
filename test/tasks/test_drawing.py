# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is drawn lies where the result says, and nothing else is touched."""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image, ImageFont
import pytest

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks import drawing
from dynamic_dnn_ros.tasks.contract import Detections, LabelMap
from dynamic_dnn_ros.tasks.drawing import (
    box_text,
    class_colour,
    draw_detections,
    draw_label_map,
    draw_scores,
    font_height,
    line_width,
    text_colour,
)

GREY = (128, 128, 128)


def grey(width: int = 640, height: int = 480, mode: str = 'RGB') -> Image.Image:
    return Image.new(mode, (width, height), GREY if mode == 'RGB' else 128)


def detections(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def changed(picture: Image.Image) -> np.ndarray:
    return (np.asarray(picture) != 128).any(axis=2)


def test_a_box_is_drawn_inside_its_edges_in_the_colour_of_its_class() -> None:
    picture = grey()
    drawn = draw_detections(picture, detections((100, 200, 300, 400, 0.9, 3)), ['x'] * 4)
    assert (drawn.mode, drawn.size) == ('RGB', picture.size)
    pixels, width = np.asarray(drawn), line_width(Size(480, 640))
    for row, column in ((399, 250), (300, 100), (300, 299)):
        assert tuple(pixels[row, column]) == class_colour(3)
    assert tuple(pixels[400 - width, 250]) == class_colour(3)
    assert tuple(pixels[400 - width - 1, 250]) == GREY, 'the inside is left free'
    mask = changed(drawn)
    assert not mask[401:].any() and not mask[:, 301:].any()
    assert not mask[: 200 - font_height(Size(480, 640)) - 8].any()
    assert mask[200 - 5, 105], 'the label stands above the box'
    assert not changed(picture).any(), "the camera's own picture is left as it is"


def test_the_label_stays_in_the_picture() -> None:
    for box in ((0, 0, 50, 50), (600, 0, 640, 480), (630, 470, 640, 480)):
        drawn = draw_detections(grey(), detections((*box, 0.5, 0)), ['a rather long name'])
        tag = (np.asarray(drawn) == class_colour(0)).all(axis=2)
        assert tag.any(axis=0).sum() > 100, 'the whole name is on a ground of its colour'


def test_labels_of_neighbouring_boxes_do_not_cover_each_other() -> None:
    """The better label stands; the others move into their box or below it, or are left out."""
    labels = ['a name'] * 5
    boxes = [(100, 100, 300, 300, 0.9 - 0.1 * n, n) for n in range(4)]
    alone = np.asarray(draw_detections(grey(), detections(boxes[0]), labels))
    drawn = np.asarray(draw_detections(grey(), detections(*boxes), labels))
    found = [np.argwhere((drawn == class_colour(n)).all(axis=2)) for n in range(4)]
    assert (drawn[:100] == alone[:100]).all(), 'the best one is as if it were alone'
    assert (found[1].min(axis=0)[0], found[2].min(axis=0)[0]) == (100, 300), 'in it, below it'
    assert not len(found[3]), 'there is no room for the worst one'
    # One beside the other, both labels stand above.
    apart = [(20, 100, 120, 200, 0.9, 0), (320, 100, 420, 200, 0.8, 1)]
    drawn = np.asarray(draw_detections(grey(), detections(*apart), labels))
    for n in range(2):
        assert np.argwhere((drawn == class_colour(n)).all(axis=2)).min(axis=0)[0] < 100


def test_the_best_detection_is_on_top() -> None:
    boxes = [(100, 100, 300, 300, 0.9, 1), (100, 100, 300, 300, 0.5, 2)]
    drawn = np.asarray(draw_detections(grey(), detections(*boxes), ['a', 'b', 'c']))
    assert tuple(drawn[200, 100]) == class_colour(1)


@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_nothing_found_leaves_the_picture_as_it_is(mode: str) -> None:
    drawn = draw_detections(grey(mode=mode), detections(), ['a'])
    assert drawn.mode == 'RGB' and not changed(drawn).any()
    assert not changed(draw_scores(grey(mode=mode), [])).any()


@pytest.mark.parametrize(
    'box',
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (-500, -500, 5000, 5000),
        (700, 500, 900, 900),
        (30, 30, 20, 20),
        (10, 10, 10, 10),
    ],
)
@pytest.mark.parametrize('size', [(640, 480), (8, 6), (1, 1)])
def test_no_box_is_too_bad_to_draw_the_others(
    box: tuple[float, ...], size: tuple[int, int]
) -> None:
    good = (0.0, 0.0, size[0], size[1], 0.9, 1)
    drawn = draw_detections(grey(*size), detections(good, (*box, 0.5, 0)), ['a', 'b'])
    assert drawn.size == size and changed(drawn).any()


def test_a_track_id_is_written_where_there_is_one() -> None:
    assert box_text('person', 0.834) == 'person 0.83'
    assert box_text('person', 0.834, 12) == 'person #12 0.83'
    found = detections((100, 200, 300, 400, 0.9, 0))
    without, tracked = (draw_detections(grey(), found, ['a'], ids) for ids in (None, [7]))
    assert (np.asarray(without) != np.asarray(tracked)).any()
    zero = draw_detections(grey(), found, ['a'], [0])
    assert (np.asarray(without) == np.asarray(zero)).all()


def test_classes_that_follow_each_other_differ_and_all_can_be_read() -> None:
    colours = [class_colour(index) for index in range(80)]
    assert len(set(colours)) == 80
    for first, second in itertools.pairwise(colours):
        assert np.abs(np.subtract(first, second)).max() > 60
    for colour in colours:
        text = np.array(text_colour(colour), float)
        weights = (0.299, 0.587, 0.114)
        assert abs(np.dot(weights, colour) - np.dot(weights, text)) > 80
        assert np.dot(weights, colour) > 80, 'seen on a dark picture'


def test_lines_and_text_grow_with_the_picture() -> None:
    sizes = [Size(240, 320), Size(480, 640), Size(1080, 1920)]
    assert [line_width(size) for size in sizes] == [1, 2, 5]
    heights = [font_height(size) for size in sizes]
    assert heights == sorted(set(heights)) and heights[0] >= 10


def test_bars_are_as_long_as_the_probabilities() -> None:
    drawn = draw_scores(grey(), [('cat', 1.0), ('dog', 0.0)])
    mask = changed(drawn)
    panel_width = int(mask.any(axis=0).sum())
    reddish = np.asarray(drawn)[..., 0].astype(int) - np.asarray(drawn)[..., 2] > 80
    assert reddish.any(axis=0).sum() >= panel_width - 1
    assert not mask[100:].any()
    small = draw_scores(grey(32, 32), [('a very long name of a class', 0.7)] * 5)
    assert small.size == (32, 32)


def test_a_mask_colours_its_pixels_and_no_other() -> None:
    classes = np.zeros((480, 640), np.uint8)
    classes[200:300, 200:400] = 2
    classes[300:400, 200:400] = LabelMap.UNLABELLED
    drawn = draw_label_map(grey(), LabelMap(classes), ['background', 'cat', 'dog'])
    pixels = np.asarray(drawn)
    halfway = (np.array(GREY) + class_colour(2)) / 2
    assert np.abs(pixels[250, 300] - halfway).max() <= 1
    assert tuple(pixels[200, 300]) == class_colour(2), 'the border in full colour'
    assert tuple(pixels[350, 300]) == GREY, 'what the network did not see'
    assert tuple(pixels[450, 600]) == GREY, 'background'
    swatch = 0.75 * np.array(class_colour(2)) + 0.25 * 128
    legend = (np.abs(pixels[:60, :60] - swatch) <= 1).all(axis=2)
    assert legend.sum() > 50


def test_where_no_label_is_background_the_first_one_is_coloured() -> None:
    drawn = draw_label_map(grey(), LabelMap(np.zeros((480, 640), np.uint16)), ['road'])
    halfway = (np.array(GREY) + class_colour(0)) / 2
    assert np.abs(np.asarray(drawn)[400, 400] - halfway).max() <= 1


def test_values_beyond_the_labels_cost_nothing() -> None:
    classes = np.full((48, 64), 9, np.uint8)
    assert not changed(draw_label_map(grey(64, 48), LabelMap(classes), ['a', 'b'])).any()


def test_the_bitmap_font_of_an_old_pillow_writes_what_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bitmap = ImageFont.load_default_imagefont()
    monkeypatch.setattr(drawing, 'font_of', lambda height: bitmap)
    found = detections((100, 200, 300, 400, 0.9, 0))
    drawn = draw_detections(grey(), found, ['猫\nkatt ö'])
    assert changed(drawn)[190:200].any()

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dynamic_dnn_ros.pictures.input import Alignment, Interpolation, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted

SIDES = st.integers(1, 3000)
SIZES = st.builds(Size, SIDES, SIDES)
WAYS = st.builds(
    Preprocessing,
    resize=st.sampled_from(Resize),
    mean=st.just((0.0, 0.0, 0.0)),
    standard_deviation=st.just((1.0, 1.0, 1.0)),
    interpolation=st.sampled_from(Interpolation),
    alignment=st.sampled_from(Alignment),
    padding=st.integers(0, 255),
)


def corners(draw: st.DrawFn, size: Size) -> np.ndarray:
    xs = sorted(draw(st.lists(st.floats(0, size.width), min_size=2, max_size=2)))
    ys = sorted(draw(st.lists(st.floats(0, size.height), min_size=2, max_size=2)))
    return np.array([[xs[0], ys[0], xs[1], ys[1]]])


@given(st.data(), SIZES, SIZES, WAYS)
def test_boxes_there_and_back(
    data: st.DataObject, picture: Size, target: Size, way: Preprocessing
) -> None:
    placement = Placement.of(picture, target, way)
    boxes = data.draw(st.composite(corners)(picture))
    back = placement.to_picture(placement.to_input(boxes), clip=False)
    # float32 carries 3000 pixels scaled by 3000 to no better than a few of a thousand.
    assert np.abs(back - boxes).max() <= 0.5


@given(SIZES, SIZES, WAYS)
def test_the_whole_picture_lies_where_it_is_fitted(
    picture: Size, target: Size, way: Preprocessing
) -> None:
    placement = Placement.of(picture, target, way)
    left, upper, right, lower = placement.content
    whole = np.array([[0, 0, picture.width, picture.height]])
    if way.resize is Resize.LETTERBOX:
        assert (left, upper, right, lower) == pytest.approx(placement.to_input(whole)[0])
        assert left.is_integer() and upper.is_integer()
        assert max(right - left - target.width, lower - upper - target.height) <= 1e-6
    else:
        expected = (0.0, 0.0, target.width, target.height)
        assert (left, upper, right, lower) == pytest.approx(expected, abs=1e-3)


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    st.builds(Size, st.integers(40, 400), st.integers(40, 400)),
    st.builds(Size, st.integers(24, 160), st.integers(24, 160)),
    WAYS,
)
def test_a_drawn_rectangle_is_found_where_the_placement_says(
    data: st.DataObject, picture: Size, target: Size, way: Preprocessing
) -> None:
    placement = Placement.of(picture, target, way)
    seen = placement.to_picture(np.array([placement.content]))[0]
    box = np.round(np.array(data.draw(st.composite(corners)(picture))[0]))
    box = np.clip(box, np.ceil(seen[[0, 1, 0, 1]]), np.floor(seen[[2, 3, 2, 3]]))
    expected = placement.to_input(box[None])[0]
    # Smaller ones than a filter is wide have no clear border.
    width, height = expected[2:] - expected[:2]
    least = 6 * max(1.0, *placement.scale)
    if min(width, height) < least:
        return
    left, upper, right, lower = map(int, box)
    pixels = np.zeros((*picture, 3), np.uint8)
    pixels[upper:lower, left:right] = 255
    raw = RawPicture('rgb8', picture.width, picture.height, picture.width * 3, pixels.tobytes())
    found, same = fitted(raw, target, way)
    assert same == placement
    middle = ((expected[:2] + expected[2:]) / 2).astype(int)
    inner = np.round(placement.content).astype(int)
    covered = found[..., 0] / 255.0
    borders = []
    for axis, line in enumerate((covered[middle[1]], covered[:, middle[0]])):
        # What a border pixel is covered with says where in it the border lies.
        begin, end, half = inner[axis], inner[axis + 2], middle[axis]
        borders.append((half - line[begin:half].sum(), half + line[half:end].sum()))
    (left_found, right_found), (upper_found, lower_found) = borders
    found_box = np.array([left_found, upper_found, right_found, lower_found])
    assert np.abs(found_box - expected).max() <= 0.5


@pytest.mark.parametrize(('alignment', 'upper'), [(Alignment.CENTER, 1), (Alignment.TOP_LEFT, 0)])
def test_a_letterbox_keeps_proportions_and_fills_the_rest(
    alignment: Alignment, upper: int
) -> None:
    way = Preprocessing(Resize.LETTERBOX, (0.0,) * 3, (1.0,) * 3, alignment=alignment, padding=7)
    pixels = np.full((10, 20, 3), 200, np.uint8)
    raw = RawPicture('bgr8', 20, 10, 60, pixels.tobytes())
    out = np.full((9, 12, 3), 99, np.uint8)
    found, placement = fitted(raw, Size(9, 12), way, out)
    assert found is out
    expected = np.full((9, 12, 3), 7, np.uint8)
    expected[upper : upper + 6] = 200
    assert np.array_equal(found, expected)
    assert placement.offset == (float(upper), 0.0)


def test_a_crop_to_a_rectangle_sees_the_largest_middle_part_of_its_proportions() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    raw = RawPicture('rgb8', 30, 20, 90, pixels.tobytes())
    way = Preprocessing(Resize.CENTER_CROP, (0.0,) * 3, (1.0,) * 3)
    found, placement = fitted(raw, Size(20, 10), way)
    assert np.array_equal(found, pixels[:, 10:20])
    assert placement.to_picture(np.array([[0, 0, 10, 20]])).tolist() == [[10, 0, 20, 20]]


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    st.builds(Size, st.integers(1, 90), st.integers(1, 90)),
    st.builds(Size, st.integers(1, 60), st.integers(1, 60)),
    WAYS,
)
def test_masks_take_the_label_at_the_centre_of_each_pixel(
    data: st.DataObject, picture: Size, target: Size, way: Preprocessing
) -> None:
    placement = Placement.of(picture, target, way)
    shape = (data.draw(st.integers(1, target.height)), data.draw(st.integers(1, target.width)))
    mask = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    found = placement.mask_to_picture(mask, 65535)
    assert found.shape == picture and found.dtype == np.uint16
    for row in range(0, picture.height, 1 + picture.height // 7):
        for column in range(0, picture.width, 1 + picture.width // 7):
            y = (row + 0.5) * placement.scale[0] + placement.offset[0]
            x = (column + 0.5) * placement.scale[1] + placement.offset[1]
            if 0 <= y < target.height and 0 <= x < target.width:
                cell = int(y * (shape[0] / target.height)), int(x * (shape[1] / target.width))
                assert found[row, column] == mask[cell]
            else:
                assert way.resize is Resize.CENTER_CROP
                assert found[row, column] == 65535


def test_a_mask_of_the_input_comes_back_as_it_was_where_nothing_is_scaled() -> None:
    way = Preprocessing(Resize.LETTERBOX, (0.0,) * 3, (1.0,) * 3)
    placement = Placement.of(Size(40, 64), Size(64, 64), way)
    mask = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    assert np.array_equal(placement.mask_to_picture(mask, 255), mask[12:52])

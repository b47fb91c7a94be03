# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which input takes the picture, and what is put in front of it."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper
import pytest

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.float16 import compute_in_float32, uses_float16
from dynamic_dnn_ros.importing.picture_input import Layout, find_picture_input
from dynamic_dnn_ros.importing.preparation import PICTURES, put_in_front
from dynamic_dnn_ros.pictures.input import ChannelOrder, Preprocessing, Resize
from support.onnx_models import answer, classifier, model_of, pixels_out

PICTURE = np.random.default_rng(3).integers(0, 256, (1, 4, 6, 3), np.uint8)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN = Preprocessing(Resize.STRETCH, MEAN, DEVIATION)
BGR = Preprocessing(Resize.STRETCH, MEAN, DEVIATION, channels=ChannelOrder.BGR)
BYTES = Preprocessing(Resize.STRETCH, (0.0,) * 3, (1 / 255,) * 3)


def normalised(preprocessing: Preprocessing) -> np.ndarray:
    """Return what a network has to get, as its training computed it."""
    colours = (PICTURE / 255 - preprocessing.mean) / preprocessing.standard_deviation
    return colours[..., ::-1] if preprocessing.channels is ChannelOrder.BGR else colours


def prepared(model: onnx.ModelProto, preprocessing: Preprocessing) -> onnx.ModelProto:
    put_in_front(model, find_picture_input(model, 'm'), preprocessing)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize('preprocessing', [PLAIN, BGR, BYTES])
@pytest.mark.parametrize('kind', [TensorProto.FLOAT, TensorProto.DOUBLE])
@pytest.mark.parametrize('planes', [True, False])
def test_the_network_gets_what_it_was_trained_with(
    preprocessing: Preprocessing, kind: int, planes: bool
) -> None:
    shape = (1, 3, 4, 6) if planes else (1, 4, 6, 3)
    model = prepared(pixels_out(shape, kind), preprocessing)
    (seen,) = answer(model, PICTURE)
    expected = normalised(preprocessing)
    expected = expected.transpose(0, 3, 1, 2) if planes else expected
    np.testing.assert_allclose(seen, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize('shape', [('n', 3, 'h', 'w'), ('n', 'h', 'w', 3), (1, 3, 4, 'w')])
def test_free_axes_stay_free_but_the_batch(shape: Sequence[int | str]) -> None:
    model = pixels_out(shape)
    found = find_picture_input(model, 'm')
    assert found.free and found.layout is (Layout.PIXELS if shape[3] == 3 else Layout.PLANES)
    put_in_front(model, found, BYTES)
    (value,) = model.graph.input
    sizes = [each.dim_value or each.dim_param for each in value.type.tensor_type.shape.dim]
    assert sizes == [1, 4 if shape[2] == 4 else 'height', 'width', 3]
    np.testing.assert_array_equal(answer(model, PICTURE)[0].sum(), PICTURE.sum(dtype=np.float32))


def test_a_network_that_takes_bytes_gets_them() -> None:
    for shape, expected in (
        ((1, 4, 6, 3), PICTURE),
        ((1, 3, 4, 6), PICTURE.transpose(0, 3, 1, 2)),
    ):
        model = prepared(pixels_out(shape, TensorProto.UINT8), PLAIN)
        np.testing.assert_array_equal(answer(model, PICTURE)[0], expected)
    model = prepared(pixels_out((1, 4, 6, 3), TensorProto.UINT8), BGR)
    np.testing.assert_array_equal(answer(model, PICTURE)[0], PICTURE[..., ::-1])


def test_a_model_whose_own_values_are_called_pictures() -> None:
    for names in (('image', PICTURES), (PICTURES, 'seen')):
        nodes = [helper.make_node('Identity', [names[0]], [names[1]])]
        nodes.append(helper.make_node('Neg', [names[1]], ['out']))
        shape = (1, 3, 4, 6)
        model = model_of(
            nodes, [(names[0], TensorProto.FLOAT, shape)], [('out', TensorProto.FLOAT, shape)]
        )
        expected = -normalised(PLAIN).transpose(0, 3, 1, 2)
        (seen,) = answer(prepared(model, PLAIN), PICTURE)
        np.testing.assert_allclose(seen, expected, rtol=2e-6, atol=2e-6)


def test_weights_among_the_inputs_are_no_inputs() -> None:
    # As files of IR version 3 have it.
    model = classifier()
    model.graph.input.append(
        helper.make_tensor_value_info('filters', TensorProto.FLOAT, (8, 3, 3, 3))
    )
    assert find_picture_input(model, 'm').name == 'image'
    put_in_front(model, find_picture_input(model, 'm'), PLAIN)
    assert [value.name for value in model.graph.input] == [PICTURES]


@pytest.mark.parametrize('free', [False, True])
def test_size_inputs_of_known_exports_are_fed(free: bool) -> None:
    sides: tuple[int | str, ...] = ('h', 'w') if free else (4, 6)
    nodes = [
        helper.make_node('Identity', [name], [f'{name}_out'])
        for name in ('images', 'orig_target_sizes', 'im_shape', 'scale_factor')
    ]
    inputs = [
        ('images', TensorProto.FLOAT, ('n', 3, *sides)),
        ('orig_target_sizes', TensorProto.INT64, ('n', 2)),
        ('im_shape', TensorProto.FLOAT, ('n', 2)),
        ('scale_factor', TensorProto.FLOAT, ('n', 2)),
    ]
    outputs = [(f'{name}_out', kind, None) for name, kind, _ in inputs]
    model = model_of(nodes, inputs, outputs)
    put_in_front(model, find_picture_input(model, 'm'), BYTES)
    _, sizes, shape, scale = answer(model, PICTURE)
    np.testing.assert_array_equal(sizes, [[6, 4]])
    np.testing.assert_array_equal(shape, [[4, 6]])
    np.testing.assert_array_equal(scale, [[1, 1]])


@pytest.mark.parametrize(
    ('inputs', 'named'),
    [
        ([('a', 1, (1, 3, 8, 8)), ('b', 1, (1, 3, 8, 8))], "several inputs .*'a'.*'b'"),
        ([('a', 1, (1, 1, 8, 8))], 'no input .*1x1x8x8'),
        ([('a', 1, (1, 10))], 'no input .*float32 1x10'),
        ([('a', 1, (4, 3, 8, 8))], 'takes 4 pictures at once'),
        ([('a', 6, (1, 3, 8, 8))], 'int32'),
        ([('a', 1, (1, 3, 8, 8)), ('depth', 1, (1, 1, 8, 8))], "second input 'depth'"),
    ],
)  # fmt: skip
def test_inputs_that_are_not_taken_are_named(
    inputs: list[tuple[str, int, tuple[int, ...]]], named: str
) -> None:
    nodes = [helper.make_node('Identity', [name], [f'{name}_out']) for name, _, _ in inputs]
    model = model_of(nodes, inputs, [(f'{name}_out', kind, None) for name, kind, _ in inputs])
    with pytest.raises(ImportingError, match=named):
        find_picture_input(model, 'm')


def test_float16_is_computed_in_float32() -> None:
    half, single = classifier(dtype=np.float16), classifier()
    assert uses_float16(half) and not uses_float16(single)
    stored = half.ByteSize()
    compute_in_float32(half)
    onnx.checker.check_model(half, full_check=True)
    assert half.ByteSize() < stored + 600 and not uses_float16(half)
    picture = np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)
    (found,), (expected,) = answer(half, picture), answer(single, picture)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)


def test_float16_within_control_flow_and_constants() -> None:
    kind = TensorProto.FLOAT16
    branches = [
        helper.make_graph(
            [helper.make_node('Mul', ['image', factor], [f'{factor}_out'])],
            factor,
            [],
            [helper.make_tensor_value_info(f'{factor}_out', kind, None)],
            [onnx.numpy_helper.from_array(np.float16(value), factor)],
        )
        for factor, value in (('two', 2), ('three', 3))
    ]
    nodes = [
        helper.make_node('Constant', [], ['limit'], value=helper.make_tensor('t', kind, (), [0])),
        helper.make_node('ReduceMax', ['image'], ['most'], keepdims=0),
        helper.make_node('Greater', ['most', 'limit'], ['large']),
        helper.make_node(
            'If', ['large'], ['picked'], then_branch=branches[0], else_branch=branches[1]
        ),
        helper.make_node('Cast', ['picked'], ['single'], to=TensorProto.FLOAT),
        helper.make_node('Cast', ['single'], ['out'], to=kind),
    ]
    shape = (1, 3, 4, 6)
    model = model_of(nodes, [('image', kind, shape)], [('out', kind, shape)])
    compute_in_float32(model)
    onnx.checker.check_model(model, full_check=True)
    picture = np.full(shape, 0.1, np.float32)
    np.testing.assert_array_equal(answer(model, picture)[0], 2 * picture)
    np.testing.assert_array_equal(answer(model, -picture)[0], -3 * picture)

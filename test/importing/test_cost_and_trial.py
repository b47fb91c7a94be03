# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What graphs cost, and trials in a process of their own."""

from pathlib import Path
import time

import numpy as np
import onnx
from onnx import TensorProto, helper
import pytest

from dynamic_dnn_ros.importing.cost import cost_of
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.onnx_file import read_model
from dynamic_dnn_ros.importing.picture_input import find_picture_input
from dynamic_dnn_ros.importing.preparation import put_in_front
from dynamic_dnn_ros.importing.trial import run_model
from dynamic_dnn_ros.pictures.input import ChannelOrder, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from support.onnx_models import classifier, model_of
from support.shared_data import shared_data

BGR = Preprocessing(Resize.STRETCH, (0.5,) * 3, (0.5,) * 3, channels=ChannelOrder.BGR)


def with_front(model: onnx.ModelProto) -> onnx.ModelProto:
    put_in_front(model, find_picture_input(model, 'm'), BGR)
    return model


def pictures(side: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def test_a_cost_that_can_be_counted_by_hand() -> None:
    cost = cost_of(with_front(classifier(classes=5)), Size(32, 32))
    assert cost.multiply_adds == 16 * 16 * 8 * 27 + 8 * 5
    assert cost.parameters == 8 * 27 + 8 * 5
    assert cost.layers == 2 and not cost.unknown


def test_gemm_and_transposed_convolutions() -> None:
    nodes = [
        helper.make_node('ConvTranspose', ['image', 'up'], ['maps'], strides=[2, 2]),
        helper.make_node('GlobalAveragePool', ['maps'], ['mean']),
        helper.make_node('Flatten', ['mean'], ['flat']),
        helper.make_node('Gemm', ['flat', 'linear', 'bias'], ['out'], transB=1),
    ]
    weights = {
        'up': np.zeros((3, 4, 2, 2), np.float32),
        'linear': np.zeros((7, 4), np.float32),
        'bias': np.zeros(7, np.float32),
    }
    model = model_of(
        nodes, [('image', 1, (1, 3, 8, 8))], [('out', TensorProto.FLOAT, (1, 7))], weights
    )
    cost = cost_of(with_front(model), Size(8, 8))
    assert cost.multiply_adds == 8 * 8 * 3 * 4 * 4 + 4 * 7
    assert cost.parameters == 3 * 4 * 4 + 7 * 4 + 7
    assert cost.layers == 2


@pytest.mark.parametrize(
    ('name', 'side', 'millions', 'parameters'),
    [
        # As their authors publish: multiply-adds in millions (halves of "FLOPs"), parameters.
        ('nanodet/nanodet-plus-m-416.onnx', 416, 1520 / 2, 1.17e6),
        ('yolox/yolox-nano.onnx', 416, 1080 / 2, 0.91e6),
        ('imagenet_mobilenet/mobilenet-v1-0.25.onnx', 128, 14, 0.47e6),
        ('imagenet_mobilenet/mobilenet-v1-0.5.onnx', 160, 77, 1.34e6),
    ],
)
def test_published_costs(name: str, side: int, millions: float, parameters: float) -> None:
    model = with_front(read_model(shared_data(f'models/{name}')))
    cost = cost_of(model, Size(side, side))
    assert cost.multiply_adds == pytest.approx(millions * 1e6, rel=0.04)
    assert cost.parameters == pytest.approx(parameters, rel=0.03)
    assert not cost.unknown


def test_what_looks_at_proposals_is_counted_apart() -> None:
    inner = helper.make_graph(
        [helper.make_node('MatMul', ['proposed', 'second'], ['then'])],
        'then',
        [],
        [helper.make_tensor_value_info('then', TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node('Conv', ['image', 'first'], ['maps'], kernel_shape=[1, 1]),
        helper.make_node('NonMaxSuppression', ['boxes', 'scores', 'most'], ['chosen']),
        helper.make_node('Cast', ['chosen'], ['proposed'], to=TensorProto.FLOAT),
        helper.make_node('MatMul', ['proposed', 'second'], ['seen']),
        helper.make_node('If', ['yes'], ['branch'], then_branch=inner, else_branch=inner),
        helper.make_node('MatMul', ['flat', 'second'], ['beside']),
    ]
    weights = {
        'first': np.zeros((2, 3, 1, 1), np.float32),
        'second': np.zeros((3, 5), np.float32),
        'boxes': np.zeros((1, 4, 4), np.float32),
        'scores': np.zeros((1, 1, 4), np.float32),
        'most': np.array(4),
        'yes': np.array(True),
        'flat': np.zeros((7, 3), np.float32),
    }
    outputs = [(name, TensorProto.FLOAT, None) for name in ('maps', 'seen', 'branch', 'beside')]
    model = with_front(model_of(nodes, [('image', 1, (1, 3, 8, 8))], outputs, weights))
    shapes = {'proposed': (4, 3), 'seen': (4, 5), 'then': (4, 5)}
    cost = cost_of(model, Size(8, 8), shapes)
    assert cost.multiply_adds == 8 * 8 * 2 * 3 + 7 * 3 * 5
    assert cost.of_proposals == 3 * 4 * 3 * 5  # both branches are counted
    assert not cost.unknown


def test_a_trial_gives_what_the_model_answers() -> None:
    trial = run_model(with_front(classifier()), pictures(32, 2), 'm')
    assert len(trial.answers) == 2 and not trial.not_finite
    (output,) = trial.outputs
    assert (output.name, output.shape, output.dtype) == ('logits', (1, 3), 'float32')
    assert not np.array_equal(trial.answers[0]['logits'], trial.answers[1]['logits'])


def test_an_endless_loop_ends_with_the_time_limit() -> None:
    body = helper.make_graph(
        [
            helper.make_node('Identity', ['go'], ['go_on']),
            helper.make_node('Neg', ['value'], ['next']),
        ],
        'body',
        [
            helper.make_tensor_value_info('turn', TensorProto.INT64, ()),
            helper.make_tensor_value_info('go', TensorProto.BOOL, ()),
            helper.make_tensor_value_info('value', TensorProto.FLOAT, (1, 3, 8, 8)),
        ],
        [
            helper.make_tensor_value_info('go_on', TensorProto.BOOL, ()),
            helper.make_tensor_value_info('next', TensorProto.FLOAT, (1, 3, 8, 8)),
        ],
    )
    weights = {'turns': np.array(2**62), 'yes': np.array(True)}
    model = model_of(
        [helper.make_node('Loop', ['turns', 'yes', 'image'], ['out'], body=body)],
        [('image', 1, (1, 3, 8, 8))],
        [('out', 1, (1, 3, 8, 8))],
        weights,
    )
    begin = time.monotonic()
    with pytest.raises(ImportingError, match=r'model\.onnx: does not answer within 4 s at 8x8'):
        run_model(with_front(model), pictures(8), 'model.onnx', time_limit=4)
    assert time.monotonic() - begin < 20


def test_a_model_that_asks_for_all_memory_is_refused() -> None:
    nodes = [
        helper.make_node('ConstantOfShape', ['shape'], ['huge']),
        helper.make_node('Shape', ['image'], ['own']),
        helper.make_node('Gather', ['own', 'zero'], ['one']),
        helper.make_node('Cast', ['one'], ['number'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['huge', 'number'], ['out']),
    ]
    weights = {'shape': np.array([2**20, 2**20]), 'zero': np.array(0)}
    model = model_of(nodes, [('image', 1, (1, 3, 8, 8))], [('out', 1, None)], weights)
    with pytest.raises(ImportingError, match='cannot be run by ONNX Runtime'):
        run_model(with_front(model), pictures(8), 'm')


def test_what_onnx_runtime_says_is_passed_on(tmp_path: Path) -> None:
    nodes = [
        helper.make_node('Reshape', ['image', 'shape'], ['flat']),
        helper.make_node('MatMul', ['flat', 'linear'], ['out']),
    ]
    weights = {'shape': np.array([1, -1]), 'linear': np.zeros((10, 2), np.float32)}
    model = model_of(nodes, [('image', 1, (1, 3, 'h', 'w'))], [('out', 1, None)], weights)
    with pytest.raises(ImportingError, match='cannot be run by ONNX Runtime at 8x8 .*MatMul'):
        run_model(with_front(model), pictures(8), 'm')


@pytest.mark.parametrize(
    ('side', 'said'), [(225, 'give 224 or 256 in place of 225'), (8, 'give 32 or 64'), (64, '')]
)
def test_a_side_that_a_backbone_hardly_divides_is_told_of(side: int, said: str) -> None:
    nodes = [
        helper.make_node('SpaceToDepth', ['image'], ['blocks'], blocksize=16),
        helper.make_node('MatMul', ['blocks', 'linear'], ['out']),
    ]
    weights = {'linear': np.zeros((10, 2), np.float32)}
    model = model_of(nodes, [('image', 1, (1, 3, 'h', 'w'))], [('out', 1, None)], weights)
    with pytest.raises(ImportingError) as refused:
        run_model(with_front(model), pictures(side), 'm')
    assert ('multiples of 32' in refused.value.remedy) == bool(said)
    assert said in refused.value.remedy


def test_versions_that_onnx_runtime_lacks_are_named() -> None:
    model = with_front(classifier())
    model.ir_version = 99
    with pytest.raises(ImportingError, match='cannot be run by ONNX Runtime .*99'):
        run_model(model, pictures(32), 'm')

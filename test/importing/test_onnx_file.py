# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of ONNX: what is read, and what is refused in words."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
import pytest

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.onnx_file import LARGEST, read_model
from support.onnx_models import answer, classifier, model_of, saved


def refusal(path: Path) -> str:
    with pytest.raises(ImportingError) as caught:
        read_model(path)
    text = str(caught.value)
    assert str(path) in text
    return text


def with_external_data(folder: Path, location: str = 'weights.bin') -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / 'model.onnx'
    onnx.save_model(
        classifier(),
        path,
        save_as_external_data=True,
        location=location,
        size_threshold=0,
        convert_attribute=False,
    )
    return path


def relocated(path: Path, location: str, **changes: str) -> Path:
    """Say that the data of a model's first tensor lies elsewhere."""
    model = onnx.load(path, load_external_data=False)
    entries = model.graph.initializer[0].external_data
    for entry in entries:
        if entry.key == 'location':
            entry.value = location
        entry.value = changes.get(entry.key, entry.value)
    return saved(model, path)


def test_a_plain_model_is_read(tmp_path: Path) -> None:
    model = classifier()
    assert read_model(saved(model, tmp_path / 'a.onnx')) == model


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (b'', 'is empty'),
        (b'PK\x03\x04 and more', 'PyTorch checkpoint'),
        (b'version https://git-lfs.github.com/spec/v1', 'git lfs pull'),
        (b'<!DOCTYPE html>', 'web page'),
        (b'\x1c\x00\x00\x00TFL3', 'TensorFlow Lite'),
        (b'\xff' * 100, 'not ONNX'),
        (b'just text of somebody', 'ONNX'),
    ],
)
def test_what_is_no_onnx_is_named(tmp_path: Path, content: bytes, named: str) -> None:
    path = tmp_path / 'model.onnx'
    path.write_bytes(content)
    assert named in refusal(path)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    content = classifier().SerializeToString()
    path = tmp_path / 'model.onnx'
    path.write_bytes(content[: len(content) // 2])
    assert 'cut off' in refusal(path)


def test_an_absent_file_and_a_folder(tmp_path: Path) -> None:
    assert 'No such file' in refusal(tmp_path / 'absent.onnx')
    assert 'is no file' in refusal(tmp_path)


def test_a_file_above_what_protobuf_reads(tmp_path: Path) -> None:
    path = tmp_path / 'large.onnx'
    with path.open('wb') as file:
        file.truncate(LARGEST + 1)
    assert 'GB' in refusal(path)


def test_external_data_beside_the_model_comes_in(tmp_path: Path) -> None:
    path = with_external_data(tmp_path / 'a')
    model = read_model(path)
    path.unlink()
    (tmp_path / 'a' / 'weights.bin').unlink()
    picture = np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(answer(model, picture)[0], answer(classifier(), picture)[0])


@pytest.mark.parametrize('location', ['../weights.bin', '/etc/passwd', ''])
def test_external_data_outside_of_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    path = with_external_data(tmp_path / 'a')
    (tmp_path / 'weights.bin').write_bytes(bytes(10**5))
    text = refusal(relocated(path, location))
    assert 'outside of its folder' in text and 'filters' in text


def test_external_data_through_a_link_is_refused(tmp_path: Path) -> None:
    path = with_external_data(tmp_path / 'a')
    (tmp_path / 'secret').write_bytes(bytes(10**5))
    (tmp_path / 'a' / 'weights.bin').unlink()
    (tmp_path / 'a' / 'weights.bin').symlink_to(tmp_path / 'secret')
    assert 'outside of its folder' in refusal(path)


def test_external_data_that_is_absent_or_too_short(tmp_path: Path) -> None:
    path = with_external_data(tmp_path / 'a')
    data = tmp_path / 'a' / 'weights.bin'
    data.write_bytes(data.read_bytes()[:50])
    assert 'beyond the end' in refusal(path)
    data.unlink()
    assert "'weights.bin'" in refusal(path)


def test_custom_operators_are_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node('EfficientNMS_TRT', ['image'], ['boxes']),
        helper.make_node('Gelu2', ['image'], ['y'], domain='my.company'),
    ]
    model = model_of(
        nodes,
        [('image', TensorProto.FLOAT, (1, 3, 8, 8))],
        [('boxes', TensorProto.FLOAT, None), ('y', TensorProto.FLOAT, None)],
    )
    text = refusal(saved(model, tmp_path / 'a.onnx'))
    assert 'EfficientNMS_TRT' in text and "Gelu2 of 'my.company'" in text


def test_operators_that_the_model_defines_itself_are_read(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid('', 17), helper.make_opsetid('own', 1)]
    function = helper.make_function(
        'own', 'Twice', ['x'], ['y'], [helper.make_node('Add', ['x', 'x'], ['y'])], opsets[:1]
    )
    graph = helper.make_graph(
        [helper.make_node('Twice', ['image'], ['y'], domain='own')],
        'test',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    assert read_model(saved(model, tmp_path / 'a.onnx')).functions


@pytest.mark.parametrize('opset', [1, 6, 99])
def test_operator_sets_that_are_not_read(tmp_path: Path, opset: int) -> None:
    text = refusal(saved(classifierlike(opset), tmp_path / 'a.onnx'))
    assert f'operator set {opset}' in text and 'opset 17' in text


def classifierlike(opset: int) -> onnx.ModelProto:
    model = classifier()
    model.opset_import[0].version = opset
    return model

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn import-onnx`, from files to a bundle that the engines run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.manifest import AccuracySource, Manifest, SeparateModels
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.next_steps import serving
from dynamic_dnn_ros.engines.registry import create_engine, installed_engines
from dynamic_dnn_ros.engines.verification import VerifyingEngine
from dynamic_dnn_ros.pictures.input import Alignment, ChannelOrder, Resize
from dynamic_dnn_ros.pictures.placement import Size
from support.onnx_models import (
    answer,
    classifier,
    model_of,
    saved,
    ultralytics_metadata,
    ultralytics_v8,
)
from support.shared_data import shared_data

LABELS = ('cat', 'dog', 'bird')


def imported(output: Path, *words: object) -> Bundle:
    arguments = ['import-onnx', *map(str, words), '--output', str(output), '--quiet']
    assert main(arguments) == 0
    return read_bundle(output)


def refused(capsys: pytest.CaptureFixture[str], output: Path, *words: object) -> str:
    arguments = ['import-onnx', *map(str, words), '--output', str(output), '--quiet']
    assert main(arguments) == 1
    assert not output.exists()
    return capsys.readouterr().err


def answers(bundle: Bundle, engine: str, pictures: Sequence[np.ndarray] = ()) -> list[dict]:
    """Return what each sub-network says of a probe, checked by the responses in the bundle."""
    made = VerifyingEngine(
        create_engine(engine, bundle, threads=1), bundle.responses, bundle.manifest.make_task()
    )
    found = []
    for index, entry in enumerate(bundle.manifest.sub_networks):
        prepared = made.prepare(entry, 'cpu')
        picture = pictures[index] if pictures else probe_picture(20, entry.size)
        found.append(dict(prepared.run(picture)))
        prepared.close()
    return found


def ids(manifest: Manifest) -> list[str]:
    return [entry.id for entry in manifest.sub_networks]


@pytest.fixture
def detectors(tmp_path: Path) -> list[Path]:
    """Give three detectors as Ultralytics exports them."""
    metadata = ultralytics_metadata(LABELS)
    return [
        saved(
            ultralytics_v8(3, 64, seed, metadata=metadata), tmp_path / f'yolo_{"nsm"[seed]}.onnx'
        )
        for seed in range(3)
    ]


def test_detectors_come_in_with_what_their_exporter_wrote(
    detectors: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = imported(tmp_path / 'yolo', *detectors, '--accuracy', '0.37,0.45,0.5')
    manifest = bundle.manifest
    assert manifest.labels == LABELS and manifest.name == 'yolo'
    assert manifest.task.name == 'detection'
    assert manifest.task.options['decoder'] == 'ultralytics_v8'
    assert manifest.preprocessing.resize is Resize.LETTERBOX
    assert isinstance(manifest.source, SeparateModels)
    assert sorted(ids(manifest)) == ['yolo_m', 'yolo_n', 'yolo_s']
    assert [manifest.sub_network(f'yolo_{each}').accuracy for each in 'nsm'] == [0.37, 0.45, 0.5]
    assert {e.accuracy_source for e in manifest.sub_networks} == {AccuracySource.GIVEN}
    assert 'given' in manifest.accuracy_data
    assert {entry.size for entry in manifest.sub_networks} == {Size(64, 64)}
    said = capsys.readouterr().out
    assert 'resize: letterbox (as Ultralytics)' in said
    assert f'dynamic-dnn bundle check {tmp_path / "yolo"}' in said
    assert serving(tmp_path / 'yolo') in said and 'is replaced' not in said
    card = bundle.other_files['MODEL_CARD.md'].decode()
    assert 'mean: 0, 0, 0 (as Ultralytics)' in card
    assert 'import-onnx yolo_n.onnx yolo_s.onnx yolo_m.onnx' in card


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_engines_answer_as_the_file_does(
    detectors: list[Path], tmp_path: Path, engine: str
) -> None:
    pytest.importorskip(engine)
    bundle = imported(tmp_path / 'yolo', *detectors)
    for entry, found in zip(bundle.manifest.sub_networks, answers(bundle, engine)):
        picture = probe_picture(20, entry.size)[None].transpose(0, 3, 1, 2) / np.float32(255)
        (expected,) = answer(onnx.load(tmp_path / f'{entry.id}.onnx'), picture)
        np.testing.assert_allclose(found['output0'], expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_sizes_of_one_file_share_its_weights(tmp_path: Path, engine: str) -> None:
    pytest.importorskip(engine)
    path = saved(ultralytics_v8(3, None), tmp_path / 'YOLO-nano.onnx')
    bundle = imported(
        tmp_path / 'b', path, '--labels', 'cat,dog,bird', '--resolutions', '64,128x96,32'
    )
    manifest = bundle.manifest
    assert ids(manifest) == ['yolo_nano_32', 'yolo_nano_64', 'yolo_nano_128x96']
    assert [entry.size for entry in manifest.sub_networks] == [(32, 32), (64, 64), (96, 128)]
    assert len(bundle.models) == 1
    costs = [entry.multiply_adds for entry in manifest.sub_networks]
    assert costs[1] == 4 * costs[0] and costs[2] == 12 * costs[0]
    assert len({entry.parameters for entry in manifest.sub_networks}) == 1
    for entry, found in zip(manifest.sub_networks, answers(bundle, engine)):
        places = sum(entry.size.height * entry.size.width // s**2 for s in (8, 16, 32))
        assert found['output0'].shape == (1, 7, places)


def test_a_classifier_of_float16_with_any_batch(tmp_path: Path) -> None:
    model = classifier(3, ('n', 3, 'h', 'w'), np.float16)
    path = saved(model, tmp_path / 'net.onnx')
    words = '--labels cat,dog,bird --resolutions 32 --mean 127.5 --std 127.5 --input-scale 255'
    more = '--channels bgr --resize stretch'
    bundle = imported(tmp_path / 'b', path, *words.split(), *more.split())
    preprocessing = bundle.manifest.preprocessing
    assert preprocessing.mean == (0.5,) * 3 and preprocessing.channels is ChannelOrder.BGR
    assert preprocessing.resize is Resize.STRETCH
    (found,) = answers(bundle, 'onnxruntime')
    picture = probe_picture(20, Size(32, 32))[None, ..., ::-1].transpose(0, 3, 1, 2)
    (expected,) = answer(model, (picture / np.float16(127.5) - np.float16(1)).astype(np.float16))
    np.testing.assert_allclose(found['logits'], expected, rtol=0.02, atol=0.02)


def test_the_accuracy_is_measured_on_labelled_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # It sees which of red, green and blue there is most of.
    nodes = [
        helper.make_node('Conv', ['image', 'one'], ['maps']),
        helper.make_node('GlobalAveragePool', ['maps'], ['logits']),
    ]
    weights = {'one': np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)}
    model = model_of(nodes, [('image', 1, (1, 3, 16, 16))], [('logits', 1, (1, 3, 1, 1))], weights)
    path = saved(model, tmp_path / 'net.onnx')
    for index, name in enumerate(('red', 'green', 'blue')):
        (tmp_path / 'data' / name).mkdir(parents=True)
        for number in range(4):
            colour = np.full((20, 30, 3), 50, np.uint8)
            # One of four is wrong: its folder says another colour.
            colour[..., (index + (number == 0)) % 3] = 200
            Image.fromarray(colour).save(tmp_path / 'data' / name / f'{number}.png')
    options = ('--labels', 'red,green,blue', '--data', tmp_path / 'data')
    manifest = imported(tmp_path / 'b', path, *options).manifest
    (entry,) = manifest.sub_networks
    assert entry.accuracy == 0.75 and entry.accuracy_source is AccuracySource.MEASURED
    assert manifest.accuracy_data == '12 pictures of data, measured with the import'
    # With red and blue exchanged, green stays, and what is red among the blue.
    wrong = imported(tmp_path / 'c', path, *options, '--channels', 'bgr').manifest
    assert wrong.sub_networks[0].accuracy == pytest.approx(4 / 12)
    capsys.readouterr()
    # In place of the same file, what was measured of it stays; of what is another one, it goes.
    again = imported(tmp_path / 'b', path, '--labels', 'red,green,blue').manifest
    assert again.sub_networks == manifest.sub_networks
    assert again.accuracy_data == manifest.accuracy_data
    said = capsys.readouterr().out
    assert 'accuracy of net: as it was measured before (12 pictures of data' in said
    assert 'goes with it' not in said
    given = ('--labels', 'red,green,blue', '--channels', 'bgr')
    other = imported(tmp_path / 'b', path, *given).manifest
    assert not other.sub_networks[0].accuracy_is_known
    said = capsys.readouterr().out
    assert 'accuracy that was measured of the bundle before goes with it' in said


def test_an_accuracy_that_nobody_knows(
    detectors: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = imported(tmp_path / 'yolo', detectors[0]).manifest
    assert not manifest.sub_networks[0].accuracy_is_known
    assert 'Without accuracies' in capsys.readouterr().out


def test_outputs_that_no_decoder_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [
        helper.make_node('Conv', ['image', 'w'], ['odd'], strides=[8, 8]),
        helper.make_node('GlobalMaxPool', ['odd'], ['more']),
    ]
    weights = {'w': np.ones((11, 3, 8, 8), np.float32)}
    outputs = [('odd', 1, None), ('more', 1, None)]
    path = saved(
        model_of(nodes, [('image', 1, (1, 3, 32, 32))], outputs, weights), tmp_path / 'odd.onnx'
    )
    text = refused(capsys, tmp_path / 'b', path, '--labels', 'cat,dog,bird')
    for part in ('odd float32 (1, 11, 4, 4)', 'ultralytics_v8', '--decoder NAME', 'odd.onnx'):
        assert part in text


def test_labels_that_do_not_fit_the_outputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(classifier(5), tmp_path / 'net.onnx')
    text = refused(
        capsys, tmp_path / 'b', path, '--labels', 'cat,dog,bird', '--task', 'classification'
    )
    assert '(1, 5)' in text and '3 labels' in text


def test_a_model_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(ultralytics_v8(7), tmp_path / 'net.onnx')
    assert '--labels FILE' in refused(capsys, tmp_path / 'b', path)
    bundle = imported(tmp_path / 'c', saved(ultralytics_v8(80), path))
    assert bundle.manifest.labels[0] == 'person' and 'are assumed' in capsys.readouterr().out


def test_models_with_different_labels(
    detectors: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for names, part in (
        (('cat', 'dog', 'fish'), "label 2 is 'fish'"),
        (('cat', 'dog'), '2 labels'),
    ):
        other = ultralytics_v8(len(names), metadata=ultralytics_metadata(names))
        path = saved(other, tmp_path / 'other.onnx')
        text = refused(capsys, tmp_path / 'b', detectors[0], path)
        assert part in text and 'other.onnx' in text and 'yolo_n.onnx' in text
    text = refused(capsys, tmp_path / 'b', detectors[0], '--labels', 'cat,dog')
    assert '--labels has 2' in text


def test_models_of_different_kinds(
    detectors: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(classifier(3), tmp_path / 'net.onnx')
    text = refused(capsys, tmp_path / 'b', detectors[0], path)
    assert 'another kind (classification)' in text


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_model_that_answers_no_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    model = classifier(3)
    damaged = onnx.numpy_helper.to_array(model.graph.initializer[1]).copy()
    damaged[0, 0] = value
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(damaged, 'linear'))
    text = refused(
        capsys, tmp_path / 'b', saved(model, tmp_path / 'net.onnx'), '--labels', 'cat,dog,bird'
    )
    assert 'no finite numbers' in text and 'logits' in text


def test_sizes_that_a_model_does_not_take(
    detectors: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, tmp_path / 'b', detectors[0], '--resolutions', '32')
    assert 'takes pictures of 64x64 only' in text
    free = saved(ultralytics_v8(3, None), tmp_path / 'free.onnx')
    text = refused(capsys, tmp_path / 'b', free, '--labels', 'cat,dog,bird')
    assert '--resolutions 320,416,640' in text
    # Ultralytics writes the size that it trained at.
    told = ultralytics_v8(3, None, metadata=ultralytics_metadata(LABELS, 96))
    manifest = imported(tmp_path / 'c', saved(told, free)).manifest
    assert [entry.size for entry in manifest.sub_networks] == [Size(96, 96)]


def test_figures_and_names_that_do_not_fit(
    detectors: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, tmp_path / 'b', *detectors, '--accuracy', '0.3,0.4')
    assert 'has 2 figures, and there are 3 sub-networks: yolo_n, yolo_s, yolo_m' in text
    assert "'my_bundle'" in refused(capsys, tmp_path / 'My-Bundle', *detectors)
    assert 'no name' in refused(capsys, tmp_path / 'b', *detectors, '--name', 'A B')
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes' / 'a.txt').touch()
    arguments = [*map(str, detectors), '--output', str(tmp_path / 'notes')]
    assert main(['import-onnx', *arguments]) == 1
    assert 'no bundle' in capsys.readouterr().err
    again = tmp_path / 'copy'
    again.mkdir()
    copy = saved(onnx.load(detectors[0]), again / 'yolo_n.onnx')
    assert 'Rename one' in refused(capsys, tmp_path / 'b', detectors[0], copy)


def test_a_detector_that_never_finds_anything_comes_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ultralytics_v8(3)
    for tensor in model.graph.initializer:
        if tensor.name.startswith('class'):
            shape = tuple(tensor.dims)
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(np.full(shape, -9, np.float32), tensor.name)
            )
    path = saved(model, tmp_path / 'net.onnx')
    data = tmp_path / 'data'
    (data / 'images').mkdir(parents=True)
    (data / 'labels').mkdir()
    Image.new('RGB', (64, 64), 'gray').save(data / 'images' / 'a.png')
    (data / 'labels' / 'a.txt').write_text('0 0.5 0.5 0.5 0.5\n')
    (data / 'names.txt').write_text('\n'.join(LABELS))
    manifest = imported(tmp_path / 'b', path, '--labels', 'cat,dog,bird', '--data', data).manifest
    assert manifest.sub_networks[0].accuracy == 0
    assert 'nothing right was found' in capsys.readouterr().out


def selecting(
    nodes: Sequence[NodeProto], outputs: Sequence[tuple[str, int, Sequence[int | str]]]
) -> ModelProto:
    """
    Return a detector that selects by itself, as many boxes as there are.

    :param nodes: what is made of `found` (n, 4), `points` (n,) and `names` (n,), counted from 1
    """
    own = [
        helper.make_node('Conv', ['image', 'w'], ['maps'], strides=[8, 8]),
        helper.make_node('ReduceMax', ['maps'], ['flat'], axes=[0, 1], keepdims=0),
        helper.make_node('Reshape', ['flat', 'minus'], ['all']),
        helper.make_node('Greater', ['all', 'limit'], ['good']),
        helper.make_node('NonZero', ['good'], ['rows']),
        helper.make_node('Reshape', ['rows', 'minus'], ['index']),
        helper.make_node('Gather', ['all', 'index'], ['raw']),
        helper.make_node('Sigmoid', ['raw'], ['points']),
        helper.make_node('Gather', ['places', 'index'], ['found']),
        helper.make_node('Gather', ['numbers', 'index'], ['names']),
    ]
    random = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(-1, 2) * 8
    weights = {
        'w': (random.normal(size=(2, 3, 8, 8)) / 8).astype(np.float32),
        'minus': np.array([-1]),
        'limit': np.float32(0),
        'places': np.concatenate((corners, corners + 8), 1).astype(np.float32),
        'numbers': np.arange(16) % 3 + 1,
        'one': np.array(1),
        'zero': np.array([0]),
        'column': np.array([-1, 1]),
        'rest': np.array([1, -1, 5]),
    }
    return model_of([*own, *nodes], [('image', 1, (1, 3, 32, 32))], outputs, weights)


def test_a_detector_with_its_own_post_processing(tmp_path: Path) -> None:
    # As torchvision exports: as many boxes as there are, no batch, labels from 1.
    outputs = [
        ('found', TensorProto.FLOAT, ('n', 4)),
        ('names', TensorProto.INT64, ('n',)),
        ('points', TensorProto.FLOAT, ('n',)),
    ]
    model = selecting([], outputs)
    path = saved(model, tmp_path / 'ssd.onnx')
    bundle = imported(tmp_path / 'b', path, '--labels', 'cat,dog,bird')
    task = bundle.manifest.task
    assert (task.options['decoder'], task.options['class_offset']) == ('labelled_boxes', 1)
    (result,) = answers(bundle, 'onnxruntime')
    picture = probe_picture(20, Size(32, 32))[None].transpose(0, 3, 1, 2) / np.float32(255)
    boxes, names, points = answer(model, picture)
    count = len(points)
    assert 0 < count < 16
    assert result['found'].shape == (1, 300, 4)
    np.testing.assert_allclose(result['found'][0, :count], boxes)
    np.testing.assert_allclose(result['points'][0, :count], points, rtol=1e-5)
    np.testing.assert_array_equal(result['names'][0, :count], names)
    assert not result['points'][0, count:].any()


def test_a_detector_of_mmdetection(tmp_path: Path) -> None:
    # As MMDeploy exports: a batch, boxes and scores together, labels from 0.
    nodes = [
        helper.make_node('Reshape', ['points', 'column'], ['scores']),
        helper.make_node('Concat', ['found', 'scores'], ['together'], axis=1),
        helper.make_node('Reshape', ['together', 'rest'], ['dets']),
        helper.make_node('Sub', ['names', 'one'], ['from_0']),
        helper.make_node('Unsqueeze', ['from_0', 'zero'], ['labels']),
    ]
    outputs = [
        ('dets', TensorProto.FLOAT, ('batch', 'num_dets', 5)),
        ('labels', TensorProto.INT64, ('batch', 'num_dets')),
    ]
    model = selecting(nodes, outputs)
    path = saved(model, tmp_path / 'rtmdet.onnx')
    bundle = imported(
        tmp_path / 'b', path, '--labels', 'cat,dog,bird', '--mean', '0,0,0', '--std', '1,1,1'
    )
    assert bundle.manifest.task.options['decoder'] == 'mmdetection'
    assert bundle.manifest.preprocessing.alignment is Alignment.TOP_LEFT
    for engine in ('onnxruntime', 'openvino'):
        if engine in installed_engines():
            (result,) = answers(bundle, engine)
            picture = probe_picture(20, Size(32, 32))[None].transpose(0, 3, 1, 2) / np.float32(255)
            dets, labels = answer(model, picture)
            count = labels.size
            assert 0 < count < 16
            assert result['dets'].shape == (1, 300, 5) and result['labels'].shape == (1, 300)
            np.testing.assert_allclose(result['dets'][:, :count], dets, rtol=1e-4)
            np.testing.assert_array_equal(result['labels'][:, :count], labels)
            assert not result['dets'][:, count:].any()


def test_a_detector_of_yolov7_with_its_own_suppression(tmp_path: Path) -> None:
    # As its export.py writes with --end2end --max-wh: picture, box, class, score.
    real = {'to': TensorProto.FLOAT}
    nodes = [
        helper.make_node('Sub', ['names', 'one'], ['from_0']),
        helper.make_node('Cast', ['from_0'], ['classes'], **real),
        helper.make_node('Reshape', ['classes', 'column'], ['labels']),
        helper.make_node('Reshape', ['points', 'column'], ['scores']),
        helper.make_node('Sub', ['scores', 'scores'], ['picture']),
        helper.make_node('Concat', ['picture', 'found', 'labels', 'scores'], ['output'], axis=1),
    ]
    model = selecting(nodes, [('output', TensorProto.FLOAT, ('n', 7))])
    path = saved(model, tmp_path / 'yolov7.onnx')
    bundle = imported(tmp_path / 'b', path, '--labels', 'cat,dog,bird')
    assert bundle.manifest.task.options['decoder'] == 'yolov7_end_to_end'
    assert bundle.manifest.preprocessing.resize is Resize.LETTERBOX
    assert bundle.manifest.preprocessing.padding == 114
    (result,) = answers(bundle, 'onnxruntime')
    picture = probe_picture(20, Size(32, 32))[None].transpose(0, 3, 1, 2) / np.float32(255)
    (rows,) = answer(model, picture)
    assert 0 < len(rows) < 16
    assert result['output'].shape == (1, 300, 7)
    np.testing.assert_allclose(result['output'][0, : len(rows)], rows, rtol=1e-4)
    assert not result['output'][0, len(rows) :].any()


COCO_VAL = 'labelled/coco128/images/val2017'


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize(
    ('name', 'sizes', 'decoder', 'published'),
    [
        # AP by the README of the data.
        ('nanodet/nanodet-plus-m-416', ('160', '320'), 'nanodet_plus', (0.231, 0.351)),
        ('yolox/yolox-nano', ('160', '320'), 'yolox', (0.176, 0.320)),
        ('fastestdet/FastestDet', (), 'fastestdet', (0.194,)),
    ],
)
def test_public_detectors_reach_their_accuracy(
    tmp_path: Path,
    engine: str,
    name: str,
    sizes: tuple[str, ...],
    decoder: str,
    published: tuple[float, ...],
) -> None:
    if engine == 'openvino':
        pytest.importorskip('openvino')
    path = shared_data(f'models/{name}.onnx')
    words = ['--resolutions', ','.join(sizes)] if sizes else []
    bundle = imported(tmp_path / 'b', path, *words, '--data', shared_data(COCO_VAL))
    assert bundle.manifest.task.options['decoder'] == decoder
    found = [entry.accuracy for entry in bundle.manifest.sub_networks]
    assert found == pytest.approx(published, abs=0.012)
    answers(bundle, engine)


@pytest.mark.slow
def test_public_classifiers_and_segmenters_come_in(tmp_path: Path) -> None:
    files = [
        shared_data(f'models/imagenet_mobilenet/mobilenet-v1-{w}.onnx') for w in ('0.25', '0.5')
    ]
    bundle = imported(tmp_path / 'm', *files, '--resolutions', '128,160')
    assert (
        bundle.manifest.task.options['class_offset'] == 1 and len(bundle.manifest.labels) == 1000
    )
    assert len(bundle.manifest.sub_networks) == 4 and len(bundle.models) == 2
    deeplab = shared_data('models/deeplab/deeplabv3-mnv2-0.5.onnx')
    bundle = imported(tmp_path / 'd', deeplab, '--resolutions', '193,257')
    assert bundle.manifest.task.name == 'segmentation'
    assert bundle.manifest.preprocessing.mean == (0.5,) * 3
    for engine in ('onnxruntime', 'openvino'):
        first, second = answers(bundle, engine)
        assert first['output'].shape[1] == second['output'].shape[1] == 21
    selfie = shared_data('models/selfie/selfie-segmentation.onnx')
    words = ('--resolutions', '256', '--labels', 'background,person', '--mean', '0', '--std', '1')
    bundle = imported(tmp_path / 's', selfie, *words)
    assert bundle.manifest.task.name == 'segmentation'
    answers(bundle, 'onnxruntime')

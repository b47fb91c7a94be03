# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
import shutil
import time

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import record
from dynamic_dnn_ros.exits.asking import measured_latencies
from dynamic_dnn_ros.exits.held_out import halves, held_out_pictures
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.training.pictures import read_pictures
from support.bundles import make_bundle
from support.engines import write_as_classified
from support.images import noise
from support.separate_models import entry as models_entry
from support.separate_models import make_models_bundle, picture_classifier
from support.training import colour_pictures, training_configuration, write_folder

COUNT = 240


@pytest.fixture(scope='module')
def original(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return record(make_bundle(tmp_path_factory.mktemp('cascade') / 'synthetic'))


@pytest.fixture(scope='module')
def data(original: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures in folders named as s2 classifies them: it is always right, s1 is not."""
    folder = tmp_path_factory.mktemp('data')
    write_as_classified(original, 's2', COUNT, folder)
    for label in original.manifest.labels:
        if not any((folder / label).iterdir()):
            Image.fromarray(noise(32, 32, 0)).save(folder / label / 'other.png')
    return folder


@pytest.fixture(autouse=True)
def latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the larger networks take longer: these small ones hardly do."""

    def given(prepared, turns, quiet):
        return {each.sub_network.id: each.sub_network.multiply_adds**2 for each in prepared}

    monkeypatch.setattr('dynamic_dnn_ros.exits.cascades.measured_latencies', given)


def cascade(bundle: Path | str, *arguments: object) -> int:
    return main(['cascade', str(bundle), '--quiet', '--engine', 'torch', *map(str, arguments)])


def prepared_one(bundle: Bundle, name: str) -> PreparedSubNetwork:
    return create_engine('torch', bundle, 1).prepare(bundle.manifest.sub_network(name), 'cpu')


def test_the_command_makes_a_cascade_that_runs_as_it_says(original, data, tmp_path, capsys):
    output = tmp_path / 'chained'
    loose = ('--at-most-below', '0.6')
    assert cascade(original.folder, '--data', data, *loose, '--output', output) == 0
    said = capsys.readouterr().out
    assert f'written: {output}' in said
    assert said.splitlines()[-1] == f'next: dynamic-dnn profile {output}'
    assert 's0' in said and 'left out' in said  # It takes smaller pictures.
    bundle = read_bundle(output)
    assert bundle.manifest.name == 'chained'
    (entry,) = (each for each in bundle.manifest.sub_networks if each.stages)
    assert [stage.sub_network for stage in entry.stages] == ['s1', 's2']
    s1, s2 = (original.manifest.sub_network(name) for name in ('s1', 's2'))
    assert entry.multiply_adds == s1.multiply_adds + s2.multiply_adds
    assert s2.accuracy - entry.accuracy <= 0.6 + 0.1
    assert bundle.responses.keys() == original.responses.keys()
    assert '## Cascades' in bundle.other_files[MODEL_CARD_NAME].decode()
    # The original is as it was.
    assert read_bundle(original.folder).sha256 == original.sha256

    # What the manifest says is what the serving path does, on both halves of the pictures.
    manifest = bundle.manifest
    whole = open_dataset(data, 'classification', manifest.labels)
    prepared = [prepared_one(bundle, name) for name in (entry.id, 's2')]
    task = manifest.make_task()
    shares, losses = [], []
    for part in halves(whole):
        paths = [[follow(each, picture.pixels, task) for picture in part] for each in prepared]
        shares.append(np.mean([path.stage == entry.stages[0].name for path in paths[0]]))
        mixture, alone = (
            np.mean(
                [
                    int(next(iter(path.outputs.values())).argmax()) == picture.truth
                    for path, picture in zip(found, part)
                ]
            )
            for found in paths
        )
        losses.append(alone - mixture)
    assert shares[0] == pytest.approx(entry.stages[0].taken, abs=1e-5)
    assert entry.accuracy == pytest.approx(s2.accuracy - losses[1], abs=1e-5)


def test_a_promise_for_each_and_in_place(original, data, tmp_path, capsys):
    folder = make_bundle(tmp_path / 'synthetic').folder
    assert (
        cascade(folder, '--data', data, '--stages', 's1,s2', '--at-most-below', '0.5', '0.9') == 0
    )
    made = [each for each in read_bundle(folder).manifest.sub_networks if each.stages]
    assert len(made) == 2
    strict, loose = sorted(made, key=lambda each: each.stages[0].taken)
    assert strict.stages[0].threshold > loose.stages[0].threshold
    assert strict.accuracy > loose.accuracy
    # Once more: nothing is there twice, though latencies differ.
    assert cascade(folder, '--data', data, '--stages', 's1,s2', '--at-most-below', '0.5') == 0
    assert len(read_bundle(folder).manifest.sub_networks) == 3 + 2
    capsys.readouterr()
    assert cascade(folder, '--data', data, '--stages', f's1,{strict.id}') == 1
    assert 'has stages itself' in capsys.readouterr().err


def test_bad_input_is_one_line_that_names_it(original, data, tmp_path, capsys):
    def refused(*arguments: object) -> str:
        assert cascade(original.folder, *arguments) == 1
        error = capsys.readouterr().err
        assert error.count('\n') == 1
        return error

    given = ('--data', data)
    assert "no sub-network 's9'" in refused(*given, '--stages', 's1,s9')
    assert 'each once' in refused(*given, '--stages', 's2')
    assert 'each once' in refused(*given, '--stages', 's2,s2')
    assert 'the same picture' in refused(*given, '--stages', 's0,s2')
    assert 'Name the fastest first' in refused(*given, '--stages', 's2,s1')
    assert 'margin' in refused(*given, '--at-most-below', '0')
    assert 'at most 1.5 below' in refused(*given, '--at-most-below', '1.5')
    assert 'longest is 1' in refused(*given, '--longest', '1')
    assert '--test goes with --data' in refused('--configuration', 'none.yaml', '--test', data)
    assert 'none.yaml' in refused('--configuration', 'none.yaml')
    few = tmp_path / 'few'
    for name in original.manifest.labels:
        (few / name).mkdir(parents=True)
        Image.fromarray(noise(32, 32, 0)).save(few / name / 'a.png')
    assert 'at least 100 are needed' in refused('--data', few)
    wrong = tmp_path / 'wrong'
    shift = dict(zip(original.manifest.labels, np.roll(original.manifest.labels, 1)))
    for name in original.manifest.labels:
        shutil.copytree(data / name, wrong / str(shift[name]))
    said = refused('--data', wrong)
    assert 'Give pictures of its classes' in said and "accuracy of 's2' is 0.0%" in said
    (tmp_path / 'taken').mkdir()
    (tmp_path / 'taken' / 'notes.txt').write_text('x')
    assert 'is no bundle' in refused(*given, '--output', tmp_path / 'taken')


def test_a_task_that_is_never_sure_makes_no_cascade(original, data, capsys, monkeypatch):
    monkeypatch.setattr(Classification, 'confidence', lambda *arguments: 0.0)
    assert cascade(original.folder, '--data', data, '--stages', 's1,s2') == 1
    assert 'does not say how sure' in capsys.readouterr().err


def test_latencies_are_measured_in_turns(original):
    engine = create_engine('torch', original, 1)
    prepared = [engine.prepare(original.manifest.sub_network(f's{i}'), 'cpu') for i in (1, 2)]
    order = []
    for each in prepared:
        run = each.run

        def timed(picture, run=run, name=each.sub_network.id):
            order.append(name)
            if name == 's2':
                time.sleep(0.002)
            return run(picture)

        each.run = timed
    found = measured_latencies(prepared, 8, quiet=True)
    assert 0 < found['s1'] < found['s2']
    assert found['s2'] > 0.002
    # Both have as many runs, and neither always comes first.
    assert order.count('s1') == order.count('s2')
    assert {'s1', 's2'} == {order[index] for index in range(0, len(order), len(order) // 8)}


def test_held_out_pictures_are_those_that_the_training_held_out(original, tmp_path):
    write_folder(tmp_path / 'train', colour_pictures(120))
    write_folder(tmp_path / 'test', colour_pictures(20, seed=1))
    configuration = training_configuration(
        tmp_path,
        training_data=str(tmp_path / 'train'),
        test_data=str(tmp_path / 'test'),
        held_out=30,
    )
    held, test = held_out_pictures(configuration, original.manifest, print)
    pictures = read_pictures(tmp_path / 'train', quiet=True)
    _, expected = pictures.split(configuration.held_out, configuration.seed)
    assert len(held) == 30 and len(test) == 20
    np.testing.assert_array_equal(np.stack([each.pixels for each in held]), expected.images)


def test_separate_models_are_chained_too(tmp_path, capsys):
    pytest.importorskip('onnxruntime')
    models = make_models_bundle(
        tmp_path / 'models',
        {'small': picture_classifier(0), 'large': picture_classifier(1, width=16)},
        (
            models_entry('small', 'small', Size(32, 32), accuracy=0.5),
            models_entry('large', 'large', Size(32, 32), accuracy=0.7, multiply_adds=10**6),
        ),
    )
    data = tmp_path / 'data'
    prepared = create_engine('onnxruntime', models, 1).prepare(
        models.manifest.sub_network('large'), 'cpu'
    )
    for index in range(COUNT):
        picture = noise(32, 32, index) // (1 + index % 3)
        label = int(prepared.run(picture)['scores'].argmax())
        folder = data / f'{label}'
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f'{index:03}.png')
    for label in range(len(models.manifest.labels)):
        if not (data / f'{label}').exists():
            (data / f'{label}').mkdir()
            Image.fromarray(noise(32, 32, 0)).save(data / f'{label}' / 'other.png')
    options = ['--quiet', '--engine', 'onnxruntime', '--at-most-below', '0.95']
    assert main(['cascade', str(models.folder), '--data', str(data), *options]) == 0
    bundle = read_bundle(models.folder)
    (entry,) = (each for each in bundle.manifest.sub_networks if each.stages)
    assert [stage.sub_network for stage in entry.stages] == ['small', 'large']
    assert entry.parameters == 2 * 240
    cascade = create_engine('onnxruntime', bundle, 1).prepare(entry, 'cpu')
    path = follow(cascade, noise(32, 32, 0), bundle.manifest.make_task())
    assert path.stage in ('small', 'large')

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Early exits that the command makes, with heads that it trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import torch
import yaml

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, weights_content
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES, create_engine, installed_engines
from dynamic_dnn_ros.engines.verification import record
from dynamic_dnn_ros.exits.heads import network_with_weights
from dynamic_dnn_ros.exits.stage_times import StageTimes
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.training.batches import Normalisation
from support.bundles import make_bundle
from support.engines import write_as_classified
from support.images import noise
from support.separate_models import entry as models_entry
from support.separate_models import make_models_bundle, picture_classifier
from support.training import colour_pictures, training_mapping, write_folder

COUNT = 720

pytestmark = pytest.mark.usefixtures('one_thread')


def given_times(whole, staged, turns, quiet=None):
    """Let stages take equal times, and a tenth of the whole besides for each exit."""
    spent = {}
    for each in staged:
        count = len(each.stages)
        spent[each.sub_network.id] = tuple((n + 1) * (1.0 / count + 0.02) for n in range(count))
    return StageTimes(1e-3, spent)


@pytest.fixture(autouse=True)
def times(monkeypatch: pytest.MonkeyPatch) -> None:
    """These networks are too small for the clock."""
    monkeypatch.setattr('dynamic_dnn_ros.exits.making.stage_times', given_times)


@pytest.fixture(scope='module')
def original(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return record(make_bundle(tmp_path_factory.mktemp('exits') / 'synthetic'))


@pytest.fixture(scope='module')
def data(original: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures in folders named as s2 classifies them, so that it is always right."""
    folder = tmp_path_factory.mktemp('data')
    write_as_classified(original, 's2', COUNT, folder)
    for label in original.manifest.labels:
        Image.fromarray(noise(32, 32, 0)).save(folder / label / 'other.png')
    return folder


def exits(bundle: Path | str, *arguments: object) -> int:
    options = ['--quiet', '--engine', 'torch', '--widths', '8', '--epochs', '1']
    return main(['exits', str(bundle), *options, *map(str, arguments)])


@pytest.fixture(scope='module')
def made(original: Bundle, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a bundle with early exits, for a loose promise."""
    folder = tmp_path_factory.mktemp('made')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('dynamic_dnn_ros.exits.making.stage_times', given_times)
        given = ['--data', data, '--after', 'stages.0,stages.1', '--at-most-below', '0.97']
        given += ['--output', folder / 'early', '--work', folder / 'work']
        assert exits(original.folder, *given) == 0
        checkpoint = folder / 'work' / 'checkpoint.pt'
        written = checkpoint.stat().st_mtime_ns
        # Again: the training is not done twice.
        assert exits(original.folder, *given) == 0
        assert checkpoint.stat().st_mtime_ns == written
    return read_bundle(folder / 'early')


def staged(bundle: Bundle) -> SubNetwork:
    (found,) = (each for each in bundle.manifest.sub_networks if each.stages)
    return found


def test_what_the_command_writes(original, made):
    manifest = made.manifest
    entry = staged(made)
    assert manifest.name == 'early' and len(manifest.sub_networks) == 4
    # Heads that were trained and then not used are left out.
    heads = [head['after'].replace('.', '_') for head in manifest.super_network.layout['exits']]
    assert heads == [stage.name for stage in entry.stages[:-1]]
    assert entry.id.startswith('s2_exits_') and entry.stages[-1].name == 'last'
    assert entry.configuration['exits'] == [1] * (len(entry.stages) - 1)
    assert entry.multiply_adds > manifest.sub_network('s2').multiply_adds
    assert '## Early exits' in made.other_files[MODEL_CARD_NAME].decode()
    # The weights that were there are the same, in the same file, under the same names.
    old, new = original.weights(), made.weights()
    assert all(np.array_equal(new.network[name], old.network[name]) for name in old.network)
    assert {name.split('.')[0] for name in new.network.keys() - old.network.keys()} == {'exits'}
    # Sub-networks that were there answer as before.
    for name, answers in original.responses.items():
        np.testing.assert_allclose(
            made.responses[name]['logits'], answers['logits'], rtol=1e-4, atol=1e-5
        )


def test_answers_of_a_smaller_sub_network_are_exits(original, data, tmp_path):
    folder = tmp_path / 'answers'
    given = ('--data', data, '--answers-of', 's1', '--at-most-below', '0.97')
    assert exits(original.folder, *given, '--output', folder) == 0
    bundle = read_bundle(folder)
    entry = staged(bundle)
    assert [stage.name for stage in entry.stages] == ['s1', 'last']
    known = original.manifest.sub_network
    assert entry.multiply_adds < known('s1').multiply_adds + known('s2').multiply_adds
    # No weight is new, and what was there answers as before.
    old, new = original.weights().network, bundle.weights().network
    assert old.keys() == new.keys()
    assert all(np.array_equal(new[name], old[name]) for name in old)
    prepared = create_engine('torch', bundle, 1).prepare(with_thresholds(bundle, 0.0), 'cpu')
    picture = noise(32, 32, 1)
    path = follow(prepared, picture, bundle.manifest.make_task())
    assert (path.stage, path.work) == ('s1', entry.stages[0].work)
    alone = create_engine('torch', original, 1).prepare(known('s1'), 'cpu').run(picture)
    np.testing.assert_allclose(path.outputs['logits'], alone['logits'], rtol=1e-4, atol=1e-4)
    card = bundle.other_files[MODEL_CARD_NAME].decode()
    assert 'The exits are the answers of s1' in card and 'Heads were trained' not in card


def test_the_command_says_what_is_next(original, data, tmp_path, capsys):
    folder = tmp_path / 'alone'
    given = ('--data', data, '--exits', '1', '--at-most-below', '0.97', '--alone')
    work = ('--work', tmp_path / 'work')
    assert exits(original.folder, *given, '--output', folder, *work) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == f'next: dynamic-dnn profile {folder}'
    assert 'accuracy if all left after a stage: stages_' in said
    assert len(read_bundle(folder).manifest.sub_networks) == 2


def with_thresholds(bundle: Bundle, threshold: float) -> SubNetwork:
    entry = staged(bundle)
    *early, last = entry.stages
    stages = (*(replace(stage, threshold=threshold) for stage in early), last)
    return replace(entry, stages=stages)


@pytest.mark.parametrize('engine', ENGINE_NAMES)
def test_stages_of_each_engine_answer_as_the_network(made, engine):
    if engine not in installed_engines():
        pytest.skip(f'{engine} is not installed')
    if engine != 'torch':
        pytest.importorskip('onnx', reason='the graphs of the engine are made with it')
    entry = staged(made)
    prepared = create_engine(engine, made, 1).prepare(entry, 'cpu')
    network = network_with_weights(made)
    configuration = network.configuration(entry.configuration)
    network.activate(configuration)
    network.load_batch_norm_statistics(made.weights().batch_norm_statistics[entry.id])
    way = made.manifest.preprocessing
    pixels = noise(32, 32, 3)
    batch = Normalisation(way.mean, way.standard_deviation)(
        torch.from_numpy(pixels).permute(2, 0, 1)[None]
    )
    with torch.no_grad():
        expected = network.eval().answers(batch)
    execution = prepared.begin(pixels)
    for answer in expected:
        outputs = execution.advance()
        np.testing.assert_allclose(outputs['logits'], answer.numpy(), rtol=1e-3, atol=1e-4)
    assert execution.done


def test_a_picture_takes_every_head_and_leaves_at_the_last(made):
    task = made.manifest.make_task()
    engine = create_engine('torch', made, 1)
    exits_taken = []
    for threshold in (0.0, 1.0):
        prepared = engine.prepare(with_thresholds(made, threshold), 'cpu')
        path = follow(prepared, noise(32, 32, 1), task)
        exits_taken.append((path.stage, path.work, path.undecided))
    first = staged(made).stages[0]
    assert exits_taken == [(first.name, first.work, 0), ('last', 1.0, 0)]


def test_a_head_that_answers_nan_is_passed_and_counted(made):
    weights = made.weights()
    for name, array in weights.network.items():
        if name.startswith('exits.'):
            array[:] = np.nan
    broken = replace(made, weights_content=weights_content(weights))
    prepared = create_engine('torch', broken, 1).prepare(with_thresholds(made, 0.0), 'cpu')
    path = follow(prepared, noise(32, 32, 1), made.manifest.make_task())
    assert (path.stage, path.work) == ('last', 1.0)
    assert path.undecided == len(staged(made).stages) - 1
    assert np.isfinite(path.outputs['logits']).all()


@pytest.mark.parametrize('threshold', [-0.1, 1.5, float('nan')])
def test_a_threshold_outside_0_to_1_is_refused(made, threshold):
    entry = with_thresholds(made, threshold)
    mapping = replace(made.manifest, sub_networks=(entry,)).to_mapping()
    with pytest.raises(BundleError, match='threshold'):
        Manifest.from_mapping(mapping, 'here')


def test_bad_input_is_one_line_that_names_it(original, data, tmp_path, capsys):
    def refused(*arguments: object, bundle: Path = original.folder) -> str:
        assert exits(bundle, '--work', tmp_path / 'work', *arguments) == 1
        error = capsys.readouterr().err
        assert error.count('\n') == 1
        return error

    given = ('--data', data)
    assert "no place 'stages.7' in this sub-network" in refused(*given, '--after', 'stages.7')
    assert 'name places, each once' in refused(*given, '--after', 'stages.1,stages.1')
    assert "no sub-network 's9'" in refused(*given, '--sub-network', 's9')
    assert 'widths is 0' in refused(*given, '--widths', '0')
    assert 'has no heads, so they have to be trained' in refused(*given, '--epochs', '0')
    assert 'at most 1.5 below' in refused(*given, '--at-most-below', '1.5')
    assert '--alone leaves sub-networks out' in refused(*given, '--alone')
    assert '--test goes with --data' in refused('--configuration', 'none.yaml', '--test', data)
    assert 'give one of them' in refused(*given, '--answers-of', 's1', '--after', 'stages.1')
    assert 'name each once' in refused(*given, '--answers-of', 's2')
    assert "takes pictures of another size than 's2'" in refused(*given, '--answers-of', 's0')
    assert 'place is 8' in refused(*given, '--answers-of', 's1', '--shared', '9')
    few = tmp_path / 'few'
    others = tmp_path / 'others'
    for name in original.manifest.labels:
        for folder in (few / name, others / f'not_{name}'):
            folder.mkdir(parents=True)
            for index in range(2):
                Image.fromarray(noise(32, 32, index)).save(folder / f'{index}.png')
    assert 'at least 100 are needed' in refused('--data', few)
    assert 'give pictures of its classes' in refused('--data', others)
    models = make_models_bundle(
        tmp_path / 'models',
        {'small': picture_classifier(0)},
        (models_entry('small', 'small', Size(32, 32), accuracy=0.5),),
    )
    assert 'is of separate models' in refused('--data', few, bundle=models.folder)


def test_a_training_file_gives_heads_that_train_with_the_network(original, tmp_path, capsys):
    write_folder(tmp_path / 'train', colour_pictures(320))
    write_folder(tmp_path / 'test', colour_pictures(40, seed=1))
    phases = [
        {'name': 'jointly', 'rule': 'exits', 'epochs': 2, 'learning_rate': 0.05},
        {
            'name': 'heads',
            'rule': 'exits',
            'epochs': 1,
            'learning_rate': 0.02,
            'only': ['exits'],
        },
    ]
    heads = [{'after': 'stages.0', 'widths': [8]}]
    path = tmp_path / 'training.yaml'
    given = {'exits': heads, 'held_out': 120, 'fine_tune': str(original.folder)}
    file = training_mapping(tmp_path, phases=phases, **given)
    path.write_text(yaml.safe_dump(file))
    assert main(['train', str(path), '--quiet']) == 0
    following = capsys.readouterr().out.splitlines()[-1]
    assert following == f'next: dynamic-dnn exits {tmp_path / "bundle"} --configuration {path}'
    # The heads are there, so nothing is trained.
    given = ['--configuration', path, '--at-most-below', '0.9', '--work', tmp_path / 'none']
    assert exits(tmp_path / 'bundle', *given) == 0
    assert not (tmp_path / 'none').exists()
    bundle = read_bundle(tmp_path / 'bundle')
    assert [stage.name for stage in staged(bundle).stages] == ['stages_0', 'last']

    file = training_mapping(tmp_path, phases=phases, work=str(tmp_path / 'other'))
    path.write_text(yaml.safe_dump(file))
    assert main(['train', str(path), '--quiet']) == 1
    assert 'the network has none: give the training file `exits`' in capsys.readouterr().err
    file = training_mapping(tmp_path, exits=[{'after': 'stages.9'}])
    path.write_text(yaml.safe_dump(file))
    assert main(['train', str(path), '--quiet']) == 1
    assert '`after`, a place of stages.0' in capsys.readouterr().err

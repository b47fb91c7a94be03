# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path
import re

import pytest

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from support.bundles import make_bundle
from support.labelled_data import packed, write_picture, write_yolo


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_classes(folder: Path, sizes=((32, 32),), count: int = 5, names=('box', 'door')) -> Path:
    for name in names:
        for index in range(count):
            write_picture(folder / name / f'{index}.png', *sizes[index % len(sizes)], seed=index)
    return folder


def refused(capsys, *arguments: str) -> str:
    assert main(['new', *arguments]) == 1
    assert list(Path().glob('*.yaml')) == []
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    return error


def test_it_trains_as_written_whatever_the_sizes_of_pictures(folder, capsys):
    write_classes(Path('pictures'), sizes=((80, 60), (64, 64), (50, 90)))
    assert main(['new', 'things', '--data', 'pictures']) == 0
    said = capsys.readouterr().out
    assert '10 pictures of 2 classes, one folder for each class, 50x60 to 80x90' in said
    assert 'WARNING: fewer than 50 pictures' in said
    assert said.splitlines()[-1] == 'next: dynamic-dnn train things.yaml'
    # As written, but for how long, and without processes of its own, which take seconds to start.
    text = Path('things.yaml').read_text()
    text = re.sub('epochs: [0-9]+, warm_up: 1', 'epochs: 1', text)
    Path('things.yaml').write_text(re.sub('workers: [0-9]+', 'workers: 0', text))
    assert main(['train', 'things.yaml', '--quiet']) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == 'next: dynamic-dnn search things.yaml'
    assert Path('models/things/manifest.json').is_file()


def test_parts_of_the_data_are_used_and_have_to_agree(capsys):
    write_classes(Path('pictures/train'))
    write_classes(Path('pictures/test'))
    assert main(['new', 'things', '--data', 'pictures']) == 0
    configuration = TrainingConfiguration.from_file(Path('things.yaml'))
    assert configuration.test_data == Path('pictures/test')
    assert not configuration.test_every
    Path('things.yaml').unlink()
    write_classes(Path('pictures/test'), names=('window',))
    assert 'differ in the classes window' in refused(capsys, 'things', '--data', 'pictures')


def test_an_archive_is_data_too(folder):
    archive = packed(write_classes(folder / 'pictures'), 'zip')
    assert main(['new', 'things', '--data', archive.name]) == 0
    configuration = TrainingConfiguration.from_file(Path('things.yaml'))
    assert configuration.training_data == Path(archive.name)


def test_boxes_get_a_detector():
    write_yolo(Path('boxes'), {f'{index}': '0 0.5 0.5 0.5 0.5\n' for index in range(8)})
    assert main(['new', 'things', '--data', 'boxes']) == 0
    configuration = TrainingConfiguration.from_file(Path('things.yaml'))
    assert configuration.family == 'ofa_detector'
    assert configuration.layout == 'ofa_detector_352'
    assert configuration.test_every == 5


def test_a_file_that_is_here_is_not_written_over(capsys):
    write_classes(Path('pictures'))
    Path('things.yaml').write_text('mine')
    assert main(['new', 'things', '--data', 'pictures']) == 1
    assert 'things.yaml is here already' in capsys.readouterr().err
    assert Path('things.yaml').read_text() == 'mine'


@pytest.mark.parametrize('place', ['models/things', 'build/training/things'])
def test_what_an_earlier_training_wrote_is_not_written_over(place, capsys):
    write_classes(Path('pictures'))
    Path(place).mkdir(parents=True)
    assert f'{place} is here already' in refused(capsys, 'things', '--data', 'pictures')


@pytest.mark.parametrize('name', ['123', 'null', 'on', '1e3'])
def test_a_name_stays_text(name):
    write_classes(Path('pictures'))
    assert main(['new', name, '--data', 'pictures']) == 0
    assert TrainingConfiguration.from_file(Path(f'{name}.yaml')).name == name


@pytest.mark.parametrize('name', ['My', 'a b', '../up', 'a.yaml', '', 'x' * 101])
def test_a_name_that_no_bundle_can_have_is_refused(name, capsys):
    write_classes(Path('pictures'))
    assert 'small letters, digits and underscores' in refused(capsys, name, '--data', 'pictures')


def test_data_that_cannot_be_trained_on_are_refused(capsys):
    def said(path: str) -> str:
        return refused(capsys, 'things', '--data', path)

    assert 'nowhere does not exist' in said('nowhere')
    Path('empty').mkdir()
    assert 'empty holds no pictures' in said('empty')
    Path('file').write_text('no archive')
    assert 'a folder, or a tar or zip archive is needed' in said('file')
    write_picture(Path('flat/a.png'))
    assert '1 pictures, and no labels for training' in said('flat')
    write_classes(Path('one'), names=('box',))
    assert "the one class 'box'" in said('one')
    write_picture(write_classes(Path('few')) / 'window' / 'a.png')
    assert "too few pictures of 'window' (1): a class needs at least 5" in said('few')
    (write_classes(Path('broken')) / 'box' / '0.png').write_bytes(b'no picture')
    assert 'broken/box/0.png: it is no picture' in said('broken')
    write_picture(Path('masked/images/a.png'))
    write_picture(Path('masked/masks/a.png'))
    assert 'label images' in said('masked')
    write_yolo(Path('boxless'), {'a': '', 'b': ''})
    assert 'boxless holds no box' in said('boxless')


def test_it_goes_on_from_a_bundle_and_says_what_is_known(folder, capsys):
    given = make_bundle(folder / 'given')
    write_classes(Path('pictures'), sizes=((40, 36),), names=('class_3', 'door'))
    assert main(['new', 'things', '--data', 'pictures', '--from', 'given']) == 0
    configuration = TrainingConfiguration.from_file(Path('things.yaml'))
    assert configuration.fine_tune == 'given'
    last, everything = configuration.phases
    assert last.only == ('classifier',)
    assert not everything.only
    assert everything.learning_rate < last.learning_rate
    text = Path('things.yaml').read_text()
    text = re.sub('epochs: [0-9]+', 'epochs: 1', text)
    text = text.replace('warm_up: 1', 'warm_up: 0').replace('workers: 1', 'workers: 0')
    Path('things.yaml').write_text(text)
    assert main(['train', 'things.yaml', '--quiet']) == 0
    trained = read_bundle(Path('models/things'))
    assert 'began with the weights of `given`' in (trained.folder / 'MODEL_CARD.md').read_text()
    # The trunk is still near the one that it began with.
    stem = given.weights().network['stem.convolution.weight']
    own = trained.weights().network['stem.convolution.weight']
    assert abs(own - stem).max() < 0.1 * abs(stem).max()


@pytest.mark.parametrize(
    ('source', 'said'),
    [
        ('fruit_detector', '--from fruit_detector is a bundle of detection, and pictures is data'),
        ('nothing', "bundle 'nothing': is neither a bundle that ships with the package nor"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(source, said, capsys):
    write_classes(Path('pictures'))
    assert said in refused(capsys, 'things', '--data', 'pictures', '--from', source)

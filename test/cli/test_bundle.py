# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
import math
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import RESPONSES_NAME
from dynamic_dnn_ros.bundles.writer import (
    MODEL_CARD_NAME,
    rewrite_bundle,
    weights_content,
    write_bundle,
)
from dynamic_dnn_ros.cli.bundle.quantise import beside
from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import record
from dynamic_dnn_ros.management.no_profile.evidence import FrameEvidence, FramePoint
from dynamic_dnn_ros.management.no_profile.kept import KeptLearning, default_folder
from dynamic_dnn_ros.management.no_profile.memory import Memory
from support.applications import operating_points
from support.bundles import make_bundle
from support.cascades import cascade, with_cascades
from support.engines import logits
from support.images import noise
from support.training import write_archive

CARD = b'# synthetic\n\n## Data\n\nNoise.\n\n## Command\n\n`make noise`\n'


def profiles(manifest: Manifest) -> list[OperatingPoints]:
    table = operating_points((), {e.id: (0.0125, 0.5) for e in manifest.sub_networks}, 'cpu')
    return [replace(table, platform='board')]


@pytest.fixture(scope='module')
def original(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    bundle = make_bundle(tmp_path_factory.mktemp('cli') / 'synthetic', profiles=profiles)
    return record(rewrite_bundle(bundle, other_files={MODEL_CARD_NAME: CARD}))


@pytest.fixture
def folder(original: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original.folder, tmp_path / 'synthetic'))


@pytest.fixture(scope='module')
def data(original: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures in folders named as s2 classifies them, but for one in five."""
    folder = tmp_path_factory.mktemp('data')
    entry = original.manifest.sub_network('s2')
    prepared = create_engine('torch', original, 1).prepare(entry, 'cpu')
    for name in original.manifest.labels:
        (folder / name).mkdir()
    wrong = original.manifest.labels[0]
    for index in range(100):
        picture = noise(32, 32, index).copy()
        found = original.manifest.labels[int(logits(prepared, picture).argmax())]
        name = wrong if index % 5 == 0 else found
        Image.fromarray(picture).save(folder / name / f'{index}.png')
    for name in original.manifest.labels:
        if not any((folder / name).iterdir()):
            Image.fromarray(noise(32, 32, 0)).save(folder / name / 'other.png')
    return folder


def run(*arguments: str | Path) -> int:
    return main(['bundle', *map(str, arguments)])


def with_accuracy(folder: Path, accuracy: float) -> None:
    """Have the bundle say another accuracy of each sub-network."""
    bundle = read_bundle(folder)
    entries = tuple(replace(e, accuracy=accuracy) for e in bundle.manifest.sub_networks)
    manifest = replace(bundle.manifest, sub_networks=entries)
    write_bundle(folder, manifest, bundle.weights_content, (), bundle.other_files)


# show


def test_show_prints_what_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run('show', folder) == 0
    output = capsys.readouterr().out
    assert output.startswith('synthetic: Random weights, for tests.\n')
    for part in (
        'MB: weights ',
        'profiles 0.',
        'recorded for 3 of 3',
        'profile of board',
        '12.50 ms',
        'Noise.',
    ):
        assert part in output
    first_words = [line.split()[0] for line in output.splitlines() if line.strip()]
    assert [word for word in first_words if word in ('s0', 's1', 's2')] == ['s0', 's1', 's2'] * 2


def test_show_gives_the_same_as_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run('show', '--json', folder) == 0
    shown = json.loads(capsys.readouterr().out)
    bundle = read_bundle(folder)
    assert shown['sha256'] == bundle.sha256
    assert shown['size'] == sum(file.stat().st_size for file in folder.iterdir())
    profile_size = (folder / bundle.manifest.profiles[0]).stat().st_size
    assert shown['sizes']['profiles'] == profile_size
    assert sum(shown['sizes'].values()) == shown['size']
    assert [entry['id'] for entry in shown['sub_networks']] == ['s0', 's1', 's2']
    assert all(entry['response_recorded'] for entry in shown['sub_networks'])
    (profile,) = shown['profiles']
    assert profile['latencies'][0]['fastest']['mean'] == pytest.approx(0.0125)
    assert shown['model_card'] == {'Data': 'Noise.', 'Command': '`make noise`'}


def test_show_names_figures_that_were_learnt(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('XDG_STATE_HOME', str(tmp_path))
    evidence = FrameEvidence()
    evidence.points[('s1', 'gpu'), (1e9,)] = FramePoint(4120, 82.4)
    start = {('s1', 'gpu'): 0.02}
    sha256 = read_bundle(folder).sha256
    KeptLearning(default_folder()).keep([Memory('orin_nx', sha256, ('gpu',), start, evidence)])
    assert run('show', folder) == 0
    output = capsys.readouterr().out
    assert re.search(r'^learnt on orin_nx by a manager here, until 20\S+: 4120 fr', output, re.M)
    assert f'not of the bundle: {tmp_path}/dynamic_dnn_ros/learnt-' in output


def test_show_needs_no_learning_library(folder: Path) -> None:
    script = (
        'import sys\n'
        "sys.modules['torch'] = None\n"
        'from dynamic_dnn_ros.cli.main import main\n'
        f"sys.exit(main(['bundle', 'show', {str(folder)!r}]))"
    )
    answer = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


# check


def test_check_of_a_sound_bundle(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / 'notes.txt').write_text('mine')
    assert run('check', folder) == 0
    output = capsys.readouterr().out
    assert "s2: ready on 'cpu' with torch, answers as recorded (departs by 0.00%)" in output
    assert 'profile of board: complete, 3 points' in output
    assert 'notes.txt: not of the bundle' in output
    assert output.endswith('nothing is wrong\n')


def test_check_names_every_damaged_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ('weights.safetensors', MODEL_CARD_NAME):
        (folder / name).write_bytes((folder / name).read_bytes() + b'x')
    assert run('check', folder) == 1
    errors = capsys.readouterr().err
    assert '2 problems' in errors
    assert f'{MODEL_CARD_NAME}: has SHA-256' in errors
    assert 'weights.safetensors: has SHA-256' in errors


def test_check_names_a_sub_network_that_answers_otherwise(
    original: Bundle, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_bundle(folder.parent / 'other', seed=1)
    write_bundle(
        folder, original.manifest, other.weights_content, other_files=original.other_files
    )
    assert run('check', folder) == 1
    errors = capsys.readouterr().err
    assert '3 problems' in errors
    assert "sub-network 's0' answers otherwise than when its accuracy was measured" in errors


def test_check_names_what_a_profile_lacks(
    original: Bundle, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (profile,) = original.profiles
    rewrite_bundle(read_bundle(folder), profiles=[profile.only(['s0', 's1'])])
    assert run('check', folder) == 1
    errors = capsys.readouterr().err
    assert 'profile of board has no point for s2. Make it again' in errors


def test_check_names_a_configuration_that_is_illegal(
    original: Bundle, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = original.manifest.sub_networks
    illegal = replace(first, configuration={**first.configuration, 'resolution': 99})
    manifest = replace(original.manifest, sub_networks=(illegal, *others))
    write_bundle(folder, manifest, original.weights_content)
    assert run('check', folder) == 1
    assert "sub-network 's0' has an illegal configuration" in capsys.readouterr().err


def test_bad_bundle_gives_its_error_and_a_failing_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run('check', tmp_path) == 1
    assert 'manifest.json: is missing' in capsys.readouterr().err
    assert run('show', 'no_such_bundle') == 1
    assert 'Shipped are' in capsys.readouterr().err


def test_check_measures_accuracy(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_accuracy(folder, 0.8)
    assert run('check', folder, '--data', data) == 1
    output, errors = capsys.readouterr()
    # s2 named three of four pictures: chance explains that; the others see them otherwise.
    assert 's0: accuracy' in errors and 's1: accuracy' in errors and 's2: accuracy' not in errors
    assert 's2: accuracy 7' in output and 'chance alone makes' in output
    assert 'it lost more than 2 points' in errors
    with_accuracy(folder, 0.99)
    assert run('check', folder, '--data', data) == 1
    assert 's2: accuracy' in capsys.readouterr().err


def test_check_reads_an_archive_and_records(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = read_bundle(folder)
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    with_accuracy(folder, 0.0)
    archive = write_archive(tmp_path / 'data.tar.xz', data)
    assert run('check', folder, '--data', archive, '--record') == 0
    output = capsys.readouterr().out
    assert 'pictures of data.tar.xz' in output and 'responses recorded' in output
    assert set(read_bundle(folder).responses) == {'s0', 's1', 's2'}


def test_nothing_is_recorded_where_something_is_wrong(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_accuracy(folder, 0.99)
    before = read_bundle(folder).sha256
    assert run('check', folder, '--data', data, '--record') == 1
    assert 'responses are not recorded' in capsys.readouterr().out
    assert read_bundle(folder).sha256 == before
    assert run('check', folder, '--record') == 1
    assert '--record needs --data' in capsys.readouterr().err


def test_data_that_cannot_be_used(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error_of(path: Path) -> str:
        assert run('check', folder, '--data', path) == 1
        return capsys.readouterr().err

    assert 'absent does not exist' in error_of(tmp_path / 'absent')
    (tmp_path / 'empty').mkdir()
    assert 'holds no pictures' in error_of(tmp_path / 'empty')
    other = Path(shutil.copytree(data, tmp_path / 'other'))
    (other / 'class_3').rename(other / 'zebra')
    assert 'no labels of the network: zebra' in error_of(other)
    (other / 'zebra').rename(other / 'class_3')
    shutil.rmtree(other / 'class_4')
    assert 'no pictures of classes that the network knows: class_4' in error_of(other)
    broken = Path(shutil.copytree(data, tmp_path / 'broken'))
    (broken / 'class_5' / 'cut.png').write_bytes(b'no picture')
    assert 'class_5/cut.png: it is no picture' in error_of(broken)
    archive = write_archive(tmp_path / 'cut.tar.xz', data)
    archive.write_bytes(archive.read_bytes()[:-5000])
    assert 'cannot be read' in error_of(archive)


# export


def test_export_writes_the_chosen_ones(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('onnx')
    assert run('export', folder, '--output', tmp_path / 'out', '--sub-networks', 's0, s2') == 0
    assert sorted(os.listdir(tmp_path / 'out')) == ['description.json', 's0.onnx', 's2.onnx']
    assert 's2.onnx: ' in (output := capsys.readouterr().out) and 'differ by at most' in output
    assert run('export', folder, '--output', tmp_path / 'out', '--sub-networks', 's7') == 1
    assert "no sub-network 's7'" in capsys.readouterr().err


def test_export_puts_graphs_into_the_bundle(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('onnx')
    assert run('check', folder) == 0
    assert 'no graphs for ONNX Runtime and OpenVINO of s0, s1, s2' in capsys.readouterr().out
    assert run('export', folder) == 0
    assert '3 graphs' in capsys.readouterr().out
    assert run('check', folder, '--engine', 'torch') == 0
    assert 'no graphs' not in capsys.readouterr().out
    assert run('export', folder, '--sub-networks', 's0') == 1
    assert '--sub-networks needs --output' in capsys.readouterr().err
    # Other weights, and the check finds that the graphs are of those before.
    bundle = read_bundle(folder)
    weights = bundle.weights()
    weights.network['classifier.weight'] = weights.network['classifier.weight'] * 1.001
    write_bundle(folder, bundle.manifest, weights_content(weights), other_files=bundle.other_files)
    assert run('check', folder) == 1
    assert 's0.graph: was made for sub-network' in capsys.readouterr().err


def test_check_runs_every_engine_that_is_installed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    assert run('export', folder) == 0
    assert run('check', folder) == 0
    assert 'onnxruntime: 3 sub-networks run, answer as recorded' in capsys.readouterr().out
    # A graph of the right name and key, whose model is none: PyTorch does not need it.
    bundle = read_bundle(folder)
    header, _, _ = bundle.other_files['s1.graph'].partition(b'\n')
    files = {**bundle.other_files, 's1.graph': header + b'\nno model'}
    write_bundle(folder, bundle.manifest, bundle.weights_content, other_files=files)
    assert run('check', folder, '--engine', 'torch') == 0
    capsys.readouterr()
    assert run('check', folder) == 1
    checked = capsys.readouterr()
    assert 'onnxruntime: 2 sub-networks run' in checked.out
    assert 'PROBLEM onnxruntime: ' in checked.out and "'s1'" in checked.err


def test_export_without_onnx(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, 'onnx', None)
    for arguments in (('--output', tmp_path / 'out'), ()):
        assert run('export', folder, *arguments) == 1
        assert "pip install 'dynamic_dnn_ros[onnx]'" in capsys.readouterr().err


def test_what_is_timed_beside_something_runs_in_turns() -> None:
    now, order = 0.0, ''

    def runs(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            nonlocal now, order
            now += seconds * (1 + 9 * (len(order) < 2))  # the first runs are slow
            order += name

        return run

    assert beside(runs('a', 0.08), runs('b', 0.1), lambda: now) == pytest.approx((0.08, 0.1))
    assert order == 'ab' * 5


def test_export_in_int8(
    folder: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr(sys.modules[beside.__module__], 'TIMED_FOR', 0.0)
    seconds = [(0.2, 0.1), (0.08, 0.1)]
    monkeypatch.setattr(
        sys.modules[beside.__module__],
        'beside',
        lambda *runs: seconds.pop(0) if seconds else beside(*runs),
    )
    # Nothing is recorded: random weights answer less steadily to rounding than trained ones.
    bundle = read_bundle(folder)
    card = {MODEL_CARD_NAME: CARD}
    write_bundle(folder, bundle.manifest, bundle.weights_content, bundle.profiles, card)
    assert run('export', folder, '--precision', 'int8', '--data', data) == 0
    output = capsys.readouterr().out
    bundle = read_bundle(folder)
    graphs = {f'{entry.id}.int8.graph' for entry in bundle.manifest.sub_networks}
    count = sum(len(files) for _, _, files in os.walk(data))
    for entry in bundle.manifest.sub_networks:
        assert f'{entry.id}: accuracy ' in output
        assert re.search(rf'{entry.id}: \S+ ms in int8, \S+ ms in float32: [\d.]+ times', output)
    assert ' 2.00 times the speed (measured' in output
    assert ' 0.80 times the speed, SLOWER (measured' in output
    assert re.search(r'\bs1.*: int8 is slower than float32 on this computer', output)
    assert f'in int8 on {count - count // 2} pictures of {data.name}' in output
    assert '3 graphs in int8, ' in output and f'with {count // 2} pictures' in output
    assert graphs <= bundle.manifest.files.keys() and MODEL_CARD_NAME in bundle.manifest.files
    # The others are put beside them, and counted alone.
    assert run('export', folder) == 0
    assert '3 graphs, ' in capsys.readouterr().out
    bundle = read_bundle(folder)
    assert graphs <= bundle.manifest.files.keys()
    assert run('check', folder) == 0
    assert f'3 graphs in int8, calibrated with {count // 2} pictures' in capsys.readouterr().out
    weights = bundle.weights()
    weights.network['classifier.weight'] = weights.network['classifier.weight'] * 1.001
    write_bundle(folder, bundle.manifest, weights_content(weights), other_files=bundle.other_files)
    capsys.readouterr()
    assert run('check', folder) == 1
    errors = capsys.readouterr().err
    assert 's0.int8.graph: was made for' in errors
    assert '--precision int8 --data' in errors


def test_export_in_int8_writes_nothing_that_answers_otherwise(
    folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    other = record(make_bundle(folder.parent / 'other', seed=1))
    responses = {RESPONSES_NAME: other.other_files[RESPONSES_NAME]}
    before = rewrite_bundle(read_bundle(folder), other_files=responses)
    assert run('export', folder, '--precision', 'int8', '--data', data) == 1
    said = capsys.readouterr()
    assert 's0: not written in int8. sub-network' in said.out and 'departs by' in said.out
    assert 'can be served in int8. Nothing was written' in said.err
    assert read_bundle(folder).sha256 == before.sha256


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (('--precision', 'int8'), '--precision int8 needs --data'),
        (('--data', 'pictures'), '--data needs --precision int8'),
        (('--precision', 'int8', '--data', 'absent', '--output', 'out'), 'leave --output out'),
        (('--precision', 'int8', '--data', 'absent', '--sub-networks', 's0'), 'needs --output'),
        (('--precision', 'int8', '--data', 'absent'), 'absent does not exist'),
    ],
)
def test_bad_input_of_an_export_in_int8(
    folder: Path, arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run('export', folder, *arguments) == 1
    assert named in capsys.readouterr().err


def test_too_few_pictures_for_int8(
    folder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in data.iterdir():
        (tmp_path / 'few' / part.name).mkdir(parents=True)
        shutil.copy(next(part.iterdir()), tmp_path / 'few' / part.name)
    assert run('export', folder, '--precision', 'int8', '--data', tmp_path / 'few') == 1
    assert 'holds 10 pictures: at least 20 are needed' in capsys.readouterr().err


def bundle_command(*arguments: str) -> int:
    return main(['bundle', *arguments])


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    pytest.importorskip('onnx', reason='the models are made with it')
    pytest.importorskip('onnxruntime')
    from support.separate_models import make_models_bundle

    return make_models_bundle(tmp_path_factory.mktemp('separate') / 'models')


def test_shows_separate_models(models: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundle_command('show', str(models.folder)) == 0
    shown = capsys.readouterr().out
    assert re.search(r'^models +small, large$', shown, re.M)
    assert re.search(r'^task +classification', shown, re.M)
    assert re.search(r'^accuracy +top-1 on ', shown, re.M)
    assert re.search(r'^small_24 +50.0% +40x24 .*given, not measured', shown, re.M)


def test_checks_separate_models(models: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundle_command('check', str(models.folder)) == 0
    checked = capsys.readouterr().out
    assert "small_48: ready on 'cpu' with onnxruntime, answers as recorded" in checked
    assert 'graphs' not in checked and 'nobody knows' not in checked
    assert bundle_command('check', str(models.folder), '--engine', 'torch') == 1
    assert 'holds separate models. Name one of: auto' in capsys.readouterr().err


def test_says_that_nobody_knows_an_accuracy(
    models: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = models.manifest.sub_networks
    manifest = replace(models.manifest, sub_networks=(replace(first, accuracy=math.nan), *others))
    folder = tmp_path / 'models'
    write_bundle(folder, manifest, models.source_content, (), models.other_files)
    assert bundle_command('check', str(folder)) == 0
    assert 'nobody knows the accuracy of small_24' in capsys.readouterr().out
    assert bundle_command('show', str(folder)) == 0
    assert re.search(r'^small_24 +unknown +40x24', capsys.readouterr().out, re.M)


def test_exports_separate_models_as_they_are(
    models: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundle_command('export', str(models.folder)) == 0
    assert 'are ONNX files already' in capsys.readouterr().out
    assert bundle_command('export', str(models.folder), '--output', str(tmp_path / 'out')) == 0
    assert (tmp_path / 'out' / 'small.onnx').read_bytes() == models.models['small.onnx']
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == ['large.onnx', 'small.onnx']
    assert (
        bundle_command(
            'export', str(models.folder), '--output', str(tmp_path), '--sub-networks', 'x'
        )
        == 1
    )
    assert 'is for super-networks' in capsys.readouterr().err


def test_quantises_no_separate_models(
    models: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ('--precision', 'int8', '--data', str(tmp_path))
    assert bundle_command('export', str(models.folder), *arguments) == 1
    assert 'holds separate models' in capsys.readouterr().err


def cascading(original: Bundle, folder: Path, threshold: float) -> Bundle:
    """Write a bundle with a cascade of s1 and s2, whose accuracy is that of s2."""
    entry = replace(cascade(original, threshold), accuracy=0.8)
    bundle = with_cascades(original, entry)
    return write_bundle(
        folder / 'cascading',
        bundle.manifest,
        bundle.source_content,
        other_files=bundle.other_files,
    )


def test_shows_and_checks_stages(
    original: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = cascading(original, tmp_path, 0.75)
    assert run('show', bundle.folder) == 0
    shown = capsys.readouterr().out
    assert 'first (s1): work 0.400, taken by 60.0%, leaves from a confidence of 0.75' in shown
    assert 'last (s2): work 1.000, taken by 40.0%\n' in shown
    assert 'mean work 0.640 of the largest path' in shown
    assert 'recorded for 4 of 4 sub-networks' in shown, 'of a cascade those of its stages'
    assert run('show', bundle.folder, '--json') == 0
    *_, told = json.loads(capsys.readouterr().out)['sub_networks']
    assert told['stages'][0]['exit'] == {'threshold': 0.75} and told['mean_work'] == 0.64
    assert run('check', bundle.folder) == 0
    assert "c0: ready on 'cpu' with torch, answers as recorded" in capsys.readouterr().out


def test_the_accuracy_of_a_cascade_is_that_of_the_paths_taken(
    original: Bundle, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for threshold in (0.0, 1.0):
        bundle = cascading(original, tmp_path, threshold)
        run('check', bundle.folder, '--data', data)  # made-up accuracies are problems
        said = capsys.readouterr()
        found[threshold] = dict(re.findall(r'(\w+): accuracy ([\d.]+)%', said.out + said.err))
    assert found[0.0]['c0'] == found[0.0]['s1'], 'all leave after the first stage'
    assert found[1.0]['c0'] == found[1.0]['s2'] != found[1.0]['s1'], 'none does'

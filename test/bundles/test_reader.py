# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import hashlib
import json
import math
import os
from pathlib import Path
import shutil
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import inspect_bundle, read_bundle
from dynamic_dnn_ros.networks.registry import create
from support.applications import operating_points
from support.bundles import make_bundle


@pytest.fixture(scope='module')
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp('bundles') / 'synthetic').folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / 'synthetic'))


def rewrite_manifest(folder: Path, **changes: Any) -> None:
    mapping = json.loads((folder / 'manifest.json').read_text())
    (folder / 'manifest.json').write_text(json.dumps({**mapping, **changes}))


def exchange_weights(folder: Path, content: bytes) -> None:
    """Exchange the weights and list them rightly, as somebody with bad intent would."""
    (folder / 'weights.safetensors').write_bytes(content)
    files = {'weights.safetensors': hashlib.sha256(content).hexdigest()}
    rewrite_manifest(folder, files=files)


def test_reads_weights_and_statistics(folder: Path) -> None:
    bundle = read_bundle(folder)
    weights = bundle.weights()
    assert set(weights.batch_norm_statistics) == {'s0', 's1', 's2'}
    assert all(value.dtype == np.float32 for value in weights.network.values())
    assert bundle.sha256 == hashlib.sha256((folder / 'manifest.json').read_bytes()).hexdigest()


def test_missing_folder_and_missing_files(folder: Path) -> None:
    with pytest.raises(BundleError, match='is not a folder'):
        read_bundle(folder / 'absent')
    (folder / 'weights.safetensors').unlink()
    with pytest.raises(BundleError, match=r'weights\.safetensors: is missing'):
        read_bundle(folder)
    (folder / 'manifest.json').unlink()
    with pytest.raises(BundleError, match=r'manifest\.json: is missing'):
        read_bundle(folder)


def test_truncated_and_altered_weights(folder: Path) -> None:
    path = folder / 'weights.safetensors'
    content = path.read_bytes()
    for damaged in (content[:-100], b'', content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match='truncated or was altered'):
            read_bundle(folder)


def test_truncated_manifest(folder: Path) -> None:
    path = folder / 'manifest.json'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BundleError, match='is not JSON'):
        read_bundle(folder)


def test_files_that_are_links(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / 'outside.safetensors'
    (folder / 'weights.safetensors').rename(outside)
    (folder / 'weights.safetensors').symlink_to(outside)
    with pytest.raises(BundleError, match='is a link'):
        read_bundle(folder)


def test_folder_of_links_as_a_symlink_install_makes_it(folder: Path, tmp_path: Path) -> None:
    installed = tmp_path / 'installed'
    installed.mkdir()
    for file in folder.iterdir():
        (installed / file.name).symlink_to(file)
    assert read_bundle(installed).manifest == read_bundle(folder).manifest


def safetensors(header: object, data: bytes = bytes(8)) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data


def described(**changes: Any) -> bytes:
    tensor = {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8], **changes}
    return safetensors({'network.x': tensor})


def test_tensors_are_read_as_the_library_reads_them(folder: Path) -> None:
    bundle = read_bundle(folder)
    expected = load(bundle.weights_content)
    views = bundle.weight_views()
    named = {f'network.{name}': value for name, value in views.network.items()}
    for identifier, found in views.batch_norm_statistics.items():
        named |= {f'batch_norm.{identifier}.{name}': value for name, value in found.items()}
    assert named.keys() == expected.keys()
    content = np.frombuffer(bundle.weights_content, np.uint8)
    for name, value in named.items():
        np.testing.assert_array_equal(value, expected[name])
        assert np.shares_memory(value, content) and not value.flags.writeable
    for copied, view in zip(bundle.weights().network.values(), views.network.values()):
        np.testing.assert_array_equal(copied, view)
        assert copied.flags.writeable and not np.shares_memory(copied, content)


@pytest.mark.parametrize(
    'content',
    [
        b'\x80\x04cos\nsystem\n',  # a pickle
        b'',
        safetensors([]),
        safetensors(1),
        safetensors({'network.x': 'text'}),
        (400_000).to_bytes(8, 'little') + b'[' * 400_000,
        described(dtype='BF16'),
        safetensors(
            {
                f'network.{name}': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}
                for name in 'xy'
            }
        ),
        described(dtype=[]),
        described(shape=[3]),
        described(shape=[-1, -2]),
        described(shape=[10**30]),
        described(shape=None),
        described(data_offsets=[8, 16]),
        described(data_offsets=[-8, 0]),
        described(data_offsets=[0.0, 8.0]),
        described(data_offsets=[0]),
    ],
)
def test_weights_that_are_no_tensors(folder: Path, content: bytes) -> None:
    exchange_weights(folder, content)
    with pytest.raises(BundleError, match='no safetensors file'):
        read_bundle(folder).weights()


def test_a_safetensors_file_of_another_program(folder: Path) -> None:
    header = {
        '__metadata__': {'format': 'pt'},
        'network.empty': {'dtype': 'F16', 'shape': [0, 3], 'data_offsets': [0, 0]},
        'network.one': {'dtype': 'F64', 'shape': [], 'data_offsets': [0, 8]},
    }
    exchange_weights(folder, safetensors(header, np.array(2.5, '<f8').tobytes()))
    network = read_bundle(folder).weights().network
    assert network['empty'].shape == (0, 3) and network['one'] == np.float32(2.5)


def test_tensor_that_belongs_to_nothing(folder: Path) -> None:
    tensors = load((folder / 'weights.safetensors').read_bytes())
    exchange_weights(folder, save({**tensors, 'batch_norm.s9.x': np.zeros(1, np.float32)}))
    with pytest.raises(BundleError, match=r'batch_norm\.s9\.x'):
        read_bundle(folder).weights()


def test_sub_network_without_statistics(folder: Path) -> None:
    tensors = load((folder / 'weights.safetensors').read_bytes())
    kept = {name: v for name, v in tensors.items() if not name.startswith('batch_norm.s1.')}
    exchange_weights(folder, save(kept))
    with pytest.raises(BundleError, match=r"no batch-norm statistics for sub-network 's1'"):
        read_bundle(folder).weights()


def test_family_whose_sub_networks_share_their_statistics(tmp_path: Path) -> None:
    network = create('incremental_group', 'incremental_group_32x32')
    weights = make_bundle(tmp_path / 'groups', network=network).weights()
    assert weights.batch_norm_statistics == {'s0': {}, 's1': {}, 's2': {}, 's3': {}}
    assert weights.network.keys() == network.state().keys()


def test_other_number_of_classes(folder: Path) -> None:
    rewrite_manifest(folder, labels=['cat', 'dog', 'horse'])
    with pytest.raises(BundleError, match='3 labels, but its network has 10 outputs'):
        read_bundle(folder)


def test_figure_that_is_no_number(folder: Path) -> None:
    path = folder / 'manifest.json'
    path.write_text(path.read_text().replace('"accuracy": 0.5', '"accuracy": NaN'))
    with pytest.raises(BundleError, match='is not JSON .NaN'):
        read_bundle(folder)


@pytest.mark.parametrize('number', ['1e999', '-1e999', '1' + '0' * 30, '9' * 5000])
def test_number_that_is_too_large(folder: Path, number: str) -> None:
    path = folder / 'manifest.json'
    path.write_text(path.read_text().replace('"stem_width": 8', f'"stem_width": {number}'))
    with pytest.raises(BundleError, match='is not JSON .*too large a number'):
        read_bundle(folder)


def test_manifest_that_is_nested_without_end(folder: Path) -> None:
    (folder / 'manifest.json').write_text('[' * 200_000)
    with pytest.raises(BundleError, match='is not JSON'):
        read_bundle(folder)


def test_a_pipe_in_place_of_a_file(folder: Path) -> None:
    (folder / 'weights.safetensors').unlink()
    os.mkfifo(folder / 'weights.safetensors')
    with pytest.raises(BundleError, match=r'weights\.safetensors: is no file'):
        read_bundle(folder)


def test_everything_that_is_wrong_is_found(folder: Path) -> None:
    (folder / 'weights.safetensors').write_bytes(b'')
    (folder / 'MODEL_CARD.md').write_bytes(b'# Card')
    response = np.zeros((8, 3), np.float32)
    (folder / 'responses.safetensors').write_bytes(save({'s0': response}))
    files = {
        name: hashlib.sha256((folder / name).read_bytes() + altered).hexdigest()
        for name, altered in (
            ('weights.safetensors', b'altered'),
            ('MODEL_CARD.md', b'altered'),
            ('responses.safetensors', b''),
        )
    }
    rewrite_manifest(folder, files=files)
    bundle, problems = inspect_bundle(folder)
    assert bundle is None
    assert [Path(problem.where).name for problem in problems] == [
        'weights.safetensors',
        'MODEL_CARD.md',
        'responses.safetensors',
    ]
    with pytest.raises(BundleError, match='truncated or was altered'):
        read_bundle(folder)


def test_what_was_made_with_other_weights_is_passed_over(original: Path) -> None:
    bundle = read_bundle(original)
    names = [entry.id for entry in bundle.manifest.sub_networks]
    points = replace(
        operating_points((), dict.fromkeys(names, (0.01, 0.5))),
        engine='torch',
        precision='bfloat16',
        accuracy=np.array([0.3, math.nan, 0.5]),
    )
    present = replace(points, weights_sha256=bundle.manifest.weights_sha256)
    older = replace(points, weights_sha256='0' * 64)
    for profile, used in ((points, True), (present, True), (older, False)):
        profiled = replace(bundle, profiles=(profile,))
        assert (profiled.profile(points.platform) is profile) == used
        measured = {names[0]: 0.3, names[2]: 0.5} if used else {}
        assert profiled.accuracies('torch', 'bfloat16') == measured
        assert profiled.accuracies('torch', 'float32') == {}

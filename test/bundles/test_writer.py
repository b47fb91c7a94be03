# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import errno
import itertools
import multiprocessing
import os
from pathlib import Path
import random
import resource
import subprocess
import time
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles import writer
from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import weights_content, with_profile, write_bundle
from support.applications import operating_points
from support.bundles import make_bundle


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp('bundles') / 'synthetic')


def test_half_precision_halves_the_size(bundle: Bundle, tmp_path: Path) -> None:
    weights = bundle.weights()
    half = weights_content(weights, np.float16)
    assert len(half) < 0.7 * len(weights_content(weights))
    written = write_bundle(tmp_path / 'half', bundle.manifest, half).weights()
    for name, value in weights.network.items():
        np.testing.assert_allclose(written.network[name], value, atol=2e-3, rtol=2e-3)


def test_replaces_a_bundle_and_leaves_nothing_beside_it(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / 'replaced'
    first = write_bundle(folder, bundle.manifest, bundle.weights_content)
    renamed = replace(bundle.manifest, name='renamed')
    write_bundle(folder, renamed, bundle.weights_content, other_files={'MODEL_CARD.md': b'# Card'})
    assert read_bundle(folder).manifest.name == 'renamed'
    assert first.manifest.name != 'renamed'
    assert os.listdir(tmp_path) == ['replaced']


def test_what_is_not_of_the_bundle_stays_in_its_folder(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / 'versioned'
    files = {'MODEL_CARD.md': b'# Card', 'front.png': b'picture'}
    write_bundle(folder, bundle.manifest, bundle.weights_content, other_files=files)
    (folder / 'notes.txt').write_text('mine')
    (folder / '.git' / 'objects').mkdir(parents=True)
    (folder / '.git' / 'objects' / 'ab').write_bytes(b'object')
    (folder / 'link').symlink_to(tmp_path / 'nowhere')
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    ours = {'manifest.json', 'weights.safetensors'}
    assert set(os.listdir(folder)) == ours | {'notes.txt', '.git', 'link'}
    assert (folder / 'notes.txt').read_text() == 'mine'
    assert (folder / '.git' / 'objects' / 'ab').read_bytes() == b'object'
    assert (folder / 'link').is_symlink()
    # Nobody can tell any more what was of the bundle: nothing is removed.
    (folder / 'manifest.json').write_text('damaged')
    write_bundle(folder, bundle.manifest, bundle.weights_content, other_files=files)
    assert set(os.listdir(folder)) == ours | set(files) | {'notes.txt', '.git', 'link'}
    assert os.listdir(tmp_path) == ['versioned']


def test_a_bundle_that_does_not_read_back_leaves_the_old_one(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / 'kept'
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    with pytest.raises(BundleError):
        write_bundle(folder, replace(bundle.manifest, labels=('cat', 'dog')), b'')
    assert read_bundle(folder).manifest.labels == bundle.manifest.labels
    assert os.listdir(tmp_path) == ['kept']


def test_adds_and_replaces_a_profile(bundle: Bundle, tmp_path: Path) -> None:
    from dynamic_dnn_ros.engines.registry import create_engine
    from dynamic_dnn_ros.profiling.startup import measure

    folder = tmp_path / 'profiled'
    card = {'MODEL_CARD.md': b'# Card'}
    written = write_bundle(folder, bundle.manifest, bundle.weights_content, other_files=card)
    engine = create_engine('torch', written, 1)
    prepared = [engine.prepare(entry, 'cpu') for entry in written.manifest.sub_networks]
    profiled = with_profile(written, measure('workstation', prepared))
    profiled = with_profile(profiled, measure('workstation', prepared))
    assert [profile.platform for profile in profiled.profiles] == ['workstation']
    assert profiled.profile('workstation') is not None
    assert profiled.profile('elsewhere') is None
    assert (folder / 'MODEL_CARD.md').read_bytes() == b'# Card'


def _write_for_ever(folder: Path, ready: Any) -> None:
    bundle = read_bundle(folder)
    ready.set()
    for number in itertools.count(1):
        manifest = replace(bundle.manifest, description=str(number))
        write_bundle(folder, manifest, bundle.weights_content)


@contextmanager
def writer_process(folder: Path) -> Iterator[None]:
    """Have another process write a bundle again and again; kill it at the end."""
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    process = context.Process(target=_write_for_ever, args=(folder, ready), daemon=True)
    process.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        process.kill()
        process.join()


def test_a_kill_at_any_moment_leaves_a_whole_bundle(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / 'killed'
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    moments = random.Random(0)
    for _ in range(20):
        with writer_process(folder):
            time.sleep(moments.uniform(0.0, 0.05))
        assert read_bundle(folder).weights().network.keys() == bundle.weights().network.keys()
        assert set(os.listdir(tmp_path)) <= {'killed', '.killed.new', '.killed.lock'}
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    assert os.listdir(tmp_path) == ['killed']


def test_a_reader_never_sees_a_half_written_bundle(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / 'read'
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    with writer_process(folder):
        seen = {read_bundle(folder).manifest.description for _ in range(100)}
    assert len(seen) > 1


def test_what_a_killed_writer_left_is_cleared_away(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / 'left'
    for name in ('.left.new', '.left.old'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'weights.safetensors').write_bytes(b'half')
    # That of another bundle, which may be at work.
    (tmp_path / '.left.other.new').mkdir()
    folder.mkdir()
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    assert sorted(os.listdir(tmp_path)) == ['.left.other.new', 'left']


def test_file_system_that_cannot_exchange_two_folders(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(new: Path, folder: Path) -> None:
        raise OSError(errno.EINVAL, 'no such thing here')

    monkeypatch.setattr(writer, '_rename_exchange', refuse)
    folder = tmp_path / 'renamed'
    first = write_bundle(folder, bundle.manifest, bundle.weights_content)
    write_bundle(folder, replace(bundle.manifest, name='second'), bundle.weights_content)
    assert read_bundle(folder).manifest.name == 'second'
    assert os.listdir(tmp_path) == ['renamed']

    # As a kill between its two renames leaves it.
    folder.rename(tmp_path / '.renamed.old')
    with pytest.raises(BundleError, match=r"whole under the name '\.renamed\.old'"):
        read_bundle(folder)
    with pytest.raises(BundleError, match='changed by another command'):
        write_bundle(folder, first.manifest, first.weights_content, replaces=first)
    assert read_bundle(folder).manifest.name == 'second'


def test_no_update_is_lost(bundle: Bundle, tmp_path: Path) -> None:
    read = write_bundle(tmp_path / 'shared', bundle.manifest, bundle.weights_content)
    points = {entry.id: (0.01, 0.5) for entry in read.manifest.sub_networks}
    table = operating_points((), points, 'cpu')
    profiled = with_profile(read, replace(table, platform='one'))
    with pytest.raises(BundleError, match='changed by another command'):
        with_profile(read, replace(table, platform='two'))
    assert [profile.platform for profile in read_bundle(read.folder).profiles] == ['one']
    with_profile(profiled, replace(table, platform='two'))
    assert len(read_bundle(read.folder).profiles) == 2


def test_a_profile_takes_down_its_weights(bundle: Bundle, tmp_path: Path) -> None:
    read = write_bundle(tmp_path / 'dated', bundle.manifest, bundle.weights_content)
    points = {entry.id: (0.01, 0.5) for entry in read.manifest.sub_networks}
    (profile,) = with_profile(read, operating_points((), points, 'cpu')).profiles
    assert profile.weights_sha256 == read.manifest.weights_sha256


def test_a_folder_that_is_no_bundle_is_not_replaced(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / 'pictures').mkdir()
    (tmp_path / 'pictures' / 'cat.jpg').write_bytes(b'cat')
    with pytest.raises(BundleError, match='it is no bundle and is not replaced'):
        write_bundle(tmp_path / 'pictures', bundle.manifest, bundle.weights_content)
    assert os.listdir(tmp_path / 'pictures') == ['cat.jpg']
    assert os.listdir(tmp_path) == ['pictures']


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Let the folder be on a disk of 256 KiB, or else the process write no larger file."""
    size = 256 * 1024
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'dynamic_dnn_test', str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(['umount', str(folder)], check=True)
        return
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_old_bundle(bundle: Bundle, tmp_path: Path) -> None:
    with small_disk(tmp_path):
        folder = tmp_path / 'full'
        assert len(bundle.weights_content) < 128 * 1024
        old = write_bundle(folder, bundle.manifest, bundle.weights_content)
        with pytest.raises(BundleError, match=r'full: cannot be written \(.*Nothing was changed'):
            write_bundle(
                folder, bundle.manifest, bundle.weights_content, (), {'large': bytes(300 * 1024)}
            )
        assert read_bundle(folder).sha256 == old.sha256
        assert os.listdir(tmp_path) == ['full']


def test_profiles_of_one_platform_are_kept_apart_by_hardware(
    bundle: Bundle, tmp_path: Path
) -> None:
    from support.applications import operating_points

    folder = tmp_path / 'two_computers'
    written = write_bundle(folder, bundle.manifest, bundle.weights_content)
    sub_networks = {entry.id: (0.01, 0.5) for entry in bundle.manifest.sub_networks}
    points = replace(operating_points((), sub_networks), platform='linux')
    for hardware in ('fast', 'slow', 'slow'):
        written = with_profile(written, replace(points, hardware=hardware))
    assert len(written.profiles) == 2
    for hardware in ('fast', 'slow'):
        profile = written.profile('linux', hardware)
        assert profile is not None and profile.hardware == hardware
    assert written.profile('linux', 'another') is None
    assert written.profile('linux') is not None
    general = with_profile(written, points)
    profile = general.profile('linux', 'another')
    assert profile is not None and profile.hardware == ''
    profile = general.profile('linux', 'slow')
    assert profile is not None and profile.hardware == 'slow'


def test_of_two_profiles_of_the_same_the_first_counts(bundle: Bundle, tmp_path: Path) -> None:
    table = operating_points((), {entry.id: (0.01, 0.5) for entry in bundle.manifest.sub_networks})
    two = [replace(table, description=text) for text in ('first', 'second')]
    before = replace(bundle, profiles=tuple(two)).profile(table.platform)
    assert before is not None and before.description == 'first'
    written = write_bundle(tmp_path / 'twice', bundle.manifest, bundle.weights_content, two)
    assert [profile.description for profile in written.profiles] == ['first']
    assert len(written.manifest.profiles) == 1


def test_profiles_of_one_computer_are_kept_apart_by_engine(bundle: Bundle, tmp_path: Path) -> None:
    from support.applications import operating_points

    written = write_bundle(tmp_path / 'engines', bundle.manifest, bundle.weights_content)
    sub_networks = {entry.id: (0.01, 0.5) for entry in bundle.manifest.sub_networks}
    points = replace(
        operating_points((), sub_networks),
        platform='linux',
        hardware='board',
        accuracy=np.zeros(0),
    )
    unsaid = with_profile(written, points)
    profile = unsaid.profile('linux', 'board', ('openvino', 'bfloat16'))
    assert profile is not None and profile.engine == ''
    accuracy = np.linspace(0.5, 0.7, len(sub_networks))
    for engine, precision in (('torch', 'float32'), ('openvino', 'bfloat16')) * 2:
        measured = replace(points, engine=engine, precision=precision, accuracy=accuracy)
        unsaid = with_profile(unsaid, measured)
    assert len(unsaid.profiles) == 2
    profile = unsaid.profile('linux', 'board', ('openvino', 'bfloat16'))
    assert profile is not None and profile.precision == 'bfloat16'
    np.testing.assert_allclose(profile.accuracy, accuracy)
    assert unsaid.profile('linux', 'board', ('openvino', 'float32')) is None
    assert unsaid.profile('linux', 'board') is not None

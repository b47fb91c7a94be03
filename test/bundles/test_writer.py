# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import weights_content, with_profile, write_bundle
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


def test_a_bundle_that_does_not_read_back_leaves_the_old_one(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / 'kept'
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    with pytest.raises(BundleError):
        write_bundle(folder, replace(bundle.manifest, classes=('cat', 'dog')), b'')
    assert read_bundle(folder).manifest.classes == bundle.manifest.classes
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


def test_a_kill_at_any_moment_leaves_a_whole_bundle(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / 'killed'
    write_bundle(folder, bundle.manifest, bundle.weights_content)
    script = (
        'import sys; from dataclasses import replace; from pathlib import Path\n'
        'from dynamic_dnn_ros.bundles.reader import read_bundle\n'
        'from dynamic_dnn_ros.bundles.writer import write_bundle\n'
        f'folder = Path({str(folder)!r}); bundle = read_bundle(folder)\n'
        'print("ready", flush=True)\n'
        'number = 0\n'
        'while True:\n'
        '    number += 1\n'
        '    manifest = replace(bundle.manifest, description=str(number))\n'
        '    write_bundle(folder, manifest, bundle.weights_content)\n'
    )
    for moment in (0.05, 0.11, 0.17, 0.23):
        with subprocess.Popen(
            [sys.executable, '-c', script], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == 'ready\n'
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(moment)
            process.kill()
        assert read_bundle(folder).weights().network.keys() == bundle.weights().network.keys()


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

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command `dynamic-dnn profile`."""

from pathlib import Path

import pytest

from dynamic_dnn_ros.bundles.profile import ProfileKind
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.cli.main import main

PLATFORM = 'xavier_nx_simulated'


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundles = pytest.importorskip('support.bundles')
    return Path(bundles.make_bundle(tmp_path / 'synthetic').folder)


def test_puts_the_profile_into_the_bundle(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['profile', str(bundle), '--platform', PLATFORM]) == 0
    said = capsys.readouterr().out
    assert '(simulated, extrapolated)' in said
    profile = read_bundle(bundle).profile(PLATFORM)
    assert profile is not None
    assert profile.kind is ProfileKind.SIMULATED
    assert profile.sub_networks == ('s0', 's1', 's2')


def test_second_call_replaces_the_profile(bundle: Path) -> None:
    for mode in ('20W_6CORE', '10W_4CORE'):
        assert main(['profile', str(bundle), '--platform', PLATFORM, '--power-mode', mode]) == 0
    (profile,) = read_bundle(bundle).profiles
    assert profile.frequencies[:, profile.domains.index('gpu')].max() == 803.25e6


def test_dry_run_leaves_the_bundle_alone(bundle: Path) -> None:
    before = read_bundle(bundle).sha256
    assert main(['profile', str(bundle), '--platform', PLATFORM, '--dry-run']) == 0
    assert read_bundle(bundle).sha256 == before


@pytest.mark.parametrize(
    ('name', 'platform', 'mode', 'words'),
    [
        ('nowhere/to/be/found', PLATFORM, '', 'nowhere/to/be/found'),
        ('', 'toaster_simulated', '', 'xavier_nx_simulated'),
        ('', 'linux', '', 'xavier_nx_simulated'),
        ('', PLATFORM, '1W', '20W_6CORE'),
    ],
)
def test_bad_input_names_itself_and_the_remedy(
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    platform: str,
    mode: str,
    words: str,
) -> None:
    arguments = ['profile', name or str(bundle), '--platform', platform, '--power-mode', mode]
    assert main(arguments) == 1
    assert words in capsys.readouterr().err

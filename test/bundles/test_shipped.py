# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from dynamic_dnn_ros.bundles import shipped
from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.shipped import find_bundle


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a package that ships one bundle, and stand in a folder with another one."""
    for folder in ('share/models/shipped', 'here/own'):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / 'manifest.json').write_text('{}')
    monkeypatch.setattr(shipped, 'share_folder', lambda: tmp_path / 'share')
    monkeypatch.chdir(tmp_path / 'here')
    return tmp_path / 'share'


def test_finds_what_ships_by_its_name_and_everything_by_its_path(share: Path) -> None:
    assert find_bundle('shipped') == share / 'models' / 'shipped'
    assert find_bundle('own') == Path('own')
    assert find_bundle(str(share / 'models' / 'shipped')) == share / 'models' / 'shipped'


def test_the_present_folder_and_the_one_above_are_paths(share: Path) -> None:
    assert find_bundle('.').resolve() == share.parent / 'here'
    assert find_bundle('..').resolve() == share.parent


@pytest.mark.parametrize('name', ['', 'absent', './absent'])
def test_names_those_that_ship(share: Path, name: str) -> None:
    with pytest.raises(BundleError, match='Shipped are: shipped'):
        find_bundle(name)

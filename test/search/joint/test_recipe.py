# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a training file to a bundle with exits, all of it small."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.joint.recipe import search_joint_bundle
from dynamic_dnn_ros.search.joint.settings import JointSettings
from dynamic_dnn_ros.search.joint.stage_meter import StageMeter
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.serving.path import follow
from support.search import SETTINGS, make_search

SMALL = SearchSettings.from_mapping(SETTINGS)
JOINT = JointSettings(
    population=4,
    generations=1,
    survivors=0.3,
    inner_population=10,
    inner_generations=3,
    places=2,
    head_epochs=1,
    head_pictures=48,
    sub_networks=3,
    # So few pictures promise little.
    at_most_below=(0.2, 0.5),
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('joint')


@pytest.fixture(scope='module')
def configuration(folder):
    return make_search(folder)


@pytest.fixture(scope='module')
def found(folder, configuration):
    return search_joint_bundle(
        configuration, SMALL, JOINT, folder / 'found', 1, oracle=True, command='them', quiet=True
    )


def test_the_bundle_serves_its_designs(found):
    bundle = read_bundle(found.bundle.folder)
    entries = bundle.manifest.sub_networks
    assert [entry.id for entry in entries] == [each.identifier for each in found.kept]
    assert any(entry.stages for entry in entries)
    engine = create_engine('torch', bundle, 1)
    task = bundle.manifest.make_task()
    for entry, kept in zip(entries, found.kept):
        assert [s.threshold for s in entry.stages[:-1]] == list(kept.design.mixture.thresholds)
        path = follow(engine.prepare(entry, 'cpu'), np.full((*entry.size, 3), 90, np.uint8), task)
        assert path.stage in {stage.name for stage in entry.stages} or not entry.stages


def test_the_clocks_are_in_the_profile_and_on_the_card(found):
    (profile,) = found.bundle.profiles
    assert profile.platform == JOINT.platform
    card = found.bundle.other_files['MODEL_CARD.md'].decode()
    for each in found.kept:
        clock = f'gpu {each.design.setting["gpu"] / 1e6:.0f} MHz'
        assert f'{each.identifier} ' in profile.description
        assert clock in profile.description
        assert clock in card
    # The manager may still choose any: all settings are there.
    assert len(profile) % len(found.kept) == 0
    assert len(np.unique(profile.frequencies, axis=0)) > 100


def test_an_oracle_is_more_accurate_and_never_written(found):
    best = [max(e.accuracy for e in some.front()) for some in (found.searched, found.oracle)]
    assert best[1] >= best[0]
    assert all(each.design.mixture.thresholds for each in found.kept if each.design.mixture.exits)


def test_it_goes_on_where_it_was_ended(folder, configuration, found, monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError('measured twice')

    monkeypatch.setattr(StageMeter, 'seconds', fail)
    again = search_joint_bundle(configuration, SMALL, JOINT, folder / 'again', 1, quiet=True)
    assert [each.design.spent for each in again.kept] == [each.design.spent for each in found.kept]


def test_what_cannot_be_searched_is_said(folder, configuration):
    other = dataclasses.replace(configuration, output=folder / 'nowhere')
    with pytest.raises(SearchError, match='does not exist'):
        search_joint_bundle(other, SMALL, JOINT, folder / 'out', 1, quiet=True)
    with pytest.raises(BundleError):
        search_joint_bundle(configuration, SMALL, JOINT, folder / 'train', 1, quiet=True)

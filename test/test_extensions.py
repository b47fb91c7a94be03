# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What other packages offer by entry points."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import pytest

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.registry import ENTRY_POINTS as FAMILIES
from dynamic_dnn_ros.networks.registry import FAMILY_NAMES, family_class, family_names
from dynamic_dnn_ros.serving.tracking import ENTRY_POINTS as TRACKERS
from dynamic_dnn_ros.serving.tracking import TrackingError, create_tracker, tracker_names
from dynamic_dnn_ros.training.tasks.registry import ENTRY_POINTS as TRAININGS
from dynamic_dnn_ros.training.tasks.registry import training_task

GROUP = 'dynamic_dnn_ros.toys'
TOYS = Extensions(GROUP, 'toy', ('ball',), dict)

Offer = Callable[..., None]


def test_nothing_is_loaded_before_it_is_asked_for(offer: Offer) -> None:
    offer(GROUP, 'raise RuntimeError("was loaded")', kite='HERE:Kite', doll='HERE:Doll')
    assert TOYS.names() == ('doll', 'kite')
    assert TOYS.version('kite') == 'offers_site_0 1.0'
    assert TOYS.find('puzzle') is None and TOYS.version('puzzle') == ''
    with pytest.raises(ExtensionError, match='RuntimeError: was loaded'):
        TOYS.find('kite')


def test_what_is_of_no_use_is_named_once_and_left_out(
    offer: Offer, caplog: pytest.LogCaptureFixture
) -> None:
    offer(
        GROUP,
        'Kite = 3',
        doll='collections:OrderedDict',
        kite='HERE:Kite',
        gone='no_such_package:Toy',
        torn='HERE Kite',
    )
    for _ in range(2):
        assert dict(TOYS.working()) == {'doll': OrderedDict}
    said = sorted(record.message for record in caplog.records)
    assert [text.split(',')[0] for text in said] == ["toy 'gone'", "toy 'kite'", "toy 'torn'"]
    assert 'is no subclass of builtins.dict' in said[1]
    assert all('of package offers_site_0' in text and 'left out' in text for text in said)


def test_a_name_of_ours_stays_ours(offer: Offer, caplog: pytest.LogCaptureFixture) -> None:
    offer(GROUP, ball='collections:OrderedDict')
    assert TOYS.names() == () and TOYS.find('ball') is None
    assert "toy 'ball', collections:OrderedDict of package offers_site_0, has the name of one" in (
        caplog.text
    )


def test_a_name_that_two_packages_offer(offer: Offer, caplog: pytest.LogCaptureFixture) -> None:
    offer(GROUP, 'class Kite(dict): pass', kite='HERE:Kite')
    offer(GROUP, kite='collections:OrderedDict')
    assert TOYS.find('kite') is OrderedDict
    assert "toy 'kite' is offered twice. collections:OrderedDict of package offers_site_1" in (
        caplog.text
    )


def test_families(offer: Offer) -> None:
    module = 'dynamic_dnn_ros.networks.incremental_group'
    offer(FAMILIES, theirs=f'{module}:IncrementalGroup', gone='nowhere:Family')
    assert family_names() == (*FAMILY_NAMES, 'gone', 'theirs')
    assert family_class('theirs').family == 'incremental_group'
    with pytest.raises(ConfigurationError, match="'gone', nowhere:Family of .* cannot be loaded"):
        family_class('gone')
    with pytest.raises(ConfigurationError, match='one of adaptive_resnet, .*, gone, theirs'):
        family_class('absent')


def test_trainings_of_tasks(offer: Offer) -> None:
    module = 'dynamic_dnn_ros.training.tasks.classification'
    offer(TRAININGS, depth=f'{module}:ClassificationTraining', gone='json:dumps')
    assert training_task('depth').name == 'classification'
    with pytest.raises(ConfigurationError, match="'gone', json:dumps of .* is no subclass"):
        training_task('gone')
    with pytest.raises(ConfigurationError, match='can be trained: classification, detection, dep'):
        training_task('pose')


def test_trackers(offer: Offer) -> None:
    offer(TRACKERS, 'def make(score):\n    return score', theirs='HERE:make', gone='nowhere:make')
    assert tracker_names() == ('bytetrack', 'gone', 'theirs')
    assert create_tracker('theirs', 0.25) == 0.25
    with pytest.raises(TrackingError, match="'gone', nowhere:make of .* cannot be loaded"):
        create_tracker('gone', 0.5)
    with pytest.raises(TrackingError, match="'sort' is unknown. Known are: bytetrack, gone"):
        create_tracker('sort', 0.5)

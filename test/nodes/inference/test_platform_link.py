# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How an application finds the operating points of the platform that it runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import time
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Outputs
from dynamic_dnn_ros.msg import FrequencyDomain, NamedValue, SystemLoad
from dynamic_dnn_ros.nodes.common.lifecycle import NodeError
from dynamic_dnn_ros.nodes.inference import platform_link
from dynamic_dnn_ros.nodes.inference.platform_link import PlatformLink
from dynamic_dnn_ros.platforms import load_source
from dynamic_dnn_ros.serving.pacing import BoardState
from support import gated_engine
from support.gated_engine import GatedEngine, GatedSubNetwork
from support.graph import Graph
from support.serving import serve, serving_node

TIMEOUT = 30.0
XAVIER, ORIN = 'xavier_nx_simulated', 'orin_nx_simulated'


class Link:
    """A link, and how often it told of new points and of another pace."""

    def __init__(
        self, graph: Graph, bundle: Bundle, prepares: bool = True, **parameters: Any
    ) -> None:
        self.engine = GatedEngine()
        if prepares:
            self.engine.open_gates()
        self.served = serve(bundle, self.engine)
        self.points: list[str] = []
        self.paces: list[str] = []
        self.link = PlatformLink(
            serving_node(graph, **parameters),
            self.served,
            lambda: self.points.append(self.link.points.platform if self.link.points else ''),
            lambda: self.paces.append(self.link.processor if self.link.simulated else ''),
        )

    def close(self) -> None:
        """End its threads."""
        self.engine.open_gates()
        self.link.end()
        self.served.exchange.close()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.fixture
def make_link(graph: Graph, bundle: Bundle) -> Iterator[Callable[..., Link]]:
    links: list[Link] = []

    def make(**parameters: Any) -> Link:
        links.append(Link(graph, bundle, **parameters))
        return links[-1]

    yield make
    for link in links:
        link.close()


def test_sub_networks_are_measured_where_no_platform_comes(
    make_link: Callable[..., Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = make_link(platform='auto')
    link.link.begin()
    link.link.tick()
    assert link.link.points is None, 'the platform is waited for'
    monkeypatch.setattr(platform_link, 'PLATFORM_TIMEOUT', 0.0)
    link.link.begin()
    time.sleep(0.01)
    link.link.tick()
    link.wait_for(lambda: link.points == [''])
    points = link.link.points
    assert points is not None and points.sub_networks == ('s0', 's1', 's2')
    assert points.domains == ()


def test_a_platform_that_comes_for_a_moment_changes_nothing(
    make_link: Callable[..., Link],
) -> None:
    link = make_link(platform='auto')
    for platform in (XAVIER, 'linux', ORIN, XAVIER):
        simulated = platform != 'linux'
        kind = SystemLoad.KIND_SIMULATED if simulated else SystemLoad.KIND_MEASURED
        link.link.receive(SystemLoad(platform=platform, kind=kind))
    assert link.link.platform == XAVIER
    assert link.points == [XAVIER] and link.paces == ['gpu']
    assert 'gpu' in link.link.processors


def test_another_platform_takes_the_place_of_the_first(
    make_link: Callable[..., Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_source, 'LEAST_STALE', 0.0)
    link = make_link(platform='auto')
    link.link.begin()
    for platform in (XAVIER, XAVIER, ORIN):
        link.link.receive(SystemLoad(platform=platform, kind=SystemLoad.KIND_SIMULATED))
    assert link.points == [XAVIER, ORIN]
    assert link.paces == ['gpu', 'gpu']
    assert 'gpu' in link.link.processors
    link.link.receive(SystemLoad(platform='linux', kind=SystemLoad.KIND_MEASURED))
    assert link.paces[-1] == '' and not link.link.simulated
    link.wait_for(lambda: link.points[-1] == 'linux')
    assert link.link.processors == ('cpu',)


def test_ends_a_measurement_that_runs(
    make_link: Callable[..., Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(self: GatedSubNetwork, picture: np.ndarray) -> Outputs:
        time.sleep(0.05)
        return {'logits': np.zeros((1, self.classes), np.float32)}

    monkeypatch.setattr(GatedSubNetwork, 'run', slowly)
    link = make_link(platform='none')
    link.link.begin()
    begun = time.monotonic()
    link.link.end()
    assert time.monotonic() - begun < 20 * 0.05, 'less than one sub-network takes'
    assert link.points == [] and link.link.points is None


def test_frames_do_not_wait_for_a_measurement_that_nobody_wants_any_more(
    make_link: Callable[..., Link], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor learns of a platform while a sub-network is prepared to be measured."""
    monkeypatch.setattr(load_source, 'LEAST_STALE', 0.0)
    link = make_link(platform='auto', prepares=False)
    link.link.receive(SystemLoad(platform='linux', kind=SystemLoad.KIND_MEASURED))
    link.wait_for(lambda: 's1' in link.engine.attempts)
    for platform, kind in (
        (XAVIER, SystemLoad.KIND_SIMULATED),
        ('other', SystemLoad.KIND_MEASURED),
    ):
        begun = time.monotonic()
        link.link.receive(SystemLoad(platform=platform, kind=kind))
        assert time.monotonic() - begun < gated_engine.TIMEOUT / 2
    assert link.points == [XAVIER] and link.link.points is None
    link.engine.open_gates()
    link.wait_for(lambda: len(link.points) > 1)
    assert link.points == [XAVIER, 'other']


def test_an_engine_that_fails_while_it_is_measured_is_said(
    make_link: Callable[..., Link],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(self: GatedSubNetwork, picture: np.ndarray) -> Outputs:
        raise NameError('an error of a library')

    monkeypatch.setattr(GatedSubNetwork, 'run', fail)
    link = make_link(platform='none')
    link.link.begin()
    said = ''
    end = time.monotonic() + TIMEOUT
    while 'Latencies could not be measured: NameError' not in said:
        assert time.monotonic() < end, said
        said += ''.join(capfd.readouterr())
        time.sleep(0.05)
    assert link.points == []


@pytest.mark.parametrize(
    ('platform', 'processor', 'first'),
    [('none', '', 'cpu'), ('none', 'cpu', 'cpu'), (XAVIER, 'gpu', 'gpu'), ('none', 'gpu', None)],
)
def test_first_processor(
    make_link: Callable[..., Link], platform: str, processor: str, first: str | None
) -> None:
    link = make_link(platform=platform, processor=processor)
    if first is None:
        with pytest.raises(NodeError, match='Set it to one of: cpu, or leave it empty'):
            link.link.choose_processor()
    else:
        assert link.link.choose_processor() == first


def test_each_stream_is_slowed_down_as_the_platform_says(make_link: Callable[..., Link]) -> None:
    link = make_link(platform='auto').link
    assert link.pacing('/node/front', 'gpu') is None
    load = SystemLoad(platform=XAVIER, kind=SystemLoad.KIND_SIMULATED)
    load.domains = [FrequencyDomain(name='gpu', granted=5e8)]
    load.slow_downs = [NamedValue(name='/node/front', value=1.5)]
    link.receive(load)
    paced = [link.pacing(f'/node/{name}', 'gpu') for name in ('front', 'rear')]
    pacers = [pacing[0] for pacing in paced if pacing is not None]
    assert [pacer._state for pacer in pacers] == [
        BoardState({'gpu': 5e8}, 1.5),
        BoardState({'gpu': 5e8}, 1.0),
    ]
    load.slow_downs[0].value = 2.0
    link.receive(load)
    state = pacers[0]._state
    assert state is not None and state.slow_down == 2.0

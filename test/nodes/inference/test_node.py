# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
import math
from pathlib import Path
import sys
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    FrequencyDomain,
    InferenceStatus,
    NamedValue,
    PerformanceTarget,
    SubNetworkSwitch,
    SystemLoad,
)
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, RawPicture, fitted
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.profiling.simulated import network_cost, simulated_profile
from dynamic_dnn_ros.serving.pacing import BoardState
from dynamic_dnn_ros.tasks.classification import softmax
from support.applications import operating_points
from support.bundles import make_bundle
from support.cascades import cascade, with_cascades
from support.engines import logits
from support.gated_engine import GatedEngine, GatedSubNetwork
from support.graph import ALL_LATCHED, LATCHED, Collector, Graph
from support.images import compressed_message, image_message, jpeg, noise, stamp_of

ID = '/inference_node'
PLATFORM = 'xavier_nx_simulated'


@dataclass
class Served:
    """An inference node in the test's process, and everything that it publishes."""

    node: InferenceNode
    graph: Graph
    results: Collector | None
    statuses: Collector
    applications: Collector
    images: Any
    switches: Any

    def send(self, message: Image | CompressedImage) -> None:
        self.graph.wait_for_subscriptions(self.images)
        self.images.publish(message)

    def serve(self, message: Image | CompressedImage) -> Classification:
        """Send an image and return its result."""
        self.results.clear()
        self.send(message)
        return self.results.wait_for(lambda result: result.header == message.header)

    def switch(self, **fields: Any) -> InferenceStatus:
        """Send a switch and return its answer."""
        message = SubNetworkSwitch(
            **{'application': ID, 'manager': 'test', 'sequence': 1, **fields}
        )
        self.graph.wait_for_subscriptions(self.switches)
        self.statuses.clear()
        self.switches.publish(message)
        return self.statuses.wait_for(lambda s: s.event == InferenceStatus.EVENT_SWITCH)

    def served_status(self) -> InferenceStatus:
        return self.statuses.wait_for(lambda s: s.event == InferenceStatus.EVENT_SERVED)


Start = Callable[..., Served]


@dataclass
class Said:
    """
    What the nodes of the test's process log.

    Not by /rosout: rcl has one publisher there for all nodes of a name, and that of an earlier
    test's node may be in another domain.
    """

    graph: Graph
    captured: pytest.CaptureFixture[str]
    lines: list[str] = field(default_factory=list)

    def wait_for(self, text: str) -> str:
        """Return the first line with a text."""

        def search() -> str | None:
            self.lines += self.captured.readouterr().err.splitlines()
            return next((line for line in self.lines if text in line), None)

        line = self.graph.spin_until(search, what=f'{text!r} in what is logged')
        assert line is not None
        return line


@pytest.fixture
def said(graph: Graph, capfd: pytest.CaptureFixture[str]) -> Said:
    return Said(graph, capfd)


@pytest.fixture
def start(graph: Graph, bundle: Bundle) -> Iterator[Start]:
    nodes: list[InferenceNode] = []

    def make(
        expect_active: bool = True, collect_results: bool = True, **parameters: Any
    ) -> Served:
        values = {'bundle': str(bundle.folder), 'platform': 'none', 'results': 10, **parameters}
        compressed = values.get('image_transport') == 'compressed'
        image_type = CompressedImage if compressed else Image
        application = Served(
            node=InferenceNode(
                context=graph.context,
                parameter_overrides=[Parameter(n, value=v) for n, v in values.items()],
            ),
            graph=graph,
            results=(
                graph.collect(Classification, f'{ID}/classification') if collect_results else None
            ),
            statuses=graph.collect(InferenceStatus, '/dynamic_dnn/inference_status'),
            applications=graph.collect(Application, '/dynamic_dnn/application', ALL_LATCHED),
            images=graph.publisher(image_type, '/image/compressed' if compressed else '/image'),
            switches=graph.publisher(SubNetworkSwitch, f'{ID}/sub_network_switch', LATCHED),
        )
        nodes.append(application.node)
        graph.add_node(application.node)
        application.node.start()
        assert application.node.active == expect_active, application.node.problem
        return application

    yield make
    for node in nodes:
        node.stop()
        graph.remove_node(node)
        node.destroy_node()


def expected(
    bundle: Bundle, identifier: str, message: Image | CompressedImage
) -> dict[str, float]:
    """Return the probabilities that a sub-network gives, computed without any node."""
    manifest = bundle.manifest
    entry = manifest.sub_network(identifier)
    picture = (
        CompressedPicture(message.data)
        if isinstance(message, CompressedImage)
        else RawPicture(
            message.encoding, message.width, message.height, message.step, message.data
        )
    )
    pixels, _ = fitted(picture, entry.size, manifest.preprocessing)
    prepared = create_engine('torch', bundle, 1).prepare(entry, 'cpu')
    return dict(zip(manifest.labels, softmax(logits(prepared, pixels))))


def assert_result(bundle: Bundle, result: Classification, message: Any) -> None:
    probabilities = expected(bundle, result.sub_network, message)
    assert len(result.results) == 10
    scores = [row.score for row in result.results]
    assert scores == sorted(scores, reverse=True)
    for row in result.results:
        assert row.score == pytest.approx(probabilities[row.class_id], abs=1e-4)


# Frames


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8'])
def test_serves_every_encoding_with_the_images_own_header(
    start: Start, bundle: Bundle, encoding: str
) -> None:
    application = start()
    message = image_message(noise(40, 30, 1), encoding=encoding, padding=3, frame_id='front')
    message.header.stamp = stamp_of(123_456_789)
    result = application.serve(message)
    assert result.header.frame_id == 'front'
    assert result.header.stamp == message.header.stamp
    assert (result.application, result.sub_network, result.processor) == (ID, 's2', 'cpu')
    assert_result(bundle, result, message)


def test_serves_compressed_images(start: Start, bundle: Bundle) -> None:
    application = start(image_transport='compressed')
    message = compressed_message(jpeg(noise(40, 30, 2)))
    assert_result(bundle, application.serve(message), message)


def test_latency_is_told_by_stage(start: Start) -> None:
    application = start()
    message = image_message(noise(40, 30, 3))
    message.header.stamp = application.node.get_clock().now().to_msg()
    application.serve(message)
    status = application.served_status()
    stages = {row.name: row.value for row in status.stages}
    parts = sum(stages[name] for name in ('waiting', 'preprocessing', 'inference'))
    assert 0 < parts <= stages['total']
    assert 0 <= stages['transport'] <= status.age
    assert status.image_stamp == message.header.stamp
    assert {row.name for row in status.busy} == {'cpu'}


def test_first_frame_is_said_once(start: Start, said: Said) -> None:
    served = start()
    for index in range(3):
        served.serve(image_message(noise(64, 48, index), nanoseconds=index + 1))
    line = said.wait_for('The first frame is served by s')
    assert ' on cpu, ' in line and 'ms after it arrived' in line
    assert sum('first frame' in line for line in said.lines) == 1


def test_a_frame_leaves_a_cascade_early_and_says_so(
    start: Start, bundle: Bundle, tmp_path: Path
) -> None:
    manifest = with_cascades(
        bundle, cascade(bundle, 0.0, name='easy'), cascade(bundle, 1.0, name='hard')
    ).manifest
    written = write_bundle(tmp_path / 'cascading', manifest, bundle.source_content)
    application = start(bundle=str(written.folder), sub_network='easy')
    *_, easy, _ = application.applications.wait(1)[0].sub_networks
    assert (easy.id, easy.stage_names) == ('easy', ['first', 'last'])
    assert 0 < easy.stage_work[0] < easy.stage_work[1] == 1.0
    for sequence, (sub_network, stage, answers) in enumerate(
        (('hard', 'last', 's2'), ('easy', 'first', 's1')), 1
    ):
        application.switch(sub_network=sub_network, sequence=sequence)
        message = image_message(noise(40, 30, sequence))
        result = application.serve(message)
        status = application.served_status()
        assert (status.sub_network, status.exit_stage) == (sub_network, stage)
        # Of the manifest, until the sub-networks are measured.
        assert (0 < status.work < 1) == (stage == 'first') and status.work <= 1
        assert result.sub_network == sub_network
        result.sub_network = answers
        assert_result(bundle, result, message)


def test_age_is_unknown_where_the_time_base_is_another(start: Start) -> None:
    application = start()
    message = image_message(noise(40, 30, 3))
    message.header.stamp = stamp_of(1)
    application.serve(message)
    status = application.served_status()
    assert math.isnan(status.age)
    assert math.isnan({row.name: row.value for row in status.stages}['transport'])


def test_every_frame_is_counted(start: Start, graph: Graph) -> None:
    application = start()
    for index in range(30):
        application.send(image_message(noise(64, 48, index)))
        graph.spin_for(0.002)

    def all_counted() -> bool:
        last = application.statuses.last
        return last is not None and (
            last.received == last.served + last.replaced + last.rejected > 0
        )

    graph.spin_until(all_counted, timeout=10.0)
    # Results and statuses are two topics: the last of one may come before that of the other.
    graph.spin_until(lambda: application.statuses.last.served == len(application.results))


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        (lambda m: setattr(m, 'data', m.data[:-1]), 'height x step'),
        (lambda m: setattr(m, 'height', 0), 'no pixels'),
        (lambda m: setattr(m, 'step', 1), 'step 1 bytes'),
        (lambda m: setattr(m, 'encoding', 'jumble'), "'jumble': the encoding is not read"),
        (lambda m: setattr(m, 'encoding', '16UC1'), "Set parameter 'picture_range'"),
    ],
)
def test_bad_image_costs_that_image(
    start: Start, change: Callable[[Image], None], named: str
) -> None:
    application = start()
    bad = image_message(noise(40, 30, 4), frame_id='bad')
    change(bad)
    application.send(bad)
    status = application.statuses.wait_for(lambda s: s.event == InferenceStatus.EVENT_REJECTED)
    assert named in status.message
    assert (status.header.frame_id, status.rejected, status.served) == ('bad', 1, 0)
    application.serve(image_message(noise(40, 30, 5)))
    assert application.served_status().served == 1


def test_a_series_of_bad_images_is_said_once_and_counted(
    start: Start, graph: Graph, said: Said
) -> None:
    application = start()
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    bad = image_message(noise(40, 30, 4), encoding='rgb8')
    bad.encoding = '16UC1'
    for _ in range(50):
        application.send(bad)
        graph.spin_for(0.005)
    application.statuses.wait_for(lambda s: s.rejected == 50)

    def counted(message: DiagnosticArray) -> bool:
        return any('50 frames were rejected' in part.message for part in message.status)

    diagnostics.wait_for(counted)
    application.node.trigger_deactivate()
    assert '16UC1' in said.wait_for('50 frames of /image were rejected')
    assert sum('A frame of /image is rejected' in line for line in said.lines) == 1


@pytest.mark.parametrize('data', [b'', b'no picture at all', jpeg(noise(40, 30, 1))[:-60]])
def test_undecodable_picture_costs_that_picture(start: Start, data: bytes) -> None:
    application = start(image_transport='compressed')
    application.send(compressed_message(data))
    status = application.statuses.wait_for(lambda s: s.event == InferenceStatus.EVENT_REJECTED)
    assert 'Check the camera driver' in status.message or 'publish JPEG' in status.message
    application.serve(compressed_message(jpeg(noise(40, 30, 5))))


def test_camera_that_changes_its_picture_while_running(start: Start, bundle: Bundle) -> None:
    application = start()
    for width, height, encoding in ((40, 30, 'rgb8'), (64, 48, 'bgr8'), (33, 31, 'mono8')):
        message = image_message(noise(width, height, width), encoding=encoding)
        assert_result(bundle, application.serve(message), message)


def test_subscribes_only_while_somebody_wants_results(graph: Graph, start: Start) -> None:
    application = start(lazy=True, collect_results=False)
    graph.spin_for(1.0)
    assert application.images.get_subscription_count() == 0
    topic = f'{ID}/classification'
    wanting = graph.node.create_subscription(Classification, topic, lambda _: None, 5)
    graph.spin_until(lambda: application.images.get_subscription_count() == 1, timeout=5.0)
    graph.node.destroy_subscription(wanting)
    graph.spin_until(lambda: application.images.get_subscription_count() == 0, timeout=5.0)


# Switches


def test_switch_is_acknowledged_and_takes_effect_on_the_next_frame(
    start: Start, bundle: Bundle
) -> None:
    application = start()
    for sequence, identifier in enumerate(('s0', 's1', 's2', 's0'), start=1):
        status = application.switch(sub_network=identifier, sequence=sequence)
        assert status.switch_result == InferenceStatus.SWITCH_APPLIED
        assert (status.switch_manager, status.switch_sequence) == ('test', sequence)
        assert status.sub_network == identifier
        message = image_message(noise(40, 30, sequence))
        result = application.serve(message)
        assert result.sub_network == identifier
        assert_result(bundle, result, message)


def test_target_in_force_is_echoed(start: Start) -> None:
    application = start()
    target = PerformanceTarget(application=ID, latency=0.02, priority=3)
    application.switch(sub_network='s1', target=target)
    echoed = application.applications.wait_for(lambda a: a.switch_sequence == 1)
    assert echoed.target == target
    assert (echoed.switch_manager, echoed.sub_network) == ('test', 's1')


@pytest.mark.parametrize(
    ('fields', 'result', 'named'),
    [
        (
            {'sub_network': 's9'},
            InferenceStatus.SWITCH_REFUSED_SUB_NETWORK,
            "no sub-network 's9'.*It has: s0, s1, s2",
        ),
        (
            {'sub_network': 's0', 'application': '/rear/inference_node'},
            InferenceStatus.SWITCH_REFUSED_APPLICATION,
            "for '/rear/inference_node' arrived at '/inference_node'",
        ),
        (
            {'sub_network': 's0', 'processor': 'dla0'},
            InferenceStatus.SWITCH_REFUSED_PROCESSOR,
            "'dla0' is not here. Name one of: cpu",
        ),
    ],
)
def test_bad_switch_is_refused_by_name_and_changes_nothing(
    start: Start, fields: dict[str, Any], result: int, named: str
) -> None:
    application = start()
    status = application.switch(**fields)
    assert status.switch_result == result
    assert status.sub_network == 's2'
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(status.message)
    assert application.serve(image_message(noise(40, 30, 1))).sub_network == 's2'


def test_old_switch_is_refused_and_a_repeated_one_answered_again(
    start: Start, graph: Graph
) -> None:
    application = start()
    application.switch(sub_network='s1', sequence=5)
    old = application.switch(sub_network='s0', sequence=4)
    assert old.switch_result == InferenceStatus.SWITCH_REFUSED_SEQUENCE
    repeated = application.switch(sub_network='s1', sequence=5)
    assert repeated.switch_result == InferenceStatus.SWITCH_APPLIED
    assert repeated.sub_network == 's1'
    # A manager that was started anew counts from 1 again; by hand nobody counts.
    assert application.switch(sub_network='s0', manager='new').sub_network == 's0'
    application.switches = graph.publisher(SubNetworkSwitch, f'{ID}/switch_by_hand')
    for identifier in ('s2', 's1'):
        status = application.switch(sub_network=identifier, manager='', sequence=0)
        assert status.sub_network == identifier


# The application presents itself


def test_presents_its_bundle_and_measures_it_where_there_is_no_profile(
    start: Start, bundle: Bundle
) -> None:
    application = start()
    message = application.applications.wait_for(lambda a: len(a.operating_points.power) > 0)
    assert (message.id, message.bundle, message.family) == (ID, 'synthetic', 'ofa_mobilenet_v3')
    assert message.bundle_sha256 == bundle.sha256
    assert [row.id for row in message.sub_networks] == ['s0', 's1', 's2']
    points = message.operating_points
    assert points.kind == points.KIND_MEASURED
    assert list(points.sub_network) == [0, 1, 2]
    assert all(0 < p50 <= p99 for p50, p99 in zip(points.latency_p50, points.latency_p99))


def test_takes_leave(start: Start) -> None:
    application = start()
    application.applications.wait_for(lambda a: a.state == Application.STATE_ACTIVE)
    application.node.stop()
    application.applications.wait_for(lambda a: a.state == Application.STATE_DEPARTED)


def test_what_somebody_else_says_in_its_name_is_corrected(start: Start, graph: Graph) -> None:
    application = start()
    own = application.applications.wait_for(lambda a: a.state == Application.STATE_ACTIVE)
    forger = graph.publisher(Application, '/dynamic_dnn/application', LATCHED)
    graph.wait_for_subscriptions(forger, 2)
    forger.publish(Application(id=ID, instance=own.instance, state=Application.STATE_DEPARTED))
    application.applications.wait_for(lambda a: a.state == Application.STATE_DEPARTED)
    application.applications.clear()
    again = application.applications.wait_for(lambda a: a.instance == own.instance)
    assert again.state == Application.STATE_ACTIVE and len(again.sub_networks) == 3


def test_serves_again_after_it_was_deactivated(start: Start, graph: Graph) -> None:
    application = start()
    application.serve(image_message(noise(40, 30, 1)))
    assert application.served_status().served == 1
    application.node.trigger_deactivate()
    application.node.trigger_activate()
    application.statuses.clear()
    application.serve(image_message(noise(40, 30, 2)))
    assert application.served_status().served == 1


def test_second_node_of_one_name_is_refused(start: Start, graph: Graph) -> None:
    first = start()
    second = start()
    graph.spin_until(lambda: not second.node.configured, timeout=10.0)
    assert first.node.active
    assert f'{ID!r} serves already' in second.node.problem
    assert 'another name or namespace' in second.node.problem


def test_sub_network_that_the_bundle_lacks_is_refused_at_once(start: Start, graph: Graph) -> None:
    served = start()
    taken, reason = graph.set_parameter(ID, 'sub_network', 's99')
    assert not taken
    assert "has no sub-network 's99'. It has: s0, s1" in reason
    taken, reason = graph.set_parameter(ID, 'sub_network', 's0')
    assert not taken and 'at the next configure' in reason
    served.node.stop()
    assert not graph.set_parameter(ID, 'sub_network', 's99')[0]
    assert graph.set_parameter(ID, 'sub_network', 's0') == (True, '')
    served.node.start()
    assert served.node.get_parameter('sub_network').value == 's0'
    served.applications.wait_for(lambda one: one.sub_network == 's0')


def test_heartbeat(start: Start) -> None:
    application = start()
    status = application.statuses.wait_for(lambda s: s.event == InferenceStatus.EVENT_HEARTBEAT)
    assert status.worker == InferenceStatus.WORKER_IDLE
    assert not status.stages


# What is wrong at start


@pytest.mark.parametrize(
    ('parameters', 'named'),
    [
        ({'bundle': 'no_such_bundle'}, "bundle 'no_such_bundle'.*Shipped are"),
        ({'bundle': '/proc'}, r'manifest\.json: is missing'),
        ({'sub_network': 's9'}, "no sub-network 's9'"),
        ({'processor': 'dla0'}, "'processor' is 'dla0'.*Set it to one of: cpu"),
        ({'engine': 'steam'}, "'engine' is 'steam', not one of: '', auto, torch"),
        ({'threads': 0}, "'threads' is 0, outside 1 to 256"),
        ({'results': 'all'}, "'results' is 'all', not an integer"),
    ],
)
def test_what_is_wrong_at_start_is_said_and_may_be_mended(
    start: Start, graph: Graph, bundle: Bundle, parameters: dict[str, Any], named: str
) -> None:
    application = start(expect_active=False, **parameters)
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    problem = diagnostics.wait_for(
        lambda m: any(s.name == 'inference_node: state' and s.message for s in m.status)
    )
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(problem.status[0].message)
    good = {'bundle': str(bundle.folder), 'sub_network': '', 'processor': '', 'engine': 'torch'}
    good.update(threads=1, results=10)
    node = application.node
    node.set_parameters([Parameter(name, value=good[name]) for name in parameters])
    node.start()
    application.serve(image_message(noise(40, 30, 1)))


# On a simulated platform


def load(frequency: float, slow_down: float = 1.0) -> SystemLoad:
    message = SystemLoad(platform=PLATFORM, kind=SystemLoad.KIND_SIMULATED, period=0.1)
    for name, granted in (('cpu', 1.4208e9), ('gpu', frequency), ('memory', 1.6e9)):
        message.domains.append(FrequencyDomain(name=name, granted=granted))
    message.slow_downs = [NamedValue(name=ID, value=slow_down)]
    return message


def tell(application: Served, loads: Any, message: SystemLoad) -> None:
    """Publish what the platform says of itself, and wait until the node has taken it."""
    link = application.node._platform
    assert link is not None
    loads.publish(message)
    application.graph.spin_until(lambda: link.platform == message.platform)
    pacing = link.pacing(ID, 'gpu')
    if pacing is None:
        return
    pacer, _ = pacing
    frequencies = {row.name: row.granted for row in message.domains}
    state = BoardState(frequencies, message.slow_downs[0].value)
    application.graph.spin_until(lambda: pacer._state == state)


@pytest.mark.parametrize('platform', ['auto', PLATFORM])
def test_frames_last_as_long_as_on_the_simulated_board(
    start: Start, graph: Graph, bundle: Bundle, platform: str
) -> None:
    application = start(platform=platform)
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    board = load_board(PLATFORM)
    cost = network_cost(bundle.manifest.sub_network('s2'))
    for frequency, slow_down in ((1.10925e9, 1.0), (1.1475e8, 1.0), (1.10925e9, 3.0)):
        tell(application, loads, load(frequency, slow_down))
        frequencies = {'cpu': 1.4208e9, 'gpu': frequency, 'memory': 1.6e9}
        board_latency = board.latency(cost, 'gpu', frequencies) * slow_down
        # Where this machine is busy with other things, some frames are flagged: take another.
        for seed in range(50):
            application.statuses.clear()
            result = application.serve(image_message(noise(40, 30, seed)))
            status = application.served_status()
            if not status.overrun:
                break
        stages = {row.name: row.value for row in status.stages}
        assert status.simulated and not status.overrun
        assert result.processor == 'gpu'
        # Jitter of the board and of this machine's scheduler.
        work = stages['preprocessing'] + stages['inference']
        assert work == pytest.approx(board_latency, rel=0.35)
    assert {'cpu', 'gpu'} <= {row.name for row in status.busy}


def test_stages_take_their_share_of_the_simulated_board(
    start: Start, graph: Graph, bundle: Bundle, tmp_path: Path
) -> None:
    manifest = with_cascades(bundle, cascade(bundle, 0.0)).manifest
    written = write_bundle(tmp_path / 'cascading', manifest, bundle.source_content)
    application = start(bundle=str(written.folder), sub_network='c0', platform='auto')
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    message = load(1.1475e8)
    tell(application, loads, message)
    presented = application.applications.wait_for(
        lambda a: a.operating_points.platform == PLATFORM
    )
    profile = simulated_profile(load_board(PLATFORM), PLATFORM, manifest.sub_networks)
    first, last = (
        profile.latency_mean[profile.sub_network == profile.sub_networks.index(name)].mean()
        for name in ('s1', 's2')
    )
    expected = first / (first + last)
    told = presented.sub_networks[-1]
    np.testing.assert_allclose(told.stage_work, [expected, 1.0])
    assert list(told.stage_taken) == [0.6, 0.4]
    frequencies = {row.name: row.granted for row in message.domains}
    cost = network_cost(manifest.sub_network('c0'))
    whole = load_board(PLATFORM).latency(cost, 'gpu', frequencies)
    for seed in range(50):
        application.statuses.clear()
        application.serve(image_message(noise(40, 30, seed)))
        status = application.served_status()
        if not status.overrun:
            break
    stages = {row.name: row.value for row in status.stages}
    assert (status.exit_stage, status.work) == ('first', pytest.approx(expected))
    found = stages['preprocessing'] + stages['inference']
    assert found == pytest.approx(expected * whole, rel=0.35)


def test_profile_of_the_simulated_board_is_presented(
    start: Start, graph: Graph, bundle: Bundle
) -> None:
    application = start(platform='auto')
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    loads.publish(load(1.10925e9))
    points = application.applications.wait_for(
        lambda a: a.operating_points.platform == PLATFORM
    ).operating_points
    profile = simulated_profile(load_board(PLATFORM), PLATFORM, bundle.manifest.sub_networks)
    assert points.kind == points.KIND_SIMULATED
    np.testing.assert_allclose(points.latency_p95, profile.latency_p95)
    np.testing.assert_allclose(points.frequencies, profile.frequencies.ravel())


@pytest.mark.parametrize(
    ('hardware', 'used'), [(hardware_name(), True), ('', True), ('another computer', False)]
)
def test_profile_of_another_computer_is_not_used(
    start: Start, graph: Graph, tmp_path: Path, hardware: str, used: bool
) -> None:
    made_up = 123.0

    def profiles(manifest: Manifest) -> list[OperatingPoints]:
        table = operating_points((), {e.id: (made_up, 0.5) for e in manifest.sub_networks}, 'cpu')
        return [replace(table, platform='linux', hardware=hardware)]

    folder = make_bundle(tmp_path / 'profiled', profiles=profiles).folder
    application = start(bundle=str(folder), platform='auto')
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    loads.publish(SystemLoad(platform='linux', kind=SystemLoad.KIND_MEASURED, period=0.1))
    points = application.applications.wait_for(
        lambda a: a.operating_points.platform == 'linux'
    ).operating_points
    assert (points.latency_mean[0] == made_up) == used


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_accuracies_are_those_of_the_precision_that_serves(
    start: Start, graph: Graph, tmp_path: Path, precision: str
) -> None:
    def profiles(manifest: Manifest) -> list[OperatingPoints]:
        table = operating_points((), {e.id: (1.0, 0.5) for e in manifest.sub_networks}, 'cpu')
        accuracy = np.array([0.21, 0.22, 0.23])
        return [replace(table, engine='torch', precision='bfloat16', accuracy=accuracy)]

    folder = make_bundle(tmp_path / 'profiled', profiles=profiles).folder
    application = start(bundle=str(folder), precision=precision)
    (presented,) = application.applications.wait(1)[:1]
    accuracies = [row.accuracy for row in presented.sub_networks]
    assert accuracies == pytest.approx(
        [0.21, 0.22, 0.23] if precision == 'bfloat16' else [0.5, 0.6, 0.7]
    )


def test_profile_that_is_older_than_the_bundle_is_not_used(
    start: Start, graph: Graph, said: Said, tmp_path: Path
) -> None:
    made_up = 123.0

    def profiles(manifest: Manifest) -> list[OperatingPoints]:
        table = operating_points((), {e.id: (made_up, 0.5) for e in manifest.sub_networks}, 'cpu')
        return [replace(table, platform='linux', weights_sha256='0' * 64)]

    folder = make_bundle(tmp_path / 'profiled', profiles=profiles).folder
    application = start(bundle=str(folder), platform='auto')
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    loads.publish(SystemLoad(platform='linux', kind=SystemLoad.KIND_MEASURED, period=0.1))
    warning = said.wait_for('made with other weights')
    assert f'dynamic-dnn profile {folder} --platform linux --engine torch' in warning
    points = application.applications.wait_for(
        lambda a: a.operating_points.platform == 'linux'
    ).operating_points
    assert points.latency_mean[0] < made_up


def test_load_of_another_platform_is_left_alone(start: Start, graph: Graph) -> None:
    application = start(platform='orin_nx')
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    loads.publish(load(1.10925e9))
    graph.spin_for(0.3)
    application.serve(image_message(noise(40, 30, 1)))
    assert not application.served_status().simulated


def test_simulated_board_that_is_unknown_here_costs_only_the_pacing(
    start: Start, graph: Graph
) -> None:
    application = start(platform='auto')
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    unknown = load(1.10925e9)
    unknown.platform = 'moon_rover_simulated'
    tell(application, loads, unknown)
    application.serve(image_message(noise(40, 30, 1)))
    assert application.node.active
    assert not application.served_status().simulated


def test_frame_before_the_board_is_known_is_flagged(start: Start, graph: Graph) -> None:
    application = start(platform='auto')
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    tell(application, loads, load(1.10925e9, slow_down=1e-3))
    application.serve(image_message(noise(640, 480, 1)))
    status = application.served_status()
    assert status.simulated and status.overrun


def test_ends_in_order_while_it_still_measures(start_node: Any, bundle: Bundle) -> None:
    node = start_node(
        'inference_node', parameters={'bundle': str(bundle.folder), 'platform': 'none'}
    )
    node.wait_for_log('begins with')
    assert node.stop() == 0


# Sub-networks that do not answer as recorded


@pytest.fixture(scope='module')
def recorded(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the same bundle with the responses of its sub-networks."""
    folder = tmp_path_factory.mktemp('recorded') / 'synthetic'
    return write_recorded_bundle(folder, bundle.manifest, bundle.weights_content)


def damaged(recorded: Bundle, folder: Path, identifiers: Sequence[str]) -> Path:
    """Write the bundle with batch-norm statistics of some sub-networks never recalibrated."""
    weights = recorded.weights()
    statistics = dict(weights.batch_norm_statistics)
    for identifier in identifiers:
        statistics[identifier] = {
            name: np.zeros_like(value) if name.endswith('mean') else np.ones_like(value)
            for name, value in statistics[identifier].items()
        }
    content = weights_content(Weights(weights.network, statistics))
    profile = simulated_profile(load_board(PLATFORM), PLATFORM, recorded.manifest.sub_networks)
    return write_bundle(folder, recorded.manifest, content, [profile], recorded.other_files).folder


def test_sub_network_that_answers_otherwise_is_not_served(
    start: Start, graph: Graph, recorded: Bundle, tmp_path: Path
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    # s2 is the most accurate one, so it would be the first to serve.
    folder = damaged(recorded, tmp_path / 'damaged', ['s2'])
    application = start(bundle=str(folder), platform=PLATFORM)
    presented = application.applications.wait_for(lambda a: a.state == Application.STATE_ACTIVE)
    assert [entry.id for entry in presented.sub_networks] == ['s0', 's1']
    assert presented.sub_network == 's1'
    message = image_message(noise(40, 30, 1))
    assert_result(recorded, application.serve(message), message)

    answer = application.switch(sub_network='s2')
    assert answer.switch_result == InferenceStatus.SWITCH_REFUSED_SUB_NETWORK
    assert 'answers otherwise than when its accuracy was measured' in answer.message
    assert application.switch(sub_network='s0', sequence=2).switch_result == (
        InferenceStatus.SWITCH_APPLIED
    )
    status = find_diagnostic(diagnostics, 'sub-networks')
    assert status.level == DiagnosticStatus.ERROR
    assert status.message.startswith('not served: s2. ')
    assert "'dynamic-dnn bundle check --data'" in status.message
    assert "'dynamic-dnn search'" in status.message


def test_operating_points_of_the_others_are_presented(
    start: Start, graph: Graph, recorded: Bundle, tmp_path: Path
) -> None:
    folder = damaged(recorded, tmp_path / 'damaged', ['s1'])
    application = start(bundle=str(folder), platform=PLATFORM)
    loads = graph.publisher(SystemLoad, '/dynamic_dnn/system_load')
    graph.wait_for_subscriptions(loads)
    loads.publish(SystemLoad(platform=PLATFORM, kind=SystemLoad.KIND_SIMULATED, period=0.1))
    presented = application.applications.wait_for(
        lambda a: a.operating_points.platform == PLATFORM and len(a.sub_networks) == 2
    )
    assert [entry.id for entry in presented.sub_networks] == ['s0', 's2']
    profile = simulated_profile(load_board(PLATFORM), PLATFORM, recorded.manifest.sub_networks)
    points = presented.operating_points
    for number, name in enumerate(('s0', 's2')):
        rows = np.array(points.sub_network) == number
        kept = profile.sub_network == profile.sub_networks.index(name)
        np.testing.assert_allclose(
            np.array(points.latency_mean)[rows], profile.latency_mean[kept], rtol=1e-5
        )


def test_no_sub_network_is_left(start: Start, recorded: Bundle, tmp_path: Path) -> None:
    folder = damaged(recorded, tmp_path / 'damaged', ['s0', 's1', 's2'])
    application = start(bundle=str(folder), expect_active=False)
    assert 'no sub-network can be served' in application.node.problem
    assert "'dynamic-dnn bundle check --data'" in application.node.problem
    assert not application.node.configured


def test_bundle_without_responses_is_served(start: Start, graph: Graph, recorded: Bundle) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    start()
    assert find_diagnostic(diagnostics, 'sub-networks').message == 'no responses recorded'


def test_cache_that_cannot_be_written_is_one_sentence(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: Said
) -> None:
    """As with a HOME that is read-only; root may write anywhere, but no folder into a file."""
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    application = start(expect_active=False, engine='auto')
    assert 'cannot be written' in application.node.problem
    assert 'set XDG_CACHE_HOME to another folder' in application.node.problem
    said.wait_for('cannot be written')
    assert not any('Traceback' in line for line in said.lines)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    application.node.start()
    assert application.node.active


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_engine_that_is_not_installed_is_said_with_its_remedy(
    start: Start, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    # Python raises ModuleNotFoundError for what is None here, as for what is absent.
    monkeypatch.setitem(sys.modules, engine, None)
    monkeypatch.delitem(sys.modules, f'dynamic_dnn_ros.engines.{engine}_engine', raising=False)
    application = start(expect_active=False, engine=engine)
    assert f'needs the Python package {engine!r}, which is not installed' in (
        application.node.problem
    )
    application.node.set_parameters([Parameter('engine', value='torch')])
    application.node.start()
    application.serve(image_message(noise(40, 30, 1)))


# What the engine cannot prepare, or not at once


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch) -> GatedEngine:
    """Have the node served by an engine that prepares when the test lets it."""
    engine = GatedEngine()
    monkeypatch.setattr(
        'dynamic_dnn_ros.nodes.inference.node.open_engine', lambda *arguments: engine
    )
    return engine


def test_frames_are_served_while_a_switch_waits_for_its_preparation(
    start: Start, gated: GatedEngine
) -> None:
    application = start(sub_network='s0', platform=PLATFORM)
    for sequence in (1, 2):
        application.switches.publish(
            SubNetworkSwitch(application=ID, manager='m', sequence=sequence, sub_network='s1')
        )
        result = application.serve(image_message(noise(40, 30, sequence)))
        assert result.sub_network == 's0'
    gated.open_gates()
    # The first may be applied before the second arrives, which is then answered at once.
    application.statuses.wait_for(
        lambda status: (
            status.switch_result == InferenceStatus.SWITCH_APPLIED and status.switch_sequence == 2
        )
    )
    assert application.serve(image_message(noise(40, 30, 3))).sub_network == 's1'
    assert gated.attempts.count('s1') == 1


def test_out_of_memory_is_said_and_the_others_serve(
    start: Start, graph: Graph, gated: GatedEngine
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    gated.room, gated.size = 2, 1000
    gated.open_gates()
    application = start(sub_network='s0', platform=PLATFORM)
    array = diagnostics.wait_for(lambda message: 'not ready' in str(message))
    (status,) = (s for s in array.status if s.name.endswith(': sub-networks'))
    assert status.level == DiagnosticStatus.WARN
    values = {entry.key: entry.value for entry in status.values}
    (absent,) = {'s0', 's1', 's2'} - set(values['ready'].split(', '))
    assert status.message.startswith(f'not ready: {absent}. no memory left for {absent!r}')
    assert (values['memory of those'], values['memory budget']) == ('2000', '2000')
    assert application.serve(image_message(noise(40, 30, 1))).sub_network == 's0'
    answer = application.switch(sub_network=absent)
    assert answer.switch_result == InferenceStatus.SWITCH_APPLIED


def test_a_switch_whose_sub_network_fails_in_service_counts_as_failed(
    start: Start, gated: GatedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated.open_gates()
    application = start(sub_network='s0', platform=PLATFORM)
    assert application.switch(sub_network='s1').switch_result == InferenceStatus.SWITCH_APPLIED

    def vanish(self: GatedSubNetwork, picture: object) -> None:
        raise EngineError('the accelerator is gone')

    monkeypatch.setattr(GatedSubNetwork, 'run', vanish)
    for number in range(1, 4):
        application.images.publish(image_message(noise(40, 30, number)))
        rejected = application.statuses.wait_for(lambda s, n=number: s.rejected == n)
        assert rejected.switch_result == InferenceStatus.SWITCH_APPLIED or number == 3
    answer = application.statuses.wait_for(
        lambda status: status.switch_result == InferenceStatus.SWITCH_FAILED
    )
    assert 'the accelerator is gone' in answer.message
    assert (answer.sub_network, answer.switch_sequence) == ('s1', 1)


def test_memory_budget_limits_what_is_ready(
    start: Start, graph: Graph, gated: GatedEngine
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    gated.size = 1000
    gated.open_gates()
    application = start(sub_network='s0', platform=PLATFORM, memory_budget=1999)
    status = find_diagnostic(diagnostics, 'sub-networks')
    assert {entry.key: entry.value for entry in status.values}['ready'] == 's0'
    for number, identifier in enumerate(('s2', 's1', 's0'), 1):
        answer = application.switch(sub_network=identifier, sequence=number)
        assert answer.switch_result == InferenceStatus.SWITCH_APPLIED
        assert application.serve(image_message(noise(40, 30, 1))).sub_network == identifier


def test_configuring_again_and_again_leaves_nothing_behind(
    start: Start, gated: GatedEngine
) -> None:
    gated.open_gates()
    node = start(platform=PLATFORM, lazy=True).node
    node.stop()

    def owned() -> list[int]:
        kinds = (node.publishers, node.subscriptions, node.timers, node._managed_entities)
        return [len(list(entities)) for entities in kinds]

    before, threads = owned(), threading.active_count()
    for _ in range(5):
        node.start()
        assert node.active
        node.stop()
    assert owned() == before
    assert threading.active_count() == threads


def find_diagnostic(diagnostics: Collector, part: str) -> DiagnosticStatus:
    """Return what an active inference node says of a part of itself."""
    array = diagnostics.wait_for(
        lambda message: any(status.name.endswith(f': {part}') for status in message.status)
    )
    return next(status for status in array.status if status.name.endswith(f': {part}'))

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bad input from other processes: it is named, it costs itself, and the node goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import pytest
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.msg import InferenceStatus
from support.application import Application
from support.graph import Collector, Graph
from support.images import compressed_message, image_message, jpeg, nanoseconds_of, noise
from support.process import NodeProcess

pytestmark = pytest.mark.system

STAMP = 1_234_567_890


def short_image() -> Image:
    """Return an image whose data lack a row."""
    message = image_message(noise(64, 48, 0), nanoseconds=STAMP)
    del message.data[-message.step :]
    return message


def image_of(**changes: Any) -> Image:
    """Return an image some of whose fields say something else."""
    message = image_message(noise(64, 48, 0), nanoseconds=STAMP)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


BAD_IMAGES = {
    'data shorter than height x step': (short_image, ['64x48', '9024', '9216']),
    'no data': (lambda: image_of(data=b''), ['64x48', '0 bytes']),
    'width zero': (lambda: image_of(width=0), ['0x48', 'no pixels']),
    'height zero': (lambda: image_of(height=0), ['64x0', 'no pixels']),
    'unknown encoding': (lambda: image_of(encoding='jumble'), ['jumble', 'rgb8', 'mono8']),
    'empty encoding': (lambda: image_of(encoding=''), ["''", 'rgb8']),
    'step too short': (lambda: image_of(step=100), ['step 100', '64 pixels']),
}
BAD_FILES = {
    'no picture': (lambda: compressed_message(b'not a picture', STAMP), ['13 bytes', 'JPEG']),
    'no bytes': (lambda: compressed_message(b'', STAMP), ['jpeg', 'no data']),
    'truncated JPEG': (
        lambda: compressed_message(jpeg(noise(320, 240, 0))[:3000], STAMP),
        ['3000 bytes', 'cannot be decoded'],
    ),
}


def wait_for_diagnostic(
    diagnostics: Collector[DiagnosticArray], node: str, level: bytes, text: str
) -> str:
    """Wait until a node says something of a level on /diagnostics; return the whole message."""

    def find(array: DiagnosticArray) -> str:
        for status in array.status:
            if status.name.startswith(node.lstrip('/')) and status.level == level:
                if text in status.message:
                    return str(status.message)
        return ''

    what = f'a diagnostic of {node} with {text!r}'
    return find(diagnostics.wait_for(lambda array: bool(find(array)), 20.0, what))


def check_rejections(
    application: Application,
    diagnostics: Collector[DiagnosticArray],
    bad: dict[str, tuple[Callable[[], Image | CompressedImage], list[str]]],
    good: Callable[[int], Image | CompressedImage],
) -> None:
    """Send bad and good images in turn, and check what becomes of each."""
    for index, (name, (make, words)) in enumerate(bad.items()):
        status = application.reject(make())
        for word in words:
            assert word in status.message, (name, status.message)
        assert status.message.endswith('.'), name
        assert nanoseconds_of(status.image_stamp) == STAMP
        assert status.header.frame_id == 'camera'
        said = wait_for_diagnostic(diagnostics, application.id, DiagnosticStatus.WARN, words[-1])
        assert status.message in said
        diagnostics.clear()
        result = application.serve(good(index + 1))
        assert nanoseconds_of(result.header.stamp) == index + 1
    status = application.wait_for_event(
        InferenceStatus.EVENT_HEARTBEAT, len(application.all_statuses)
    )
    assert (status.received, status.served, status.rejected) == (2 * len(bad), len(bad), len(bad))


def test_images_that_cannot_be_read(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    application = Application(graph, start_node, synthetic_bundle)
    check_rejections(
        application,
        diagnostics,
        BAD_IMAGES,
        lambda index: image_message(noise(64, 48, index), nanoseconds=index),
    )
    assert application.process.stop() == 0


def test_files_that_cannot_be_decoded(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    application = Application(graph, start_node, synthetic_bundle, image_transport='compressed')
    check_rejections(
        application,
        diagnostics,
        BAD_FILES,
        lambda index: compressed_message(jpeg(noise(64, 48, index)), nanoseconds=index),
    )


def test_switches_that_cannot_be_applied(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    application = Application(graph, start_node, synthetic_bundle, sub_network='s1')
    image = image_message(noise(64, 48, 0))

    refused = application.switch('s9')
    assert refused.switch_result == InferenceStatus.SWITCH_REFUSED_SUB_NETWORK
    for word in ("'s9'", 's0, s1, s2'):
        assert word in refused.message
    assert refused.sub_network == 's1'

    refused = application.switch('s0', application='/rear/inference_node')
    assert refused.switch_result == InferenceStatus.SWITCH_REFUSED_APPLICATION
    for word in (application.id, '/rear/inference_node/sub_network_switch'):
        assert word in refused.message

    refused = application.switch('s0', processor='dla7')
    assert refused.switch_result == InferenceStatus.SWITCH_REFUSED_PROCESSOR
    for word in ("'dla7'", 'cpu'):
        assert word in refused.message

    assert application.switch('s2').switch_result == InferenceStatus.SWITCH_APPLIED
    application.sequence -= 2
    refused = application.switch('s0')
    assert refused.switch_result == InferenceStatus.SWITCH_REFUSED_SEQUENCE
    for word in (f'switch {application.sequence}', 'Count the sequence number up'):
        assert word in refused.message

    assert application.serve(image).sub_network == 's2'
    assert application.process.running


def test_a_second_node_with_one_name_stops_and_the_first_goes_on(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    application = Application(graph, start_node, synthetic_bundle)

    second = start_node(
        'inference_node', parameters={'bundle': str(synthetic_bundle), 'platform': 'none'}
    )
    said = wait_for_diagnostic(diagnostics, application.id, DiagnosticStatus.ERROR, application.id)
    assert 'serves already' in said
    assert 'another name or namespace' in said
    second.wait_for_log('serves already')
    assert second.running

    graph.spin_for(1.0)
    application.results.clear()
    for index in range(5):
        application.serve(image_message(noise(64, 48, index), nanoseconds=index + 1))
    graph.spin_for(1.0)
    stamps = [nanoseconds_of(result.header.stamp) for result in application.results]
    assert stamps == [1, 2, 3, 4, 5], 'one result for each frame: only the first node serves'
    assert second.stop() == 0
    assert application.serve(image_message(noise(64, 48, 9), nanoseconds=9))


def test_bad_parameters_at_start_leave_the_node_ready_for_another_try(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    """Wrong types and ranges are all named at once, and mended one by one."""
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    bad = {'results': 'many', 'stuck_after': -1.0, 'image_transport': 'theora', 'lazy': 1}
    good = {'results': 10, 'stuck_after': 2.0, 'image_transport': 'raw', 'lazy': False}
    allowed = ['1 to 65535', '0.01 to 3600 s', 'raw, compressed', 'boolean']
    application = Application(graph, start_node, wait=False, **{'bundle': synthetic_bundle, **bad})

    said = wait_for_diagnostic(diagnostics, application.id, DiagnosticStatus.ERROR, 'results')
    for words in zip(bad, map(repr, bad.values()), allowed):
        assert all(word in said for word in words), (words, said)
    assert graph.lifecycle_state(application.id) == 'unconfigured'
    for name, value in good.items():
        assert not graph.change_state(application.id, 'configure')
        assert graph.set_parameter(application.id, name, value) == (True, '')
    assert graph.change_state(application.id, 'configure')
    assert graph.change_state(application.id, 'activate')
    application.wait_until_ready()
    assert application.serve(image_message(noise(64, 48, 0))).application == application.id
    diagnostics.clear()
    wait_for_diagnostic(diagnostics, application.id, DiagnosticStatus.OK, 'active')


def test_parameters_that_name_what_is_not_there(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    application = Application(graph, start_node, '/nowhere', wait=False)
    for name, bad, words, good in (
        ('bundle', '/nowhere', ["'/nowhere'", 'folder', 'Shipped are'], str(synthetic_bundle)),
        ('processor', 'npu', ["'npu'", 'cpu'], 'cpu'),
    ):
        assert graph.set_parameter(application.id, name, bad) == (True, '')
        assert not graph.change_state(application.id, 'configure')
        assert graph.lifecycle_state(application.id) == 'unconfigured'
        said = wait_for_diagnostic(diagnostics, application.id, DiagnosticStatus.ERROR, words[0])
        assert all(word in said for word in words), said
        assert graph.set_parameter(application.id, name, good) == (True, '')
    taken, reason = graph.set_parameter(application.id, 'sub_network', 's9')
    assert not taken and "'s9'" in reason and 's0, s1, s2' in reason
    assert graph.set_parameter(application.id, 'sub_network', 's0') == (True, '')
    assert graph.change_state(application.id, 'configure')
    assert graph.change_state(application.id, 'activate')
    application.wait_until_ready()
    assert application.serve(image_message(noise(64, 48, 0))).sub_network == 's0'


def test_a_running_node_refuses_a_bad_parameter(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    application = Application(graph, start_node, synthetic_bundle)
    for value in (0, 'many', 1.5):
        taken, reason = graph.set_parameter(application.id, 'results', value)
        assert not taken
        assert reason
        # A wrong type is refused by rclpy itself, which names the parameter elsewhere.
        assert 'results' in reason or 'INTEGER' in reason
    assert graph.parameter(application.id, 'results') == 10
    taken, _ = graph.set_parameter(application.id, 'results', 2)
    assert taken
    assert len(application.serve(image_message(noise(64, 48, 0))).results) == 2


@pytest.mark.parametrize('executor', ['single_threaded', 'events'])
def test_a_camera_of_1000_hertz_that_changes_its_format(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path, executor: str
) -> None:
    """Every frame that came is served or counted, and one line is said for each new format."""
    application = Application(graph, start_node, synthetic_bundle, executor=executor)
    kinds = [(64, 48, 'rgb8'), (128, 96, 'bgr8'), (64, 48, 'mono8')]
    messages = [image_message(noise(w, h, 0), encoding) for w, h, encoding in kinds]
    with graph.spinning():
        for index in range(600):
            application.images.publish(messages[index % 3])
            time.sleep(0.001)
    for message in messages:
        # One at a time, so that each format has come, however busy the machine is.
        seen = len(application.results)
        while len(application.results) == seen:
            application.images.publish(message)
            graph.spin_for(0.2)
    graph.spin_for(0.5)
    status = application.wait_for_event(
        InferenceStatus.EVENT_HEARTBEAT, len(application.all_statuses)
    )
    assert status.rejected == 0
    assert status.served + status.replaced == status.received > 3
    assert application.process.log.count('has changed to') == 2
    assert application.process.stop() == 0

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the page of `dynamic-dnn view` shows, before any browser: rows, words, forms, pictures."""

from __future__ import annotations

from dataclasses import replace
import io
import json
import math

from PIL import Image
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from dynamic_dnn_ros.cli.demo.run_record import DecisionRecord
from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.cli.view import model
from dynamic_dnn_ros.cli.view.drawn import camera_of
from dynamic_dnn_ros.cli.view.front import front_of
from dynamic_dnn_ros.cli.view.pictures import LONGEST_SIDE, browser_picture
from dynamic_dnn_ros.cli.view.requests import FormError, read_form
from dynamic_dnn_ros.client import LateFrames, Objective
from dynamic_dnn_ros.msg import Application, InferenceStatus, OperatingPoints, SubNetwork
from dynamic_dnn_ros.nodes.manager.messages import report_of
from dynamic_dnn_ros.pictures.scaling import PictureError
from support.robot_messages import FRONT, GONE, messages

REPORTS = {
    row.application: report_of(row)
    for topic, message, _ in messages()
    if topic.endswith('/manager_status')
    for row in message.targets
}


def heard(clock: list[float]) -> Observation:
    """Return what is heard of the application in front, each message a second after the last."""

    def tick() -> float:
        return clock[0]

    observation = Observation(FRONT, tick)
    take = {
        'application': observation.on_application,
        'inference_status': observation.on_status,
        'sub_network_switch': observation.on_switch,
        'detections': observation.on_detections,
        'manager_status': observation.on_manager,
    }
    for topic, message, _ in messages():
        name = topic.rsplit('/', 1)[1]
        if name in take:
            take[name](message)
            clock[0] += 1.0
    return observation


def test_an_application_is_told_whole_and_then_by_what_is_new() -> None:
    clock = [10.0]
    observation = heard(clock)
    whole = model.application_data(FRONT, observation, REPORTS[FRONT], -50.0, clock[0], True)
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole
    assert (whole['state'], whole['look'], whole['there']) == ('missed', 'bad', True)
    assert whole['standing'] == 'missed: latency by 6 ms, AP 50:95 by 4.0%'
    assert [frame[1] for frame in whole['frames']] == [31.2]
    assert whole['steps'] == [[15.0, 25.0]]
    assert [event[1:] for event in whole['events']] == [
        ['switch', 's0, because the platform or its load changed'],
        ['bad', 'missed: latency by 6 ms, AP 50:95 by 4.0%'],
    ]
    latency, accuracy = whole['limits']
    assert (latency['asked'], latency['is'], latency['missed']) == (
        'at most 25 ms',
        '31 ms',
        '6 ms',
    )
    assert (accuracy['asked'], accuracy['measured']) == ('at least 35.0%', False)
    assert [point['sub_network'] for point in whole['front']] == ['s0']

    later = model.application_data(FRONT, observation, REPORTS[FRONT], clock[0], 18.0, False)
    assert later['frames'] == later['events'] == later['steps'] == []
    assert 'front' not in later
    assert later['condition'] == 'silent: its node may have died'


def test_it_is_told_where_pictures_leave() -> None:
    report = replace(REPORTS[FRONT], stages=('early', 'rest'), stage_shares=(0.75, 0.25))
    data = model.application_data(FRONT, None, report, 0.0, 1.0, True)
    assert data['paths'] == '75% leave at early, 25% at rest'
    assert model.application_data(FRONT, None, REPORTS[FRONT], 0.0, 1.0, True)['paths'] == ''


def test_an_application_that_is_away_is_told_by_its_target() -> None:
    data = model.application_data(GONE, None, REPORTS[GONE], 0.0, 1.0, True)
    assert (data['there'], data['state'], data['look']) == (False, 'waiting', 'open')
    assert data['target'] == 'rate ≥ 5 Hz'
    alone = model.application_data(GONE, None, None, 0.0, 1.0, True)
    assert alone['state'] == model.NO_MANAGER


def test_texts_of_strangers_are_bounded() -> None:
    observation = Observation(FRONT, lambda: 1.0)
    observation.on_application(
        Application(id=FRONT, bundle='b' * 10_000, sub_networks=[SubNetwork(id='s')] * 1000)
    )
    data = model.application_data(FRONT, observation, None, 0.0, 1.0, True)
    assert len(data['bundle']) == model.MOST_LETTERS + 1
    assert len(data['front']) == model.MOST_POINTS


def test_rows_are_told_once() -> None:
    observation = Observation(FRONT, iter([0.0, 1.0, 2.0, 3.0]).__next__)
    for _ in range(4):
        observation.on_status(
            InferenceStatus(application=FRONT, event=InferenceStatus.EVENT_SERVED)
        )
    rows = observation.run.frames
    told = [row.time for since in (0.0, 2.0) for row in model.between(rows, since, since + 2.0)]
    assert told == [0.0, 1.0, 2.0, 3.0]


def test_a_limit_holds_from_when_it_was_decided_on() -> None:
    decisions = [
        DecisionRecord(time, 'met', 's0', {}, '', required)
        for time, required in (
            (1.0, {'latency': 0.05}),
            (2.0, {'latency': 0.05}),
            (3.0, {'accuracy': 0.8}),
            (4.0, {'latency': 0.02, 'accuracy': 0.8}),
        )
    ]
    assert model.limit_steps(decisions, 0.0, 9.0) == [[1.0, 50.0], [3.0, None], [4.0, 20.0]]


def test_front_has_each_sub_network_at_its_best() -> None:
    message = Application(
        sub_networks=[SubNetwork(id=name, accuracy=0.5) for name in ('s0', 's1', 's2')],
        operating_points=OperatingPoints(
            sub_network=[0, 0, 1],
            latency_p95=[0.04, 0.02, math.nan],
            energy=[0.1, 0.3, 0.5],
        ),
    )
    points = {point.sub_network: (point.latency, point.energy) for point in front_of(message)}
    assert points['s0'] == (0.02, 0.1)
    assert math.isnan(points['s1'][0]) and points['s1'][1] == 0.5
    assert all(math.isnan(value) for value in points['s2'])
    message.operating_points.energy = [0.1]  # a table that is not whole
    assert math.isnan(front_of(message)[0].energy)


def test_a_form_is_read_as_the_command_reads_it() -> None:
    fields = read_form(
        {
            'latency': '25 ms',
            'latency_quantile': '99%',
            'accuracy': ' ',
            'energy': '200mJ',
            'priority': '3',
            'objective': 'maximum_accuracy',
            'late_frames': 'drop',
        }
    )
    assert fields == {
        'latency': 0.025,
        'latency_quantile': 0.99,
        'energy': 0.2,
        'priority': 3,
        'objective': Objective.MAXIMUM_ACCURACY,
        'late_frames': LateFrames.DROP,
    }


@pytest.mark.parametrize(
    ('form', 'said'),
    [
        ({}, 'nothing is asked for'),
        ({'latency': 'fast'}, "latency: 'fast' is no time"),
        ({'priority': 'high'}, "priority: 'high' is no whole number"),
        ({'objective': 'fame'}, "objective: 'fame' is not one of: minimum_energy"),
        ({'speed': '1'}, "no field 'speed'"),
        ({'latency': 1}, 'texts'),
    ],
)
def test_a_form_that_cannot_be_read_says_why(form: dict[str, object], said: str) -> None:
    with pytest.raises(FormError, match=said):
        read_form(form)


@pytest.mark.parametrize(
    ('application', 'topics', 'camera'),
    [
        ('/node', ['/image', '/image/compressed', '/rear/image'], '/image/compressed'),
        ('/front/node', ['/front/image', '/rear/image'], '/front/image'),
        ('/node/rear', ['/front/image', '/rear/image'], '/rear/image'),
        (
            '/node',
            ['/camera/image_raw', '/node/annotated', '/node/label_image'],
            '/camera/image_raw',
        ),
        ('/node', ['/left/image_raw', '/right/image_raw'], None),
    ],
)
def test_a_camera_is_found_by_its_name(
    application: str, topics: list[str], camera: str | None
) -> None:
    rows = [
        (name, ['sensor_msgs/msg/' + ('CompressedImage' if 'compressed' in name else 'Image')])
        for name in topics
    ]
    found = camera_of(application, [*rows, ('/chatter', ['std_msgs/msg/String'])])
    assert (found[0] if found is not None else None) == camera


def jpeg(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((width, height), 90.0).convert('RGB').save(file, 'JPEG', quality=90)
    return file.getvalue()


def test_pictures_are_bounded() -> None:
    small = jpeg(160, 120)
    assert browser_picture(small) is small
    large = browser_picture(jpeg(1920, 1080))
    assert Image.open(io.BytesIO(large)).size == (LONGEST_SIDE, 360)
    for broken in (b'', b'<svg onload="alert(1)">', small[:400]):
        with pytest.raises(PictureError, match='cannot be read'):
            browser_picture(broken)
    declared = bytearray(small)
    frame = declared.index(b'\xff\xc0') + 5
    declared[frame : frame + 4] = b'\x20\x00\x20\x00'
    with pytest.raises(PictureError, match='too many'):
        browser_picture(bytes(declared))

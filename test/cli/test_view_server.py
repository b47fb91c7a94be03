# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The server of `dynamic-dnn view`: who may see the page, what it costs, and a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import http.client
import json
import math
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')
pytest.importorskip('starlette', reason="the extra 'view' is not installed")
pytest.importorskip('uvicorn', reason="the extra 'view' is not installed")

from sensor_msgs.msg import Image

from dynamic_dnn_ros.cli.observation import Observation
from dynamic_dnn_ros.cli.view import ViewError, announcement, feed, listen, model, pictures
from dynamic_dnn_ros.cli.view.access import is_loopback, new_token
from dynamic_dnn_ros.cli.view.requests import FormError
from dynamic_dnn_ros.cli.view.server import page_application, server_of
from dynamic_dnn_ros.cli.view.session import Session
from dynamic_dnn_ros.msg import Detection, Detections
from dynamic_dnn_ros.nodes.manager.messages import report_of
from dynamic_dnn_ros.pictures.scaling import PictureError
from support.chromium import browser
from support.graph import BEST_EFFORT, Graph
from support.images import compressed_message, decode, image_message, jpeg, noise
from support.robot_messages import FRONT, messages

HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'
TOKEN = new_token()


class Shown:
    """Shows one application, whose names are hostile, and notes what is asked for."""

    def __init__(self) -> None:
        self.opened = self.closed = 0
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.observation = Observation(HOSTILE, lambda: 1.0)
        status = next(message for topic, message, _ in messages() if 'manager' in topic)
        self.report = report_of(status.targets[0])
        for topic, message, _ in messages():
            for field in ('id', 'application'):
                if getattr(message, field, '') == FRONT:
                    setattr(message, field, HOSTILE)
            if topic.endswith('/application'):
                message.bundle = HOSTILE
                self.observation.on_application(message)
            elif topic.endswith('/inference_status'):
                self.observation.on_status(message)
            elif topic.endswith('/detections'):
                message.detections[0].class_id = HOSTILE
                self.observation.on_detections(message)

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def clock(self) -> float:
        return 2.0

    def data(self, since: float, until: float) -> dict[str, Any]:
        whole = since == -math.inf
        one = model.application_data(HOSTILE, self.observation, self.report, since, until, whole)
        return {
            'whole': whole,
            'now': until,
            'title': HOSTILE,
            'board': None,
            'manager': {'there': True, 'text': HOSTILE},
            'applications': [one | {'picture': 0}],
        }

    def picture(self, application: str) -> tuple[int, bytes]:
        if application != FRONT:
            raise PictureError('there is no picture yet')
        return 1, b'jpeg'

    def request(self, action: str, application: str, form: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((action, application, dict(form)))
        if action == 'ask':
            raise FormError(HOSTILE)
        return {'look': 'good', 'message': HOSTILE, 'rows': [[HOSTILE, HOSTILE]]}


@contextmanager
def served(shown: Any, token: str = '') -> Iterator[int]:
    """Serve the page on a port, and return that."""
    with listen('127.0.0.1', 0) as listener:
        server = server_of(page_application(shown, token))
        thread = threading.Thread(target=server.run, kwargs={'sockets': [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def ask(
    port: int, path: str, method: str = 'GET', body: str = '', **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10.0)
    sent = {name.replace('_', '-'): value for name, value in headers.items()}
    connection.request(method, path, body or None, sent)
    response = connection.getresponse()
    head = {name.lower(): value for name, value in response.getheaders()}
    content = response.read(4000) if path == '/events' else response.read()
    connection.close()
    return response.status, head, content


PATHS = ('/', '/page.js', '/events', f'/picture?application={FRONT}')


def test_the_page_is_for_this_computer_alone() -> None:
    shown = Shown()
    with served(shown) as port:
        for path in PATHS[:2] + PATHS[3:]:
            status, head, _ = ask(port, path)
            assert status == 200, path
            assert "script-src 'self'" in head['content-security-policy']
        # A name of somebody else that leads here, as DNS rebinding does.
        for path in PATHS:
            assert ask(port, path, Host=f'evil.example:{port}')[0] == 403, path
        form = json.dumps({'application': FRONT, 'form': {'latency': '25ms'}})
        here = f'http://127.0.0.1:{port}'
        kind = 'application/json'
        foreign = ask(port, '/target/set', 'POST', form, Origin='http://a', Content_Type=kind)
        plain = ask(port, '/target/set', 'POST', form, Origin=here, Content_Type='text/plain')
        assert (foreign[0], plain[0]) == (403, 400)
        for path in PATHS[1:]:  # as a page of somebody else asks for pictures
            assert ask(port, path, Sec_Fetch_Site='cross-site')[0] == 403, path
        assert not shown.asked
        for bad in ('[1]', '{', '[' * 4000, 'x' * 5000, '{"application": 1}'):
            assert ask(port, '/target/set', 'POST', bad, Content_Type=kind)[0] == 400, bad
        assert ask(port, '/target/delete', 'POST', form, Content_Type=kind)[0] == 400
        assert not shown.asked
        done = ask(port, '/target/set', 'POST', form, Origin=here, Content_Type=kind)
        assert done[0] == 200
        assert shown.asked == [('set', FRONT, {'latency': '25ms'})]


def test_others_need_the_token() -> None:
    shown = Shown()
    with served(shown, TOKEN) as port:
        for path in PATHS:
            for cookie in ('', 'view=', f'view={TOKEN[:-1]}', 'view="', f'other={TOKEN}'):
                status, _, content = ask(port, path, Cookie=cookie)
                assert status == 403 and b'token' in content, (path, cookie)
        assert ask(port, '/target/set', 'POST', '{}', Content_Type='application/json')[0] == 403
        assert ask(port, f'/?token={TOKEN}x')[0] == 403
        status, head, _ = ask(port, f'/?token={TOKEN}')
        assert (status, head['location']) == (303, '/')
        assert 'HttpOnly' in head['set-cookie'] and 'SameSite=strict' in head['set-cookie']
        cookie = head['set-cookie'].split(';')[0]
        for path in PATHS:
            assert ask(port, path, Cookie=cookie, Host='robot.local')[0] == 200, path
    assert not shown.asked


def test_addresses_are_announced_with_the_token_only_where_one_is_needed() -> None:
    assert [is_loopback(host) for host in ('127.0.0.1', '::1', 'localhost')] == [True] * 3
    assert [is_loopback(host) for host in ('0.0.0.0', '10.0.0.1', 'robot', '')] == [False] * 4
    assert announcement('127.0.0.1', 80, '')[0].startswith('Open http://127.0.0.1:80/ in')
    assert f'http://robot:80/?token={TOKEN} ' in announcement('robot', 80, TOKEN)[0]
    with listen('127.0.0.1', 0) as taken, pytest.raises(ViewError, match='--port'):
        listen('127.0.0.1', taken.getsockname()[1])


def test_it_listens_only_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, 'PERIOD', 0.01)
    shown = Shown()
    events: list[str] = []
    shown.open = lambda: events.append('open')  # type: ignore[method-assign]
    shown.close = lambda: events.append('close')  # type: ignore[method-assign]

    async def look() -> None:
        served = feed.Feed(shown, linger=0.05)
        task = asyncio.create_task(served.run())
        await asyncio.sleep(0.05)
        assert events == []
        for _ in range(2):
            with served.viewer() as viewer:
                texts = viewer.messages()
                told = [json.loads(await anext(texts))['whole'] for _ in range(3)]
                assert told == [True, False, False]
                # One who does not keep up loses what waits, and begins anew.
                await asyncio.sleep(0.3)
                assert viewer.waiting <= feed.WAITING
                lost = [json.loads(await anext(texts))['whole'] for _ in range(feed.WAITING + 1)]
                assert True in lost
            await asyncio.sleep(0.4)
            assert events.pop() == 'close' and set(events) == {'open'}
            events.clear()
        task.cancel()

    asyncio.run(look())


def test_a_robot_is_heard_while_the_session_is_open(graph: Graph) -> None:
    topic = f'{FRONT}/annotated/compressed'
    session = Session('/dynamic_dnn', 5.0)
    assert session.data(-math.inf, 0.0)['applications'] == []
    assert graph.node.count_subscribers('/dynamic_dnn/application') == 0
    session.open()
    try:
        publishers = []
        for name, message, quality in messages():
            publisher = graph.publisher(type(message), name, quality)
            publishers.append(publisher)
            graph.wait_for_subscriptions(publisher)
            client = session._client
            assert client is not None
            graph.spin_until(lambda: client.node.count_publishers(name))  # noqa: B023
            publisher.publish(message)
        picture = compressed_message(jpeg(noise(40, 30, seed=1)))
        annotated = graph.publisher(type(picture), topic)

        def look() -> dict[str, Any]:
            data = session.data(-math.inf, session.clock())
            return {one['id']: one for one in data['applications']}.get(FRONT, {})

        graph.spin_until(lambda: look().get('limits') and graph.node.count_subscribers(topic))
        graph.wait_for_subscriptions(annotated)
        graph.spin_until(lambda: annotated.publish(picture) or look()['picture'])
        number, shown = session.picture(FRONT)
        assert number >= 1 and shown == bytes(picture.data)
        with pytest.raises(PictureError):
            session.picture('/nobody')
    finally:
        session.close()
    graph.spin_until(lambda: not graph.node.count_subscribers(topic))
    assert session.data(-math.inf, 0.0)['applications'] == []


def test_results_are_drawn_where_no_node_draws_them(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, 'GRACE', 0.0)
    following = pictures.Pictures(graph.node)
    image = image_message(np.full((96, 128, 3), 200, np.uint8), 'rgb8', nanoseconds=7)
    found = Detections(
        header=image.header,
        image_width=128,
        image_height=96,
        detections=[
            Detection(class_id='cup', score=0.9, x_min=30.0, y_min=40.0, x_max=90.0, y_max=80.0)
        ],
    )
    camera = graph.publisher(Image, '/front/image', BEST_EFFORT)
    results = graph.publisher(Detections, f'{FRONT}/detections')

    def is_drawn() -> bool:
        following.follow([FRONT])
        camera.publish(image)
        results.publish(found)
        return following.sequence(FRONT) > 0

    graph.spin_until(is_drawn)
    picture = decode(following.newest(FRONT)[1]).astype(int)
    assert picture.shape == (96, 128, 3)
    assert np.ptp(picture[60, 30]) > 60  # the left edge of the box, in the colour of its class
    assert np.ptp(picture[60, 60]) < 20
    following.follow([])
    graph.spin_until(lambda: not graph.node.count_subscribers('/front/image'))


def test_a_browser_shows_names_as_text_and_sends_the_form() -> None:
    shown = Shown()
    with served(shown, TOKEN) as port, browser() as page:
        page.open(f'http://127.0.0.1:{port}/?token={TOKEN}')
        page.wait_for("document.querySelector('.sees')?.textContent.includes('<script>')")
        assert page.evaluate("document.querySelector('.name').textContent") == HOSTILE
        page.wait_for("document.querySelector('.latency canvas')")
        page.evaluate("document.querySelector('[name=latency]').value = '25,5'")
        for action in ('ask', 'set'):
            page.evaluate(f"document.querySelector('[data-action={action}]').click()")
            look = 'bad' if action == 'ask' else 'good'
            page.wait_for(f"document.querySelector('.answer.{look}')")
            assert page.evaluate("document.querySelector('.answer p').textContent") == HOSTILE
        form = {'latency': '25.5ms', 'objective': 'minimum_energy', 'late_frames': 'serve'}
        assert shown.asked == [('ask', HOSTILE, form), ('set', HOSTILE, form)]
        assert page.evaluate('window.hacked') is None
        assert page.evaluate('briefNames([])') == []
        assert page.evaluate("briefNames(['/n/front', '/n/rear'])") == ['front', 'rear']
        assert page.evaluate("briefNames(['/front/n', '/rear/n'])") == ['front', 'rear']
        assert page.evaluate("briefNames(['/n', '/n/rear'])") == ['n', 'n/rear']
        assert page.evaluate("document.querySelectorAll('script').length") == 3
        assert not [text for text in page.problems if '400' not in text]
        # Nothing sticks out at the width of a phone.
        page.open(f'http://127.0.0.1:{port}/', width=390, height=844, dark=True)
        page.wait_for("document.querySelector('.latency canvas')")
        assert page.evaluate('document.documentElement.scrollWidth') <= 390

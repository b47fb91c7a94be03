# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Three imported detectors, exchanged while a camera of 640x480 streams at 30 Hz.

Beside it, in the same run, what packages do that hold one model at a time: close it, load the next
one, warm it up, and serve no frame meanwhile (EmbodiedAgents, yolo_ros). Then the same through
camera topic and node. Each result is compared with what every model finds in that frame off line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
import tempfile
import threading
import time
from typing import Any

import numpy as np
from report import Figure, figure

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.nodes.common.memory import Collections
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.serving.exchange import SubNetworkExchange
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.serving.server import Server
from dynamic_dnn_ros.serving.stream import FrameStream
from dynamic_dnn_ros.tasks.contract import Detections, Limits
from support.shared_data import DATA

RATE = 30.0
SEGMENT = 8.0
"""s of each stream, one without switches, one with them, one of the peer."""

PERIOD = 0.2
"""s between two switches."""

PICTURES = 8
"""Real pictures that the camera shows in turn."""

EXCHANGES = 300
TIMEOUT = 60.0

MODELS = ('nanodet-plus-m-320.onnx', 'nanodet-plus-m-416.onnx')
"""The third one is the second with its weights changed a little: another model, which says so."""


@dataclass
class Outcome:
    """What came of a stream: when results came, s, and how many frames were not served."""

    times: list[float] = field(default_factory=list)
    lost: int = 0
    switches: int = 0
    foreign: int = 0

    @property
    def largest_gap(self) -> float:
        """Return the largest time between two results, s."""
        return float(np.diff(self.times).max())


def detector_switching(runs: int, not_measured: list[str]) -> list[Figure]:
    """Return the figures; nothing where the detectors are not here."""
    folder = DATA / 'models/nanodet'
    pictures = DATA / 'labelled/coco128/images/val2017'
    if not folder.exists() or not pictures.exists():
        not_measured.append('switching of imported detectors: the shared models are absent')
        return []
    with tempfile.TemporaryDirectory() as work:
        bundle = imported(folder, Path(work))
        frames = camera_pictures(pictures)
        found: dict[str, list[Outcome]] = {'none': [], 'ours': [], 'peer': []}
        exchanges = []
        for turn in range(runs):
            engine = create_engine('onnxruntime', bundle, 1)
            exchange = SubNetworkExchange(engine, bundle.manifest)
            try:
                exchange.start(bundle.manifest.sub_networks[0].id, 'cpu')
                if not exchange.wait_until_idle(TIMEOUT):
                    raise TimeoutError('not all sub-networks were prepared')
                Collections().leave_out(True, time.monotonic())
                expected = _off_line(bundle, exchange, frames)
                exchanges.append(_exchange_99(exchange, bundle, turn))
                found['none'].append(_stream(bundle, exchange, frames, expected, None, turn))
                found['ours'].append(_stream(bundle, exchange, frames, expected, PERIOD, turn))
            finally:
                exchange.close()
            found['peer'].append(_peer(bundle, frames, turn))
    gaps = {kind: [one.largest_gap for one in each] for kind, each in found.items()}
    ratio = [one / none for one, none in zip(gaps['ours'], gaps['none'])]
    theirs = [
        one.largest_gap / none.largest_gap for one, none in zip(found['peer'], found['none'])
    ]
    what = f'{RATE:g} Hz, 640x480, a switch each {PERIOD:g} s among three imported detectors'
    return [
        figure('exchange of two imported detectors, 99 %', exchanges, 's', '<= 0.0001'),
        figure(
            f'{what}: frames lost beyond those without switches',
            [a.lost - b.lost for a, b in zip(found['ours'], found['none'])],
            'frames',
            '<= 0',
        ),
        figure(
            f'{what}: results that are of no model, or of another than they say',
            [one.foreign for one in found['ours']],
            'results',
            '<= 0',
        ),
        figure(f'{what}: switches', [one.switches for one in found['ours']], 'switches'),
        figure(f'{what}: largest gap against none', ratio, 'ratio'),
        figure('close the model, load the next: largest gap against none', theirs, 'ratio'),
        figure(
            'close the model, load the next: frames lost beyond those without switches',
            [a.lost - b.lost for a, b in zip(found['peer'], found['none'])],
            'frames',
        ),
    ]


def imported(folder: Path, work: Path) -> Bundle:
    """Import the three detectors as a user would, without measuring their accuracy."""
    from dynamic_dnn_ros.cli.main import main

    output, third = work / 'detectors', work / 'third.onnx'
    _changed(folder / MODELS[1], third)
    arguments = ['import-onnx', *(str(folder / name) for name in MODELS), str(third)]
    arguments += ['--labels', 'coco', '--resolutions', '320', '--output', str(output)]
    if main(arguments) != 0:
        raise RuntimeError('the detectors could not be imported')
    return read_bundle(output)


def _changed(path: Path, to: Path) -> None:
    """Write a model whose largest tensor is one hundredth larger."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(path))
    largest = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    array = numpy_helper.to_array(largest)
    changed = numpy_helper.from_array((array * 1.01).astype(array.dtype), largest.name)
    largest.CopyFrom(changed)
    onnx.save(model, str(to))


def camera_pictures(folder: Path, count: int = PICTURES) -> list[RawPicture]:
    """Return real pictures as a camera of 640x480 would send them."""
    from PIL import Image

    found = []
    for path in sorted(folder.glob('*.jpg'))[:count]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert('RGB').resize((640, 480)))
        found.append(RawPicture('rgb8', 640, 480, 640 * 3, pixels.tobytes()))
    return found


def _off_line(
    bundle: Bundle, exchange: SubNetworkExchange, frames: list[RawPicture]
) -> dict[tuple[str, int], Detections]:
    """Return what each sub-network finds in each picture, one after the other."""
    task, manifest = bundle.manifest.make_task(), bundle.manifest
    found: dict[tuple[str, int], Any] = {}
    for prepared in exchange.each('cpu'):
        entry = prepared.sub_network
        for index, frame in enumerate(frames):
            picture, placement = fitted(frame, entry.size, manifest.preprocessing)
            outputs = prepared.run(picture)
            found[entry.id, index] = task.decode(outputs, 0, placement, manifest.labels, Limits())
    return found


def _exchange_99(exchange: SubNetworkExchange, bundle: Bundle, seed: int) -> float:
    generator = np.random.default_rng(seed)
    names = [entry.id for entry in bundle.manifest.sub_networks]
    times = []
    for _ in range(EXCHANGES):
        present = exchange.serving.sub_network.id
        name = str(generator.choice([other for other in names if other != present]))
        begun = time.perf_counter()
        exchange.request(name, 'cpu', lambda _: None, _fail)
        times.append(time.perf_counter() - begun)
    return float(np.percentile(times, 99))


def _fail(error: Exception) -> None:
    raise error


def _stream(
    bundle: Bundle,
    exchange: SubNetworkExchange,
    frames: list[RawPicture],
    expected: Mapping[tuple[str, int], Detections],
    period: float | None,
    seed: int,
) -> Outcome:
    stream = Outcome()

    def on_served(served: ServedFrame) -> None:
        stream.times.append(time.monotonic())
        wanted = expected[served.sub_network, served.frame.origin]
        if not _same(served.result, wanted):
            stream.foreign += 1

    rejected: list[str] = []
    server = Server()
    camera = FrameStream(
        'camera',
        exchange,
        bundle.manifest.preprocessing,
        bundle.manifest.make_task(),
        bundle.manifest.labels,
        limits=Limits,
        stuck_after=TIMEOUT,
        reduced_decoding=False,
        on_served=on_served,
        on_rejected=lambda frame, reason: rejected.append(reason),
    )
    server.add(camera)
    stop = threading.Event()
    switching = threading.Thread(
        target=_switch, args=(exchange, bundle, period, seed, stop, stream)
    )
    switching.start()
    sent = _send(frames, lambda frame: camera.put(frame))
    stop.set()
    switching.join()
    server.close(TIMEOUT)
    if rejected:
        raise RuntimeError(rejected[0])
    stream.lost = sent - len(stream.times)
    return stream


def _same(found: Any, expected: Detections) -> bool:
    return (
        len(found) == len(expected)
        and np.array_equal(found.classes, expected.classes)
        and np.allclose(found.boxes, expected.boxes, atol=1e-2)
        and np.allclose(found.scores, expected.scores, atol=1e-4)
    )


def _send(frames: list[RawPicture], put: Callable[[CameraFrame], object]) -> int:
    due, count = time.monotonic(), int(SEGMENT * RATE)
    for number in range(count):
        time.sleep(max(0.0, due - time.monotonic()))
        index = number % len(frames)
        put(CameraFrame(frames[index], time.monotonic(), index))
        due += 1 / RATE
    time.sleep(3 / RATE)
    return count


def _switch(
    exchange: SubNetworkExchange,
    bundle: Bundle,
    period: float | None,
    seed: int,
    stop: threading.Event,
    stream: Outcome,
) -> None:
    generator = np.random.default_rng(seed)
    names = [entry.id for entry in bundle.manifest.sub_networks]
    while not stop.wait(period):
        present = exchange.serving.sub_network.id
        name = str(generator.choice([other for other in names if other != present]))
        exchange.request(name, 'cpu', lambda _: None, lambda error: None)
        stream.switches += 1


def _peer(bundle: Bundle, frames: list[RawPicture], seed: int) -> Outcome:
    """
    Serve the newest frame with one model at a time, which is closed before the next is loaded.

    The same engine, scaling and decoding; a switch comes as often as above.
    """
    stream, generator = Outcome(), np.random.default_rng(seed)
    task, manifest = bundle.manifest.make_task(), bundle.manifest
    newest: list[CameraFrame] = []
    arrived, done = threading.Condition(), threading.Event()

    def put(frame: CameraFrame) -> None:
        with arrived:
            newest[:] = [frame]
            arrived.notify()

    def serve() -> None:
        engine = create_engine('onnxruntime', bundle, 1)
        prepared = engine.prepare(manifest.sub_networks[0], 'cpu')
        due = time.monotonic() + PERIOD
        while True:
            with arrived:
                while not newest and not done.is_set():
                    arrived.wait(0.01)
                if not newest:
                    return
                frame = newest.pop()
            if time.monotonic() >= due:
                others = [e for e in manifest.sub_networks if e.id != prepared.sub_network.id]
                prepared.close()
                chosen = others[int(generator.integers(len(others)))]
                engine = create_engine('onnxruntime', bundle, 1)
                prepared = engine.prepare(chosen, 'cpu')
                stream.switches += 1
                due = time.monotonic() + PERIOD
            entry = prepared.sub_network
            picture, placement = fitted(frame.picture, entry.size, manifest.preprocessing)
            task.decode(prepared.run(picture), 0, placement, manifest.labels, Limits())
            stream.times.append(time.monotonic())

    thread = threading.Thread(target=serve)
    thread.start()
    sent = _send(frames, put)
    done.set()
    thread.join()
    stream.lost = sent - len(stream.times)
    return stream

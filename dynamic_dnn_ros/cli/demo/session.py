# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the demo, from start to summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
import os
from pathlib import Path
import signal
import sys
import tempfile
import threading
import time
from types import FrameType

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor

from dynamic_dnn_ros.cli.demo.display import Display, choose_display, headline
from dynamic_dnn_ros.cli.demo.observer import NAMESPACE, Observer, candidates_of
from dynamic_dnn_ros.cli.demo.options import Options
from dynamic_dnn_ros.cli.demo.page import as_json, as_markdown
from dynamic_dnn_ros.cli.demo.picture import draw
from dynamic_dnn_ros.cli.demo.processes import (
    ProcessError,
    ProcessGroup,
    free_domain,
    isolated_environment,
)
from dynamic_dnn_ros.cli.demo.run_record import PhaseRecord, RunRecord
from dynamic_dnn_ros.cli.demo.script import Phase, goals_of_others, write_script
from dynamic_dnn_ros.cli.demo.sheet import draw_sheet
from dynamic_dnn_ros.cli.demo.stand_in import stand_in_bundle
from dynamic_dnn_ros.cli.demo.summary import failures, summarise
from dynamic_dnn_ros.nodes.common.log_folder import provide_log_folder

PACKAGE = 'dynamic_dnn_ros'
CAMERA = '/camera_node'
APPLICATION = '/inference_node'
MANAGER = f'{NAMESPACE}/manager_node'
PLATFORM = f'{NAMESPACE}/platform_node'
NODES = (PLATFORM, MANAGER, APPLICATION, CAMERA)

#: Seconds within which the nodes must be active and serve: importing a learning library is slow.
START_TIMEOUT = 90.0
#: Seconds that a node's ERROR may stand before the start is given up.
ERROR_PATIENCE = 3.0
#: Seconds before the end of a phase at which one annotated picture is asked for.
LOOK_BEFORE_END = 1.0
#: Seconds for which the executor waits for a message at most.
SPIN_PERIOD = 0.05


class DemoError(RuntimeError):
    """The demo cannot go on. The text says why, and what to do."""


def run_demo(options: Options) -> int:
    """
    Run the demo.

    :return: exit code: 0 when the whole chain served and every target was answered
    """
    display = choose_display()
    handle_signals()
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        with prepared(options, display) as ready:
            run, pictures = _observe(ready, display)
    except (DemoError, ProcessError, ValueError, OSError) as error:
        print(f'dynamic-dnn demo: {error}', file=sys.stderr)
        return 1
    phases = summarise(run)
    (options.output / 'summary.md').write_text(as_markdown(run, phases))
    (options.output / 'summary.json').write_text(as_json(run, phases))
    draw(run, phases, options.output / 'demo.png')
    display.report(run, phases)
    display.say(f'summary: {options.output / "summary.md"}, {options.output / "summary.json"}')
    display.say(f'picture: {options.output / "demo.png"}')
    if pictures:
        draw_sheet(pictures, options.output / 'frames.png')
        display.say(f'frames:  {options.output / "frames.png"}')
    if options.record is not None:
        display.say(f'bag:     {options.record}')
    problems = failures(run, phases)
    for problem in problems:
        print(f'dynamic-dnn demo: failed: {problem}', file=sys.stderr)
    return 1 if problems else 0


_interrupted = threading.Event()


def handle_signals() -> None:
    """Have SIGTERM and a closed terminal end the demo as Ctrl-C does: all goes with it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup it outlives its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def spin_once(executor: Executor) -> None:
    """
    Let an executor work for a moment.

    :raises KeyboardInterrupt: after a signal, also where rclpy makes another error of it: one that
        comes while a message is converted is a RuntimeError of its bindings
    """
    try:
        executor.spin_once(timeout_sec=SPIN_PERIOD)
    except RuntimeError as error:
        if _interrupted.is_set():
            raise KeyboardInterrupt from error
        raise


@contextmanager
def prepared(options: Options, display: Display) -> Iterator[Options]:
    """Make the bundle of stand-ins where one is asked for, for as long as the run lasts."""
    if options.stand_in is None:
        yield options
        return
    with tempfile.TemporaryDirectory(prefix='dynamic_dnn_stand_in_') as folder:
        bundle = stand_in_bundle(Path(folder) / 'yolov8', options.stand_in, options.platform)
        display.say(
            'STAND-INS: networks that compute nothing and find nothing take the place of YOLOv8 '
            f'n, s and m; their latencies are from {options.stand_in.name}, their accuracies given'
        )
        yield replace(options, bundle=str(bundle))


def _observe(options: Options, display: Display) -> tuple[RunRecord, list[tuple[str, bytes]]]:
    try:
        executables = Path(get_package_prefix(PACKAGE)) / 'lib' / PACKAGE
        profile = Path(get_package_share_directory(PACKAGE)) / 'config/dds/shared_memory.xml'
    except PackageNotFoundError as error:
        raise DemoError(
            f'the ROS package {PACKAGE} is not built, or not sourced. Build it with colcon and '
            'source install/setup.bash, or run `make demo` in the sources.'
        ) from error
    logs = options.output / 'logs'
    logs.mkdir(exist_ok=True)
    with free_domain() as domain:
        environment = isolated_environment(domain, profile)
        os.environ.update(environment)
        group = ProcessGroup(environment, logs)
        display.say(
            f'starting camera, inference, manager and platform node (ROS_DOMAIN_ID={domain}, '
            f'logs in {logs}) ...'
        )
        display.say(
            'to look at it from another terminal, in this environment: '
            f'ROS_DOMAIN_ID={domain} dynamic-dnn watch'
        )
        try:
            return _observe_graph(group, executables, domain, display, options)
        finally:
            group.remove_shared_memory()


def _observe_graph(
    group: ProcessGroup, executables: Path, domain: int, display: Display, options: Options
) -> tuple[RunRecord, list[tuple[str, bytes]]]:
    # Unwinds in reverse: the processes end before the node that they were observed by.
    with ExitStack() as stack:
        recording = None
        if options.record is not None:
            from dynamic_dnn_ros.cli.demo.bag_writer import BagWriter

            recording = stack.enter_context(BagWriter(options.record))
        context = Context()
        provide_log_folder()
        context.init(args=None, domain_id=domain)
        stack.callback(context.try_shutdown)
        observer = Observer(context, applications_of(options))
        stack.callback(observer.destroy_node)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(observer)
        stack.callback(executor.shutdown)
        if recording is not None:
            observer.record(recording, images=options.transport == 'compressed')
        stack.enter_context(group)
        _start(group, executables, options)
        _wait_until_active(group, observer, executor)
        _follow_script(group, observer, executor, display, options)
        observer.run.source = _source_text(options)
        observer.run.stand_ins = options.stand_in.name if options.stand_in is not None else ''
        return observer.run, observer.pictures


def applications_of(options: Options) -> list[str]:
    """Return the ids of the applications: that of the node, or one for each of its cameras."""
    if options.cameras == 1:
        return [APPLICATION]
    return [f'{APPLICATION}/{name}' for name in _names(options)]


def _names(options: Options) -> list[str]:
    return [f'camera_{number}' for number in range(1, options.cameras + 1)]


def _streams(options: Options) -> list[str]:
    """Return arguments by which the inference node serves several cameras, of one topic."""
    if options.cameras == 1:
        return []
    arguments = ['-p', f'cameras:=[{",".join(_names(options))}]']
    for name in _names(options):
        for topic in ('image', 'image/compressed'):
            arguments += ['-r', f'{name}/{topic}:=/{topic}']
    return arguments


def _start(group: ProcessGroup, executables: Path, options: Options) -> None:
    arguments: dict[str, dict[str, str]] = {
        PLATFORM: {'platform': options.platform, 'manager_namespace': NAMESPACE},
        MANAGER: {'manager_namespace': NAMESPACE},
        APPLICATION: {'manager_namespace': NAMESPACE, 'image_transport': options.transport},
        CAMERA: {
            'source': options.source,
            'path': options.path,
            'rate': f'{options.rate:.6f}',
            'transport': options.transport,
        },
    }
    if options.bundle:
        arguments[APPLICATION]['bundle'] = options.bundle
    for name in NODES:
        namespace, node = name.rsplit('/', 1)
        group.start(
            node,
            [
                str(executables / node),
                '--ros-args',
                *('-r', f'__ns:={namespace or "/"}'),
                *_parameters(arguments[name]),
                *(_streams(options) if name == APPLICATION else ()),
            ],
        )


def _parameters(values: dict[str, str]) -> list[str]:
    """Return parameters for the command line; text in quotes, so that YAML keeps it text."""
    arguments = []
    for name, value in values.items():
        shown = value if name == 'rate' else "'" + value.replace("'", "''") + "'"
        arguments += ['-p', f'{name}:={shown}']
    return arguments


def _source_text(options: Options) -> str:
    if options.source == 'pictures':
        return 'photographs that scikit-image carries'
    return f'{options.source} {Path(options.path).name}'


def _wait_until_active(
    group: ProcessGroup, observer: Observer, executor: SingleThreadedExecutor
) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    next_question = 0.0
    errors_since: dict[str, float] = {}
    while True:
        spin_once(executor)
        group.check()
        now = time.monotonic()
        waiting = [name for name in NODES if name not in observer.active]
        for name in waiting:
            if name not in observer.errors:
                continue
            if now - errors_since.setdefault(name, now) > ERROR_PATIENCE:
                raise DemoError(f'{name} did not start. {observer.errors[name]}')
        if not waiting and observer.has_operating_points and observer.serves:
            if observer.heard and observer.run.loads:
                return
        if now > deadline:
            raise DemoError(_why_not_started(group, observer, waiting))
        if now >= next_question:
            next_question = now + 0.3
            for name in waiting:
                observer.ask_state(name)


def _why_not_started(group: ProcessGroup, observer: Observer, waiting: list[str]) -> str:
    if waiting:
        tails = '\n'.join(
            f'-- the end of the log of {name}:\n{group.tail(name.rsplit("/", 1)[1])}'
            for name in waiting
        )
        return f'{", ".join(waiting)} did not become active in {START_TIMEOUT:g} s.\n{tails}'
    missing = [
        text
        for there, text in (
            (observer.has_operating_points, 'the application presented no operating points'),
            (observer.serves, 'no frame was served'),
            (observer.heard, 'the manager does not listen to targets'),
            (observer.run.loads, 'the platform node published no load'),
        )
        if not there
    ]
    return (
        f'all nodes are active, but within {START_TIMEOUT:g} s {" and ".join(missing)}.\n'
        f'-- the end of the log of {APPLICATION}:\n{group.tail("inference_node")}'
    )


def _follow_script(
    group: ProcessGroup,
    observer: Observer,
    executor: SingleThreadedExecutor,
    display: Display,
    options: Options,
) -> None:
    run = observer.run
    assert observer.presented is not None
    display.say(headline(run))
    script = write_script(candidates_of(observer.presented), options.seconds, options.cameras)
    run.phases = _schedule(script, observer.now)
    for other, goal in zip(run.others, goals_of_others(script, options.cameras)):
        other.phases = _schedule([Phase('all', goal, options.seconds)], observer.now)
        observer.send(other.application, goal)
    display.start()
    try:
        for record in run.phases:
            observer.send(run.application, record.phase.goal)
            looked = False
            while observer.now < record.end:
                spin_once(executor)
                group.check()
                observer.look_away()
                if not looked and observer.now > record.end - LOOK_BEFORE_END:
                    looked = True
                    observer.look(record.phase.name)
                display.update(run, observer.now, observer.seen)
    finally:
        display.stop()


def _schedule(script: list[Phase], start: float) -> list[PhaseRecord]:
    records = []
    for phase in script:
        records.append(PhaseRecord(phase, start, start + phase.seconds))
        start += phase.seconds
    return records

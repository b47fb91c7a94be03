# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the demo, from start to summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
import os
from pathlib import Path
import sys
import tempfile

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from dynamic_dnn_ros.cli.demo.display import Display, choose_display
from dynamic_dnn_ros.cli.demo.observer import Observer, candidates_of
from dynamic_dnn_ros.cli.demo.options import Options
from dynamic_dnn_ros.cli.demo.own_pictures import in_folder, of_bundle
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
from dynamic_dnn_ros.cli.demo.signals import handle_signals, spin_once
from dynamic_dnn_ros.cli.demo.stand_in import stand_in_bundle
from dynamic_dnn_ros.cli.demo.starting import (
    DemoError,
    applications_of,
    start,
    wait_until_active,
)
from dynamic_dnn_ros.cli.demo.summary import failures, summarise
from dynamic_dnn_ros.cli.demo.texts import headline
from dynamic_dnn_ros.cli.demo.verdict import judge
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.management.words import quality_title
from dynamic_dnn_ros.nodes.common.log_folder import provide_log_folder

PACKAGE = 'dynamic_dnn_ros'
#: Seconds before the end of a phase at which one annotated picture is asked for.
LOOK_BEFORE_END = 1.0


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
        draw_sheet(pictures, options.output / 'frames.png', headline(run))
        display.say(f'frames:  {options.output / "frames.png"}')
    if options.record is not None:
        display.say(f'bag:     {options.record}')
    problems = failures(run, phases)
    for problem in problems:
        print(f'dynamic-dnn demo: failed: {problem}', file=sys.stderr)
    return 1 if problems else 0


@contextmanager
def prepared(options: Options, display: Display) -> Iterator[Options]:
    """Make the bundle of stand-ins, and choose pictures, for as long as the run lasts."""
    with tempfile.TemporaryDirectory(prefix='dynamic_dnn_demo_') as folder:
        if options.stand_in is not None:
            bundle = stand_in_bundle(Path(folder) / 'yolov8', options.stand_in, options.platform)
            display.say(
                'STAND-INS: networks that compute nothing and find nothing take the place of '
                f'YOLOv8 n, s and m; their latencies are from {options.stand_in.name}, their '
                'accuracies given'
            )
            options = replace(options, bundle=str(bundle))
        if options.source == 'pictures':
            options = _with_pictures(options, Path(folder) / 'pictures', display)
        yield options


def _with_pictures(options: Options, folder: Path, display: Display) -> Options:
    """
    Choose the pictures that are given, or the bundle's own; say which are shown.

    :param folder: to write them into
    :raises DataError: when those that are given cannot be used
    """
    try:
        own = in_folder(Path(options.path)) if options.path else None
        if own is None and options.bundle:
            own = of_bundle(options.bundle, Path.cwd())
        if own is not None:
            folder.mkdir()
            count = own.write(folder)
            words = f'{count} of {len(own.names)} {own.words}'
            display.say(f'pictures: {words}')
            return replace(options, source='folder', path=str(folder), shown=words)
    except DataError as error:
        if options.path:
            raise
        display.say(f'the test pictures of this bundle cannot be shown: {error}')
    display.say(
        f'pictures: {options.shown}. Show yours with `dynamic-dnn demo --pictures FOLDER` '
        '(`make demo FOLDER=...`), or with --video, --camera, --bag'
    )
    return options


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
        start(group, executables, options)
        wait_until_active(group, observer, executor)
        _follow_script(group, observer, executor, display, options)
        observer.run.source = options.shown
        observer.run.stand_ins = options.stand_in.name if options.stand_in is not None else ''
        return observer.run, observer.captioned()


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
    script = write_script(
        candidates_of(observer.presented),
        options.seconds,
        options.cameras,
        quality_title(run.metric),
    )
    run.phases = _schedule(script, observer.now)
    for other, goal in zip(run.others, goals_of_others(script, options.cameras)):
        other.phases = _schedule([Phase('all', goal, options.seconds)], observer.now)
        observer.send(other.application, goal)
    display.start()
    try:
        for record in run.phases:
            observer.send(run.application, record.phase.goal)
            looked = False
            taken = ''
            while observer.now < record.end:
                spin_once(executor)
                group.check()
                observer.look_away()
                if not looked and observer.now > record.end - LOOK_BEFORE_END:
                    looked = True
                    observer.look(record.phase.name)
                display.update(run, observer.now, observer.seen)
                taker = judge(run, record, observer.now).other
                if taker and taker != taken:
                    taken = taker
                    display.say(f'ANOTHER TARGET: {taker}. This phase does not count as ours')
            display.say(f'{record.phase.name} is over: {judge(run, record).text}')
    finally:
        display.stop()


def _schedule(script: list[Phase], start: float) -> list[PhaseRecord]:
    records = []
    for phase in script:
        records.append(PhaseRecord(phase, start, start + phase.seconds))
        start += phase.seconds
    return records

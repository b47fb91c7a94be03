# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the inference node."""

from __future__ import annotations

from collections.abc import Sequence
import re

from dynamic_dnn_ros.bundles.profile import LARGEST_BATCH
from dynamic_dnn_ros.engines.contract import Precision
from dynamic_dnn_ros.engines.registry import BY_BUNDLE, engine_choices
from dynamic_dnn_ros.nodes.common.main import EXECUTOR_PARAMETER
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification
from dynamic_dnn_ros.nodes.common.picture_range import PICTURE_RANGE
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER, scheduler_names
from dynamic_dnn_ros.serving.tracking import tracker_names

#: Values of parameter `platform` that are no platform's id.
AUTO, NONE = 'auto', 'none'

#: Value of parameter `tracking` for no track ids.
NO_TRACKING = 'none'


MOST_CAMERAS = 32
"""Streams of a node at most."""

LONGEST_CAMERA = 64
"""Characters of the name of a camera: it is a part of the names of topics."""

_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')


def cameras_problem(names: Sequence[str]) -> str | None:
    """Return what is wrong with names of cameras, and how to mend it, or None."""
    for name in names:
        if len(name) > LONGEST_CAMERA or not _NAME.fullmatch(name):
            return (
                f'{name!r} is no name of a camera. Give letters, digits and underscores, a letter '
                f'first, at most {LONGEST_CAMERA} of them.'
            )
        if names.count(name) > 1:
            return f'{name!r} is there twice. Give each camera a name of its own.'
    if len(names) > MOST_CAMERAS:
        return f'these are {len(names)} cameras, and a node serves at most {MOST_CAMERAS}.'
    return None


PARAMETERS = (
    ParameterSpecification(
        'bundle',
        'cifar10_ofa',
        'The bundle to serve: the name of one that ships with the package, or a path.',
    ),
    ParameterSpecification(
        'engine',
        BY_BUNDLE,
        'What runs the sub-networks; auto: the fastest one that is installed and answers right, '
        'as measured when the bundle is first served; empty: torch for a super-network, '
        'onnxruntime for separate models.',
        choices=(BY_BUNDLE, *engine_choices()),
    ),
    ParameterSpecification(
        'precision',
        Precision.FLOAT32.value,
        'The numbers that the engine computes with. Fewer bits are faster where processor and '
        'engine have them, and cost accuracy.',
        choices=tuple(precision.value for precision in Precision),
    ),
    ParameterSpecification(
        'largest_batch',
        1,
        'Frames of several cameras that may run together at most, where they have one sub-network '
        'and the engine takes several pictures. On a CPU that is faster with small networks only; '
        '`profile --batches` measures it.',
        minimum=1,
        maximum=LARGEST_BATCH,
    ),
    ParameterSpecification(
        'memory_budget',
        1_000_000_000,
        'Memory for all sub-networks that are ready together; 0: no limit. Where not all fit, '
        'those that are likely to be wanted next are ready, and a switch to another one waits '
        'until it is prepared while the present one serves.',
        'bytes',
        minimum=0,
        maximum=2**62,
    ),
    ParameterSpecification(
        'threads', 1, 'Threads of one inference on the CPU.', minimum=1, maximum=256
    ),
    ParameterSpecification(
        'cameras',
        (),
        'Names of the cameras to serve, each a stream and an application of its own: `front` '
        'listens to `front/image`, publishes below `~/front`, and its id ends in `/front`. Empty: '
        'one camera without a name, on `image`.',
        live=True,
        check=cameras_problem,
    ),
    ParameterSpecification(
        'scheduler',
        DEFAULT_SCHEDULER,
        'By what the streams of this process take turns on a processor.',
        choices=scheduler_names(),
        live=True,
    ),
    ParameterSpecification(
        'latency',
        0.0,
        'Within which the scheduler is to serve each frame of a camera that has no target; 0: a '
        'period of the camera. With a target that of the target counts, as for the two below.',
        's',
        minimum=0.0,
        maximum=3600.0,
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'priority',
        0,
        'The higher is served first where not all can be on time.',
        minimum=0,
        maximum=255,
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'late_frames',
        'serve',
        'What becomes of a frame that can no longer be served within the latency.',
        choices=('serve', 'drop'),
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'image_transport',
        'raw',
        'raw subscribes to `image`, compressed to `image/compressed`.',
        choices=('raw', 'compressed'),
        by_part=True,
    ),
    ParameterSpecification(
        'reduced_decoding',
        True,
        'Decode JPEG frames at 1/2, 1/4 or 1/8 of their size where that leaves at least eight '
        "times the network's input; false: always all pixels.",
        by_part=True,
    ),
    PICTURE_RANGE,
    EXECUTOR_PARAMETER,
    ParameterSpecification(
        'sub_network',
        '',
        'The sub-network to begin with; empty: the most accurate one.',
        by_part=True,
    ),
    ParameterSpecification(
        'processor',
        '',
        'The processor to begin with; empty: the one that the engine prefers.',
    ),
    ParameterSpecification(
        'platform',
        AUTO,
        'Id of the platform whose profile counts; auto: the one that publishes '
        '`system_load`, none: none, so that latencies are measured at start.',
    ),
    ParameterSpecification(
        'results',
        5,
        'Classes in a classification, best first.',
        minimum=1,
        maximum=65535,
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'score_limit',
        0.25,
        'Detections with a lower score are left out.',
        minimum=0.0,
        maximum=1.0,
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'number_limit',
        100,
        'Detections in a result at most, the best of them.',
        minimum=1,
        maximum=65535,
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'overlap_limit',
        0.5,
        'Of two boxes of one class that overlap by more than this (intersection over union), only '
        'the better one is kept.',
        minimum=0.0,
        maximum=1.0,
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'tracking',
        NO_TRACKING,
        'What gives detections their track ids; bytetrack needs the Python package trackers.',
        choices=(NO_TRACKING, *tracker_names()),
        by_part=True,
    ),
    ParameterSpecification(
        'tracking_score',
        0.5,
        'A track begins with detections of at least this score; lower ones, down to '
        '`score_limit`, only go on with one.',
        minimum=0.0,
        maximum=1.0,
        by_part=True,
    ),
    ParameterSpecification(
        'annotated_rate',
        10.0,
        'Pictures on `~/annotated` a second at most, while somebody looks; 0: each. To draw one '
        'takes some milliseconds.',
        'Hz',
        minimum=0.0,
        maximum=1000.0,
        live=True,
        by_part=True,
    ),
    ParameterSpecification(
        'lazy', False, 'Subscribe to the camera only while somebody wants results.', by_part=True
    ),
    ParameterSpecification(
        'stuck_after',
        5.0,
        'With one frame for longer than this, the worker is reported as stuck.',
        's',
        minimum=0.01,
        maximum=3600.0,
    ),
    ParameterSpecification(
        'end_when_stuck',
        30.0,
        'A node whose worker has been stuck for longer than this ends, so that a launch file '
        'starts it again (`respawn`); 0: it goes on.',
        's',
        minimum=0.0,
        maximum=3600.0,
        live=True,
    ),
    ParameterSpecification(
        'seed',
        0,
        'Seed of the jitter on a simulated platform.',
        minimum=0,
        maximum=2**31 - 1,
    ),
)

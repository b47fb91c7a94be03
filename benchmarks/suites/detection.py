# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Detectors: are they decoded right, and how fast.

Correct: our decoders against the models' own post-processing on real pictures
(`detection_correct`), and AP against the code of their authors (`detection_authors`). Speed: from
outputs to a message, beside yolo_ros (`detection_speed`). Switching: three imported detectors,
beside closing one and loading the next (`detection_switching`). Live: through camera topic and
node, against off line (`detection_live`).
"""

from __future__ import annotations

from detection_authors import authors_accuracy
import detection_correct
from detection_live import detection_live
import detection_speed
from detection_switching import detector_switching
import numpy as np
from report import Figure, Report, figure
import torchvision_nms

from dynamic_dnn_ros.datasets.registry import open_dataset
from support.shared_data import DATA

RUNS = 3
PICTURES = 100
_MILLISECONDS = 1e3


def run(runs: int) -> Report:
    """Compare once, since nothing is left to chance; measure speed in each run."""
    missing: list[str] = []
    figures = [
        # First, while no threads of other libraries are there.
        *_speed(runs, missing),
        *_correct(missing),
        *authors_accuracy(missing),
        *detector_switching(runs, missing),
        *detection_live(runs, missing),
    ]
    configuration = {
        'pictures': PICTURES,
        'objects': detection_speed.OBJECTS,
        'camera': str(detection_speed.CAMERA),
        'input': str(detection_speed.INPUT),
        'not_measured': missing,
    }
    return Report('detection', 'measured', configuration, figures)


def _correct(missing: list[str]) -> list[Figure]:
    folder = DATA / 'labelled' / 'coco128'
    if not folder.exists():
        missing.append(f'Correct: {folder} is absent (DYNAMIC_DNN_SHARED_DATA names another)')
        return []
    data = open_dataset(folder, 'detection', split='val')
    pictures = [data[index].pixels for index in range(min(PICTURES, len(data)))]
    figures = []
    with detection_correct.threads(1):
        for name, make, absent in detection_correct.cases():
            if absent is not None:
                missing.append(f'Correct, {name}: {absent}')
                continue
            found = detection_correct.compare(make(), pictures)
            title = f'correct: {name} ({found.decoder})'
            figures += [
                figure(f'{title}: boxes compared', found.boxes, 'boxes', '> 0'),
                figure(f'{title}: boxes that differ', found.different, 'boxes', '<= 0'),
                figure(f'{title}: largest difference', found.largest_box, 'of the picture'),
                figure(f'{title}: largest difference in score', found.largest_score, ''),
            ]
    missing.append(
        'Correct, ultralytics_v5, efficient_nms, tflite_ssd: no package that makes such networks '
        'is at hand; tests compare them with plain loops over their published layouts'
    )
    return figures


def _speed(runs: int, missing: list[str]) -> list[Figure]:
    values = detection_speed.outputs()
    calls = {'ours': detection_speed.ours(values)}
    theirs = detection_speed.theirs(values)
    if isinstance(theirs, str):
        missing.append(f'Speed, {theirs}')
    else:
        calls['yolo_ros'] = theirs
    with torchvision_nms.suppression():
        counts = {name: len(call()) for name, call in calls.items()}
    times = [detection_speed.timed(calls) for _ in range(runs)]
    figures = [figure(f'speed: boxes, {name}', count, 'boxes') for name, count in counts.items()]
    for name in calls:
        for title, share, bar in (('median', 50, None), ('p99', 99, '<= 3')):
            figures.append(
                figure(
                    f'speed: outputs to message, {name}, {title}',
                    [_MILLISECONDS * np.percentile(each[name], share) for each in times],
                    'ms',
                    bar if name == 'ours' else None,
                )
            )
    if 'yolo_ros' in calls:
        figures.append(
            figure(
                'speed: ours against yolo_ros, median',
                [float(np.median(each['ours']) / np.median(each['yolo_ros'])) for each in times],
                'ratio',
                '<= 0.3333',
            )
        )
    return figures

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import AccuracySource
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import shipped_bundle_of
from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.stand_in import BOARDS, NETWORKS, SHARES, stand_in_bundle
from dynamic_dnn_ros.cli.demo.summary import notes, platform_text
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.pictures.placement import Placement
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.tasks.contract import Limits

pytest.importorskip('onnx', reason='stand-ins are ONNX models')


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = ['board,framework,network,image_size,mean_ms']
    for board, framework in BOARDS.values():
        lines += [
            f'{board},{framework},{name},{side},{(1 + place) * side / 100}'
            for place, name in enumerate(NETWORKS)
            for side in SHARES
        ]
    path = tmp_path / 'latency.csv'
    path.write_text('\n'.join(lines) + '\n')
    return path


@pytest.mark.parametrize('platform', BOARDS)
def test_stand_ins_find_nothing_and_take_the_time_of_the_table(
    table: Path, tmp_path: Path, platform: str
) -> None:
    pytest.importorskip('onnxruntime')
    bundle = read_bundle(stand_in_bundle(tmp_path / 'stand_in', table, platform))
    manifest = bundle.manifest
    assert len(manifest.sub_networks) == len(NETWORKS) * len(SHARES)
    assert {entry.accuracy_source for entry in manifest.sub_networks} == {AccuracySource.GIVEN}
    profile = bundle.profile(platform)
    assert profile is not None and profile.measured_elsewhere == 'latency.csv'
    highest = (profile.frequencies == profile.frequencies.max(axis=0)).all(axis=1)
    small = profile.sub_network == profile.sub_networks.index('yolov8s_320')
    assert profile.latency_mean[highest & small].tolist() == [pytest.approx(0.0064)]

    engine = create_engine('onnxruntime', bundle, 1)
    entry = manifest.sub_network('yolov8n_160')
    outputs = engine.prepare(entry, 'cpu').run(np.zeros((160, 160, 3), np.uint8))
    placement = Placement.of(entry.size, entry.size, manifest.preprocessing)
    found = manifest.make_task().decode(outputs, 0, placement, manifest.labels, Limits())
    assert len(found) == 0


def test_a_board_without_measurements_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match='Choose of: xavier_nx_simulated, orin_nano_simulated'):
        stand_in_bundle(tmp_path / 'stand_in', table, 'orin_nx_simulated')


def test_the_summary_says_that_they_are_stand_ins() -> None:
    run = RunRecord(simulated=True, extrapolated=True, platform='orin_nano_simulated')
    assert 'runs for real' in notes(run, [])[0]
    assert 'nothing here was measured' in platform_text(run)
    run.stand_ins = 'latency.csv'
    text = ' '.join(notes(run, []))
    assert '**stand-ins** that compute nothing' in text and 'runs for real' not in text
    assert 'latencies of latency.csv' in platform_text(run)


def test_a_bundle_that_ships_is_found_by_its_task() -> None:
    assert shipped_bundle_of('classification').name.startswith('cifar10')
    with pytest.raises(BundleError, match="task 'chess': has no bundle that ships"):
        shipped_bundle_of('chess')

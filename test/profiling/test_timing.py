# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.engines.contract import Outputs, Picture, PreparedSubNetwork
from dynamic_dnn_ros.profiling.timing import Distribution, timed_runs, workload
from support.bundles import PREPROCESSING, make_bundle
from support.profiled_computer import Time


def test_every_run_counts() -> None:
    time = Time()
    durations = iter([0.5, 0.1, 0.1, 0.1, 0.1])
    latencies = timed_runs(
        lambda: time.sleep(next(durations)), lambda runs, seconds: seconds > 0.75, time
    )
    assert latencies.tolist() == pytest.approx([0.5, 0.1, 0.1, 0.1])
    assert Distribution.of(latencies) == Distribution(
        *map(pytest.approx, (0.2, 0.1, *np.percentile(latencies, (95, 99))))
    )


class Mirror(PreparedSubNetwork):
    def run(self, picture: Picture) -> Outputs:
        self.picture = picture
        return {'logits': np.zeros((1, 1), np.float32)}


@pytest.mark.parametrize('size', [None, (64, 48)])
def test_a_sub_network_gets_a_picture_of_its_resolution(
    tmp_path: Path, size: tuple[int, int] | None
) -> None:
    entry = make_bundle(tmp_path / 'synthetic').manifest.sub_networks[0]
    mirror = Mirror(entry, 'cpu')
    workload(mirror, PREPROCESSING, size)()
    assert mirror.picture.shape == (*entry.size, 3)
    assert mirror.picture.std() > 1

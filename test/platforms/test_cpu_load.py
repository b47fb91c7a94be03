# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How busy CPUs and clusters of them are, and what of it is ours."""

import psutil
import pytest

from dynamic_dnn_ros.platforms import cpu_load
from dynamic_dnn_ros.platforms.cpu_load import CpuLoad, cpu_numbers


@pytest.mark.parametrize(
    ('text', 'numbers'),
    [
        ('0-3,6\n', (0, 1, 2, 3, 6)),
        ('0 1 2 3\n', (0, 1, 2, 3)),
        ('7', (7,)),
        ('', ()),
        ('all -1 x-2 3', (3,)),
    ],
)
def test_lists_of_cpus(text: str, numbers: tuple[int, ...]) -> None:
    assert cpu_numbers(text) == numbers


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path) -> CpuLoad:
    """Return the load of CPUs 0, 1, 4 and 5, of which the last two are busy."""
    monkeypatch.setattr(psutil, 'cpu_percent', lambda percpu: [0.0, 20.0, 80.0, 100.0])
    online = tmp_path / 'online'
    online.write_text('0-1,4-5\n')
    monkeypatch.setattr(cpu_load, 'ONLINE', online)
    load = CpuLoad()
    load.read()
    return load


def test_clusters(load: CpuLoad) -> None:
    assert load.share((0, 1)) == pytest.approx(0.1)
    assert load.share((4, 5, 6, 7)) == pytest.approx(0.9)  # 6 and 7 are off line
    assert load.share(()) == pytest.approx(0.5)
    assert load.share((9,)) == pytest.approx(0.5)


def test_ours_is_shared_out_as_the_load_is(load: CpuLoad) -> None:
    """One busy second of two is ours: half of what each cluster does."""
    assert load.own_share(1.0, ()) == pytest.approx(0.25)
    assert load.own_share(1.0, (4, 5)) == pytest.approx(0.45)
    assert load.own_share(1.0, (0, 1)) == pytest.approx(0.05)
    assert load.own_share(50.0, (4, 5)) == pytest.approx(0.9)  # never more than there is


def test_an_idle_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, 'cpu_percent', lambda percpu: [0.0] * 4)
    load = CpuLoad()
    load.read()
    assert load.own_share(1.0, (0, 1)) == 0.0

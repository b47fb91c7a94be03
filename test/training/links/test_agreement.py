# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.training.links.agreement import check_alike, compare, data_digest
from dynamic_dnn_ros.training.processes import WorkerError
from support.process_group import together
from support.training import colour_pictures, training_configuration


@pytest.mark.parametrize(
    ('name', 'remedy'),
    [
        ('version of dynamic_dnn_ros', 'install the same on all computers'),
        ('`batch_size` in the training file', 'give all computers the same training file'),
        ('training data', 'give all computers the same pictures'),
    ],
)
def test_a_worker_that_differs_is_named(name, remedy):
    told = {'version of dynamic_dnn_ros': '1.0.0', name: '8'}
    with pytest.raises(WorkerError, match=f'process 2 has another {name} .*9.*8.*: {remedy}'):
        compare([told, told, {**told, name: '9'}])


def test_data_are_the_same_wherever_they_lie():
    names = ('a/1.png', 'b/2.png')
    here, there = (
        {'paths': tuple(Path(folder) / name for name in names), 'labels': np.arange(2)}
        for folder in ('/here', '/far/away')
    )
    assert data_digest(here) == data_digest(there)
    assert data_digest(here) != data_digest({**there, 'labels': np.arange(1, 3)})
    assert data_digest(here) != data_digest({**there, 'paths': there['paths'][::-1]})


def test_all_processes_say_which_one_has_other_pictures(tmp_path):
    def refused(rank):
        # Where its pictures lie, and on how many threads, is a computer's own.
        configuration = training_configuration(tmp_path / str(rank), threads=rank + 1)
        check_alike(configuration, colour_pictures(20))
        with pytest.raises(WorkerError) as raised:
            check_alike(configuration, colour_pictures(20, seed=rank))
        return str(raised.value)

    first, second = together(tmp_path, refused)
    assert first == second
    assert 'process 1 has another training data than process 0' in first

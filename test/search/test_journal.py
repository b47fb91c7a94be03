# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import numpy as np
import pytest

from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.journal import Journal

SUBJECT = {'weights': 'abc', 'pictures': 'def'}
FIRST, SECOND = {'depth': [1, 2]}, {'depth': [2, 2]}
STATISTICS = {'stem.running_mean': np.arange(3, dtype=np.float32)}


def fill(folder):
    with Journal(folder, SUBJECT) as journal:
        journal.record_accuracy(FIRST, 0.5, STATISTICS)
        journal.record_cost(FIRST, 0.25, 'quiet')
        journal.record_accuracy(SECOND, 0.75, {})


def test_what_is_recorded_is_there_in_the_next_run(tmp_path):
    fill(tmp_path)
    with Journal(tmp_path, SUBJECT) as journal:
        assert journal.accuracy(FIRST) == 0.5
        assert journal.accuracy(SECOND) == 0.75
        assert journal.accuracy({'depth': [1, 1]}) is None
        assert journal.cost(FIRST, 'quiet') == 0.25
        assert journal.cost(FIRST, 'loud') is None
        assert journal.cost(SECOND, 'quiet') is None
        np.testing.assert_array_equal(
            journal.statistics(FIRST)['stem.running_mean'], STATISTICS['stem.running_mean']
        )
        assert journal.statistics(SECOND) == {}


def test_a_line_cut_short_by_a_kill_is_dropped_and_the_rest_kept(tmp_path):
    fill(tmp_path)
    path = tmp_path / 'journal.jsonl'
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines()[-1]) + 1):
        path.write_bytes(whole[:-cut])
        with Journal(tmp_path, SUBJECT) as journal:
            assert journal.cost(FIRST, 'quiet') == 0.25
            assert journal.accuracy(SECOND) is None
            journal.record_accuracy(SECOND, 0.7, {})
        with Journal(tmp_path, SUBJECT) as journal:
            assert journal.accuracy(SECOND) == 0.7


def test_even_the_first_line_may_be_cut_short(tmp_path):
    fill(tmp_path)
    path = tmp_path / 'journal.jsonl'
    path.write_bytes(path.read_bytes()[:5])
    with Journal(tmp_path, SUBJECT) as journal:
        assert journal.accuracy(FIRST) is None
    assert json.loads(path.read_text()) == {'subject': SUBJECT}


def test_a_journal_of_other_weights_is_refused_and_left_alone(tmp_path):
    fill(tmp_path)
    before = (tmp_path / 'journal.jsonl').read_bytes()
    with pytest.raises(SearchError, match=r'its weights differ: remove .* to search anew'):
        Journal(tmp_path, {**SUBJECT, 'weights': 'xyz'})
    assert (tmp_path / 'journal.jsonl').read_bytes() == before


@pytest.mark.parametrize(
    'line',
    [
        b'nonsense\n',
        b'[]\n',
        b'{"accuracy": 0.5}\n',
        b'{"configuration": {}, "cost": -1, "conditions": ""}\n',
        b'{"configuration": {}, "cost": NaN, "conditions": ""}\n',
    ],
)
def test_a_damaged_journal_is_refused(tmp_path, line):
    fill(tmp_path)
    with (tmp_path / 'journal.jsonl').open('ab') as file:
        file.write(line)
    with pytest.raises(SearchError, match=r'journal\.jsonl is damaged'):
        Journal(tmp_path, SUBJECT)


def test_a_second_search_is_told_of_the_first(tmp_path):
    with Journal(tmp_path, SUBJECT), pytest.raises(SearchError, match='used by another search'):
        Journal(tmp_path, SUBJECT)
    with Journal(tmp_path, SUBJECT):
        pass


def test_statistics_that_are_gone_are_named(tmp_path):
    fill(tmp_path)
    for path in (tmp_path / 'statistics').iterdir():
        path.unlink()
    missing = pytest.raises(SearchError, match=r'statistics.* cannot be read .* search anew')
    with Journal(tmp_path, SUBJECT) as journal, missing:
        journal.statistics(FIRST)

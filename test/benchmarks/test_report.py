# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The format of benchmark results, and those that are kept."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / 'benchmarks'
RESULTS = sorted((BENCHMARKS / 'results').glob('*.json'))
FIELDS = {'suite', 'kind', 'host', 'configuration', 'figures'}
ROW = {'name', 'value', 'unit', 'low', 'high', 'bar'}


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the module, which lies outside of the package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module('report')


def test_a_figure_is_the_median_with_its_extremes(report: ModuleType) -> None:
    row = report.figure('latency', [3.0, 1.0, 2.0], 's')
    assert (row.value, row.low, row.high) == (2.0, 1.0, 3.0)
    assert row.met is None


@pytest.mark.parametrize(
    ('values', 'bar', 'met'),
    [
        ([1.0, 2.0], '<= 2', True),
        ([1.0, 2.1], '<= 2', False),
        ([200, 200], '>= 200', True),
        ([200, 199], '>= 200', False),
        ([float('nan')], '<= 2', False),
        ([0.56], '> 0.56', False),
        ([0.57, 0.561], '> 0.56', True),
    ],
)
def test_every_run_has_to_meet_the_bar(
    report: ModuleType, values: list[float], bar: str, met: bool
) -> None:
    assert report.figure('figure', values, '', bar).met is met


def test_a_report_is_written_as_rows(report: ModuleType, tmp_path: Path) -> None:
    rows = [report.figure('lost', 0, 'frames', '<= 0'), report.figure('late', [1, 2], 's')]
    report.Report('stream', 'measured', {'rate': 30.0}, rows).write(tmp_path / 'stream.json')
    written = json.loads((tmp_path / 'stream.json').read_text())
    assert set(written) == FIELDS
    assert all(set(row) == ROW for row in written['figures'])
    assert written['figures'][0]['bar'] == '<= 0'
    assert {'cpu', 'cores', 'load_average', 'date'} <= set(written['host'])


def test_what_was_not_measured_stands_below_the_table(report: ModuleType) -> None:
    row = report.figure('lost', 0, 'frames')
    missing = {'not_measured': ['s3 alone: train it']}
    shown = report.Report('stream', 'measured', missing, [row]).table()
    assert shown.endswith('|\n\nNot measured:\n\n- s3 alone: train it')
    assert 'Not measured' not in report.Report('stream', 'measured', {}, [row]).table()


def test_the_page_shows_the_picture_of_a_suite_that_has_one(
    report: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = importlib.import_module('document')
    monkeypatch.setattr(document, 'PAGE', tmp_path / 'benchmarks.md')
    monkeypatch.setitem(document.HEADLINES, 'stream', ('lost',))
    configuration = {'runs': 1}
    rows = [report.figure('lost', 0, 'frames')]
    written = report.Report('stream', 'measured', configuration, rows)
    written.host['load_average_before'] = [0.5]
    written.write(tmp_path / 'results' / 'stream.json')
    page = 'Before.\n<!-- figures of stream -->\nold\n<!-- end -->\nAfter.\n'
    plain = document.renewed(page, tmp_path / 'results')
    assert 'old' not in plain and '![' not in plain and '1 run;' in plain
    picture = document.picture_of(written)
    picture.parent.mkdir()
    picture.touch()
    shown = document.renewed(plain, tmp_path / 'results')
    assert '\n\n![Figures of stream](images/stream.png)\n\n| figure' in shown
    assert document.renewed(shown, tmp_path / 'results') == shown


def test_the_page_shows_headlines_and_whatever_missed_its_mark(
    report: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = importlib.import_module('document')
    monkeypatch.setitem(document.HEADLINES, 'stream', ('late',))
    rows = [
        report.figure('lost', 0, 'frames', '<= 0'),
        report.figure('slow', 2.3456, 's', '<= 1'),
        report.figure('late, of 180', 12345.6, 'frames'),
    ]
    written = report.Report('stream', 'measured', {'runs': 1}, rows)
    written.host['load_average_before'] = [0.5]
    written.write(tmp_path / 'stream.json')
    page = document.renewed('<!-- figures of stream -->\n<!-- end -->', tmp_path)
    assert '| late, of 180 | 12346 |' in page
    assert '1 of 2 marks are missed' in page and '| slow | 2.35 |' in page
    assert '| lost |' not in page
    assert '1 of 2 marks are met. All 3 figures: [stream.json]' in page


@pytest.mark.parametrize('path', RESULTS, ids=lambda path: path.stem)
def test_each_suite_has_at_most_five_headlines(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    document = importlib.import_module('document')
    kept = document.read_report(path)
    shown = document.headlines_of(kept)
    assert 1 <= len(shown) <= importlib.import_module('headlines').MOST
    assert len({row.name for row in shown}) == len(shown)


@pytest.mark.parametrize('path', RESULTS, ids=lambda path: path.stem)
def test_kept_results_say_what_they_are(path: Path) -> None:
    kept = json.loads(path.read_text())
    assert set(kept) == FIELDS
    assert kept['suite'] == path.stem
    assert kept['kind'] in ('measured', 'simulated')
    assert kept['figures']
    for row in kept['figures']:
        assert set(row) == ROW
        assert row['low'] <= row['value'] <= row['high'], row['name']


def test_the_page_shows_the_kept_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    document = importlib.import_module('document')
    page = document.PAGE.read_text()
    assert document.renewed(page, BENCHMARKS / 'results') == page, 'run make bench once more'

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

Import = Callable[[str], ModuleType]


@pytest.mark.parametrize(
    'arguments',
    [['recalibration', '--pictures', '5'], ['stream', '--pictures', '5', '--output', 'x.json']],
    ids=['into the kept figures', 'of a suite without pictures'],
)
def test_fewer_pictures_are_for_trials_only(
    benchmark: Import,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.setattr('sys.argv', ['run.py', *arguments])
    with pytest.raises(SystemExit) as caught:
        benchmark('run').main()
    assert caught.value.code == 2
    assert 'give --output' in capsys.readouterr().err


def test_every_suite_has_a_place_on_the_page(benchmark: Import) -> None:
    page = benchmark('document').PAGE.read_text()
    for suite in benchmark('run').suites():
        assert f'<!-- figures of {suite} -->' in page
        assert suite in page.partition('make bench SUITE=')[2].partition('```')[0]

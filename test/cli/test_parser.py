# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.cli.main import main


@pytest.mark.parametrize(
    ('arguments', 'usage', 'said'),
    [
        (
            ['target', 'set', '/front', '--latenzy', '25ms'],
            'usage: dynamic-dnn target set',
            "there is no option --latenzy (did you mean '--latency'?)",
        ),
        (
            ['target', 'set', '/front', '--latenzy=25ms'],
            'usage: dynamic-dnn target set',
            "there is no option --latenzy (did you mean '--latency'?)",
        ),
        (
            ['simulate', '--pictur', 'none'],
            'usage: dynamic-dnn simulate',
            "there is no option --pictur (did you mean '--picture'?)",
        ),
        (['target', 'list', '--what'], 'usage: dynamic-dnn target list', 'no option --what\n'),
        (['target', 'list', 'a', 'b'], 'usage: dynamic-dnn target list', "no place for 'a b'"),
    ],
)
def test_a_wrong_option_is_named_with_what_may_be_meant(
    arguments: list[str], usage: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    written = capsys.readouterr().err
    assert usage in written and said in written


def test_a_wrong_command_is_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['wacth']) == 2
    written = capsys.readouterr().err
    assert "there is no command 'wacth' (did you mean 'watch'?). Choose from: " in written

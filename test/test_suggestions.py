# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dynamic_dnn_ros.suggestions import suggestion


def test_proposes_what_is_near_and_nothing_else() -> None:
    assert suggestion('wacth', ['watch', 'view']) == " (did you mean 'watch'?)"
    assert suggestion('dance', ['watch', 'view']) == ''


def test_takes_what_is_no_text_as_yaml_may_give_it() -> None:
    assert suggestion(True, ['true', 'True_']) == " (did you mean 'True_'?)"
    assert suggestion(None, []) == ''

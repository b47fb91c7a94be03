# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.cli.bundle.show import description, text
from dynamic_dnn_ros.cli.tables import aligned, options_text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert aligned(['a', 'b'], [['long', 'x'], ['y', '']]) == 'a     b\nlong  x\ny'


def test_options_are_words() -> None:
    options = {'decoder': 'nanodet_plus', 'strides': [8, 16], 'several': True, 'scaled': False}
    assert options_text(options) == ('decoder nanodet_plus, strides 8/16, several yes, scaled no')
    assert options_text({}) == ''


def test_what_a_detector_is_shown_as_has_words_in_place_of_true_and_false() -> None:
    shown = text(description(read_bundle(find_bundle('fruit_detector'))))
    (line,) = [each for each in shown.splitlines() if each.startswith('task ')]
    assert 'detection, decoder nanodet_plus' in line and line.endswith('several yes')
    assert 'True' not in line and 'False' not in line

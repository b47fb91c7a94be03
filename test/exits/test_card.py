# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dynamic_dnn_ros.exits.card import CASCADES, with_section

CARD = '# b\n\nText.\n\n## Data\n\nNoise.\n\n## Limits\n\nNone.\n'


def test_a_section_is_added_and_replaced_and_the_rest_stays():
    once = with_section(CARD, CASCADES, ('id', 'time'), [('a_b', '0.5')], 'How.')
    assert once.startswith(CARD.rstrip())
    assert '## Cascades\n\n| id | time |\n| --- | --- |\n| a_b | 0.5 |\n\nHow.\n' in once
    twice = with_section(once + '\n## More\n\nX.\n', CASCADES, ('id',), [('c_d',)], 'So.')
    assert twice.count('## Cascades') == 1
    assert 'a_b' not in twice and 'c_d' in twice
    assert all(title in twice for title in ('## Data', '## Limits', '## More'))

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dynamic_dnn_ros.search.card import updated_card

OLD = '# net\n\nTwo sub-networks.\n\n## Sub-networks\n\nold table\n\n## Recipe\n\nhow\n'
NEW = '# net\n\nThree sub-networks.\n\n## Sub-networks\n\nnew table\n\n## Recipe\n\n?\n'


def test_the_training_stays_as_it_was_told():
    card = updated_card(OLD, NEW, ('Sub-networks',))
    assert card == NEW.replace('?', 'how')


def test_further_sections_of_the_old_card_are_kept():
    card = updated_card(OLD + '\n## Thanks\n\nto all\n', NEW, ('Sub-networks',))
    assert card.endswith('## Thanks\n\nto all\n')

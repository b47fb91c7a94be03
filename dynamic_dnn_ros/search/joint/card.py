# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a model card, and a terminal, say of a joint search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dynamic_dnn_ros.search.joint.designs import QUANTILE, Designer
from dynamic_dnn_ros.search.joint.search import Searched
from dynamic_dnn_ros.search.joint.writing import KeptDesign, clocks, places_of

if TYPE_CHECKING:
    from dynamic_dnn_ros.search.joint.recipe import Measured

TITLES = (
    'id',
    'test accuracy',
    'energy',
    'latency, 95 %',
    'exits',
    'leave after each',
    'clocks',
)


def rows(kept: Sequence[KeptDesign]) -> list[list[str]]:
    """Return what to say of each design, a cell for each of the titles."""
    return [
        [
            each.identifier,
            f'{each.tested.accuracy:.2%}',
            f'{each.design.spent.energy * 1e3:.1f} mJ',
            f'{each.design.latency * 1e3:.1f} ms',
            ', '.join(places_of(each.design)) or 'none',
            ', '.join(f'{share:.0%}' for share in each.design.mixture.taken),
            clocks(each.design.setting),
        ]
        for each in kept
    ]


def joint_card(
    made: Measured,
    kept: Sequence[KeptDesign],
    searched: Searched,
    designer: Designer,
    command: str,
    tested: int,
) -> str:
    """Return the parts of a model card that a joint search changes."""
    table = [TITLES, ['---'] * len(TITLES), *rows(kept)]
    lines = '\n'.join(f'| {" | ".join(row)} |' for row in table)
    manifest, joint = made.bundle.manifest, made.joint
    rate = f', {joint.rate:g} pictures a second' if joint.rate else ', one after the other'
    how = (
        f'Backbones of `{manifest.name}`, their exits and clocks were searched together by two '
        f'nested NSGA-II (HADAS): {len(searched.wholes)} backbones looked at, '
        f'{len(searched.backbones)} given exits, {len(searched.front())} designs on the front. '
        f'Heads were trained on {joint.head_pictures or "all"} training pictures for '
        f'{joint.head_epochs} epochs while the backbone stayed as it was; thresholds are '
        'calibrated on the held-out pictures. Test accuracy: of the mixture, top-1 on '
        f'{made.configuration.data_name}, {tested} test pictures; no choice was made on them. '
        f'Energy of a mean picture{rate}, latency that {QUANTILE:.0%} of the pictures do not '
        f'exceed, and clocks: **simulated**, by the model of {designer.board.board.name}. Works '
        f'of the exits: {"measured here" if joint.works == "measured" else "of that model"}. The '
        'clocks are a recommendation: the manager chooses by the profile and by what it is asked '
        'for.'
    )
    return (
        f'# {manifest.name}\n\n{manifest.description}, with exits.\n'
        f'\n## Sub-networks\n\n{lines}\n\n{how}\n\n## Command\n\n```\n{command}\n```\n'
    )

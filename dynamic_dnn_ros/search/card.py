# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model card after a search: other sub-networks, the same training."""

from __future__ import annotations

_HEADING = '\n## '


def updated_card(old: str, new: str, taken: tuple[str, ...]) -> str:
    """
    Return the new card with the sections of the old one, except those that a search changes.

    A search knows nothing of the training that the old card tells of.

    :param taken: titles of the sections that are taken from the new card.
    """
    introduction, sections = _sections(new)
    for title, body in _sections(old)[1].items():
        if title not in taken:
            sections[title] = body
    return introduction + ''.join(f'{_HEADING}{title}{body}' for title, body in sections.items())


def _sections(card: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first section, and each section's body by its title."""
    introduction, *parts = card.split(_HEADING)
    sections = {}
    for part in parts:
        title, line_end, body = part.partition('\n')
        sections[title] = line_end + body
    return introduction, sections

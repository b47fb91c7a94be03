# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a bundle with the cascades that were made of its sub-networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import re

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, write_bundle
from dynamic_dnn_ros.exits.card import CASCADES, with_section
from dynamic_dnn_ros.exits.report import TITLES, MadeCascades, how, rows


def written(found: MadeCascades, folder: Path, replaces: bool, command: str) -> Bundle:
    """
    Write the bundle of `found` with its cascades to a folder.

    A cascade has no graph and no response of its own: its stages have theirs.

    :param replaces: whether the folder is that bundle's own
    :param command: that was given, for the model card
    :raises BundleError: as `write_bundle`
    """
    bundle = found.bundle
    manifest = bundle.manifest
    new = {each.entry.id: each.entry for each in found.made}
    kept = [entry for entry in manifest.sub_networks if entry.id not in new]
    # Sorted as searches sort them: by accuracy, what nobody knows first.
    entries = sorted([*kept, *new.values()], key=lambda entry: entry.accuracy_for_targets)
    name = manifest.name if replaces else name_of(folder, manifest.name)
    files = dict(bundle.other_files)
    changed = replace(manifest, name=name, sub_networks=tuple(entries))
    card = files.get(MODEL_CARD_NAME, f'# {manifest.name}\n'.encode()).decode()
    if name != manifest.name:
        card = card.replace(f'# {manifest.name}\n', f'# {name}\n', 1)
    files[MODEL_CARD_NAME] = with_section(
        card, CASCADES, TITLES, rows(found.made), how(found, command)
    ).encode()
    return write_bundle(
        folder,
        changed,
        bundle.source_content,
        bundle.profiles,
        files,
        replaces=bundle if replaces else None,
    )


def name_of(folder: Path, otherwise: str) -> str:
    """Return the name of a bundle by its folder, where that is a legal one."""
    name = folder.resolve().name
    return name if re.fullmatch(r'[a-z0-9_]+', name) else otherwise

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Other packages that offer something by entry points, made up for a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def make_distribution(
    folder: Path, name: str, entries: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]
) -> None:
    """
    Write what an installer leaves of a package.

    :param folder: to be put on `sys.path`
    :param entries: group of entry points -> name -> module:object
    :param modules: name -> source
    """
    described = folder / f'{name}-1.0.dist-info'
    described.mkdir(parents=True)
    (described / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
    (described / 'entry_points.txt').write_text(
        '\n'.join(
            f'[{group}]\n' + '\n'.join(f'{key} = {value}' for key, value in each.items())
            for group, each in entries.items()
        )
    )
    for module, source in modules.items():
        (folder / f'{module}.py').write_text(source)

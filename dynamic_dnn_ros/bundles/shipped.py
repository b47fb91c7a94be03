# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find a bundle by the name that a user gives: one that ships with the package, or a path."""

from __future__ import annotations

import json
from pathlib import Path

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import MANIFEST_NAME
from dynamic_dnn_ros.files import share_folder


def shipped_bundle_of(task: str) -> Path:
    """
    Return the folder of the first bundle that ships for a task.

    :param task: its name, e.g. `detection`
    :raises BundleError: when none ships for it
    """
    tasks = {}
    for path in sorted((share_folder() / 'models').glob(f'[!.]*/{MANIFEST_NAME}')):
        mapping = json.loads(path.read_text(encoding='utf-8'))
        # A manifest of the first format names none: it knew classifiers only.
        tasks[path.parent] = mapping.get('task', {}).get('name', 'classification')
    for folder, name in tasks.items():
        if name == task:
            return folder
    raise BundleError(
        f'task {task!r}',
        'has no bundle that ships with the package',
        f'Name a bundle, or one of the tasks: {", ".join(sorted(set(tasks.values())))}',
    )


def find_bundle(name: str) -> Path:
    """
    Return the folder of a bundle.

    :param name: name of a bundle in the package's `models` folder, or a path
    :raises BundleError: when there is no such folder
    """
    path = Path(name).expanduser()
    if name and '/' not in name:
        shipped = share_folder() / 'models' / name
        # `.` and `..` are folders in there too, but no bundles.
        if (shipped / MANIFEST_NAME).is_file():
            return shipped
    if name and path.is_dir():
        return path
    models = share_folder() / 'models'
    known = ', '.join(sorted(entry.name for entry in models.glob('[!.]*'))) or 'none'
    raise BundleError(
        f'bundle {name!r}',
        'is neither a bundle that ships with the package nor a folder',
        f'Shipped are: {known}',
    )

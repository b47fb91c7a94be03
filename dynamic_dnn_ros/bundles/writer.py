# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a bundle so that a kill at any moment leaves a whole bundle: the old one or the new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import ctypes
from dataclasses import replace
import errno
import hashlib
import json
import os
from pathlib import Path
import shutil
import tempfile

import numpy as np
from safetensors.numpy import save

from dynamic_dnn_ros.bundles.manifest import MANIFEST_NAME, Manifest
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, Weights, read_bundle

WEIGHTS_NAME = 'weights.safetensors'
MODEL_CARD_NAME = 'MODEL_CARD.md'


def weights_content(weights: Weights, dtype: type[np.floating] = np.float32) -> bytes:
    """Return the content of the weights file; `dtype` float16 halves its size."""
    tensors = {f'network.{name}': value for name, value in weights.network.items()}
    for identifier, statistics in weights.batch_norm_statistics.items():
        for name, value in statistics.items():
            tensors[f'batch_norm.{identifier}.{name}'] = value
    return bytes(
        save({name: np.ascontiguousarray(value, dtype) for name, value in tensors.items()})
    )


def profile_name(profile: OperatingPoints) -> str:
    """Return the file name of a profile inside its bundle: one for each platform and hardware."""
    if not profile.hardware:
        return f'profile_{profile.platform}.json'
    hardware = hashlib.sha256(profile.hardware.encode()).hexdigest()[:8]
    return f'profile_{profile.platform}_{hardware}.json'


def write_bundle(
    folder: Path,
    manifest: Manifest,
    weights: bytes,
    profiles: Iterable[OperatingPoints] = (),
    other_files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """
    Write a bundle, in place of the one that stands there.

    `weights`, `profiles` and `files` of the manifest are filled in from what is written.

    :param weights: the content of the weights file, from `weights_content`
    :param other_files: further files by plain name, the model card for example
    :return: the bundle as it reads back
    :raises BundleError: when what was written does not read back; the old bundle stays
    """
    contents: dict[str, bytes] = {WEIGHTS_NAME: weights, **(other_files or {})}
    names = []
    for profile in profiles:
        names.append(profile_name(profile))
        contents[names[-1]] = (json.dumps(profile.to_mapping()) + '\n').encode()
    manifest = replace(
        manifest,
        weights=WEIGHTS_NAME,
        profiles=tuple(names),
        files={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    )
    contents[MANIFEST_NAME] = (json.dumps(manifest.to_mapping(), indent=1) + '\n').encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
    try:
        aside.chmod(0o755)
        for name, content in contents.items():
            with open(aside / name, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        read_bundle(aside)
        _exchange(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return read_bundle(folder)


def with_profile(bundle: Bundle, profile: OperatingPoints) -> Bundle:
    """Write a profile into a bundle, in place of the one for the same platform and hardware."""
    key = (profile.platform, profile.hardware)
    others = [entry for entry in bundle.profiles if (entry.platform, entry.hardware) != key]
    known = {bundle.manifest.weights, *bundle.manifest.profiles}
    return write_bundle(
        bundle.folder,
        bundle.manifest,
        bundle.weights_content,
        [*others, profile],
        {
            name: (bundle.folder / name).read_bytes()
            for name in bundle.manifest.files
            if name not in known
        },
    )


def _exchange(new: Path, folder: Path) -> None:
    """Put `new` in place of `folder`, at once; what stood there comes to `new`."""
    if not folder.exists():
        new.rename(folder)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = 2  # RENAME_EXCHANGE, renameat2(2)
    at_fdcwd = -100
    if libc.renameat2(at_fdcwd, os.fsencode(new), at_fdcwd, os.fsencode(folder), exchange) == 0:
        return
    if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    # A file system that cannot exchange two folders: a kill between the two renames leaves the
    # old bundle whole, under the name `.<bundle>.old`.
    old = folder.with_name(f'.{folder.name}.old')
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)

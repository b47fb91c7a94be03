# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a bundle so that a kill at any moment leaves a whole bundle: the old one or the new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
import ctypes
from dataclasses import replace
import errno
import hashlib
import json
import os
from pathlib import Path
import shutil

import numpy as np
from safetensors.numpy import save

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.locking import exclusive, real_folder
from dynamic_dnn_ros.bundles.manifest import MANIFEST_NAME, Manifest, SeparateModels, Source
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import (
    NETWORK_PREFIX,
    STATISTICS_PREFIX,
    Bundle,
    SourceContent,
    Weights,
    read_bundle,
)

WEIGHTS_NAME = 'weights.safetensors'
MODEL_SUFFIX = '.onnx'
MODEL_CARD_NAME = 'MODEL_CARD.md'


def weights_content(weights: Weights, dtype: type[np.floating] = np.float32) -> bytes:
    """Return the content of the weights file; `dtype` float16 halves its size."""
    tensors = {f'{NETWORK_PREFIX}{name}': value for name, value in weights.network.items()}
    for identifier, statistics in weights.batch_norm_statistics.items():
        for name, value in statistics.items():
            tensors[f'{STATISTICS_PREFIX}{identifier}.{name}'] = value
    return bytes(
        save({name: np.ascontiguousarray(value, dtype) for name, value in tensors.items()})
    )


def profile_name(profile: OperatingPoints) -> str:
    """Return the file name of a profile: one for each platform, hardware, engine, precision."""
    parts = ['profile', profile.platform]
    if profile.hardware:
        parts.append(hashlib.sha256(profile.hardware.encode()).hexdigest()[:8])
    if profile.engine:
        parts += [profile.engine, profile.precision]
    return f'{"_".join(parts)}.json'


def write_bundle(
    folder: Path,
    manifest: Manifest,
    content: SourceContent,
    profiles: Iterable[OperatingPoints] = (),
    other_files: Mapping[str, bytes] | None = None,
    replaces: Bundle | None = None,
) -> Bundle:
    """
    Write a bundle, in place of the one that stands there.

    `profiles`, `files` and the source's names of files are filled in from what is written. At most
    `.<bundle>.new` and `.<bundle>.old` stand beside the bundle meanwhile; what a killed writer
    left of them is removed by the next one. What else lies in the bundle's folder stays there.

    :param content: that of the weights file, from `weights_content`; of separate models that of
        each ONNX file, by the name of the model
    :param profiles: of two that say they are of the same, the first counts, as for a reader
    :param other_files: further files by plain name, the model card for example
    :param replaces: the bundle that this one was made from; nothing is written when another one
        stands there now
    :return: the bundle as it reads back
    :raises BundleError: when another process is writing it, when the disk is full, when the
        folder is no bundle, when it has changed, or when what was written does not read back;
        what stood there stays, whole
    """
    source, learned = _placed(manifest, content)
    contents: dict[str, bytes] = {**learned, **(other_files or {})}
    by_name: dict[str, OperatingPoints] = {}
    for profile in profiles:
        by_name.setdefault(profile_name(profile), profile)
    for name, profile in by_name.items():
        contents[name] = (json.dumps(profile.to_mapping()) + '\n').encode()
    manifest = replace(
        manifest,
        source=source,
        profiles=tuple(by_name),
        files={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    )
    contents[MANIFEST_NAME] = (json.dumps(manifest.to_mapping(), indent=1) + '\n').encode()
    folder = real_folder(folder)
    with exclusive(folder):
        try:
            _recover(folder)
            check_place(folder, replaces)
            _exchange_for(folder, contents)
        except OSError as error:
            raise BundleError(
                folder,
                f'cannot be written ({error.strerror or error})',
                'Nothing was changed. Free space, or mend the rights, and run the command again',
            ) from error
        return read_bundle(folder)


def rewrite_bundle(
    bundle: Bundle,
    profiles: Iterable[OperatingPoints] | None = None,
    other_files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """
    Write a bundle again with other profiles or more files, and everything else as it is.

    :param profiles: all profiles that it shall have; None leaves them
    :param other_files: these are added, or replaced
    :raises BundleError: as `write_bundle`, also when it has changed since it was read
    """
    return write_bundle(
        bundle.folder,
        bundle.manifest,
        bundle.source_content,
        bundle.profiles if profiles is None else profiles,
        {**bundle.other_files, **(other_files or {})},
        replaces=bundle,
    )


def with_profile(bundle: Bundle, profile: OperatingPoints) -> Bundle:
    """
    Write a profile into a bundle, in place of the one for the same platform, hardware, engine and
    precision, and of one that does not say with which engine it was measured.

    The profile takes down which weights it was made with.

    :raises BundleError: as `rewrite_bundle`
    """
    engines = ((profile.engine, profile.precision), ('', ''))
    others = [
        entry
        for entry in bundle.profiles
        if (entry.platform, entry.hardware) != (profile.platform, profile.hardware)
        or (entry.engine, entry.precision) not in engines
    ]
    made_with = bundle.manifest.weights_sha256
    return rewrite_bundle(bundle, [*others, replace(profile, weights_sha256=made_with)])


def placed_bundle(
    folder: Path,
    manifest: Manifest,
    content: SourceContent,
    profiles: Iterable[OperatingPoints] = (),
) -> Bundle:
    """
    Return a bundle as it would be written, without writing it: for an engine to run.

    :param content: as for `write_bundle`
    """
    source, learned = _placed(manifest, content)
    files = {name: hashlib.sha256(each).hexdigest() for name, each in learned.items()}
    return Bundle(
        folder=folder,
        manifest=replace(manifest, source=source, files=files),
        sha256='',
        profiles=tuple(profiles),
        weights_content=content if isinstance(content, bytes) else b'',
        models={} if isinstance(content, bytes) else learned,
    )


def _placed(manifest: Manifest, content: SourceContent) -> tuple[Source, dict[str, bytes]]:
    """Return the source with the names of its files, and their content by these."""
    source = manifest.source
    if isinstance(content, bytes):
        return replace(manifest.super_network, weights=WEIGHTS_NAME), {WEIGHTS_NAME: content}
    models = {name: f'{name}{MODEL_SUFFIX}' for name in content}
    if not isinstance(source, SeparateModels):
        raise BundleError(
            f'bundle {manifest.name!r}',
            'is of a super-network, and was given separate models',
            'Give the content of one weights file',
        )
    return SeparateModels(models), {models[name]: each for name, each in content.items()}


def _recover(folder: Path) -> None:
    """Clear away what a writer left that was killed; the lock tells that none lives."""
    old = _old(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    for left in (old, _new(folder)):
        if left.exists():
            shutil.rmtree(left)


def check_place(folder: Path, replaces: Bundle | None = None) -> None:
    """
    Check that a bundle may be written to a folder; before long work, too.

    :param replaces: the bundle that has to stand there still
    :raises BundleError: when it is a file, or holds files and is no bundle, or has changed
    """
    folder = real_folder(folder)
    manifest = folder / MANIFEST_NAME
    if folder.is_file():
        raise BundleError(folder, 'is a file', 'Name a folder for the bundle')
    if folder.exists() and not manifest.is_file() and any(folder.iterdir()):
        raise BundleError(
            folder,
            f'holds files but no {MANIFEST_NAME}, so it is no bundle and is not replaced',
            'Name another folder for the bundle, or remove this one',
        )
    if replaces is not None:
        found = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ''
        if found != replaces.sha256:
            raise BundleError(
                folder,
                'was changed by another command while this one worked',
                'Nothing was written, so nothing of the other is lost. Run this command again',
            )


def _exchange_for(folder: Path, contents: Mapping[str, bytes]) -> None:
    new = _new(folder)
    try:
        new.mkdir()
        for name, content in contents.items():
            with open(new / name, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _keep_others(folder, new)
        read_bundle(new)
        _sync_folder(new)
        _exchange(new, folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _keep_others(folder: Path, new: Path) -> None:
    """Copy what lies in a bundle's folder without being of the bundle: notes, a repository."""
    if not folder.exists():
        return
    listed: set[str] = {MANIFEST_NAME}
    with suppress(FileNotFoundError, RecursionError, KeyError, TypeError, ValueError):
        listed |= set(json.loads((folder / MANIFEST_NAME).read_bytes())['files'])
    for entry in folder.iterdir():
        target = new / entry.name
        if entry.name in listed or target.exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, target, symlinks=True)
        else:
            shutil.copy2(entry, target, follow_symlinks=False)


def _exchange(new: Path, folder: Path) -> None:
    """Put `new` in place of `folder`, at once; what stood there comes to `new`."""
    if not folder.exists():
        new.rename(folder)
        return
    try:
        _rename_exchange(new, folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        # A file system that cannot exchange two folders: after a kill between the two renames
        # the old bundle is whole under its other name, and the next writer brings it back.
        old = _old(folder)
        folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _rename_exchange(new: Path, folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = 2  # RENAME_EXCHANGE, renameat2(2)
    at_fdcwd = -100
    if libc.renameat2(at_fdcwd, os.fsencode(new), at_fdcwd, os.fsencode(folder), exchange) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new(folder: Path) -> Path:
    return folder.with_name(f'.{folder.name}.new')


def _old(folder: Path) -> Path:
    return folder.with_name(f'.{folder.name}.old')

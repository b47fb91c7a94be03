# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The engines by name; only the one that is asked for is imported."""

from __future__ import annotations

import importlib

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine, EngineError

#: Name: module, class, the package that it needs.
_ENGINES = {
    'torch': ('dynamic_dnn_ros.engines.torch_engine', 'TorchEngine', 'torch'),
}

ENGINE_NAMES = tuple(_ENGINES)


def create_engine(name: str, bundle: Bundle, threads: int) -> Engine:
    """
    Create an engine for a bundle.

    :param threads: for one inference on the CPU, at least 1
    :raises EngineError: when it is unknown, or what it needs is not installed
    :raises BundleError: when the bundle does not fit
    """
    if name not in _ENGINES:
        raise EngineError(f'engine {name!r} is unknown. Known are: {", ".join(_ENGINES)}.')
    module_name, class_name, needs = _ENGINES[name]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] == __name__.partition('.')[0]:
            raise
        raise EngineError(
            f'engine {name!r} needs the Python package {error.name!r}, which is not installed. '
            f'Install {needs!r}, or name another engine.'
        ) from error
    engine: Engine = getattr(module, class_name)(bundle, threads)
    return engine

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine that hangs for as long as a file is there: PyTorch, with that added."""

from __future__ import annotations

import os
from pathlib import Path
import time
from typing import Any

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.engines.contract import Engine, Outputs, Picture, PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import ENTRY_POINTS, create_engine

NAME = 'hanging'
VARIABLE = 'DYNAMIC_DNN_HANGS_WHILE'
"""Variable that names the file."""


def offer(folder: Path) -> None:
    """Write what an installer would leave of a package that offers this engine."""
    described = folder / f'{Path(__file__).stem}-1.0.dist-info'
    described.mkdir(parents=True)
    module = Path(__file__).stem
    (described / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n')
    entry = f'[{ENTRY_POINTS}]\n{NAME} = {module}:HangingEngine\n'
    (described / 'entry_points.txt').write_text(entry)


class HangingEngine(Engine):
    """Runs what PyTorch runs, unless the file is there."""

    name = NAME

    def __init__(self, *arguments: Any) -> None:
        """Create the engine that does the work, of what `create_engine` takes beside a name."""
        self._engine = create_engine('torch', *arguments)

    @property
    def processors(self) -> tuple[str, ...]:
        """Return those of PyTorch."""
        return self._engine.processors

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """Prepare a sub-network as PyTorch does."""
        return _Hanging(self._engine.prepare(sub_network, processor))


class _Hanging(PreparedSubNetwork):
    def __init__(self, prepared: PreparedSubNetwork) -> None:
        super().__init__(prepared.sub_network, prepared.processor)
        self._prepared = prepared
        self._file = Path(os.environ[VARIABLE])

    def run(self, picture: Picture) -> Outputs:
        while self._file.exists():
            time.sleep(0.05)
        return self._prepared.run(picture)

    def close(self) -> None:
        self._prepared.close()

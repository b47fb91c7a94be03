# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands that the documents print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re
import shlex

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(ROOT.glob('docs/**/*.md'))]


def commands(first: str) -> Iterator[tuple[str, list[str]]]:
    """
    Iterate over the commands of all pages that begin with a word.

    :return: the name of the page, and the words of the command
    """
    for page in PAGES:
        for block in re.findall(r'^ *```\w*\n(.*?)^ *```', page.read_text(), re.M | re.S):
            for line in block.replace('\\\n', ' ').splitlines():
                words = re.sub(r'(^|\s)#.*', '', line.strip().removeprefix('$ '))
                while re.match(r'[A-Z_]+=\S+ ', words):
                    words = words.split(' ', 1)[1]
                if words.startswith(f'{first} ') and '|' not in words:
                    yield page.stem, shlex.split(words)

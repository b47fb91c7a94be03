# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A hook of MkDocs: links out of ``docs/`` into the sources become plain names on the site.

The site holds the documents alone. A link to a file that is not in the sources ends the build.
"""

import logging
from pathlib import Path
import re
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r'\[([^\]\n]*)\]\(((?:\.\./)+[^)\s#]*)(#[^)\s]*)?\)')
_LOG = logging.getLogger('mkdocs.hooks.docs_links')


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the text of a page with links that the site has."""
    folder = Path(page.file.abs_src_path).parent

    def named(match: 're.Match[str]') -> str:
        words, path, _ = match.groups()
        target = (folder / path).resolve()
        if target.is_relative_to(ROOT / 'docs'):
            return match.group()
        if not target.exists() or not target.is_relative_to(ROOT):
            _LOG.warning('%s links to %s, which is not in the sources', page.file.src_path, path)
        name = target.relative_to(ROOT) if target.is_relative_to(ROOT) else path
        words = words.strip('`')
        return f'`{name}`' if words in str(name) else f'{words} (`{name}`)'

    return _LINK.sub(named, markdown)

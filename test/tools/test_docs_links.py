# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The site of the documents: every page is reachable, every file that one links to is there."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
import re
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'
PAGES = sorted(DOCS.rglob('*.md'))


def _hook() -> Any:
    """Return the module, which MkDocs loads by its path too."""
    specification = importlib.util.spec_from_file_location(
        'docs_links', ROOT / 'tools' / 'docs_links.py'
    )
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


on_page_markdown = _hook().on_page_markdown


def shown(text: str, path: Path = DOCS / 'page.md') -> str:
    """Return the text of a page as the site has it."""
    file = SimpleNamespace(abs_src_path=str(path), src_path=path.name)
    return on_page_markdown(text, page=SimpleNamespace(file=file))


def navigation(rows: Any) -> list[str]:
    """Return the pages of a navigation."""
    if isinstance(rows, str):
        return [rows]
    parts = rows.values() if isinstance(rows, dict) else rows
    return [page for part in parts for page in navigation(part)]


def test_links_into_the_sources_become_names() -> None:
    assert shown('[config/robot.yaml](../config/robot.yaml)') == '`config/robot.yaml`'
    assert shown('[Detections](../msg/Detections.msg)') == '`msg/Detections.msg`'
    assert shown('[the licence](../LICENSE)') == 'the licence (`LICENSE`)'
    inside = '[a page](topics.md#topics) and [another](../docs/camera.md)'
    assert shown(inside) == inside


@pytest.mark.parametrize('link', ['../msg/Absent.msg', '../../../etc/hostname'])
def test_a_link_that_leads_nowhere_is_named(link: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        shown(f'[it]({link})')
    assert f'page.md links to {link}' in caplog.text


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / 'mkdocs.yml').read_text()
    listed = navigation(yaml.safe_load(text)['nav'])
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_a_page_links_to_is_there(page: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = page.read_text()
    with caplog.at_level(logging.WARNING):
        shown(text, page)
    assert not caplog.text
    for target in re.findall(r'\]\((?!https?:|#)([^)\s#]+)', text):
        assert (page.parent / target).exists(), target

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parser of all subcommands: options as they are written, and a proposal for a wrong one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from dynamic_dnn_ros.suggestions import suggestion


class Parser(argparse.ArgumentParser):
    """
    A parser that takes no abbreviations and names what is wrong where it stands.

    Actions of a subcommand have one each, so the usage that is shown is that of the action.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        """Begin as argparse does."""
        super().__init__(*arguments, **{'allow_abbrev': False, **keywords})

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Return the arguments; what is none of them ends the program with a proposal."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.refuse(unknown)
        return found, unknown

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End the program with what the arguments are that nobody knows."""
        options = [each.split('=')[0] for each in unknown if each.startswith('-')]
        if not options:
            self.error(f'there is no place for {" ".join(unknown)!r}')
        known = [option for action in self._actions for option in action.option_strings]
        wrong = options[0]
        self.error(f'there is no option {wrong}{suggestion(wrong, known)}')

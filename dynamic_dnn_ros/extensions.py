# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What other packages offer by entry points: tasks, families, engines and more, by one rule."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_LOGGER = logging.getLogger(__name__)

#: Warnings that were given; a registry is asked often.
_said: set[str] = set()


class ExtensionError(RuntimeError):
    """What another package offers is of no use. The text names it, the problem and the remedy."""


@dataclass(frozen=True)
class Extensions:
    """
    What other packages offer of one kind.

    A name that this package has itself, or that two packages offer with different values, is
    named in a warning and left out; of the two, the first by their values is kept.

    :param group: of entry points, name = module:object
    :param kind: what each is, in words: 'task'
    :param own: the names that this package has
    :param base: what each is a subclass of; None: anything that can be called
    """

    group: str
    kind: str
    own: Collection[str]
    base: type[Any] | None = None

    def names(self) -> tuple[str, ...]:
        """Return the names that are offered, sorted; nothing is loaded."""
        return tuple(sorted(self._entries()))

    def find(self, name: str) -> Any:
        """
        Load what is offered under a name; None where nobody offers it.

        :raises ExtensionError: when it cannot be loaded, or is something else
        """
        entry = self._entries().get(name)
        return None if entry is None else self._loaded(entry)

    def working(self) -> Iterator[tuple[str, Any]]:
        """Yield names and what is offered; what is of no use is named in a warning, left out."""
        for name, entry in sorted(self._entries().items()):
            try:
                yield name, self._loaded(entry)
            except ExtensionError as error:
                _warn(f'{error} It is left out.')

    def version(self, name: str) -> str:
        """Return name and version of the package that offers something; empty where not known."""
        entry = self._entries().get(name)
        if entry is None or entry.dist is None:
            return ''
        return f'{entry.dist.metadata["Name"]} {entry.dist.version}'

    def _entries(self) -> dict[str, EntryPoint]:
        # 3 MB, which a node that asks for nothing but names of this package does without.
        from importlib.metadata import entry_points

        found: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=self.group), key=lambda each: each.value):
            if entry.name in self.own:
                _warn(
                    f'{self.kind} {entry.name!r}, {_origin(entry)}, has the name of one of this '
                    'package. It is left out: give it another name.'
                )
            elif entry.name in found and found[entry.name].value != entry.value:
                _warn(
                    f'{self.kind} {entry.name!r} is offered twice. '
                    f'{_origin(found[entry.name])} is taken, {_origin(entry)} is left out: '
                    'uninstall one of the two packages.'
                )
            else:
                found[entry.name] = entry
        return found

    def _loaded(self, entry: EntryPoint) -> Any:
        what = f'{self.kind} {entry.name!r}, {_origin(entry)},'
        try:
            found = entry.load()
        except Exception as error:  # another package's import may raise anything
            raise ExtensionError(
                f'{what} cannot be loaded: {type(error).__name__}: {error}. Install the package '
                'that offers it again, or uninstall it.'
            ) from error
        if self.base is not None:
            if not (isinstance(found, type) and issubclass(found, self.base)):
                raise ExtensionError(
                    f'{what} is no subclass of {self.base.__module__}.{self.base.__qualname__}. '
                    'Its package has to be mended, or uninstalled.'
                )
        elif not callable(found):
            raise ExtensionError(
                f'{what} cannot be called. Its package has to be mended, or uninstalled.'
            )
        return found


def _origin(entry: EntryPoint) -> str:
    """Return where something comes from, in words."""
    package = '' if entry.dist is None else f' of package {entry.dist.metadata["Name"]}'
    return f'{entry.value}{package}'


def _warn(text: str) -> None:
    if text not in _said:
        _said.add(text)
        _LOGGER.warning(text)

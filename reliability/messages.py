# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages that nobody should send: fields at their limits, and bytes that are no message."""

from __future__ import annotations

import array
from collections.abc import Sequence
import importlib
import math
import random
import re
import sys
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message

FLOATS = (
    math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1e-9, 5e-324, 1e18, 1.7e308, -1e300,
)  # fmt: skip

LONGEST_SEQUENCE = 20_000
"""Entries of a sequence without a bound, at most: more than fit into most messages."""

MOST_PARTS = 40
"""Texts and messages within a message after which there are no more."""

LONGEST_TEXT = 9_000
"""Characters of a text, at most."""

ODD_TEXTS = (
    '/', '//', '/a b', '/0', '/a/' * 60, '\x1b[2J', '[/bold]', '/tmp/../etc', '%s%n', 'ä😀', 'nan',
    '/front/inference_node/', '-1',
)  # fmt: skip

_INTEGERS = {f'{sign}int{bits}': (sign, bits) for sign in ('', 'u') for bits in (8, 16, 32, 64)}
_ARRAY = re.compile(r'(?P<type>.+)\[(?P<length>\d+)\]')
_SEQUENCE = re.compile(r'sequence<(?P<type>.+?)(, (?P<bound>\d+))?>')
_NUMBERS = {'double': 'd', 'float': 'f', 'int8': 'b', 'uint8': 'B', 'int16': 'h', 'uint16': 'H',
            'int32': 'i', 'uint32': 'I', 'int64': 'q', 'uint64': 'Q'}  # fmt: skip


def type_of(name: str) -> type:
    """Return the type of messages of a name, as `std_msgs/msg/Header` or `std_msgs/Header`."""
    package, *_, kind = name.split('/')
    found: type = getattr(importlib.import_module(f'{package}.msg'), kind)
    return found


class MessageMaker:
    """
    Makes messages and bytes by a seed.

    :param names: texts that mean something to the nodes: ids, sub-networks, processors
    """

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._names = tuple(names)
        self._parts = 0

    def message(self, message_type: type, like: Any = None) -> Any:
        """
        Return a message with some fields at their limits.

        :param like: a message of which a few fields are changed; None: all fields are made up
        """
        self._parts = 0
        if like is None:
            return self._made(message_type)
        changed = _copy(like)
        for _ in range(self._random.randint(1, 3)):
            self._change(changed)
        return changed

    def bytes(self, message_type: type, like: Any = None) -> bytes:
        """Return bytes that are hardly a message of a type."""
        draw = self._random
        kind = draw.randrange(6)
        if kind == 0:
            return draw.randbytes(draw.choice((0, 1, 3, 4, 5, 64, 1000, 70_000)))
        data = bytearray(serialize_message(like if like is not None else message_type()))
        if kind == 1:
            del data[draw.randrange(len(data)) :]
        elif kind == 2:
            data += draw.randbytes(draw.randrange(1, 200))
        elif kind == 3:
            for _ in range(draw.randint(1, 8)):
                data[draw.randrange(len(data))] = draw.randrange(256)
        elif kind == 4 and len(data) >= 12:
            # What may be the length of a sequence or a text.
            at = 4 * draw.randrange(1, len(data) // 4)
            data[at : at + 4] = draw.choice((0xFFFFFFFF, 0x7FFFFFFF, 1 << 20)).to_bytes(
                4, 'little'
            )
        else:
            data[:4] = draw.randbytes(4)
        return bytes(data)

    def _made(self, message_type: type) -> Any:
        message = message_type()
        for name, kind in message.get_fields_and_field_types().items():
            setattr(message, name, self._value(kind))
        return message

    def _change(self, message: Any) -> None:
        """Change one field, of the message or of one within."""
        name, kind = self._random.choice(list(message.get_fields_and_field_types().items()))
        value = getattr(message, name)
        if hasattr(value, 'get_fields_and_field_types'):
            self._change(value)
        elif isinstance(value, list) and value and self._random.random() < 0.7:
            inner = self._random.choice(value)
            if hasattr(inner, 'get_fields_and_field_types'):
                self._change(inner)
        elif isinstance(value, array.array) and value and self._random.random() < 0.5:
            code = value.typecode
            value[self._random.randrange(len(value))] = (
                self._random.choice(FLOATS) if code == 'd' else 0 if code != 'f' else 1.0
            )
        else:
            setattr(message, name, self._value(kind))

    def _value(self, kind: str) -> Any:
        draw = self._random
        if found := _ARRAY.fullmatch(kind):
            return self._entries(found['type'], int(found['length']))
        if found := _SEQUENCE.fullmatch(kind):
            bound = int(found['bound'] or LONGEST_SEQUENCE)
            length = draw.choice((0, 0, 1, 1, 2, 3, 7))
            if draw.random() < 0.01:
                length = bound if '/' not in found['type'] else min(bound, 500)
            if _NUMBERS.get(found['type']) is None and self._parts > MOST_PARTS:
                length = 0
            return self._entries(found['type'], min(length, bound))
        if '/' in kind:
            return self._made(type_of(kind))
        return self._scalar(kind)

    def _entries(self, kind: str, length: int) -> Any:
        code = _NUMBERS.get(kind)
        if code is None:
            self._parts += length
            return [self._value(kind) for _ in range(length)]
        # A few values, again and again: a draw for each of thousands takes too long.
        few = [self._scalar(kind) for _ in range(min(length, 5))]
        return array.array(code, (few * (length // 5 + 1))[:length])

    def _scalar(self, kind: str) -> Any:
        draw = self._random
        if kind == 'boolean':
            return draw.random() < 0.5
        if kind == 'octet':
            return bytes([draw.randrange(256)])
        if kind == 'double':
            return draw.choice(FLOATS) if draw.random() < 0.7 else draw.uniform(-10.0, 10.0)
        if kind == 'float':
            return draw.choice((math.nan, math.inf, 0.0, -1.0, 1e30, 1e-40))
        if kind in _INTEGERS:
            sign, bits = _INTEGERS[kind]
            low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            return draw.choice((low, high, 0, 1, 2, high - 1, draw.randint(low, high)))
        return self._text()

    def _text(self) -> str:
        draw = self._random
        kind = draw.random()
        if kind < 0.6:
            return draw.choice(self._names)
        if kind < 0.7:
            return ''
        if kind < 0.72:
            return draw.choice('/ax') * draw.randint(200, LONGEST_TEXT)
        return draw.choice((*ODD_TEXTS, str(sys.maxsize)))


def _copy(message: Any) -> Any:
    """Return a message of the same values: by its bytes, as it would arrive."""
    return deserialize_message(serialize_message(message), type(message))

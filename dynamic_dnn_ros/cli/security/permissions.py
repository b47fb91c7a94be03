# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Who may publish, hear, offer and call what: the one table of it.

Names that begin with `~/` lie below the node, those with `shared/` in the namespace that
applications, manager and platform share, those with `each/` below each application, and those
with `/` stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OWN, SHARED, EACH = '~/', 'shared/', 'each/'


@dataclass(frozen=True)
class Permissions:
    """Topics that a node may publish and hear, services that it may offer and call."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    reply: tuple[str, ...] = ()
    request: tuple[str, ...] = ()

    def with_others(self, *others: Permissions) -> Permissions:
        """Return these together with others, each name once."""
        rows = (self, *others)
        return Permissions(
            tuple(dict.fromkeys(name for row in rows for name in row.publish)),
            tuple(dict.fromkeys(name for row in rows for name in row.subscribe)),
            tuple(dict.fromkeys(name for row in rows for name in row.reply)),
            tuple(dict.fromkeys(name for row in rows for name in row.request)),
        )


_PARAMETERS = (
    'describe_parameters',
    'get_parameters',
    'get_parameter_types',
    'list_parameters',
    'set_parameters',
    'set_parameters_atomically',
)
_LIFECYCLE = (
    'change_state',
    'get_available_states',
    'get_available_transitions',
    'get_state',
    'get_transition_graph',
)
_TARGET_SERVICES = ('shared/set_target', 'shared/ask_target', 'shared/clear_target')
_SAYS_HOW_IT_STANDS = (
    'shared/application',
    'shared/inference_status',
    'shared/manager_inputs',
    'shared/manager_status',
    'shared/summary',
    'shared/system_load',
)

ANY_NODE = Permissions(
    publish=('/parameter_events', '/rosout'),
    subscribe=('/clock', '/parameter_events'),
    reply=(*(f'~/{name}' for name in _PARAMETERS), '~/get_type_description'),
)
"""What every ROS 2 node does."""

OUR_NODE = Permissions(
    publish=('/diagnostics', '~/transition_event'),
    reply=tuple(f'~/{name}' for name in _LIFECYCLE),
)
"""What every node of this package does besides."""

INFERENCE = Permissions(
    publish=('shared/application', 'shared/inference_status'),
    # The status is heard by one that gave way to another node of its name.
    subscribe=('shared/application', 'shared/inference_status', 'shared/system_load'),
)

STREAM = Permissions(
    publish=(
        '~/annotated',
        '~/annotated/compressed',
        '~/annotations',
        '~/classification',
        '~/detections',
        '~/label_image',
        '~/label_info',
        '~/segmentation',
        '~/vision_classification',
        '~/vision_detections',
        '~/vision_info',
    ),
    subscribe=('~/sub_network_switch', '~/switch_by_hand'),
)
"""What an application does on topics of its own, beside hearing its camera."""

MANAGER = Permissions(
    publish=(
        'each/sub_network_switch',
        'shared/dvfs_setting',
        'shared/manager_inputs',
        'shared/manager_status',
        'shared/summary',
    ),
    subscribe=(
        'shared/application',
        'shared/inference_status',
        'shared/manager_status',
        'shared/performance_target',
        'shared/system_load',
    ),
    reply=_TARGET_SERVICES,
)
"""It alone may switch applications, and ask for clocks."""

PLATFORM = Permissions(
    publish=('shared/system_load',),
    subscribe=('shared/dvfs_setting', 'shared/inference_status', 'shared/system_load'),
)

ASKER = Permissions(
    publish=('shared/performance_target',),
    subscribe=_SAYS_HOW_IT_STANDS,
    request=_TARGET_SERVICES,
)
"""A node that may set targets."""

WATCHER = Permissions(
    subscribe=(*_SAYS_HOW_IT_STANDS, '/diagnostics', '/rosout', 'each/sub_network_switch'),
)
"""A node that may look, and do nothing."""

OPERATOR = Permissions(
    publish=('each/switch_by_hand',),
    request=tuple(f'each/{name}' for name in (*_PARAMETERS, *_LIFECYCLE)),
)
"""What a person at a terminal may do besides an asker and a watcher, with every node of ours."""


def expanded(
    names: Sequence[str], node: str, namespace: str, each: Sequence[str]
) -> tuple[str, ...]:
    """
    Return names in full.

    :param node: fully qualified name that `~` stands for
    :param namespace: that `shared` stands for
    :param each: what `each` stands for, one after the other
    """
    found: dict[str, None] = {}
    for name in names:
        if name.startswith(EACH):
            found.update({f'{one}/{name[len(EACH) :]}': None for one in each})
        elif name.startswith(SHARED):
            found[f'{namespace}/{name[len(SHARED) :]}'] = None
        elif name.startswith(OWN):
            found[f'{node}/{name[len(OWN) :]}'] = None
        else:
            found[name] = None
    return tuple(found)

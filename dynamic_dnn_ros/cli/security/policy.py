# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The permissions of a system as a policy that `ros2 security` makes keys and rights of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from dynamic_dnn_ros.cli.security.permissions import (
    ANY_NODE,
    ASKER,
    INFERENCE,
    MANAGER,
    OPERATOR,
    OUR_NODE,
    PLATFORM,
    STREAM,
    WATCHER,
    Permissions,
    expanded,
)

FORMAT = '0.2.0'
"""Version of the format of SROS 2."""


@dataclass(frozen=True)
class Graph:
    """
    The nodes of a system, each by its fully qualified name.

    :param applications: inference nodes, each with the names of its cameras, none where it has
        the one without a name
    :param images: topic of each camera that is not `image` in the namespace of its node, by the
        id of the application
    :param cameras: nodes that publish what the applications serve
    """

    applications: Mapping[str, Sequence[str]]
    images: Mapping[str, str]
    namespace: str = '/dynamic_dnn'
    cameras: Sequence[str] = ()
    askers: Sequence[str] = ()
    watchers: Sequence[str] = ()
    operators: Sequence[str] = ()

    @property
    def manager(self) -> str:
        """Return the name of the manager."""
        return f'{self.namespace}/manager_node'

    @property
    def platform(self) -> str:
        """Return the name of the platform node."""
        return f'{self.namespace}/platform_node'

    @property
    def identifiers(self) -> list[str]:
        """Return the ids of all applications."""
        return [
            f'{node}/{camera}' if camera else node
            for node, cameras in self.applications.items()
            for camera in cameras or ('',)
        ]

    def image(self, node: str, camera: str) -> str:
        """Return the topic of a camera of a node."""
        identifier = f'{node}/{camera}' if camera else node
        base = node.rsplit('/', 1)[0]
        return self.images.get(identifier, f'{base}/{camera}/image' if camera else f'{base}/image')


def permissions_of(graph: Graph) -> dict[str, Permissions]:
    """Return what each node may do, all names in full."""
    every = [graph.manager, graph.platform, *graph.applications]
    found: dict[str, Permissions] = {}

    def grant(node: str, *rows: Permissions, each: Sequence[str] = graph.identifiers) -> None:
        row = ANY_NODE.with_others(*rows)
        full = Permissions(
            *(
                expanded(names, node, graph.namespace, each)
                for names in (row.publish, row.subscribe, row.reply, row.request)
            )
        )
        found[node] = found.get(node, Permissions()).with_others(full)

    grant(graph.manager, OUR_NODE, MANAGER)
    grant(graph.platform, OUR_NODE, PLATFORM)
    images: list[str] = []
    for node, cameras in graph.applications.items():
        grant(node, OUR_NODE, INFERENCE)
        for camera in cameras or ('',):
            topic = graph.image(node, camera)
            images += [topic, f'{topic}/compressed']
            own = expanded(STREAM.publish, f'{node}/{camera}'.rstrip('/'), '', ())
            heard = expanded(STREAM.subscribe, f'{node}/{camera}'.rstrip('/'), '', ())
            grant(node, Permissions(publish=own, subscribe=(*heard, *images[-2:])))
    for node in graph.cameras:
        grant(node, OUR_NODE, Permissions(publish=tuple(images)))
    for node in graph.askers:
        grant(node, ASKER)
    for node in graph.watchers:
        grant(node, WATCHER, replace(WATCHER, subscribe=_results(graph)))
    for node in graph.operators:
        grant(node, ASKER, WATCHER, replace(WATCHER, subscribe=_results(graph)))
        grant(node, OPERATOR, each=every)
    return found


def _results(graph: Graph) -> tuple[str, ...]:
    """Return the topics of all results."""
    return tuple(
        name for one in graph.identifiers for name in expanded(STREAM.publish, one, '', ())
    )


def policy(graph: Graph) -> str:
    """Return the policy, an enclave a node, as XML."""
    root = ElementTree.Element('policy', version=FORMAT)
    enclaves = ElementTree.SubElement(root, 'enclaves')
    for node, allowed in sorted(permissions_of(graph).items()):
        enclave = ElementTree.SubElement(enclaves, 'enclave', path=node)
        profiles = ElementTree.SubElement(enclave, 'profiles')
        namespace, name = node.rsplit('/', 1)
        profile = ElementTree.SubElement(profiles, 'profile', ns=namespace or '/', node=name)
        for kind, entry, verb, names in (
            ('topics', 'topic', 'publish', allowed.publish),
            ('topics', 'topic', 'subscribe', allowed.subscribe),
            ('services', 'service', 'reply', allowed.reply),
            ('services', 'service', 'request', allowed.request),
        ):
            if names:
                part = ElementTree.SubElement(profile, kind, {verb: 'ALLOW'})
                for one in sorted(names):
                    ElementTree.SubElement(part, entry).text = one
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'

#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Write the type hashes of the installed messages and services to test/interface_hashes.json.

Run it, after `make build`, when an interface is changed on purpose: a test fails on every other
change, because nodes and recordings of another release cannot talk to a changed message.
"""

import json
from pathlib import Path
import sys

from ament_index_python.packages import get_package_share_directory

PACKAGE = 'dynamic_dnn_ros'
FILE = Path(__file__).resolve().parents[1] / 'test' / 'interface_hashes.json'


def installed_hashes() -> dict[str, str]:
    """Return RIHS01 hashes by type, as rosidl wrote them at build time; empty before Iron."""
    hashes: dict[str, str] = {}
    share = Path(get_package_share_directory(PACKAGE))
    for path in sorted([*share.glob('msg/*.json'), *share.glob('srv/*.json')]):
        name = f'{PACKAGE}/{path.parent.name}/{path.stem}'
        own = (name, f'{name}_Request', f'{name}_Response')
        for row in json.loads(path.read_text())['type_hashes']:
            if row['type_name'] in own:
                hashes[row['type_name']] = row['hash_string']
    return hashes


def main() -> int:
    """Write the file."""
    hashes = installed_hashes()
    if not hashes:
        print(
            'freeze_interfaces: the installed messages bear no hashes: ROS 2 before Iron makes '
            'none. Run it with a later release',
            file=sys.stderr,
        )
        return 1
    FILE.write_text(json.dumps(hashes, indent=2) + '\n')
    print(f'{FILE}: {len(hashes)} types')
    return 0


if __name__ == '__main__':
    sys.exit(main())

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory of the C library, as training on a CPU uses it best."""

from __future__ import annotations

import ctypes
import sys

# From malloc.h of glibc.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """
    Have glibc keep freed memory for reuse instead of handing it back.

    A step frees and allocates the same large activations again and again; by default each is
    mapped anew and faulted in page by page, which takes about as long as computing on it.
    Elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith('linux'):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, 'gnu_get_libc_version'):
        return
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    library.mallopt(_M_TOP_PAD, 256 * 2**20)

# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Let torchvision be imported beside a PyTorch that its compiled operators were not built for.

``tools/setup.py`` copies this file into the virtual environment, where a ``.pth`` file imports it
at every start of Python; it is no part of the package. While it is imported, torchvision registers
shape functions for two operators of its compiled library, and fails where that library could not
be loaded, as with a CPU build of PyTorch. Declaring the two operators, without an implementation,
is all that the import needs: data sets and transforms work, detection operators stay unavailable
and say so when they are called.
"""

import sys

_OPERATORS = (
    'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
)
_libraries = []


class _DeclareOperators:
    """Declares the missing operators at the moment when torchvision is about to need them."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        """Find nothing: the ordinary finders import the module, this one prepares it."""
        if fullname == 'torchvision._meta_registrations' and not _libraries:
            # torchvision.extension has tried to load the compiled library by now.
            import torch
            from torchvision.extension import _has_ops

            if not _has_ops():
                library = torch.library.Library('torchvision', 'DEF')
                for schema in _OPERATORS:
                    library.define(schema)
                _libraries.append(library)


sys.meta_path.insert(0, _DeclareOperators())

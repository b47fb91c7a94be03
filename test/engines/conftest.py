# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from support.engine_fixtures import (
    bundle as bundle,
)
from support.engine_fixtures import (
    cache as cache,
)
from support.engine_fixtures import (
    engine as engine,
)
from support.engine_fixtures import (
    plain_bundle as plain_bundle,
)

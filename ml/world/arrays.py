"""Names for the arrays of the world: one entry a product, a day or an order line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Ints32 = npt.NDArray[np.int32]

US_PER_DAY = 86_400_000_000
US_PER_SECOND = 1_000_000

"""How far customers look: the probability that a result is examined, by modality and position."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from ml.world.arrays import Floats

# The screen's are those of an eye-tracking study, as distributed with the ULTRA toolbox (Tran et al. 2021).
EXAMINATION: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"voice": (0.95,), "screen": (0.68, 0.61, 0.48, 0.34, 0.28, 0.20, 0.11, 0.10, 0.08, 0.06)}
)


def curve(modality: str) -> Floats:
    """Probability of examination at positions 1, 2, ..."""
    return np.array(EXAMINATION[modality])


def examination_table() -> pa.Table:
    """modality, position, probability."""
    rows = [
        {"modality": modality, "position": position, "probability": probability}
        for modality, chances in EXAMINATION.items()
        for position, probability in enumerate(chances, start=1)
    ]
    return pa.Table.from_pylist(rows)

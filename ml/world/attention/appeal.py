"""What nobody can look up: how much people like to show a product."""

from __future__ import annotations

from ml.world.arrays import Floats
from ml.world.seeds import Stream, generator


def appeal_of(seed: int, products: int) -> Floats:
    """A standard normal number a product."""
    appeal: Floats = generator(seed, Stream.APPEAL).normal(size=products)
    return appeal

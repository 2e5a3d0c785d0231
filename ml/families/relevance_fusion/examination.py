"""How likely a customer looks at each place of a list, by modality, estimated from the logs alone.

The position-based model (Richardson et al. 2007; Craswell et al. 2008): a result is engaged with if it is looked at,
which depends on its place alone, and wanted, which depends on query and product alone. The same pair shown at several
places tells the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
from numpy.typing import NDArray

from ml.families.relevance_fusion.columns import NO_QUERY, PLACES

Floats = NDArray[np.float64]
_PAIRS = 300_000
_ROUNDS = 100
_PRIOR = 1.0


@dataclass(frozen=True, slots=True)
class Examination:
    """By modality: the chance that each place is looked at, against the first place."""

    curves: Mapping[str, tuple[float, ...]]

    def of(self, modality: str) -> tuple[float, ...]:
        """The curve of a modality; one that was never seen is looked at everywhere."""
        return self.curves.get(modality, (1.0,) * PLACES)

    def weighed(self, rows: ibis.Table, what: str) -> ibis.Value:
        """Sum over the places of the count `what` times the chance of being looked at, as an expression."""
        return self._sum(rows, what, lambda chance: chance)

    def _sum(self, rows: ibis.Table, what: str, factor: object) -> ibis.Value:
        def total(curve: tuple[float, ...]) -> ibis.Value:
            parts = [
                rows[f"{what}_{place}"].fill_null(0).cast("float64") * float(factor(chance))  # type: ignore[operator]
                for place, chance in enumerate(curve, start=1)
            ]
            return ibis.literal(0.0) + sum(parts[1:], parts[0])

        return ibis.cases(
            *((rows.modality == name, total(curve)) for name, curve in self.curves.items()),
            else_=total((1.0,) * PLACES),
        ) if self.curves else total((1.0,) * PLACES)  # fmt: skip

    def inverse(self, rows: ibis.Table, what: str, clip: float) -> ibis.Value:
        """Sum over the places of the count `what` over the chance of being looked at, chances below `clip` raised."""
        return self._sum(rows, what, lambda chance: 1 / max(chance, clip))


def estimate(matrix: ibis.Table) -> Examination:
    """The curves of all modalities of the matrix's outcomes."""
    asked = matrix.filter((matrix.query != NO_QUERY) & matrix.shown_1.notnull())
    names = [f"{what}_{place}" for what in ("shown", "engaged") for place in range(1, PLACES + 1)]
    pairs = asked.group_by("modality", "query", "product_id").aggregate(
        **{name: asked[name].sum() for name in names}
    )
    shown = sum((pairs[f"shown_{place}"] for place in range(2, PLACES + 1)), pairs["shown_1"])
    some = (
        pairs.filter(shown > 0).order_by(pairs.query.hash(), "query", "product_id", "modality").limit(_PAIRS)
    )
    rows = some.select("modality", *names).to_pyarrow()
    modality = np.asarray(rows.column("modality").to_pylist(), dtype=str)
    counts = np.column_stack([rows.column(name).to_numpy() for name in names]).astype(np.float64)
    curves = {
        str(name): tuple(curve(counts[modality == name, :PLACES], counts[modality == name, PLACES:]).tolist())
        for name in np.unique(modality)
    }
    return Examination(curves)


def curve(shown: Floats, engaged: Floats) -> Floats:
    """Chances of looking at each place against the first, from counts per pair and place (pairs x places).

    The maximum of the Poisson likelihood of engaged ~ shown * chance(place) * wanted(pair), found by alternating
    between the two factors; places without a result get the chance of the place before them.
    """
    wanted = _usual(shown, engaged)
    chance = np.ones(shown.shape[1])
    for _ in range(_ROUNDS):
        expected = shown @ chance
        pairs = (engaged.sum(axis=1) + _PRIOR * wanted) / (expected + _PRIOR)
        by_place = pairs @ shown
        chance = np.where(by_place > 0, engaged.sum(axis=0) / np.maximum(by_place, 1e-12), np.nan)
        chance = chance / chance[0] if chance[0] > 0 else np.ones_like(chance)
        chance = _carried(chance)
    return np.clip(chance, 1e-3, 1.0)


def _usual(shown: Floats, engaged: Floats) -> float:
    return float(engaged.sum() / max(shown.sum(), 1.0))


def _carried(chance: Floats) -> Floats:
    for place in range(1, len(chance)):
        if not np.isfinite(chance[place]):
            chance[place] = chance[place - 1]
    return chance

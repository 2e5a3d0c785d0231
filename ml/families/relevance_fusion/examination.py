"""How likely a customer looks at each place of a list, by modality, estimated from the logs alone.

The position-based model (Richardson et al. 2007; Craswell et al. 2008): a result is engaged with if it is looked at,
which depends on its place alone, and wanted, which depends on query and product alone. The same pair shown at several
places tells the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion.catalogue import numbers
from ml.families.relevance_fusion.columns import KEY, NO_QUERY, PLACES
from ml.toolkit import position_bias

Floats = NDArray[np.float64]
_RESULTS = 300_000
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Examination:
    """By modality: the chance that each place is looked at, against the first place; `bands` are its low and high."""

    curves: Mapping[str, tuple[float, ...]]
    bands: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)

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
    """The curves of all modalities of the matrix's outcomes; a result is a pair in a period (tastes change).

    Of more than _RESULTS results some queries' are taken. A place that nothing is known of is looked at like the one
    before it.
    """
    asked = matrix.filter((matrix.query != NO_QUERY) & matrix.shown_1.notnull())
    shown = sum((asked[f"shown_{place}"] for place in range(2, PLACES + 1)), asked.shown_1)
    names = [f"{what}_{place}" for what in ("shown", "engaged") for place in range(1, PLACES + 1)]
    some = asked.filter(shown > 0).order_by(asked.query.hash(), *KEY).limit(_RESULTS)
    rows = some.select("modality", "query", *names).to_pyarrow()
    found = {name: one for name, (one, _) in of_places(rows).items()}
    return Examination(
        {name: tuple(_carried(one.relative)) for name, one in found.items()},
        {name: (tuple(one.low.tolist()), tuple(one.high.tolist())) for name, one in found.items()},
    )


def of_places(rows: pa.Table) -> dict[str, tuple[position_bias.Examination, Floats]]:
    """By modality, from shown_k and engaged_k of results: the estimated curve, and engagement by place as it is."""
    modality = np.asarray(rows.column("modality").to_pylist(), dtype=str)
    query = np.unique(np.asarray(rows.column("query").to_pylist(), dtype=str), return_inverse=True)[1]
    names = [f"{what}_{place}" for what in ("shown", "engaged") for place in range(1, PLACES + 1)]
    counts = np.nan_to_num(np.column_stack([numbers(rows, name) for name in names]))
    out = {}
    for name in np.unique(modality):
        some = counts[modality == name]
        some_shown, some_engaged = some[:, :PLACES].sum(axis=0), some[:, PLACES:].sum(axis=0)
        if some_shown[0] > 0:
            rate = some_engaged / np.where(some_shown > 0, some_shown, np.nan)
            naive = rate / rate[0] if rate[0] > 0 else np.full(PLACES, np.nan)
            out[str(name)] = (_curve(some, query[modality == name]), naive)
    return out


def _curve(counts: Floats, query: NDArray[np.int64]) -> position_bias.Examination:
    """From counts of results x (shown at each place, engaged at each place)."""
    row, place = np.nonzero(counts[:, :PLACES])
    found = position_bias.examination(
        position_bias.Counts(
            query[row], row, place + 1, counts[row, place], counts[row, PLACES + place]
        ),
        draws=_DRAWS,
    )  # fmt: skip
    short = PLACES - len(found.relative)
    return position_bias.Examination(
        *(np.append(values, np.full(short, np.nan)) for values in (found.relative, found.low, found.high))
    )


def _carried(relative: Floats) -> list[float]:
    out = [1.0]
    for chance in relative[1:]:
        out.append(float(np.clip(chance, 1e-3, 1.0)) if np.isfinite(chance) else out[-1])
    return out

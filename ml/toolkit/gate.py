"""The gate: per-case losses in, a verdict with reasons and intervals out. Pure, seeded, tested by simulation.

The loss of a model is a ratio, sum(loss) / sum(weight), over its cases. Two models are compared on the very same cases;
the interval of their relative difference comes from a paired bootstrap that resamples entities (products, cascades,
dialogues), because cases of one entity are not independent (Efron & Tibshirani 1993, chapter 8; Cameron, Gelbach &
Miller 2008 for clusters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
CHALLENGER, CHAMPION, BASELINE = "challenger", "champion", "baseline"


@dataclass(frozen=True, slots=True)
class GateRules:
    """What a challenger has to show; fractions are relative to the reference's loss."""

    confidence: float = 0.95
    bootstrap: int = 2000
    minimum_effect: float = 0.0
    slice_margin: float = 0.25
    minimum_cases: int = 30
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger against a reference on the same cases; `difference` is relative, negative is better."""

    against: str
    scope: str
    cases: int
    challenger: float
    reference: float
    difference: float
    low: float
    high: float

    def words(self) -> str:
        """One sentence for people."""
        direction = "lower" if self.difference < 0 else "higher"
        return (
            f"loss {self.challenger:.4f} against {self.reference:.4f} of the {self.against} on {self.cases} cases"
            f" ({self.scope}): {abs(self.difference):.1%} {direction},"
            f" interval [{self.low:+.1%}, {self.high:+.1%}]"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and why."""

    approved: bool
    reasons: tuple[str, ...]
    headline: Comparison | None
    guardrails: tuple[Comparison, ...] = field(default=())


def verdict(losses: pa.Table, rules: GateRules) -> Verdict:
    """Judge the challenger on one hold-out.

    `losses`: rows of case, entity, model (challenger, champion or baseline), loss, weight, and slice_* columns. The
    champion judges where it is present, the baseline otherwise; the baseline is a guardrail in any case. Only cases
    that both sides have are compared.
    """
    models = set(losses["model"].to_pylist())
    reference = CHAMPION if CHAMPION in models else BASELINE
    headline = _compare(losses, reference, rules)
    if headline is None or headline.cases < rules.minimum_cases:
        found = 0 if headline is None else headline.cases
        return Verdict(
            False,
            (f"only {found} cases to compare with the {reference}; {rules.minimum_cases} needed",),
            headline,
        )
    guardrails = tuple(_guardrails(losses, reference, rules))
    reasons = [*_refusals(headline, guardrails, rules)]
    return Verdict(not reasons, tuple(reasons) or (headline.words(),), headline, guardrails)


def _refusals(headline: Comparison, guardrails: Sequence[Comparison], rules: GateRules) -> Iterator[str]:
    if headline.high >= -rules.minimum_effect:
        yield f"not better beyond doubt: {headline.words()}"
    for guard in guardrails:
        margin = 0.0 if guard.scope == "all" else rules.slice_margin
        if guard.low > margin:
            yield f"worse beyond the margin of {margin:.0%}: {guard.words()}"


def _guardrails(losses: pa.Table, reference: str, rules: GateRules) -> Iterator[Comparison]:
    if reference != BASELINE:
        against_baseline = _compare(losses, BASELINE, rules)
        if against_baseline is not None:
            yield against_baseline
    for name in (column for column in losses.column_names if column.startswith("slice_")):
        for value in sorted({text for text in losses[name].to_pylist() if text is not None}):
            mask = np.array([text == value for text in losses[name].to_pylist()])
            part = _compare(losses.filter(pa.array(mask)), reference, rules, f"{name[6:]} = {value}")
            if part is not None and part.cases >= rules.minimum_cases:
                yield part


def _compare(losses: pa.Table, reference: str, rules: GateRules, scope: str = "all") -> Comparison | None:
    pairs = _paired(losses, reference)
    if pairs is None:
        return None
    entity, challenger, other, weight = pairs
    sums = _cluster_sums(entity, np.column_stack([challenger, other, weight]))
    total = sums.sum(axis=0)
    if total[1] <= 0 or total[2] <= 0:
        return None
    low, high = paired_interval(sums[:, 0], sums[:, 1], rules.confidence, rules.bootstrap, rules.seed)
    return Comparison(
        reference,
        scope,
        len(challenger),
        total[0] / total[2],
        total[1] / total[2],
        total[0] / total[1] - 1,
        low,
        high,
    )


def _paired(losses: pa.Table, reference: str) -> tuple[npt.NDArray[Any], Floats, Floats, Floats] | None:
    sides = {}
    for model in (CHALLENGER, reference):
        part = losses.filter(pc.equal(losses["model"], model)).select(["case", "entity", "loss", "weight"])
        sides[model] = part
    joined = sides[CHALLENGER].join(
        sides[reference].select(["case", "loss"]), "case", join_type="inner", right_suffix="_reference"
    )
    if joined.num_rows == 0:
        return None
    joined = joined.sort_by("case")
    return (
        np.asarray(joined["entity"].to_pylist()),
        joined["loss"].to_numpy(),
        joined["loss_reference"].to_numpy(),
        joined["weight"].to_numpy(),
    )


def _cluster_sums(entity: npt.NDArray[Any], values: Floats) -> Floats:
    _, position = np.unique(entity, return_inverse=True)
    sums = np.zeros((position.max() + 1, values.shape[1]))
    np.add.at(sums, position, values)
    return sums


def paired_interval(
    challenger: Floats, reference: Floats, confidence: float, draws: int, seed: int
) -> tuple[float, float]:
    """Interval of sum(challenger) / sum(reference) − 1 by a percentile bootstrap over entities.

    `challenger`, `reference`: loss sums per entity, shape (entities,). Returns (low, high).
    """
    random = np.random.default_rng(seed)
    count = len(challenger)
    ratios = np.empty(draws)
    step = max(1, 4_000_000 // max(count, 1))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        times = random.multinomial(count, np.full(count, 1 / count), size=size)
        ratios[start : start + size] = (times @ challenger) / np.maximum(times @ reference, 1e-300) - 1
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def as_json(result: Verdict) -> Mapping[str, Any]:
    """The verdict as plain data."""
    return asdict(result)

"""The gate: per-case losses in, a verdict with reasons and intervals out. Pure, without chance, tested by simulation.

A champion meets a new challenger every day, and a test at 5 % a day would let a model that is no better win within
weeks. So the whole reign of a champion has one error budget, 1 - confidence, of which each look spends its share
(`ml.toolkit.paired.spent`): a challenger is promoted where the chance of its difference, were it no better, is below
that share. A promotion begins a new reign.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.toolkit.paired import Paired, compare, holm, spent

Floats = npt.NDArray[np.float64]
CHALLENGER, CHAMPION, BASELINE = "challenger", "champion", "baseline"


@dataclass(frozen=True, slots=True)
class GateRules:
    """What a challenger has to show; fractions are relative to the reference's loss.

    `look`: how often, with this one, the champion has been challenged since its promotion.
    """

    confidence: float = 0.95
    look: int = 1
    minimum_effect: float = 0.0
    slice_margin: float = 0.25
    minimum_cases: int = 30

    @property
    def level(self) -> float:
        """What the chance of an error at this look must be below."""
        return (1 - self.confidence) * spent(self.look)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Challenger against a reference on the same cases; `difference` is relative, negative is better.

    `chance`: the p-value of what would stop the challenger (over all: that it is no better; of a guardrail: that it
    is no worse than its margin allows, corrected for the number of slices).
    """

    against: str
    scope: str
    cases: int
    challenger: float
    reference: float
    difference: float
    low: float
    high: float
    chance: float

    def words(self) -> str:
        """One sentence for people."""
        direction = "lower" if self.difference < 0 else "higher"
        return (
            f"loss {self.challenger:.4f} against {self.reference:.4f} of the {self.against} on {self.cases} cases"
            f" ({self.scope}): {abs(self.difference):.1%} {direction},"
            f" interval [{self.low:+.1%}, {self.high:+.1%}]"
        )


MEASURED = ("latency_ms",)
"""Metrics that are measured when a version is recorded, and that a verdict gets then (`with_measured`)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A metric of the challenger that must lie between two bounds."""

    metric: str
    value: float | None
    low: float
    high: float

    @property
    def kept(self) -> bool:
        """Whether the value is there and within the bounds."""
        return self.value is not None and self.low <= self.value <= self.high

    def words(self) -> str:
        """One sentence for people."""
        found = "was not computed" if self.value is None else f"is {self.value:.4g}"
        return f"{self.metric} {found}; it must lie between {self.low:g} and {self.high:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and why. `level`: what the headline's chance had to be below at this look."""

    approved: bool
    reasons: tuple[str, ...]
    headline: Comparison | None
    guardrails: tuple[Comparison, ...] = field(default=())
    limits: tuple[Limit, ...] = field(default=())
    look: int = 1
    level: float = 0.0
    rules: GateRules = field(default_factory=GateRules)


def verdict(losses: pa.Table, rules: GateRules, limits: Sequence[Limit] = ()) -> Verdict:
    """Judge the challenger on one hold-out.

    `losses`: rows of case, entity, model (challenger, champion or baseline), loss, weight, and slice_* columns. The
    champion judges where it is present, the baseline otherwise; the baseline is a guardrail in any case. Only cases
    that both sides have are compared.
    """
    models = set(losses["model"].to_pylist())
    reference = CHAMPION if CHAMPION in models else BASELINE
    found = _measured(losses, reference)
    if found is None or found.cases < rules.minimum_cases:
        count = 0 if found is None else found.cases
        few = f"only {count} cases to compare with the {reference}; {rules.minimum_cases} needed"
        headline = found.said(rules, found.paired.chance_below(-rules.minimum_effect)) if found else None
        return Verdict(False, (few,), headline, (), tuple(limits), rules.look, rules.level, rules)
    headline = found.said(rules, found.paired.chance_below(-rules.minimum_effect))
    guardrails = tuple(_guardrails(losses, reference, rules))
    reasons = tuple(_refusals(headline, guardrails, limits, rules))
    return Verdict(
        not reasons,
        reasons or (headline.words(),),
        headline,
        guardrails,
        tuple(limits),
        rules.look,
        rules.level,
        rules,
    )


def _refusals(
    headline: Comparison, guardrails: Sequence[Comparison], limits: Sequence[Limit], rules: GateRules
) -> Iterator[str]:
    if headline.chance >= rules.level:
        yield (
            f"not better beyond doubt: {headline.words()}; a chance of {headline.chance:.2g} if it were no better,"
            f" and {rules.level:.2g} is allowed at look {rules.look} of this champion's reign"
        )
    for guard in guardrails:
        if guard.chance < 1 - rules.confidence:
            yield f"worse beyond the margin of {_margin(guard, rules):.0%}: {guard.words()}"
    yield from (limit.words() for limit in limits if not limit.kept)


def _margin(guard: Comparison, rules: GateRules) -> float:
    return 0.0 if guard.scope == "all" else rules.slice_margin


def _guardrails(losses: pa.Table, reference: str, rules: GateRules) -> Iterator[Comparison]:
    if reference != BASELINE:
        against_baseline = _measured(losses, BASELINE)
        if against_baseline is not None:
            yield against_baseline.said(rules, against_baseline.paired.chance_above(0.0))
    parts = [part for part in _slices(losses, reference) if part.cases >= rules.minimum_cases]
    chances = holm(np.array([part.paired.chance_above(rules.slice_margin) for part in parts]))
    yield from (part.said(rules, float(chance)) for part, chance in zip(parts, chances, strict=True))


def _slices(losses: pa.Table, reference: str) -> Iterator[_Measured]:
    for name in (column for column in losses.column_names if column.startswith("slice_")):
        for value in sorted(text for text in losses[name].unique().to_pylist() if text is not None):
            part = _measured(losses.filter(pc.equal(losses[name], value)), reference, f"{name[6:]} = {value}")
            if part is not None:
                yield part


@dataclass(frozen=True, slots=True)
class _Measured:
    """A comparison before anything is asked of it."""

    against: str
    scope: str
    cases: int
    challenger: float
    reference: float
    paired: Paired

    def said(self, rules: GateRules, chance: float) -> Comparison:
        low, high = self.paired.interval(rules.confidence)
        return Comparison(
            self.against, self.scope, self.cases, self.challenger, self.reference, self.paired.difference,
            low, high, chance,
        )  # fmt: skip


def _measured(losses: pa.Table, reference: str, scope: str = "all") -> _Measured | None:
    pairs = _paired(losses, reference)
    if pairs is None:
        return None
    entity, challenger, other, weight = pairs
    sums = _cluster_sums(entity, np.column_stack([challenger, other, weight]))
    total = sums.sum(axis=0)
    if total[1] <= 0 or total[2] <= 0:
        return None
    paired = compare(sums[:, 0], sums[:, 1])
    return _Measured(reference, scope, len(challenger), total[0] / total[2], total[1] / total[2], paired)


def _paired(losses: pa.Table, reference: str) -> tuple[npt.NDArray[Any], Floats, Floats, Floats] | None:
    columns = ["case", "entity", "loss", "weight"]
    mine, others = (
        losses.filter(pc.equal(losses["model"], m)).select(columns) for m in (CHALLENGER, reference)
    )
    joined = mine.join(others.select(["case", "loss"]), "case", join_type="inner", right_suffix="_reference")
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


def in_words(said: Mapping[str, Any]) -> tuple[str, ...]:
    """A verdict given as plain data (`as_json`), for people: the decision and why, each guardrail, each limit."""
    rules = GateRules(**said.get("rules") or {})
    guards = [Comparison(**part) for part in said.get("guardrails", ())]
    limits = [Limit(**part) for part in said.get("limits", ())]
    headline = Comparison(**said["headline"]) if said.get("headline") else None
    return (
        f"{'Better beyond doubt' if said['approved'] else 'Not promoted'}, at look {rules.look} of this reign.",
        *([f"All cases: {headline.words()}."] if headline else []),
        *(reason for reason in said["reasons"] if headline is None or reason != headline.words()),
        *(f"Guardrail {_kept(guard, rules)}: {guard.words()}." for guard in guards),
        *(f"Limit {'kept' if limit.kept else 'BROKEN'}: {limit.words()}." for limit in limits),
    )


def with_measured(said: Mapping[str, Any], limits: Sequence[Limit]) -> dict[str, Any]:
    """A verdict given as plain data, with limits of what is measured after it was made; a broken one refuses.

    What a clock says (latency) is not the same twice, and so cannot be part of a stage that is rebuilt byte for byte.
    """
    broken = [limit.words() for limit in limits if not limit.kept]
    return {
        **said,
        "approved": said["approved"] and not broken,
        "reasons": [*said["reasons"], *broken],
        "limits": [*said.get("limits", ()), *(asdict(limit) for limit in limits)],
    }


def _kept(guard: Comparison, rules: GateRules) -> str:
    state = "BROKEN" if guard.chance < 1 - rules.confidence else "kept"
    return f"{state} (no worse than by {_margin(guard, rules):.0%})"


def as_json(result: Verdict) -> Mapping[str, Any]:
    """The verdict as plain data."""
    return asdict(result)

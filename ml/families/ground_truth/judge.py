"""How predictions are judged: one loss for each label that people gave, and the metrics of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.ground_truth.columns import KEY, KINDS
from ml.families.ground_truth.exchanges import exchanges_of
from ml.families.ground_truth.votes import Consensus, LeftOut, agreed, one_left_out, votes_of
from ml.toolkit import segmentation
from ml.toolkit.calibration import coverage_at, expected_calibration_error, threshold_at

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
PROBABILITY = {"goal_boundary": "boundary", "goal_success": "success", "satisfaction": "defect"}
DECISION = {"goal_boundary": "begins", "goal_success": "succeeded", "satisfaction": "defective"}
SURE = {"goal_boundary": "boundary_sure", "goal_success": "success_sure", "satisfaction": "defect_sure",
        "intent": "intent_sure"}  # fmt: skip
NAME = {"goal_boundary": "boundary", "goal_success": "success", "satisfaction": "defect", "intent": "intent"}
YES = {"goal_boundary": "yes", "goal_success": "yes", "satisfaction": "dissatisfied"}
MARGINS = (0.0, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class Judged:
    """Truth and predictions side by side, sorted by key; `agreed` by kind."""

    rows: pa.Table
    agreed: Mapping[str, Consensus]

    def column(self, name: str) -> NDArray[Any]:
        """A column as numpy."""
        values: NDArray[Any] = self.rows.column(name).to_numpy(zero_copy_only=False)
        return values

    def counted(self, kind: str) -> Flags:
        """Rows that are cases of a kind: labelled, and no dialogue's first turn where beginnings are asked for."""
        known = self.agreed[kind].known
        return known & (self.column("place") > 0) if kind == "goal_boundary" else known

    def left_out(self, kind: str) -> LeftOut:
        """One annotator against the others, on the rows that are cases of the kind."""
        left = one_left_out(votes_of(self.rows, kind), exchanges_of(self.rows).dialogue, kind)
        kept = self.counted(kind)[left.row]
        return LeftOut(left.row[kept], left.one[kept], left.rest[kept])

    def cases(self, kind: str) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
        """Rows that are judged, and the label that each is judged by.

        Satisfaction is judged by all annotators but one, each left out in turn, so that a model and one person face
        the same judges (a turn is then several cases). Everything else is judged by what the annotators agree on.
        """
        counted = np.flatnonzero(self.counted(kind))
        labels = self.agreed[kind].labels
        if kind != "satisfaction":
            return counted, labels[counted]
        left = self.left_out(kind)
        alone = np.setdiff1d(counted, left.row)
        places, judged = np.concatenate([left.row, alone]), np.concatenate([left.rest, labels[alone]])
        order = np.argsort(places, kind="stable")
        return places[order], judged[order].astype(str)


def side_by_side(predictions: pa.Table, truth: pa.Table) -> Judged:
    """Join by key; only rows that both have."""
    joined = truth.join(predictions, list(KEY), join_type="inner")
    joined = joined.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
    dialogue = exchanges_of(joined).dialogue
    return Judged(joined, {kind: agreed(votes_of(joined, kind), dialogue, kind) for kind in KINDS})


def losses(predictions: pa.Table, truth: pa.Table) -> pa.Table:
    """One case for each label that people gave: its loss by its weight, its weight, its dialogue, its slices.

    The loss of a yes-or-no label is the squared distance to its probability (Brier), in units of the label's variance
    in these cases, so that a constant loses about 1; of an intent it is 1 if wrong. Each kind weighs the same in all.
    """
    both = side_by_side(predictions, truth)
    return pa.concat_tables([_cases(both, kind) for kind in KINDS])


def _cases(both: Judged, kind: str) -> pa.Table:
    counted = both.counted(kind)
    places = pa.array(np.flatnonzero(counted))
    rows = both.rows.take(places)
    weight = np.full(len(rows), 1000.0 / max(len(rows), 1))
    keys = zip(*(rows.column(name).to_pylist() for name in KEY), strict=True)
    case = [f"{dialogue}/{turn}/{NAME[kind]}" for dialogue, turn in keys]
    return pa.table(
        {
            "case": pa.array(case, pa.string()),
            "entity": rows.column("dialogue_id"),
            "loss": pa.array(_loss(both, kind)[counted] * weight),
            "weight": pa.array(weight),
            "slice_kind": pa.array([NAME[kind]] * len(rows), pa.string()),
            "slice_domain": pa.array(
                [text or "not known" for text in rows.column("domain").to_pylist()], pa.string()
            ),
            "slice_position": _named(rows, "place", ((1, "first turn"), (5, "turns 2 to 5")), "later"),
            "slice_dialogue": _named(rows, "exchanges", ((5, "short"), (12, "middling")), "long"),
            "slice_length": _named(rows, "words", ((4, "few words"), (13, "some words")), "many words"),
            "slice_agreement": pa.array(_agreement(both.agreed[kind])[counted].tolist(), pa.string()),
        }
    )


def _loss(both: Judged, kind: str) -> Floats:
    """The loss of every row; of a turn with several judges their mean."""
    places, labels = both.cases(kind)
    if kind == "intent":
        each = (both.column("intent")[places] != labels).astype(np.float64)
    else:
        yes = (labels == YES[kind]).astype(np.float64)
        share = yes.mean() if len(yes) else 0.5
        made = np.clip(both.column(PROBABILITY[kind])[places].astype(np.float64), 0, 1)
        each = (made - yes) ** 2 / max(share * (1 - share), 0.01)
    count = np.bincount(places, minlength=len(both.rows))
    return np.asarray(np.bincount(places, each, minlength=len(both.rows)) / np.maximum(count, 1))


def _agreement(agreed: Consensus) -> NDArray[np.str_]:
    named = np.where(agreed.agreement >= 1, "all agree", "some differ")
    return np.where(agreed.voters < 2, "one annotator", named)


def _named(rows: pa.Table, name: str, below: tuple[tuple[int, str], ...], beyond: str) -> pa.Array:
    values = np.nan_to_num(rows.column(name).to_numpy())
    return pa.array(
        [next((word for limit, word in below if value < limit), beyond) for value in values], pa.string()
    )


def metrics(predictions: pa.Table, truth: pa.Table) -> Mapping[str, float]:
    """The numbers to show, for the kinds that the truth has; and the loss over all."""
    both = side_by_side(predictions, truth)
    cases = losses(predictions, truth)
    made = {
        "loss": _ratio(
            float(np.sum(cases.column("loss").to_numpy())), float(np.sum(cases.column("weight").to_numpy()))
        )
    }
    for kind in KINDS:
        if both.counted(kind).any():
            made |= {f"{NAME[kind]}_{name}": value for name, value in _of_kind(both, kind).items()}
    made["calibration_error"] = _calibration(both, made)
    if both.agreed["goal_boundary"].known.any() and both.agreed["goal_success"].known.any():
        made["goals_exact"] = goals_exact(both)
    return {name: float(value) for name, value in made.items()}


def _calibration(both: Judged, made: Mapping[str, float]) -> float:
    """Over all kinds of labels, by the number of their cases."""
    cases = {kind: float(both.counted(kind).sum()) for kind in KINDS}
    gaps = {kind: made.get(f"{NAME[kind]}_calibration_error", 0.0) for kind in KINDS}
    return _ratio(sum(cases[kind] * gaps[kind] for kind in KINDS), sum(cases.values()))


def _of_kind(both: Judged, kind: str) -> dict[str, float]:
    places, labels = both.cases(kind)
    if kind == "intent":
        sure = both.column("intent_confidence")[places].astype(float)
        made = np.asarray(both.column("intent")[places], dtype=str)
        right = made == labels
        return _intent(labels, made) | _trust(both, kind, sure, right, sure, right)
    yes = labels == YES[kind]
    probability = np.clip(both.column(PROBABILITY[kind])[places].astype(float), 0, 1)
    said = both.column(DECISION[kind])[places].astype(bool)
    found = _yes_or_no(kind, yes, said, probability)
    if kind == "goal_boundary":
        found |= _segments(both)
    if kind == "satisfaction":
        found |= _grades(labels, np.asarray(both.column("grade")[places], dtype=str))
        found |= _found_as_surely(both, yes, probability)
    sure = np.where(said, probability, 1 - probability)
    return found | _trust(both, kind, sure, said == yes, probability, yes)


def _found_as_surely(both: Judged, yes: Flags, probability: Floats) -> dict[str, float]:
    """The share of defects found while a yes is at least as often right as one person's yes is."""
    left = both.left_out("satisfaction")
    said = left.one == YES["satisfaction"]
    if not said.any() or not yes.any():
        return {}
    bar = float(np.mean(left.rest[said] == YES["satisfaction"]))
    named = probability >= threshold_at(bar, probability, yes.astype(np.float64))
    human = float(np.mean(left.one[left.rest == YES["satisfaction"]] == YES["satisfaction"]))
    return {
        "human_precision_of_yes": bar,
        "recall_at_human_precision": float(np.mean(named[yes])),
        "human_recall": human,
    }


def _yes_or_no(kind: str, yes: Flags, said: Flags, probability: Floats) -> dict[str, float]:
    """F1 and area under precision and recall are of what is rare: beginnings, failures, defects."""
    from sklearn.metrics import average_precision_score, cohen_kappa_score, f1_score

    rare, named, chance = (
        (~yes, ~said, 1 - probability) if kind == "goal_success" else (yes, said, probability)
    )
    suffix = "_of_failure" if kind == "goal_success" else ""
    return {
        "accuracy": float(np.mean(yes == said)),
        f"f1{suffix}": float(f1_score(rare, named, zero_division=0.0)),
        "macro_f1": float(f1_score(yes, said, average="macro", zero_division=0.0)),
        f"pr_auc{suffix}": float(average_precision_score(rare, chance)) if rare.any() else float("nan"),
        "kappa": _defined(cohen_kappa_score(yes, said)),
    }


def _grades(labels: NDArray[np.str_], said: NDArray[np.str_]) -> dict[str, float]:
    """Three grades: dissatisfied, neutral, satisfied."""
    from sklearn.metrics import cohen_kappa_score

    return {
        "grade_accuracy": float(np.mean(labels == said)),
        "grade_kappa": _defined(cohen_kappa_score(labels, said)),
    }


def _defined(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0


def _intent(labels: NDArray[np.str_], said: NDArray[np.str_], unsupported: str = "oos") -> dict[str, float]:
    from sklearn.metrics import f1_score

    made = {"accuracy": float(np.mean(labels == said)),
            "macro_f1": float(f1_score(labels, said, average="macro", zero_division=0.0))}  # fmt: skip
    outside = labels == unsupported
    if outside.any():
        made |= {"in_scope_accuracy": float(np.mean((labels == said)[~outside])),
                 "out_of_scope_recall": float(np.mean(said[outside] == unsupported))}  # fmt: skip
    return made


def _trust(
    both: Judged, kind: str, sure: Floats, right: Flags, probability: Floats, happened: Flags
) -> dict[str, float]:
    """Calibration, and how much can be labelled as precisely as a single annotator, and 5 and 10 points better."""
    emitted = both.column(SURE[kind])[both.cases(kind)[0]].astype(bool)
    correct = right.astype(np.float64)
    made = {
        "calibration_error": expected_calibration_error(probability, happened.astype(np.float64)),
        "labelled": float(emitted.mean()),
        "labelled_precision": float(right[emitted].mean()) if emitted.any() else float("nan"),
    }
    left = both.left_out(kind)
    if len(left.row):
        human, agreed = (some == YES[kind] if kind in YES else some for some in (left.one, left.rest))
        bar = float(np.mean(human == agreed))
        made["human_precision"] = bar
        for margin in MARGINS:
            name = f"coverage_at_human{f'_plus_{round(100 * margin)}' if margin else ''}"
            made[name] = coverage_at(min(bar + margin, 1.0), sure, correct)
    return made


def _segments(both: Judged) -> dict[str, float]:
    true, made = segments(both)
    return {"f1": segmentation.boundary_f1(true, made), "pk": segmentation.pk(true, made),
            "window_diff": segmentation.window_diff(true, made)}  # fmt: skip


def segments(both: Judged) -> tuple[list[Flags], list[Flags]]:
    """True and made beginnings, one array for each dialogue in which beginnings are annotated."""
    known = both.agreed["goal_boundary"].known
    dialogue = both.column("dialogue_id")[known]
    cuts = np.flatnonzero(dialogue[1:] != dialogue[:-1]) + 1
    true = (both.agreed["goal_boundary"].labels == "yes")[known]
    made = both.column("begins").astype(bool)[known]
    return np.split(true, cuts), np.split(made, cuts)


def goals_exact(both: Judged) -> float:
    """Share of true goals whose beginning, end and outcome (where annotated) are all found."""
    known = both.agreed["goal_boundary"].known
    dialogue = both.column("dialogue_id")[known]
    first = np.append(True, dialogue[1:] != dialogue[:-1])
    true = (both.agreed["goal_boundary"].labels == "yes")[known] | first
    made = both.column("begins").astype(bool)[known] | first
    starts = np.flatnonzero(true)
    ends = np.append(starts[1:], len(true))
    outcome = both.agreed["goal_success"].labels[known]
    said = both.column("succeeded").astype(bool)[known]
    right = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        cut = made[start] and not made[start + 1 : end].any() and (end == len(made) or made[end])
        labelled = [(outcome[place] == "yes") == said[place] for place in range(start, end) if outcome[place]]
        right += cut and all(labelled)
    return right / len(starts)


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom else float("nan")

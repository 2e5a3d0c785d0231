"""The model: readers of dialogues, what fits together, and a head for each kind of label that anybody annotated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import ibis
import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth import binary, coherence, intents, reading
from ml.families.ground_truth.binary import Asked, Head
from ml.families.ground_truth.coherence import Coherence
from ml.families.ground_truth.columns import KINDS, votes
from ml.families.ground_truth.design import exchange_cases, goal_cases, goals_of
from ml.families.ground_truth.exchanges import NOWHERE, Exchanges, Places, read_exchanges
from ml.families.ground_truth.intents import Intents
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.reading import Read, Reader
from ml.families.ground_truth.votes import Consensus, consensus, one_left_out, votes_of
from ml.toolkit.calibration import threshold_at

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
BOUNDARY, FAILURE, DISSATISFIED, SATISFIED = "boundary", "failure", "dissatisfied", "satisfied"
KIND_OF = {
    BOUNDARY: "goal_boundary",
    FAILURE: "goal_success",
    DISSATISFIED: "satisfaction",
    SATISFIED: "satisfaction",
}
YES_OF = {BOUNDARY: "yes", FAILURE: "no", DISSATISFIED: "dissatisfied", SATISFIED: "satisfied"}
FEWEST = 8


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model. A kind that nobody annotated has no head; `bars` is a single annotator's precision by kind."""

    reader: Reader
    coherence: Coherence | None
    heads: Mapping[str, Head]
    intents: Intents | None
    bars: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of n exchanges: probabilities by head (nan: no such head), begins of goals, intents."""

    probabilities: Mapping[str, Floats]
    begins: Flags
    intent: NDArray[np.str_]
    intent_confidence: Floats


def fit(matrix: ibis.Table, as_of: date, params: GroundTruthParams) -> Model:
    """Learn the texts and what fits together from all dialogues, the heads from those that people annotated."""
    every = read_exchanges(matrix)
    reader = reading.learn_reader(every, params)
    fits = _coherence(reader, every, params)
    exchanges = _annotated(every, params)
    read = reading.read(reader, exchanges)
    agreed = {kind: consensus(votes_of(exchanges.rows, kind), kind) for kind in KINDS}
    fitting = fits.score(read) if fits else None
    bars = {kind: _bar(exchanges, kind, params) for kind in KINDS}
    heads, unseen = _exchange_heads(read, fitting, agreed, bars, params)
    goals = _goal_head(read, fitting, agreed, heads, unseen, bars, params)
    return Model(reader, fits, heads | goals, _intents(reader, read, agreed["intent"], bars, params), bars)


def _coherence(reader: Reader, every: Exchanges, params: GroundTruthParams) -> Coherence | None:
    if not params.coherence:
        return None
    some = _sampled(
        every, np.ones(every.dialogue.max(initial=-1) + 1, bool), params.max_exchanges, params.seed
    )
    return coherence.learn_coherence(reading.read(reader, some), params.seed)


def _annotated(every: Exchanges, params: GroundTruthParams) -> Exchanges:
    """Dialogues that have an annotation; of too many a part, at random."""
    any_vote = np.zeros(len(every), dtype=bool)
    for kind in KINDS:
        any_vote |= every.rows.column(votes(kind)).is_valid().to_numpy(zero_copy_only=False)
    chosen = np.zeros(every.dialogue.max(initial=-1) + 1, dtype=bool)
    chosen[every.dialogue[any_vote]] = True
    return _sampled(every, chosen, params.max_exchanges, params.seed)


def _sampled(every: Exchanges, chosen: Flags, most: int, seed: int) -> Exchanges:
    sizes = np.bincount(every.dialogue, minlength=len(chosen)) * chosen
    order = np.random.default_rng(seed).permutation(len(chosen))
    kept = np.zeros(len(chosen), dtype=bool)
    kept[order[np.cumsum(sizes[order]) <= most]] = True
    return every.of_dialogues(kept & chosen)


def _bar(exchanges: Exchanges, kind: str, params: GroundTruthParams) -> float:
    """How often one annotator is right by the others' consensus; the assumed share where no two saw the same."""
    one, rest = one_left_out(votes_of(exchanges.rows, kind), kind)
    return float(np.mean(one == rest)) if len(one) else params.single_annotator


def _exchange_heads(
    read: Read, fitting: Floats | None, agreed: Mapping[str, Consensus], bars: Mapping[str, float],
    params: GroundTruthParams,
) -> tuple[dict[str, Head], dict[str, tuple[Places, Floats]]]:  # fmt: skip
    """Heads of the kinds that are of an exchange, and their answers to dialogues unseen."""
    cases = exchange_cases(read, fitting)
    heads, unseen = {}, {}
    for name in (BOUNDARY, DISSATISFIED, SATISFIED):
        labels = agreed[KIND_OF[name]]
        known = labels.known & ((read.exchanges.step(-1) != NOWHERE) | (name != BOUNDARY))
        if known.sum() >= FEWEST:
            places = np.flatnonzero(known)
            heads[name], answer = _learn(
                name, cases, places, labels.labels[places] == YES_OF[name], bars, params
            )
            unseen[name] = (places, answer)
    return heads, unseen


def _learn(
    name: str, cases: Asked, places: Places, yes: Flags, bars: Mapping[str, float], params: GroundTruthParams
) -> tuple[Head, Floats]:
    learned = binary.learn_head(cases, places, yes, params)
    said = learned.unseen >= learned.head.threshold
    sure = threshold_at(bars[KIND_OF[name]], confidence(learned.unseen, said), said == yes)
    return replace(learned.head, sure=sure), learned.unseen


def confidence(probability: Floats, said: Flags) -> Floats:
    """How sure a yes or a no is."""
    return np.where(said, probability, 1 - probability)


def _goal_head(
    read: Read, fitting: Floats | None, agreed: Mapping[str, Consensus], heads: Mapping[str, Head],
    unseen: Mapping[str, tuple[Places, Floats]], bars: Mapping[str, float], params: GroundTruthParams,
) -> dict[str, Head]:  # fmt: skip
    """The head of goals' success: a goal reaches from its beginning, as annotated or else foreseen, to its label."""
    labels = agreed["goal_success"]
    ends = np.flatnonzero(labels.known)
    if len(ends) < FEWEST:
        return {}
    begins = agreed["goal_boundary"].labels == "yes"
    if BOUNDARY in heads:
        places, answer = unseen[BOUNDARY]
        begins[places] = answer >= heads[BOUNDARY].threshold
    goals = goals_of(read.exchanges, begins)
    starts = np.searchsorted(goals, goals[ends])
    cases = goal_cases(read, ends, starts, fitting)
    yes = labels.labels[ends] == YES_OF[FAILURE]
    head, _ = _learn(FAILURE, cases, np.arange(len(ends)), yes, bars, params)
    return {FAILURE: head}


def _intents(
    reader: Reader, read: Read, agreed: Consensus, bars: Mapping[str, float], params: GroundTruthParams
) -> Intents | None:
    known = np.flatnonzero(agreed.known)
    if len(known) < FEWEST:
        return None
    words = intents.words_of(reader, read)[known]
    learned = intents.learn_intents(words, agreed.labels[known], read.exchanges.dialogue[known], params)
    sure = threshold_at(bars["intent"], learned.unseen, learned.labels == agreed.labels[known])
    return replace(learned.intents, sure=sure)


def say(model: Model, exchanges: Exchanges) -> Said:
    """What the model says of every exchange; a goal's success is said of each of its exchanges."""
    read = reading.read(model.reader, exchanges)
    fitting = model.coherence.score(read) if model.coherence else None
    cases = exchange_cases(read, fitting)
    probabilities = {name: head.answer(cases) for name, head in model.heads.items() if name != FAILURE}
    first = exchanges.step(-1) == NOWHERE
    begins = first.copy()
    if BOUNDARY in probabilities:
        probabilities[BOUNDARY] = np.where(first, 1.0, probabilities[BOUNDARY])
        begins |= probabilities[BOUNDARY] >= model.heads[BOUNDARY].threshold
    if FAILURE in model.heads:
        probabilities[FAILURE] = _goal_answers(model.heads[FAILURE], read, begins, fitting)
    intent, sure = np.full(len(exchanges), "", dtype=object), np.zeros(len(exchanges))
    if model.intents:
        intent, sure = model.intents.answer(intents.words_of(model.reader, read))
    return Said(probabilities, begins, np.asarray(intent, dtype=str), sure)


def _goal_answers(head: Head, read: Read, begins: Flags, fitting: Floats | None) -> Floats:
    goals = goals_of(read.exchanges, begins)
    starts = np.flatnonzero(np.diff(goals, prepend=-1))
    ends = np.append(starts[1:], len(goals)) - 1
    return head.answer(goal_cases(read, ends, starts, fitting))[goals]


def save(model: Model, folder: Path) -> None:
    """Write UBJSON, JSON and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    reading.save(model.reader, folder)
    if model.coherence:
        coherence.save(model.coherence, folder)
    for name, head in model.heads.items():
        binary.save(head, folder / name)
    if model.intents:
        intents.save(model.intents, folder / "intents")
    rest = {"heads": sorted(model.heads), "intents": model.intents is not None,
            "coherence": model.coherence is not None, "bars": dict(model.bars)}  # fmt: skip
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    rest = json.loads((folder / "model.json").read_text())
    return Model(
        reading.load(folder),
        coherence.load(folder) if rest["coherence"] else None,
        {name: binary.load(folder / name) for name in rest["heads"]},
        intents.load(folder / "intents") if rest["intents"] else None,
        rest["bars"],
    )

"""The model: readers of dialogues, what fits together, and a head for each kind of label that anybody annotated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth import binary, coherence, evidence, intents, reading
from ml.families.ground_truth.binary import Asked, Head
from ml.families.ground_truth.coherence import Coherence
from ml.families.ground_truth.columns import KINDS, votes
from ml.families.ground_truth.design import exchange_cases, goal_cases, goals_of
from ml.families.ground_truth.evidence import Evidence, learn_evidence, sentences_of
from ml.families.ground_truth.exchanges import NOWHERE, Exchanges, Places, read_exchanges
from ml.families.ground_truth.grading import EVEN, GRADES, Weights, learn_weights
from ml.families.ground_truth.intents import Intents
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.reading import Read, Reader
from ml.families.ground_truth.votes import LeftOut, Shares, one_left_out, shares, votes_of
from ml.toolkit.calibration import threshold_at

if TYPE_CHECKING:
    from ml.families.ground_truth.deep.model import DeepModel

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
MEANT = (DISSATISFIED, SATISFIED)
"""Questions for which the meaning of what was said may be read too, where there is an encoder."""
WORDED = binary.READINGS.index("meaning")
"""How many readings need no encoder."""
FEWEST = 8
_WORTHWHILE = 0.02
"""Share by which meaning must add to what words tell, or it is not read: reading it takes longer than all the rest."""
_ERRORS = 3.0
"""Standard errors by which it must tell more."""
MEANING_TRIED_ON = 10_000
"""Exchanges that are enough to find out whether meaning helps: each different text takes milliseconds to encode."""


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model. A kind that nobody annotated has no head; `evidence` is there where goals' success is."""

    reader: Reader
    coherence: Coherence | None
    heads: Mapping[str, Head]
    evidence: Evidence | None
    intents: Intents | None
    grading: Weights = EVEN


@dataclass(frozen=True, slots=True)
class Given:
    """What annotators gave of a kind: labels, how far each exchange is of each (nan: not known), and who differs."""

    labels: tuple[str, ...]
    shares: Floats
    left: LeftOut
    prior: Floats | None = None

    def share(self, label: str) -> Floats:
        """How far each exchange is of a label; nan where nobody said anything."""
        if label not in self.labels:
            return np.where(np.isnan(self.shares).all(axis=1), np.nan, 0.0)
        return self.shares[:, self.labels.index(label)].copy()

    def prior_of(self, label: str) -> float | None:
        """How frequent a label is before anything but votes was seen; None if the shares are no beliefs."""
        return (
            None
            if self.prior is None or label not in self.labels
            else float(self.prior[self.labels.index(label)])
        )

    def bars(self, label: str, assumed: float) -> tuple[float, float]:
        """How often one person's label, and any other of theirs, is right by the others; `assumed` if not known."""
        said = self.left.one == label
        right = said == (self.left.rest == label)
        yes, no = (float(right[side].mean()) if side.any() else assumed for side in (said, ~said))
        return yes, no

    def bar(self, assumed: float) -> float:
        """How often a single person's label is right by the others."""
        return float(np.mean(self.left.one == self.left.rest)) if len(self.left.one) else assumed


def given_of(exchanges: Exchanges, kind: str, how: str) -> Given:
    """What annotators gave of a kind."""
    said = votes_of(exchanges.rows, kind)
    made = shares(said, exchanges.dialogue, kind, how)
    return Given(made.labels, made.of, one_left_out(said, exchanges.dialogue, kind), made.prior)


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of n exchanges: probabilities by head (nan: no such head), begins of goals, intents."""

    probabilities: Mapping[str, Floats]
    begins: Flags
    intent: NDArray[np.str_]
    intent_confidence: Floats


def fit(matrix: ibis.Table, as_of: date, params: GroundTruthParams) -> Model | DeepModel:
    """Learn the texts and what fits together from all dialogues, the heads from those that people annotated.

    Raises UsageError if the deep model is asked for and its packages are missing.
    """
    every = read_exchanges(matrix)
    return _fit_deep(every, params) if params.model == "deep" else _fit_boosted(every, params)


def _fit_deep(every: Exchanges, params: GroundTruthParams) -> DeepModel:
    from ml.families.ground_truth.deep import require_torch
    from ml.families.ground_truth.deep.model import fit_deep

    require_torch()
    exchanges = _annotated(every, params)
    given = {kind: given_of(exchanges, kind, params.consensus) for kind in KINDS}
    return fit_deep(
        _sampled(every, _whole(every), params.max_exchanges, params.seed), exchanges, given, params
    )


def _fit_boosted(every: Exchanges, params: GroundTruthParams) -> Model:
    reader = reading.learn_reader(every, params)
    fits = _coherence(reader, every, params)
    exchanges = _annotated(every, params)
    if reader.encoder and len(exchanges) > MEANING_TRIED_ON:
        some = _sampled(exchanges, _whole(exchanges), MEANING_TRIED_ON, params.seed)
        reader = _fit_heads(reader, fits, some, params).reader
    return _fit_heads(reader, fits, exchanges, params)


def _fit_heads(
    reader: Reader, fits: Coherence | None, exchanges: Exchanges, params: GroundTruthParams
) -> Model:
    """Learn what people said; the model's reader has an encoder only if something asks for meanings."""
    read = reading.read(reader, exchanges)
    given = {kind: given_of(exchanges, kind, params.consensus) for kind in KINDS}
    fitting = fits.score(read) if fits else None
    heads, unseen = _exchange_heads(reader, read, fitting, given, params)
    goals, telling = _goal_head(reader, read, fitting, heads, unseen, given, params)
    wanted = _intents(reader, read, given["intent"], params)
    meant = [head for head in heads.values() if len(head.readings) > WORDED]
    if not meant and not (wanted and wanted.voters.meaning):
        reader = replace(reader, encoder="")  # scoring need not read them
    return Model(reader, fits, heads | goals, telling, wanted, _grading(unseen, given["satisfaction"]))


def _coherence(reader: Reader, every: Exchanges, params: GroundTruthParams) -> Coherence | None:
    if not params.coherence:
        return None
    some = _sampled(every, _whole(every), params.max_exchanges, params.seed)
    of_words = replace(reader, encoder="")  # which answers fit is learned from words alone
    return coherence.learn_coherence(reading.read(of_words, some), params.seed)


def _annotated(every: Exchanges, params: GroundTruthParams) -> Exchanges:
    """Dialogues that have an annotation; of too many a part, at random."""
    any_vote = np.zeros(len(every), dtype=bool)
    for kind in KINDS:
        any_vote |= every.rows.column(votes(kind)).is_valid().to_numpy(zero_copy_only=False)
    chosen = np.zeros(every.dialogue.max(initial=-1) + 1, dtype=bool)
    chosen[every.dialogue[any_vote]] = True
    return _sampled(every, chosen, params.max_exchanges, params.seed)


def _whole(every: Exchanges) -> Flags:
    """Every dialogue."""
    return np.ones(every.dialogue.max(initial=-1) + 1, dtype=bool)


def _sampled(every: Exchanges, chosen: Flags, most: int, seed: int) -> Exchanges:
    sizes = np.bincount(every.dialogue, minlength=len(chosen)) * chosen
    order = np.random.default_rng(seed).permutation(len(chosen))
    kept = np.zeros(len(chosen), dtype=bool)
    kept[order[np.cumsum(sizes[order]) <= most]] = True
    return every.of_dialogues(kept & chosen)


def _exchange_heads(
    reader: Reader, read: Read, fitting: Floats | None, given: Mapping[str, Given], params: GroundTruthParams
) -> tuple[dict[str, Head], dict[str, Floats]]:
    """Heads of the kinds that are of an exchange, and their answers (of dialogues unseen; nan: not asked)."""
    cases = exchange_cases(reader, read, fitting)
    heads: dict[str, Head] = {}
    unseen: dict[str, Floats] = {}
    for name in (BOUNDARY, DISSATISFIED, SATISFIED):
        share = given[KIND_OF[name]].share(YES_OF[name])
        if name == BOUNDARY:
            share[read.exchanges.step(-1) == NOWHERE] = np.nan
        known = np.flatnonzero(~np.isnan(share))
        if len(known) >= FEWEST:
            ways = (WORDED, len(cases.words)) if reader.encoder and name in MEANT else (WORDED,)
            heads[name], answer = _learn(name, cases, known, share[known], given, params, ways)
            unseen[name] = np.full(len(share), np.nan)
            unseen[name][known] = answer
    return heads, unseen


def _clearly_better(other: Floats, one: Floats, share: Floats, dialogue: Places) -> bool:
    """Whether one probability foretells clearly more than another: beyond chance, and enough to be worth reading."""
    gain = _surprise(other, share) - _surprise(one, share)
    by_dialogue = np.bincount(dialogue, gain)
    certain = by_dialogue.sum() > _ERRORS * np.sqrt((by_dialogue**2).sum())
    nothing_read = np.full(len(share), share.mean())
    told = np.mean(_surprise(nothing_read, share) - _surprise(other, share))
    return bool(certain and gain.mean() > _WORTHWHILE * told)


def _surprise(probability: Floats, share: Floats) -> Floats:
    """Logarithmic loss."""
    held = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(-share * np.log(held) - (1 - share) * np.log(1 - held), dtype=np.float64)


def _learn(
    name: str,
    asked: Asked,
    known: Places,
    share: Floats,
    given: Mapping[str, Given],
    params: GroundTruthParams,
    ways: Sequence[int],
) -> tuple[Head, Floats]:
    """A head, and the confidence above which its yes is right as often as one person's yes, its no as a no.

    `ways`: how many of the readings it may read, the fewest first; it reads more where they told more of dialogues
    unseen, and clearly so.
    """
    people = given[KIND_OF[name]]
    prior = people.prior_of(YES_OF[name])
    read = asked.first(max(ways))
    made = binary.learn_heads(read, known, share, params, prior, ways=ways)
    learned = made[0]
    for one in made[1:]:
        if _clearly_better(learned.unseen, one.unseen, share, asked.dialogue[known]):
            learned = one
    bars = people.bars(YES_OF[name], params.single_annotator)
    yes, no = sure_at(bars, learned.unseen, learned.head.threshold, learned.yes)
    return replace(learned.head, sure_yes=yes, sure_no=no), learned.unseen


def sure_at(
    bars: tuple[float, float], unseen: Floats, threshold: float, share: Floats
) -> tuple[float, float]:
    """The confidences above which a yes and a no are right as often as the bars say; `share`: how far each is yes."""
    said = unseen >= threshold
    right = np.where(said, share, 1 - share)
    sure = confidence(unseen, said)
    yes, no = (
        threshold_at(bar, sure[side], right[side]) for bar, side in zip(bars, (said, ~said), strict=True)
    )
    return yes, no


def confidence(probability: Floats, said: Flags) -> Floats:
    """How sure a yes or a no is."""
    return np.where(said, probability, 1 - probability)


def _grading(unseen: Mapping[str, Floats], given: Given) -> Weights:
    if DISSATISFIED not in unseen or SATISFIED not in unseen:
        return EVEN
    shares = np.column_stack([given.share(grade) for grade in GRADES])
    known = ~np.isnan(shares).any(axis=1)
    return learn_weights(unseen[DISSATISFIED][known], unseen[SATISFIED][known], shares[known])


def _goal_head(
    reader: Reader, read: Read, fitting: Floats | None, heads: Mapping[str, Head], unseen: Mapping[str, Floats],
    given: Mapping[str, Given], params: GroundTruthParams,
) -> tuple[dict[str, Head], Evidence | None]:  # fmt: skip
    """The head of goals' success: a goal reaches from its foreseen beginning to its label."""
    failure = given["goal_success"].share(YES_OF[FAILURE])
    ends = np.flatnonzero(~np.isnan(failure))
    if len(ends) < FEWEST:
        return {}, None
    begins = np.zeros(len(read.exchanges), dtype=bool)
    if BOUNDARY in heads:
        begins = np.nan_to_num(unseen[BOUNDARY]) >= heads[BOUNDARY].threshold
    goals = goals_of(read.exchanges, begins)
    starts = np.searchsorted(goals, goals[ends])
    sentences = sentences_of(reader, read)
    telling, margins = learn_evidence(
        sentences, read.exchanges.dialogue, starts, ends, failure[ends] > 0.5, params
    )
    cases = goal_cases(read, ends, starts, fitting, margins)
    head, _ = _learn(FAILURE, cases, np.arange(len(ends)), failure[ends], given, params, (len(cases.words),))
    return {FAILURE: head}, telling


def _intents(reader: Reader, read: Read, given: Given, params: GroundTruthParams) -> Intents | None:
    known = (
        np.flatnonzero(~np.isnan(given.shares).any(axis=1)) if given.labels else np.zeros(0, dtype=np.int64)
    )
    if len(known) < FEWEST:
        return None
    words, meaning = intents.said_of(reader, read)
    learned = intents.learn_intents(
        (words[known], meaning[known]), Shares(given.labels, given.shares[known], given.prior),
        read.exchanges.dialogue[known], params,
    )  # fmt: skip
    sure = threshold_at(given.bar(params.single_annotator), learned.unseen, learned.right)
    return replace(learned.intents, sure=sure)


def say(model: Model | DeepModel, exchanges: Exchanges) -> Said:
    """What the model says of every exchange; a goal's success is said of each of its exchanges."""
    if not isinstance(model, Model):
        return model.say(exchanges)
    read = reading.read(model.reader, exchanges)
    fitting = model.coherence.score(read) if model.coherence else None
    cases = exchange_cases(model.reader, read, fitting)
    probabilities = {name: head.answer(cases) for name, head in model.heads.items() if name != FAILURE}
    first = exchanges.step(-1) == NOWHERE
    begins = first.copy()
    if BOUNDARY in probabilities:
        probabilities[BOUNDARY] = np.where(first, 1.0, probabilities[BOUNDARY])
        begins |= probabilities[BOUNDARY] >= model.heads[BOUNDARY].threshold
    if FAILURE in model.heads:
        probabilities[FAILURE] = _goal_answers(model, read, begins, fitting)
    intent, sure = np.full(len(exchanges), "", dtype=object), np.zeros(len(exchanges))
    if model.intents:
        intent, sure = model.intents.answer(intents.said_of(model.reader, read))
    return Said(probabilities, begins, np.asarray(intent, dtype=str), sure)


def _goal_answers(model: Model, read: Read, begins: Flags, fitting: Floats | None) -> Floats:
    assert model.evidence is not None
    margins = model.evidence.margins(sentences_of(model.reader, read))
    goals = goals_of(read.exchanges, begins)
    starts = np.flatnonzero(np.diff(goals, prepend=-1))
    ends = np.append(starts[1:], len(goals)) - 1
    return model.heads[FAILURE].answer(goal_cases(read, ends, starts, fitting, margins))[goals]


def save(model: Model | DeepModel, folder: Path) -> None:
    """Write UBJSON, JSON and arrays; of the deep model safetensors and JSON."""
    if not isinstance(model, Model):
        from ml.families.ground_truth.deep import model as deep

        return deep.save(model, folder)
    folder.mkdir(parents=True, exist_ok=True)
    reading.save(model.reader, folder)
    if model.coherence:
        coherence.save(model.coherence, folder)
    for name, head in model.heads.items():
        binary.save(head, folder / name)
    if model.evidence:
        evidence.save(model.evidence, folder / "evidence")
    if model.intents:
        intents.save(model.intents, folder / "intents")
    rest = {"heads": sorted(model.heads), "intents": model.intents is not None,
            "coherence": model.coherence is not None, "grading": model.grading}  # fmt: skip
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def load(folder: Path) -> Model | DeepModel:
    """Read what `save` wrote. Raises UsageError if it is the deep model and its packages are missing."""
    rest = json.loads((folder / "model.json").read_text())
    if rest.get("model") == "deep":
        from ml.families.ground_truth.deep import model as deep
        from ml.families.ground_truth.deep import require_torch

        require_torch()
        return deep.load(folder)
    return Model(
        reading.load(folder),
        coherence.load(folder) if rest["coherence"] else None,
        {name: binary.load(folder / name) for name in rest["heads"]},
        evidence.load(folder / "evidence") if FAILURE in rest["heads"] else None,
        intents.load(folder / "intents") if rest["intents"] else None,
        tuple(rest["grading"]),
    )

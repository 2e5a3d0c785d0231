"""The deep model: one network for all questions; calibration, thresholds and the human bar as those of the boosted one.

Of intents the one that means "none of those known" is a class like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.binary import best_f1, parts
from ml.families.ground_truth.deep import inputs
from ml.families.ground_truth.deep.inputs import Prepared
from ml.families.ground_truth.design import goals_of
from ml.families.ground_truth.exchanges import NOWHERE, Exchanges
from ml.families.ground_truth.grading import EVEN, Weights
from ml.families.ground_truth.model import (
    BOUNDARY,
    DISSATISFIED,
    FAILURE,
    FEWEST,
    KIND_OF,
    SATISFIED,
    YES_OF,
    Given,
    Said,
    sure_at,
)
from ml.families.ground_truth.params import DeepParams, GroundTruthParams
from ml.toolkit.calibration import Calibration, learn_calibration, threshold_at

if TYPE_CHECKING:
    from ml.families.ground_truth.deep.learning import Wanted
    from ml.families.ground_truth.deep.network import Network

Floats = NDArray[np.float64]
QUESTIONS = (BOUNDARY, FAILURE, DISSATISFIED, SATISFIED)
WEIGHTS = "network.safetensors"


@dataclass(frozen=True, slots=True)
class DeepHead:
    """How log odds of one question become an answer."""

    calibration: Calibration
    threshold: float
    sure_yes: float
    sure_no: float


@dataclass(frozen=True, slots=True)
class DeepIntents:
    """The intents that are told apart, and what the likeliest one's probability is worth."""

    labels: tuple[str, ...]
    calibration: Calibration
    sure: float

    def answer(self, chances: Floats) -> tuple[NDArray[np.str_], Floats]:
        """Labels and calibrated confidences."""
        named = np.array(self.labels, dtype=str)
        return named[chances.argmax(axis=1)], self.calibration.of(chances.max(axis=1))


@dataclass(frozen=True, slots=True)
class DeepModel:
    """A fitted model; a question that nobody answered has no head, though the network has a plane for it."""

    prepared: Prepared
    network: Network
    heads: Mapping[str, DeepHead]
    intents: DeepIntents | None
    params: DeepParams
    threads: int
    seed: int = field(default=0)
    grading: ClassVar[Weights] = EVEN

    def say(self, exchanges: Exchanges) -> Said:
        """What the model says of every exchange; a goal's success is said of each of its exchanges."""
        from ml.families.ground_truth.deep.learning import answered
        from ml.families.ground_truth.deep.network import settled

        with settled(self.seed, self.threads):
            logits, chances = answered(
                self.network, inputs.prepare(self.prepared, exchanges), self.params.batch
            )
        made = {
            name: head.calibration.of(logits[:, QUESTIONS.index(name)]) for name, head in self.heads.items()
        }
        first = exchanges.step(-1) == NOWHERE
        begins = first.copy()
        if BOUNDARY in made:
            made[BOUNDARY] = np.where(first, 1.0, made[BOUNDARY])
            begins |= made[BOUNDARY] >= self.heads[BOUNDARY].threshold
        if FAILURE in made:
            goals = goals_of(exchanges, begins)
            ends = np.flatnonzero(np.diff(goals, append=len(goals)))
            made[FAILURE] = made[FAILURE][ends][goals]
        intent, sure = np.full(len(exchanges), "", dtype=str), np.zeros(len(exchanges))
        if self.intents:
            intent, sure = self.intents.answer(chances)
        return Said(made, begins, intent, sure)


def fit_deep(
    every: Exchanges, exchanges: Exchanges, given: Mapping[str, Given], params: GroundTruthParams
) -> DeepModel:
    """Learn from all dialogues which answers were swapped, then from annotated `exchanges` what people said.

    The network that is kept has learned from all of them; calibration, thresholds and the confidences at which it is
    as right as a person come from networks that had not seen the dialogues (as in `binary.learn_head`).
    """
    from ml.families.ground_truth.deep.learning import learn_labels, learn_swapped
    from ml.families.ground_truth.deep.network import Network, Shape, settled

    deep = params.deep
    prepared = inputs.learn_prepared(every, deep.words)
    wanted = _wanted(exchanges, given)
    shape = Shape(
        prepared.vocabulary.size, deep.width, deep.layers, len(QUESTIONS), max(1, wanted.intents.shape[1]), deep.dropout
    )  # fmt: skip
    with settled(params.seed, params.nthread):
        network = Network(shape)
        if params.coherence:
            learn_swapped(network, inputs.prepare(prepared, every), deep, params.seed)
        shown = inputs.prepare(prepared, exchanges)
        logits, chances = _unseen(network, shown, wanted, params)
        whole = np.ones(len(exchanges), dtype=bool)
        network = learn_labels(network, shown, wanted, whole, deep, params.seed)
    heads = {name: _head(name, logits[:, place], wanted.yes[:, place], given, params)
             for place, name in enumerate(QUESTIONS) if np.sum(~np.isnan(wanted.yes[:, place])) >= FEWEST}  # fmt: skip
    intents = _intents(chances, wanted.intents, given["intent"], params)
    return DeepModel(prepared, network.eval(), heads, intents, deep, params.nthread, params.seed)


def _wanted(exchanges: Exchanges, given: Mapping[str, Given]) -> Wanted:
    """What the heads learn; no dialogue's first exchange is asked whether it begins a goal."""
    from ml.families.ground_truth.deep.learning import Wanted

    yes = np.column_stack([given[KIND_OF[name]].share(YES_OF[name]) for name in QUESTIONS])
    yes[exchanges.step(-1) == NOWHERE, QUESTIONS.index(BOUNDARY)] = np.nan
    return Wanted(yes, given["intent"].shares)


def _unseen(
    network: Network, shown: inputs.Inputs, wanted: Wanted, params: GroundTruthParams
) -> tuple[Floats, Floats]:
    """Answers to every exchange by networks that had not seen the labels of its dialogue."""
    from ml.families.ground_truth.deep.learning import answered, learn_labels

    part = parts(shown.dialogue, params.deep.folds, params.seed)
    logits, chances = np.zeros_like(wanted.yes), np.zeros((len(part), max(1, wanted.intents.shape[1])))
    for number in range(params.deep.folds):
        inside = part == number
        if inside.any() and not inside.all():
            made = learn_labels(network, shown, wanted, ~inside, params.deep, params.seed + 1 + number)
            some = answered(made, shown, params.deep.batch)
            logits[inside], chances[inside] = some[0][inside], some[1][inside]
    return logits, chances


def _head(
    name: str, logits: Floats, yes: Floats, given: Mapping[str, Given], params: GroundTruthParams
) -> DeepHead:
    known = np.flatnonzero(~np.isnan(yes))
    calibration = learn_calibration(logits[known], yes[known])
    unseen = calibration.of(logits[known])
    threshold = best_f1(unseen, yes[known])
    bars = given[KIND_OF[name]].bars(YES_OF[name], params.single_annotator)
    return DeepHead(calibration, threshold, *sure_at(bars, unseen, threshold, yes[known]))


def _intents(chances: Floats, shares: Floats, given: Given, params: GroundTruthParams) -> DeepIntents | None:
    known = np.flatnonzero(~np.isnan(shares).any(axis=1)) if given.labels else np.zeros(0, dtype=np.int64)
    if len(known) < FEWEST:
        return None
    right = (chances[known].argmax(axis=1) == shares[known].argmax(axis=1)).astype(np.float64)
    calibration = learn_calibration(chances[known].max(axis=1), right)
    sure = threshold_at(given.bar(params.single_annotator), calibration.of(chances[known].max(axis=1)), right)
    return DeepIntents(given.labels, calibration, sure)


def save(model: DeepModel, folder: Path) -> None:
    """Write weights as safetensors, everything else as JSON."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    inputs.save(model.prepared, folder)
    weights = {name: weight.contiguous() for name, weight in model.network.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    heads = {name: _texts(head) for name, head in sorted(model.heads.items())}
    rest = {
        "model": "deep", "heads": heads, "intents": _texts(model.intents) if model.intents else None,
        "classes": model.network.intents.out_features, "params": model.params.model_dump(),
        "threads": model.threads, "seed": model.seed,
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def _texts(some: DeepHead | DeepIntents) -> dict[str, object]:
    """Fields as JSON; numbers that may be infinite as texts."""
    return {name: str(value) if isinstance(value, float) else value for name, value in asdict(some).items()}


def load(folder: Path) -> DeepModel:
    """Read what `save` wrote."""
    from safetensors.torch import load_file

    from ml.families.ground_truth.deep.network import Network, Shape

    rest = json.loads((folder / "model.json").read_text())
    prepared, params = inputs.load(folder), DeepParams(**rest["params"])
    shape = Shape(
        prepared.vocabulary.size, params.width, params.layers, len(QUESTIONS), rest["classes"], params.dropout
    )
    network = Network(shape)
    network.load_state_dict(load_file(folder / WEIGHTS))
    heads = {name: DeepHead(_calibration(one), *(float(one[key]) for key in ("threshold", "sure_yes", "sure_no")))
             for name, one in rest["heads"].items()}  # fmt: skip
    found = rest["intents"]
    intents = (
        DeepIntents(tuple(found["labels"]), _calibration(found), float(found["sure"])) if found else None
    )
    return DeepModel(prepared, network.eval(), heads, intents, params, rest["threads"], rest["seed"])


def _calibration(rest: Mapping[str, dict[str, list[float]]]) -> Calibration:
    return Calibration(*(tuple(rest["calibration"][name]) for name in ("scores", "probabilities")))

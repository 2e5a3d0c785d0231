"""Why the deep model gave a label: integrated gradients, gathered by part of the exchange.

Sundararajan, Taly & Yan 2017: gradients x inputs, averaged along the straight line from a dialogue in which nothing was
said and no signal is out of the ordinary. Inputs are the vectors of the texts and the signals; their contributions add
up to the log odds less those of the empty dialogue (up to the few hundredths that STEPS leave).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.columns import SIGNALS
from ml.families.ground_truth.deep import inputs
from ml.families.ground_truth.deep.model import QUESTIONS, DeepModel
from ml.families.ground_truth.deep.vocabulary import LONGEST, NO_WORD
from ml.families.ground_truth.exchanges import Exchanges, Places

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
STEPS = 16
TEXTS = ("what was said", "what was answered")
AROUND = ("earlier turns", "later turns")
NAMES = (*TEXTS, *AROUND, *SIGNALS)
_TOGETHER = 8


def contributions(
    model: DeepModel, exchanges: Exchanges, question: str, places: Places
) -> tuple[Floats, Floats]:
    """Contributions to the log odds of yes, and values, of the exchanges at these places: places x NAMES.

    The value of a text is its number of words, that of earlier and later turns how many exchanges there are.
    """
    from ml.families.ground_truth.deep.network import settled

    shown = inputs.prepare(model.prepared, exchanges)
    of_span = {place: span for span in inputs.spans(exchanges.dialogue) for place in span.tolist()}
    made = np.zeros((len(places), len(NAMES)))
    with settled(model.seed, model.threads):
        for start in range(0, len(places), _TOGETHER):
            some = places[start : start + _TOGETHER].tolist()
            made[start : start + len(some)] = _batch(
                model, shown, [of_span[place] for place in some], some, question
            )
    return made, _values(exchanges, shown, places, [of_span[place] for place in places.tolist()])


def _batch(
    model: DeepModel, shown: inputs.Inputs, spans: list[Places], places: list[int], question: str
) -> Floats:
    """Contributions of everything in the dialogue to each of some exchanges, gathered."""
    import torch

    from ml.families.ground_truth.deep.learning import batch_of

    longest = max(len(span) for span in spans)
    padded = np.stack([np.pad(span, (0, longest - len(span)), constant_values=-1) for span in spans])
    at = np.array([int(np.flatnonzero(row == place)[0]) for row, place in zip(padded, places, strict=True)])
    with torch.no_grad():
        batch = batch_of(model.network, shown, padded)
        nothing = model.network.texts(torch.full((1, LONGEST), NO_WORD))[0]
        there = batch.there[:, :, None]
        full = [batch.said, batch.answered, batch.numbers * there]
        empty = [nothing * there, nothing * there, torch.zeros_like(batch.numbers)]
    along = [_gradients(model, full, empty, batch.there, at, question, step) for step in range(STEPS)]
    parts = [
        ((one - none) * sum(step[kind] for step in along) / STEPS).double().numpy()
        for kind, (one, none) in enumerate(zip(full, empty, strict=True))
    ]
    return np.stack([_gathered([part[row] for part in parts], here) for row, here in enumerate(at.tolist())])


def _gradients(
    model: DeepModel, full: list[Tensor], empty: list[Tensor], there: Tensor, at: Places, question: str, step: int
) -> list[Tensor]:  # fmt: skip
    """Gradients of the log odds in the middle of a step along the line."""
    import torch

    share = (step + 0.5) / STEPS
    given = [(none + share * (one - none)).requires_grad_() for one, none in zip(full, empty, strict=True)]
    said, answered, numbers = given
    states = model.network.states(said, answered, numbers, there)
    logits = model.network.answers(states)[torch.arange(len(at)), torch.from_numpy(at)]
    return list(torch.autograd.grad(logits[:, QUESTIONS.index(question)].sum(), given))


def _gathered(parts: list[Floats], here: int) -> Floats:
    """From exchanges x inputs of three sorts to one number for each of NAMES."""
    said, answered, numbers = parts
    each = said.sum(1) + answered.sum(1) + numbers.sum(1)
    count = len(SIGNALS)
    signals = numbers[here, :count] + numbers[here, count:]
    return np.array(
        [said[here].sum(), answered[here].sum(), each[:here].sum(), each[here + 1 :].sum(), *signals]
    )


def _values(exchanges: Exchanges, shown: inputs.Inputs, places: Places, spans: list[Places]) -> Floats:
    words = [(some[places] != NO_WORD).sum(axis=1) for some in (shown.said, shown.answered)]
    before = [place - int(span[0]) for place, span in zip(places.tolist(), spans, strict=True)]
    after = [int(span[-1]) - place for place, span in zip(places.tolist(), spans, strict=True)]
    signals = [exchanges.numbers(name)[places] for name in SIGNALS]
    return np.column_stack([*words, before, after, *signals]).astype(np.float64)

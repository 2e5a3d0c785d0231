"""How the network learns: which answers were swapped between dialogues, before any label; then what people said."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, cos, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ml.families.ground_truth.deep.inputs import Inputs, batches, spans
from ml.families.ground_truth.deep.network import Network
from ml.families.ground_truth.exchanges import NOWHERE, Places
from ml.families.ground_truth.params import DeepParams

Floats = NDArray[np.float64]
SWAPPED = 0.3
"""Share of answers that are swapped: enough of both sorts, and contexts that are mostly whole."""

_WARM = 0.1
_LONGEST_STEP = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What people said of n exchanges: n x heads, how far each is yes; n x intents; nan where nothing is known."""

    yes: Floats
    intents: Floats


@dataclass(frozen=True, slots=True)
class Batch:
    """Some dialogues as tensors; `places` are dialogues x exchanges, and `there` where they are not NOWHERE."""

    places: Places
    there: Tensor
    said: Tensor
    answered: Tensor
    numbers: Tensor


def batch_of(network: Network, inputs: Inputs, places: Places, answers: Places | None = None) -> Batch:
    """Gather and encode; `answers`: the exchanges whose answers are shown instead, with no signals beside them.

    Signals compare a turn with its true answer, and would give a swapped one away.
    """
    there, held = places != NOWHERE, np.maximum(places, 0)
    said = _encoded(network, inputs.said[held], there)
    answered = _encoded(network, inputs.answered[held if answers is None else answers], there)
    numbers = torch.from_numpy(inputs.numbers[held])
    if answers is not None:
        numbers = torch.zeros_like(numbers)
    return Batch(places, torch.from_numpy(there), said, answered, numbers)


def _encoded(network: Network, numbers: NDArray[np.int64], there: NDArray[np.bool_]) -> Tensor:
    made = network.texts(torch.from_numpy(numbers).flatten(0, 1)).unflatten(0, numbers.shape[:2])
    return made * torch.from_numpy(there)[:, :, None]


def states_of(network: Network, batch: Batch) -> Tensor:
    """What the network knows of each exchange of a batch."""
    return network.states(batch.said, batch.answered, batch.numbers, batch.there)


def learn_swapped(network: Network, inputs: Inputs, params: DeepParams, seed: int) -> None:
    """Let the network learn, from texts alone, which answers come from another dialogue."""
    random = np.random.default_rng(seed)

    def loss(places: Places) -> Tensor:
        shown, other = swapped(inputs, places, random)
        batch = batch_of(network, inputs, places, shown)
        fits = network.fits(network.drop(states_of(network, batch)))[:, :, 0]
        return binary_cross_entropy_with_logits(
            fits[batch.there], torch.from_numpy(~other)[batch.there].float()
        )

    _learn(network, loss, spans(inputs.dialogue), params, params.swapped_epochs, random)


def swapped(inputs: Inputs, places: Places, random: np.random.Generator) -> tuple[Places, NDArray[np.bool_]]:
    """The exchange whose answer each exchange shows, and where it is of another dialogue and says something else."""
    own = np.maximum(places, 0)
    drawn = random.integers(0, len(inputs.dialogue), size=places.shape)
    chosen = (random.random(places.shape) < SWAPPED) & (inputs.dialogue[drawn] != inputs.dialogue[own])
    chosen &= (inputs.answered[drawn] != inputs.answered[own]).any(axis=2)
    return np.where(chosen, drawn, own), chosen


def fitting(network: Network, inputs: Inputs, params: DeepParams, seed: int) -> tuple[Floats, Floats]:
    """Log odds that the network gives to true and to swapped answers of exchanges."""
    random = np.random.default_rng(seed)
    true, false = [], []
    network.eval()
    with torch.no_grad():
        for places in batches(spans(inputs.dialogue), params.batch):
            shown, other = swapped(inputs, places, random)
            batch = batch_of(network, inputs, places, shown)
            fits = network.fits(states_of(network, batch))[:, :, 0].double().numpy()
            true.append(fits[(places != NOWHERE) & ~other])
            false.append(fits[(places != NOWHERE) & other])
    return np.concatenate(true), np.concatenate(false)


def learn_labels(
    network: Network, inputs: Inputs, wanted: Wanted, chosen: NDArray[np.bool_], params: DeepParams, seed: int
) -> Network:
    """A copy of the network that has learned what people said of the `chosen` exchanges (whole dialogues)."""
    made = copy.deepcopy(network)
    random = np.random.default_rng(seed)
    said = [span for span in spans(inputs.dialogue) if chosen[span[0]]]

    def loss(places: Places) -> Tensor:
        batch = batch_of(made, inputs, places)
        states, held = states_of(made, batch), np.maximum(places, 0)
        there = (places != NOWHERE)[:, :, None]
        yes, intents = (np.where(there, known[held], np.nan) for known in (wanted.yes, wanted.intents))
        return _of_heads(made.answers(states), yes) + _of_intents(made.wanted(states, batch.said), intents)

    _learn(made, loss, said, params, params.epochs, random)
    return made


def _of_heads(logits: Tensor, yes: Floats) -> Tensor:
    """The mean loss of each question's labels, summed over the questions."""
    known = torch.from_numpy(~np.isnan(yes)).float()
    target = torch.from_numpy(np.nan_to_num(yes)).float()
    each = binary_cross_entropy_with_logits(logits, target, reduction="none") * known
    return (each.sum((0, 1)) / known.sum((0, 1)).clamp(min=1)).sum()


def _of_intents(logits: Tensor, shares: Floats) -> Tensor:
    if not shares.shape[2] or not (known := ~np.isnan(shares).any(axis=2)).any():
        return logits.sum() * 0
    return cross_entropy(logits[torch.from_numpy(known)], torch.from_numpy(shares[known]).float())


def _learn(
    network: Network, loss: Callable[[Places], Tensor], some: list[Places], params: DeepParams, epochs: int,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """AdamW (Loshchilov & Hutter 2019); the rate rises at first and then falls along half a cosine."""
    if not some:
        return
    each = sum(1 for _ in batches(some, params.batch))
    steps = each * max(epochs, ceil(params.least_steps / each))
    taught = torch.optim.AdamW(network.parameters(), lr=params.learning_rate, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(taught, lambda step: _share(step, steps))
    network.train()
    for _ in range(steps // each):
        for places in batches(some, params.batch, random):
            taught.zero_grad()
            loss(places).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_STEP)
            taught.step()
            rate.step()
    network.eval()


def _share(step: int, steps: int) -> float:
    warm = max(1, int(_WARM * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + cos(pi * min(1.0, (step - warm) / max(1, steps - warm))))


def answered(network: Network, inputs: Inputs, size: int) -> tuple[Floats, Floats]:
    """Log odds of each question (n x heads) and probabilities of each intent (n x intents)."""
    count = len(inputs.dialogue)
    logits = np.zeros((count, network.heads.out_features))
    chances = np.zeros((count, network.intents.out_features))
    network.eval()
    with torch.no_grad():
        for places in batches(spans(inputs.dialogue), size):
            batch = batch_of(network, inputs, places)
            states, there = states_of(network, batch), places != NOWHERE
            logits[places[there]] = network.answers(states).double().numpy()[there]
            made = torch.softmax(network.wanted(states, batch.said).double(), dim=2)
            chances[places[there]] = made.numpy()[there]
    return logits, chances

"""The network: words to a vector of what was said, a transformer over the dialogue, and one plane for each question.

This module and `learning` import torch, and are imported only where the deep model is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ml.families.ground_truth.deep.inputs import NUMBERS
from ml.families.ground_truth.deep.vocabulary import NO_WORD

_HEADS = 4
_FAR = 8
"""Places in a dialogue beyond which distance is not told apart."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network. `heads`: yes-or-no questions; `intents`: how many are told apart."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    intents: int
    dropout: float


@contextmanager
def settled(seed: int, threads: int) -> Iterator[None]:
    """Inside, the same seed gives the same bytes on the same kind of processor; afterwards all is as it was."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])


class TurnEncoder(nn.Module):  # type: ignore[misc]
    """Words with their neighbours (a convolution over three), summed by how much each matters."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.words.weight, std=0.3)
        self.near = nn.Linear(3 * shape.width, shape.width)
        self.matter = nn.Linear(shape.width, 1)
        self.norm = nn.LayerNorm(shape.width)
        self.drop = nn.Dropout(shape.dropout)

    def forward(self, numbers: Tensor) -> Tensor:
        """Texts x words to texts x width; a text without words is the same vector each time."""
        there = numbers != NO_WORD
        longest = max(1, int(there.sum(1).max())) if len(numbers) else 1
        there, numbers = there[:, :longest, None], numbers[:, :longest]
        own = self.drop(self.words(numbers)) * there
        padded = nn.functional.pad(own, (0, 0, 1, 1))
        mixed = own + nn.functional.gelu(self.near(torch.cat([padded[:, :-2], own, padded[:, 2:]], dim=2)))
        weight = torch.softmax(self.matter(mixed).masked_fill(~there, -1e4), dim=1) * there
        return self.norm((mixed * weight).sum(1))


class Layer(nn.Module):  # type: ignore[misc]
    """Attention that knows how far apart two turns are, and a perceptron (Vaswani et al. 2017; Shaw et al. 2018)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.asked = nn.Linear(shape.width, 3 * shape.width)
        self.distance = nn.Parameter(torch.zeros(_HEADS, 2 * _FAR + 1))
        self.out = nn.Linear(shape.width, shape.width)
        self.wide, self.narrow = (
            nn.Linear(shape.width, 2 * shape.width),
            nn.Linear(2 * shape.width, shape.width),
        )
        self.drop = nn.Dropout(shape.dropout)

    def forward(self, states: Tensor, there: Tensor) -> Tensor:
        """Dialogues x turns x width; `there`: dialogues x turns."""
        states = states + self.drop(self.out(self._attend(self.before(states), there)))
        return states + self.drop(self.narrow(nn.functional.gelu(self.wide(self.between(states)))))

    def _attend(self, states: Tensor, there: Tensor) -> Tensor:
        count, turns, width = states.shape
        split = self.asked(states).view(count, turns, 3, _HEADS, width // _HEADS).permute(2, 0, 3, 1, 4)
        query, key, value = split[0], split[1], split[2]
        place = torch.arange(turns)
        apart = (place[None, :] - place[:, None]).clamp(-_FAR, _FAR) + _FAR
        scores = query @ key.transpose(2, 3) / (width // _HEADS) ** 0.5 + self.distance[:, apart]
        scores = scores.masked_fill(~there[:, None, None, :], -1e4)
        return (torch.softmax(scores, dim=3) @ value).transpose(1, 2).reshape(count, turns, width)


class Network(nn.Module):  # type: ignore[misc]
    """Everything that is learned. Dialogues are rows of turns: said, answered, said, answered ..."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.texts = TurnEncoder(shape)
        self.numbers = nn.Linear(NUMBERS, shape.width)
        self.speaker = nn.Parameter(torch.randn(2, shape.width) * 0.3)
        self.layers = nn.ModuleList([Layer(shape) for _ in range(shape.layers)])
        self.norm = nn.LayerNorm(3 * shape.width)
        self.drop = nn.Dropout(shape.dropout)
        self.fits = nn.Linear(3 * shape.width, 1)
        self.heads = nn.Linear(3 * shape.width, shape.heads)
        self.intents = nn.Linear(4 * shape.width, shape.intents)

    def states(self, said: Tensor, answered: Tensor, numbers: Tensor, there: Tensor) -> Tensor:
        """What is known of each exchange in its dialogue.

        said, answered: dialogues x exchanges x width, of `texts`; numbers: x NUMBERS; there: dialogues x exchanges.
        Returns dialogues x exchanges x three times the width: of the turn, of the answer, and their product (what
        the two have in common is what tells a fitting answer).
        """
        first = said + self.speaker[0] + self.numbers(numbers)
        turns = torch.stack([first, answered + self.speaker[1]], dim=2).flatten(1, 2)
        both = there.repeat_interleave(2, dim=1)
        for layer in self.layers:
            turns = layer(turns, both)
        pairs = turns.unflatten(1, (-1, 2))
        own, reply = pairs[:, :, 0], pairs[:, :, 1]
        return self.norm(torch.cat([own, reply, own * reply], dim=2))

    def answers(self, states: Tensor) -> Tensor:
        """Log odds of yes of each question."""
        return self.heads(self.drop(states))

    def wanted(self, states: Tensor, said: Tensor) -> Tensor:
        """Log odds, up to a constant, of each intent."""
        return self.intents(self.drop(torch.cat([states, said], dim=2)))

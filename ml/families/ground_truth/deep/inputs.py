"""What the network is given: words of each exchange, its signals, and which exchanges stand in one dialogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.columns import SIGNALS
from ml.families.ground_truth.deep import vocabulary
from ml.families.ground_truth.deep.vocabulary import Ids, Vocabulary
from ml.families.ground_truth.exchanges import NOWHERE, Exchanges, Places

Floats32 = NDArray[np.float32]
SPAN = 48
"""Exchanges that are looked at together; a longer dialogue is read in pieces."""

NUMBERS = 2 * len(SIGNALS)


@dataclass(frozen=True, slots=True)
class Scale:
    """Centre and spread of each signal, in dialogues that were learned from."""

    centre: tuple[float, ...]
    spread: tuple[float, ...]

    def place(self, raw: NDArray[np.float64]) -> Floats32:
        """Standardised signals, held within ten spreads, 0 where missing; then flags of what is missing."""
        missing = np.isnan(raw)
        made = np.clip((raw - np.array(self.centre)) / np.array(self.spread), -10, 10)
        return np.hstack([np.where(missing, 0.0, made), missing]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Prepared:
    """How exchanges become inputs."""

    vocabulary: Vocabulary
    scale: Scale


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of n exchanges: words said and answered (n x LONGEST each), and signals with their flags (n x NUMBERS)."""

    said: Ids
    answered: Ids
    numbers: Floats32
    dialogue: Places


def learn_prepared(exchanges: Exchanges, words: int) -> Prepared:
    """Learn words and scales, no label needed."""
    texts = [*exchanges.texts("text"), *_answered(exchanges)]
    return Prepared(vocabulary.learn_vocabulary(texts, words), _learn_scale(_raw(exchanges)))


def _learn_scale(raw: NDArray[np.float64]) -> Scale:
    known = np.where(np.isnan(raw), 0.0, raw)
    count = np.maximum((~np.isnan(raw)).sum(axis=0), 1)
    centre = known.sum(axis=0) / count
    spread = np.sqrt((np.where(np.isnan(raw), 0.0, raw - centre) ** 2).sum(axis=0) / count)
    return Scale(tuple(centre.tolist()), tuple(np.where(spread > 1e-9, spread, 1.0).tolist()))


def _raw(exchanges: Exchanges) -> NDArray[np.float64]:
    return np.column_stack([exchanges.numbers(name) for name in SIGNALS])


def _answered(exchanges: Exchanges) -> list[str]:
    """The answers, with the names of the assistant's actions; these come first, as long answers are cut."""
    acted = [" ".join(f"act_{name}" for name in action.split()) for action in exchanges.texts("action")]
    return [f"{acts} {text}".strip() for acts, text in zip(acted, exchanges.texts("answer"), strict=True)]


def prepare(prepared: Prepared, exchanges: Exchanges) -> Inputs:
    """The inputs of exchanges."""
    return Inputs(
        prepared.vocabulary.numbers(exchanges.texts("text")),
        prepared.vocabulary.numbers(_answered(exchanges)),
        prepared.scale.place(_raw(exchanges)),
        exchanges.dialogue,
    )


def spans(dialogue: Places) -> list[Places]:
    """The places of each dialogue's exchanges, at most SPAN together."""
    cuts = np.flatnonzero(np.diff(dialogue)) + 1
    whole = np.split(np.arange(len(dialogue)), cuts) if len(dialogue) else []
    return [piece for one in whole for piece in np.split(one, range(SPAN, len(one), SPAN))]


def batches(some: list[Places], size: int, random: np.random.Generator | None = None) -> Iterator[Places]:
    """Spans of like length together, NOWHERE where one is shorter; about `size` exchanges each, spans x length.

    With `random` in random order, and with other neighbours each time.
    """
    lengths = np.array([len(span) for span in some])
    chance = random.random(len(some)) if random else np.arange(len(some))
    order = np.lexsort((chance, lengths))
    groups = _cut(lengths[order], size)
    turns = random.permutation(len(groups)) if random else np.arange(len(groups))
    for turn in turns.tolist():
        start, end = groups[turn]
        chosen = [some[place] for place in order[start:end]]
        made = np.full((len(chosen), len(chosen[-1])), NOWHERE, dtype=np.int64)
        for row, span in enumerate(chosen):
            made[row, : len(span)] = span
        yield made


def _cut(lengths: Places, size: int) -> list[tuple[int, int]]:
    """Runs of ascending lengths that hold about `size` when all are as long as the last."""
    cuts = [0]
    for place, length in enumerate(lengths.tolist()):
        if place > cuts[-1] and (place - cuts[-1] + 1) * length > size:
            cuts.append(place)
    ends = [*cuts[1:], len(lengths)]
    return [(start, end) for start, end in zip(cuts, ends, strict=True) if end > start]


def save(prepared: Prepared, folder: Path) -> None:
    """Write JSON."""
    vocabulary.write(prepared.vocabulary, folder / "words.json")
    rest = {"centre": prepared.scale.centre, "spread": prepared.scale.spread}
    (folder / "scale.json").write_text(json.dumps(rest))


def load(folder: Path) -> Prepared:
    """Read what `save` wrote."""
    rest = json.loads((folder / "scale.json").read_text())
    scale = Scale(tuple(rest["centre"]), tuple(rest["spread"]))
    return Prepared(vocabulary.read(folder / "words.json"), scale)

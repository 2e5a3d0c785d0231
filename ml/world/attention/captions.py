"""What people write under what they show: few words, many emoji, and not only from left to right."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from ml.world.arrays import Flags, Ints
from ml.world.words import CATEGORIES

_ABOUT = (
    "Obsessed with this {noun} 😍",
    "My new {noun} ✨ link in bio",
    "Honest review: {noun}",
    "Nobody told me that a {noun} could look like this",
    "POV: you found the {noun}",
    "{noun}, unboxed 📦",
    "Is this {noun} worth it? Part 2",
    "אהבתי את זה 💛 {noun}",
    "يا سلام 😍 {noun}",
    "Mi {noun} favorito 💃",
    "これ欲しい {noun} 🥺",
    "{noun} haul 🛍️ #ad",
)
_ANSWERS = (
    "need this",
    "😍😍😍",
    "so cute!!",
    "where did you get it?",
    "sold out again 😭",
    "same",
    "يجنن",
    "מושלם",
    "👀",
)
NOTHING = -1
_SILENT = 0.6  # share of reshares without a word


def _choices() -> list[str]:
    about = [text.format(noun=noun.lower()) for c in CATEGORIES for noun in c.nouns[:4] for text in _ABOUT]
    return [*about, *_ANSWERS]


_TEXTS = pa.array(_choices(), pa.string())
_PER_CATEGORY = 4 * len(_ABOUT)


def caption_numbers(category: Ints, is_root: Flags, rng: Generator) -> Ints:
    """A caption for each root, by the product's category; a word or NOTHING for each reshare."""
    n = len(category)
    about = category * _PER_CATEGORY + rng.integers(0, _PER_CATEGORY, n)
    answer = len(_TEXTS) - len(_ANSWERS) + rng.integers(0, len(_ANSWERS), n)
    silent = ~is_root & (rng.random(n) < _SILENT)
    return np.where(silent, NOTHING, np.where(is_root, about, answer))


def captions(numbers: Ints) -> pa.Array:
    """Captions as text; null for NOTHING."""
    return _TEXTS.take(pa.array(numbers, mask=numbers == NOTHING))

"""Texts as numbers of words: the frequent ones by name, all others by their letters into a few shared places."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
NO_WORD = 0
LONGEST = 32
"""Words of a text that are read; of a longer one its beginning."""

_LETTERS = 4_000
_SHARED = 64
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words with a number of their own. NO_WORD fills texts up; rare words share the numbers right above it."""

    words: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return 1 + _SHARED + len(self.words)

    def numbers(self, texts: Sequence[str]) -> Ids:
        """Texts x LONGEST."""
        known = {word: 1 + _SHARED + place for place, word in enumerate(self.words)}
        made = np.full((len(texts), LONGEST), NO_WORD, dtype=np.int64)
        for row, text in enumerate(texts):
            found = [_number(word, known) for word in split(text)]
            made[row, : len(found)] = found
        return made


def _number(word: str, known: Mapping[str, int]) -> int:
    """A rare word always gets the same number, so that its repetition can be seen."""
    return known.get(word) or 1 + crc32(word.encode()) % _SHARED


def split(text: str) -> list[str]:
    """The first LONGEST words and marks of a text, in lower case."""
    return _WORD.findall(text[:_LETTERS].lower())[:LONGEST]


def learn_vocabulary(texts: Sequence[str], most: int) -> Vocabulary:
    """The `most` frequent words that occur twice or more."""
    counted = Counter(word for text in texts for word in split(text))
    ranked = sorted((word for word, count in counted.items() if count > 1), key=lambda w: (-counted[w], w))
    return Vocabulary(tuple(ranked[:most]))


def write(vocabulary: Vocabulary, file: Path) -> None:
    """Save as JSON."""
    file.write_text(json.dumps(list(vocabulary.words)))


def read(file: Path) -> Vocabulary:
    """Load what `write` saved."""
    return Vocabulary(tuple(json.loads(file.read_text())))

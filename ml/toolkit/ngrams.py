"""Texts as sparse rows of word and letter n-grams: hashed, weighted by rarity, of length one; no vocabulary to keep.

Hashing trick: Weinberger et al. 2009, "Feature hashing for large scale multitask learning" (collisions are rare at 2^17
places for the some 10^5 n-grams of a shop's dialogues).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.toolkit import arrays

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import HashingVectorizer

LONGEST = 4_000
"""Letters of a text that are read: enough for any turn that was said, and a bound for what was not."""


@dataclass(frozen=True, slots=True)
class Grams:
    """Words and pairs of words counted in 2^bits places, letters within words in 2^letter_bits (0: none)."""

    bits: int
    letter_bits: int
    rarity: NDArray[np.float32]

    def place(self, texts: Sequence[str]) -> csr_matrix:
        """Rows of unit length, texts x places; a text without n-grams is an empty row."""
        from sklearn.preprocessing import normalize

        counted = _counted(texts, self.bits, self.letter_bits)
        counted.data *= self.rarity[counted.indices]
        return normalize(counted, copy=False)


def learn_grams(texts: Sequence[str], bits: int, letter_bits: int = 0) -> Grams:
    """Learn how rare each n-gram is: smoothed inverse document frequency, log((1 + n) / (1 + df)) + 1."""
    counted = _counted(texts, bits, letter_bits)
    frequency = np.bincount(counted.indices, minlength=counted.shape[1])
    rarity = np.log((1 + len(texts)) / (1 + frequency)) + 1
    return Grams(bits, letter_bits, rarity.astype(np.float32))


def _counted(texts: Sequence[str], bits: int, letter_bits: int) -> csr_matrix:
    """Damped counts, 1 + log(count)."""
    from scipy.sparse import hstack

    short = [text[:LONGEST] for text in texts]
    parts = [_words(bits).transform(short)]
    if letter_bits:
        parts.append(_letters(letter_bits).transform(short))
    counted = hstack(parts, format="csr", dtype=np.float32)
    counted.data = 1 + np.log(counted.data)
    return counted


def _words(bits: int) -> HashingVectorizer:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        n_features=2**bits, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", norm=None, alternate_sign=False
    )


def _letters(bits: int) -> HashingVectorizer:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        n_features=2**bits, analyzer="char_wb", ngram_range=(2, 5), norm=None, alternate_sign=False
    )


def write(grams: Grams, path: Path) -> None:
    """Save as one array: the two sizes, then how rare each place is."""
    sizes = np.array([grams.bits, grams.letter_bits], dtype=np.float32)
    arrays.write(path, {"rarity": np.concatenate([sizes, grams.rarity])})


def read(path: Path) -> Grams:
    """Load what `write` saved."""
    raw = arrays.read(path)["rarity"]
    return Grams(int(raw[0]), int(raw[1]), raw[2:])

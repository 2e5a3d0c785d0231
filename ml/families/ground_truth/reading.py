"""How dialogues are read: texts as n-grams, as directions of their words, and as meanings, once for each exchange."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.exchanges import NOWHERE, Exchanges, Places
from ml.families.ground_truth.params import GroundTruthParams
from ml.toolkit import ngrams, text
from ml.toolkit.encoders import SentenceEncoder

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
_LEARNED_FROM = 60_000


@dataclass(frozen=True, slots=True)
class Reader:
    """What turns texts into rows: n-grams, TF-IDF reduced by SVD, and a sentence encoder, if one is set."""

    grams: ngrams.Grams
    letters: ngrams.Grams
    space: text.TextSpace
    encoder: str
    threads: int

    def meaning(self, texts: list[str]) -> Singles:
        """Vectors of the sentence encoder, of length one; without one, of no components."""
        if not self.encoder:
            return np.zeros((len(texts), 0), np.float32)
        return SentenceEncoder(self.encoder, self.threads).place(texts).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Read:
    """n exchanges as read: n-grams and vectors of what was said and answered, and the meaning of what was said."""

    exchanges: Exchanges
    said: csr_matrix
    answered: csr_matrix
    opening: csr_matrix
    said_vectors: Floats
    answered_vectors: Floats
    meaning: Singles


def learn_reader(exchanges: Exchanges, params: GroundTruthParams) -> Reader:
    """Learn from the texts of the exchanges, no label needed."""
    random = np.random.default_rng(params.seed)
    some = exchanges.at(np.sort(random.permutation(len(exchanges))[:_LEARNED_FROM]))
    both = [*some.texts("text"), *answers(some)]
    grams = ngrams.learn_grams(both, params.word_bits)
    letters = ngrams.learn_grams([words for words in both if words], params.word_bits, params.word_bits)
    different = sorted({words for words in both if words})
    space = text.learn_space(different, params.components, params.seed)
    return Reader(grams, letters, space, params.encoder, params.nthread)


def answers(exchanges: Exchanges) -> list[str]:
    """What was answered, with the names of the assistant's actions as words."""
    acted = exchanges.texts("action")
    return [f"{words} {' '.join(f'act_{act}' for act in action.split())}".strip()
            for words, action in zip(exchanges.texts("answer"), acted, strict=True)]  # fmt: skip


def read(reader: Reader, exchanges: Exchanges) -> Read:
    """Read the texts of the exchanges."""
    said, answered = exchanges.texts("text"), answers(exchanges)
    return Read(
        exchanges,
        reader.grams.place(said),
        reader.grams.place(answered),
        reader.grams.place(exchanges.texts("opening")),
        reader.space.place(said),
        reader.space.place(answered),
        reader.meaning(said),
    )


def spell(reader: Reader, exchanges: Exchanges) -> tuple[csr_matrix, csr_matrix]:
    """What was said and what was answered as words and letters: wordings not met before share letters with others."""
    return reader.letters.place(exchanges.texts("text")), reader.letters.place(answers(exchanges))


def at(rows: csr_matrix, places: Places) -> csr_matrix:
    """The rows at these places; NOWHERE is an empty row."""
    from scipy.sparse import csr_matrix

    there = np.flatnonzero(places != NOWHERE)
    pick = csr_matrix(
        (np.ones(len(there), np.float32), (there, places[there])), shape=(len(places), rows.shape[0])
    )
    return (pick @ rows).tocsr()


def save(reader: Reader, folder: Path) -> None:
    """Write arrays and JSON."""
    ngrams.write(reader.grams, folder / "grams")
    ngrams.write(reader.letters, folder / "letters")
    text.write(reader.space, folder)
    (folder / "reader.json").write_text(json.dumps({"encoder": reader.encoder, "threads": reader.threads}))


def load(folder: Path) -> Reader:
    """Read what `save` wrote."""
    rest = json.loads((folder / "reader.json").read_text())
    return Reader(ngrams.read(folder / "grams"), ngrams.read(folder / "letters"), text.read(folder), **rest)

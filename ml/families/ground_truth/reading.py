"""How dialogues are read: texts as n-grams and as vectors, once for each exchange."""

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
from ml.toolkit.encoders import Encoder, SentenceEncoder

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
_LEARNED_FROM = 60_000


@dataclass(frozen=True, slots=True)
class Reader:
    """What turns texts into rows: n-grams, and the vectors of an encoder (`folder`: of a sentence encoder)."""

    grams: ngrams.Grams
    letters: ngrams.Grams
    space: text.TextSpace
    folder: str
    threads: int

    def encoder(self) -> Encoder:
        """The sentence encoder where one is set, else TF-IDF and SVD."""
        return SentenceEncoder(Path(self.folder), self.threads) if self.folder else self.space


@dataclass(frozen=True, slots=True)
class Read:
    """n exchanges as read: n-grams and vectors of what was said and of what was answered."""

    exchanges: Exchanges
    said: csr_matrix
    answered: csr_matrix
    opening: csr_matrix
    said_vectors: Floats
    answered_vectors: Floats


def learn_reader(exchanges: Exchanges, params: GroundTruthParams) -> Reader:
    """Learn from the texts of the exchanges, no label needed."""
    random = np.random.default_rng(params.seed)
    some = np.sort(random.permutation(len(exchanges))[:_LEARNED_FROM])
    said, answered = exchanges.texts("text"), answers(exchanges)
    both = [texts[place] for texts in (said, answered) for place in some]
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
    said, answered, encoder = exchanges.texts("text"), answers(exchanges), reader.encoder()
    return Read(
        exchanges,
        reader.grams.place(said),
        reader.grams.place(answered),
        reader.grams.place(exchanges.texts("opening")),
        encoder.place(said),
        encoder.place(answered),
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


def vectors_at(vectors: Floats, places: Places) -> Floats:
    """The vectors at these places; NOWHERE is nan."""
    found = vectors[np.maximum(places, 0)] if len(vectors) else np.zeros((len(places), vectors.shape[1]))
    return np.where((places == NOWHERE)[:, None], np.nan, found)


def save(reader: Reader, folder: Path) -> None:
    """Write arrays and JSON."""
    ngrams.write(reader.grams, folder / "grams")
    ngrams.write(reader.letters, folder / "letters")
    text.write(reader.space, folder)
    (folder / "reader.json").write_text(json.dumps({"folder": reader.folder, "threads": reader.threads}))


def load(folder: Path) -> Reader:
    """Read what `save` wrote."""
    rest = json.loads((folder / "reader.json").read_text())
    return Reader(ngrams.read(folder / "grams"), ngrams.read(folder / "letters"), text.read(folder), **rest)

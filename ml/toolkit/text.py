"""Short texts as points: TF-IDF, reduced by SVD; saved as JSON and arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.toolkit import arrays

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

Floats = NDArray[np.float64]
_BLOCK = 1000
_WORD = r"(?u)\b[^\W\d_]{3,}\b"


@dataclass(frozen=True, slots=True)
class TextSpace:
    """Vocabulary with its inverse document frequencies, and the directions (components x words)."""

    words: tuple[str, ...]
    idf: Floats
    directions: Floats

    def place(self, texts: Sequence[str]) -> Floats:
        """Coordinates of texts: rows x components. A text without known words is at the origin."""
        if not self.words:
            return np.zeros((len(texts), len(self.directions)))
        placed: Floats = self._weighted(texts) @ self.directions.T
        return placed

    def _weighted(self, texts: Sequence[str]) -> csr_matrix:
        """Words times inverse document frequency, of length one (0 without known words)."""
        counted = _vectorizer(vocabulary=list(self.words)).transform([text or "" for text in texts])
        weighted = counted.multiply(self.idf).tocsr()
        norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        return weighted.multiply(1 / np.maximum(norms, 1e-12)[:, None]).tocsr()

    def alike(self, texts: Sequence[str], nearest: int = 20, least: float = 0.15) -> csr_matrix:
        """Each text's nearest other texts by cosine, none below `least`: rows of weights that sum to 1 or are empty."""
        from scipy.sparse import csr_matrix, vstack

        if not self.words or not len(texts):
            return csr_matrix((len(texts), len(texts)))
        weighted = self._weighted(texts)
        blocks = [
            _nearest((weighted[start : start + _BLOCK] @ weighted.T).toarray(), start, nearest, least)
            for start in range(0, len(texts), _BLOCK)
        ]
        return vstack(blocks).tocsr()


def _nearest(cosine: Floats, start: int, nearest: int, least: float) -> csr_matrix:
    """The largest cosines of each row as weights; row i is text start + i, which does not count itself."""
    from scipy.sparse import csr_matrix

    line = np.arange(len(cosine))
    cosine[line, start + line] = 0
    number = min(nearest, cosine.shape[1])
    found = np.sort(np.argpartition(-cosine, number - 1, axis=1)[:, :number], axis=1)
    value = np.take_along_axis(cosine, found, axis=1)
    value = np.where(value >= least, value, 0.0)
    value /= np.maximum(value.sum(axis=1, keepdims=True), 1e-9)
    where = (np.repeat(line, number), found.ravel())
    return csr_matrix((value.ravel(), where), shape=cosine.shape)


def learn_space(texts: Sequence[str], components: int, seed: int) -> TextSpace:
    """Fit a space on texts; with fewer words than components the remaining coordinates are 0."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    words = _vocabulary(texts)
    if components == 0 or len(words) <= components:
        return TextSpace((), np.zeros(0), np.zeros((components, 0)))
    counted = _vectorizer(vocabulary=words).transform(texts)
    scale = TfidfTransformer().fit(counted)
    reduced = TruncatedSVD(components, n_iter=5, random_state=seed).fit(scale.transform(counted))
    return TextSpace(tuple(words), np.asarray(scale.idf_), np.asarray(reduced.components_))


def _vocabulary(texts: Sequence[str]) -> list[str]:
    try:
        found = _vectorizer(min_df=4).fit(texts).get_feature_names_out()
    except ValueError:  # no word occurs often enough
        return []
    return [str(word) for word in found]


def _vectorizer(**options: object) -> CountVectorizer:
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(token_pattern=_WORD, binary=True, dtype=np.float64, **options)


def write(space: TextSpace, folder: Path) -> None:
    """Save as `text.json` and `text.safetensors`."""
    content = {"words": list(space.words), "idf": space.idf.tolist(), "components": len(space.directions)}
    (folder / "text.json").write_text(json.dumps(content))
    arrays.write(folder / "text", {"directions": space.directions})


def read(folder: Path) -> TextSpace:
    """Load what `write` saved."""
    content = json.loads((folder / "text.json").read_text())
    return TextSpace(tuple(content["words"]), np.asarray(content["idf"]), **arrays.read(folder / "text"))

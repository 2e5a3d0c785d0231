"""Short texts as points: TF-IDF, reduced by SVD; saved as JSON and arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

Floats = NDArray[np.float64]
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
        counted = _vectorizer(vocabulary=list(self.words)).transform(texts)
        weighted = counted.multiply(self.idf).tocsr()
        norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        placed: Floats = (weighted @ self.directions.T) / np.maximum(norms, 1e-12)[:, None]
        return placed


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
    """Save as `text.json` and `text_directions.npy`."""
    content = {"words": list(space.words), "idf": space.idf.tolist(), "components": len(space.directions)}
    (folder / "text.json").write_text(json.dumps(content))
    np.save(folder / "text_directions.npy", space.directions, allow_pickle=False)


def read(folder: Path) -> TextSpace:
    """Load what `write` saved."""
    content = json.loads((folder / "text.json").read_text())
    directions = np.load(folder / "text_directions.npy", allow_pickle=False)
    return TextSpace(tuple(content["words"]), np.asarray(content["idf"]), directions)

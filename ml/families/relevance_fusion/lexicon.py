"""The words of the catalogue, ready to be matched with a query in a millisecond: what `matching.py` says, in arrays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.families.relevance_fusion.matching import K1, B
from ml.families.relevance_fusion.words import LONGEST_TEXT, grams_of, normal_text, terms_of

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
_PARTS = 1_000_000  # sums are exact to a millionth, as `exact_sum` has them
Texts = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Postings:
    """For each term the documents that have it and how often; `size`: how many different terms each document has."""

    found: Mapping[str, tuple[Places, Floats]]
    size: Floats

    def times(self, term: str, places: Places) -> Floats:
        """How often some documents have a term."""
        dense = np.zeros(len(self.size))
        if term in self.found:
            documents, number = self.found[term]
            dense[documents] = number
        return dense[places]

    def shared(self, terms: Sequence[str], places: Places) -> Floats:
        """How many of the terms some documents have."""
        dense = np.zeros(len(self.size))
        for term in terms:
            if term in self.found:
                dense[self.found[term][0]] += 1
        return dense[places]


@dataclass(frozen=True, slots=True)
class Documents:
    """The texts of products as postings: all words, those of title and description, letter groups of the title."""

    words: Postings
    heading: Postings
    prose: Postings
    spelt: Postings
    lengths: Floats

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, slots=True)
class Rarity:
    """What BM25 knows of the catalogue: how many products there are, their mean length, how many have each word."""

    products: int
    mean_words: float
    having: Mapping[str, int]

    def idf(self, term: str) -> float:
        """Inverse document frequency (see `matching.py`)."""
        having = self.having.get(term, 0)
        return float(np.log(1 + (self.products - having + 0.5) / (having + 0.5)))


def documents(products: Sequence[Texts], query: str | None = None) -> Documents:
    """Index products by title, description, category and brand; for one `query` alone, where it is given."""
    only = None if query is None else grams_of(query).union(terms_of(query))
    headings = [normal_text(product.get("title")) for product in products]
    words = [
        f"{heading} {normal_text(product.get('brand'))} {normal_text(product.get('category'))}"
        for heading, product in zip(headings, products, strict=True)
    ]
    prose = [normal_text(product.get("description"), LONGEST_TEXT) for product in products]
    said = [terms_of(some) for some in words]
    return Documents(
        _postings(said, only),
        _postings([terms_of(some) for some in headings], only),
        _postings([terms_of(some) for some in prose], only),
        _postings([tuple(grams_of(some)) for some in headings], only),
        np.asarray([len(some) for some in said], dtype=np.float64),
    )


def rarity(of: Documents) -> Rarity:
    """Counted over a catalogue."""
    mean = max(float(of.lengths.mean()), 1.0) if len(of) else 1.0
    return Rarity(len(of), mean, {term: len(places) for term, (places, _) in of.words.found.items()})


def _postings(texts: Sequence[Sequence[str]], only: set[str] | None) -> Postings:
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    sizes = []
    for place, terms in enumerate(texts):
        counted = (
            Counter(terms) if only is None else {term: terms.count(term) for term in only.intersection(terms)}
        )
        sizes.append(len(counted) if only is None else len(set(terms)))
        for term, times in counted.items():
            found[term].append((place, times))
    arrays = {
        term: (np.asarray([p for p, _ in some]), np.asarray([n for _, n in some], dtype=np.float64))
        for term, some in found.items()
    }
    return Postings(arrays, np.asarray(sizes, dtype=np.float64))


def match(query: str, places: Places, of: Documents, rare: Rarity) -> dict[str, Floats]:
    """The columns of MATCH (bm25_share apart) of some documents for a normal query."""
    asked = sorted(set(terms_of(query)))
    letters = sorted(grams_of(query))
    named = of.heading.shared(asked, places)
    return {
        "bm25": _bm25(asked, places, of, rare),
        "overlap_query": named / max(len(asked), 1),
        "overlap_title": named / np.maximum(of.heading.size[places], 1),
        "overlap_description": of.prose.shared(asked, places) / max(len(asked), 1),
        "ngrams": of.spelt.shared(letters, places) / max(len(letters), 1),
    }


def _bm25(asked: Sequence[str], places: Places, of: Documents, rare: Rarity) -> Floats:
    total = np.zeros(len(places))
    long = K1 * (1 - B + B * of.lengths[places] / rare.mean_words)
    for term in asked:
        times = of.words.times(term, places)
        total += np.round(_PARTS * rare.idf(term) * times * (K1 + 1) / (times + long))
    return total / _PARTS


def about_query(query: str, rare: Rarity) -> dict[str, float]:
    """The columns of QUERY (voice apart)."""
    asked = sorted(set(terms_of(query)))
    rarities = [round(rare.idf(term), 6) for term in asked]
    return {
        "query_chars": float(len(query)),
        "query_words": float(len(asked)),
        "specificity": float(np.mean(rarities)) if rarities else 0.0,
    }

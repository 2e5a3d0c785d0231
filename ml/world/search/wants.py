"""How likely a customer who sees a result engages with it, and buys it: the true probabilities.

Logits are sums. Relevance counts most; the rest is what the study of purchases of irrelevant results found (its
directions; the sizes are ours): customers want irrelevant results more often when the product is popular or cheaper
than the relevant ones, in toys and digital goods rather than beauty and groceries, for very short or unusually long
queries, and when it is bought with a relevant product or described like one. A part is known to nobody: the product's
charm and the pair's luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ml.world.arrays import Floats
from ml.world.catalogue import Catalogue
from ml.world.search.candidates import Candidates, popularity
from ml.world.search.queries import Queries
from ml.world.seeds import Stream, generator
from ml.world.words import CATEGORIES

MODALITIES = ("voice", "screen")
BASE = MappingProxyType({"engage": -0.1, "purchase": -0.5})
BY_GRADE = MappingProxyType({"engage": (-3.2, -1.9, -0.6, 0.3), "purchase": (-1.0, -0.7, -0.3, 0.2)})
POPULAR = MappingProxyType({"engage": 0.4, "purchase": 0.3})
CHEAPER = MappingProxyType({"engage": 0.4, "purchase": 0.7})
BY_MODALITY: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"engage": {"voice": 0.3, "screen": 0.0}, "purchase": {"voice": -0.3, "screen": 0.0}}
)
IRRELEVANT: Mapping[str, float] = (
    MappingProxyType(  # more for an irrelevant result, in both logits (half in `purchase`)
        {"popular": 0.4, "cheaper": 0.6, "odd_length": 0.6, "together": 1.6, "alike": 0.8}
    )
)
OPEN_SHELVES: Mapping[str, float] = MappingProxyType(
    {"Toys": 0.9, "Electronics": 0.8, "Books": 0.3, "Beauty": -0.9, "Confectionery": -0.8}
)
_CHARM = 0.3  # standard deviation, of a product
_LUCK = 0.2  # standard deviation, of a product for a query


@dataclass(frozen=True, slots=True)
class Wants:
    """Modality (voice, screen) x query x place: probability to engage if examined, and to buy if engaged."""

    engage: Floats
    buy: Floats


def true_wants(catalogue: Catalogue, queries: Queries, candidates: Candidates, seed: int) -> Wants:
    """Of every candidate of every query."""
    rng = generator(seed, Stream.WANTS, 1)
    charm = rng.normal(0, _CHARM, len(catalogue))[candidates.product]
    hidden = charm + rng.normal(0, _LUCK, candidates.product.shape)
    extra = _for_irrelevant(catalogue, queries, candidates)
    return Wants(
        engage=_chances("engage", catalogue, candidates, hidden + extra),
        buy=_chances("purchase", catalogue, candidates, 0.5 * (hidden + extra)),
    )


def _for_irrelevant(catalogue: Catalogue, queries: Queries, candidates: Candidates) -> Floats:
    """What is added to the logit of a result of grade 0, and half of it to one of grade 1."""
    shelf = np.array([OPEN_SHELVES.get(category.name, 0.0) for category in CATEGORIES])
    drivers = {
        "popular": popularity(catalogue)[candidates.product],
        "cheaper": candidates.cheaper,
        "odd_length": queries.odd_length[:, None],
        "together": candidates.together,
        "alike": candidates.alike,
    }
    total = shelf[catalogue.category[candidates.product]] + sum(IRRELEVANT[k] * v for k, v in drivers.items())
    return np.array([1.0, 0.5, 0.0, 0.0])[candidates.grade] * total


def _chances(deed: str, catalogue: Catalogue, candidates: Candidates, extra: Floats) -> Floats:
    usual = BASE[deed] + np.array(BY_GRADE[deed])[candidates.grade] + extra
    usual += POPULAR[deed] * popularity(catalogue)[candidates.product] + CHEAPER[deed] * candidates.cheaper
    logits = np.stack([usual + BY_MODALITY[deed][modality] for modality in MODALITIES])
    chance: Floats = 1 / (1 + np.exp(-logits))
    return chance

"""Queries: what is meant, and in which words.

A query is made with a product in mind: it asks for that product's kind and for some of its traits, in words that are
short, long, misspelt, or of another script. What it means decides what is relevant; the words are all that models see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from ml.world.arrays import Floats, Ints
from ml.world.calendar import RULES
from ml.world.catalogue import NO_OCCASION, NO_TRAIT, Catalogue
from ml.world.seeds import Stream, generator
from ml.world.words import BRANDS, CATEGORIES, COLOURS, MATERIALS, STYLES

TRAITS = ("style", "material", "colour", "brand", "occasion")
_ODD = (1, 7)  # a query of at most this, or of at least that many words
_MISSPELT = 0.06
_HEAVY = 1.2  # standard deviation of the logarithm of how often queries of a kind are used
_DRAWS = 8  # queries are drawn up to this many times as many, until enough are different


@dataclass(frozen=True, slots=True)
class Queries:
    """One entry a query; `category`, `noun` and the traits are -1 where the query does not ask for one.

    `asked` is traits x queries, in the order of TRAITS; `weight` the share of searches outside occasions.
    """

    texts: tuple[str, ...]
    category: Ints
    noun: Ints
    asked: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def odd_length(self) -> Floats:
        """1 where the query is very short or unusually long, else 0."""
        words = np.array([len(text.split()) for text in self.texts])
        return np.asarray((words <= _ODD[0]) | (words >= _ODD[1]), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Draft:
    """A product in mind, as words, and dice for the wording."""

    noun: str
    shelf: str
    traits: Mapping[str, str]
    dice: int

    def say(self, *traits: str) -> str:
        """These traits (those that the product has), then the noun."""
        said = [self.traits[trait] for trait in traits if trait in self.traits]
        return " ".join([*said, self.noun])


@dataclass(frozen=True, slots=True)
class Kind:
    """A way of asking: its share of the queries, what it asks for, how, and how often it is used."""

    share: float
    asks: tuple[str, ...]
    words: Callable[[Draft], str]
    often: float
    whole_shelf: bool = False
    anything: bool = False


_LONG = (
    "i am looking for a {} for my sister who has nearly everything already",
    "what is the best {} that you can send to me before the weekend",
    "please show me a nice {} as a present for a friend of the family",
    "can you find the {} that i saw in the shop window last week",
)
_OTHER_SCRIPTS = MappingProxyType(
    {"Mug": "ספל", "Puzzle": "פאזל", "Notebook": "دفتر", "Necklace": "قلادة", "Scarf": "وشاح", "Teddy": "דובי",
     "Table Lamp": "مصباح", "Pillow": "وسادة", "Perfume": "عطر", "Cookbook": "ספר בישול"}
)  # fmt: skip
_GIFT = ("هدية", "מתנה")
_EMOJI = ("🎁", "❤️", "🎄", "👍🏽", "✨")


def _in_other_script(draft: Draft) -> str:
    """The noun in a script that runs from right to left, or beside a word in one."""
    return _OTHER_SCRIPTS.get(draft.noun.title(), f"{draft.noun} {_GIFT[draft.dice % len(_GIFT)]}")


KINDS: tuple[Kind, ...] = (
    Kind(0.03, (), lambda draft: draft.shelf, 6.0, whole_shelf=True),
    Kind(0.17, (), lambda draft: draft.noun, 4.0),
    Kind(0.04, ("occasion",), lambda draft: f"{draft.traits['occasion']} presents", 3.0, anything=True),
    Kind(0.12, ("style",), lambda draft: draft.say("style"), 1.5),
    Kind(0.14, ("colour",), lambda draft: draft.say("colour"), 1.5),
    Kind(0.1, ("material",), lambda draft: draft.say("material"), 1.2),
    Kind(0.09, ("brand",), lambda draft: draft.say("brand"), 1.2),
    Kind(0.06, ("occasion",), lambda draft: draft.say("occasion"), 1.5),
    Kind(0.11, ("style", "colour"), lambda draft: draft.say("style", "colour"), 0.6),
    Kind(0.06, ("material", "colour"), lambda draft: draft.say("material", "colour"), 0.6),
    Kind(0.04, ("colour",), lambda draft: _LONG[draft.dice % 4].format(draft.say("colour")), 0.3),
    Kind(0.02, ("style",), lambda draft: _LONG[draft.dice % 4].format(draft.say("style")), 0.3),
    Kind(0.01, (), lambda draft: f"{draft.noun} {_EMOJI[draft.dice % len(_EMOJI)]}", 0.5),
    Kind(0.01, (), _in_other_script, 0.5),
)


def draw_queries(catalogue: Catalogue, number: int, seed: int) -> Queries:
    """At most `number` different queries, the most frequent first (fewer only from a catalogue of few words)."""
    rng = generator(seed, Stream.QUERIES)
    found: dict[str, tuple[int, int]] = {}
    for product, kind, dice in _throws(catalogue, number * _DRAWS, rng):
        if len(found) == number:
            break
        draft = _draft(catalogue, product, dice)
        if set(KINDS[kind].asks) <= set(draft.traits):
            found.setdefault(_misspelt(KINDS[kind].words(draft), dice), (product, kind))
    return _queries(catalogue, found, rng)


def _throws(catalogue: Catalogue, number: int, rng: Generator) -> list[tuple[int, int, int]]:
    wanted = np.sqrt(catalogue.rate)
    product = rng.choice(len(catalogue), number, p=wanted / wanted.sum())
    shares = np.array([kind.share for kind in KINDS])
    kind = rng.choice(len(KINDS), number, p=shares / shares.sum())
    return list(zip(product.tolist(), kind.tolist(), rng.integers(0, 1 << 30, number).tolist(), strict=True))


def _draft(catalogue: Catalogue, product: int, dice: int) -> Draft:
    traits, category = catalogue.traits, CATEGORIES[catalogue.category[product]]
    said = {
        "style": STYLES[traits.style[product]],
        "colour": COLOURS[traits.colour[product]],
    }
    if traits.material[product] != NO_TRAIT:
        said["material"] = MATERIALS[traits.material[product]]
    if traits.brand[product] != NO_TRAIT:
        said["brand"] = BRANDS[traits.brand[product]]
    occasion = int(catalogue.occasion[product])
    if occasion != NO_OCCASION and RULES[occasion].words:
        said["occasion"] = RULES[occasion].words[dice % len(RULES[occasion].words)]
    lower = {name: word.lower() for name, word in said.items()}
    return Draft(category.nouns[traits.noun[product]].lower(), category.name.lower(), lower, dice)


def _misspelt(text: str, dice: int) -> str:
    """Two neighbouring letters change places, now and then."""
    if (dice >> 8) % 1000 >= 1000 * _MISSPELT or len(text) < 5:
        return text
    place = 1 + (dice >> 18) % (len(text) - 3)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _queries(catalogue: Catalogue, found: Mapping[str, tuple[int, int]], rng: Generator) -> Queries:
    product = np.array([product for product, _ in found.values()], dtype=np.int64)
    kind = np.array([kind for _, kind in found.values()], dtype=np.int64)
    often = np.array([kind.often for kind in KINDS])[kind] * rng.lognormal(0.0, _HEAVY, len(kind))
    order = np.argsort(-often, kind="stable")
    product, kind, texts = product[order], kind[order], tuple(found)
    shelf, anything = (_of_kinds(name)[kind] for name in ("whole_shelf", "anything"))
    return Queries(
        texts=tuple(texts[place] for place in order.tolist()),
        category=np.where(anything, NO_TRAIT, catalogue.category[product]),
        noun=np.where(shelf | anything, NO_TRAIT, catalogue.traits.noun[product]),
        asked=np.stack([_asked(catalogue, trait, product, kind) for trait in TRAITS]),
        weight=often[order] / often.sum(),
    )


def _of_kinds(name: str) -> Ints:
    return np.array([getattr(kind, name) for kind in KINDS])


def trait_of(catalogue: Catalogue, trait: str) -> Ints:
    """Every product's trait, as a number."""
    values: Ints = catalogue.occasion if trait == "occasion" else getattr(catalogue.traits, trait)
    return values


def _asked(catalogue: Catalogue, trait: str, product: Ints, kind: Ints) -> Ints:
    asks = np.array([trait in kind.asks for kind in KINDS])[kind]
    return np.where(asks, trait_of(catalogue, trait)[product], NO_TRAIT)

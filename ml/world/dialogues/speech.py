"""The words of a dialogue: filled phrases of people who hesitate, repeat themselves and are misheard."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from ml.world.catalogue import NO_TRAIT, Catalogue
from ml.world.dialogues import wording
from ml.world.dialogues.plot import Plot, Turn
from ml.world.dialogues.wording import INTENTS
from ml.world.words import BRANDS, CATEGORIES, COLOURS, MATERIALS, STYLES

_DETERMINED = re.compile(r"\b(the|my|same|this|another|usual|more|any|no|many) \{item\}")
_FOREIGN = 0.006  # share of dialogues in a language that nobody trained for
_MOVES: Mapping[str, tuple[str, ...]] = {
    "greeting": wording.GREETINGS, "welcome": wording.WELCOMES, "complaint": wording.COMPLAINTS,
    "apology": wording.APOLOGIES, "not_heard": wording.NOT_HEARD, "no_match": wording.NO_MATCH,
    "ask_detail": wording.ASK_DETAIL, "detail": wording.DETAILS, "follow_up": wording.FOLLOW_UPS,
    "followed": wording.FOLLOWED, "not_followed": wording.NOT_FOLLOWED, "thanks": wording.THANKS,
    "thanks_anyway": wording.THANKS_ANYWAY, "pleasure": wording.PLEASURES, "ask_help": wording.ASK_HELP,
    "helped": wording.HELPED, "not_helped": wording.NOT_HELPED, "noted": wording.NOTED,
    "farewell": wording.FAREWELLS, "parting": wording.PARTINGS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Products:
    """What products are called by customers and by the assistant."""

    spoken: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...]
    prices: tuple[str, ...]

    @staticmethod
    def of(catalogue: Catalogue) -> Products:
        """The names of a catalogue."""
        traits = catalogue.traits
        columns = (catalogue.category, traits.noun, traits.style, traits.material, traits.colour)
        spoken = tuple(_spoken(*row) for row in zip(*(column.tolist() for column in columns), strict=True))
        prices = tuple(f"{price:.2f}" for price in catalogue.price.tolist())
        return Products(spoken, catalogue.titles, prices)


def _spoken(category: int, noun: int, style: int, material: int, colour: int) -> tuple[str, ...]:
    thing, hue, look = (
        CATEGORIES[category].nouns[noun].lower(),
        COLOURS[colour].lower(),
        STYLES[style].lower(),
    )
    made = MATERIALS[material].lower() if material != NO_TRAIT else look
    return (
        f"{hue} {thing}", f"{made} {thing}", f"{look} {thing}", f"{made} {thing} in {hue}", thing,
        f"{hue} {look} {thing}", f"{hue} {made} {thing}", f"{thing}, the {hue} one", f"{look} {thing} in {hue}",
    )  # fmt: skip


@dataclass(slots=True)
class Speaker:
    """Turns a plot into words; remembers what was said last."""

    products: Products
    random: Random
    last: str = ""
    goal_item: int = -1
    neat: bool = False
    foreign: bool = False

    def pick(self, choices: Sequence[str]) -> str:
        """One of them."""
        return choices[int(self.random.random() * len(choices))]

    def roll(self, chance: float) -> bool:
        """True with that probability."""
        return self.random.random() < chance


def words_of(plot: Plot, products: Products, random: Random) -> list[str]:
    """The text of every turn."""
    speaker = Speaker(products, random)
    speaker.neat, speaker.foreign = speaker.roll(0.25), speaker.roll(_FOREIGN)
    return [_user(speaker, turn) if turn.user else _assistant(speaker, turn) for turn in plot.turns]


def _assistant(speaker: Speaker, turn: Turn) -> str:
    if turn.move in ("done", "failed"):
        intent = INTENTS[turn.intent]
        manner = speaker.pick(wording.MANNERS) if speaker.roll(0.25) else ""
        phrase = speaker.pick(intent.done if turn.move == "done" else intent.failed)
        return manner + _filled(speaker, phrase, turn.item)
    return _filled(speaker, speaker.pick(_MOVES[turn.move]), turn.item)


def _user(speaker: Speaker, turn: Turn) -> str:
    if turn.move in ("request", "rephrase"):
        said = _asked(speaker, turn)
    else:
        said = _filled(speaker, speaker.pick(_MOVES[turn.move]), turn.item)
        if turn.move in ("follow_up", "detail", "complaint"):
            said = speaker.pick(wording.OPENINGS["again" if turn.defect else "new"]) + said
    if not turn.heard:
        said = _misheard(speaker, said)
    elif turn.noise > 0.3 and speaker.roll(turn.noise * 0.5):
        said = _clipped(speaker, said)
    return _finished(speaker, said)


def _asked(speaker: Speaker, turn: Turn) -> str:
    if speaker.foreign:
        return speaker.pick(wording.FOREIGN).replace("{item}", _item(speaker, turn.item))
    again = turn.move == "rephrase"
    if again and speaker.last and speaker.roll(0.3):
        return speaker.last
    intent = INTENTS[turn.intent]
    phrases = wording.LOOSE if turn.loose else intent.again if again and speaker.roll(0.5) else intent.plain
    same = turn.item == speaker.goal_item and (not again or speaker.roll(0.5))
    pointed = same and speaker.roll(0.6)
    phrase = speaker.pick(phrases)
    if pointed:
        named = "one" if _DETERMINED.search(phrase) else speaker.pick(wording.IT)
    else:
        named = ("" if _DETERMINED.search(phrase) else speaker.pick(wording.ARTICLES)) + _item(
            speaker, turn.item
        )
    speaker.last = _filled(speaker, phrase, turn.item, named)
    speaker.goal_item = turn.item
    opening = speaker.pick(wording.OPENINGS["again" if again else "new"]) if again or turn.goal else ""
    return f"{opening}{speaker.last}"


def _item(speaker: Speaker, item: int) -> str:
    """A product without its article: the phrase has one, or the caller adds it."""
    return speaker.pick(speaker.products.spoken[item])


def _filled(speaker: Speaker, phrase: str, item: int, named: str = "it") -> str:
    """The phrase with its places filled; most have one or none."""
    if "{" not in phrase:
        return phrase
    products = speaker.products
    return phrase.format(
        item=named, title=products.titles[item], price=products.prices[item], person=speaker.pick(wording.PERSONS),
        day=speaker.pick(wording.DAYS), colour=speaker.pick(COLOURS).lower(), brand=speaker.pick(BRANDS),
    )  # fmt: skip


def _finished(speaker: Speaker, said: str) -> str:
    """Hesitations, slips, and the habits of whoever (or whatever) writes it down."""
    if speaker.roll(0.2):
        said = speaker.pick(wording.FILLERS) + said
    if speaker.roll(0.15):
        said += speaker.pick(wording.ENDINGS)
    if speaker.roll(0.05):
        said = _slip(speaker, said)
    if not speaker.neat:
        return said
    return said[0].upper() + said[1:] + ("?" if speaker.roll(0.3) else ".")


def _slip(speaker: Speaker, said: str) -> str:
    """Two neighbouring letters swapped."""
    place = int(speaker.random.random() * max(len(said) - 1, 1))
    return (
        said[:place] + said[place + 1 : place + 2] + said[place] + said[place + 2 :]
        if len(said) > 2
        else said
    )


def _clipped(speaker: Speaker, said: str) -> str:
    """A word that the noise swallowed."""
    words = said.split(" ")
    if len(words) > 3:
        del words[int(speaker.random.random() * len(words))]
    return " ".join(words)


def _misheard(speaker: Speaker, said: str) -> str:
    """Some words taken for others that sound alike, so that what is written is not what was said."""
    words = said.split(" ")
    for place in range(len(words)):
        if len(words[place]) > 2 and speaker.roll(0.45):
            words[place] = speaker.pick(_sounds_like(words[place][-2:]))
    return " ".join(words)


def _sounds_like(ending: str) -> tuple[str, ...]:
    known = _by_ending()
    return known.get(ending, known[""])


@cache
def _by_ending() -> Mapping[str, tuple[str, ...]]:
    phrases = [phrase for intent in INTENTS for phrase in (*intent.plain, *intent.again)]
    phrases += [noun.lower() for category in CATEGORIES for noun in category.nouns]
    phrases += [word.lower() for word in (*COLOURS, *MATERIALS, *STYLES)]
    found = sorted(
        {word for phrase in phrases for word in phrase.split() if word.isalpha() and len(word) > 2}
    )
    grouped: dict[str, list[str]] = defaultdict(list)
    for word in found:
        grouped[word[-2:]].append(word)
        grouped[""].append(word)
    return {ending: tuple(words) for ending, words in grouped.items() if len(words) > 2}

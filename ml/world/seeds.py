"""One independent random stream per concern and per day: what is drawn never depends on how work is cut up."""

from __future__ import annotations

from enum import IntEnum

from numpy.random import SFC64, Generator, SeedSequence


class Stream(IntEnum):
    """Which part of the world draws; numbers are never reused, so a new part changes no old one."""

    CATALOGUE = 0
    TEXT = 1
    PRICES = 2
    DRIFT = 3
    AFFINITY = 4
    EVENTS = 5
    PROMOTIONS = 6
    DEMAND = 7
    ORDERS = 8
    DIRT = 9
    APPEAL = 20
    CREATORS = 21
    BURSTS = 22
    POSTS = 23
    PICTURES = 24
    POST_DIRT = 25
    POST_VOLUME = 26
    CAPTIONS = 27
    SETS = 40
    BASKETS = 41
    QUERIES = 42
    WANTS = 43
    RANKERS = 44
    SEARCHES = 45
    SEARCH_DIRT = 46
    ANNOTATORS = 47
    JUDGEMENTS = 48
    SPOKEN_OF = 60
    TALKS = 61
    PLOTS = 62
    SPEECH = 63
    RATERS = 64
    RATINGS = 65
    FEEDBACK = 66
    TALK_DIRT = 67


def generator(seed: int, stream: Stream, *index: int) -> Generator:
    """The generator of one stream, or of one numbered part of it (a day, a month)."""
    return Generator(SFC64(SeedSequence(seed, spawn_key=(int(stream), *index))))

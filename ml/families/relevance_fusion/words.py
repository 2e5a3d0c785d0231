"""Queries and titles as words and letter groups: the same rule as an expression and in Python (serving)."""

from __future__ import annotations

import re

import ibis

LONGEST = 256
LONGEST_TEXT = 2000
GRAM = 3
_SPACE = re.compile(r"[ \t\r\n]+")
_WORD = re.compile(r"[^\W_]+")


def normal(text: ibis.Value, longest: int = LONGEST) -> ibis.Value:
    """Lower case, single spaces, at most `longest` characters."""
    return text.re_replace(r"[ \t\r\n]+", " ").strip().lower().substr(0, longest)


def normal_text(text: str | None, longest: int = LONGEST) -> str:
    """`normal` in Python."""
    return _SPACE.sub(" ", text or "").strip().lower()[:longest]


def terms(texts: ibis.Table, text: str, *by: str) -> ibis.Table:
    """The words of a normal text with their numbers: by..., term, times."""
    split = texts.select(*by, term=texts[text].re_split(r"[^\p{L}\p{N}]+").unnest())
    return split.filter(split.term != "").group_by(*by, "term").aggregate(times=lambda t: t.count())


def terms_of(text: str) -> list[str]:
    """The words of a normal text, in order."""
    return _WORD.findall(text)


def grams(texts: ibis.Table, text: str, *by: str) -> ibis.Table:
    """The distinct groups of GRAM letters of a normal text, with a blank before and after it: by..., term."""
    padded = texts.select(*by, padded=ibis.literal(" ") + texts[text] + " ")
    places = padded.mutate(place=ibis.range(0, padded.padded.length() - (GRAM - 1)).unnest())
    return places.select(*by, term=places.padded.substr(places.place, GRAM)).distinct()


def grams_of(text: str) -> set[str]:
    """`grams` in Python."""
    padded = f" {text} "
    return {padded[place : place + GRAM] for place in range(len(padded) - GRAM + 1)}

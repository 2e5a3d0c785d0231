"""Publications as a static site: an index, one page for each collection or dialogue; everything inline, no script.

The same publications give the same bytes: no clock, no random number, no locale.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from ml.publishing import words
from ml.publishing.catalogue import Collection, Item, has_collections, read_collections
from ml.publishing.dialogues import has_dialogues, read_dialogues, tallies
from ml.publishing.liftbar import LiftBar, LiftScale, lift_scale
from ml.publishing.sparkline import HEIGHT, WIDTH, Sparkline, expected, sparkline
from ml.publishing.swap import swap_in

INDEX = "index.html"
LONG = 240
"""Characters beyond which a text, cut for the eye by CSS (never in the page), opens when it has the focus."""


@dataclass(frozen=True, slots=True)
class About:
    """Where a site comes from; shown at the foot of every page.

    `generated_from` names what the publications were made from, one entry a line (a table, a run).
    """

    family: str
    version: str
    as_of: date
    data_digest: str
    generated_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Card:
    item: Item
    chart: Sparkline | None
    bar: LiftBar | None
    expected: float | None


@dataclass(frozen=True, slots=True)
class _Page:
    collection: Collection
    address: str
    cards: tuple[_Card, ...]


def write_site(publications: Mapping[str, pa.Table], about: About, folder: Path) -> Path:
    """Render the site and swap it in at `folder`, a symbolic link; returns `folder/index.html`.

    Raises UsageError where the publications hold nothing that pages can show or where `folder` is not such a link,
    DataRejected where a table breaks its schema; what was published before stays then.
    """
    return swap_in(render_site(publications, about), about.version, folder) / INDEX


def render_site(publications: Mapping[str, pa.Table], about: About) -> dict[str, bytes]:
    """The site's files by name. Needs the tables of ml.publishing.catalogue, or those of ml.publishing.dialogues."""
    if has_dialogues(publications):
        return _dialogue_site(publications, about)
    pages = [_page(collection) for collection in read_collections(publications)]
    files = {INDEX: _render("index.html.j2", about, pages=pages)}
    files.update((page.address, html) for page, html in _landing_pages(pages, about))
    return files


def has_pages(publications: Mapping[str, pa.Table]) -> bool:
    """Whether there is something that pages can show."""
    return has_collections(publications) or has_dialogues(publications)


def _dialogue_site(publications: Mapping[str, pa.Table], about: About) -> dict[str, bytes]:
    """An index of the dialogues, by section, and a page for each."""
    sections = read_dialogues(publications)
    every = {words.slug(one.dialogue_id): one for section in sections for one in section.dialogues}
    named = {one.dialogue_id: f"{name}.html" for name, one in every.items()}
    counts = tallies(publications)
    files = {INDEX: _render("dialogues.html.j2", about, sections=sections, named=named, tallies=counts)}
    for name, one in every.items():
        files[f"{name}.html"] = _render("dialogue.html.j2", about, dialogue=one)
    return files


def _landing_pages(pages: list[_Page], about: About) -> Iterator[tuple[_Page, bytes]]:
    for number, page in enumerate(pages):
        before = pages[number - 1] if number else None
        after = pages[number + 1] if number + 1 < len(pages) else None
        yield page, _render("collection.html.j2", about, page=page, before=before, after=after)


def _page(collection: Collection) -> _Page:
    bounds = ((item.lift, item.lift_low, item.lift_high) for item in collection.items)
    scale = lift_scale(value for three in bounds for value in three)
    cards = tuple(_card(item, collection, scale) for item in collection.items)
    return _Page(collection, f"{words.slug(collection.collection_id)}.html", cards)


def _card(item: Item, collection: Collection, scale: LiftScale) -> _Card:
    return _Card(
        item=item,
        chart=sparkline(item.course, (collection.start, collection.end)),
        bar=scale.bar(item.lift, item.lift_low, item.lift_high),
        expected=expected(item.course),
    )


def _render(template: str, about: About, **context: object) -> bytes:
    page = _environment().get_template(template)
    return page.render(about=about, chart_width=WIDTH, chart_height=HEIGHT, **context).encode()


@cache
def _environment() -> Environment:
    """Everything is escaped; the style sheet alone is trusted, and the browser checks its digest."""
    environment = Environment(
        loader=PackageLoader("ml.publishing"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, *_ = environment.loader.get_source(environment, "style.css") if environment.loader else ("",)
    environment.globals.update(w=words, LONG=LONG, style=style, style_digest=digest_for_browser(style))
    return environment


def digest_for_browser(style: str) -> str:
    """The digest by which a content security policy lets an inline style sheet pass."""
    return "sha256-" + b64encode(sha256(style.encode()).digest()).decode()

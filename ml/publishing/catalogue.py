"""Collections as the pages show them, read from the generic tables `collections` and `collection_items`.

Any family may publish them. The text comes from a warehouse and is hostile: nothing here trusts it, and what
cannot be shown (control characters) is replaced by U+FFFD; escaping is the templates' job.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from ml.errors import DataRejected, UsageError

_WEEKS = pa.list_(pa.float64())

COLLECTIONS = pa.schema(
    [
        pa.field("collection_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("occasion_start", pa.date32()),
        pa.field("occasion_end", pa.date32()),
    ]
)

COLLECTION_ITEMS = pa.schema(
    [
        pa.field("collection_id", pa.string(), nullable=False),
        pa.field("rank", pa.int64(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("category", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("lift", pa.float64()),
        pa.field("lift_low", pa.float64()),
        pa.field("lift_high", pa.float64()),
        pa.field("history_start", pa.date32()),
        pa.field("history", _WEEKS),
        pa.field("forecast_start", pa.date32()),
        pa.field("forecast_mean", _WEEKS),
        pa.field("forecast_q10", _WEEKS),
        pa.field("forecast_q90", _WEEKS),
    ]
)

SCHEMAS = {"collections": COLLECTIONS, "collection_items": COLLECTION_ITEMS}
"""The publications that are shown as pages."""
_EVIDENCE = pa.list_(pa.struct([("words", pa.string()), ("number", pa.float64())]))
_OPTIONAL = {
    "collection_items": pa.schema(
        [pa.field("image", pa.string()), pa.field("evidence", _EVIDENCE), pa.field("history_of", pa.string())]
    )
}
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")

_IMAGE = re.compile(r"data:image/(png|jpeg);base64,([A-Za-z0-9+/]+={0,2})")
_LONGEST_IMAGE = 200_000  # characters; a longer one is left out
_SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}

Weeks = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """A number per week, past and forecast, oldest first; None where nothing finite is known. `of`: what is counted."""

    history_start: date | None
    history: Weeks
    forecast_start: date | None
    mean: Weeks
    low: Weeks
    high: Weeks
    of: str = "units"


@dataclass(frozen=True, slots=True)
class Fact:
    """One piece of evidence: what was counted, and how much of it."""

    words: str
    number: float


@dataclass(frozen=True, slots=True)
class Item:
    """One product of a collection; `lift` is a ratio to the product's own normal, `image` a data URI of PNG or JPEG."""

    rank: int
    product_id: str
    title: str
    category: str | None
    reason: str
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    course: Course
    image: str | None = None
    evidence: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Collection:
    """A ranking of products for one occasion (no dates: for any day of the year), best first."""

    collection_id: str
    title: str
    description: str
    start: date | None
    end: date | None
    items: tuple[Item, ...]

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories in it, most frequent first, then by name."""
        counts = Counter(item.category for item in self.items if item.category)
        return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def has_collections(publications: Mapping[str, pa.Table]) -> bool:
    """Whether a family's publications can be shown as pages."""
    return SCHEMAS.keys() <= publications.keys()


def read_collections(publications: Mapping[str, pa.Table]) -> tuple[Collection, ...]:
    """The collections, soonest occasion first, those without dates last.

    Raises UsageError where a table is missing, DataRejected where one breaks its schema.
    """
    heads = _rows(publications, "collections")
    items = _items_by_collection(_rows(publications, "collection_items"))
    _check_references(heads, items)
    found = (_collection(row, items.get(row["collection_id"], [])) for row in heads)
    return tuple(sorted(found, key=_soonest_first))


def _soonest_first(collection: Collection) -> tuple[date, str, str]:
    return collection.start or date.max, collection.title, collection.collection_id


def _rows(publications: Mapping[str, pa.Table], name: str) -> list[dict[str, Any]]:
    if name not in publications:
        raise UsageError(
            f"the publications hold no table {name!r}, so there is nothing to show as pages",
            found=", ".join(sorted(publications)) or "no table at all",
            expected=" and ".join(SCHEMAS),
            next_step="ask `has_collections` first, or let the family publish both tables",
        )
    rows = conform(publications[name], name, SCHEMAS[name], _OPTIONAL.get(name, ()))
    return rows.to_pylist()  # type: ignore[no-any-return]


def conform(table: pa.Table, name: str, schema: pa.Schema, optional: Iterable[pa.Field] = ()) -> pa.Table:
    """A publication with the columns of its schema; those of `optional` are null where it lacks them.

    Raises DataRejected for a column that is missing, of another type, or null where it must not be.
    """
    missing = [field.name for field in schema if field.name not in table.column_names]
    if missing:
        raise DataRejected(
            f"publication {name!r} lacks columns",
            found=", ".join(table.column_names),
            expected=", ".join(missing) + " as well",
            next_step="add them to what the family publishes",
        )
    given = {field.name: _column(table, field, name) for field in schema}
    for field in optional:
        there = field.name in table.column_names
        given[field.name] = _column(table, field, name) if there else pa.nulls(len(table), field.type)
    return pa.table(given)


def _column(table: pa.Table, field: pa.Field, name: str) -> pa.ChunkedArray:
    column = table.column(field.name)
    try:
        column.validate(full=True)
        cast = column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataRejected(
            f"publication {name!r}, column {field.name!r} cannot be read",
            found=f"{column.type} ({error})",
            expected=str(field.type),
            next_step="correct what the family publishes",
        ) from error
    if not field.nullable and cast.null_count:
        raise DataRejected(
            f"publication {name!r}, column {field.name!r} must not be null",
            found=f"{cast.null_count} null of {len(cast)} rows",
            expected="no null",
            next_step="correct what the family publishes",
        )
    return cast


def _check_references(heads: list[dict[str, Any]], items: Mapping[str, list[Item]]) -> None:
    known = Counter(row["collection_id"] for row in heads)
    doubled = sorted(key for key, count in known.items() if count > 1)
    orphans = sorted(items.keys() - known.keys())
    for keys, what in (
        (doubled, "collections name an id twice"),
        (orphans, "collection_items name no collection"),
    ):
        if keys:
            raise DataRejected(
                f"publication: {what}",
                found=", ".join(repr(key[:80]) for key in keys[:5]),
                expected="each collection_id once in collections",
                next_step="correct what the family publishes",
            )


def _items_by_collection(rows: Iterable[dict[str, Any]]) -> dict[str, list[Item]]:
    grouped: dict[str, list[Item]] = defaultdict(list)
    for row in rows:
        grouped[row["collection_id"]].append(_item(row))
    return grouped


def _collection(row: Mapping[str, Any], items: list[Item]) -> Collection:
    return Collection(
        collection_id=row["collection_id"],
        title=text(row["title"]) or text(row["collection_id"]) or "Untitled collection",
        description=text(row["description"]),
        start=row["occasion_start"],
        end=row["occasion_end"],
        items=tuple(sorted(items, key=lambda item: (item.rank, item.product_id))),
    )


def _item(row: Mapping[str, Any]) -> Item:
    return Item(
        rank=row["rank"],
        product_id=text(row["product_id"]),
        title=text(row["title"]) or text(row["product_id"]) or "Untitled product",
        category=text(row["category"]) or None,
        reason=text(row["reason"]),
        lift=_finite(row["lift"]),
        lift_low=_finite(row["lift_low"]),
        lift_high=_finite(row["lift_high"]),
        course=_course(row),
        image=_image(row["image"]),
        evidence=tuple(_facts(row["evidence"] or ())),
    )


def _image(uri: str | None) -> str | None:
    """The URI if it carries a PNG or a JPEG; everything else is no image."""
    found = _IMAGE.fullmatch(uri) if uri and len(uri) <= _LONGEST_IMAGE else None
    if found is None:
        return None
    try:
        head = b64decode(found[2][:16])
    except ValueError:
        return None
    return uri if head.startswith(_SIGNATURES[found[1]]) else None


def _facts(rows: Iterable[Mapping[str, Any] | None]) -> Iterator[Fact]:
    for row in rows:
        if row and text(row["words"]) and _finite(row["number"]) is not None:
            yield Fact(text(row["words"]), row["number"])


def _course(row: Mapping[str, Any]) -> Course:
    mean, low, high = (_weeks(row[f"forecast_{name}"]) for name in ("mean", "q10", "q90"))
    if not len(mean) == len(low) == len(high):
        raise DataRejected(
            f"publication 'collection_items', product {row['product_id']!r}: forecasts of different lengths",
            found=f"mean {len(mean)}, q10 {len(low)}, q90 {len(high)} weeks",
            expected="the same number of weeks in all three",
            next_step="correct what the family publishes",
        )
    past = row["history_start"], _weeks(row["history"])
    return Course(*past, row["forecast_start"], mean, low, high, of=text(row["history_of"]) or "units")


def _weeks(values: Iterable[float | None] | None) -> Weeks:
    return tuple(_finite(value) for value in values or ())


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def text(value: str | None) -> str:
    """A text as a page can show it: without what surrounds it, what cannot be shown replaced."""
    return _UNSHOWABLE.sub("\ufffd", value or "").strip()

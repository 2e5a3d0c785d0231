"""The landing pages: what they show, that hostile text stays text, and that they need nothing from outside."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ml.errors import DataRejected, UsageError
from ml.publishing import words
from ml.publishing.catalogue import COLLECTION_ITEMS, COLLECTIONS, has_collections
from ml.publishing.pages import About, render_site

ABOUT = About("seasonality", "12", date(2011, 11, 14), "9f2c41aa07be33d1", ("order_lines", "products"))
START = date(2011, 11, 14)
VOID = {"meta", "link", "br", "img", "input", "hr"}


def collection(**changes: Any) -> dict[str, Any]:
    return {
        "collection_id": "christmas",
        "title": "Christmas",
        "description": "Gifts and decoration.",
        "occasion_start": date(2011, 12, 1),
        "occasion_end": date(2011, 12, 24),
    } | changes


def item(**changes: Any) -> dict[str, Any]:
    return {
        "collection_id": "christmas",
        "rank": 1,
        "product_id": "22749C",
        "title": "Paper chain kit",
        "category": "Decoration",
        "reason": "Sold three times its usual amount in the same weeks of last year.",
        "lift": 2.4,
        "lift_low": 1.68,
        "lift_high": 3.41,
        "history_start": START - timedelta(weeks=30),
        "history": [float(week % 7) for week in range(30)],
        "forecast_start": START,
        "forecast_mean": [5.0, 8.0, 13.0, 9.0],
        "forecast_q10": [2.0, 4.0, 6.0, 5.0],
        "forecast_q90": [9.0, 14.0, 20.0, 15.0],
    } | changes


def publications(collections: list[dict[str, Any]], items: list[dict[str, Any]]) -> dict[str, pa.Table]:
    return {
        "collections": pa.Table.from_pylist(collections, COLLECTIONS),
        "collection_items": pa.Table.from_pylist(items, COLLECTION_ITEMS),
    }


def landing(collections: list[dict[str, Any]], items: list[dict[str, Any]]) -> str:
    """The first collection's page."""
    files = render_site(publications(collections, items), ABOUT)
    name = next(name for name in files if name != "index.html")
    return files[name].decode()


class Audit(HTMLParser):
    """Reads a page as a browser would: elements, attributes, text, and whether everything is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]

    @property
    def text(self) -> str:
        return "".join(self.texts)


HOSTILE = [
    "<script>alert(1)</script>",
    '" onload="alert(1)',
    "' onmouseover=alert(1) x='",
    "</style></title></svg><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp; &#60;",
    "<!-- --><![CDATA[",
    "javascript:alert(1)",
    "🎄🎁👨‍👩‍👧",
    "مرحبا بالعالم שלום \u202e desrever",
    "W" * 10_000,
    "long words " * 900 + "end",
]


def audited(page: str) -> Audit:
    audit = Audit(page)
    assert audit.open == []
    assert not audit.tags.keys() & {"script", "iframe", "object", "embed", "base", "form"}
    assert not [name for _, name, _ in audit.attributes if name.startswith("on") or name == "style"]
    for address in audit.values("href"):
        assert re.fullmatch(r"#main|data:image/svg\+xml,[^<>\"]*|[a-z0-9-]+\.html", address)
    assert all(tag == "img" for tag, name, _ in audit.attributes if name == "src")
    for address in audit.values("src"):
        assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", address)
    assert max(Counter(audit.values("id")).values()) == 1
    for labels in audit.values("aria-labelledby"):
        assert set(labels.split()) <= set(audit.values("id"))
    return audit


def test_a_product_is_shown_with_everything_that_is_known_of_it() -> None:
    texts = audited(landing([collection()], [item()])).texts
    text = " ".join("".join(texts).split()) + "|".join(texts)
    for part in (
        "1–24 December 2011",
        "in 17 days",
        "Christmas",
        "1 product from 1 category",
        "Rank 1",
        "Paper chain kit",
        "Decoration",
        "2.4 × usual",
        "at least 1.6 ×, up to 3.5 ×",
        "Sold three times its usual amount",
        "about 35 expected in 4 weeks",
        "Family|seasonality",
        "Model version|12",
        "As of|14 November 2011",
        "Data digest|9f2c41aa07be33d1",
        "Made from|order_lines|, |products",
    ):
        assert part in text


def test_the_chart_is_told_in_words() -> None:
    text = audited(landing([collection()], [item()])).text
    assert "30 weeks of history since 18 April 2011: between 0 and 6 units a week, 1 in the last." in text
    assert (
        "Forecast from 14 November 2011, week by week: 5 (2 to 9); 8 (4 to 14); 13 (6 to 20); 9 (5 to 15)."
        in text
    )


def test_products_stand_in_the_order_of_their_rank() -> None:
    rows = [item(rank=rank, product_id=f"p{rank}", title=f"Product no {rank}.") for rank in (10, 2, 1)]
    assert re.findall(r"Product no \d+", landing([collection()], rows)) == [
        f"Product no {n}" for n in (1, 2, 10)
    ]


def test_collections_stand_soonest_first_and_timeless_ones_last() -> None:
    heads = [
        collection(collection_id="c", title="Timeless", occasion_start=None, occasion_end=None),
        collection(collection_id="b", title="Later", occasion_start=date(2012, 2, 14)),
        collection(collection_id="a", title="Sooner"),
    ]
    index = render_site(publications(heads, []), ABOUT)["index.html"].decode()
    assert re.findall("Timeless|Later|Sooner", index) == ["Sooner", "Later", "Timeless"]
    assert "Any day of the year" in index


def test_the_index_links_to_every_page_and_the_pages_to_each_other() -> None:
    files = render_site(publications([collection(collection_id=str(n)) for n in range(3)], []), ABOUT)
    pages = set(files) - {"index.html"}
    links = {name: set(re.findall(r'href="([^"]+[.]html)"', page.decode())) for name, page in files.items()}
    assert links.pop("index.html") == pages
    assert all("index.html" in found and found <= set(files) for found in links.values())
    assert sorted(len(found) for found in links.values()) == [2, 2, 3]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text_and_stays_whole(text: str) -> None:
    head = collection(collection_id=text, title=text, description=text)
    row = item(collection_id=text, product_id=text, title=text, category=text, reason=text)
    about = About(text, text, ABOUT.as_of, text, (text,))
    for name, page in render_site(publications([head], [row]), about).items():
        audit = audited(page.decode())
        assert sum(text in part for part in audit.texts) >= (4 if name == "index.html" else 8)
        assert re.fullmatch(r"[a-z0-9.-]{1,70}", name)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=60))
def test_any_text_survives_the_page(text: str) -> None:
    page = landing([collection()], [item(reason=f"[{text}]")])
    assert f"[{text}]" in audited(page).text


def test_what_cannot_be_shown_is_marked() -> None:
    assert "a\ufffdb\ufffdc" in landing([collection()], [item(title="a\x00b\x1bc")])


def test_a_long_text_can_be_opened_by_keyboard_and_a_short_one_takes_no_focus() -> None:
    short, long = (audited(landing([collection()], [item(reason=text)])) for text in ("short", "long " * 99))
    assert (short.values("tabindex"), long.values("tabindex")) == ([], ["0"])


@pytest.mark.parametrize(
    "changes",
    [
        {"category": None},
        {"title": None, "reason": None},
        {"lift": None, "lift_low": None, "lift_high": None},
        {"lift": float("nan"), "lift_low": float("-inf"), "lift_high": float("inf")},
        {"lift": 0.0, "lift_low": -1.0, "lift_high": 1e12},
        {"lift_low": None},
        {"history": [], "history_start": None},
        {"history": None, "history_start": None},
        {"history": [None, 1.0, float("nan"), 2.0]},
        {"history": [0.0, 0.0, -3.0]},
        {"history_start": None, "forecast_start": None},
        {"forecast_mean": [], "forecast_q10": [], "forecast_q90": [], "forecast_start": None},
        {"forecast_mean": [3.0], "forecast_q10": [1.0], "forecast_q90": [4.0]},
        {"forecast_mean": [None] * 4, "forecast_q10": [None] * 4, "forecast_q90": [None] * 4},
        {"history": [], "forecast_mean": [], "forecast_q10": [], "forecast_q90": []},
    ],
    ids=repr,
)
def test_what_is_not_known_leaves_a_readable_page(changes: dict[str, Any]) -> None:
    audit = audited(landing([collection()], [item(**changes)]))
    drawn = " ".join(audit.values("d") + audit.values("points") + audit.values("x") + audit.values("width"))
    assert not re.search("nan|inf|None", drawn + audit.text)


def test_no_collections_and_a_collection_without_products_say_so_kindly() -> None:
    index = render_site(publications([], []), ABOUT)
    assert list(index) == ["index.html"]
    assert "No collections this time" in audited(index["index.html"].decode()).text
    assert "No product yet" in audited(landing([collection()], [])).text


def test_the_same_publications_give_the_same_bytes_in_any_order_of_rows() -> None:
    heads = [collection(), collection(collection_id="b")]
    rows = [item(), item(rank=2, product_id="b"), item(collection_id="b")]
    assert render_site(publications(heads, rows), ABOUT) == render_site(
        publications(heads[::-1], rows[::-1]), ABOUT
    )


def test_wider_arrow_types_and_further_columns_are_welcome() -> None:
    tables = publications([collection()], [item()])
    wide = tables["collection_items"].append_column("extra", pa.array([1]))
    wide = wide.set_column(
        wide.column_names.index("title"),
        "title",
        wide.column("title").cast(pa.large_string()).dictionary_encode(),
    )
    assert render_site(tables | {"collection_items": wide}, ABOUT) == render_site(tables, ABOUT)


def test_ids_that_look_alike_get_pages_of_their_own() -> None:
    names = ["a b", "a-b", "A B", "á b", "", "index", "../../etc/passwd", "x" * 300, "x" * 299, "CON", "圣诞"]
    slugs = {words.slug(name) for name in names}
    assert len(slugs) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]{1,60}", slug) for slug in slugs)


def test_publications_without_collections_are_told_apart() -> None:
    assert not has_collections({"labels": pa.table({"a": [1]})})
    with pytest.raises(UsageError, match="no table 'collections'") as raised:
        render_site({"labels": pa.table({"a": [1]})}, ABOUT)
    assert "labels" in str(raised.value)


def broken(**changes: pa.Array) -> dict[str, pa.Table]:
    tables = publications([collection()], [item()])
    table = tables["collection_items"]
    for name, values in changes.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return tables | {"collection_items": table}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (broken(rank=pa.array(["first"])), "column 'rank' cannot be read"),
        (broken(rank=pa.array([None], pa.int64())), "column 'rank' must not be null"),
        (broken(history=pa.array([1.0])), "column 'history' cannot be read"),
        (broken(collection_id=pa.array(["other"])), "collection_items name no collection"),
        (broken(title=pa.array([b"\xff\xfe"]).view(pa.string())), "column 'title' cannot be read"),
        (broken(forecast_q10=pa.array([[1.0]])), "forecasts of different lengths"),
        (publications([collection(), collection()], []), "collections name an id twice"),
    ],
    ids=["type", "null", "not a list", "orphan", "not UTF-8", "lengths", "doubled"],
)
def test_what_breaks_the_schema_is_rejected_by_name(tables: dict[str, pa.Table], message: str) -> None:
    with pytest.raises(DataRejected, match=re.escape(message)):
        render_site(tables, ABOUT)


def test_a_missing_column_is_named() -> None:
    tables = publications([collection()], [item()])
    with pytest.raises(DataRejected, match="lift_low as well"):
        render_site(
            tables | {"collection_items": tables["collection_items"].drop_columns(["lift_low"])}, ABOUT
        )


def picture(kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (200, 30, 30)).save(file, format=kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def shown(**columns: list[Any]) -> str:
    """The landing page of an evergreen collection without forecast, whose items have these columns too."""
    evergreen = collection(
        collection_id="famous", title="Internet Famous", occasion_start=None, occasion_end=None
    )
    bare = {"lift": None, "lift_low": None, "lift_high": None, "forecast_start": None}
    count = len(next(iter(columns.values())))
    rows = [
        item(collection_id="famous", rank=n + 1, forecast_mean=[], forecast_q10=[], forecast_q90=[], **bare)
        for n in range(count)
    ]
    tables = publications([evergreen], rows)
    for name, values in columns.items():
        kind = {"image": pa.string(), "history_of": pa.string(), "evidence": EVIDENCE}[name]
        tables["collection_items"] = tables["collection_items"].append_column(name, pa.array(values, kind))
    files = render_site(tables, ABOUT)
    return files[next(name for name in files if name != "index.html")].decode()


EVIDENCE = pa.list_(pa.struct([("words", pa.string()), ("number", pa.float64())]))
NO_PICTURE = [
    None, "", "https://evil.invalid/x.png", "//evil.invalid/x.png", "file:///etc/passwd", "javascript:alert(1)",
    "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+", "data:text/html;base64,PHNjcmlwdD4=",
    'data:image/png;base64,AAAA" onerror="alert(1)', "data:image/png;base64,PHNjcmlwdD4=", "data:image/png;base64,",
    "data:image/png;base64," + "A" * 300_000, "DATA:IMAGE/PNG;BASE64,AAAA", picture() + "\n",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_product_with_an_image_is_shown_with_it(kind: str) -> None:
    audit = audited(shown(image=[picture(kind)]))
    assert audit.values("src") == [picture(kind)]
    assert audit.values("alt") == [""]


@pytest.mark.parametrize("uri", NO_PICTURE, ids=lambda uri: str(uri)[:30])
def test_what_is_no_png_or_jpeg_within_the_page_is_no_image(uri: str | None) -> None:
    audit = audited(shown(image=[uri]))
    assert audit.tags["img"] == 0
    assert "evil" not in "".join(audit.values("src"))


def test_the_browser_may_load_no_image_from_anywhere() -> None:
    policy = next(
        value for value in audited(shown(image=[picture()])).values("content") if "default-src" in value
    )
    assert "default-src 'none'" in policy and "img-src data:;" in policy


def test_evidence_is_words_and_numbers_and_a_line_of_what_is_counted() -> None:
    facts = [
        {"words": "posts in four weeks", "number": 1234.0},
        {"words": "<script>alert(1)</script>", "number": 2.0},
        {"words": "of nothing", "number": float("nan")},
        {"words": None, "number": 3.0},
    ]
    audit = audited(shown(evidence=[facts], history_of=["posts"]))
    text = "|".join(audit.texts)
    for part in (
        "posts in four weeks",
        "1,234",
        "<script>alert(1)</script>",
        "Posts per week",
        "posts a week",
    ):
        assert part in text, part
    for part in ("of nothing", "No usual level", "Forecast", "Units", "Lift with its range"):
        assert part not in text, part


def test_without_these_columns_nothing_changes() -> None:
    whole = publications([collection()], [item()])
    bare = render_site(whole, ABOUT)
    for name, kind in (("image", pa.string()), ("history_of", pa.string()), ("evidence", EVIDENCE)):
        whole["collection_items"] = whole["collection_items"].append_column(name, pa.nulls(1, kind))
    assert render_site(whole, ABOUT) == bare


def test_an_image_of_another_type_is_told() -> None:
    with pytest.raises(DataRejected, match="column 'evidence' cannot be read"):
        tables = publications([collection()], [item()])
        tables["collection_items"] = tables["collection_items"].append_column("evidence", pa.array([3]))
        render_site(tables, ABOUT)

"""The desk: what is in service, what was tried, what waits for a person, as server-rendered pages.

Names, reasons and categories come from warehouses and people; every value is escaped. No script, no request to
anywhere, no style but the one in the page, whose digest the browser is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from ml.publishing import trend as charts
from ml.publishing import words
from ml.publishing.pages import digest_for_browser
from ml.publishing.trend import Point


@dataclass(frozen=True, slots=True)
class Headline:
    """The family's own metric on the hold-out, beside the champion's of then and the baseline's."""

    name: str
    value: float
    champion: float | None
    baseline: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What the gate compared: relative difference of losses, negative is better, with its interval."""

    against: str
    cases: int
    loss: float
    reference: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reproduction:
    """When a version was rebuilt last, and whether every byte was the same."""

    at: datetime
    identical: bool


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version (or a run that has none yet). `address`: of its page, "" where its name is no address."""

    number: str
    run_id: str
    as_of: date
    at: datetime
    state: str
    by: str
    reasons: tuple[str, ...]
    headline: Headline | None
    difference: Difference | None
    data_digest: str
    git_commit: str
    mlflow: str
    address: str
    reproduction: Reproduction | None


@dataclass(frozen=True, slots=True)
class TableChecked:
    """One table of an ingest; `docs`: address of its Data Docs, "" where they are not on this machine.

    decided: rows that came back from quarantine by people's decisions.
    """

    name: str
    rows: int
    quarantined: int
    made: int
    failed: int
    digest: str
    docs: str
    decided: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """The validated tables that a family's newest version was made of."""

    ingest: str
    as_of: date
    sealed_at: datetime
    tables: tuple[TableChecked, ...]

    @property
    def quarantined(self) -> int:
        """Rows that were put aside."""
        return sum(table.quarantined for table in self.tables)

    @property
    def failed(self) -> int:
        """Checks that were not met, by a row at least."""
        return sum(table.failed for table in self.tables)

    @property
    def made(self) -> int:
        """Checks that were made."""
        return sum(table.made for table in self.tables)


@dataclass(frozen=True, slots=True)
class Shown:
    """What customers see: tables of the warehouse with their rows, and the address of the landing pages ("": none)."""

    version: str
    as_of: date
    at: datetime
    tables: Mapping[str, int]
    site: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the monitor measured."""

    kind: str
    name: str
    statistic: float | None
    limit: float | None
    breached: bool
    why: str


@dataclass(frozen=True, slots=True)
class Drift:
    """The monitor's last look at the champion. `asked`: it asked for a retrain."""

    at: datetime
    as_of: date
    version: str
    breached: bool
    asked: bool
    why: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to do ("act") or to know ("look"); `address` with the words of its link, or `command`."""

    level: str
    family: str
    text: str
    details: tuple[str, ...] = ()
    address: str = ""
    link: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """A line of the log of decisions."""

    at: datetime
    family: str
    action: str
    version: str
    by: str
    why: str
    address: str
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class Card:
    """A family at a glance.

    points: the loss of each version that the gate compared. metric: the family's headline metric, whose values are
    `metric_points`; () where the loss is that metric.
    """

    family: str
    purpose: str
    policy: str
    champion: Version | None
    challenger: Version | None
    points: tuple[Point, ...]
    metric: str
    metric_better: str
    metric_points: tuple[Point, ...]
    data: Data | None
    shown: Shown | None
    drift: Drift | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page. `notices`: what to do comes first; `log`: newest first."""

    now: datetime
    notices: tuple[Notice, ...]
    cards: tuple[Card, ...]
    log: tuple[Decided, ...]
    mlflow: str


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One metric on the hold-out by model, in the order of `Details.models`; `better`: lower or higher."""

    name: str
    better: str
    headline: bool
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class SliceLine:
    """One guardrail: a group of cases (or all) against a reference."""

    scope: str
    difference: Difference
    refused: bool


@dataclass(frozen=True, slots=True)
class Contribution:
    """How much a feature moves predictions: mean size and mean with the sign, on the scale of the model."""

    words: str
    feature: str
    size: float
    mean: float


@dataclass(frozen=True, slots=True)
class Example:
    """One prediction and what it rests on."""

    of: str
    why: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure that was logged with the version."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Details:
    """What is kept of one version beyond its verdict."""

    holdout: str
    baseline: str
    models: tuple[str, ...]
    metrics: tuple[MetricLine, ...]
    slices: tuple[SliceLine, ...]
    plots: tuple[Plot, ...]
    contributions: tuple[Contribution, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class FamilyPage:
    """One family: its card, one version in detail (None: none was recorded), and its decisions, newest first."""

    now: datetime
    card: Card
    version: Version | None
    details: Details | None
    notices: tuple[Notice, ...]
    log: tuple[Decided, ...]
    mlflow: str
    families: tuple[str, ...] = field(default=())

    @property
    def intervals(self) -> list[tuple[float, float, float]]:
        """Difference, lower and upper bound of each slice."""
        slices = self.details.slices if self.details else ()
        return [(line.difference.value, line.difference.low, line.difference.high) for line in slices]


def overview_page(overview: Overview) -> str:
    """The first page as HTML; addresses in it are relative to the desk's own."""
    return _render("desk.html.j2", up="", page=overview, now=overview.now)


def family_page(page: FamilyPage) -> str:
    """A family's page as HTML, one level below the desk's own address."""
    return _render("desk_family.html.j2", up="../", page=page, now=page.now)


def message_page(title: str, lines: tuple[str, ...], link: tuple[str, str]) -> str:
    """A page that says why there is no other, with one link (address, words)."""
    return _render("desk_message.html.j2", title=title, lines=lines, link=link)


def content_security_policy() -> str:
    """What a browser may load for these pages: the page's own style sheet, and pictures from here."""
    return (
        f"default-src 'none'; style-src '{_environment().globals['style_digest']}'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def placeholder(text: str) -> str:
    """An SVG picture that says why there is no other."""
    return _environment().get_template("desk_placeholder.svg.j2").render(text=text)


def _render(template: str, **context: object) -> str:
    return _environment().get_template(template).render(**context)


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
    style, *_ = environment.loader.get_source(environment, "desk.css") if environment.loader else ("",)
    environment.globals.update(w=words, charts=charts, style=style, style_digest=digest_for_browser(style))
    return environment

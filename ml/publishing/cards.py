"""The model card of a version, as Markdown: what it is for, made of, how good, how to rebuild it.

Figures and words come from runs and warehouses; every one of them is escaped on its way into the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from ml.publishing import words


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, with its interval where one is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table the version was made from: accepted rows, its digest, and what validation found.

    decided: what came back from quarantine by people's decisions, in words; a decision an item.
    """

    name: str
    rows: int
    digest: str
    checks: int
    failed: int
    quarantined: int
    decided: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric on the hold-out: of the version, of the champion then in service, of the baseline."""

    name: str
    challenger: Figure
    champion: Figure | None = None
    baseline: Figure | None = None
    better: str = "lower"
    headline: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """One group of cases: mean losses, and their difference (negative: the version is better)."""

    slice: str
    group: str
    cases: int
    challenger: float
    opponent: float
    difference: Figure


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate said, against whom, and why; `words` name each guardrail and limit too."""

    approved: bool
    opponent: str
    reasons: tuple[str, ...]
    difference: Figure | None = None
    confidence: float | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """All that the card of one version says; `commands` rebuild it, `parameters` are the family's own."""

    family: str
    version: str
    as_of: date
    predicts: str
    baseline: str
    data: tuple[TableFacts, ...]
    metrics: tuple[Metric, ...]
    verdict: Verdict
    commands: tuple[str, ...]
    limitations: tuple[str, ...]
    slices: tuple[Slice, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    data_digest: str = ""
    code_digest: str = ""
    git_commit: str = ""


class _Verbatim(str):
    """Text that is Markdown already."""

    __slots__ = ()


def model_card(card: ModelCard) -> str:
    """The card as Markdown (CommonMark with tables). The same card gives the same text."""
    return _environment().get_template("model_card.md.j2").render(card=card)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ml.publishing"),
        autoescape=False,  # Markdown, not HTML: `finalize` escapes every value
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(number=_number, figure=_figure, code=_code, block=_block, day=words.day)
    return environment


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&$])")
_LIST_OR_RULE = re.compile(r"^([-+=]|\d+[.)])")


def _escaped(value: object) -> str:
    """The value in one line, with nothing in it that Markdown or HTML would read as mark-up."""
    if isinstance(value, _Verbatim):
        return value
    line = _SPECIAL.sub(r"\\\1", _one_line(value))
    return _LIST_OR_RULE.sub(r"\\\1" if line[:1] in "-+=" else _escape_marker, line)


def _escape_marker(found: re.Match[str]) -> str:
    marker = found.group(1)
    return f"{marker[:-1]}\\{marker[-1]}"


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def _code(value: object) -> _Verbatim:
    """Inline code, fenced by more backticks than the value has in a row; safe in a table."""
    line = _one_line(value).replace("|", "\\|")
    if not line:
        return _Verbatim("–")
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence, gap = "`" * (longest + 1), " " if longest else ""
    return _Verbatim(f"{fence}{gap}{line}{gap}{fence}")


def _block(commands: tuple[str, ...]) -> _Verbatim:
    """A fenced block of commands to copy, one a line."""
    lines = [_one_line(command) for command in commands]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return _Verbatim("\n".join([f"{fence}sh", *lines, fence]))


def _number(value: float) -> _Verbatim:
    return _Verbatim(words.significant(value))


def _figure(figure: Figure | None) -> _Verbatim:
    """`0.412 (0.398 to 0.427)`."""
    if figure is None:
        return _Verbatim("–")
    if figure.low is None or figure.high is None:
        return _number(figure.value)
    return _Verbatim(f"{_number(figure.value)} ({_number(figure.low)} to {_number(figure.high)})")

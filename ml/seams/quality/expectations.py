"""Great Expectations, started the way this project needs it, with the few expectations that it does not have.

Importing this module imports Great Expectations (seconds): only `run` does so, and only inside a function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from ml.seams.quality.distribution import counts_query, shares_of, stability_index
from ml.seams.quality.predicates import (
    BROKEN_BY,
    blank,
    circular,
    duplicated,
    literal,
    not_in_its_set,
    other_script,
    quoted,
    too_early,
    unreferenced,
    unreferenced_together,
)

Kwargs = Mapping[str, Any]
Verdict = dict[str, Any]


class BrokenRows(TableMetricProvider):  # type: ignore[misc]
    """Number of rows for which a SQL condition holds; computed in the same scan as all other counts."""

    metric_name = "bellwether.broken_rows"
    value_keys = ("condition",)

    @metric_partial(  # type: ignore[untyped-decorator]
        engine=SqlAlchemyExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _sqlalchemy(
        cls, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any
    ) -> tuple[Any, Any, dict[str, Any]]:
        condition = metric_value_kwargs["condition"]
        return sa.literal_column(f"count(*) FILTER (WHERE {condition})"), metric_domain_kwargs, {}


class QueryRows(TableMetricProvider):  # type: ignore[misc]
    """The rows of a query that names the batch as {batch}."""

    metric_name = "bellwether.query_rows"
    value_keys = ("query",)

    @metric_value(engine=SqlAlchemyExecutionEngine)  # type: ignore[untyped-decorator]
    def _sqlalchemy(
        cls, execution_engine: Any, metric_domain_kwargs: Any, metric_value_kwargs: Any, **_: Any
    ) -> list[tuple[Any, ...]]:
        selectable, _domain, _accessor = execution_engine.get_compute_domain(
            metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE
        )
        batch = selectable.compile(
            dialect=execution_engine.engine.dialect, compile_kwargs={"literal_binds": True}
        )
        query = metric_value_kwargs["query"].replace("{batch}", f"({batch}) AS batch")
        rows = execution_engine.execute_query(sa.text(query.replace(":", "\\:"))).fetchall()
        return [tuple(row) for row in rows]


class RowRule(BatchExpectation):  # type: ignore[misc]
    """Base of rules for rows: at least a share `mostly` of the rows must not break `condition`."""

    condition: str = ""
    mostly: float = 1.0
    metric_dependencies: ClassVar[tuple[str, ...]] = ("bellwether.broken_rows", "table.row_count")
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("condition", "mostly")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "condition": self.broken_by(kwargs)})

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """SQL condition of the rows that break the rule."""
        raise NotImplementedError

    @classmethod
    def is_abstract(cls) -> bool:
        """Only the named rules below can be used in a suite."""
        return cls.__name__ == "RowRule"

    def _validate(self, metrics: Kwargs, **_: Any) -> Verdict:
        broken, rows = metrics["bellwether.broken_rows"], metrics["table.row_count"]
        percent = 100 * broken / rows if rows else 0.0
        found = {"element_count": rows, "unexpected_count": broken, "unexpected_percent": percent}
        return {"success": broken <= (1 - self.mostly) * rows + 1e-9, "result": found}


class ExpectKeyToBeUnique(RowRule):
    """No two rows have the same values in `columns`."""

    columns: list[str]

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows whose key occurs more than once."""
        return duplicated(kwargs)


class ExpectColumnValuesToReferTo(RowRule):
    """Values of `column` are among those of `refers_to` ("table.column")."""

    column: str
    refers_to: str

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows that refer to nothing."""
        return unreferenced(kwargs)


class ExpectColumnValuesToNotPrecede(RowRule):
    """Values of `column` are not before `not_before` ("table.column") of the row that `through` refers to."""

    column: str
    through: str
    not_before: str
    key: str | None = None

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows that come too early."""
        return too_early(kwargs)


class ExpectColumnValuesToNotBeBlank(RowRule):
    """Texts of `column` hold something to read."""

    column: str

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows with blank text."""
        return blank(kwargs)


class ExpectColumnValuesToNotLeadBack(RowRule):
    """`column` refers to the `key` of another row; followed from row to row, it comes back to none of them.

    `ordered_by` is a time by which a row usually comes after the one it refers to: it makes the search short.
    """

    column: str
    key: str
    ordered_by: str

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows that are part of a circle."""
        return circular(kwargs)


class ExpectColumnsToReferTo(RowRule):
    """Values of `columns` are together in one row of the table `refers_to`."""

    columns: list[str]
    refers_to: str

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows that refer to nothing."""
        return unreferenced_together(kwargs)


class ExpectColumnValuesToBeInItsSet(RowRule):
    """Values of `column` are among those that `value_sets` has for the row's `by`."""

    column: str
    by: str
    value_sets: dict[str, list[str]]

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows with a value of another set, or of none."""
        return not_in_its_set(kwargs)


class ExpectColumnValuesToBeInScript(RowRule):
    """At least half of the letters of a text are of a script (a language family's letters, as Unicode names them)."""

    column: str
    script: str

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """Rows in other letters."""
        return other_script(kwargs)


class GroupRule(RowRule):
    """Base of rules that a group of rows (of the same `group`) keeps or breaks as a whole."""

    group: str
    column: str

    @classmethod
    def is_abstract(cls) -> bool:
        """Only the named rules below can be used in a suite."""
        return cls.__name__ == "GroupRule"

    @classmethod
    def broken_by(cls, kwargs: Kwargs) -> str:
        """All rows of the groups that break the rule."""
        return BROKEN_BY[cls.expectation_type](kwargs)


class ExpectGroupsToHaveNoHoles(GroupRule):
    """`column` counts the rows of a group: 0, 1, 2 and so on."""


class ExpectGroupsToBeInOrder(GroupRule):
    """Rows of a group, by `column`, do not go back in `ordered_by`."""

    ordered_by: str


class ExpectGroupsToLackColumnWhere(GroupRule):
    """No row of a group has `column` where its `where` is `value`."""

    where: str
    value: str


class TableRule(BatchExpectation):  # type: ignore[misc]
    """Base of rules for the table as a whole that need one query."""

    query: str = ""
    metric_dependencies: ClassVar[tuple[str, ...]] = ("bellwether.query_rows",)
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("query",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "query": self.asks(kwargs)})

    @classmethod
    def asks(cls, kwargs: Kwargs) -> str:
        """The query, with {batch} for the table."""
        raise NotImplementedError

    @classmethod
    def is_abstract(cls) -> bool:
        """Only the named rules below can be used in a suite."""
        return cls.__name__ == "TableRule"


class ExpectEveryUsualDayToHaveRows(TableRule):
    """Each day of [since, until) that falls on one of the ISO `weekdays` has at least one row."""

    column: str
    weekdays: list[int]
    since: datetime
    until: datetime

    @classmethod
    def asks(cls, kwargs: Kwargs) -> str:
        """The missing days."""
        since, until = _day(kwargs["since"]), _day(kwargs["until"])
        days = f"SELECT unnest(generate_series({since}, {until}, INTERVAL 1 DAY))::DATE AS day"
        weekdays = ", ".join(str(int(day)) for day in kwargs["weekdays"]) or "NULL"
        column = quoted(kwargs["column"])
        seen = f"SELECT CAST({column} AS DATE) FROM {{batch}} WHERE {column} >= {since}"
        usual = f"day < {until} AND isodow(day) IN ({weekdays})"
        return f"SELECT day FROM ({days}) WHERE {usual} AND day NOT IN ({seen}) ORDER BY day"

    def _validate(self, metrics: Kwargs, **_: Any) -> Verdict:
        missing = [str(row[0]) for row in metrics["bellwether.query_rows"]]
        return {
            "success": not missing,
            "result": {"observed_value": ", ".join(missing) or "no day is missing"},
        }


class ExpectGroupsToHaveSeveralRows(TableRule):
    """Of the groups of rows with the same `columns`, at least the share `mostly` has more than one row."""

    columns: list[str]
    mostly: float

    @classmethod
    def asks(cls, kwargs: Kwargs) -> str:
        """Groups of one row, and all groups."""
        columns = ", ".join(quoted(name) for name in kwargs["columns"])
        sizes = f"SELECT count(*) AS n FROM {{batch}} GROUP BY {columns}"
        return f"SELECT count(*) FILTER (WHERE n = 1), count(*) FROM ({sizes})"

    def _validate(self, metrics: Kwargs, **_: Any) -> Verdict:
        single, groups = metrics["bellwether.query_rows"][0]
        share = single / groups if groups else 0.0
        return {
            "success": share <= 1 - self.mostly + 1e-9,
            "result": {"observed_value": f"{single:,} of {groups:,} ({share:.1%}) have one row only"},
        }


class ExpectPeopleToDiffer(TableRule):
    """Nobody who gave `fewest_rows` or more gave the same `column` in all of them, unless the others nearly do too.

    People are told apart by `person`; each value of `by` (a kind of question) is judged by itself. Somebody is named
    when others, with their own shares, would give that many equal answers in fewer than one case of a thousand.
    """

    column: str
    person: str
    by: str
    fewest_rows: int = 30
    at_most: float = 0.001

    @classmethod
    def asks(cls, kwargs: Kwargs) -> str:
        """(person, kind, answer, rows) of those who never vary."""
        who, kind, said = (quoted(kwargs[name]) for name in ("person", "by", "column"))
        given = (
            f"SELECT {who} AS who, {kind} AS kind, {said} AS said, count(*) AS n FROM {{batch}} GROUP BY ALL"
        )
        every = "SELECT kind AS its_kind, sum(n) AS every FROM given GROUP BY kind"
        same = "SELECT kind AS same_kind, said AS same_said, sum(n) AS same FROM given GROUP BY kind, said"
        alone = "SELECT who, kind, any_value(said) AS said, sum(n) AS n FROM given GROUP BY 1, 2 HAVING count(*) = 1"
        others = "every > n AND power((same - n) / (every - n), n)"
        return (
            f"WITH given AS ({given}), alone AS ({alone}) SELECT who, kind, said, n FROM alone "
            f"JOIN ({every}) ON its_kind = kind JOIN ({same}) ON same_kind = kind AND same_said = said "
            f"WHERE n >= {int(kwargs.get('fewest_rows', 30))} AND {others} < {float(kwargs.get('at_most', 0.001))} "
            "ORDER BY n DESC, who, kind"
        )

    def _validate(self, metrics: Kwargs, **_: Any) -> Verdict:
        found = metrics["bellwether.query_rows"]
        told = [f"{who} says {said!r} to all {n:,} of {kind}" for who, kind, said, n in found]
        more = f" and {len(told) - 5} more" if len(told) > 5 else ""
        observed = "; ".join(told[:5]) + more or "everybody varies"
        return {"success": not told, "result": {"observed_value": observed}}


class ExpectColumnDistributionToBeStable(TableRule):
    """The population stability index of the rows since `since` against `baseline` is at most `at_most`."""

    column: str
    baseline: dict[str, Any]
    at_most: float = 0.25
    fewest_rows: int = 200
    event_time: str | None = None
    since: datetime | None = None

    @classmethod
    def asks(cls, kwargs: Kwargs) -> str:
        """Rows in each bin of the baseline."""
        return counts_query(
            kwargs["column"], kwargs["baseline"], kwargs.get("event_time"), kwargs.get("since")
        )

    def _validate(self, metrics: Kwargs, **_: Any) -> Verdict:
        counts = dict(metrics["bellwether.query_rows"])
        if sum(counts.values()) < self.fewest_rows:
            return {
                "success": True,
                "result": {"observed_value": f"too few new rows ({sum(counts.values())})"},
            }
        index = stability_index(self.baseline, shares_of(self.baseline, counts))
        return {
            "success": index <= self.at_most and math.isfinite(index),
            "result": {"observed_value": round(index, 4)},
        }


def _day(value: date) -> str:
    return literal(date(value.year, value.month, value.day))

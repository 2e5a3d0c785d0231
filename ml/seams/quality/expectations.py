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
    blank,
    circular,
    duplicated,
    literal,
    quoted,
    too_early,
    unreferenced,
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

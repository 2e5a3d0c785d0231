"""The rows that break an expectation, as a SQL condition: from the same declaration that Great Expectations runs.

Great Expectations counts the rows that break a rule; to put them aside we have to find them. A test proves for each
type here that both agree on the count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from ml.errors import UsageError
from ml.seams.quality.suites import Expectation

Kwargs = Mapping[str, Any]

DUPLICATES = "duplicate_keys"
"""Table of the keys that occur more than once, made before the suite runs."""


CYCLES = "cycles"
"""Table of the keys of rows that lead back to themselves, made before the suite runs."""


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A value in SQL."""
    if isinstance(value, bool) or value is None:
        return str(value).upper() if value is not None else "NULL"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def listed(values: Iterable[object]) -> str:
    """Values in SQL, in brackets; an empty list holds NULL, so that nothing is in it."""
    return "(" + (", ".join(literal(value) for value in values) or "NULL") + ")"


def is_row_level(expectation: Expectation) -> bool:
    """Whether single rows break the expectation (and not the table as a whole)."""
    return expectation.type in BROKEN_BY


def broken_by(expectation: Expectation) -> str:
    """SQL condition that holds for exactly the rows that break a row-level expectation; never NULL."""
    try:
        condition = BROKEN_BY[expectation.type](expectation.kwargs)
    except KeyError as error:
        known = ", ".join(sorted(BROKEN_BY))
        raise UsageError(f"{expectation.type} is not a rule for rows", found=error, expected=known) from error
    return f"coalesce({condition}, FALSE)"


def _null(kwargs: Kwargs) -> str:
    return f"{quoted(kwargs['column'])} IS NULL"


def _outside(kwargs: Kwargs) -> str:
    column = quoted(kwargs["column"])
    limits = []
    if kwargs.get("min_value") is not None:
        limits.append(f"{column} {'>' if kwargs.get('strict_min') else '>='} {literal(kwargs['min_value'])}")
    if kwargs.get("max_value") is not None:
        limits.append(f"{column} {'<' if kwargs.get('strict_max') else '<='} {literal(kwargs['max_value'])}")
    return f"{column} IS NOT NULL AND NOT ({' AND '.join(limits)})"


def _not_in_set(kwargs: Kwargs) -> str:
    column = quoted(kwargs["column"])
    return f"{column} IS NOT NULL AND {column} NOT IN {listed(kwargs['value_set'])}"


def _in_set(kwargs: Kwargs) -> str:
    return f"{quoted(kwargs['column'])} IN {listed(kwargs['value_set'])}"


def _length_outside(kwargs: Kwargs) -> str:
    column, limits = quoted(kwargs["column"]), []
    if kwargs.get("min_value") is not None:
        limits.append(f"length({column}) >= {literal(kwargs['min_value'])}")
    if kwargs.get("max_value") is not None:
        limits.append(f"length({column}) <= {literal(kwargs['max_value'])}")
    return f"{column} IS NOT NULL AND NOT ({' AND '.join(limits)})"


def blank(kwargs: Kwargs) -> str:
    """Rows whose text holds nothing to read: spaces of any script, and characters that show nothing."""
    return f"regexp_full_match({quoted(kwargs['column'])}, '[\\s\\p{{Z}}\\p{{C}}]*')"


def _not_greater(kwargs: Kwargs) -> str:
    sign = ">=" if kwargs.get("or_equal") else ">"
    return f"NOT ({quoted(kwargs['column_A'])} {sign} {quoted(kwargs['column_B'])})"


def duplicated(kwargs: Kwargs) -> str:
    """Rows whose key occurs more than once."""
    columns = ", ".join(quoted(name) for name in kwargs["columns"])
    return f"({columns}) IN (SELECT ({columns}) FROM {DUPLICATES})"


def unreferenced(kwargs: Kwargs) -> str:
    """Rows whose column is not among the keys of the table that it refers to (`refers_to`: "table.column")."""
    other, column = kwargs["refers_to"].split(".")
    keys = f"SELECT {quoted(column)} FROM {quoted(other)} WHERE {quoted(column)} IS NOT NULL"
    return f"{quoted(kwargs['column'])} NOT IN ({keys})"


def too_early(kwargs: Kwargs) -> str:
    """Rows with `column` before `not_before` ("table.column") of what `through` refers to.

    `key` is the name of that table's key where it is not that of `through` (a reference to another row of the same
    table, say).
    """
    other, limit = kwargs["not_before"].split(".")
    through = quoted(kwargs["through"])
    key = quoted(kwargs.get("key") or kwargs["through"])
    known = f"SELECT {key} AS its_key, {quoted(limit)} AS its_limit FROM {quoted(other)}"
    return f"EXISTS (SELECT 1 FROM ({known}) WHERE its_key = {through} AND its_limit > {quoted(kwargs['column'])})"


def circular(kwargs: Kwargs) -> str:
    """Rows that `column`, followed from `key` to `key`, leads back to."""
    return f"{quoted(kwargs['key'])} IN (SELECT its_key FROM {CYCLES})"


BROKEN_BY: Mapping[str, Callable[[Kwargs], str]] = {
    "expect_column_values_to_not_be_null": _null,
    "expect_column_values_to_be_between": _outside,
    "expect_column_values_to_be_in_set": _not_in_set,
    "expect_column_values_to_not_be_in_set": _in_set,
    "expect_column_value_lengths_to_be_between": _length_outside,
    "expect_column_values_to_not_be_blank": blank,
    "expect_column_pair_values_a_to_be_greater_than_b": _not_greater,
    "expect_key_to_be_unique": duplicated,
    "expect_column_values_to_refer_to": unreferenced,
    "expect_column_values_to_not_precede": too_early,
    "expect_column_values_to_not_lead_back": circular,
}

"""The rows that break an expectation, as a SQL condition: from the same declaration that Great Expectations runs.

Great Expectations counts the rows that break a rule; to put them aside we have to find them. A test proves for each
type here that both agree on the count.
"""

from __future__ import annotations

import hashlib
import json
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


def unreferenced_together(kwargs: Kwargs) -> str:
    """Rows whose `columns` (none of them null) are not together in a row of the table `refers_to`."""
    names = [quoted(name) for name in kwargs["columns"]]
    its = ", ".join(f"{name} AS its_{place}" for place, name in enumerate(names))
    same = " AND ".join(f"its_{place} = {name}" for place, name in enumerate(names))
    given = " AND ".join(f"{name} IS NOT NULL" for name in names)
    return f"{given} AND NOT EXISTS (SELECT 1 FROM (SELECT {its} FROM {quoted(kwargs['refers_to'])}) WHERE {same})"


def not_in_its_set(kwargs: Kwargs) -> str:
    """Rows whose `column` is none of the values that `value_sets` lists for what `by` says; others are not judged."""
    column, by = quoted(kwargs["column"]), quoted(kwargs["by"])
    cases = " ".join(
        f"WHEN {literal(value)} THEN {column} NOT IN {listed(some)}"
        for value, some in kwargs["value_sets"].items()
    )
    return f"CASE {by} {cases} ELSE FALSE END"


def other_script(kwargs: Kwargs) -> str:
    """Rows whose text has letters, fewer than half of them of `script` (a name that Unicode gives, such as Latin)."""
    letters = f"length(regexp_replace({quoted(kwargs['column'])}, '[^\\p{{L}}]', '', 'g'))"
    known = f"length(regexp_replace({quoted(kwargs['column'])}, '[^\\p{{{kwargs['script']}}}]', '', 'g'))"
    return f"{letters} > 2 * {known}"


def groups_of(kind: str, kwargs: Kwargs) -> str:
    """Name of the table of the groups that break a rule for groups, made before the suite runs (see `preparing`)."""
    asked = json.dumps([kind, {name: kwargs[name] for name in sorted(kwargs) if name in GROUP_RULES[kind]}])
    return f"groups_{hashlib.md5(asked.encode(), usedforsecurity=False).hexdigest()[:12]}"


def _in_broken_group(kind: str) -> Callable[[Kwargs], str]:
    return lambda kwargs: f"{quoted(kwargs['group'])} IN (SELECT its_group FROM {groups_of(kind, kwargs)})"


GROUP_RULES: Mapping[str, tuple[str, ...]] = {
    "expect_groups_to_have_no_holes": ("group", "column"),
    "expect_groups_to_be_in_order": ("group", "column", "ordered_by"),
    "expect_groups_to_lack_column_where": ("group", "column", "where", "value"),
}
"""Rules that put all rows of a group aside, with what each depends on."""

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
    "expect_columns_to_refer_to": unreferenced_together,
    "expect_column_values_to_be_in_its_set": not_in_its_set,
    "expect_column_values_to_be_in_script": other_script,
    **{kind: _in_broken_group(kind) for kind in GROUP_RULES},
}

"""Expectations in words, for messages and for Data Docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml.seams.quality.suites import Expectation

Kwargs = Mapping[str, Any]


def requirement(one: Expectation) -> str:
    """What is asked of a column or of the table, and why."""
    said = (
        _WORDS[one.type](one.kwargs)
        if one.type in _WORDS
        else one.type.removeprefix("expect_").replace("_", " ")
    )
    return f"{one.column or 'the table'} {said} ({one.why})"


def short(value: object, most: int = 160) -> str:
    """A value, cut where it is long."""
    text = str(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _limits(kwargs: Kwargs) -> str:
    limits = []
    if kwargs.get("min_value") is not None:
        limits.append(f"{'above' if kwargs.get('strict_min') else 'at least'} {_number(kwargs['min_value'])}")
    if kwargs.get("max_value") is not None:
        limits.append(f"{'below' if kwargs.get('strict_max') else 'at most'} {_number(kwargs['max_value'])}")
    return " and ".join(limits)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


_WORDS: Mapping[str, Callable[[Kwargs], str]] = {
    "expect_column_values_to_not_be_null": lambda kwargs: "is never null",
    "expect_column_values_to_be_between": lambda kwargs: f"is {_limits(kwargs)}",
    "expect_column_values_to_be_in_set": lambda kwargs: f"is one of {short(kwargs['value_set'])}",
    "expect_column_values_to_not_be_in_set": lambda kwargs: f"is none of {short(kwargs['value_set'])}",
    "expect_column_value_lengths_to_be_between": lambda kwargs: f"has characters: {_limits(kwargs)}",
    "expect_column_values_to_not_be_blank": lambda kwargs: "has something to read",
    "expect_column_unique_value_count_to_be_between": lambda kwargs: (
        f"has different values: {_limits(kwargs)}"
    ),
    "expect_groups_to_have_several_rows": lambda kwargs: (
        f"have several rows in a share of {kwargs['mostly']:.0%} or more"
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": lambda kwargs: (
        "are in order: the first is not the smaller"
    ),
    "expect_key_to_be_unique": lambda kwargs: "is a key: no two rows have the same",
    "expect_column_values_to_refer_to": lambda kwargs: f"is found in {kwargs['refers_to']}",
    "expect_column_values_to_not_precede": lambda kwargs: f"is not before {kwargs['not_before']}",
    "expect_column_values_to_not_lead_back": lambda kwargs: (
        "leads to a first row, and never back to where it came from"
    ),
    "expect_columns_to_refer_to": lambda kwargs: f"are found together in {kwargs['refers_to']}",
    "expect_column_values_to_be_in_its_set": lambda kwargs: (
        f"is one of those of its {kwargs['by']}: {short(kwargs['value_sets'], 400)}"
    ),
    "expect_column_values_to_be_in_script": lambda kwargs: f"is written in {kwargs['script']} letters",
    "expect_groups_to_have_no_holes": lambda kwargs: (
        f"counts from 0 without a hole in every {kwargs['group']}"
    ),
    "expect_groups_to_be_in_order": lambda kwargs: (
        f"has the order of {kwargs['ordered_by']} in every {kwargs['group']}"
    ),
    "expect_groups_to_lack_column_where": lambda kwargs: (
        f"is not given where {kwargs['where']} is {kwargs['value']} in any row of a {kwargs['group']}"
    ),
    "expect_people_to_differ": lambda kwargs: (
        f"varies for everybody with {kwargs['fewest_rows']} rows or more, as it does for the others"
    ),
    "expect_column_distinct_values_to_be_in_set": lambda kwargs: (
        f"has no value but {short(kwargs['value_set'])}"
    ),
    "expect_column_max_to_be_between": lambda kwargs: f"has a largest value {_limits(kwargs)}",
    "expect_table_row_count_to_be_between": lambda kwargs: f"has rows: {_limits(kwargs)}",
    "expect_column_to_exist": lambda kwargs: "exists",
    "expect_every_usual_day_to_have_rows": lambda kwargs: (
        f"has rows on each usual day from {kwargs['since']}"
    ),
    "expect_column_distribution_to_be_stable": lambda kwargs: (
        f"has a stability index of at most {kwargs['at_most']}"
    ),
}

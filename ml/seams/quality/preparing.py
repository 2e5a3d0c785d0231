"""What some rules for rows need beforehand: the keys that are there twice, the rows that lead back to themselves,
the groups that are not whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml.seams.quality.predicates import CYCLES, DUPLICATES, groups_of, literal, quoted
from ml.seams.quality.rows import Database
from ml.seams.quality.suites import Expectation

Kwargs = Mapping[str, Any]


def prepare(database: Database, table: str, expectations: Sequence[Expectation]) -> None:
    """Make the tables that the conditions of these expectations look into."""
    for one in expectations:
        if one.type == "expect_key_to_be_unique":
            find_duplicates(database, table, tuple(one.kwargs["columns"]))
        if one.type == "expect_column_values_to_not_lead_back":
            find_cycles(database, table, one.kwargs["column"], one.kwargs["key"], one.kwargs["ordered_by"])
        if one.type in _BROKEN_GROUPS:
            broken = _BROKEN_GROUPS[one.type](quoted(table), one.kwargs)
            name = groups_of(one.type, one.kwargs)
            database.run(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT DISTINCT its_group FROM ({broken})")


def find_duplicates(database: Database, table: str, columns: tuple[str, ...]) -> None:
    """Make the table `DUPLICATES` of the keys that occur more than once (exact; 64-bit hashes first, for speed)."""
    names, source = ", ".join(quoted(name) for name in columns), quoted(table)
    hashes = f"SELECT hash({names}) AS h FROM {source} GROUP BY h HAVING count(*) > 1"
    database.run(f"CREATE TABLE key_suspects AS {hashes}")
    same_hash = f"SELECT {names} FROM {source} WHERE hash({names}) IN (SELECT h FROM key_suspects)"
    database.run(f"CREATE TABLE {DUPLICATES} AS {same_hash} GROUP BY {names} HAVING count(*) > 1")


def find_cycles(database: Database, table: str, parent: str, key: str, ordered_by: str) -> None:
    """Make the table `CYCLES` of the keys of rows that `parent` leads back to, over one row or more.

    A cycle has a row that is not later than its parent. So only from such rows (few, in usual data) the parents are
    followed, to the next such row; what is left of these shortcuts when all dead ends are taken away is the cycles.
    """
    rows, own, up, when = (quoted(name) for name in (table, key, parent, ordered_by))
    database.run(
        f"""CREATE TABLE cycle_starts AS SELECT DISTINCT child.{own} AS origin, child.{up} AS reached
            FROM {rows} AS child JOIN {rows} AS its ON child.{up} = its.{own}
            WHERE NOT coalesce(its.{when} < child.{when}, FALSE)"""
    )
    database.run(
        f"""CREATE TABLE cycle_walks AS WITH RECURSIVE walk AS (
              FROM cycle_starts
              UNION
              SELECT walk.origin, its.{up} FROM walk JOIN {rows} AS its ON its.{own} = walk.reached
              WHERE its.{up} IS NOT NULL AND walk.reached NOT IN (SELECT origin FROM cycle_starts)
            ) FROM walk"""
    )
    database.run(
        "CREATE TABLE cycle_loops AS FROM cycle_walks WHERE reached IN (SELECT origin FROM cycle_starts)"
    )
    while _shrinks(database):
        pass
    on_the_way = "SELECT reached FROM cycle_walks WHERE origin IN (SELECT origin FROM cycle_loops)"
    database.run(f"CREATE TABLE {CYCLES} AS SELECT origin AS its_key FROM cycle_loops UNION {on_the_way}")


def _shrinks(database: Database) -> bool:
    """Take away the shortcuts that lead nowhere, and those that nothing leads to; whether there were any."""
    left = "SELECT count(*) FROM cycle_loops"
    before = database.run(left)[0][0]
    nowhere = "reached NOT IN (SELECT origin FROM cycle_loops)"
    database.run(
        f"DELETE FROM cycle_loops WHERE {nowhere} OR origin NOT IN (SELECT reached FROM cycle_loops)"
    )
    return bool(database.run(left)[0][0] < before)


def _with_holes(table: str, kwargs: Kwargs) -> str:
    """Groups whose `column` is not 0, 1, 2 and so on, each once or more."""
    group, place = quoted(kwargs["group"]), quoted(kwargs["column"])
    whole = f"min({place}) = 0 AND count(DISTINCT {place}) = max({place}) + 1"
    return f"SELECT {group} AS its_group FROM {table} GROUP BY {group} HAVING NOT coalesce({whole}, TRUE)"


def _out_of_order(table: str, kwargs: Kwargs) -> str:
    """Groups in which a later `column` has an earlier `ordered_by`."""
    group, place, when = (quoted(kwargs[name]) for name in ("group", "column", "ordered_by"))
    back = f"{when} < lag({when}) OVER (PARTITION BY {group} ORDER BY {place}, {when})"
    return f"SELECT its_group FROM (SELECT {group} AS its_group, {back} AS back FROM {table}) WHERE back"


def _given_elsewhere(table: str, kwargs: Kwargs) -> str:
    """Groups with a row that has `column` though its `where` is `value`."""
    group, column, where = (quoted(kwargs[name]) for name in ("group", "column", "where"))
    stray = f"{column} IS NOT NULL AND {where} = {literal(kwargs['value'])}"
    return f"SELECT {group} AS its_group FROM {table} WHERE {stray}"


_BROKEN_GROUPS: Mapping[str, Callable[[str, Kwargs], str]] = {
    "expect_groups_to_have_no_holes": _with_holes,
    "expect_groups_to_be_in_order": _out_of_order,
    "expect_groups_to_lack_column_where": _given_elsewhere,
}

"""Rows that people accepted or repaired come back; what nobody can wave through stays aside, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spoilt_shop import Shop

from ml.contracts import TABLES
from ml.seams.quality.decided import ACCEPTED, KEY_TAKEN, REPAIRED, REPLACED, decided_file, decided_schema

Row = dict[str, Any]
Found = tuple[Row, dict[tuple[str, int], list[Row]], dict[tuple[str, int], list[Row]]]


def decide(shop: Shop, what: str, rows: Sequence[Row], name: str = "order_lines") -> None:
    """Put rows where the stage looks for decisions of this kind; the place in the list is the id."""
    folder = shop.folder / "data/inputs/history"
    folder.mkdir(parents=True, exist_ok=True)
    schema = decided_schema(TABLES[name])
    made = [{c: row.get(c) for c in schema.names} | {"row_id": f"{i}"} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(made, schema), decided_file(folder, name, what))


def by_key(rows: pa.Table) -> dict[tuple[str, int], list[Row]]:
    found: dict[tuple[str, int], list[Row]] = {}
    for row in rows.to_pylist():
        found.setdefault((row["order_id"], row["line_no"]), []).append(row)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """What becomes of lines of the day `o0301-0` (20 of them), about each of which something was decided.

    0 accepted; 1 accepted, then changed; 2 repaired; 3 repaired to something wrong; 4 and 5 accepted against the
    contract; 6 one of two lines chosen; 7 both of two lines chosen; 8 one of three equal lines; 9 repaired to the key
    of 10; 11 three equal lines repaired; 12 nothing decided.
    """
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("decided")
        patch.chdir(folder)
        shop = Shop(folder)
        lines = shop.order_lines
        seen = dict(lines[1], quantity=0.0)
        lines[0]["quantity"] = lines[2]["quantity"] = lines[3]["quantity"] = lines[12]["quantity"] = 0.0
        lines[1].update(quantity=0.0, unit_price=77.0)
        lines[4]["quantity"], lines[5]["product_id"], lines[9]["quantity"] = None, "nobody", 0.0
        others = [{**lines[6], "quantity": 9.0}, {**lines[7], "quantity": 9.0}]
        lines += [*others, dict(lines[8]), dict(lines[8]), dict(lines[11]), dict(lines[11])]
        decide(shop, ACCEPTED, [lines[0], seen, lines[4], lines[5], others[0], lines[7], others[1], lines[8]])
        wrong = [lines[2], lines[3], lines[9], lines[11]]
        decide(shop, REPLACED, wrong)
        right: list[Row] = [{"quantity": 2.0}, {"quantity": -80995.0}, {"quantity": 1.0, "line_no": 10}, {}]
        decide(shop, REPAIRED, [{**row, **change} for row, change in zip(wrong, right, strict=True)])
        result = shop.validate()
        assert not list((folder / "data/validated").glob(".repaired-*"))
        yield result["rows"], by_key(shop.passed()), by_key(shop.quarantined())


def passed(found: Found, line: int) -> list[Row]:
    return found[1].get(("o0301-0", line), [])


def aside(found: Found, line: int) -> list[Row]:
    return found[2].get(("o0301-0", line), [])


def test_every_row_is_accounted_for(found: Found) -> None:
    rows = found[0]
    assert rows["decided"] == {"accepted": 3, "repaired": 4, "replaced": 6}
    assert rows["in"] == 1206 - 6 + 4 == rows["passed"] + rows["quarantined"]
    assert rows["quarantined"] == sum(map(len, found[2].values()))


def test_an_accepted_row_passes_as_it_is_and_others_stay_aside(found: Found) -> None:
    assert [row["quantity"] for row in passed(found, 0)] == [0.0]
    assert len(aside(found, 12)) == 1


def test_a_decision_is_about_the_row_as_it_was_seen(found: Found) -> None:
    assert not passed(found, 1)
    assert [row["unit_price"] for row in aside(found, 1)] == [77.0]


def test_a_repaired_row_stands_in_and_is_checked_like_any_other(found: Found) -> None:
    assert [row["quantity"] for row in passed(found, 2)] == [2.0]
    assert not aside(found, 2) and not passed(found, 3)
    (still,) = aside(found, 3)
    assert still["quantity"] == -80995.0 and any("nobody orders" in reason for reason in still["reasons"])


@pytest.mark.parametrize("line", [4, 5])
def test_what_the_contract_asks_is_not_waved_through(found: Found, line: int) -> None:
    assert not passed(found, line) and len(aside(found, line)) == 1


def test_one_of_two_rows_of_a_key_can_be_chosen_but_not_both(found: Found) -> None:
    assert [row["quantity"] for row in passed(found, 6)] == [9.0]
    assert len(aside(found, 6)) == 1
    assert not passed(found, 7)
    assert [KEY_TAKEN in row["reasons"] for row in aside(found, 7)] == [True, True]


def test_one_of_several_equal_rows_comes_back(found: Found) -> None:
    assert len(passed(found, 8)) == 1 and len(aside(found, 8)) == 2
    assert len(passed(found, 11)) == 1 and not aside(found, 11)


def test_a_repair_whose_key_is_taken_stays_aside_with_the_row_that_has_it(found: Found) -> None:
    assert not passed(found, 9) and not passed(found, 10)
    assert len(aside(found, 10)) == 2


def test_rows_put_aside_have_an_id_of_their_content(found: Found) -> None:
    ids = [row["row_id"] for rows in found[2].values() for row in rows]
    assert all(len(one) == 16 for one in ids)
    assert len({row["row_id"] for row in aside(found, 8)}) == 1
    assert len(set(ids)) == len(ids) - 1

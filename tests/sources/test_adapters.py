"""The adapters on small files written here: cases worked on paper, other containers, files that are not there."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import UsageError
from ml.sources import SOURCES, load, source
from ml.sources.gift_categories import category
from ml.sources.occasions import advent, united_kingdom
from ml.toolkit.dates import easter, nth_weekday

INVOICES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,85123A,WHITE HEART,6,12/1/2010 8:26,2.55,17850,UK
1,POST,POSTAGE,1,12/1/2010 8:26,18.00,17850,UK
1,85123A,WHITE HEART,2,12/1/2010 8:26,2.95,17850,UK
2,22222,CAFÉ MUG,74215,1/18/2011 10:01,1.04,12346,UK
C3,22222,CAFÉ MUG,-74215,1/18/2011 10:17,1.04,12346,UK
4,22222,damaged,-5,1/19/2011 9:00,0,,UK
5,22222,café mug found,3,1/20/2011 9:00,2.00,12346.0,UK
C6,22222,CAFÉ MUG,-3,1/25/2011 9:00,2.00,12346,UK
"""


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_invoices_as_csv_worked_on_paper(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "Online Retail.csv").write_text(INVOICES, encoding=encoding)
    loaded = load("online_retail_uci", tmp_path)
    assert loaded.read == 8
    assert loaded.dropped == {"not a product": 1, "order cancelled within a day": 2, "price not positive": 1}
    lines = loaded.tables["order_lines"].to_pylist()
    assert [(row["order_id"], row["line_no"], row["quantity"]) for row in lines] == [
        ("1", 1, 6.0),
        ("1", 3, 2.0),
        ("5", 1, 3.0),
        ("C6", 1, -3.0),
    ]
    assert (lines[0]["ordered_at"], lines[2]["customer_id"]) == (datetime(2010, 12, 1, 8, 26), "12346")
    products = {row["product_id"]: row for row in loaded.tables["products"].to_pylist()}
    assert products["22222"]["title"] == "CAFÉ MUG"
    assert products["22222"]["launched_at"] == datetime(2011, 1, 20)
    assert (products["85123A"]["launched_at"], products["85123A"]["price"]) == (None, 2.75)


def test_an_order_is_undone_once_and_only_within_a_day(tmp_path: Path) -> None:
    def line(invoice: str, quantity: int, moment: datetime) -> dict[str, Any]:
        fixed = {"StockCode": "22222", "Description": "MUG", "UnitPrice": 1.0, "CustomerID": 1}
        return {"InvoiceNo": invoice, "Quantity": quantity, "InvoiceDate": moment, **fixed}

    rows = [
        line("1", 5, datetime(2011, 1, 1, 9)),
        line("C2", -5, datetime(2011, 1, 1, 10)),
        line("C3", -5, datetime(2011, 1, 1, 11)),
        line("4", 7, datetime(2011, 1, 1, 9)),
        line("C5", -7, datetime(2011, 1, 3, 9)),
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "any name.parquet")
    loaded = load("online_retail_uci", tmp_path)
    assert sorted(loaded.tables["order_lines"]["order_id"].to_pylist()) == ["4", "C3", "C5"]


def test_titles_name_their_group() -> None:
    assert category("SET OF 6 CHRISTMAS MUGS") == "christmas"
    assert category("72 SWEETHEART FAIRY CAKE CASES") == "valentine"
    assert category("PACK OF 60 PINK PAISLEY CAKE CASES") == "baking"
    assert category("RED RETROSPOT MUG") == "tableware"
    assert category("EXTRAORDINARY THING") == "other gifts"


def _juice(
    store: int, brand: int, week: int, units: int | None, price: float, **more: float
) -> dict[str, Any]:
    prices = {f"price{n}": 0.05 for n in range(1, 12)} | {f"price{brand}": price}
    sold = None if units is None else math.log(units)
    return {
        "store": store,
        "brand": brand,
        "week": week,
        "logmove": sold,
        **prices,
        "deal": 0,
        "feat": 0.0,
        **more,
    }


def test_weeks_of_juice_worked_on_paper(tmp_path: Path) -> None:
    rows = [
        _juice(2, 1, 1, 640, 0.04),
        _juice(2, 1, 2, 1280, 0.02, feat=0.9, deal=1),
        _juice(2, 1, 3, None, 0.03),
        _juice(3, 12, 3, 64, 0.03),
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "yx.parquet")
    loaded = load("dominicks_oj", tmp_path)
    assert loaded.dropped == {"unknown brand": 1, "no sales given": 1}
    lines = loaded.tables["order_lines"].to_pylist()
    assert [(row["quantity"], row["unit_price"]) for row in lines] == [(640, 2.56), (1280, 1.28)]
    assert lines[1]["ordered_at"] == datetime(1989, 9, 21)
    plan = [(row["promotion_id"], row["discount_pct"]) for row in loaded.tables["promotions"].to_pylist()]
    assert plan == [("discount-2", 50.0), ("display-2", None), ("feature-2", None), ("discount-3", 25.0)]
    assert loaded.tables["promotions"]["end_day"][0].as_py() == date(1989, 9, 27)


def test_a_journey_worked_on_paper(tmp_path: Path) -> None:
    def bought(product: str, quantity: float) -> dict[str, Any]:
        fixed = {"household_id": "h", "basket_id": "b", "sales_value": 3.0, "retail_disc": 1.0}
        moment = {"coupon_match_disc": 0.5, "transaction_timestamp": datetime(2017, 1, 3)}
        return {**fixed, **moment, "product_id": product, "quantity": quantity}

    def product(identifier: str, department: str) -> dict[str, Any]:
        described = {
            "brand": "National",
            "product_category": None,
            "product_type": None,
            "package_size": "1 LB",
        }
        return {"product_id": identifier, "department": department, **described}

    written = {
        "transactions": [bought("9e+05", 2), bought("f", 9000), bought("x", 1), bought("9e+05", 0)],
        "products": [product("9e+05", "GROCERY"), product("f", "FUEL"), product("unsold", "GROCERY")],
        "promotions": [
            {"product_id": "9e+05", "display_location": "7", "mailer_location": "0", "week": 2},
            {"product_id": "unsold", "display_location": "7", "mailer_location": "A", "week": 2},
        ],
    }
    for name, rows in written.items():
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    loaded = load("completejourney", tmp_path)
    assert loaded.dropped == {"fuel": 1, "no quantity": 1, "no such product": 1}
    (line,) = loaded.tables["order_lines"].to_pylist()
    assert (line["product_id"], line["quantity"], line["unit_price"]) == ("900000", 2.0, 1.75)
    (sold,) = loaded.tables["products"].to_pylist()
    assert (sold["title"], sold["category"], sold["price"]) == ("GROCERY 1 LB", "GROCERY", 2.25)
    (promotion,) = loaded.tables["promotions"].to_pylist()
    assert (promotion["kind"], promotion["start_day"], promotion["end_day"]) == (
        "display",
        date(2017, 1, 2),
        date(2017, 1, 8),
    )


def _labels(rows: pa.Table, kind: str) -> list[tuple[str, int, str]]:
    marked = [row for row in rows.to_pylist() if row["kind"] == kind]
    return sorted((row["dialogue_id"], row["turn_idx"], row["label"]) for row in marked)


def test_ratings_worked_on_paper(tmp_path: Path) -> None:
    (tmp_path / "turns.csv").write_text(
        "dialogue_id,turn_idx,speaker,text,satisfaction,is_overall\n"
        'd,0,USER,"Hello, you","[3, 4, 3]",false\nd,1,SYSTEM,Hm?,,false\n'
        'd,2,USER,Again!,"[2, 2, 3]",false\nd,3,USER,OVERALL,"[4, 4, 4]",true\n'
    )
    loaded = load("uss", tmp_path)
    assert (loaded.read, loaded.dropped) == (4, {"rates the whole dialogue": 1})
    assert [row["speaker"] for row in loaded.tables["turns"].to_pylist()] == ["user", "assistant", "user"]
    marked = loaded.tables["annotations"].to_pylist()
    assert [(row["turn_idx"], row["annotator_id"], row["label"]) for row in marked] == [
        (0, "d:1", "3"), (0, "d:2", "4"), (0, "d:3", "3"), (2, "d:1", "2"), (2, "d:2", "2"), (2, "d:3", "3"),
    ]  # fmt: skip


@pytest.mark.parametrize("both", [(["A", "B"], ["Book", "Find"]), (["B", "A"], ["Find", "Book"])])
def test_goals_of_a_schema_worked_on_paper(tmp_path: Path, both: tuple[list[str], list[str]]) -> None:
    def user(services: list[str], intents: list[str]) -> dict[str, Any]:
        return {"speaker": "USER", "services": services, "active_intents": intents, "acts": None}

    def system(*acts: str) -> dict[str, Any]:
        return {"speaker": "SYSTEM", "services": ["A"], "active_intents": None, "acts": list(acts)}

    turns = [
        user(["A"], ["Find"]), system("OFFER"), user(["A"], ["NONE"]), system("REQ_MORE"),
        user(["A"], ["Book"]), system("NOTIFY_FAILURE"), user(["A"], ["Book"]), system("NOTIFY_SUCCESS"),
        user(*both), system("NOTIFY_SUCCESS"), user(["B"], ["Find"]), system("NOTIFY_FAILURE"),
        user(["B"], ["NONE"]), system("GOODBYE"),
    ]  # fmt: skip
    rows = [
        {"dialogue_id": "dev_1", "turn_idx": i, "utterance": f"t{i}", **turn} for i, turn in enumerate(turns)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "turns_dev.parquet")
    loaded = load("sgd", tmp_path)
    annotations = loaded.tables["annotations"]
    begun = [turn for _, turn, label in _labels(annotations, "goal_boundary") if label == "yes"]
    assert (loaded.read, begun) == (14, [0, 4, 8])
    assert _labels(annotations, "goal_success") == [("dev_1", 7, "yes"), ("dev_1", 13, "no")]
    assert [label for *_, label in _labels(annotations, "intent")] == [
        "Find", "NONE", "Book", "Book", "Find", "Find", "NONE",
    ]  # fmt: skip


def test_requests_worked_on_paper(tmp_path: Path) -> None:
    (tmp_path / "queries_full.csv").write_text(
        "split,text,intent\nval,wake me,alarm\ntrain,hello,greeting\noos_train,hm,oos\n"
    )
    (tmp_path / "train_full.csv").write_text("intent,idx,text\nPlay,0,a song\nPlay,1,a song\nRate,0,a song\n")
    requests = load("clinc150", tmp_path / "queries_full.csv")
    assert requests.tables["turns"]["text"].to_pylist()[-1] == "wake me"
    assert _labels(requests.tables["annotations"], "intent")[1] == ("clinc-2", 0, "greeting")
    spoken = load("snips_nlu", tmp_path / "train_full.csv")
    assert (spoken.read, spoken.dropped) == (3, {"said before": 1})
    assert sorted(spoken.tables["turns"]["dialogue_id"].to_pylist()) == ["snips-Play-0", "snips-Rate-0"]


def test_a_table_for_two_worked_on_paper(tmp_path: Path) -> None:
    (tmp_path / "dialogues.csv").write_text("dialogue_id,finished\n0,true\n1,false\n")
    (tmp_path / "turns.csv").write_text(
        "dialogue_id,turn,usr_transcript,sys_sent\n0,0,Cheap?,Which area?\n0,1,East,Here\n1,0,Hi,Hello\n7,0,Hi,Hello\n"
    )
    loaded = load("camrest676", tmp_path)
    assert (loaded.read, loaded.dropped) == (4, {"no such dialogue": 1})
    assert _labels(loaded.tables["annotations"], "goal_success") == [("0", 3, "yes"), ("1", 1, "no")]
    said = {(row["dialogue_id"], row["turn_idx"]): row["text"] for row in loaded.tables["turns"].to_pylist()}
    assert [said["0", i] for i in range(4)] == ["Cheap?", "Which area?", "East", "Here"]


def test_judgements_of_queries_worked_on_paper(tmp_path: Path) -> None:
    (tmp_path / "judgments_titles_500q.csv").write_text(
        "query,product_id,product_text,esci_label\n"
        "red mug,B1,Mug in red,E\nred mug,B2,Mug in blue,S\nred mug,B1,Mug in red,I\nplate,B3,Plate,X\nplate,B2, ,C\n"
    )
    (tmp_path / "judgments_150q.csv").write_text("query,product_id,esci_label\nplate,B1,I\nplate,B9,E\n")
    loaded = load("esci_sample", tmp_path)
    assert loaded.read == 7
    assert loaded.dropped == {"judged before": 1, "no such label": 1, "product without a title": 1}
    judged = {(row["query"], row["product_id"]): row for row in loaded.tables["judgements"].to_pylist()}
    grades = {pair: row["grade"] for pair, row in judged.items()}
    assert grades == {("red mug", "B1"): 3, ("red mug", "B2"): 2, ("plate", "B2"): 1, ("plate", "B1"): 0}
    assert len({row["judged_at"] for pair, row in judged.items() if pair[0] == "plate"}) == 1
    titles = {row["product_id"]: row["title"] for row in loaded.tables["products"].to_pylist()}
    assert titles == {"B1": "Mug in red", "B2": "Mug in blue"}


def test_impressions_worked_on_paper(tmp_path: Path) -> None:
    head = "behavior_policy,campaign,timestamp,item_id,position,click,propensity_score\n"
    rows = (
        "bts,men,2019-11-24 00:00:02+00:00,3,1,0,0.5\nbts,men,2019-11-24 01:00:01+01:00,4,2,1,0.000001\n"
        "random,men,2019-11-24 00:00:03+00:00,3,3,0,0\n"
    )
    (tmp_path / "impressions_men.csv").write_text(head + rows)
    (tmp_path / "impressions_women.csv").write_text(head)
    loaded = load("open_bandit", tmp_path)
    assert (loaded.read, loaded.dropped) == (3, {"impossible propensity": 1})
    searches = loaded.tables["searches"].to_pylist()
    assert [(row["search_id"], row["position"], row["engaged"]) for row in searches] == [
        ("men-bts-1", 2, True),
        ("men-bts-2", 1, False),
    ]
    assert searches[0]["searched_at"] == datetime(2019, 11, 24, 0, 0, 1)
    assert loaded.tables["products"]["product_id"].to_pylist() == ["men-3", "men-4"]
    assert source("open_bandit").logged(tmp_path)["propensity"].to_pylist() == [1e-6, 0.5]


@pytest.mark.parametrize("name", SOURCES)
def test_missing_files_are_named_with_their_origin(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=source(name).ORIGIN.replace("+", r"\+")):
        load(name, tmp_path)


def test_a_file_of_something_else_is_told_by_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"InvoiceNo": ["1"]}), tmp_path / "transactions.parquet")
    with pytest.raises(UsageError, match="no column StockCode, Description"):
        load("online_retail_uci", tmp_path)


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean dominicks_oj"):
        load("dominics_oj", Path())


def test_moving_feasts() -> None:
    assert [easter(year) for year in (1990, 2010, 2011, 2012, 2038)] == [
        date(1990, 4, 15),
        date(2010, 4, 4),
        date(2011, 4, 24),
        date(2012, 4, 8),
        date(2038, 4, 25),
    ]
    assert nth_weekday(2011, 11, 3, 4) == date(2011, 11, 24)
    assert nth_weekday(1991, 5, 0, -1) == date(1991, 5, 27)
    assert nth_weekday(2011, 12, 0, -1) == date(2011, 12, 26)
    assert [advent(year) for year in (2010, 2011, 2012)] == [
        date(2010, 11, 28),
        date(2011, 11, 27),
        date(2012, 12, 2),
    ]
    assert {o.name: o.start for o in united_kingdom(2011)}["Mother's Day"] == date(2011, 4, 3)

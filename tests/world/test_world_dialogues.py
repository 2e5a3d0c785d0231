"""Dialogues: what is said to be true of them is what their rows show, and no single word gives it away."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from itertools import islice

import duckdb
import numpy as np
import pyarrow.compute as pc
import pytest

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.toolkit.consensus import dawid_skene
from ml.world import SIZES, World, readers
from ml.world.dialogues import dirt
from ml.world.dialogues.plot import COMPONENTS
from ml.world.dialogues.raters import LABELS

CLEAN = "(from turns anti join (select distinct dialogue_id from true_dirty_turns) using (dialogue_id))"


@pytest.mark.parametrize("name", ["turns", "feedback", "annotations"])
def test_a_table_has_the_columns_of_its_contract(world: World, name: str) -> None:
    table = world.tables[name]
    assert table.schema.equals(arrow_schema(TABLES[name]), check_metadata=True)
    table.validate(full=True)
    for field in table.schema:
        assert field.nullable or table[field.name].null_count == 0, field.name


def test_there_are_about_as_many_turns_as_the_size_says(world: World) -> None:
    assert world.tables["turns"].num_rows == pytest.approx(SIZES["small"].turns, rel=0.1)
    made = sum(batch.num_rows for batch in readers("medium", days=82)["turns"])
    assert made == pytest.approx(SIZES["medium"].turns / 10, rel=0.1)


def test_memory_is_bounded_by_the_batch() -> None:
    sizes = [batch.num_rows for batch in islice(readers("1m", days=40)["turns"], 2)]
    assert min(sizes) >= 20_000 and max(sizes) < 24_000


def test_a_world_goes_on_without_changing_what_was_said(world: World, later_world: World) -> None:
    end = datetime.combine(world.end, datetime.min.time())
    for name, time in (("turns", "said_at"), ("feedback", "given_at"), ("annotations", "annotated_at")):
        known = later_world.tables[name].filter(pc.field(time) < end)
        order = [(column, "ascending") for column in known.column_names[:4]]
        assert known.sort_by(order).equals(world.tables[name].sort_by(order)), name


def test_goals_follow_each_other_from_the_first_turn_to_the_last(sql: duckdb.DuckDBPyConnection) -> None:
    broken = sql.execute(
        f"""with ends as (select dialogue_id, max(turn_idx) as last, count(*) as n from {CLEAN} group by all),
            goals as (select *, lag(last_turn) over w as before, lead(first_turn) over w as after
                      from true_goals window w as (partition by dialogue_id order by goal_idx))
            select count(*) from goals join ends using (dialogue_id)
            where first_turn <> coalesce(before + 1, 0) or (after is null and last_turn <> last) or n <> last + 1"""
    ).fetchall()
    goals, dialogues, alone = sql.execute(
        """select count(*), count(distinct dialogue_id),
                  (select count(*) from turns semi join
                   (select dialogue_id, first_turn as turn_idx from true_goals) using (dialogue_id, turn_idx)
                   where speaker = 'assistant') from true_goals"""
    ).fetchall()[0]
    assert (broken, alone) == ([(0,)], 0)
    assert 2 < goals / dialogues < 2.6


def test_components_fail_as_often_as_is_true(sql: duckdb.DuckDBPyConnection) -> None:
    for place, name in enumerate(COMPONENTS):
        met = " and ".join(["true", *(f"failed <> '{earlier}'" for earlier in COMPONENTS[:place])])
        rows = sql.execute(
            f"""select sum(p), sum(bad), sum(p * (1 - p)) from (
                       select p_{name} as p, (failed = '{name}')::int as bad, ntile(4) over (order by p_{name}) as part
                       from true_turn_truth where p_{name} is not null and {met}) group by part"""
        ).fetchall()
        for expected, found, variance in rows:
            assert abs(found - expected) < 4 * variance**0.5, (name, expected, found)


@pytest.mark.parametrize(
    ("column", "component"), [("asr_confidence", "recognition"), ("nlu_confidence", "understanding")]
)
def test_what_can_be_observed_tells_what_may_fail(
    sql: duckdb.DuckDBPyConnection, column: str, component: str
) -> None:
    low, high = sql.execute(
        f"""select avg((failed = '{component}')::int) filter (part = 1),
                   avg((failed = '{component}')::int) filter (part = 4)
            from (select *, ntile(4) over (order by {column}) as part from true_turn_truth join turns
                  using (dialogue_id, turn_idx) where p_result is not null)"""
    ).fetchall()[0]
    assert low > 3 * high and low > 0.08


def test_a_goal_fails_where_its_last_attempt_does(sql: duckdb.DuckDBPyConnection) -> None:
    different = sql.execute(
        """select count(*) from true_goals g join
             (select g.dialogue_id, goal_idx, arg_max(t.failed, t.turn_idx) as failed
              from true_goals g join true_turn_truth t
              on t.dialogue_id = g.dialogue_id and t.turn_idx between first_turn and last_turn and p_result is not null
              group by all) last using (dialogue_id, goal_idx)
           where g.failing_component <> last.failed or g.success <> (last.failed = 'none')"""
    ).fetchall()
    share, kinds = sql.execute(
        "select avg((not success)::int), count(distinct failing_component) from true_goals"
    ).fetchall()[0]
    assert different == [(0,)]
    assert 0.08 < share < 0.25
    assert kinds == 5


def test_people_err_as_their_confusion_says(sql: duckdb.DuckDBPyConnection) -> None:
    """Satisfaction, success and intent against the truth: shares of the chosen labels, within four standard errors."""
    rows = sql.execute(
        """with truth as (
             select dialogue_id, turn_idx, 'satisfaction' as kind, satisfaction::varchar as true from true_turn_truth
             union all select dialogue_id, turn_idx, 'intent', intent from true_turn_truth where intent is not null
             union all select dialogue_id, last_turn, 'goal_success', if(success, 'yes', 'no') from true_goals),
           said as (select annotator_id, kind, truth.true, label as chosen, count(*) as n
                    from annotations join truth using (dialogue_id, turn_idx, kind) where annotator_id <> 'R99'
                    group by all)
           select kind, probability, coalesce(n, 0), sum(n) over (partition by c.annotator_id, c.kind, c.true)
           from true_rater_confusion c left join said using (annotator_id, kind, "true", chosen)"""
    ).fetchall()
    checked = [(p, n, of) for _, p, n, of in rows if of and of >= 30]
    assert len(checked) > 200
    off = [abs(n - p * of) > 4 * (of * p * (1 - p)) ** 0.5 + 1e-9 for p, n, of in checked]
    assert np.mean(off) < 0.01


def test_people_differ_and_two_of_them_hardly_look(world: World) -> None:
    raters = world.truth["raters"].to_pylist()
    success = {row["annotator_id"]: row["accuracy"] for row in raters if row["kind"] == "goal_success"}
    assert sorted(success, key=success.__getitem__)[0] == "R09"
    assert 0.75 < np.mean([value for name, value in success.items() if name not in ("R09", "R10")]) < 0.95
    taken = Counter(world.tables["annotations"]["annotator_id"].to_pylist())
    assert max(taken.values()) > 2 * min(taken[name] for name in success)


def test_their_errors_can_be_found_without_the_truth(world: World) -> None:
    """Dawid and Skene on satisfaction as good or bad: who is reliable is told in nearly the true order."""
    rows = world.tables["annotations"].filter(pc.field("kind") == "goal_boundary")
    keep = pc.less(rows["turn_idx"], 1_000)
    rows = rows.filter(keep)
    place = pc.binary_join_element_wise(rows["dialogue_id"], rows["turn_idx"].cast("string"), "/")
    items = np.unique(place.to_numpy(zero_copy_only=False), return_inverse=True)[1]
    names, people = np.unique(rows["annotator_id"].to_numpy(zero_copy_only=False), return_inverse=True)
    labels = pc.equal(rows["label"], "yes").cast("int64").to_numpy()
    found = dict(zip(names, dawid_skene(items, people, labels, 2).accuracy, strict=True))
    true = {row["annotator_id"]: row["accuracy"] for row in world.truth["raters"].to_pylist()
            if row["kind"] == "goal_boundary"}  # fmt: skip
    careful = sorted(true)[:-2]
    assert [found[name] for name in careful] == pytest.approx([true[name] for name in careful], abs=0.06)
    assert found["R09"] < min(found[name] for name in careful)


def test_feedback_is_sparse_and_not_always_what_is_true(sql: duckdb.DuckDBPyConnection) -> None:
    kinds = dict(sql.execute("select kind, count(*) from feedback group by all").fetchall())
    goals = sql.execute("select count(*) from true_goals").fetchall()[0][0]
    assert set(kinds) == {"explicit", "barge_in", "rephrase", "abandon", "applause"}
    assert kinds["explicit"] < 0.2 * goals
    good, bad = sql.execute(
        """select avg(value) filter (success), avg(value) filter (not success)
           from feedback f join true_goals g
             on f.dialogue_id = g.dialogue_id and turn_idx between first_turn and last_turn
           where kind = 'explicit'"""
    ).fetchall()[0]
    assert good > 0.85 and 0.05 < bad < 0.45


def kappa(said: np.ndarray, true: np.ndarray) -> float:
    observed = np.mean(said == true)
    chance = said.mean() * true.mean() + (1 - said.mean()) * (1 - true.mean())
    return float((observed - chance) / (1 - chance))


@pytest.fixture(scope="module")
def told(sql: duckdb.DuckDBPyConnection) -> tuple[list[set[str]], dict[str, np.ndarray]]:
    """Of every clean turn of a user: the words of it and of the turns beside it, marked by place; and its labels."""
    rows = sql.execute(
        f"""with said as (select *, lag(text) over w as before, lead(text) over w as answer,
                                 lead(text, 2) over w as next
                          from {CLEAN} window w as (partition by dialogue_id order by turn_idx))
            select before, text, answer, next, defect, g.first_turn is not null, satisfaction
            from said join true_turn_truth using (dialogue_id, turn_idx)
            left join true_goals g on g.dialogue_id = said.dialogue_id and g.first_turn = said.turn_idx
            where said.turn_idx > 0 order by said.dialogue_id, turn_idx"""
    ).fetchall()
    words = [
        {
            f"{place}:{word}"
            for place, text in enumerate(row[:4])
            for word in re.findall(r"\w+", (text or "").lower())
        }
        for row in rows
    ]
    return words, {
        "defect": np.array([row[4] for row in rows]),
        "goal_boundary": np.array([row[5] for row in rows]),
    }


@pytest.mark.parametrize("label", ["defect", "goal_boundary"])
def test_no_single_word_gives_a_label_away(
    told: tuple[list[set[str]], dict[str, np.ndarray]], label: str
) -> None:
    """The best of all rules "this word, here or beside it": far from what a person sees (kappa .8 and more)."""
    words, labels = told
    places: dict[str, list[int]] = {}
    for row, found in enumerate(words):
        for word in found:
            places.setdefault(word, []).append(row)
    true, best = labels[label], 0.0
    for rows in places.values():
        if len(rows) >= 20:
            said = np.zeros(len(true), bool)
            said[rows] = True
            best = max(best, abs(kappa(said, true)))
            assert len(rows) < 60 or true[said].mean() < 0.95, (label, rows)
    assert 0.05 < best < 0.35


def test_dirty_dialogues_are_there_and_counted(sql: duckdb.DuckDBPyConnection, world: World) -> None:
    told = world.truth["dirty_turns"]
    assert set(told["kind"].to_pylist()) == set(dirt.KINDS)
    assert told.num_rows < 0.03 * world.tables["turns"].num_rows
    found = {
        "empty_text": "trim(text) = ''",
        "endless_text": f"length(text) = {dirt.LONGEST}",
        "unknown_speaker": "speaker not in ('user', 'assistant')",
        "impossible_confidence": "nlu_confidence > 1",
        "swapped_speakers": "speaker = 'assistant' and asr_confidence is not null",
    }
    for kind, condition in found.items():
        shown = sql.execute(f"select count(distinct dialogue_id) from turns where {condition}").fetchall()
        wanted = f"select count(distinct dialogue_id) from true_dirty_turns where kind = '{kind}'"
        assert shown == sql.execute(wanted).fetchall(), kind


def test_without_its_dirt_what_is_said_is_clean(sql: duckdb.DuckDBPyConnection) -> None:
    holes, backwards, doubled = sql.execute(
        f"""select count(*) filter (turn_idx <> place), count(*) filter (said_at <= before), count(*) - count(distinct
              (dialogue_id, turn_idx))
            from (select *, row_number() over w - 1 as place, lag(said_at) over w as before from {CLEAN}
                  window w as (partition by dialogue_id order by turn_idx))"""
    ).fetchall()[0]
    assert (holes, backwards, doubled) == (0, 0, 0)


def test_dirty_labels_and_feedback_are_counted(sql: duckdb.DuckDBPyConnection) -> None:
    for table, wrong in (("annotations", dirt.ANNOTATION_KINDS), ("feedback", dirt.FEEDBACK_KINDS)):
        told = dict(sql.execute(f"select wrong, count(*) from true_dirty_{table} group by all").fetchall())
        assert set(told) <= set(wrong)
        stray = sql.execute(
            f"select count(*) from {table} anti join turns using (dialogue_id, turn_idx)"
        ).fetchall()
        assert stray == [(told.get("unknown_turn", 0) + told.get("unknown_dialogue", 0),)]


def test_the_labels_are_those_of_the_contract(world: World) -> None:
    rows = world.tables["annotations"]
    for kind, labels in LABELS.items():
        said = set(rows.filter(pc.field("kind") == kind)["label"].unique().to_pylist())
        assert said - {"perhaps"} <= set(labels)

"""The matrix: one row per turn of a customer, with the answer to it, signals about both, and what annotators said.

A turn and its answer are called an exchange. An annotation or feedback of any turn of the exchange is the exchange's.
Labels are made after the fact, so that signals may look at the dialogue's later turns, but never beyond `as_of`.
"""

from __future__ import annotations

from datetime import date

import ibis
from ibis.expr.types import ArrayValue, StringValue, Table

from ml.families.ground_truth.columns import KINDS, SIGNALS, labelled, votes
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.record import Tables

LETTERS = 120
WORDS = 400


def features(tables: Tables, as_of: date, params: GroundTruthParams) -> ibis.Table:
    """One row per dialogue_id and turn_idx of a customer's turn said before `as_of`."""
    before = ibis.timestamp(str(as_of))
    turns = tables["turns"]
    numbered = _numbered(turns.filter(turns.said_at < before))
    places = numbered.select("dialogue_id", "turn_idx", "exchange")
    rows = _with_opening(_exchanges(numbered), numbered)
    rows = _with_feedback(rows, tables["feedback"].filter(tables["feedback"].given_at < before), places)
    given = tables["annotations"].filter(tables["annotations"].annotated_at < before)
    for kind in KINDS:
        rows = _with_votes(rows, given.filter(given.kind == kind), places, kind)
    return _with_signals(rows).drop("exchange")


def _numbered(turns: Table) -> Table:
    """Every turn with the number of the exchange that it belongs to; 0: before the customer said anything."""
    so_far = ibis.window(group_by="dialogue_id", order_by="turn_idx", preceding=None, following=0)
    customer = ibis.ifelse(turns.speaker == "user", 1, 0)
    return turns.mutate(exchange=customer.sum().over(so_far).cast("int64"))


def _exchanges(numbered: Table) -> Table:
    """The customer's turn and all answers until the next, as one row."""
    whole = ibis.window(group_by="dialogue_id")
    dated = numbered.mutate(
        begun=numbered.said_at.min().over(whole).date(), ended=numbered.said_at.max().over(whole)
    )
    said, answered = dated.speaker == "user", dated.speaker != "user"
    rows = dated.filter(dated.exchange > 0).group_by("dialogue_id", "exchange")
    return rows.aggregate(
        turn_idx=dated.turn_idx.min(), last_idx=dated.turn_idx.max(), begun=dated.begun.min(), ended=dated.ended.max(),
        said_at=dated.said_at.min(where=said), text=dated.text.max(where=said).fill_null(""),
        answer=dated.text.group_concat(" ", where=answered, order_by=dated.turn_idx).fill_null(""),
        action=dated.action.group_concat(" ", where=answered, order_by=dated.turn_idx).fill_null(""),
        domain=dated.domain.max().fill_null(""),
        asr_confidence=dated.asr_confidence.min(where=said), nlu_confidence=dated.nlu_confidence.min(where=said),
        barge_in=dated.barge_in.cast("float64").max(where=said),
    )  # fmt: skip


def _with_opening(rows: Table, numbered: Table) -> Table:
    """What the assistant said before the customer's first turn, on the first exchange; empty elsewhere."""
    first = numbered.filter(numbered.exchange == 0).group_by("dialogue_id")
    opening = first.aggregate(opening=numbered.text.group_concat(" ", order_by=numbered.turn_idx))
    joined = rows.left_join(opening, "dialogue_id").drop("dialogue_id_right")
    return joined.mutate(opening=ibis.ifelse(joined.exchange == 1, joined.opening, "").fill_null(""))


def _with_feedback(rows: Table, feedback: Table, places: Table) -> Table:
    """The sum of the values of each kind of feedback; null where there was none."""
    known = feedback.inner_join(places, ["dialogue_id", "turn_idx"])
    kinds = {f"feedback_{kind}": known.value.sum(where=known.kind == kind)
             for kind in ("explicit", "barge_in", "rephrase", "abandon")}  # fmt: skip
    summed = known.filter(known.exchange > 0).group_by("dialogue_id", "exchange").aggregate(**kinds)
    return _joined(rows, summed)


def _with_votes(rows: Table, given: Table, places: Table, kind: str) -> Table:
    """What annotators said, in the order of their names, and when the last of them did."""
    known = given.inner_join(places, ["dialogue_id", "turn_idx"])
    line = known.annotator_id.concat("\t", known.label)
    made = known.filter(known.exchange > 0).group_by("dialogue_id", "exchange")
    gathered = made.aggregate(
        **{
            votes(kind): line.group_concat("\n", order_by=[known.annotator_id, known.label]),
            labelled(kind): known.annotated_at.max(),
        }
    )
    return _joined(rows, gathered)


def _joined(rows: Table, more: Table) -> Table:
    joined = rows.left_join(more, ["dialogue_id", "exchange"])
    return joined.drop("dialogue_id_right", "exchange_right")


def _with_signals(rows: Table) -> Table:
    """Signals that compare an exchange with its neighbours; all are float64, null where there is no neighbour."""
    in_order = ibis.window(group_by="dialogue_id", order_by="exchange")
    whole = ibis.window(group_by="dialogue_id")
    near = rows.mutate(
        own=_words(rows.text), replied=_words(rows.answer), short=rows.text.lower().substr(0, LETTERS)
    )
    near = near.mutate(
        **{f"{name}_before": near[name].lag(1).over(in_order)
           for name in ("own", "replied", "short", "said_at")},
        own_after=near.own.lead(1).over(in_order), said_at_after=near.said_at.lead(1).over(in_order),
        exchanges=near.count().over(whole),
    )  # fmt: skip
    length = ibis.greatest(near.short.length(), near.short_before.length(), 1)
    made = near.mutate(
        place=near.exchange - 1, left=near.exchanges - near.exchange,
        pause=_seconds(near.said_at_before, near.said_at), wait=_seconds(near.said_at, near.said_at_after),
        words=near.own.length(), answer_words=near.replied.length(),
        same_words=_shared(near.own, near.own_before),
        same_letters=1 - near.short.levenshtein(near.short_before).cast("float64") / length,
        said_again=_shared(near.own, near.own_after), answered_again=_shared(near.replied, near.replied_before),
        echo=_shared(near.own, near.replied), followed=_shared(near.own, near.replied_before),
    )  # fmt: skip
    kept = [name for name in rows.columns if name not in SIGNALS]
    signals = {name: made[name].cast("float64") for name in SIGNALS}
    return made.select(*kept, exchanges=made.exchanges.cast("int64"), **signals)


def _words(text: StringValue) -> ArrayValue:
    """The different words of a text in lower case; of a very long one those at its beginning."""
    split = text.lower().substr(0, 8 * WORDS).re_split(r"[^\p{L}\p{N}]+")
    return split.filter(lambda word: word != "").unique()


def _shared(some: ArrayValue, others: ArrayValue) -> ibis.Value:
    """Jaccard similarity of two sets of words; null where one is missing."""
    common = some.intersect(others).length().cast("float64")
    union = some.length() + others.length() - common
    return ibis.cases((union > 0, common / union), (union == 0, 0.0))


def _seconds(first: ibis.Value, second: ibis.Value) -> ibis.Value:
    return (second.epoch_seconds() - first.epoch_seconds()).cast("float64")

"""What was asked over time, and whether people later said what the published labels say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.families.ground_truth.backtest import annotated
from ml.families.ground_truth.columns import KEY, KINDS, SIGNALS, labelled, votes
from ml.families.ground_truth.judge import NAME
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.votes import agreed, votes_of
from ml.families.record import Realised
from ml.toolkit.spans import some


def asked(matrix: ibis.Table) -> ibis.Table:
    """Every exchange of every dialogue with its signals, on the day on which the dialogue began."""
    return matrix.select(*KEY, "domain", *SIGNALS, asked_at=matrix.begun)


def asked_between(matrix: ibis.Table, start: date, end: date, most: int) -> tuple[ibis.Table, date]:
    """About `most` of the dialogues that began in those days and that nobody annotated."""
    inside = matrix.filter((matrix.begun >= ibis.date(start)) & (matrix.begun < ibis.date(end)))
    return some(inside.filter(~annotated(inside)), ("dialogue_id",), most), end


def losses(
    published: Mapping[str, pa.Table], matrix: ibis.Table, as_of: date, now: date, params: GroundTruthParams
) -> pa.Table | None:
    """Whether the model's labels are wrong (1) by what people said since; their confidence promised 1 - confidence."""
    labels = published["labels"]
    labels = labels.filter(pc.equal(labels.column("source"), "model"))
    parts = [_of_kind(labels, matrix, as_of, kind) for kind in KINDS]
    return pa.concat_tables(parts)


def _of_kind(labels: pa.Table, matrix: ibis.Table, as_of: date, kind: str) -> pa.Table:
    since = matrix.filter(matrix[labelled(kind)] >= ibis.timestamp(str(as_of)))
    place = since.last_idx if kind == "goal_success" else since.turn_idx
    said = since.select("dialogue_id", votes(kind), turn_idx=place).to_pyarrow()
    dialogue = np.unique(said.column("dialogue_id").to_pylist(), return_inverse=True)[1]
    heard = agreed(votes_of(said, kind), dialogue, kind)
    human = np.where(heard.labels == "dissatisfied", "yes", "no") if kind == "satisfaction" else heard.labels
    people = said.select(list(KEY)).append_column("human", pa.array(human.tolist(), pa.string()))
    people = people.filter(pa.array(heard.known))
    ours = labels.filter(pc.equal(labels.column("kind"), NAME[kind]))
    both = ours.join(people, list(KEY), join_type="inner").sort_by([(name, "ascending") for name in KEY])
    wrong = pc.not_equal(both.column("label"), both.column("human")).cast(pa.float64())
    case = [
        f"{one}/{turn}/{kind}" for one, turn in zip(*(both.column(n).to_pylist() for n in KEY), strict=True)
    ]
    return pa.table(
        {
            "case": pa.array(case, pa.string()), "entity": both.column("dialogue_id"), "loss": wrong,
            "weight": pa.array(np.ones(len(both))), "expected": pc.subtract(1.0, both.column("confidence")),
        }
    )  # fmt: skip


REALISED = Realised(days=1, losses=losses)

"""How predictions are judged: the log loss of doubling for each case, and the metrics that are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.viral.design import Floats, moments, numbers
from ml.toolkit.calibration import expected_calibration_error

RANKED = 40
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """Truth and predictions of n observations side by side; times in hours, NaN where there is none."""

    rows: pa.Table
    posts: Floats
    size: Floats
    doubles: Floats
    log2_size: Floats
    lead_hours: Floats
    ahead: Floats
    early: Flags

    @property
    def doubled(self) -> Floats:
        """1 where the final size is at least twice the posts seen."""
        return (self.size >= 2 * self.posts).astype(np.float64)

    def of(self, some: Flags) -> Judged:
        """Some of the observations."""
        return Judged(
            self.rows.filter(pa.array(some)), self.posts[some], self.size[some], self.doubles[some],
            self.log2_size[some], self.lead_hours[some], self.ahead[some], self.early[some],
        )  # fmt: skip


def side_by_side(predictions: pa.Table, truth: pa.Table) -> Judged:
    """Join by cascade and point."""
    keys = ["cascade_id", "point"]
    rows = truth.join(predictions, keys, join_type="inner").sort_by([(name, "ascending") for name in keys])
    ahead = (moments(rows, "peak_at") - moments(rows, "observed_at")) / 3.6e9
    early = np.asarray(rows.column("early").to_pylist(), dtype=bool)
    posts, size, doubles = (numbers(rows, name) for name in ("posts", "size", "doubles"))
    return Judged(
        rows, posts, size, doubles, numbers(rows, "log2_size"), numbers(rows, "lead_hours"), ahead, early
    )


def losses(predictions: pa.Table, truth: pa.Table) -> pa.Table:
    """One case per observation: the log loss of doubling, weight 1; its product is the entity.

    Slices: platform, what it was seen by (posts or hours), posts seen, and whether it started in the earlier half.
    """
    both = side_by_side(predictions, truth)
    chance = np.clip(both.doubles, 1e-6, 1 - 1e-6)
    loss = -np.where(both.doubled > 0, np.log(chance), np.log(1 - chance))
    ids = [
        f"{one}/{point}"
        for one, point in zip(*(_texts(both, n) for n in ("cascade_id", "point")), strict=True)
    ]
    columns = {
        "case": ids, "entity": _texts(both, "product_id"), "loss": loss, "weight": np.ones(len(loss)),
        "slice_platform": _texts(both, "platform"), "slice_seen_by": _texts(both, "kind"),
        "slice_posts": ["under 10" if n < 10 else "10 to 19" if n < 20 else "20 or more" for n in both.posts],
        "slice_started": ["earlier" if flag else "later" for flag in both.early],
    }  # fmt: skip
    return pa.table({name: pa.array(values, _type(name)) for name, values in columns.items()})


def _type(name: str) -> pa.DataType:
    return pa.float64() if name in ("loss", "weight") else pa.string()


def _texts(both: Judged, name: str) -> list[str]:
    return [str(value) for value in both.rows.column(name).to_pylist()]


def metrics(predictions: pa.Table, truth: pa.Table) -> Mapping[str, float]:
    """Metrics of one window, NaN where one cannot be computed.

    `_first`: one observation per cascade, as it reached the fewest posts looked at; `_window`: one per cascade, after
    the first number of hours with so many; `_early`: cascades that started in the earlier half, which had most time.
    auc, pr_auc, log_loss, calibration_error: of doubling. msle: mean squared error of log2 of the final size.
    precision_at_40: of the 40 first observations with the largest predicted size, how many are among the 40 that became
    largest. lead_*: of these 40, the share seen before the peak, and the median hours between (null peaks left out).
    """
    both = side_by_side(predictions, truth)
    first, window = both.of(first_posts(both)), both.of(first_window(both))
    made = {
        "log_loss": _log_loss(both),
        "calibration_error": expected_calibration_error(both.doubles, both.doubled),
        "msle": _msle(both),
    }
    for name, part in (("first", first), ("window", window)):
        made |= {f"auc_{name}": auc(part), f"auc_{name}_early": auc(part.of(part.early)),
                 f"pr_auc_{name}": pr_auc(part), f"msle_{name}": _msle(part),
                 f"msle_{name}_early": _msle(part.of(part.early))}  # fmt: skip
    return {
        **made,
        **_collection(first),
        "cases_first": float(len(first.size)),
        "cases_window": float(len(window.size)),
    }


def first_posts(both: Judged) -> Flags:
    """The observation of each cascade with the fewest posts, of those taken as a post came."""
    return _first(both, "post", both.posts)


def first_window(both: Judged) -> Flags:
    """The earliest observation of each cascade, of those taken so many hours after its start."""
    return _first(both, "hour", moments(both.rows, "observed_at"))


def _first(both: Judged, kind: str, order: Floats) -> Flags:
    chosen = np.zeros(len(order), dtype=bool)
    rows = np.flatnonzero(np.asarray(_texts(both, "kind"), dtype=object) == kind)
    names = np.asarray(_texts(both, "cascade_id"), dtype=object)[rows].astype(str)
    sorted_rows = rows[np.lexsort((order[rows], names))]
    _, where = np.unique(np.asarray(_texts(both, "cascade_id"))[sorted_rows], return_index=True)
    chosen[sorted_rows[where]] = True
    return chosen


def auc(part: Judged) -> float:
    """Area under the ROC curve of doubling."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(part.doubled, part.doubles)) if _mixed(part) else float("nan")


def pr_auc(part: Judged) -> float:
    """Average precision of doubling."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(part.doubled, part.doubles)) if _mixed(part) else float("nan")


def _mixed(part: Judged) -> bool:
    return bool(0 < part.doubled.sum() < len(part.doubled))


def _log_loss(part: Judged) -> float:
    chance = np.clip(part.doubles, 1e-6, 1 - 1e-6)
    return _average(-np.where(part.doubled > 0, np.log(chance), np.log(1 - chance)))


def _msle(part: Judged) -> float:
    return _average((np.log2(part.size) - part.log2_size) ** 2)


def _average(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _collection(first: Judged) -> dict[str, float]:
    chosen = np.argsort(-first.log2_size, kind="stable")[:RANKED]
    largest = np.argsort(-first.size, kind="stable")[:RANKED]
    ahead = first.ahead[chosen]
    ahead = ahead[np.isfinite(ahead)]
    hits = len(np.intersect1d(chosen, largest)) / RANKED
    return {
        f"precision_at_{RANKED}": hits if len(chosen) == RANKED else float("nan"),
        "lead_share": _average((ahead > 0).astype(np.float64)),
        "lead_hours": float(np.median(ahead)) if len(ahead) else float("nan"),
        "lead_log_error": _lead_error(first),
    }  # fmt: skip


def _lead_error(first: Judged) -> float:
    """Mean absolute error of log(1 + hours until the peak), where there was one."""
    some = np.isfinite(first.ahead)
    true, made = np.log1p(np.maximum(first.ahead[some], 0)), np.log1p(first.lead_hours[some])
    return _average(np.abs(true - made))

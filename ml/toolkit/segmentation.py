"""How well a sequence was cut: boundary F1, Pk, WindowDiff. Cuts are flags: true where a segment begins.

The first place of a sequence begins a segment by definition and is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


def boundary_f1(true: Sequence[Flags], made: Sequence[Flags]) -> float:
    """F1 of the beginnings after the first, exact places, over all sequences; nan where there is none."""
    hits = sum(int((t[1:] & m[1:]).sum()) for t, m in zip(true, made, strict=True))
    both = sum(int(t[1:].sum() + m[1:].sum()) for t, m in zip(true, made, strict=True))
    return 2 * hits / both if both else float("nan")


def pk(true: Sequence[Flags], made: Sequence[Flags]) -> float:
    """Pk (Beeferman, Berger & Lafferty 1999): how often two places k apart are wrongly held to be of one segment.

    k is half the mean length of a true segment over all sequences; those of at most k places are left out.
    """
    return _windows(true, made, lambda cuts: cuts > 0)


def window_diff(true: Sequence[Flags], made: Sequence[Flags]) -> float:
    """WindowDiff (Pevzner & Hearst 2002): how often the number of boundaries between two places k apart is wrong."""
    return _windows(true, made, lambda cuts: cuts)


def window_size(true: Sequence[Flags]) -> int:
    """Half the mean length of a true segment, at least 1."""
    places = sum(len(t) for t in true)
    segments = sum(1 + int(t[1:].sum()) for t in true if len(t))
    return max(1, round(places / segments / 2)) if segments else 1


def _windows(true: Sequence[Flags], made: Sequence[Flags], kind: object) -> float:
    size = window_size(true)
    wrong = probes = 0
    for some, others in zip(true, made, strict=True):
        if len(some) > size:
            seen = [kind(_between(cuts, size)) for cuts in (some, others)]  # type: ignore[operator]
            wrong += int((seen[0] != seen[1]).sum())
            probes += len(seen[0])
    return wrong / probes if probes else float("nan")


def _between(cuts: Flags, size: int) -> NDArray[np.int64]:
    """Boundaries between place i and place i + size, for every i."""
    so_far = np.cumsum(cuts.astype(np.int64))
    return so_far[size:] - so_far[:-size]

"""What the heads look at: the context of an exchange, and the course of a goal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.binary import Asked
from ml.families.ground_truth.columns import SIGNALS
from ml.families.ground_truth.evidence import Margins, members, signals
from ml.families.ground_truth.exchanges import NOWHERE, Exchanges, Places
from ml.families.ground_truth.reading import Read, Reader, at, spell

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Flags = NDArray[np.bool_]
COHERENCE = "coherence"
NEAR = (-2, -1, 1, 2)
_NEIGHBOURS = ("same_words", "said_again", "words", "answer_words", "echo", "barge_in", "feedback_rephrase")


def exchange_cases(reader: Reader, read: Read, coherence: Floats | None) -> Asked:
    """One case for each exchange: its words and those around it, their letters, their meaning, and all signals."""
    steps = {by: read.exchanges.step(by) for by in (*NEAR, 0)}
    named = {**_signals(read, steps), **_likeness(read, steps), **_directions(read)}
    if coherence is not None:
        named |= {f"{COHERENCE}{by:+d}" if by else COHERENCE: _at(coherence, steps[by]) for by in (0, -1, 1)}
    return Asked(
        (_context(read, steps), _letters(reader, read, steps[-1]), *_meaning(reader, read, steps)), tuple(named),
        np.column_stack([*named.values()]), read.exchanges.dialogue, tuple((by, steps[by]) for by in NEAR),
    )  # fmt: skip


def _context(read: Read, steps: dict[int, Places]) -> csr_matrix:
    """Six blocks: what was said and answered, before, here, and after."""
    from scipy.sparse import hstack

    before = at(read.answered, steps[-1]) + read.opening
    blocks = [read.said, read.answered, before, *(at(read.said, steps[by]) for by in (-1, 1))]
    return hstack([*blocks, at(read.answered, steps[1])], format="csr", dtype=np.float32)


def _letters(reader: Reader, read: Read, before: Places) -> csr_matrix:
    """What was said, the answer before, and the answer."""
    from scipy.sparse import hstack

    said, answered = spell(reader, read.exchanges)
    return hstack([said, 0.7 * at(answered, before), 0.7 * answered], format="csr", dtype=np.float32)


def _meaning(reader: Reader, read: Read, steps: dict[int, Places]) -> tuple[Singles, ...]:
    """What was said, and what was said next; nothing without an encoder."""
    return (np.hstack([read.meaning, _row_at(read.meaning, steps[1])]),) if reader.encoder else ()


def _row_at(rows: Singles, places: Places) -> Singles:
    """The rows at these places; NOWHERE is a row of zeros."""
    return np.where((places == NOWHERE)[:, None], np.float32(0), rows[np.maximum(places, 0)])


def _signals(read: Read, steps: dict[int, Places]) -> dict[str, Floats]:
    own = {name: read.exchanges.numbers(name) for name in SIGNALS}
    near = {f"{name}{by:+d}": _at(own[name], steps[by]) for name in _NEIGHBOURS for by in (-1, 1)}
    return {**own, **near}


def _likeness(read: Read, steps: dict[int, Places]) -> dict[str, Floats]:
    """Cosines of n-grams: with what was said and answered before and after; and of two exchanges before with two on."""
    said, answered = read.said, read.answered
    before, after = steps[-1], steps[1]
    past = at(said, before) + at(answered, before) + at(said, steps[-2]) + at(answered, steps[-2])
    coming = said + answered + at(said, after) + at(answered, after)
    return {
        "like_said_before": _cosine(said, at(said, before)),
        "like_answered_before": _cosine(said, at(answered, before) + read.opening),
        "like_said_after": _cosine(said, at(said, after)),
        "answer_like_before": _cosine(answered, at(answered, before)),
        "answer_like_said": _cosine(answered, said),
        "past_like_coming": _cosine(past, coming),
    }


def _cosine(some: csr_matrix, others: csr_matrix) -> Floats:
    products, *lengths = (
        np.asarray(one.multiply(two).sum(axis=1)).ravel()
        for one, two in ((some, others), (some, some), (others, others))
    )
    return np.asarray(products / np.maximum(np.sqrt(lengths[0] * lengths[1]), 1e-9), dtype=np.float64)


def _directions(read: Read) -> dict[str, Floats]:
    said, answered = read.said_vectors, read.answered_vectors
    return {
        **{f"said_{number}": said[:, number] for number in range(said.shape[1])},
        **{f"answered_{number}": answered[:, number] for number in range(answered.shape[1])},
    }


def _at(values: Floats, places: Places) -> Floats:
    return np.where(places == NOWHERE, np.nan, values[np.maximum(places, 0)])


def goals_of(exchanges: Exchanges, begins: Flags) -> Places:
    """The number of the goal of each exchange, from 0; a dialogue's first exchange always begins one."""
    return np.cumsum(begins | (exchanges.step(-1) == NOWHERE)) - 1


def goal_cases(
    read: Read, ends: Places, starts: Places, coherence: Floats | None, evidence: Margins
) -> Asked:
    """One case for each goal that reaches from exchange `starts` to exchange `ends`: how it went, and ended.

    `evidence` of failure and of success and `coherence` are of every exchange.
    """
    steps = {by: read.exchanges.step(by) for by in (-3, -2, -1, 1)}
    inside = {by: _held(steps[by][ends], starts) for by in (-3, -2, -1)}
    named = {f"end_{name}": read.exchanges.numbers(name)[ends] for name in SIGNALS}
    named |= {**_course(read, ends, starts, coherence), **signals(evidence, starts, ends)}
    vectors = read.answered_vectors[ends]
    named |= {f"answered_{number}": vectors[:, number] for number in range(vectors.shape[1])}
    return Asked(
        (_course_words(read, ends, starts, inside, steps[1][ends]),), tuple(named),
        np.column_stack([*named.values()]), read.exchanges.dialogue[ends], (),
    )  # fmt: skip


def _held(places: Places, starts: Places) -> Places:
    return np.where(places >= starts, places, NOWHERE)


def _course_words(
    read: Read, ends: Places, starts: Places, inside: dict[int, Places], after: Places
) -> csr_matrix:
    from scipy.sparse import hstack

    sums = _sums(read.answered, ends, starts)
    last = [read.answered[ends], *(at(read.answered, inside[by]) for by in (-1, -2, -3))]
    return hstack([*last, sums, read.said[ends], at(read.said, after)], format="csr", dtype=np.float32)


def _sums(rows: csr_matrix, ends: Places, starts: Places) -> csr_matrix:
    """The mean row of each goal."""
    from scipy.sparse import csr_matrix

    place, goal = members(starts, ends)
    weight = (1 / (ends - starts + 1))[goal].astype(np.float32)
    return csr_matrix((weight, (goal, place)), shape=(len(ends), rows.shape[0])) @ rows


def _course(read: Read, ends: Places, starts: Places, coherence: Floats | None) -> dict[str, Floats]:
    """Signals summed up over the goal."""
    summed = ("barge_in", "feedback_rephrase", "feedback_barge_in", "feedback_abandon", "feedback_explicit")
    highest = ("same_words", "said_again", "answered_again", "same_letters")
    lowest = ("asr_confidence", "nlu_confidence")
    made = {
        "goal_turns": (ends - starts + 1).astype(np.float64),
        "goal_place": _at(read.exchanges.numbers("place"), starts),
    }
    for names, how, label in (
        (summed, np.nansum, "sum"),
        (highest, np.nanmax, "most"),
        (lowest, np.nanmin, "least"),
    ):
        for name in names:
            made[f"goal_{label}_{name}"] = _over(read.exchanges.numbers(name), ends, starts, how)
    if coherence is not None:
        made |= {
            "goal_least_coherence": _over(coherence, ends, starts, np.nanmin),
            "end_coherence": coherence[ends],
        }
    return made


def _over(values: Floats, ends: Places, starts: Places, how: object) -> Floats:
    """A statistic of each goal's known values; nan where none is known."""
    made = np.full(len(ends), np.nan)
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        some = values[start : end + 1]
        if not np.isnan(some).all():
            made[number] = how(some)  # type: ignore[operator]
    return made

"""Dialogues small enough to fit models on in a test: one or two goals each, some of which fail; three annotators."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np

Row = dict[str, object]
REQUESTS = {
    "play": ("play some jazz", "put on the radio please", "i want to hear a song"),
    "buy": ("order more coffee", "i need to buy batteries", "add milk to my cart"),
    "weather": ("what is the weather like", "will it rain tomorrow", "how warm is it outside"),
}
GOOD = ("sure here you go", "done it is on its way", "here is what i found")
BAD = ("sorry i did not get that", "i cannot find anything like it", "that does not seem to work")
AGAIN = ("no i said {}", "that is wrong {}", "{} i told you already")
THANKS = ("great thank you", "perfect", "that is all thanks")
RIGHT = {"ana": 0.95, "ben": 0.85, "cy": 0.75}


def dialogues(end: date, days: int = 240, count: int = 90, seed: int = 7) -> dict[str, list[Row]]:
    """Rows of turns, feedback and annotations; each annotator sees most turns and errs at a rate of their own."""
    random = np.random.default_rng(seed)
    rows: dict[str, list[Row]] = {"turns": [], "feedback": [], "annotations": []}
    for number in range(count):
        begun = datetime.combine(end, datetime.min.time()) - timedelta(
            days=days - number * (days - 2) / count
        )
        _Dialogue(f"d{number:03d}", begun, rows, random).speak()
    return rows


class _Dialogue:
    """Writes one dialogue into the rows."""

    def __init__(
        self, name: str, begun: datetime, rows: dict[str, list[Row]], random: np.random.Generator
    ) -> None:
        self.name, self.begun, self.rows, self.random, self.turn = name, begun, rows, random, 0

    def speak(self) -> None:
        for intent in self.random.permutation(list(REQUESTS))[: 1 + int(self.random.random() < 0.6)]:
            self.goal(str(intent))

    def goal(self, intent: str) -> None:
        words = self.pick(REQUESTS[intent])
        broken = self.random.random() < 0.35
        self.exchange(words, self.pick(BAD if broken else GOOD), intent, first=True, bad=False)
        mended = broken and self.random.random() < 0.4
        if broken:
            answer = self.pick(GOOD if mended else BAD)
            self.exchange(self.pick(AGAIN).format(words), answer, intent, first=False, bad=True)
            self.feed("rephrase", 1.0)
        if not broken or mended:
            self.exchange(self.pick(THANKS), "you are welcome", intent, first=False, bad=False)
        self.label("goal_success", self.turn - 1, not broken or mended)

    def exchange(self, words: str, answer: str, intent: str, *, first: bool, bad: bool) -> None:
        said = self.turn
        for speaker, text in (("user", words), ("assistant", answer)):
            user = speaker == "user"
            self.rows["turns"].append(
                {
                    "dialogue_id": self.name, "turn_idx": self.turn, "said_at": self.at(), "speaker": speaker,
                    "text": text, "domain": "home" if user else None, "barge_in": bad if user else None,
                    "asr_confidence": float(self.random.uniform(0.4 if bad else 0.7, 1)) if user else None,
                }
            )  # fmt: skip
            self.turn += 1
        self.label("goal_boundary", said, first)
        self.rate(said, bad)
        self.note("intent", said, "ana", intent)

    def feed(self, kind: str, value: float) -> None:
        given = {
            "dialogue_id": self.name,
            "turn_idx": self.turn - 2,
            "kind": kind,
            "given_at": self.at(),
            "value": value,
        }
        self.rows["feedback"].append(given)

    def label(self, kind: str, turn: int, yes: bool) -> None:
        for annotator, right in RIGHT.items():
            if self.random.random() < 0.8:
                self.note(kind, turn, annotator, "yes" if yes == (self.random.random() < right) else "no")

    def rate(self, turn: int, bad: bool) -> None:
        for annotator, right in RIGHT.items():
            seen = bad if self.random.random() < right else not bad
            self.note(
                "satisfaction", turn, annotator, str(int(self.random.integers(1, 3) + (0 if seen else 2)))
            )

    def note(self, kind: str, turn: int, annotator: str, label: str) -> None:
        when = self.at() + timedelta(hours=1)
        self.rows["annotations"].append(
            {"dialogue_id": self.name, "turn_idx": turn, "kind": kind, "annotator_id": annotator,
             "annotated_at": when, "label": label}
        )  # fmt: skip

    def at(self) -> datetime:
        return self.begun + timedelta(seconds=8 * self.turn)

    def pick(self, some: tuple[str, ...]) -> str:
        return some[int(self.random.integers(len(some)))]

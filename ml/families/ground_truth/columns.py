"""Names of the matrix's columns."""

from __future__ import annotations

KEY = ("dialogue_id", "turn_idx")
KINDS = ("goal_boundary", "goal_success", "satisfaction", "intent")
SIGNALS = {
    "asr_confidence": "how sure speech recognition was",
    "nlu_confidence": "how sure language understanding was",
    "barge_in": "the customer interrupted",
    "place": "how many turns the customer had taken before",
    "left": "how many turns the customer still takes",
    "pause": "seconds since the customer's turn before",
    "wait": "seconds until the customer's next turn",
    "words": "words of the customer",
    "answer_words": "words of the answer",
    "same_words": "words shared with the customer's turn before",
    "same_letters": "letters shared with the customer's turn before",
    "said_again": "words shared with the customer's next turn",
    "answered_again": "words shared by this answer and the one before",
    "echo": "words of the customer found in the answer",
    "followed": "words of the answer before that the customer takes up",
    "feedback_explicit": "what the customer answered when asked",
    "feedback_barge_in": "feedback: interrupted",
    "feedback_rephrase": "feedback: rephrased",
    "feedback_abandon": "feedback: gave up",
}


def votes(kind: str) -> str:
    """Column of what each annotator said of a kind: lines of annotator, tab, label."""
    return f"{kind}_votes"


def labelled(kind: str) -> str:
    """Column of when the last of these annotations was made."""
    return f"{kind}_labelled_at"

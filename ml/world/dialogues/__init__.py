"""Dialogues with a voice shopping assistant: what was said, what went wrong, and what people say about it.

`wording` (phrases), `wants` (intents and products), `plot` (who does what, without a word), `speech` (the words),
`raters` (people who annotate), `dirt`, `days` (day by day), `part` (tables and truth).
"""

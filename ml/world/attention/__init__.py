"""Attention: who posts, what they show, how it spreads, what demand follows, and what products look like.

`appeal` (hidden, of products), `people` (creators), `bursts` (planned before the first order, since they lift demand),
`cascades` (self-exciting, a day of roots at a time), `captions`, `pictures`, `rows` (Arrow), `dirt`, `part` (all of
these as tables and truths).
"""

"""How well the words of products match the words of queries.

BM25 with Lucene's inverse document frequency, ln(1 + (N - n + 0.5) / (n + 0.5)), K1 = 1.2, B = 0.75 (Robertson and
Zaragoza 2009); N, n and the mean length are those of the products known at the beginning of the period.
"""

from __future__ import annotations

import ibis

from ml.families.relevance_fusion.clock import Clock
from ml.families.relevance_fusion.words import grams, terms
from ml.toolkit.windows import exact_sum

K1, B = 1.2, 0.75


def matching(pairs: ibis.Table, items: ibis.Table, clock: Clock) -> ibis.Table:
    """For each query, product_id, step of `pairs`: the columns of MATCH and QUERY (voice apart)."""
    queries = pairs.select("query", "step").distinct()
    asked = terms(queries.select("query").distinct(), "query", "query")
    weighed = _weighed(asked, queries, items, clock)
    about = _about_queries(queries, weighed)
    scored = _bm25(pairs, weighed, items, clock)
    shares = _shares(pairs.select("query", "product_id").distinct(), asked, items)
    joined = pairs.left_join(scored, ["query", "product_id", "step"]).drop(
        "query_right", "product_id_right", "step_right"
    )
    joined = joined.join(shares, ["query", "product_id"]).join(about, ["query", "step"])
    filled = joined.mutate(bm25=joined.bm25.fill_null(0.0))
    best = filled.bm25.max().over(ibis.window(group_by=["query", "step"]))
    return filled.mutate(bm25_share=ibis.ifelse(best > 0, filled.bm25 / best, 0.0))


def _weighed(asked: ibis.Table, queries: ibis.Table, items: ibis.Table, clock: Clock) -> ibis.Table:
    """query, step, term, idf: the weight of each of the query's words at each step."""
    found = terms(items, "words", "product_id", "since")
    used = found.semi_join(asked, "term").group_by("term", "since").aggregate(some=lambda t: t.count())
    steps = clock.steps()
    known = used.join(steps, used.since <= steps.step)
    documents = known.group_by("term", "step").aggregate(documents=known.some.sum())
    each = asked.drop("times").join(queries, "query").join(catalogue_size(items, clock), "step")
    both = each.left_join(documents, ["term", "step"]).drop("term_right", "step_right")
    having = both.documents.fill_null(0)
    return both.select(
        "query", "step", "term", idf=(1 + (both.products - having + 0.5) / (having + 0.5)).ln()
    )


def catalogue_size(items: ibis.Table, clock: Clock) -> ibis.Table:
    """step, products, mean_words: how many products are known, and their mean number of words."""
    lengths = lengths_of(items).join(items.select("product_id", "since"), "product_id")
    steps = clock.steps()
    known = steps.left_join(lengths, lengths.since <= steps.step)
    summed = known.group_by("step").aggregate(products=known.product_id.count(), words=known.words.sum())
    mean = summed.words.fill_null(0) / ibis.greatest(summed.products, 1)
    return summed.select("step", "products", mean_words=ibis.greatest(mean, 1.0))


def lengths_of(items: ibis.Table) -> ibis.Table:
    """product_id, words: the number of words of each product."""
    return terms(items, "words", "product_id").group_by("product_id").aggregate(words=lambda t: t.times.sum())


def _about_queries(queries: ibis.Table, weighed: ibis.Table) -> ibis.Table:
    rare = weighed.group_by("query", "step").aggregate(
        query_words=weighed.count(), specificity=exact_sum(weighed.idf) / weighed.count()
    )
    both = queries.left_join(rare, ["query", "step"]).drop("query_right", "step_right")
    return both.select(
        "query", "step",
        query_chars=both.query.length(), query_words=both.query_words.fill_null(0),
        specificity=both.specificity.fill_null(0.0),
    )  # fmt: skip


def _bm25(pairs: ibis.Table, weighed: ibis.Table, items: ibis.Table, clock: Clock) -> ibis.Table:
    found = terms(items, "words", "product_id").join(lengths_of(items), "product_id")
    sized = pairs.join(catalogue_size(items, clock), "step")
    both = sized.join(weighed, ["query", "step"]).join(found, ["product_id", "term"])
    times = both.times.cast("float64")
    gain = both.idf * times * (K1 + 1) / (times + K1 * (1 - B + B * both.words / both.mean_words))
    scored = both.mutate(gain=gain)
    return scored.group_by("query", "product_id", "step").aggregate(bm25=exact_sum(scored.gain))


def _shares(pairs: ibis.Table, asked: ibis.Table, items: ibis.Table) -> ibis.Table:
    """Overlap of words with title and description, and of letter groups with the title."""
    heading, prose = terms(items, "heading", "product_id"), terms(items, "prose", "product_id")
    spelt = grams(items, "heading", "product_id")
    letters = grams(pairs.select("query").distinct(), "query", "query")
    pair = ["query", "product_id"]
    for name, numbers, on in (
        ("named", _common(pairs, asked, heading), pair),
        ("described", _common(pairs, asked, prose), pair),
        ("alike", _common(pairs, letters, spelt), pair),
        ("words", _number(asked, "query"), ["query"]),
        ("title", _number(heading, "product_id"), ["product_id"]),
        ("groups", _number(letters, "query"), ["query"]),
    ):
        pairs = _with(pairs, numbers, name, on)
    return _as_shares(pairs)


def _common(pairs: ibis.Table, asked: ibis.Table, found: ibis.Table) -> ibis.Table:
    """query, product_id, number: how many terms of the query the product has."""
    both = pairs.join(asked.select("query", "term"), "query").join(
        found.select("product_id", "term"), ["product_id", "term"]
    )
    return both.group_by("query", "product_id").aggregate(number=both.count())


def _number(found: ibis.Table, by: str) -> ibis.Table:
    return found.group_by(by).aggregate(number=found.count())


def _with(pairs: ibis.Table, numbers: ibis.Table, name: str, on: list[str]) -> ibis.Table:
    both = pairs.left_join(numbers, on)
    return both.select(*(pairs[column] for column in pairs.columns), **{name: numbers.number.fill_null(0)})


def _as_shares(counted: ibis.Table) -> ibis.Table:
    def share(some: str, of: str) -> ibis.Value:
        return counted[some] / ibis.greatest(counted[of], 1)

    return counted.select(
        "query", "product_id",
        overlap_query=share("named", "words"), overlap_title=share("named", "title"),
        overlap_description=share("described", "words"), ngrams=share("alike", "groups"),
    )  # fmt: skip

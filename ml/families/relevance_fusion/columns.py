"""The columns of the matrix: what each is called, in words, and what kind of row has it.

Two kinds of rows. A row with a query is a product that was a candidate for it in a period (`day` is the period's first
day; outcomes are of the period, everything else was known before it). A row of the empty query is a product by itself,
as it was known on that day: what serving and the text space need.
"""

from __future__ import annotations

KEY = ("query", "product_id", "modality", "day")
NO_QUERY = ""
PLACES = 11
OUTCOMES = ("shown", "engaged", "purchased")
COUNTS = tuple(f"{what}_{place}" for what in OUTCOMES for place in range(1, PLACES + 1))
LABEL = ("grade", "annotators", "judged_day")
ABOUT = ("title", "description", "category", "brand")
RELATED = ("matches", "relevant", "bought_with", "bought_with_share")

MATCH: dict[str, str] = {
    "bm25": "how well its words match the query",
    "bm25_share": "how well its words match, against the best match",
    "overlap_query": "the share of the query's words in its title",
    "overlap_title": "the share of its title that the query names",
    "overlap_description": "the share of the query's words in its description",
    "ngrams": "the likeness of spelling",
}
QUERY: dict[str, str] = {
    "query_chars": "the length of the query in characters",
    "query_words": "the number of words of the query",
    "specificity": "how rare the query's words are",
    "voice": "a spoken search",
}
PRODUCT: dict[str, str] = {
    "price": "its price",
    "price_in_category": "its price against its category's",
    "age_days": "days since launch",
    "units_1": "units sold in the last period",
    "units_3": "units sold in the last three periods",
    "units_13": "units sold in the last year",
    "popularity": "its popularity in the shop",
    "popularity_in_category": "its popularity in its category",
    "category_units": "its category's sales",
}
RELATION: dict[str, str] = {
    "price_to_matches": "its price against the best matches'",
    "price_to_relevant": "its price against the relevant products'",
    "category_of_matches": "the share of the best matches in its category",
    "bought_with_matches": "it is bought together with the best matches",
    "bought_with_relevant": "it is bought together with the relevant products",
}
LEARNED: dict[str, str] = {
    "relevance": "how relevant annotators would find it",
    "semantic": "how near its meaning is to the query",
    "like_matches": "its description is like the best matches'",
    "like_relevant": "its description is like the relevant products'",
    "pair_exposure": "how often it was looked at for this query",
    "pair_engaged": "how often customers engaged with it for this query",
    "pair_purchased": "how often customers bought it for this query",
    "product_exposure": "how often it was looked at in searches",
    "product_engaged": "how often customers engaged with it in searches",
    "product_purchased": "how often customers bought it in searches",
}
KNOWN = {**MATCH, **QUERY, **PRODUCT, **RELATION}
FEATURES = {**KNOWN, **LEARNED}
JUDGED = ("price_to_relevant", "bought_with_relevant", "like_relevant")
COLUMNS = (*KEY, *ABOUT, *KNOWN, *RELATED, *LABEL, *COUNTS)

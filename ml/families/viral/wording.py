"""Every feature in words."""

from __future__ import annotations

_PAST = {
    "since": "time since the last post", "pace": "posts per hour so far",
    "usual_rank": "usual place in a cascade",
    "hit_rate": "share of cascades joined early that doubled", "hit_odds": "odds that a cascade joined early doubled",
    "credit": "doublings per earlier post",
    "ended_size": "size of the cascades that ended",
    "ended_hit_rate": "share of the ended cascades that doubled",
}  # fmt: skip
_HOW = {
    "mean": "of those who posted, on average", "most": "of those who posted, the most",
    "least": "of those who posted, the least", "first": "of the first to post", "last": "of the last to post",
}  # fmt: skip
_GAPS = {
    "gap_1": "the wait before the last post", "gap_2": "the wait before the last post but one",
    "gap_3": "the wait before the last post but two", "gap_4": "the wait before the last post but three",
}  # fmt: skip
_OWN = {
    "log_posts": "posts so far", "age": "time since the first post", "idle": "time since the last post",
    "gap_longest": "the longest wait between posts", "gap_typical": "the usual wait between posts",
    "gap_spread": "how uneven the waits are", "halves": "time for the later half of the posts against the first half",
    "velocity": "posts per hour", "hour": "the hour of the day", "weekday": "the day of the week",
    "start_hour": "the hour of the first post", "passed": "posts about anything since the first post, against a week's",
    "passed_1": "posts about anything since the last but one, against a week's",
    "trend_hour": "whether the hour is busier than the day", "trend_week": "whether the week is busier than the month",
    "trend_day": "whether the day is busier than the week", "depth_most": "the longest chain of reshares",
    "depth_typical": "the usual length of a chain of reshares", "breadth": "share of reshares of the first post itself",
    "reach": "followers of all who posted", "reach_most": "followers of the largest who posted",
    "newcomers": "share of posts by people never seen before", "text_length": "length of the first post's text",
    "price": "the price", "product_posts": "earlier posts about the product",
    "product_since": "time since the product was last shown", "product_best": "the product's largest cascade so far",
    "selling": "sales of the last week against the weeks before",
    "image_score": "how much its image is like those that are shown", **_GAPS,
}  # fmt: skip


def words(feature: str) -> str:
    """What the feature is, for people."""
    if feature in _OWN:
        return _OWN[feature]
    name, _, rest = feature.rpartition("_")
    if name in _PAST:
        return f"{_PAST[name]} {_HOW[rest]}"
    told = {
        "busy": f"posts about anything in {rest} hours",
        "branching": f"posts that each post brings forth (memory of {rest} hours)",
        "alive": f"posts recent enough to bring forth more (memory of {rest} hours)",
    }  # fmt: skip
    return told[name]

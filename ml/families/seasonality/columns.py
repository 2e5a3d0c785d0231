"""The columns of the matrix: what each is called, in words, and when it is known."""

from __future__ import annotations

KEY = ("product_id", "day")
ABOUT = ("title", "category", "price", "step_days")
TARGET = "units"

HISTORY: dict[str, str] = {
    "units_28": "units in the last 28 days",
    "units_84": "units in the last 84 days",
    "tamed_7": "units in the last 7 days (bulk orders tamed)",
    "tamed_28": "units in the last 28 days (bulk orders tamed)",
    "tamed_84": "units in the last 84 days (bulk orders tamed)",
    "tamed_364": "units in the last year (bulk orders tamed)",
    "tamed_28_before_28": "units in the 28 days before the last 28",
    "tamed_28_before_56": "units in the 28 days before the last 56",
    "lines_7": "order lines in the last 7 days",
    "lines_28": "order lines in the last 28 days",
    "lines_84": "order lines in the last 84 days",
    "lines_364": "order lines in the last year",
    "logs_28": "typical daily sales in the last 28 days",
    "logs_84": "typical daily sales in the last 84 days",
    "sold_28": "days with a sale in the last 28",
    "sold_84": "days with a sale in the last 84",
    "sold_364": "days with a sale in the last year",
    "revenue_84": "revenue in the last 84 days",
    "plain_84": "days with a sale and without a promotion in the last 84",
    "plain_364": "days with a sale and without a promotion in the last year",
    "plain_logs_84": "typical sales without a promotion in the last 84 days",
    "plain_logs_364": "typical sales without a promotion in the last year",
    "deals_364": "days with a sale on promotion in the last year",
    "deal_logs_364": "typical sales on promotion in the last year",
    "festive_364": "units in the last December before Christmas",
    "promoted_28": "days on promotion in the last 28",
    "selling_days": "days since the first sale",
    "days_since_sale": "days since the last sale",
    "category_28": "its category's recent sales",
    "category_84": "its category's sales of a quarter",
    "category_364": "its category's sales of a year",
    "peer_28": "recent sales of products of its category and price",
    "peer_84": "a quarter's sales of products of its category and price",
    "store_7": "the store's last week",
    "store_28": "the store's last 28 days",
    "store_84": "the store's last quarter",
}
PLAN: dict[str, str] = {
    "age_days": "days since launch",
    "promo_discount": "the planned discount",
    "promo_discount_before": "the discount of the day before",
    "category_discount": "the discounts in its category",
    "promo_homepage": "a place on the homepage",
    "promo_email": "an e-mail campaign",
    "promo_feature": "a feature advertisement",
    "promo_display": "a display",
    "event_now": "an occasion that is on",
    "event_day": "the day of the occasion",
    "event_days_to": "the days to the next occasion",
    "event_days_since": "the days since the last occasion",
    "event_lift_before": "what the occasion did to its category the last time",
    "year_ago_7": "its sales around the same day a year before",
    "year_ago_84": "its sales of the quarter before that, a year ago",
    "category_year_ago_lift": "its category's rise at this time a year before",
    "weekday": "the day of the week",
    "month_day": "the day of the month",
    "year_day": "the time of the year",
}
COLUMNS = (*KEY, *ABOUT, TARGET, *HISTORY, *PLAN)

"""YouTube's trending videos of the United States, 13 September to 22 October 2017: the 200 on each day's list.

Original: `USvideos.csv` of the Kaggle data set datasnaek/youtube
(https://www.kaggle.com/datasets/datasnaek/youtube), as CSV or as one `usvideos` file (.parquet). Metadata came
through YouTube's API, whose terms limit reuse: research only.

- A video is a product, its category YouTube's own, its title the last one it had on the list, its image the address
  of its thumbnail (an address means no image). A channel is a creator; followers are not given (0).
- A day on the list is a post at 00:00 of that day; the first of a video is the parent of its others. So a "cascade"
  is the days that a video stayed, and only videos that did trend are there at all.
- Views, likes, dislikes, comments and tags have no place in the contract and are left out. There are no orders;
  prices are 0.
- Ids that a spreadsheet took for formulas (`#NAME?`) are restored from the thumbnail's address. Its dates are DD.MM
  with closing zeros lost: `10.1` is 10 October, `1.1` is 1 October.

Dropped from posts, counted: `no date` (four rows of the original say `100`), `no video id` (where the thumbnail
does not tell it either), `the same video and day` (the row with the most views is kept)."""

from __future__ import annotations

from pathlib import Path

from ml.sources import Loaded
from ml.sources.reading import contract_table, count, database, files, register

ORIGIN = "https://www.kaggle.com/datasets/datasnaek/youtube"
COLUMNS = ("video_id", "title", "channel_title", "category_id", "views", "thumbnail_link", "date")
EXPECTED = f"USvideos.csv or usvideos.parquet with {', '.join(COLUMNS)}; original: {ORIGIN}"
YEAR = 2017
CATEGORIES = {
    1: "Film & Animation", 2: "Autos & Vehicles", 10: "Music", 15: "Pets & Animals", 17: "Sports",
    19: "Travel & Events", 20: "Gaming", 22: "People & Blogs", 23: "Comedy",
    24: "Entertainment", 25: "News & Politics", 26: "Howto & Style",
    27: "Education", 28: "Science & Technology", 29: "Nonprofits & Activism", 30: "Movies", 43: "Shows",
}  # fmt: skip
"""YouTube's own numbers of categories."""

_NAMED = " ".join(f"WHEN '{number}' THEN '{name}'" for number, name in CATEGORIES.items())
_LISTED = f"""
CREATE TABLE listed AS
SELECT position, title, channel_title, thumbnail_link,
    CASE CAST(category_id AS VARCHAR) {_NAMED} ELSE CAST(category_id AS VARCHAR) END AS category,
    try_cast(views AS BIGINT) AS views,
    CASE WHEN video_id = '#NAME?' OR video_id IS NULL
         THEN nullif(regexp_extract(thumbnail_link, '/vi/([^/]+)/', 1), '') ELSE video_id END AS product_id,
    try_strptime(
        concat(split_part(date, '.', 1), '.', rpad(split_part(date, '.', 2), 2, '0'), '.{YEAR}'), '%d.%m.%Y'
    ) AS day
FROM usvideos"""

_JUDGED = """
CREATE TABLE judged AS
SELECT *, CASE WHEN day IS NULL THEN 'no date' WHEN product_id IS NULL THEN 'no video id'
    WHEN row_number() OVER (PARTITION BY product_id, day ORDER BY views DESC NULLS LAST, position) > 1
    THEN 'the same video and day' END AS reason
FROM listed"""

_POSTS = """
WITH kept AS (SELECT *, concat_ws('|', product_id, CAST(day AS DATE)) AS post_id FROM judged WHERE reason IS NULL),
first AS (SELECT product_id, arg_min(post_id, day) AS root FROM kept GROUP BY product_id)
SELECT post_id, CAST(day AS TIMESTAMP) AS posted_at, product_id, coalesce(channel_title, 'unknown') AS creator_id,
    nullif(root, post_id) AS parent_post_id, 'youtube' AS platform, title AS text
FROM kept JOIN first USING (product_id) ORDER BY posted_at, post_id"""

_PRODUCTS = """
SELECT product_id, coalesce(arg_max(title, day), product_id) AS title,
    coalesce(arg_max(category, day), 'unknown') AS category, 0.0 AS price, arg_max(thumbnail_link, day) AS image_uri
FROM judged WHERE reason IS NULL GROUP BY product_id ORDER BY product_id"""

_CREATORS = """
SELECT DISTINCT coalesce(channel_title, 'unknown') AS creator_id, 0 AS followers FROM judged WHERE reason IS NULL
ORDER BY creator_id"""

_DROPPED = "SELECT reason, count(*) FROM judged WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason"


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError if the list is not there."""
    with database() as connection:
        register(connection, "usvideos", files(path, "usvideos"), COLUMNS, EXPECTED)
        connection.execute(_LISTED)
        connection.execute(_JUDGED)
        queries = {"products": _PRODUCTS, "creators": _CREATORS, "posts": _POSTS}
        tables = {name: contract_table(connection, name, query) for name, query in queries.items()}
        dropped = dict(connection.execute(_DROPPED).fetchall())
        return Loaded(tables, count(connection, "FROM usvideos"), dropped)

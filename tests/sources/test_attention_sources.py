"""The adapters of posts and of photographs: small files worked on paper, and the real ones where they are."""

from __future__ import annotations

import gzip
import io
import os
import struct
from collections import Counter
from datetime import date, datetime
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ml.errors import UsageError
from ml.sources import Loaded, load
from ml.sources.hermes_fashion_trends import POSTS_AT
from ml.toolkit.images import decoded

PUBLIC_DATA = Path(os.environ.get("BELLWETHER_PUBLIC_DATA", Path(__file__).parents[2] / "../shared/data"))

LIST = """video_id,title,channel_title,category_id,tags,views,likes,dislikes,comment_total,thumbnail_link,date
abc,First,Café TV,10,a|b,100,1,0,0,https://i.ytimg.com/vi/abc/default.jpg,30.09
abc,First again,Café TV,10,a|b,300,1,0,0,https://i.ytimg.com/vi/abc/default.jpg,1.1
abc,First again,Café TV,10,a|b,250,1,0,0,https://i.ytimg.com/vi/abc/default.jpg,1.1
abc,Later,Café TV,10,a|b,900,1,0,0,https://i.ytimg.com/vi/abc/default.jpg,10.1
#NAME?,Minus,Other,99,x,5,0,0,0,https://i.ytimg.com/vi/-xy/default.jpg,13.09
#NAME?,Lost,Other,24,x,5,0,0,0,,13.09
abc,No day,Café TV,10,x,5,0,0,0,https://i.ytimg.com/vi/abc/default.jpg,100
"""


def test_a_list_of_videos_worked_on_paper(tmp_path: Path) -> None:
    (tmp_path / "USvideos.csv").write_text(LIST)
    loaded = load("youtube_trending_us_2017", tmp_path)
    assert loaded.read == 7
    assert loaded.dropped == {"no date": 1, "no video id": 1, "the same video and day": 1}
    posts = [
        (row["post_id"], row["posted_at"], row["parent_post_id"], row["text"])
        for row in loaded.tables["posts"].to_pylist()
    ]
    root = "abc|2017-09-30"
    assert posts == [
        ("-xy|2017-09-13", datetime(2017, 9, 13), None, "Minus"),
        (root, datetime(2017, 9, 30), None, "First"),
        ("abc|2017-10-01", datetime(2017, 10, 1), root, "First again"),
        ("abc|2017-10-10", datetime(2017, 10, 10), root, "Later"),
    ]
    products = {row["product_id"]: row for row in loaded.tables["products"].to_pylist()}
    assert (products["abc"]["title"], products["abc"]["category"]) == ("Later", "Music")
    assert products["-xy"]["category"] == "99"
    assert loaded.tables["creators"].to_pylist() == [
        {"creator_id": "Café TV", "followers": 0},
        {"creator_id": "Other", "followers": 0},
    ]


SERIES = """date,series_id,main,fashion_forward
2015-01-05,us_female_top_1,0.1,0
2015-01-12,us_female_top_1,0.3,0.02
2015-01-05,br_male_shoes_7,0,0
2015-01-12,br_male_shoes_7,0,0
"""
WIDE = (
    ",us_female_top_1,br_male_shoes_7\n2015-01-05,0.1,0\n2015-01-12,0.3,0\n",
    ",us_female_top_1,br_male_shoes_7\n2015-01-05,0,0\n2015-01-12,0.02,0\n",
)


@pytest.mark.parametrize("wide", [False, True])
def test_shares_become_posts_worked_on_paper(tmp_path: Path, wide: bool) -> None:
    """Everybody's mean share is .2: a post for each .05; the influencers' .01: one for each .0025."""
    assert POSTS_AT == 4
    if wide:
        (tmp_path / "f1_main_100_sequences.csv").write_text(WIDE[0])
        (tmp_path / "f1_fashion_forward_100_sequences.csv").write_text(WIDE[1])
    else:
        (tmp_path / "series.csv").write_text(SERIES)
    loaded = load("hermes_fashion_trends", tmp_path)
    posts = loaded.tables["posts"].to_pylist()
    by_week = Counter((row["creator_id"], row["posted_at"].date() >= date(2015, 1, 12)) for row in posts)
    assert by_week == {("us everybody", False): 2, ("us everybody", True): 6, ("us fashion forward", True): 8}
    assert posts[0]["posted_at"] == datetime(2015, 1, 6, 18)  # a quarter of the first week
    assert {row["platform"] for row in posts} == {"us"}
    assert [row["category"] for row in loaded.tables["products"].to_pylist()] == ["male shoes", "female top"]
    assert loaded.tables["creators"].num_rows == 4
    assert (loaded.read, loaded.dropped) == (4, {})


def test_grey_pixels_become_pictures(tmp_path: Path) -> None:
    pixels = bytes(range(256)) * 3 + bytes(16)
    rows = {
        "image_id": ["a", "b"],
        "class_name": ["Bag", "Coat"],
        "pixels": pa.array([pixels, b"short"], pa.binary()),
    }
    pq.write_table(pa.table(rows), tmp_path / "images.parquet")
    loaded = load("fashion_mnist", tmp_path)
    assert (loaded.read, loaded.dropped) == (2, {"not 28 x 28 pixels": 1})
    product = loaded.tables["products"].to_pylist()[0]
    assert (product["product_id"], product["category"], product["price"]) == ("a", "Bag", 0.0)
    image = decoded(product["image_uri"], 28)
    assert image is not None and image[..., 0].tobytes() == pixels


def test_the_originals_of_fashion_mnist_are_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 784)).astype(np.uint8)
    for name, content in (
        ("train-images-idx3-ubyte.gz", struct.pack(">IIII", 2051, 2, 28, 28) + pixels.tobytes()),
        ("train-labels-idx1-ubyte.gz", struct.pack(">II", 2049, 2) + bytes([9, 0])),
    ):
        (tmp_path / name).write_bytes(gzip.compress(content))
    products = load("fashion_mnist", tmp_path).tables["products"].to_pylist()
    assert [row["category"] for row in products] == ["T-shirt/top", "Ankle boot"]
    image = decoded(products[1]["image_uri"], 28)
    assert image is not None and (image[..., 1].ravel() == pixels[0]).all()


@pytest.mark.parametrize("folders", [False, True])
def test_photographs_are_made_small(tmp_path: Path, folders: bool) -> None:
    file = io.BytesIO()
    Image.effect_noise((400, 200), 60).convert("RGB").save(file, format="JPEG")
    if folders:
        (tmp_path / "train" / "hat").mkdir(parents=True)
        (tmp_path / "train" / "hat" / "one.jpg").write_bytes(file.getvalue())
        (tmp_path / "train" / "hat" / "two.jpg").write_bytes(b"no image")
    else:
        rows = {
            "image_id": ["one", "two"],
            "class_name": ["hat", "hat"],
            "image_jpeg": pa.array([file.getvalue(), None], pa.binary()),
        }
        pq.write_table(pa.table(rows), tmp_path / "images.parquet")
    loaded = load("clothing_small", tmp_path)
    assert (loaded.read, loaded.dropped) == (2, {"no readable image": 1})
    product = loaded.tables["products"].to_pylist()[0]
    assert (product["product_id"], product["category"]) == ("one", "hat")
    assert decoded(product["image_uri"], 32) is not None
    assert len(product["image_uri"]) < 90_000


@pytest.mark.parametrize("name", ["fashion_mnist", "clothing_small"])
def test_a_file_of_something_else_is_told_by_its_columns(name: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "images.parquet")
    with pytest.raises(UsageError, match="is not a file of this data set"):
        load(name, tmp_path)


@cache
def real(name: str) -> Loaded:
    if not (PUBLIC_DATA / name).is_dir():
        pytest.skip(f"no {name} in {PUBLIC_DATA}: set BELLWETHER_PUBLIC_DATA")
    return load(name, PUBLIC_DATA / name)


@pytest.mark.public_data
def test_trends_keep_their_course() -> None:
    """In each week a series has as many posts as its share is worth, to within one."""
    posts = real("hermes_fashion_trends").tables["posts"]
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        connection.register("posts", posts)
        worst, weeks = connection.execute(
            f"""with shares as (
                  select *, avg(main) over (partition by series_id) / {POSTS_AT} as worth
                  from read_parquet('{PUBLIC_DATA}/hermes_fashion_trends/series.parquet')),
                counts as (
                  select product_id, cast(date_trunc('week', posted_at) as date) as date, count(*) as n
                  from posts where creator_id like '%everybody' group by all)
                select max(abs(coalesce(n, 0) - main / worth)), count(*)
                from shares left join counts on series_id = product_id and shares.date = counts.date"""
        ).fetchall()[0]
    assert weeks > 10_000
    assert worst < 1 + 1e-6


@pytest.mark.public_data
def test_videos_have_their_ids_again_and_stay_within_the_list() -> None:
    loaded = real("youtube_trending_us_2017")
    assert "#NAME?" not in loaded.tables["products"]["product_id"].to_pylist()
    assert loaded.dropped["no date"] == 2
    days = loaded.tables["posts"]["posted_at"]
    assert (pc.min(days).as_py(), pc.max(days).as_py()) == (datetime(2017, 9, 13), datetime(2017, 10, 15))

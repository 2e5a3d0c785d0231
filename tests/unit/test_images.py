"""Images: what is decoded, what is refused without harm, what encoders see, and which files a snapshot carries."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, images
from ml.seams.pictures import with_images
from ml.toolkit.images import MAX_BYTES, ColourTexture, carried, decoded, encoded, encoder, reduced

SIDE = 32


def file_of(picture: Image.Image, kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    picture.save(written, format=kind)
    return written.getvalue()


def uri_of(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def plain(
    colour: tuple[int, ...] | int | str, size: tuple[int, int] = (48, 48), mode: str = "RGB"
) -> Image.Image:
    return Image.new(mode, size, colour)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises many pixels, in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "name"), [("PNG", "png"), ("JPEG", "jpeg"), ("JPEG", "jpg")])
def test_png_and_jpeg_are_decoded(kind: str, name: str) -> None:
    image = decoded(uri_of(file_of(plain((200, 40, 40)), kind), name), SIDE)
    assert image is not None and image.shape == (SIDE, SIDE, 3)
    assert abs(image.reshape(-1, 3).mean(axis=0) - [200, 40, 40]).max() < 6


@pytest.mark.parametrize(
    ("picture", "colour"),
    [
        (plain((255, 0, 0, 0), mode="RGBA"), (255, 255, 255)),
        (plain(128, mode="L"), (128, 128, 128)),
        (plain((0, 0, 255), mode="RGB").convert("P"), (0, 0, 255)),
    ],
    ids=["transparent is white", "grey", "palette"],
)
def test_other_modes_become_colours(picture: Image.Image, colour: tuple[int, int, int]) -> None:
    image = decoded(uri_of(file_of(picture)), SIDE)
    assert image is not None and (image[5, 5] == colour).all()


GOOD = file_of(plain((1, 2, 3)))
NO_IMAGE = {
    "nothing": None,
    "empty": "",
    "an address": "https://example.com/mug.png",
    "a file": "file:///etc/passwd",
    "svg": "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(),
    "gif in disguise": uri_of(file_of(plain((1, 2, 3)), "GIF")),
    "not base64": "data:image/png;base64,!!!",
    "cut off": uri_of(file_of(Image.effect_noise((64, 64), 90))[:700]),
    "no pixel": uri_of(GOOD[:20]),
    "a bomb": uri_of(bomb(50_000, 50_000)),
    "a lie about its size": uri_of(bomb(3_000, 3_000)),
    "too long": "data:image/png;base64," + "A" * (2 * MAX_BYTES),
    "text": "מוג 🫖",
}


@pytest.mark.parametrize("uri", NO_IMAGE.values(), ids=NO_IMAGE)
def test_what_cannot_be_read_is_no_image(uri: str | None) -> None:
    assert decoded(uri, SIDE) is None


@given(
    st.one_of(
        st.text(),
        st.binary(max_size=300).map(uri_of),
        st.binary(max_size=60).map(lambda tail: uri_of(GOOD[:33] + tail)),
    )
)
def test_nothing_that_a_uri_holds_raises(uri: str) -> None:
    image = decoded(uri, SIDE)
    assert image is None or image.shape == (SIDE, SIDE, 3)


def test_encoded_images_keep_their_rows() -> None:
    uris = [uri_of(file_of(plain((40 * n, 90, 20)))) for n in range(5)]
    mixed = [None, uris[0], "https://example.com/a.png", *uris[1:]]
    points, alone = encoded(mixed, ColourTexture()), encoded(uris, ColourTexture())
    assert np.isnan(points[[0, 2]]).all()
    np.testing.assert_array_equal(points[[1, 3, 4, 5, 6]], alone)
    assert np.isfinite(alone).all()


def test_no_image_at_all_is_no_dimension() -> None:
    assert encoded([None, "x"], ColourTexture()).shape == (2, 0)
    assert encoded([], ColourTexture()).shape == (0, 0)


def test_an_images_points_do_not_depend_on_its_neighbours() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, SIDE, SIDE, 3)).astype(np.uint8)
    whole = ColourTexture().encode(pixels)
    np.testing.assert_allclose(ColourTexture().encode(pixels[17:19]), whole[17:19], rtol=0, atol=1e-12)


def test_colours_are_told_from_greys_and_edges_from_calm() -> None:
    grey, red = plain((90, 90, 90)), plain((200, 10, 10))
    noise = Image.effect_noise((48, 48), 120).convert("RGB")
    points = encoded([uri_of(file_of(picture)) for picture in (grey, red, noise)], ColourTexture())
    saturation, edges = 20, 29 + 3 + 6 + 3 + 2  # a mean, and the first of the directions
    assert points[0, saturation] == 0 < points[1, saturation]
    assert points[2, edges : edges + 128].sum() > points[0, edges : edges + 128].sum()


def test_encoders_have_names() -> None:
    assert encoder("colour_texture").name == "colour_texture"
    for wrong in ("color_texture", "timm", "timm:", "colour_texture:x", ""):
        with pytest.raises(ValueError, match="expected one of colour_texture, timm:MODEL"):
            encoder(wrong)


@pytest.mark.parametrize(("package", "model"), [("timm", "resnet10t"), ("open_clip", "ViT-S-32")])
def test_a_learnt_encoder_reads_local_weights(package: str, model: str, tmp_path: Path) -> None:
    """Runs where the extra `images` is installed; weights are made here, nothing is downloaded."""
    pytest.importorskip(package)
    torch = pytest.importorskip("torch")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    plain_model = encoder(f"{package}:{model}")
    pixels = pixels.repeat(-(-plain_model.side // 8), 1).repeat(-(-plain_model.side // 8), 2)
    pixels = pixels[:, : plain_model.side, : plain_model.side]
    first, again = plain_model.encode(pixels), encoder(f"{package}:{model}").encode(pixels)
    np.testing.assert_array_equal(first, again)
    assert first.shape[0] == 3 and np.isfinite(first).all()
    network = plain_model.whole  # type: ignore[attr-defined]
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(1.1)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = encoder(f"{package}:{model}@{tmp_path / 'weights.pt'}").encode(pixels)
    assert np.abs(other - first).max() > 1e-6


def test_a_small_file_is_carried_as_it_is_and_a_large_one_is_made_small() -> None:
    assert reduced(GOOD, 128) == uri_of(GOOD)
    large = file_of(Image.effect_noise((900, 300), 80).convert("RGB"))
    uri = reduced(large, 128)
    assert uri is not None and uri == reduced(large, 128)
    content = carried(uri)
    assert content is not None and len(content) <= 65_536
    assert Image.open(io.BytesIO(content)).size == (128, 43)
    assert reduced(b"no image", 128) is None
    assert reduced(bomb(50_000, 50_000), 128) is None


def test_contracts_say_which_columns_are_images() -> None:
    assert {name: images(table) for name, table in TABLES.items() if images(table)} == {
        "products": ("image_uri",),
        "posts": ("image_uri",),
    }


def rows_of(uris: list[str | None]) -> pa.RecordBatchReader:
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(TABLES["products"])])
    rows = [
        {"product_id": f"p{n}", "title": "Mug", "category": "mugs", "price": 1.0, "image_uri": uri}
        for n, uri in enumerate(uris)
    ]
    return pa.Table.from_pylist(rows, schema=schema).to_reader()


def test_files_below_the_folder_become_part_of_the_rows_and_no_others(tmp_path: Path) -> None:
    root, outside = tmp_path / "images", tmp_path / "secret.png"
    (root / "a b").mkdir(parents=True)
    (root / "a b" / "mug.png").write_bytes(GOOD)
    (root / "broken.png").write_bytes(b"no image")
    outside.write_bytes(GOOD)
    (root / "link.png").symlink_to(outside)
    kept: list[str | None] = [
        None, "https://example.com/mug.png", uri_of(GOOD), "file:///etc/passwd", "../secret.png", "link.png",
        f"file://{outside}", "broken.png", "missing.png", "a b", "file://elsewhere/a%20b/mug.png", "\x00", "http://[",
    ]  # fmt: skip
    found = ["a b/mug.png", f"file://{root}/a%20b/mug.png", "file:a%20b/mug.png"]
    table = with_images(TABLES["products"], rows_of([*kept, *found]), root, 128).read_all()
    assert table["image_uri"].to_pylist() == [*kept, *[uri_of(GOOD)] * 3]
    assert table.schema == rows_of([]).schema


@pytest.mark.parametrize(("root", "longest"), [(None, 128), (Path(), 0)])
def test_without_a_folder_or_a_size_rows_stay_as_they_are(root: Path | None, longest: int) -> None:
    table = with_images(TABLES["products"], rows_of(["a.png"]), root, longest).read_all()
    assert table["image_uri"].to_pylist() == ["a.png"]

"""Images as numbers: safe decoding of data URIs, and encoders that turn images into points.

Nothing is fetched: an image is what its URI carries (`data:image/png;base64,…` or jpeg); every other URI, and every
image that is broken, too large or a decompression bomb, counts as no image.

An encoder is one method with a name; `encoder(name)` makes the one that a setting names:

    colour_texture           colours, composition and edges; no download, the default
    timm:MODEL[@FILE]        a model of timm (the extra `images`), with the weights of a local file
    open_clip:MODEL[@FILE]   the image tower of open_clip (the same extra), with the weights of a local file
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

MAX_BYTES = 4_000_000
"""Longest image file that is read."""

MAX_PIXELS = 16_000_000
"""Largest image that is decoded (4,000 x 4,000): checked in its header, before a pixel is."""

_PREFIXES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/jpg;base64,")
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    MemoryError,
    OverflowError,
)
_TOO_MANY = 256  # images held at once while they are encoded


class Encoder(Protocol):
    """Turns images into points; the same images give the same points, whatever is beside them."""

    name: str
    side: int

    def encode(self, images: Pixels) -> Floats:
        """Images (n x side x side x 3, red green blue) to points (n x dimensions)."""


def decoded(uri: str | None, side: int) -> Pixels | None:
    """The image that a URI carries, scaled to side x side x 3; None where it carries none that can be read.

    Transparent parts are white. Raises nothing, whatever the URI holds.
    """
    content = carried(uri)
    return None if content is None else opened(content, side)


def carried(uri: str | None) -> bytes | None:
    """The bytes of a PNG or JPEG data URI; None for every other URI, and for one that is too long."""
    if not uri or len(uri) > MAX_BYTES * 4 // 3 + 64:
        return None
    head = uri[:32].lower()
    prefix = next((prefix for prefix in _PREFIXES if head.startswith(prefix)), None)
    if prefix is None:
        return None
    try:
        return base64.b64decode(uri[len(prefix) :], validate=True)
    except (binascii.Error, ValueError):
        return None


def opened(content: bytes, side: int) -> Pixels | None:
    """A PNG or JPEG file scaled to side x side x 3; None where it cannot be read. Shapes are not kept."""
    from PIL import Image

    if len(content) > MAX_BYTES:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("RGB", (side, side))
            return np.asarray(_on_white(image).resize((side, side), Image.Resampling.BOX), dtype=np.uint8)
    except (*_BROKEN, struct.error, zlib.error, Image.DecompressionBombError):
        return None


def reduced(content: bytes, longest: int, most_bytes: int = 65_536) -> str | None:
    """An image file as a data URI of at most `longest` pixels a side and `most_bytes`; None where it cannot be read.

    A file that is small enough is carried as it is; any other is scaled, and written as PNG, or as JPEG if that is
    still too long. The same file gives the same URI (with the same release of Pillow).
    """
    from PIL import Image

    if len(content) > MAX_BYTES:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.load()
            if max(image.size) <= longest and len(content) <= most_bytes:
                return data_uri(content, str(image.format))
            small = _on_white(image)
            small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
            return next((uri for kind in ("PNG", "JPEG") if (uri := _written(small, kind, most_bytes))), None)
    except (*_BROKEN, struct.error, zlib.error, Image.DecompressionBombError):
        return None


def _written(image: Any, kind: str, most_bytes: int) -> str | None:
    file = io.BytesIO()
    image.save(file, format=kind, quality=85)
    return data_uri(file.getvalue(), kind) if file.tell() <= most_bytes else None


def data_uri(content: bytes, kind: str) -> str:
    """A PNG or JPEG file as a data URI."""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"


def _on_white(image: Any) -> Any:
    from PIL import Image

    if image.mode in ("RGB", "L"):
        return image.convert("RGB")
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def encoded(uris: Sequence[str | None], by: Encoder) -> Floats:
    """Points of images (n x dimensions), a few hundred images in memory at a time; NaN where there is no image."""
    blocks = [_encoded_block(uris[first : first + _TOO_MANY], by) for first in range(0, len(uris), _TOO_MANY)]
    width = max((block.shape[1] for block in blocks), default=0)
    points = np.full((len(uris), width), np.nan)
    for number, block in enumerate(blocks):
        points[number * _TOO_MANY : number * _TOO_MANY + len(block), : block.shape[1]] = block
    return points


def _encoded_block(uris: Sequence[str | None], by: Encoder) -> Floats:
    found = [(row, image) for row, uri in enumerate(uris) if (image := decoded(uri, by.side)) is not None]
    if not found:
        return np.full((len(uris), 0), np.nan)
    points = by.encode(np.stack([image for _, image in found]))
    block = np.full((len(uris), points.shape[1]), np.nan)
    block[[row for row, _ in found]] = points
    return block


def encoder(name: str) -> Encoder:
    """The encoder of that name (see the module's docstring). Raises ValueError that names the known ones."""
    kind, _, rest = name.partition(":")
    model, _, weights = rest.partition("@")
    if kind == "colour_texture" and not rest:
        return ColourTexture()
    if kind in _LEARNT and model:
        return _LEARNT[kind](model, weights)
    known = "colour_texture, timm:MODEL[@FILE], open_clip:MODEL[@FILE]"
    raise ValueError(f"unknown image encoder {name!r}; expected one of {known}")


class ColourTexture:
    """Colours, composition and edges, each as a few numbers; nothing is learnt and nothing is downloaded.

    - shares of 8 hues, weighted by saturation; mean, deviation and deciles of saturation and brightness; colourfulness
      (Hasler & Süsstrunk 2003);
    - the same means in the middle and at the rim, and their differences (is there one object, on a calm ground?);
      likeness to the mirror image;
    - histograms of 8 gradient directions in 4 x 4 cells, normalised over the image (Dalal & Triggs 2005), and
      the share of strong edges;
    - the image itself at 8 x 8 in grey.
    """

    name = "colour_texture"
    side = 32

    def encode(self, images: Pixels) -> Floats:
        """See `Encoder`."""
        rgb = images.astype(np.float64) / 255
        grey = rgb @ np.array([0.299, 0.587, 0.114])
        hue, saturation, value = _hue_saturation(rgb)
        colours = _colours(hue, saturation, value)
        parts = (colours, _colourfulness(rgb)[:, None], _composition(saturation, value, grey))
        return np.concatenate([*parts, _directions(grey), _in_cells(grey, self.side // 8)], axis=1)


def _hue_saturation(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    """Hue (0 to 1), saturation and value of each pixel."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    spread = np.maximum(high - low, 1e-9)
    greenish, bluish = 2 + (blue - red) / spread, 4 + (red - green) / spread
    turn = np.where(high == red, (green - blue) / spread, np.where(high == green, greenish, bluish))
    return (turn / 6) % 1.0, (high - low) / np.maximum(high, 1e-9), high


def _colours(hue: Floats, saturation: Floats, value: Floats) -> Floats:
    hue, saturation, value = (part.reshape(len(part), -1) for part in (hue, saturation, value))
    chroma = saturation * value
    bins = np.floor(hue * 8).astype(int) % 8
    shares = [np.where(bins == number, chroma, 0).sum(axis=1) for number in range(8)]
    shares = [share / np.maximum(chroma.sum(axis=1), 1e-9) for share in shares]
    at = (np.array([0.1, 0.5, 0.9, 0.97]) * (chroma.shape[1] - 1)).astype(int)
    deciles = [column for part in (saturation, value, chroma) for column in np.sort(part, axis=1)[:, at].T]
    means = [saturation.mean(axis=1), saturation.std(axis=1), value.mean(axis=1), value.std(axis=1)]
    return np.stack([*shares, *deciles, *means], axis=1)


def _colourfulness(rgb: Floats) -> Floats:
    """M(3) of Hasler & Süsstrunk (2003), in units of the pixel range."""
    flat = rgb.reshape(len(rgb), -1, 3)
    first = flat[..., 0] - flat[..., 1]
    second = (flat[..., 0] + flat[..., 1]) / 2 - flat[..., 2]
    found: Floats = np.hypot(first.std(axis=1), second.std(axis=1)) + 0.3 * np.hypot(
        first.mean(axis=1), second.mean(axis=1)
    )
    return found


def _composition(saturation: Floats, value: Floats, grey: Floats) -> Floats:
    """Saturation, brightness and unrest in the middle and at the rim; symmetry."""
    unrest = np.hypot(*np.gradient(grey, axis=(1, 2)))
    side = grey.shape[1]
    middle = np.zeros((side, side), dtype=bool)
    middle[side // 4 : -side // 4, side // 4 : -side // 4] = True
    told = [
        part[:, where].mean(axis=1) for part in (saturation, value, unrest) for where in (middle, ~middle)
    ]
    contrasts = [told[0] - told[1], told[2] - told[3], told[4] - told[5]]
    mirrored = np.abs(grey - grey[:, :, ::-1]).mean(axis=(1, 2))
    ground = grey[:, ~middle].std(axis=1)
    return np.stack([*told, *contrasts, mirrored, ground], axis=1)


def _directions(grey: Floats) -> Floats:
    """Histograms of gradient directions: 4 x 4 cells x 8 directions, of length one over the image; strong edges."""
    down, across = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, across)
    bins = np.floor((np.arctan2(down, across) / np.pi % 1.0) * 8).astype(int) % 8
    n, side = len(grey), grey.shape[1] // 4
    cells = [_in_cells(np.where(bins == number, strength, 0.0), side) for number in range(8)]
    histogram = np.concatenate(cells, axis=1)
    length = np.sqrt((histogram**2).sum(axis=1, keepdims=True)) + 1e-3
    strong = (strength.reshape(n, -1) > 0.1).mean(axis=1, keepdims=True)
    return np.concatenate([histogram / length, strong, length], axis=1)


def _in_cells(values: Floats, side: int) -> Floats:
    """Means over square cells: n x cells."""
    n, height, width = values.shape
    cells = values.reshape(n, height // side, side, width // side, side).mean(axis=(2, 4))
    return np.asarray(cells.reshape(n, -1))


class _Learnt:
    """A network of PyTorch: no gradient, no randomness, nothing fetched. `whole` is what its weights belong to."""

    def __init__(
        self, name: str, side: int, whole: Any, tower: Any, mean: Sequence[float], deviation: Sequence[float]
    ) -> None:
        self.name, self.side, self.whole = name, side, whole
        whole.eval()
        self._network = tower
        self._mean, self._deviation = np.asarray(mean), np.asarray(deviation)

    def encode(self, images: Pixels) -> Floats:
        """See `Encoder`."""
        import torch

        scaled = (images / 255.0 - self._mean) / self._deviation
        batches: Iterator[Any] = iter(torch.from_numpy(scaled.transpose(0, 3, 1, 2)).float().split(32))
        with torch.no_grad():
            points = [self._network(batch).flatten(1).double().numpy() for batch in batches]
        return np.concatenate(points)


def _timm(model: str, weights: str) -> Encoder:
    import timm
    import torch

    torch.manual_seed(0)  # a model without weights is still the same one every time
    network = timm.create_model(model, pretrained=False, num_classes=0)
    if weights:
        network.load_state_dict(_weights(weights), strict=False)
    config = timm.data.resolve_model_data_config(network)
    return _Learnt(f"timm:{model}", config["input_size"][-1], network, network, config["mean"], config["std"])


def _open_clip(model: str, weights: str) -> Encoder:
    import open_clip
    import torch

    torch.manual_seed(0)
    network = open_clip.create_model(model, pretrained=None)
    if weights:
        network.load_state_dict(_weights(weights))
    tower = network.visual
    side = tower.image_size if isinstance(tower.image_size, int) else tower.image_size[0]
    mean = tower.image_mean or open_clip.OPENAI_DATASET_MEAN
    return _Learnt(
        f"open_clip:{model}", side, network, tower, mean, tower.image_std or open_clip.OPENAI_DATASET_STD
    )


def _weights(file: str) -> Any:
    """The weights of a local file; of a file that is not safetensors, only what PyTorch can load without code."""
    if file.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(file)
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)


_LEARNT: dict[str, Callable[[str, str], Encoder]] = {"timm": _timm, "open_clip": _open_clip}

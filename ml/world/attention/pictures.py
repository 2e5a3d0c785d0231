"""A picture of each product, on which its appeal can partly be seen.

An appealing product is shown in stronger colour before a calmer and brighter ground, better centred, with less clutter
and a rim of light; hue, shape and grain say nothing. Pixels are drawn from the seed, so equal worlds have equal bytes.
"""

from __future__ import annotations

import base64
import io
from functools import cache

import numpy as np
from numpy.random import Generator

from ml.world.arrays import Floats
from ml.world.seeds import Stream, generator

SIDE = 48
_FAITH = 0.8  # correlation of what can be seen with the appeal
_SHAPES = 5
_GRAIN = 6.0  # standard deviation of the noise, in levels of 256
_LEVELS = 8  # colours are rounded to multiples of this, which keeps the files small


def picture_uri(seed: int, product: int, appeal: float, category: int, view: int = 0) -> str:
    """`data:image/png;base64,…` of a product; each `view` is another photograph of it."""
    look = generator(seed, Stream.PICTURES, product)
    seen = _FAITH * appeal + np.sqrt(1 - _FAITH**2) * look.normal()
    colour = _colour(look.random(), np.clip(0.5 + 0.2 * seen, 0.05, 1.0), 0.85)
    shutter = generator(seed, Stream.PICTURES, product, view + 1)
    return "data:image/png;base64," + base64.b64encode(_png(_draw(seen, colour, category, shutter))).decode()


def _draw(seen: float, colour: Floats, category: int, rng: Generator) -> Floats:
    """Red, green and blue of each pixel, 0 to 255 (SIDE x SIDE x 3)."""
    ground = _colour(
        rng.random(), np.clip(0.25 - 0.08 * seen, 0.0, 0.6), np.clip(0.7 + 0.08 * seen, 0.3, 0.95)
    )
    pixels = np.broadcast_to(ground, (SIDE, SIDE, 3)) * (1 - 0.25 * _grid()[1][..., None] * rng.random())
    pixels = _cluttered(pixels, rng.poisson(np.exp(0.9 - 0.5 * seen)), rng)
    shape = _shape(category % _SHAPES, rng.normal(0.0, 0.22 * np.exp(-0.4 * seen), 2), rng.uniform(0.5, 0.7))
    pixels = np.where(shape[..., None] < 1.0, colour * (1.15 - 0.3 * shape[..., None]), pixels)
    rim = np.clip(0.5 + 0.35 * seen, 0.0, 1.2) * np.exp(-((shape[..., None] - 0.95) ** 2) / 0.004)
    pixels = pixels + 90 * rim + rng.normal(0.0, _GRAIN, (SIDE // 4, SIDE // 4, 1)).repeat(4, 0).repeat(4, 1)
    drawn: Floats = np.clip(np.round(pixels / _LEVELS) * _LEVELS, 0, 255)
    return drawn


def _cluttered(pixels: Floats, things: int, rng: Generator) -> Floats:
    """Rectangles of dull colours behind the product."""
    scene = pixels.copy()
    for top, left, height, width, shade in rng.random((things, 5)):
        rows = slice(int(top * SIDE), int((top + 0.1 + 0.3 * height) * SIDE))
        columns = slice(int(left * SIDE), int((left + 0.1 + 0.3 * width) * SIDE))
        scene[rows, columns] = _colour(shade, 0.3, 0.35 + 0.4 * shade)
    return scene


def _shape(kind: int, centre: Floats, radius: float) -> Floats:
    """Distance of each pixel from the middle of the product; below 1 inside it."""
    across, down = _grid()
    x, y = (2 * across - 1 - centre[0]) / radius, (2 * down - 1 - centre[1]) / radius
    shapes: tuple[Floats, ...] = (
        np.hypot(x, y),
        np.maximum(abs(x), abs(y)),
        abs(x) + abs(y),
        np.maximum(abs(x) * 1.8, abs(y)),
        np.hypot(x, y) * (1 + 0.25 * np.cos(5 * np.arctan2(y, x))),
    )
    return shapes[kind]


@cache
def _grid() -> tuple[Floats, Floats]:
    """Share of the width and of the height at each pixel's middle."""
    steps = (np.arange(SIDE) + 0.5) / SIDE
    return np.tile(steps, (SIDE, 1)), np.tile(steps[:, None], (1, SIDE))


def _colour(hue: float, saturation: float, value: float) -> Floats:
    """Hue, saturation and value (0 to 1) as red, green and blue (0 to 255), after Smith (1978)."""
    turns = (hue * 6 + np.array([0.0, 4.0, 2.0])) % 6
    shade = np.clip(np.abs(turns - 3) - 1, 0, 1)
    return np.asarray(255 * value * (1 - saturation + saturation * shade))


def _png(pixels: Floats) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(written, format="PNG", compress_level=6)
    return written.getvalue()

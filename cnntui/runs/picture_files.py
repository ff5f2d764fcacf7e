"""Picture files made what a picture of a data set is: its channels, its size, light on dark where digits are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnntui.core.layers import Shape
from cnntui.core.windows import Array
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import DIGITS

# Named, so that no decoder runs that starts another program (EPS) or that nobody would miss.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
ON_BLACK = (*DIGITS, "fashion-mnist")  # what is around their pictures is 0

Background = tuple[int, ...] | None


class PictureError(Exception):
    """Why a file is no picture, in one line."""


def picture_for(how: Preparation, path: Path, invert: bool | None = None) -> tuple[Array, bool]:
    """A file as a picture of the data that a net was trained on: see `read_picture`.

    Raises:
        PictureError: when it is no picture.
    """
    return read_picture(path, how.picture or how.input, background_of(how), invert, how.data in DIGITS)


def background_of(how: Preparation) -> Background:
    """What is around a picture of the data, by channel; None for those from a directory: they fill their frame."""
    return None if how.from_files else ground_of(how)


def ground_of(how: Preparation) -> tuple[int, ...]:
    """What is least of a picture of the data, 0..255 by channel: black behind digits, else the mean of the data."""
    if how.data in ON_BLACK or not how.mean:
        return (0,) * (how.picture or how.input)[0]
    return tuple(round(255 * value) for value in how.mean)


def read_picture(
    path: Path, shape: Shape, background: Background = None, invert: bool | None = None, digits: bool = False
) -> tuple[Array, bool]:
    """A file as (C, h, w) uint8, and whether it was inverted. It keeps its proportions.

    Args:
        path: of the file.
        shape: (C, h, w); one channel makes it grey.
        background: what is around it, by channel; None lets it fill its frame, and what goes beyond is cut off.
        invert: None where it is to be seen: then digits are that stand dark on light.
        digits: whether it is one.

    Raises:
        PictureError: when it is no picture.
    """
    image = opened(path, "L" if shape[0] == 1 else "RGB")
    flip = digits and is_light_outside(image) if invert is None else invert
    pixels = np.array(_framed(ImageOps.invert(image) if flip else image, shape, background))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(pixels, -1, 0)), flip


def _framed(image: Image.Image, shape: Shape, background: Background) -> Image.Image:
    _, height, width = shape
    if image.size == (width, height):
        return image
    if background is None:
        return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    # As the training pictures: smaller by averaging areas, larger by interpolation.
    image = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    frame = Image.new(image.mode, (width, height), background if len(background) > 1 else background[0])
    frame.paste(image, ((width - size[0]) // 2, (height - size[1]) // 2))
    return frame


def opened(path: Path, mode: str) -> Image.Image:
    """A picture file in a mode, upright, and on paper where it is transparent.

    Raises:
        PictureError: with the path and what is wrong.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
                image = Image.fromarray((np.asarray(image, dtype=float) / 257).round().clip(0, 255).astype(np.uint8))
            return (on_paper(image) if image.has_transparency_data else image).convert(mode)
    except UnidentifiedImageError:
        raise PictureError(f"{path}: no picture that Pillow can read") from None
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # a broken file makes a decoder raise anything at all
        raise PictureError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None


def on_paper(image: Image.Image) -> Image.Image:
    """A transparent picture on white; on black where what is seen of it is light itself."""
    clear = image.convert("RGBA")
    grey, alpha = (np.asarray(part, dtype=float) for part in (clear.convert("L"), clear.getchannel("A")))
    is_light = (grey * alpha).sum() > 127.5 * alpha.sum()
    paper = Image.new("RGBA", clear.size, "black" if is_light else "white")
    return Image.alpha_composite(paper, clear)


def is_light_outside(image: Image.Image) -> bool:
    """Whether the outermost pixels are light, on the average."""
    pixels = np.asarray(image.convert("L"), dtype=float)
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return bool(border.mean() > 127.5)

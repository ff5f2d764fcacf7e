"""A function for a net's program that makes the net's input of pictures, as the trainer did."""

from __future__ import annotations

from collections.abc import Iterator

from cnntui.core.layers import Shape
from cnntui.labs.program.text import INDENT, wrapped
from cnntui.runs.preparation import Preparation


def prepare(how: Preparation) -> str:
    """The source of `prepare(pictures)`; empty where not all of it is known."""
    if how.picture is None or not how.is_known:
        return ""
    return "\n".join(_lines(how, how.picture))


def _lines(how: Preparation, picture: Shape) -> Iterator[str]:
    channels, height, width = picture
    taken = ", ".join(map(str, ("batch", *picture)))
    given = ", ".join(map(str, ("batch", *how.input)))
    yield "def prepare(pictures: torch.Tensor) -> torch.Tensor:"
    yield f'{INDENT}"""uint8 pictures ({taken}) -> the net\'s input, float32 ({given}).'
    yield ""
    yield from (f"{INDENT}{line}" for line in wrapped(_of(how, height, width)))
    yield f'{INDENT}"""'
    yield f"{INDENT}if pictures.shape[1:] != {picture} or pictures.dtype != torch.uint8:"
    yield f'{INDENT * 2}given = f"{{pictures.dtype}} {{tuple(pictures.shape)}}"'
    yield f'{INDENT * 2}raise ValueError(f"{{given}} are not uint8 ({taken})")'
    yield f"{INDENT}x = pictures.float()"
    grow = f'x, scale_factor={how.factor}, mode="bilinear", align_corners=False'
    if how.factor > 1:
        yield f"{INDENT}x = nn.functional.interpolate({grow})"
    if how.area:
        yield f'{INDENT}x = nn.functional.interpolate(x, size={how.area}, mode="area")'
    if any(how.border):
        yield f"{INDENT}x = nn.functional.pad(x, {how.border})  # zeros: left, right, top, bottom"
    for name, values in (("mean", how.mean), ("deviation", how.deviation)):
        numbers = ", ".join(f"{value:.9g}" for value in values)  # all that a float32 holds
        yield f"{INDENT}{name} = torch.tensor([{numbers}]).view(-1, 1, 1).to(x)"
    yield f"{INDENT}x = (x / 255 - mean) / deviation"
    yield f"{INDENT}return x" + (f".expand(-1, {how.input[0]}, -1, -1)" if channels < how.input[0] else "")


def _of(how: Preparation, height: int, width: int) -> str:
    """What pictures it takes."""
    of = f"Pictures like those of {how.data}: 0 to 255."
    if how.from_files:
        of += (
            f" From files: upright, scaled until they fill {height}×{width}, then cut about the centre, as "
            f"PIL.ImageOps.fit(image, ({width}, {height}), PIL.Image.Resampling.BICUBIC) does."
        )
    return of

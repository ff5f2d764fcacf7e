"""An answer that is typed as what it comes from: 224*224*3, (784 + 1) · 10."""

from __future__ import annotations

import re
from typing import Any

from cnntui.labs.lessons.expressions import parse
from cnntui.labs.stages import Index, WordsError

RECKONED = re.compile(r"[-+*/().,0-9×·]{1,200}")
THOUSANDS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9,])")  # 0,125 is no thousand


class _NoNames:
    """The scope of what is typed."""

    def named(self, path: str, index: Index) -> Any:
        raise WordsError(f"{path} is no number")

    def called(self, function: str, arguments: tuple[Any, ...], path: str, index: Index) -> Any:
        raise WordsError(f"{function} is no number")


def reckoned(text: str) -> float | None:
    """The value of sums, products and brackets of plain numbers; None when it is no such thing."""
    if not RECKONED.fullmatch(text):
        return None
    plain = THOUSANDS.sub(lambda match: match.group().replace(",", ""), text).replace("×", "*").replace("·", "*")
    try:
        return float(parse(plain).value(_NoNames()))
    except (WordsError, OverflowError):
        return None

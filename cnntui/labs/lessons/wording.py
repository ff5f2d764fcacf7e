"""Words of a lesson with figures in braces, and moves that name what the lesson has trained."""

from __future__ import annotations

import re
from pathlib import Path

from cnntui.labs.lessons.document import LessonError
from cnntui.labs.lessons.figures import parse_figure
from cnntui.labs.lessons.tasks import Filling, Text
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import WordsError, nearest

BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
STRAY = {
    "{": "{ is never closed: write } behind what is to be computed, or {{ for a brace",
    "}": "} without its {: write }} for a brace",
}


def read_text(text: str, path: Path, line: int) -> Text:
    """Words that begin in a line of a file, with what stands in braces read; `{{` is a brace.

    Raises:
        LessonError: naming the line.
    """
    parts: list[str | Filling] = []
    at, number = 0, line
    for match in BRACES.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        number += text.count("\n", at, match.start())
        at = match.end()
        if match.group() in STRAY:
            raise LessonError(path, number, STRAY[match.group()])
        if match.group(1) is None:
            parts.append(match.group()[0])
            continue
        try:
            inside = " ".join(match.group(1).split())
            parts.append(Filling(*parse_figure(inside), inside, number))
        except WordsError as error:
            raise LessonError(path, number, error) from None
    return Text((*parts, text[at:]) if at < len(text) else tuple(parts))


def known_recipe(move: str, recipes: Recipes) -> str:
    """What is wrong with a move that names a run or a sweep which the lesson has not; empty when nothing is."""
    verb, *names = move.split()
    for verbs, kind, known in (
        (("run", "watch"), "run", recipes.runs),
        (("sweep",), "sweep", recipes.sweeps),
    ):
        if verb in verbs and names and names[0] not in known:
            there = nearest(names[0], known) if known else f"the lesson has none: write [{kind}s.{names[0]}]"
            return f"no {kind} is called {names[0]!r}; {there}"
    return ""

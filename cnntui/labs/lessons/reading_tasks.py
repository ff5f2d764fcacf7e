"""A task's block made a task."""

from __future__ import annotations

import math
import re
from typing import Any

from cnntui.labs.lessons.document import LessonError, Toml, read_id, short
from cnntui.labs.lessons.expressions import Expression, Literal, parse
from cnntui.labs.lessons.lesson import AnyTask
from cnntui.labs.lessons.tasks import COMPARISONS, SIZES, Check, Choice, Doing, Number, Slip, Text
from cnntui.labs.lessons.wording import known_recipe, read_text
from cnntui.labs.recipes import Recipes
from cnntui.labs.stages import STAGES, WordsError, nearest

EVERY = ("id", "ask", "hint", "hints")
KINDS = {
    "check": ("check", "solution", "wrong", "show"),
    "choices": ("choices", "right", "replies"),
    "number": ("number", "tolerance", "unit", "slips", "reply"),
}
SAME_AS = "same_as"
EXAMPLE = f'a check is like {{ fact = "stride", is = 2 }}, with {", ".join((*COMPARISONS, SAME_AS))}'
SLIP = 'a slip is like { number = "fc.weights", say = "the biases count, too" }'


def read_task(source: Toml, screen: str, recipes: Recipes) -> AnyTask:
    """A task on a page with that screen (empty: with none), in a lesson with these runs and sweeps.

    Raises:
        LessonError: naming file and line.
    """
    return _Reader(source, recipes).task(screen)


class _Reader:
    """One task."""

    def __init__(self, source: Toml, recipes: Recipes) -> None:
        self.source, self.data, self.recipes = source, source.data, recipes

    def error(self, what: object, *key: str | int) -> LessonError:
        return self.source.error(what, *key)

    def task(self, screen: str) -> AnyTask:
        kind = next((key for key in KINDS if key in self.data), None)
        if kind is None:
            raise self.error("a task has check = [...], or choices = [...], or number = ...")
        allowed = (*EVERY, *KINDS[kind])
        for key in self.data:
            if key not in allowed:
                raise self.error(f"unknown key {key!r} in a task with {kind}; {nearest(key, allowed)}", key)
        for key in ("id", "ask"):
            if not (isinstance(self.data.get(key), str) and self.data[key].strip()):
                raise self.error(f'{key} is missing in the task: write {key} = "..."', key)
        if kind == "check" and not screen:
            raise self.error(f"a check needs a screen on its page: a block called {', '.join(STAGES)}", "check")
        every = {
            "id": read_id(self.source),
            "ask": self.words("ask"),
            "hints": self.hints(kind),
            "keys": self.source.keys,
        }
        if kind == "check":
            return self.doing(every)
        return self.choice(every) if kind == "choices" else self.number(every)

    def hints(self, kind: str) -> tuple[Text, ...]:
        if "hint" in self.data and "hints" in self.data:
            raise self.error("hint and hints: write one of them", "hint")
        if "hint" in self.data:
            return (self.words("hint"),)
        hints = self.list_of_words("hints")
        if not hints and kind != "choices":
            raise self.error('hint = "..." is missing in the task, or hints = ["...", "..."]', "hints")
        return hints

    # -- something done

    def doing(self, every: dict[str, Any]) -> Doing:
        written = self.data["check"]
        if not (isinstance(written, list) and written):
            raise self.error(f"check is a list of what must hold, at least one: {EXAMPLE}", "check")
        checks = tuple(self.check(one, at) for at, one in enumerate(written))
        if not self.data.get("solution"):
            raise self.error('solution = ["move", ...] is missing in the task: the moves that do it', "solution")
        wrong = self.data.get("wrong", [])
        if not isinstance(wrong, list):
            raise self.error('wrong is a list of lists of moves: wrong = [["stride 3"]]', "wrong")
        ways = tuple(self.moves("wrong", at) for at in range(len(wrong)))
        return Doing(**every, checks=checks, solution=self.moves("solution"), wrong=ways)

    def moves(self, *key: str | int) -> tuple[str, ...]:
        moves: Any = self.data
        for part in key:
            moves = moves[part]
        if not (isinstance(moves, list) and moves):
            like = '["stride 2"]' if len(key) == 1 else '[["stride 2"], ["stride 3", "padding 1"]]'
            what = "a list of moves" if len(key) == 1 else "a list of lists of moves"
            raise self.error(f"{key[0]} is {what}, each in quotes: {key[0]} = {like}", *key)
        for at, move in enumerate(moves):
            if not (isinstance(move, str) and move.strip()):
                raise self.error(f'{short(move)} is no move in quotes, such as "stride 2"', *key, at)
            if what := known_recipe(move, self.recipes):
                raise self.error(what, *key, at)
        return tuple(moves)

    def check(self, written: object, at: int) -> Check:
        if not isinstance(written, dict) or "fact" not in written:
            raise self.error(EXAMPLE, "check", at)
        rest = [key for key in written if key not in ("fact", "say")]
        unknown = next((key for key in rest if key not in (*COMPARISONS, SAME_AS)), None)
        if unknown is not None:
            near = nearest(unknown, (*COMPARISONS, SAME_AS, "fact", "say"))
            raise self.error(f"no comparison is called {unknown!r}; {near}", "check", at, unknown)
        if len(rest) != 1:
            raise self.error(f"{len(rest)} comparisons of {short(written['fact'])}: write one; {EXAMPLE}", "check", at)
        (how,) = rest
        compared = self.compared(written[how], how, at)
        fact = self.expression(written["fact"], "check", at, "fact")
        said = self.words("check", at, "say") if "say" in written else Text()
        return Check(fact, "is" if how == SAME_AS else how, compared, said)

    def compared(self, value: object, how: str, at: int) -> Expression:
        """What is compared with: as it is; but how much it is at least or at most may be an expression in quotes."""
        if how == SAME_AS or (how in SIZES and isinstance(value, str)):
            return self.expression(value, "check", at, how)
        if isinstance(value, list) and value and all(type(n) is int for n in value):
            if how not in SIZES:
                return Literal(tuple(value))  # type: ignore[arg-type]  # a shape
        elif isinstance(value, str | bool | int | float):
            number = not isinstance(value, str | bool)
            if (number and math.isfinite(value)) or (not number and how not in SIZES):  # type: ignore[arg-type]
                return Literal(value)
        takes = "a number, or an expression in quotes" if how in SIZES else "a number, a text, true, false or [H, W]"
        raise self.error(f"{how} = {short(value)}: {how} takes {takes}", "check", at, how)

    # -- questions

    def choice(self, every: dict[str, Any]) -> Choice:
        choices, replies = self.list_of_words("choices"), self.list_of_words("replies")
        if not 2 <= len(choices) <= 9:
            raise self.error(f"{len(choices)} choices: give 2 to 9", "choices")
        right = self.data.get("right")
        places: list[Any] = right if isinstance(right, list) else [right]
        if not places or not all(type(place) is int and 1 <= place <= len(choices) for place in places):
            what = "right is missing" if right is None else f"right = {short(right)}"
            raise self.error(
                f"{what}: write the number of the right choice, 1 to {len(choices)}, or a list of them", "right"
            )
        if len(replies) != len(choices):
            what = f"{len(replies)} replies for {len(choices)} choices: say to each why it is right, or not"
            raise self.error(what, "replies")
        return Choice(**every, choices=choices, right=frozenset(place - 1 for place in places), replies=replies)

    def number(self, every: dict[str, Any]) -> Number:
        tolerance, relative = self.data.get("tolerance", 0), False
        if isinstance(tolerance, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)? ?%", tolerance):
            tolerance, relative = float(tolerance.rstrip("% ")) / 100, True
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf:
            raise self.error(f'tolerance = {short(tolerance)} is no number, nor a share such as "1 %"', "tolerance")
        slips = self.data.get("slips", [])
        if not isinstance(slips, list):
            raise self.error(f"slips is a list: {SLIP}", "slips")
        return Number(
            **every,
            answer=self.expression(self.data["number"], "number"),
            tolerance=float(tolerance),
            relative=relative,
            unit=self.source.text("unit"),
            slips=tuple(self.slip(one, at) for at, one in enumerate(slips)),
            reply=self.words("reply") if "reply" in self.data else Text(),
        )

    def slip(self, written: object, at: int) -> Slip:
        if not (isinstance(written, dict) and written.keys() == {"number", "say"}):
            raise self.error(SLIP, "slips", at)
        return Slip(self.expression(written["number"], "slips", at, "number"), self.words("slips", at, "say"))

    # -- words

    def expression(self, written: object, *key: str | int) -> Expression:
        if isinstance(written, bool) or not isinstance(written, str | int | float):
            raise self.error(f"{key[-1]} = {short(written)} is no expression in quotes", *key)
        try:
            return parse(str(written))
        except WordsError as error:
            raise self.error(error, *key) from None

    def list_of_words(self, key: str) -> tuple[Text, ...]:
        written = self.data.get(key, [])
        if not isinstance(written, list):
            raise self.error(f'{key} is a list of texts: {key} = ["...", "..."]', key)
        return tuple(self.words(key, at) for at in range(len(written)))

    def words(self, *key: str | int) -> Text:
        written: Any = self.data
        for part in key:
            written = written[part]
        if not isinstance(written, str):
            raise self.error(f"{short(written)} is no text in quotes", *key)
        return read_text(" ".join(written.split()), self.source.path, self.source.line(*key))

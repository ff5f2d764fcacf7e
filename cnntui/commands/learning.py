"""Lessons, and the machine they run on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnntui.commands.common import fail, open_app, print_json

if TYPE_CHECKING:
    from cnntui.labs.lessons.course import Course
    from cnntui.labs.lessons.lesson import Lesson


def _opened(name: str | None) -> tuple[Course, Lesson | None]:
    from cnntui.labs.lessons.course import open_course
    from cnntui.labs.lessons.document import LessonError

    try:
        return open_course(name)
    except LessonError as error:
        fail(error)
    except KeyError as error:
        fail(error.args[0])


@click.command()
@click.argument("lesson", required=False)
def learn(lesson: str | None) -> None:
    """The Learn screen, on LESSON: a name or a number from cnntui lessons, a file, or a folder of lessons."""
    course, found = _opened(lesson)
    open_app("learn", course=course, lesson=found)


@click.command()
@click.argument("course", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document: each lesson, and how each of its tasks went.")
@click.option("--check", is_flag=True, help="Play every task in the app: at its start, with wrong answers, and solved.")
@click.option("--words", metavar="SCREEN", help="What a lesson can say of a screen: its moves, facts and controls.")
def lessons(course: str | None, as_json: bool, check: bool, words: str | None) -> None:
    """The lessons and how far you are; COURSE is a folder of lessons or a lesson, else cnntui's own."""
    if words is not None:
        _words(words, as_json)
        return
    opened, lesson = _opened(course)
    if lesson is not None and len(opened.lessons) > 1:
        from dataclasses import replace

        opened = replace(opened, lessons=(lesson,))
    if check:
        _check(opened, as_json)
        return
    from cnntui.labs.lessons.progress import results

    rows = results(opened)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        number = row["number"] or ""
        click.echo(f"{number:>3}  {row['id']:<28} {row['done']}/{row['tasks']} tasks  {row['title']}")


def _check(course: Course, as_json: bool) -> None:
    """Play it, a line a lesson."""
    import asyncio

    from cnntui.labs.lessons.document import LessonError
    from cnntui.labs.lessons.lesson import rehearse
    from cnntui.ui.lesson_check import check_course

    for lesson in course.lessons:
        try:
            rehearse(lesson)
        except LessonError as error:
            fail(error)
    found: list[dict[str, object]] = []
    out, err = sys.stdout, sys.stderr  # which the app takes while it runs

    def tell(lesson: Lesson, problems: list[str], seconds: float) -> None:
        found.append({"id": lesson.id, "number": lesson.number, "tasks": len(lesson.tasks), "problems": problems})
        if as_json:
            return
        mark = "✗" if problems else "✓"
        click.echo(
            f"{mark} {lesson.name}: {len(lesson.tasks)} task{'s' * (len(lesson.tasks) != 1)}, {seconds:.1f} s", file=out
        )
        for problem in problems:
            click.echo(f"    {problem}", file=err)

    asyncio.run(check_course(course, tell))
    if as_json:
        print_json(found)
    if any(row["problems"] for row in found):
        sys.exit(1)


def _words(screen: str, as_json: bool) -> None:
    """A screen's vocabulary."""
    import json

    from cnntui.labs.stages import WordsError, stage

    def at_first(name: str) -> str:
        """A fact's value as the screen begins, as a lesson writes it; nothing where it has none then."""
        try:
            value = found.fact(found.start(), name, ())
        except WordsError:
            return ""
        return f" (at first {json.dumps(value, ensure_ascii=False)})" if value is not None else ""

    try:
        found = stage(screen)
    except WordsError as error:
        fail(error)
    if as_json:
        moves = {verb: {"arguments": move.arguments, "about": move.about} for verb, move in found.moves.items()}
        print_json({"screen": screen, "moves": moves, "facts": dict(found.facts), "controls": list(found.controls)})
        return
    click.echo(f"{screen}: {found.about}\n\nmoves")
    width = max(len(f"{verb} {move.arguments}") for verb, move in found.moves.items())
    for verb, move in found.moves.items():
        click.echo(f"  {f'{verb} {move.arguments}'.strip():<{min(width, 40)}}  {move.about}")
    click.echo("\nfacts")
    for name, about in found.facts.items():
        click.echo(f"  {name:<24}  {about.rstrip(',')}{at_first(name)}")
    click.echo(f"\ncontrols\n  {', '.join(found.controls) or 'none'}")


@click.command()
def doctor() -> None:
    """What works here, what does not, and what to do."""
    from cnntui.labs.doctor import checks

    for check in checks():
        mark = click.style("ok  ", fg="green") if check.ok else click.style("look", fg="yellow")
        click.echo(f"{mark}  {check.name:<12} {check.found}" + (f"\n{'':19}{check.advice}" if check.advice else ""))

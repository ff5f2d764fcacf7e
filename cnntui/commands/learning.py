"""Lessons, and the machine they run on."""

from __future__ import annotations

import sys

import click

from cnntui.commands.common import fail, open_app, print_json


@click.command()
@click.argument("lesson", required=False)
def learn(lesson: str | None) -> None:
    """The Learn screen, on LESSON: a name from cnntui lessons, or a file."""
    from cnntui.labs.lesson import LessonError, find_lesson

    try:
        found = find_lesson(lesson)
    except LessonError as error:
        fail(error)
    open_app("learn", lesson=found)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--check", is_flag=True, help="Play every lesson's own solutions, and fail if a task does not pass.")
def lessons(as_json: bool, check: bool) -> None:
    """The lessons, and how far you are."""
    from cnntui.labs.lesson import LessonError, check_lesson, load_lessons
    from cnntui.labs.progress import done_tasks

    try:
        found = load_lessons()
    except LessonError as error:
        fail(error)
    problems = {lesson.id: check_lesson(lesson) for lesson in found} if check else {}
    rows = [
        {
            "id": lesson.id,
            "number": lesson.number,
            "title": lesson.title,
            "minutes": lesson.minutes,
            "tasks": len(lesson.tasks),
            "done": len(done_tasks(lesson.id) & {task.id for task in lesson.tasks}),
        }
        | ({"problems": problems[lesson.id]} if check else {})
        for lesson in found
    ]
    if as_json:
        print_json(rows)
    else:
        for line in rows:
            click.echo(f"{line['number']:>3}  {line['id']:<20} {line['done']}/{line['tasks']} tasks  {line['title']}")
            for problem in problems.get(str(line["id"]), ()):
                click.echo(f"     {problem}", err=True)
    if any(problems.values()):
        sys.exit(1)


@click.command()
def doctor() -> None:
    """What works here, what does not, and what to do."""
    from cnntui.labs.doctor import checks

    for check in checks():
        mark = click.style("ok  ", fg="green") if check.ok else click.style("look", fg="yellow")
        click.echo(f"{mark}  {check.name:<12} {check.found}" + (f"\n{'':19}{check.advice}" if check.advice else ""))

"""Whether tasks can be done, and only done: each is tried from its start, with wrong answers, and as it should be.

In words: on the stages that need nothing from outside. `cnntui lessons --check` tries all of them in the real app.
"""

from __future__ import annotations

from cnntui.core.arithmetic import number
from cnntui.labs.lessons.expressions import in_words
from cnntui.labs.lessons.lesson import Lesson
from cnntui.labs.lessons.scope import LessonScope
from cnntui.labs.lessons.tasks import Choice, Doing, Number


def trials(lesson: Lesson) -> list[str]:
    """What is wrong, a line each; pages that need more than words are left out.

    Raises:
        WordsError: when a move or a fact is not allowed; `rehearse` finds these before, with their lines.
    """
    problems: list[str] = []
    for page in lesson.pages:
        match page.task:
            case Doing() as task if page.is_pure:
                problems += doing_trials(task, lesson.scope(page))
            case Choice() | Number() as task:
                problems += answer_trials(task, lesson.scope(page))
    return [f"{lesson.path.name}: {problem}" for problem in problems]


def doing_trials(task: Doing, scope: LessonScope) -> list[str]:
    """What is wrong with a task on a stage that begins as `scope` says."""

    def after(moves: tuple[str, ...]) -> str | None:
        state = scope.state
        for move in moves:
            state = scope.stage.play(state, move) if scope.stage else state
        return task.problem(scope.on(scope.stage, state))

    return verdicts(task, after(()), [after(moves) for moves in task.wrong], after(task.solution))


def verdicts(task: Doing, start: str | None, wrong: list[str | None], solved: str | None) -> list[str]:
    """What is wrong, of what the task said at its start, after the wrong moves, and after the solution."""
    problems = []
    if start is None:
        problems.append(f"task {task.id} (line {task.line}) passes at the start: nothing needs to be done")
    for moves, problem in zip(task.wrong, wrong, strict=True):
        if problem is None:
            problems.append(f"task {task.id} (line {task.line}) passes with what is wrong: {'; '.join(moves)}")
    if not task.wrong:
        problems.append(f"task {task.id} (line {task.line}) has no wrong = [[...]]: name moves that must not pass")
    if solved is not None:
        problems.append(f"task {task.id} (line {task.line}): the solution does not pass: {solved}")
    return problems


def answer_trials(task: Choice | Number, scope: LessonScope) -> list[str]:
    """What is wrong with a question: an answer that passes and is not the one, or the one that does not pass."""
    problems = []
    if isinstance(task, Choice):
        for place in range(len(task.choices)):
            if frozenset([place]) != task.right and task.problem(frozenset([place]), scope) is None:
                problems.append(f"choice {place + 1} passes and is wrong")
        if task.problem(frozenset(), scope) is None or task.problem(task.right, scope) is not None:
            problems.append("no answer passes, or the right one does not")
    else:
        wanted = task.wanted(scope)
        if wanted is None:
            return []  # it comes of a training: the app tries it
        beyond = 2 * task.margin(wanted) + 1
        typed = {"": False, "none": False, number(wanted): True, in_words(wanted): True}  # the last is how it is shown
        typed |= {number(wanted + beyond): False, number(wanted - beyond): False}
        if task.tolerance == 0 and wanted != int(wanted):
            problems.append(f"the answer is {wanted}: say how near is right with tolerance = ...")
        for text, passes in typed.items():
            if (task.problem(text, scope) is None) != passes:
                problems.append(f"the answer {text!r} {'does not pass' if passes else 'passes'}")
        for slip in task.slips:
            led = slip.value(scope)
            if led is not None and abs(led - wanted) <= task.margin(wanted):
                problems.append(f"the slip {number(led)} is the right answer")
    return [f"task {task.id} (line {task.line}): {problem}" for problem in problems]

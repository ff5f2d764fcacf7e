"""Answers as people type them, checks in words, and tasks that cannot be done, or need not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cnntui.labs.lessons.expressions import Literal, parse
from cnntui.labs.lessons.keys import Keys
from cnntui.labs.lessons.lesson import Lesson, rehearse
from cnntui.labs.lessons.reading import read_lesson
from cnntui.labs.lessons.scope import LessonScope, played
from cnntui.labs.lessons.tasks import Check, Choice, Doing, Number, Slip, Text, typed_number
from cnntui.labs.lessons.trial import trials
from cnntui.labs.lessons.wording import read_text
from cnntui.labs.stages import WordsError, stage

MINUS = "−"
NOWHERE = LessonScope()


def on(screen: str, moves: str = "") -> LessonScope:
    found = stage(screen)
    return LessonScope(stage=found, state=played(found, found.start(), moves))


def words(text: str) -> Text:
    return read_text(text, Path("a.md"), 1)


# -- numbers


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("1792", 1792),
        ("1,792", 1792),
        (" 138,357,544 ", 138_357_544),
        ("1 792", 1792),
        ("−2", -2),
        ("-2", -2),
        ("+2", 2),
        ("− 2", -2),
        ("0.5", 0.5),
        (".5", 0.5),
        ("5.", 5),
        ("0", 0),
        ("007", 7),
        ("1/9", 1 / 9),
        ("-1 / 9", -1 / 9),
        ("1.5/3", 0.5),
        ("12 %", 0.12),
        ("12%", 0.12),
        ("1/4 %", 0.0025),
        ("2e6", 2_000_000),
        ("2E-3", 0.002),
        (f"1.00e{MINUS}05", 0.00001),
        ("1,792.5", 1792.5),
        ("3*3*64 + 64", 640),
        ("3 × 3 · 64", 576),
        ("(784 + 1) * 10", 7850),
        ("1,000 * 2 - 1", 1999),
        ("−2 * 3", -6),
        ("2**3", 8),
    ],
)
def test_numbers_as_people_type_them(typed: str, number: float) -> None:
    assert typed_number(typed) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "none", "1,2", "0,125", "1,79", "1,7920", "12,34,567", "1,000,00", ",5", "1.2.3", "1/0", "1/", "/2", "e5",
        "2e", "2e999", "0x10", "1_000", "٣", "²", "½", "nan", "inf", "%", "5 %%", "%5", ".", "-", "1" * 41, "1" * 40 + "abc",
        "9" * 5_000, "1e5/2e3", "1+", "(1", "2*1,7920", "2*0,125", "9**9**9", "1/0+1", "()", "1 = 1", "a*2", "5 px", "\0",
    ],
)  # fmt: skip
def test_what_is_no_number(typed: str) -> None:
    assert typed_number(typed) is None


def number_task(answer: str, **more: Any) -> Number:
    return Number(id="x", ask=words("?"), hints=(), keys=Keys(), answer=parse(answer), **more)


@pytest.mark.parametrize(
    ("task", "right", "wrong"),
    [
        (number_task("1792"), ["1792", "1,792", "1792.0", "3584/2"], ["1791", "1793", "1792.001", "", "x"]),
        (number_task("138357544"), ["138,357,544"], ["138,357,545", "138,357,500"]),
        (number_task("1/9", tolerance=0.005), ["1/9", "0.11", "0.1111", "0.116"], ["0.1", "0.12", "11"]),
        (number_task("0.1 + 0.2"), ["0.3"], ["0.30001"]),
        (number_task("2e-7"), ["2e-7", "0.0000002"], ["0", "3e-7"]),
        (number_task("1/4"), ["25 %", "0.25", "1/4"], ["25"]),
        (number_task("25", unit="%"), ["25", "25 %", "25%"], ["0.25", "24 %"]),
        (number_task("1792", unit="parameters"), ["1792", "1,792 parameters"], ["1792 biases", "parameters"]),
        (number_task("1000", tolerance=0.01, relative=True), ["1010", "990", "1000"], ["1011", "989"]),
        (number_task("-1000", tolerance=0.01, relative=True), ["−1010", "−990"], ["−1011", "1000"]),
        (number_task("0", tolerance=0.5), ["0.5", "−0.5", "0"], ["0.51"]),
        (number_task("0"), ["0", "0.0", "−0"], ["0.001"]),
    ],
)
def test_a_number_is_right_or_not(task: Number, right: list[str], wrong: list[str]) -> None:
    assert [typed for typed in right if task.problem(typed, NOWHERE) is not None] == []
    assert [typed for typed in wrong if task.problem(typed, NOWHERE) is None] == []


def test_what_is_said_to_a_wrong_number() -> None:
    slips = (
        Slip(parse("1728"), words("the biases count, too: {1792 - 1728} of them")),
        Slip(parse("1"), words("one?")),
    )
    task = number_task("1792", slips=slips)
    assert task.problem("1,728", NOWHERE) == "the biases count, too: 64 of them"
    assert task.problem("1", NOWHERE) == "one?"
    assert task.problem("1500", NOWHERE) == "1,500 is too small"
    assert task.problem("2000.5", NOWHERE) == "2,000.5 is too large"
    assert task.problem("−3", NOWHERE) == "−3 is too small"
    assert task.problem("1,2", NOWHERE) == "'1,2' is no number; write one like 1,792 or 0.5 or 1/9 or 12 % or 3*3*64"
    assert len(task.problem("9" * 900, NOWHERE) or "") < 100
    near = number_task("100", tolerance=10.0, slips=(Slip(parse("115"), words("a slip")),))
    assert near.problem("107", NOWHERE) is None and near.problem("112", NOWHERE) == "a slip"


def test_an_answer_that_is_not_known_or_is_none() -> None:
    assert number_task("output[90,90]").problem("5", on("convolve")) == (
        "the answer is not known yet: do first what the page asks for"
    )
    with pytest.raises(WordsError, match="the answer is 10×10, which is no number"):
        number_task("output.shape").problem("5", on("convolve", "picture seven"))
    with pytest.raises(WordsError, match="the slip is none, which is no number"):
        number_task("1", slips=(Slip(parse("activation"), words("")),)).problem("5", on("convolve"))


# -- choices


def choice(*right: int) -> Choice:
    replies = tuple(words(f"reply {place} of {{2 + 1}}") for place in range(3))
    return Choice(
        id="x", ask=words("?"), hints=(), keys=Keys(), choices=(words("a"), words("b"), words("c")), replies=replies,
        right=frozenset(right),
    )  # fmt: skip


def test_one_choice_of_several() -> None:
    task = choice(1)
    assert task.problem(frozenset([1]), NOWHERE) is None
    assert task.problem(frozenset([0]), NOWHERE) == "reply 0 of 3"
    assert task.problem(frozenset([1, 2]), NOWHERE) == "reply 2 of 3", "of what is wrong among them"
    assert task.problem(frozenset(), NOWHERE) == "choose an answer"
    assert task.reply(NOWHERE) == "reply 1 of 3"


def test_several_choices() -> None:
    task = choice(0, 2)
    assert task.problem(frozenset([0, 2]), NOWHERE) is None
    assert task.problem(frozenset([0, 1, 2]), NOWHERE) == "reply 1 of 3"
    assert "1 chosen" in (task.problem(frozenset([0]), NOWHERE) or "")
    assert task.reply(NOWHERE) == "reply 0 of 3 reply 2 of 3"


# -- checks


def check(fact: str, how: str, wanted: object, said: str = "") -> Check:
    compared = parse(wanted[1:]) if isinstance(wanted, str) and wanted[:1] == "=" else Literal(wanted)  # type: ignore[arg-type]
    return Check(parse(fact), how, compared, words(said) if said else Text())


SEVEN = "picture seven; kernel sobel-x; stride 2"  # 12×12, so 5×5 comes out
BUILT = "layers conv 8; relu; conv 8; input 1,28,28"


@pytest.mark.parametrize(
    ("screen", "moves", "found", "problem"),
    [
        ("convolve", SEVEN, check("stride", "is", 2), None),
        ("convolve", SEVEN, check("stride", "is", 2.0), None),
        ("convolve", SEVEN, check("stride", "is", 3), "the stride is 2; it should be 3"),
        ("convolve", SEVEN, check("stride", "is_not", 3), None),
        ("convolve", SEVEN, check("stride", "is_not", 2), "the stride is 2; it should be another than 2"),
        ("convolve", SEVEN, check("stride", "at_least", 2), None),
        ("convolve", SEVEN, check("stride", "at_least", 3), "the stride is 2; it should be at least 3"),
        ("convolve", SEVEN, check("stride", "at_most", 2), None),
        ("convolve", SEVEN, check("stride", "at_most", 1), "the stride is 2; it should be at most 1"),
        ("convolve", SEVEN, check("stride", "above", 1), None),
        ("convolve", SEVEN, check("stride", "above", 2), "the stride is 2; it should be above 2"),
        ("convolve", SEVEN, check("stride", "below", 3), None),
        ("convolve", SEVEN, check("stride", "below", 2), "the stride is 2; it should be below 2"),
        ("convolve", SEVEN, check("stride", "above", "=padding + 1"), None),
        ("convolve", SEVEN, check("kernel", "is", "box"), "the kernel is sobel-x; it should be box"),
        ("convolve", SEVEN, check("kernel", "is_not", "box"), None),
        ("convolve", SEVEN, check("output.shape", "is", (5, 5)), None),
        ("convolve", SEVEN, check("output.shape", "is", (7, 7)), "the output is 5×5; it should be 7×7"),
        ("convolve", SEVEN, check("output.shape", "is", 5), "the output is 5×5; it should be 5"),
        ("convolve", f"{SEVEN}; cell 1,2", check("cell", "is", (1, 2)), None),
        ("convolve", f"{SEVEN}; cell 1,2", check("cell", "is", (0, 4)), "the output cell is 1,2; it should be 0,4"),
        ("convolve", SEVEN, check("pool", "is", True), "the operation is a pool: not yet"),
        ("convolve", "op max", check("pool", "is", False), "the operation is a pool: it should not be so"),
        ("convolve", SEVEN, check("output[0,9]", "is", 0), "the output cell 0,9 is not known yet"),
        ("convolve", SEVEN, check("stride + 1", "is", 2), "what is asked for is 3; it should be 2"),
        ("convolve", SEVEN, check("stride", "is", 3, "take {stride + 1}"), "take 3"),
        ("build", BUILT, check("conv1.params", "is", 81), "the number of parameters of conv1 is 80; it should be 81"),
        ("build", BUILT, check("params", "at_most", 600), "the number of parameters is 664; it should be at most 600"),
        ("build", BUILT, check('count["conv"]', "is", 3), "the number of layers (conv) is 2; it should be 3"),
        ("build", BUILT, check("conv3.params", "is", 1), "the number of parameters of conv3 is not known yet"),
        ("build", BUILT, check('has["bn"]', "is", True), "there is a layer (bn): not yet"),
        ("build", BUILT, check("rf", "is", 5), None),
        ("build", BUILT, check("output", "is", (8, 24, 24)), None),
    ],
)  # fmt: skip
def test_a_check_in_words(screen: str, moves: str, found: Check, problem: str | None) -> None:
    assert found.problem(on(screen, moves)) == problem


def test_what_is_computed_is_rounded_but_not_what_is_counted() -> None:
    assert Check(Literal(0.1 + 0.2), "is", Literal(0.3)).problem(NOWHERE) is None
    assert Check(Literal(0.9722222447395325), "is", parse("35 / 36")).problem(NOWHERE) is None, "of float32"
    assert Check(Literal(0.31), "is", Literal(0.3)).problem(NOWHERE) is not None
    assert Check(Literal(138_357_544), "is", Literal(138_357_545)).problem(NOWHERE) is not None
    assert Check(Literal(138_357_544), "below", Literal(138_357_545)).problem(NOWHERE) is None
    assert Check(Literal(0.1 + 0.2), "above", Literal(0.3)).problem(NOWHERE) is not None
    assert Check(Literal(0.1 + 0.2), "at_most", Literal(0.3)).problem(NOWHERE) is None


def test_only_numbers_have_a_size() -> None:
    with pytest.raises(WordsError, match="at_least compares numbers, and 5×5 is none"):
        check("output.shape", "at_least", 5).problem(on("convolve", SEVEN))
    with pytest.raises(WordsError, match="no fact of convolve is called 'strid'"):
        check("strid", "is", 5).problem(on("convolve", SEVEN))


def test_the_first_thing_that_is_not_right_is_told() -> None:
    task = Doing("x", words("?"), (), Keys(), checks=(check("stride", "is", 2), check("padding", "is", 1)))
    assert task.problem(on("convolve", "stride 3")) == "the stride is 3; it should be 2"
    assert task.problem(on("convolve", "stride 2")) == "the padding is 0; it should be 1"
    assert task.problem(on("convolve", "stride 2; padding 1")) is None


# -- moves in a row


def test_a_part_that_begins_with_no_verb_belongs_to_the_move_before() -> None:
    assert on("build", "layers conv 8; relu; maxpool 2; input 3,8,8; select 1").named("layers", ()) == 3
    assert on("build", "goal field >= 3; params <= 9; select 2").named("goal", ()) == "field >= 3; params <= 9"
    text = words("{layers after layers conv 8; relu; add bn; relu | plain}").filled(on("build"))
    assert text == "4"
    with pytest.raises(WordsError, match="no move of build is called 'relu'"):
        on("build", "relu; conv 8")
    with pytest.raises(WordsError, match="'start 2' takes time: no figure can wait for it"):
        on("train", "epochs 1; start 2")


# -- tasks that cannot be done, or need not be


def tried(folder: Path, task: str, screen: str = "convolve\npicture square") -> list[str]:
    path = folder / "a.md"
    block = f"```{screen}\n```\n" if screen else ""
    task = f'```task\nid = "x"\nask = "?"\nhint = "!"\n{task}\n```'
    path.write_text(f'+++\nid = "a"\ntitle = "A"\nminutes = 5\n+++\n## A page\n{block}{task}\n')
    lesson: Lesson = read_lesson(path)
    rehearse(lesson)
    return trials(lesson)


def doing(wanted: str, solution: str, wrong: str) -> str:
    return f"check = [{{ fact = 'stride', is = {wanted} }}]\nsolution = {solution}\n{wrong}"


@pytest.mark.parametrize(
    ("task", "problems"),
    [
        (doing("2", '["stride 2"]', 'wrong = [["stride 3"]]'), []),
        (
            doing("1", '["stride 1"]', 'wrong = [["stride 3"]]'),
            ["passes at the start: nothing needs to be done"],
        ),
        (
            doing("2", '["stride 2"]', 'wrong = [["stride 3"], ["padding 1", "stride 2"]]'),
            ["passes with what is wrong: padding 1; stride 2"],
        ),
        (doing("2", '["stride 2"]', ""), ["has no wrong = [[...]]: name moves that must not pass"]),
        (
            doing("2", '["stride 3"]', 'wrong = [["stride 4"]]'),
            ["the solution does not pass: the stride is 3; it should be 2"],
        ),
        (
            doing("1", '["stride 2"]', 'wrong = [["stride 1"]]'),
            ["passes at the start", "passes with what is wrong: stride 1", "the solution does not pass: the stride is 2"],
        ),
        ('number = "output.cells"', []),
        ('number = "output.cells / 7"', ["the answer is 3.5714285714285716: say how near is right with tolerance = ...",
                                        "the answer '3.5714' does not pass"]),
        ('number = "output.cells / 7"\ntolerance = 0.001', []),
        (
            'number = "output.cells"\nslips = [{ number = "output.cells + 0", say = "no" }]',
            ["the slip 25 is the right answer"],
        ),
        ('choices = ["a", "b"]\nright = 1\nreplies = ["yes", "no"]', []),
        ('choices = ["a", "b"]\nright = [1, 2]\nreplies = ["yes", "yes"]', []),
    ],
)  # fmt: skip
def test_tasks_are_tried(task: str, problems: list[str], tmp_path: Path) -> None:
    found = tried(tmp_path, task)
    assert len(found) == len(problems), found
    for told, problem in zip(found, problems, strict=True):
        assert told.startswith(("a.md: task x (line 11): ", "a.md: task x (line 11) "))
        assert problem in told


def test_what_takes_a_training_is_left_to_the_app(tmp_path: Path) -> None:
    screen = "train\nnet lenet5"
    task = "check = [{ fact = 'epochs', is = 5 }]\nsolution = ['start']"
    assert tried(tmp_path, task, screen) == []
    assert tried(tmp_path, "number = 'test_accuracy'", screen) == []

# ruff: noqa: E501  # what is wrong stands in a table, a line each
"""A lesson's file that is not right: what is wrong, in which line, and what to write instead; and never anything else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cnntui.labs.lessons.document import LARGEST, LessonError
from cnntui.labs.lessons.lesson import Lesson, rehearse
from cnntui.labs.lessons.reading import read_lesson
from cnntui.labs.lessons.trial import trials

RIGHT = (Path(__file__).parent / "lesson.md").read_text("utf-8")


def tried(path: Path) -> Lesson:
    """Read, and everything in it that needs no app computed."""
    lesson = read_lesson(path)
    rehearse(lesson)
    trials(lesson)
    return lesson


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "a.md"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(path: Path) -> tuple[int, str]:
    """The line and what is wrong there."""
    with pytest.raises(LessonError) as raised:
        tried(path)
    assert str(raised.value) == f"{path}:{raised.value.line}: {raised.value.what}"
    assert "\n" not in raised.value.what
    return raised.value.line, raised.value.what


def changed(old: str, new: str) -> str:
    assert RIGHT.count(old) == 1, old
    return RIGHT.replace(old, new)


def line_of(text: str, words: str) -> int:
    """The only line with these words, from 1."""
    (number,) = [number for number, line in enumerate(text.split("\n"), start=1) if words in line]
    return number


def test_what_is_right_is_read(tmp_path: Path) -> None:
    lesson = tried(written(tmp_path, RIGHT))
    assert (lesson.id, lesson.number, lesson.title, lesson.minutes) == ("a-lesson", 3, "A lesson", 8)
    assert trials(lesson) == []
    first, second, third = lesson.pages
    text = lesson.text(first)
    assert (
        "The **stride** is 1: the output is 10×10,\nand at stride 2 it is 5×5. The nets differ by 771.3; {so}." in text
    )
    assert "- `small` has 80 parameters" in text
    assert "```text\nparams = 80\n```" in text and '```python\nx = {"as it is": 1}\n```' in text
    assert first.setup == ("picture seven", "kernel sobel-x", "stride 1")
    assert (first.shown, second.shown, third.shown) == (("stride",), ("add",), None)
    assert lesson.recipes.runs["more"].after == "digits"
    assert lesson.recipes.runs["more"].settings.weights_from == "run:digits"
    assert [len(one.plan().configurations) for one in lesson.recipes.sweeps.values()] == [2]
    assert lesson.page_about("stride") == 0


def test_a_screen_of_which_no_control_is_named_keeps_all(tmp_path: Path) -> None:
    lesson = tried(written(tmp_path, changed('  "add",\n', "")))
    assert [page.shown for page in lesson.pages] == [("stride",), None, None]
    nothing = tried(written(tmp_path, changed('show = [\n  "stride",\n  "padding",\n  "add",\n]', "show = []")))
    assert nothing.pages[1].shown == (), "nothing is nothing"


# What is changed, into what; words of the line that is told (HERE: where the change is, FIRST: the first); what is told there.
HERE, FIRST = "here", "first"
WRONG: dict[str, tuple[str, str, str, str]] = {
    # the front
    "TOML in front": ('title = "A lesson"', "title = A lesson", "title = A lesson", "not TOML: Invalid value"),
    "a key twice": ("minutes = 8", 'minutes = 8\nid = "b"', 'id = "b"', "not TOML: Cannot overwrite a value"),
    "no id": ('id = "a-lesson"\n', "", FIRST, 'id is missing between the lines of +++: write id = "my-lesson"'),
    "no title": ('title = "A lesson"\n', "", FIRST, 'title is missing between the lines of +++: write title = "My lesson"'),
    "no minutes": ("minutes = 8\n", "", FIRST, "minutes is missing between the lines of +++: write minutes = 8"),
    "capitals": ('id = "a-lesson"', 'id = "A-Lesson"', 'id = "A-', "id = 'A-Lesson' is not small letters, digits and -"),
    "a number as id": ('id = "a-lesson"', "id = 3", "id = 3", "id = 3 is not small letters, digits and -, in quotes"),
    "a long id": ('id = "a-lesson"', f'id = "{"a" * 90}"', "aaaa", "… is not small letters"),
    "minutes in quotes": ("minutes = 8", 'minutes = "8"', 'minutes = "8"', "is not a whole number from 1 to 999: write minutes = 8"),
    "no time at all": ("minutes = 8", "minutes = 0", "minutes = 0", "minutes = 0 is not a whole number"),
    "true minutes": ("minutes = 8", "minutes = true", "minutes = true", "minutes = True is not a whole number"),
    "a number that is none": ("number = 3", "number = 3.5", "number = 3.5", "number = 3.5 is not a whole number"),
    "a title of lines": ('title = "A lesson"', 'title = """A\nlesson"""', 'title = """A', "is not one line of at most 200 characters"),
    "an empty title": ('title = "A lesson"', 'title = " "', 'title = " "', "title = ' ' is not one line"),
    "a near key": ("minutes = 8", "minuts = 8", "minuts = 8", "unknown key 'minuts'; did you mean minutes?"),
    "a key far from all": ("minutes = 8", "minutes = 8\nx = 1", "x = 1", "unknown key 'x'; there are id, number, title"),
    "an unknown control": ('  "padding",\n', '  "pading",\n', '"pading"', "no control of build, convolve is called 'pading'; did you mean padding?"),
    "show as a text": ('show = [\n  "stride",\n  "padding",\n  "add",\n]', 'show = "stride"', 'show = "stride"', "show is a list of controls"),
    "an impossible net": ('"conv 8 k3; relu"', '"conv 8 k3; conv 8 k99"', "small = {", "net small: layer conv2"),
    "nets that are none": ('"conv 8 k3; relu"', '"convv 8"', "small = {", "net small: layer 1 (convv 8)"),
    "layers of numbers": ('"conv 8 k3; relu"', "5", "small = {", "net small: 5 are no layers in quotes"),
    "no input": ("input = [1, 28, 28] }", "input = [28, 28] }", "small = {", "net small: input = [28, 28] is not [channels, height, width]"),
    "an input of nothing": ("input = [1, 28, 28] }", "input = [0, 28, 28] }", "small = {", "input = [0, 28, 28] is not"),
    "a zoo net that is none": ('full = "lenet5"', 'full = "lenet"', 'full = "lenet"', "net full: no net of the zoo is called 'lenet'; did you mean lenet5?"),
    "layers without input": ('full = "lenet5"', 'full = "conv 8; relu"', 'full = "conv', "are layers: say for which input, as three numbers C, H, W"),
    "a net of nothing": ('full = "lenet5"', "full = 5", "full = 5", "net full: a net is one of the zoo in quotes, or { layers"),
    "nets that are no table": ('\n[nets]\nsmall = { layers = "conv 8 k3; relu", input = [1, 28, 28] }\nfull = "lenet5"\n', '\nnets = "lenet5"\n', "nets =", "nets is a table: write [nets]"),
    "a net with a name that figures cannot have": ('full = "lenet5"', '"full net" = "lenet5"', '"full net"', "net full net: the name of a net has letters, digits and _ only"),
    "a value that is none": ('ratio = "full.params / small.params"', 'ratio = "full.params / larg.params"', "ratio =", "value ratio: nothing is called 'larg.params' here"),
    "a net as a value": ('ratio = "full.params / small.params"', 'ratio = "full"', "ratio =", "value ratio: full is a net: ask for a fact of it, such as full.params"),
    "a value of two": ('ratio = "full.params / small.params"', "ratio = [1, 2]", "ratio =", "value ratio: [1, 2] is no expression in quotes"),
    "a meaning that is none": ('"stride" = "the cells between two windows"', '"stride" = 5', '"stride" = 5', """'stride' has no meaning in quotes: write "stride" = "what it means\""""),
    # runs and sweeps
    "a setting that is none": ("epochs = 1", "epoks = 1", "epoks = 1", "run digits: unknown setting 'epoks'; did you mean epochs?"),
    "a setting of another kind": ("epochs = 1", 'epochs = "1"', 'epochs = "1"', "run digits: epochs: expected `int`, got `str`"),
    "too few epochs": ("epochs = 1", "epochs = 0", "epochs = 0", "run digits: epochs 0 is not from 1 to 1,000,000"),
    "a rate that is none": ("epochs = 1", "epochs = 1\nlr = 0", "lr = 0", "run digits: learning rate 0.0 is not a number above 0"),
    "a size that is none": ("epochs = 1", "epochs = 1\nbatch_size = 0", "batch_size", "run digits: batch size 0 is not from 1"),
    "data that is none": ('data = "digits"\nepochs', 'data = "digit"\nepochs', '"digit"', "run digits: data 'digit' is none of mnist"),
    "a directory": ("epochs = 1", 'data_dir = "/etc"', "data_dir", "run digits: data_dir cannot be set by a lesson"),
    "a device": ("epochs = 1", 'device = "cuda"', "device", "run digits: device cannot be set by a lesson"),
    "many processes": ("epochs = 1", "ranks = 64", "ranks", "run digits: ranks cannot be set by a lesson"),
    "events": ("epochs = 1", 'tensorboard = "/tmp"', "tensorboard", "run digits: tensorboard cannot be set by a lesson"),
    "a run of no net": ('[runs.digits]\nnet = "conv 4; gap; linear 10"', "[runs.digits]", "[runs.digits]", 'run digits: net = "..." is missing'),
    "a run of scores that are none": ('[runs.digits]\nnet = "conv 4; gap; linear 10"', '[runs.digits]\nnet = "conv 4"', 'net = "conv 4"', "run digits: net ends in 4×6×6, not in one score a class"),
    "an impossible run": ('[runs.digits]\nnet = "conv 4; gap; linear 10"', '[runs.digits]\nnet = "conv 4 k9; gap; linear 10"', "k9", "run digits: net: layer conv1"),
    "an input that is none": ('input = [1, 8, 8]\ndata = "digits"\nepochs', 'input = 8\ndata = "digits"\nepochs', "input = 8", "run digits: input = 8 is not [channels, height, width]"),
    "a name like a path": ("[runs.digits]", '[runs."../digits"]', "../digits", "run ../digits: a name has letters, digits, - and _"),
    "from nowhere": ('from = "digits"', 'from = "digit"', 'from = "digit"', "run more: from = 'digit' is no run above it; did you mean digits?"),
    "from itself": ('from = "digits"', 'from = "more"', 'from = "more"', "run more: from = 'more' is no run above it"),
    "from a list": ('from = "digits"', "from = [1]", "from = [1]", "run more: from = [1] is no run above it"),
    "weights of another": ('from = "digits"', 'weights_from = "last"', "\"last\"", 'run more: weights_from is for sweeps: write from = "NAME"'),
    "a run that is no table": ('[runs.digits]\nnet = "conv 4; gap; linear 10"\ninput = [1, 8, 8]\ndata = "digits"\nepochs = 1\n', "[runs]\ndigits = 5\n", "digits = 5", "run digits: write [runs.digits] and a line for each setting"),
    "a key that no sweep has": ("seeds = [0]", "sedes = [0]", "sedes = [0]", "sweep widths: unknown key 'sedes'"),
    "a sweep of nothing": ("width = [4, 8]\n", "", "[sweeps.widths]", "sweep widths: nothing is varied"),
    "a sweep that varies what it has not": ("width = [4, 8]", "depth = [4, 8]", "[sweeps.widths]", "sweep widths: 'depth' is neither a placeholder of the net"),
    "a place in a sweep": ("width = 4\n", 'width = 4\ndata_dir = "/etc"\n', "[sweeps.widths]", "sweep widths: data_dir cannot be set by a lesson"),
    "weights that no run has": ('weights_from = ""', 'weights_from = "run:digit"', "[sweeps.widths]", "weights_from = 'run:digit' is no run of the lesson: write run:NAME"),
    "a sweep's net that cannot be": ("width = [4, 8]", "width = [4, 0]", "[sweeps.widths]", "sweep widths: width 0: layer conv1: output channels 0 < 1"),
    # pages
    "no page": (RIGHT[RIGHT.index("## A window") :], "Only text.\n", "Only text.", "there is no page: begin one with ## and its title"),
    "text before the pages": ("## A window", "Hello.\n\n## A window", "Hello.", "text before the first page"),
    "a page without title": ("## A net", "##", HERE, "begins no page: write ## , a blank and the page's title"),
    "a title without a blank": ("## A net", "##A net", "##A net", "'##A net' begins no page"),
    "a block of no kind": ("```build", "```", HERE, "a block has no name; there are convolve, build"),
    "a block of a kind that is near": ("```build", "```bild", "```bild", "a block is called 'bild'; did you mean build?"),
    "a block with more words": ("```build", "```build big", "```build big", "a block is called 'build big'; did you mean build?"),
    "an unknown move": ("kernel sobel-x\n", "kernal sobel-x\n", "kernal", "no move of convolve is called 'kernal'; did you mean kernel?"),
    "a move with =": ("kernel sobel-x\n", 'kernel = "sobel-x"\n', "sobel-x", "a move is written without = and without quotes: kernel NAME"),
    "a net nearly so called": ("\n\n```build\nlayers conv 8", "\n\nIt has {smal.params}.\n\n```build\nlayers conv 8", "{smal.", "nothing is called 'smal'; did you mean small?"),
    "a term that no page explains": ('"stride" = "the cells', '"strides" = "the cells', '"strides"', "'strides' is explained on no page: write **strides** in bold"),
    "a move without its words": ("kernel sobel-x\n", "kernel\n", "kernel", "'kernel' is not understood; write kernel NAME ..."),
    "a move with too many words": ("\nstride 1\n", "\nstride 1 1 1\n", "stride 1 1 1", "'stride 1 1 1' is not understood; write stride N or HxW"),
    "a move that is refused": ("\nstride 1\n", "\nstride 0\n", "stride 0", "is not a whole number from 1 to 4096"),
    "a kernel that is none": ("kernel sobel-x\n", "kernel sobl-x\n", "kernel sobl-x", "no kernel is called 'sobl-x'; near are sobel-x"),
    "a fact in the text": ("the output is {output.shape},", "the output is {output.shap},", "{output.shap}", "no fact of convolve is called 'output.shap'; did you mean output.shape?"),
    "the second line of a paragraph": ("by {ratio | 1}", "by {rate | 1}", "{rate | 1}", "no fact of convolve is called 'rate'"),
    "a layer that is not there": ("\n\n```build\nlayers conv 8", "\n\nIt has {conv7.params}.\n\n```build\nlayers conv 8", "{conv7", "{conv7.params} is not known as the page begins"),
    "a cell that is not there": ("- `small` has", "- {output[90,0]} has", "[90,0]", "{output[90,0]} is not known as the page begins"),
    "a format": ("{ratio | 1}", "{ratio | precent}", "precent", "no format is called 'precent'; did you mean percent?"),
    "an expression": ("{ratio | 1}", "{ratio / }", "{ratio / }", "something is missing at the end"),
    "a brace that is open": ("{ratio | 1}", "{ratio", "{ratio", "{ is never closed: write } behind what is to be computed, or {{ for a brace"),
    "a brace that is shut": ("{{so}}", "so}", "so}", "} without its {: write }} for a brace"),
    "a move before a figure": ("{output.shape after stride 2}. The nets", "{output.shape after strid 2}. The nets", "strid 2}. The", "no move of convolve is called 'strid'"),
    "a figure in a block": ('{net("conv 8 k3", 1, 28, 28).params}', '{net("conv 8 k3", 1, 28).params}', "1, 28).params", 'is not understood; write net("layers", C, H, W)'),
    "a net in a figure": ('{net("conv 8 k3", 1, 28, 28).params}', '{net("conv 8 k3", 1, 1, 1).params}', "1, 1, 1", "layer conv1"),
    "a function": ('{net("conv 8 k3", 1, 28, 28).params}', '{open("/etc/passwd").read}', "passwd", "no function is called 'open'"),
    # tasks
    "TOML in a task": ('unit = "parameters"', "unit = parameters", "unit =", "not TOML: Invalid value"),
    "an unknown key in a task": ('unit = "parameters"', 'units = "parameters"', "units =", "unknown key 'units' in a task with number; did you mean unit?"),
    "a key of another task": ('unit = "parameters"', 'solution = ["add conv 8"]', "add conv 8", "unknown key 'solution' in a task with number"),
    "no kind": ('number = "params"\n', "", 'id = "params"', "a task has check = [...], or choices = [...], or number = ..."),
    "no id in a task": ('id = "params"\n', "", "How many", 'id is missing in the task: write id = "..."'),
    "no ask": ('ask = "How many parameters has it?"\n', "", 'id = "params"', 'ask is missing in the task: write ask = "..."'),
    "capitals in a task": ('id = "params"', 'id = "Params"', "Params", "id = 'Params' is not small letters, digits and -"),
    "the name of another task": ('id = "params"', 'id = "stride"  # again', "# again", "a second task 'stride': the first is in line"),
    "no hint": ('hint = "Weights and biases."', "", 'id = "params"', 'hint = "..." is missing in the task, or hints'),
    "hint and hints": ('hint = "Weights and biases."', 'hint = "x"\nhints = ["y"]', 'hint = "x"', "hint and hints: write one of them"),
    "a hint of numbers": ('"Press s."', "5", "  5,", "5 is no text in quotes"),
    "hints that are no list": ('hint = "Weights and biases."', 'hints = "Weights"', "Weights", 'hints is a list of texts: hints = ["...", "..."]'),
    "an empty check": ("{ fact = \"stride\", is = 2 },\n  { fact = \"output.shape\", same_as = \"output.shape\", say = \"it is {output.shape}\" },\n", "", "check = [", "check is a list of what must hold, at least one"),
    "a check of words": ('{ fact = "stride", is = 2 }', '"stride is 2"', "stride is 2", 'a check is like { fact = "stride", is = 2 }'),
    "a comparison that is none": ('fact = "stride", is = 2', 'fact = "stride", at_lest = 2', "at_lest", "no comparison is called 'at_lest'; did you mean at_least?"),
    "two comparisons": ('fact = "stride", is = 2', 'fact = "stride", is = 2, above = 1', "above = 1", "2 comparisons of 'stride': write one"),
    "no comparison": ('fact = "stride", is = 2', 'fact = "stride"', '{ fact = "stride" }', "0 comparisons of 'stride': write one"),
    "compared with a list": ('fact = "stride", is = 2', 'fact = "stride", is = [2.5]', "[2.5]", "is = [2.5]: is takes a number, a text, true, false or [H, W]"),
    "at least true": ('fact = "stride", is = 2', 'fact = "stride", at_least = true', "at_least = true", "at_least takes a number, or an expression in quotes"),
    "at least infinity": ('fact = "stride", is = 2', 'fact = "stride", at_least = inf', "at_least = inf", "at_least takes a number"),
    "the size of a shape": ('fact = "stride", is = 2', 'fact = "output.shape", above = 2', "above = 2", "in task stride: above compares numbers, and 10×10 is none"),
    "an unknown fact in a check": ('same_as = "output.shape"', 'same_as = "outpt.shape"', "outpt", "in task stride: no fact of convolve is called 'outpt.shape'; did you mean output.shape?"),
    "an unknown fact in the first check": ('fact = "stride", is = 2', 'fact = "strid", is = 2', '"strid"', "in task stride: no fact of convolve is called 'strid'"),
    "no expression in a check": ('fact = "stride", is = 2', 'fact = "stride +", is = 2', "stride +", "something is missing at the end"),
    "an unknown fact in what a check says": ('say = "it is {output.shape}"', 'say = "it is {outpt}"', "{outpt}", "in task stride: no fact of convolve is called 'outpt'"),
    "an unknown fact in an ask": ("so that the output is {output.shape after stride 2}.", "so that it is {out}.", "{out}", "in task stride: no fact of convolve is called 'out'"),
    "an unknown fact in a hint": ('"The stride is {stride} now."', '"The stride is {strides} now."', "{strides}", "in task stride: no fact of convolve is called 'strides'; did you mean stride?"),
    "no solution": ('solution = ["stride 2"]\n', "", 'id = "stride"', 'solution = ["move", ...] is missing in the task'),
    "an unknown move in the solution": ('solution = ["stride 2"]', 'solution = [\n  "padding 1",\n  "strid 2",\n]', "strid 2", "no move of convolve is called 'strid'; did you mean stride?"),
    "a refused move in the solution": ('solution = ["stride 2"]', 'solution = ["stride 9999"]', "9999", "is not a whole number from 1 to 4096"),
    "an unknown move that is wrong": ('  ["padding 1", "padding 2"],\n', '  ["padding 1",\n   "pading 2"],\n', '"pading 2"', "no move of convolve is called 'pading'"),
    "wrong moves in one list": ('wrong = [\n  ["stride 3"],\n  ["padding 1", "padding 2"],\n]', 'wrong = ["stride 3"]', "wrong =", "wrong is a list of lists of moves, each in quotes: wrong = [["),
    "a solution of numbers": ('solution = ["stride 2"]', "solution = [2]", "solution = [2]", "2 is no move in quotes"),
    "a control that the screen has not": ('show = ["stride"]', 'show = ["add"]', 'show = ["add"]', "no control of convolve is called 'add'"),
    "a number of an unknown net": ('number = "params"', 'number = "larg.params"', "larg", "in task params: the answer is not known as the page begins"),
    "a number that is a shape": ('number = "params"', 'number = "output"', 'number = "output"', "in task params: the answer is 8×26×26, which is no number"),
    "a tolerance": ("tolerance = 0\n", 'tolerance = "a bit"\n', "a bit", "tolerance = 'a bit' is no number, nor a share such as \"1 %\""),
    "a tolerance below nothing": ("tolerance = 0\n", "tolerance = -1\n", "tolerance", "tolerance = -1 is no number"),
    "a tolerance without end": ("tolerance = 0\n", "tolerance = inf\n", "tolerance", "tolerance = inf is no number"),
    "slips that are no list": ('slips = [\n  { number = "params - 8", say = "the biases count, too: there are {params}" },\n]', "slips = 5", "slips = 5", "slips is a list: a slip is like {"),
    "a slip without words": (', say = "the biases count, too: there are {params}"', "", "params - 8", "a slip is like { number ="),
    "a slip that is a text": ('number = "params - 8"', "number = 'op[1]'", "op[1]", "in task params: the slip is conv, which is no number"),
    "a slip's figure": ("there are {params}", "there are {parms}", "{parms}", "in task params: no fact of a net is called 'parms'"),
    "a reply's figure": ("{params} it is.", "{parms} it is.", "{parms}", "in task params: no fact of a net is called 'parms'"),
    "one choice": ('choices = ["small", "full"]', 'choices = ["small"]', 'choices = ["small"]', "1 choices: give 2 to 9"),
    "no replies": ('replies = ["It has {small.params}.", "It has {full.params | short}."]\n', "", 'id = "which"', "0 replies for 2 choices: say to each why it is right, or not"),
    "right out of range": ("right = 2", "right = 3", "right = 3", "right = 3: write the number of the right choice, 1 to 2"),
    "right from nought": ("right = 2", "right = [0, 1]", "right = [0", "right = [0, 1]: write the number of the right choice"),
    "no right choice": ("right = 2\n", "", 'id = "which"', "right is missing: write the number of the right choice"),
    "a net in a reply": ("{full.params | short}", "{ful.params | short}", "{ful.params", "in task which: nothing is called 'ful.params' here: there is no screen on this page"),
    "a move before a figure where there is no screen": ("{full.params | short}", "{full.params after stride 2}", "after stride 2}.\"]", "there is no screen on this page"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_line(case: str, tmp_path: Path) -> None:
    old, new, where, message = WRONG[case]
    text = changed(old, new)
    lines = {HERE: RIGHT.count("\n", 0, RIGHT.index(old)) + 1, FIRST: 1}
    line, what = refused(written(tmp_path, text))
    assert message in what
    assert line == (lines[where] if where in lines else line_of(text, where))


def lesson(page: str, front: str = "") -> str:
    """A lesson of one page, which begins in line 7, and its text in line 9, behind what is added to its front."""
    return f'+++\nid = "a"\ntitle = "A"\nminutes = 5\n{front}+++\n## A page\n\n{page}\n'


TASK = """\
```task
id = "x"
ask = "?"
hint = "!"
check = [{ fact = "stride", is = 2 }]
solution = ["stride 2"]
```
"""


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "a lesson begins with +++: TOML stands between two lines of +++"),
        ("# Title\n", 1, "a lesson begins with +++"),
        ("+++\nid = 'a'\n\n## Page\n", 1, "the second line of +++ is missing"),
        ("+++\n+++\n## P\n", 1, "id is missing"),
        ("+++\nid = 'a'\ntitle =\n+++\n\n## P\n", 3, "not TOML: Invalid value"),
        ("+++\nid = 'a'\nx = [1,\n+++\n\n## P\n", 3, "not TOML"),
        ("+++\nx = " + "[" * 5_000 + "\n+++\n## P\n", 2, "not TOML: brackets too deep"),
        ("+++\nx = " + "9" * 5_000 + "\n+++\n## P\n", 2, "not TOML: Exceeds the limit"),
        (lesson("").replace("## A page\n", ""), 6, "there is no page: begin one with ## and its title"),
        (lesson("```convolve\nstride 2"), 8, "this block never ends: close it with ```"),
        (lesson("~~~~\n```\n~~~\n"), 8, "this block never ends: close it with ~~~~"),
        (lesson("```convolve\n```\n" + TASK + "\n" + TASK), 18, "a second task on this page, the first is in line 10"),
        (
            lesson("```convolve\n```\n\n```build\n```"),
            11,
            "a second screen on this page: the first, convolve, is in line 8",
        ),
        (lesson(TASK), 12, "a check needs a screen on its page: a block called convolve, build"),
        (
            lesson("```convolve\n```\n" + TASK, 'show = ["bios"]\n'),
            5,
            "no control of convolve is called 'bios'; did you mean bias?",
        ),
        (lesson("Words.", 'show = ["stride"]\n'), 5, "there is no screen"),
        (lesson("```train\nrun small\n```"), 9, "no run is called 'small'; the lesson has none: write [runs.small]"),
        (lesson("```train\nwatch small\n```"), 9, "no run is called 'small'"),
        (lesson("A\nB {1 /\n0} C"), 9, "1 / 0: nothing can be divided by 0"),
        (lesson("A\n\n\nB\nC {after}"), 12, "nothing is called 'after' here: there is no screen on this page"),
        (lesson("```build\n```\n{params after train}"), 10, "no move of build is called 'train'"),
        (lesson('{train("start").epochs}'), 8, "'start' takes time: no figure can wait for it"),
        (lesson("{fc}", "nets.fc = 'lenet5'\n"), 9, "fc is a net: ask for a fact of it, such as fc.params"),
        (lesson("x", 'nets.fc = "lenet"\n'), 5, "net fc: no net of the zoo is called 'lenet'"),
        (lesson("x", '[nets]\n"fc" = "lenet"\n'), 6, "net fc: no net of the zoo is called 'lenet'"),
        (lesson("x", "nets = { a = 'lenet5',  b = 'lenet' }\n"), 5, "net b: no net of the zoo is called 'lenet'"),
        (lesson("x", "[values]\na = '''\n1 +'''\n"), 6, "something is missing at the end"),
        (lesson("a\x07b"), 8, "column 2: U+0007, a control character, is not shown in one column: leave it out"),
        (lesson("a\u00a0b"), 8, "column 2: U+00A0, NO-BREAK SPACE, is not shown in one column"),
        (lesson("one \U0001f600"), 8, "column 5: U+1F600, GRINNING FACE, is not shown in one column"),
        (lesson("\x1b[31mred"), 8, "column 1: U+001B"),
    ],
)
def test_texts_that_are_no_lesson(text: str, line: int, message: str, tmp_path: Path) -> None:
    found, what = refused(written(tmp_path, text))
    assert message in what
    assert found == line


def test_files_that_are_no_lesson(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.md") == (1, "No such file or directory")
    assert refused(tmp_path) == (1, "this is no file: a lesson is a text")
    assert refused(tmp_path / ("a" * 400))[0] == 1
    assert refused(written(tmp_path, "x" * (LARGEST + 1))) == (1, "400,001 bytes > 400,000: that is no lesson")
    assert refused(written(tmp_path, RIGHT.encode("utf-16"))) == (1, "not UTF-8 text: save it as UTF-8")
    latin = RIGHT.replace("Press s.", "Drück s.").encode("latin-1", "replace")
    assert refused(written(tmp_path, latin)) == (line_of(RIGHT, "Press s."), "not UTF-8 text: save it as UTF-8")
    marked = b"\xef\xbb\xbf" + latin
    assert refused(written(tmp_path, marked)) == (line_of(RIGHT, "Press s."), "not UTF-8 text: save it as UTF-8")


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_ends_and_marks_of_other_systems_are_fine(ending: str, tmp_path: Path) -> None:
    plain = tried(written(tmp_path, RIGHT))
    text = [plain.text(page) for page in plain.pages]
    other = tried(written(tmp_path, b"\xef\xbb\xbf" + RIGHT.replace("\n", ending).encode()))
    assert [other.text(page) for page in other.pages] == text
    wrong = changed("kernel sobel-x", "kernal sobel-x").replace("\n", ending).encode()
    assert refused(written(tmp_path, wrong))[0] == line_of(RIGHT, "kernel sobel-x")


@pytest.mark.parametrize(
    "text",
    [
        "##" + " " * 300_000 + "x",
        " " * 300_000 + "\n" + "{" * 9,
        "```" + " " * 300_000 + "`",
        "## x" + " #" * 100_000 + "y",
        "{" + "a" * 300_000,
        "{" * 300_000,
        "{a|" * 100_000,
        "`" * 300_000,
        "#" * 300_000,
    ],
    ids=range(9),
)
def test_long_lines_are_read_in_no_time(text: str, tmp_path: Path) -> None:
    try:
        tried(written(tmp_path, lesson(text)))
    except LessonError as error:
        assert error.line in (8, 9)


# -- whatever is in it


SMALL = RIGHT[: RIGHT.index("[runs.digits]")] + RIGHT[RIGHT.index("+++\n\n## A window") :].replace(
    "kernel sobel-x\n", ""
)
GLYPHS = "{}[]()\"'=,.|+-*/0a #`~\\é\t"


def mutated(chance: random.Random) -> str:
    """A lesson in which up to three things went wrong."""
    lines = SMALL.split("\n")
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        line = lines[at]
        place = chance.randrange(len(line) + 1)
        match chance.randrange(8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(other, line)
            case 2:
                lines[at], lines[other] = lines[other], line
            case 3:
                lines[at] = line[:place] + line[place + 1 :]
            case 4:
                lines[at] = line[:place] + chance.choice(GLYPHS) + line[place:]
            case 5:
                words = line.split(" ")
                chance.shuffle(words)
                lines[at] = " ".join(words)
            case 6:
                lines[at] = line[:place] + lines[other][place:]
            case _:
                word = chance.choice(["2", "1", "stride", "params", "output", "="])
                lines[at] = line.replace(word, chance.choice(["", "-1", "x", "9" * 30]))
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_written_there_is_a_lesson_or_a_line_that_is_wrong(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    wrong = 0
    for _ in range(500):
        text = mutated(chance)
        try:
            found = tried(written(tmp_path, text))
            assert [found.text(page) for page in found.pages]
        except LessonError as error:
            wrong += 1
            assert 1 <= error.line <= text.count("\n") + 1
    assert 250 < wrong < 500

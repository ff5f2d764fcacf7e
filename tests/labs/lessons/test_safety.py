"""A lesson is read, never run: it opens no file, imports nothing, and starts nothing, whatever is written in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cnntui.labs.lessons.document import LessonError
from cnntui.labs.lessons.lesson import rehearse
from cnntui.labs.lessons.nets import network_of
from cnntui.labs.lessons.reading import read_lesson
from cnntui.labs.stages import STAGES, WordsError, stage

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NET = 'input = [1, 8, 8]\nlayers = ["flatten", "linear 10"]\n'  # a net's file, which must not be read
MODULE = "import pathlib\npathlib.Path('ran').touch()\ndef net(): ...\n"
# What `cnntui build` would read, or import.
ELSEWHERE = (
    "evil.toml",
    "./evil.toml",
    "nets/../evil.toml",
    "evil.onnx",
    "evil.py:net",
    "evil:net",
    "torchvision:resnet18",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files are that a lesson must not touch: it is the working directory, and Python finds modules there."""
    (tmp_path / "evil.toml").write_text(NET)
    (tmp_path / "evil.py").write_text(MODULE)
    (tmp_path / "nets").mkdir()
    (tmp_path / "conv 8; evil.toml").write_text(NET)
    (tmp_path / "pictures" / "0").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def refused(folder: Path, front: str, page: str = "Words.") -> LessonError:
    path = folder / "lesson.md"
    path.write_text(f'+++\nid = "a"\ntitle = "A"\nminutes = 5\n{front}\n+++\n## A page\n\n{page}\n')
    with pytest.raises(LessonError) as raised:
        rehearse(read_lesson(path))
    assert not (folder / "ran").exists() and "evil" not in sys.modules
    return raised.value


@pytest.mark.parametrize("net", ELSEWHERE)
def test_a_net_is_never_a_file_or_a_module(net: str, folder: Path) -> None:
    names = "names a file or a module: a lesson's net is one of the zoo, or layers"
    for front, line in (
        (f'[nets]\nx = "{net}"', 6),
        (f'[nets]\nx = {{ layers = "{net}", input = [1, 8, 8] }}', 6),
        (f'[runs.x]\nnet = "{net}"\ndata = "digits"', 5),
        (f'[runs.x]\nnet = "{net}"\ninput = [1, 8, 8]\ndata = "digits"', 5),
        (f'[sweeps.x]\nnet = "{net}"\n[sweeps.x.baseline]\ndata = "digits"\n[sweeps.x.vary]\nlr = [0.1, 0.2]', 5),
    ):
        error = refused(folder, front)
        assert error.line == line
        assert names in error.what
    for page in (f'{{net("{net}").params}}', f'{{net("{net}", 1, 8, 8).params}}'):
        assert names in refused(folder, "", page).what
    with pytest.raises(WordsError, match="names a file"):
        network_of(net)


@pytest.mark.parametrize("net", ["evil.toml", "./evil.toml", "evil:net", "torchvision:resnet18"])
def test_no_screen_takes_one_either(net: str, folder: Path) -> None:
    taking = [name for name in STAGES if "net" in stage(name).moves]
    assert {"build", "train", "explore"} <= set(taking)
    for name in taking:
        error = refused(folder, "", f"```{name}\nnet {net}\n```")
        assert error.line == 10
        assert f"is called '{net}'; the" in error.what or f"is called '{net}'; there are" in error.what


@pytest.mark.parametrize(
    ("net", "values"),
    [
        ("{a} {b}", {"a": "", "b": "evil.toml"}),
        ("{a}{b}; x", {"a": "./evil.to", "b": "ml"}),
        ("conv 8; {b}", {"b": "evil.toml"}),
        ("{a} {b}", {"a": "evil:net", "b": ""}),
        ("{a}; {b}", {"a": "torchvision:resnet18", "b": ""}),
    ],
)
def test_nor_is_a_net_with_placeholders(net: str, values: dict[str, str], folder: Path) -> None:
    baseline = "\n".join(f'{name} = "{value}"' for name, value in values.items())
    front = f'[sweeps.x]\nnet = "{net}"\ninput = [1, 8, 8]\n[sweeps.x.baseline]\ndata = "digits"\n{baseline}\n'
    assert refused(folder, f"{front}[sweeps.x.vary]\nlr = [0.1, 0.2]").line == 5


def test_places_of_this_machine_are_not_for_a_lesson(folder: Path) -> None:
    pictures = folder / "pictures"
    run = '[runs.x]\nnet = "flatten; linear 10"\ninput = [1, 8, 8]\n'
    for setting in (
        f'data = "{pictures}"',
        f'data_dir = "{folder}"',
        f'tensorboard = "{folder}"',
        f'weights_from = "{folder}"',
    ):
        assert refused(folder, run + setting).line == 8
    for move in (f"data {pictures}", "data pictures"):
        assert "is none of mnist" in refused(folder, "", f"```train\n{move}\n```").what
    for move in ("picture evil.png", "picture /etc/passwd", "kernel ../evil", "kernel /etc/passwd", "kernel evil.toml"):
        assert refused(folder, "", f"```convolve\n{move}\n```").line == 10


WATCHER = """
import json, sys
seen = []
def watch(event, args):
    if event in ("open", "import", "os.listdir", "os.scandir", "shutil.copyfile") or event.startswith((
        "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.remove", "os.rename", "os.mkdir",
        "os.chmod", "os.link", "os.symlink", "os.truncate", "os.startfile", "socket.", "ctypes.", "pty.", "urllib.",
    )):
        seen.append([event, str(args[0]) if args else "", str(args[1]) if len(args) > 1 else ""])
from pathlib import Path
from cnntui.labs.lessons.course import open_course
from cnntui.labs.lessons.trial import trials
from cnntui.labs.stages import STAGES, stage
for name in STAGES:
    stage(name)
sys.addaudithook(watch)
before = set(sys.modules)
course, _ = open_course(sys.argv[1])
for lesson in course.lessons:
    for page in lesson.pages:
        lesson.text(page)
    trials(lesson)
course.search("stride")
found = seen[:]
print(json.dumps([found, sorted(set(sys.modules) - before), "torch" in sys.modules or "textual" in sys.modules]))
"""


def test_reading_and_rehearsing_opens_the_lesson_and_nothing_else(tmp_path: Path) -> None:
    course = tmp_path / "course"
    course.mkdir()
    (course / "1.md").write_bytes((HERE / "lesson.md").read_bytes())
    (course / "course.toml").write_text('title = "A course"\n')
    (course / "secret.txt").write_text("not for lessons")
    done = subprocess.run(
        [sys.executable, "-c", WATCHER, str(course)],
        capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    seen, modules, heavy = json.loads(done.stdout)
    allowed = [course / "1.md", course / "course.toml"]
    folders = [ROOT / "cnntui" / "nets", ROOT / "kernels"]
    opened = [Path(path) for event, path, _ in seen if event == "open"]
    code = [path for path in opened if path.suffix in (".py", ".pyc", ".so")]  # of what is imported only now
    others = [path for path in opened if path not in code]
    assert course / "1.md" in others
    assert [
        path for path in others if path not in allowed and not any(path.is_relative_to(one) for one in folders)
    ] == []
    assert all(mode in ("r", "rb", "None") for event, path, mode in seen if event == "open" and Path(path) not in code)
    assert [event for event, *_ in seen if event not in ("open", "import", "os.listdir", "os.scandir")] == []
    known = {"cnntui", "numpy", "PIL", *sys.stdlib_module_names}
    assert [name for name in modules if name.partition(".")[0] not in known] == []
    assert not heavy

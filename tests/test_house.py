"""What the house promises of itself: who imports what, and what ships."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cnntui.ui.tabs import TABS

ROOT = Path(__file__).parents[1]


def loaded_by(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_screens_leave_torch_out() -> None:
    modules = loaded_by("cnntui.ui.app", *(f"cnntui.ui.screens.{tab.mode}" for tab in TABS))
    assert "textual" in modules
    assert not modules & {"torch", "torchvision", "sklearn", "cnntui.training"}


def test_a_screen_that_leads_to_explore_does_not_load_it() -> None:
    modules = loaded_by("cnntui.ui.app", "cnntui.ui.screens.build", "cnntui.ui.screens.train")
    assert not modules & {"safetensors", "PIL", "cnntui.labs.explore", "cnntui.ui.views.explore"}


def test_the_command_line_starts_light() -> None:
    assert not loaded_by("cnntui.cli") & {"numpy", "textual", "rich", "torch", "cnntui.core"}


def test_inspecting_needs_no_numpy() -> None:
    """Neither the table nor the document: the whole command, as it is run."""
    for form in ("", ", '--json'", ", '--csv'", ", '--code'"):
        code = (
            "import sys; from cnntui.cli import cli;"
            f"cli(['inspect', 'resnet18'{form}], standalone_mode=False);"
            "print(*(name for name in sys.modules if '.' not in name), file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not set(done.stderr.split()) & {"numpy", "PIL", "textual", "torch", "psutil", "subprocess"}


def test_the_supervisor_is_small() -> None:
    assert not loaded_by("cnntui.runs.supervisor") & {"torch", "textual", "PIL"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_holds_the_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, suffix, inside in (
        (ROOT / "kernels", "toml", "cnntui/kernels"),
        (ROOT / "cnntui" / "nets", "toml", "cnntui/nets"),
        (ROOT / "cnntui" / "lessons", "md", "cnntui/lessons"),
    ):
        files = list(folder.glob(f"*.{suffix}"))
        assert files
        assert {f"{inside}/{path.name}" for path in files} <= names
    assert not [name for name in names if name.startswith(("tests", "screenshots"))]


@pytest.mark.parametrize("installed", [True, False], ids=["wheel", "editable"])
def test_kernels_nets_and_lessons_are_found(wheel: Path, tmp_path: Path, installed: bool) -> None:
    """From an installed wheel as well as from a checkout."""
    if installed:
        zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import cnntui, cnntui.core.kernels as k, cnntui.core.nets as n, cnntui.labs.lessons.course as l;"
        "print(cnntui.__file__, len(k.load_kernels()[0]), len(n.zoo()), len(l.own_course().lessons))"
    )
    path = str(tmp_path if installed else ROOT)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    where, *counts = done.stdout.split()
    assert where.startswith(path)
    expected = [(ROOT / "kernels", "*.toml"), (ROOT / "cnntui/nets", "*.toml"), (ROOT / "cnntui/lessons", "[0-9]*.md")]
    assert [int(n) for n in counts] == [len(list(folder.glob(pattern))) for folder, pattern in expected]

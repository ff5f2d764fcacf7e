"""The test pictures that the trainer keeps, and those who look at them without torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnntui.core.notation import parse
from cnntui.runs import test_pictures
from cnntui.runs.events import Data, EventWriter
from cnntui.runs.export import preparation
from cnntui.runs.places import pictures_root
from cnntui.runs.reader import RunView
from cnntui.runs.spec import Settings, new_spec
from cnntui.runs.test_pictures import (
    About,
    Gallery,
    GalleryError,
    ask_gallery,
    ask_gallery_of,
    gallery_of,
    kept_gallery,
)
from cnntui.training import gallery
from cnntui.training.data import Fitting, digits, from_folder, from_torchvision
from tests.training.forks import forks
from tests.training.helpers import make_mnist
from tests.training.runs import over, wait
from tests.training.saved import make_run

NET = parse("conv 4 same; relu; flatten; linear 10", (1, 8, 8), "small")
ABOUT = About(
    name="a/b.c", sha256="0" * 64, shape=(1, 2, 3), classes=["x", "y"], mean=[0.5], deviation=[0.5], from_files=True
)
PICTURES = np.arange(30, dtype=np.uint8).reshape(5, 1, 2, 3)
LABELS = np.array([0, 1, 1, 0, 1])


def same(kept: Gallery | None, pictures: np.ndarray, labels: np.ndarray) -> bool:
    return kept is not None and np.array_equal(kept.pictures, pictures) and np.array_equal(kept.labels, labels)


def _cache_in(place: str) -> None:
    os.environ["XDG_CACHE_HOME"] = place


def trained() -> RunView:
    """A short run, which has the cache of this test."""
    with forks() as started:
        spec = new_spec(NET, Settings(data="digits", epochs=1, device="cpu"))
        return wait(started.launch(spec, partial(_cache_in, os.environ["XDG_CACHE_HOME"])), over)


def logged(run: Path, sha256: str, name: str = "digits") -> Path:
    log = EventWriter(run)
    log.emit(
        Data(step=0, name=name, train=9, test=3, shape=(1, 8, 8), classes=list("0123456789"), sha256=sha256, steps=9)
    )
    log.close()
    return run


def test_a_run_keeps_its_test_pictures() -> None:
    data = digits()
    view = trained()
    kept = gallery_of(view.directory)
    assert view.trained
    assert kept is not None
    assert same(kept, data.test_images.numpy(), data.test_labels.numpy())
    assert (kept.count, kept.classes, kept.about.from_files) == (360, data.classes, False)
    assert (kept.picture(7) == data.test_images[7].numpy()).all()
    assert kept.label(7) == int(data.test_labels[7])
    fit = Fitting.of(data, (1, 8, 8))
    assert (kept.about.mean, kept.about.deviation) == (fit.mean, fit.deviation)
    with pytest.raises(GalleryError, match=r"^test picture 360: there are 0 to 359$"):
        kept.picture(360)
    with pytest.raises(GalleryError, match=r"^test picture -1: "):
        kept.label(-1)
    assert pictures_root().stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o077 for path in pictures_root().iterdir()} == {0}
    assert len(list(pictures_root().iterdir())) == 3
    found = kept_gallery("auto")
    assert found is not None
    assert found.about == kept.about
    assert kept.preparation((1, 8, 8)) == preparation(view.directory, view.spec)
    made = kept.preparation((1, 28, 28)).prepared(kept.picture(7))
    np.testing.assert_allclose(made, Fitting.of(data, (1, 28, 28))(data.test_images[7:8])[0].numpy(), atol=1e-5)


def test_a_cache_that_cannot_be_written_is_only_a_notice(homes: Path) -> None:
    (homes / "xdg_cache_home").write_text("no directory")
    view = trained()
    assert view.trained
    assert [notice.message for notice in view.notices] == [
        f"test pictures not kept in {pictures_root()}: Not a directory"
    ]
    assert gallery_of(view.directory) is None


def test_a_process_loads_what_is_not_kept(tmp_path: Path) -> None:
    data = digits()
    run = logged(make_run(tmp_path / "run", settings=Settings(data="auto", data_dir=str(tmp_path))), data.sha256())
    assert gallery_of(run) is None
    assert kept_gallery("digits") is None
    kept = ask_gallery_of(run)
    assert same(kept, data.test_images.numpy(), data.test_labels.numpy())
    assert same(gallery_of(run), kept.pictures, kept.labels)
    other = logged(make_run(tmp_path / "other"), "f" * 64)
    with pytest.raises(GalleryError, match=r"^the pictures of digits are not those that other was trained and tested"):
        ask_gallery_of(other)
    make_mnist(tmp_path)
    auto = ask_gallery("auto", str(tmp_path))
    mnist = from_torchvision("mnist", tmp_path, lambda said: None)
    assert same(auto, mnist.test_images.numpy(), mnist.test_labels.numpy())
    found = kept_gallery("auto")
    assert found is not None
    assert found.about.name == "mnist"


def test_pictures_by_class_are_kept_as_the_net_takes_them(tmp_path: Path) -> None:
    luck = np.random.default_rng(0)
    for name in ("mnist/a", "mnist/b"):
        (tmp_path / name).mkdir(parents=True)
        for index in range(6):
            pixels = luck.integers(0, 256, (20, 24 + index, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    kept = ask_gallery(str(tmp_path / "mnist"), shape=(3, 9, 8))
    data = from_folder(tmp_path / "mnist", lambda said: None, shape=(3, 9, 8))
    assert same(kept, data.test_images.numpy(), data.test_labels.numpy())
    assert (kept.about.name, kept.about.from_files) == ("mnist", True)
    assert kept_gallery("mnist") is None, "another one"


def test_what_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match=r"is not a directory of pictures by class$") as error:
        ask_gallery(str(tmp_path / "none"))
    assert "\n" not in str(error.value)
    with pytest.raises(GalleryError, match=r"^no test pictures of digits within 0\.01 s; its process was ended$"):
        ask_gallery("digits", seconds=0.01)


def kept_in(root: Path) -> Gallery | None:
    """What is kept of `ABOUT`, as a run of it finds it."""
    run = root / "run"
    if not run.exists():
        run.mkdir()
        log = EventWriter(run)
        log.emit(Data(step=0, name=ABOUT.name, train=9, test=3, shape=(1, 2, 3), classes=["x", "y"],
                      sha256=ABOUT.sha256, steps=9))  # fmt: skip
        log.close()
    return gallery_of(run)


def saved(array: np.ndarray) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array)

    return save


def replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def put(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


DAMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "deleted": ("pictures.npy", Path.unlink),
    "no labels": ("labels.npy", Path.unlink),
    "no facts": ("json", Path.unlink),
    "torn": ("pictures.npy", lambda path: os.truncate(path, path.stat().st_size - 1)),
    "torn labels": ("labels.npy", lambda path: os.truncate(path, 20)),
    "torn facts": ("json", lambda path: os.truncate(path, 20)),
    "another shape": ("pictures.npy", saved(PICTURES.reshape(5, 1, 3, 2))),
    "another type": ("pictures.npy", saved(PICTURES.astype(np.float32))),
    "fewer": ("pictures.npy", saved(PICTURES[:4])),
    "a class that is none": ("labels.npy", saved(LABELS + 1)),
    "a pipe": ("pictures.npy", replaced(os.mkfifo)),
    "a directory": ("labels.npy", replaced(Path.mkdir)),
    "other facts": ("json", lambda path: put(path, "[1,2,3]", "[1,3,2]")),
    "of another": ("json", lambda path: put(path, "a/b.c", "a/b.d")),
    "garbage": ("json", lambda path: put(path, "{", "[")),
    "no deviation": ("json", lambda path: put(path, 'deviation":[0.5]', 'deviation":[]')),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_not_shown_and_is_kept_anew(
    tmp_path: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    test_pictures.keep(ABOUT, PICTURES, LABELS)
    assert same(kept_in(tmp_path), PICTURES, LABELS)
    (path,) = pictures_root().glob(f"*.{suffix}")
    damage(path)
    assert kept_in(tmp_path) is None
    if not path.is_dir():
        assert same(test_pictures.keep(ABOUT, PICTURES, LABELS), PICTURES, LABELS)
        assert same(kept_in(tmp_path), PICTURES, LABELS)
    shutil.rmtree(pictures_root())
    assert kept_in(tmp_path) is None


def test_what_is_kept_is_not_written_again(tmp_path: Path) -> None:
    test_pictures.keep(ABOUT, PICTURES, LABELS)
    (path,) = pictures_root().glob("*.pictures.npy")
    before = path.stat().st_ino
    test_pictures.keep(ABOUT, PICTURES, LABELS)
    assert path.stat().st_ino == before


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_pictures, "MOST_BYTES", 20)
    monkeypatch.setattr(test_pictures, "MOST_GALLERIES", 3)
    for index in range(5):
        about = About(**{name: getattr(ABOUT, name) for name in ABOUT.__struct_fields__} | {"sha256": f"{index:064x}"})
        kept = test_pictures.keep(about, PICTURES, LABELS)
        assert same(kept, PICTURES[:3], LABELS[:3])
    assert len(list(pictures_root().iterdir())) == 9
    assert gallery.keep(digits(), "0" * 64, Fitting.of(digits(), (1, 8, 8)), "digits").name == "digits"
    found = kept_gallery("digits")
    assert found is not None
    assert found.count == 1, "one at least"


def test_names_that_mean_something_to_a_file_system_stay_in_their_place(tmp_path: Path) -> None:
    log = EventWriter(tmp_path)
    log.emit(Data(step=0, name="../../x", train=1, test=1, shape=(1, 1, 1), classes=[], sha256="../../\0", steps=1))
    log.close()
    assert gallery_of(tmp_path) is None

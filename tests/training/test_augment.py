"""Augmentation: every result is a picture of the batch, moved by whole pixels, and mirrored where that is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cnntui.runs.spec import DATA_SETS
from cnntui.training.augment import Augment, reach, resolve


def pictures(count: int, channels: int, side: int) -> Tensor:
    """Noise, in which no two places look alike."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)


def places(before: Tensor, after: Tensor, reflect: bool) -> np.ndarray:
    """Where each picture went, looked up in all that are possible: (count, 3) of mirrored, down, right."""
    down, right = reach(before.shape[2]), reach(before.shape[3])
    found = np.full((len(before), 3), -99)
    for mirrored in (0, 1):
        source = before.float().flip(3) if mirrored else before.float()
        wide = F.pad(source, (right, right, down, down), mode="reflect" if reflect else "constant").to(torch.uint8)
        for y in range(2 * down + 1):
            for x in range(2 * right + 1):
                window = wide[:, :, y : y + before.shape[2], x : x + before.shape[3]]
                same = (window == after).flatten(1).all(1).numpy()
                found[same] = (mirrored, y - down, x - right)
    return found


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize(("channels", "side", "most"), [(1, 28, 2), (3, 32, 4), (1, 8, 1), (3, 64, 8)])
def test_every_result_is_a_true_shift_and_all_are_as_likely(channels: int, side: int, most: int, reflect: bool) -> None:
    torch.manual_seed(0)
    assert reach(side) == most
    source = pictures(100 if side > 32 else 400, channels, side)
    found = np.concatenate([places(source, Augment("shift", reflect)(source), reflect) for _ in range(2)])
    assert (found != -99).all(), "each is one of them"
    assert not found[:, 0].any(), "none is mirrored"
    for axis in (1, 2):
        counts = np.bincount(found[:, axis] + most, minlength=2 * most + 1)
        expected = len(found) / (2 * most + 1)
        assert ((counts - expected) ** 2 / expected).sum() < 40, "chi squared, of at most 16 degrees of freedom"
    assert abs(np.corrcoef(found[:, 1], found[:, 2])[0, 1]) < 0.15, "down and right have nothing to do with each other"


def test_half_of_the_pictures_are_mirrored() -> None:
    torch.manual_seed(0)
    source = pictures(1000, 3, 32)
    found = places(source, Augment("flip", reflect=True)(source), reflect=True)
    assert (found != -99).all()
    assert 440 < found[:, 0].sum() < 560
    assert {*found[:, 1]} == {*found[:, 2]} == set(range(-4, 5))


def test_auto_never_mirrors_digits() -> None:
    for data in ("mnist", "kmnist", "digits", "printed"):
        assert resolve("auto", data) == "shift"
        with pytest.raises(ValueError, match=f"would mirror the digits of {data}: take 'shift'"):
            resolve("flip", data)
        torch.manual_seed(0)
        source = pictures(300, 1, 28)
        found = places(source, Augment.of("auto", data)(source), reflect=False)
        assert (found != -99).all()
        assert not found[:, 0].any()


def test_what_suits_which_data() -> None:
    assert {data: resolve("auto", data) for data in DATA_SETS if data != "auto"} == {
        "mnist": "shift",
        "fashion-mnist": "flip",
        "kmnist": "shift",
        "cifar10": "flip",
        "digits": "shift",
        "printed": "shift",
    }
    assert resolve("auto", "my cats") == "shift"
    assert resolve("flip", "my cats") == "flip"
    assert [resolve("none", data) for data in DATA_SETS] == ["none"] * len(DATA_SETS)
    assert Augment.of("auto", "cifar10") == Augment("flip", reflect=True)
    assert Augment.of("auto", "mnist") == Augment("shift", reflect=False)
    assert Augment.of("auto", "my cats") == Augment("shift", reflect=True)


def test_none_is_the_batch_itself() -> None:
    source = pictures(3, 1, 28)
    assert Augment("none")(source) is source


def test_the_seed_decides() -> None:
    source = pictures(50, 3, 32)
    for given in (None, torch.Generator()):
        made = []
        for seed in (1, 1, 2):
            (given.manual_seed if given else torch.manual_seed)(seed)
            made.append(Augment("flip", reflect=True, generator=given)(source))
        assert torch.equal(made[0], made[1])
        assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize("kind", ["shift", "flip"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("reflect", [False, True])
def test_shape_and_type_stay(kind: str, dtype: torch.dtype, reflect: bool) -> None:
    source = pictures(5, 3, 32)
    kept = source.clone()
    made = Augment(kind, reflect)(source.to(dtype))
    assert (made.shape, made.dtype) == (source.shape, dtype)
    assert torch.equal(source, kept), "the source is left alone"
    oblong = torch.zeros(2, 1, 5, 40, dtype=dtype)
    assert Augment(kind, reflect)(oblong).shape == oblong.shape


@pytest.mark.parametrize("kind", ["shift", "flip"])
@pytest.mark.parametrize("reflect", [False, True])
def test_nothing_waits_for_the_device(kind: str, reflect: bool) -> None:
    """On torch's meta device there are shapes and no values: whatever looks at a value fails there."""
    source = torch.empty(64, 3, 32, 32, dtype=torch.uint8, device="meta")
    made = Augment(kind, reflect)(source)
    assert (made.shape, made.device.type) == (source.shape, "meta")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["shift", "flip"])
def test_it_is_captured_in_a_cuda_graph_and_differs_at_each_replay(kind: str) -> None:
    device = torch.device("cuda")
    source = pictures(500, 3, 32).to(device)
    augment = Augment(kind, reflect=True)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        augment(source)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = augment(source)
    results = []
    for _ in range(2):
        graph.replay()
        results.append(made.cpu())
    for result in results:
        assert (places(source.cpu(), result, reflect=True) != -99).all()
    assert not torch.equal(*results)

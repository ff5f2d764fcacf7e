"""What a run learned, handed on: a frozen backbone, a new head, a learning rate for each of the two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cnntui.core.notation import parse
from cnntui.labs.plain import header
from cnntui.runs.launch import create
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings, Spec, new_spec
from cnntui.runs.weights import optimizer_state
from cnntui.training import loop
from cnntui.training.course import Course
from cnntui.training.data import DataSet, digits, printed
from cnntui.training.examine import examine
from cnntui.training.model import Net, build
from cnntui.training.step import weights_of
from cnntui.training.weights import WeightsError, begin
from tests.training.saved import make_run, save, trained
from tests.training.test_ranks import assert_as_one
from tests.training.test_resume import assert_same, final_tensors, train_here

TEXT = "conv 8 same; bn; relu; maxpool 2; conv 8 same; relu; flatten; dropout 0.2; linear 10"
NET = parse(TEXT, (1, 8, 8), "small")
HEAD = {"linear1.weight", "linear1.bias"}
OWN = [name for name, _ in build(NET).named_parameters()]

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A run that has learned something."""
    run = make_run(tmp_path / "source", "conv 4; flatten; linear 3")
    save(run, 1, best=True, model=trained(NET))
    return run


def spec(source: Path | None = None, text: str = TEXT, **changed: Any) -> Spec:
    settings = {"data": "digits", "device": "cpu", "batch_size": 64, "epochs": 1, **changed}
    settings["weights_from"] = str(source) if source else None
    return new_spec(parse(text, (1, 8, 8), "small"), Settings(**settings))


def tensors_of(model: Net) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def course_of(spec: Spec) -> Course:
    torch.manual_seed(0)
    return Course(spec, build(spec.network), digits())


def moved(course: Course) -> dict[str, float]:
    """How far each weight goes in a step: the mean over its numbers."""
    torch.manual_seed(1)  # of dropout
    before = tensors_of(course.model)
    course.advance(next(course.batches()))
    after = course.model.state_dict()
    return {name: float((after[name] - before[name]).abs().mean()) for name in OWN}


# -- what is taken over


def test_a_new_head_begins_afresh_though_the_old_one_would_fit(source: Path) -> None:
    model, theirs = build(NET), trained(NET).state_dict()
    began = tensors_of(model)
    taken = begin(model, spec(source, new_head=True))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, began[name] if name in HEAD else theirs[name]), name
    assert taken.summary == (
        "9 of 11 tensors taken over from source step-1; new: linear1.weight 10×128, linear1.bias 10"
    )
    assert len(begin(build(NET), spec(source)).kept) == 11, "without new_head it is taken, too"


def test_what_is_to_be_frozen_must_have_been_learned(source: Path) -> None:
    wider = spec(source, TEXT.replace("maxpool 2; conv 8", "maxpool 2; conv 9"), frozen=True)
    with pytest.raises(WeightsError) as error:
        begin(build(wider.network), wider)
    assert str(error.value) == (
        "a frozen backbone must be learned, and source step-1 has not conv2.weight 9×8×3×3 (there 8×8×3×3), "
        "conv2.bias 9 (there 8): train it too, or take its net"
    )
    other = spec(source, TEXT.replace("linear 10", "linear 12"), frozen=True)
    assert len(begin(build(other.network), other).new) == 2, "a head for other classes need not"
    single = spec(source, "flatten; linear 10", frozen=True)
    with pytest.raises(WeightsError, match="small has no layers with weights before its head"):
        begin(build(single.network), single)


# -- what is trained


def test_a_frozen_backbone_stays_as_it_is_and_so_do_its_statistics(source: Path) -> None:
    course = course_of(spec(source, frozen=True, optimizer="adamw", weight_decay=0.1))
    before = tensors_of(course.model)
    for index in course.batches():
        course.advance(index)
        course.model.eval()
        course.model.train()  # as each test of an epoch does
    changed = {name for name, tensor in course.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == HEAD, "neither gradients, nor weight decay, nor batch norms move the rest"
    assert sum(w.numel() for w in course.model.parameters() if w.requires_grad) == 1_290


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_backbone_goes_its_share_of_each_step(optimizer: str) -> None:
    settings: dict[str, Any] = {"optimizer": optimizer, "lr": 0.01, "schedule": "constant"}
    alike, slower = course_of(spec(**settings)), course_of(spec(**settings, backbone_lr=0.001))
    one, other = moved(alike), moved(slower)
    for name in set(OWN) - {"conv1.bias"}:  # which a batch norm takes away: its gradient is what rounding leaves
        assert other[name] == pytest.approx(one[name] * (1.0 if name in HEAD else 0.1), rel=2e-3), name
    slower.lr = 0.02  # as `set lr=0.02`
    slower.spec = spec(**settings | {"schedule": "cosine"}, backbone_lr=0.001)
    slower.advance(next(slower.batches()))
    backbone, head = (group["lr"] for group in slower.optimizer.param_groups)
    assert 0 < head < 0.02, "as far as the schedule is"
    assert backbone == pytest.approx(head / 10), "the head's is what is set, the other keeps its share"


@pytest.mark.parametrize("changed", [{}, {"frozen": True}, {"backbone_lr": 1e-4}])
def test_the_optimizer_numbers_the_weights_as_ever(source: Path, changed: dict[str, Any]) -> None:
    course = course_of(spec(source, **changed))
    names = {id(weight): name for name, weight in course.model.named_parameters()}
    assert [names[id(weight)] for weight in weights_of(course.optimizer)] == OWN


def test_two_ranks_freeze_alike(source: Path) -> None:
    """By gradients and weights: those of one rank with the whole batch."""
    net = "conv 8 same; bn; relu; conv 8 same; relu; maxpool 2; flatten; linear 10"
    changed: dict[str, Any] = {"frozen": True, "batch_size": 33, "optimizer": "sgd", "lr": 0.05}
    two, one = spec(source, net, ranks=2, **changed), spec(source, net, **changed)
    assert_as_one(two, one, 106, [[17, 17, 17, 4], [16, 16, 16, 3]])


# -- what it is good for


def learned(spec: Spec, data: DataSet, given: dict[str, torch.Tensor] | None = None) -> tuple[float, Net]:
    """Test accuracy after all epochs; `given` is what its backbone begins with."""
    torch.manual_seed(0)
    model = build(spec.network)
    if given is not None:
        model.load_state_dict({**given, **{name: model.state_dict()[name] for name in HEAD}})
    course = Course(spec, model, data)
    while course.step < course.steps:
        for index in course.batches():
            course.advance(index)
    return examine(model, course.data.test_images, course.data.test_labels, course.fit, 64).accuracy, model


def test_what_printed_digits_teach_helps_to_read_written_ones(tmp_path: Path) -> None:
    """Measured over three seeds, one epoch: 54 ± 8 % from scratch, 87 ± 1 % with a frozen backbone, 87 ± 1 % tuned."""
    net = (
        "conv 16 same; relu; conv 16 same; relu; maxpool 2; conv 32 same; relu; conv 32 same; relu; flatten; linear 10"
    )
    source, written = printed(), digits()
    known, model = learned(spec(text=net, epochs=3, lr=0.003), source)
    assert known > 0.9
    given = tensors_of(model)
    fresh, _ = learned(spec(text=net), written)
    frozen, _ = learned(spec(tmp_path, net, frozen=True), written, given)
    tuned, _ = learned(spec(tmp_path, net, backbone_lr=1e-4), written, given)
    assert min(frozen, tuned) > fresh + 0.15, (fresh, frozen, tuned)


# -- whole runs


@pytest.mark.parametrize("changed", [{"frozen": True, "new_head": True}, {"backbone_lr": 1e-4}])
def test_stopped_and_resumed_it_is_bit_equal_to_never_stopped(
    source: Path, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)
    whole, parts = (create(spec(source, epochs=2, augment="shift", **changed)) for _ in range(2))
    assert not train_here(whole, 1)
    assert "stopped at step 30 of 46" in train_here(parts, 1, 30)
    assert not train_here(parts, 2)
    assert_same(whole, parts)
    view = RunReader(whole).poll()
    frozen, params = "frozen" in changed, "1,290 of 1,970 parameters are trained"
    assert header(view).splitlines()[2] == f"small: {params if frozen else '1,970 parameters'}, 2 epochs"
    remembered = optimizer_state(whole).tensors
    assert [OWN[number] for number in remembered] == [name for name in OWN if not frozen or name in HEAD]
    learned, given = final_tensors(whole), trained(NET).state_dict()
    kept = {name for name, tensor in given.items() if learned[name].tobytes() == tensor.numpy().tobytes()}
    assert kept == (given.keys() - HEAD if frozen else set())


# -- what cannot be


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"frozen": True},
            "a frozen backbone would stay as random as it begins: give it what a run learned, --from RUN",
        ),
        (
            {"new_head": True},
            "a new head is for the weights of another run, and there are none to begin with: --from RUN",
        ),
        (
            {"backbone_lr": 0.0},
            "learning rate 0.0 of the backbone is not a number above 0: to keep it as it is, freeze it",
        ),
        ({"backbone_lr": float("nan")}, "learning rate nan of the backbone is not a number above 0"),
        (
            {"frozen": True, "backbone_lr": 1e-4, "weights_from": "/run"},
            "a frozen backbone has no learning rate: leave out 0.0001, or do not freeze it",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        Settings(**changed).check()
    assert str(error.value).startswith(message)

"""A network as backbone and head: which layers they are, how many parameters, and a head for other classes."""

from __future__ import annotations

import pytest

from cnntui.core.analysis import analyse
from cnntui.core.backbone import backbone_and_head, trained_params, with_classes
from cnntui.core.nets import load_net, zoo
from cnntui.core.notation import parse
from tests.labs.test_program import BLOCKS


def test_resnet18_for_ten_classes_trains_5130_of_11181642() -> None:
    network = with_classes(load_net("resnet18").network, 10)
    backbone, head = backbone_and_head(network)
    assert (backbone[0], head, len(backbone)) == ("conv1", "linear1", 40)
    assert trained_params(network, frozen=True) == 5_130 == (512 + 1) * 10
    assert trained_params(network, frozen=False) == 11_181_642 == analyse(network).params


@pytest.mark.parametrize(
    ("text", "backbone", "head"),
    [
        ("conv 4; relu; flatten; linear 3", ("conv1",), "linear1"),
        ("conv 4; bn; conv 10 k1; gap", ("conv1", "bn1"), "conv2"),
        ("conv 4; conv 10 k1; bn; gap", ("conv1",), "conv2"),
        ("[ conv 4 p1 | conv 4 k1 ] add; gap; score: linear 3; softmax", ("conv1", "conv2"), "score"),
        ("flatten; linear 3", (), "linear1"),
        ("flatten; softmax", (), ""),
        ("bn; flatten", (), ""),
    ],
)
def test_the_head_is_the_last_layer_with_weights_that_is_no_norm(
    text: str, backbone: tuple[str, ...], head: str
) -> None:
    network = parse(text, (2, 8, 8))
    assert backbone_and_head(network) == (backbone, head)
    rows = analyse(network).rows
    rest = sum(row.params for row in rows if row.node.name not in backbone)
    assert trained_params(network, frozen=True) == rest


@pytest.mark.parametrize("name", zoo())
def test_every_net_of_the_zoo_takes_other_classes(name: str) -> None:
    network = load_net(name).network
    other = with_classes(network, 7)
    before, after = analyse(network), analyse(other)
    assert after.error is None
    assert after.output is not None
    assert after.output[0] == 7
    backbone = set(backbone_and_head(network)[0])
    assert backbone_and_head(other) == backbone_and_head(network)
    assert [r for r in after.rows if r.node.name in backbone] == [r for r in before.rows if r.node.name in backbone]


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        ("flatten; linear 3", 0, "^0 classes < 1$"),
        ("flatten; relu", 3, "^net: it cannot be given 3 outputs: write the net with linear 3$"),
        ("flatten; ( linear 3 ) x2", 5, "^net: its last layer with weights, linear2, cannot be given 5 outputs: "),
        ("@keep(8)", 5, "cannot be given 5 outputs"),
    ],
)
def test_a_head_that_cannot_be_changed_is_told(text: str, classes: int, message: str) -> None:
    network = parse(text, (1, 8, 8), "net", BLOCKS)
    with pytest.raises(ValueError, match=message):
        with_classes(network, classes)

"""Notation: what is written is read, what is read is written, and what is wrong is named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cnntui.core.nets import NetFile, load_net, parse_input, parse_toml, to_toml, zoo
from cnntui.core.network import Network
from cnntui.core.notation import network_text, parse
from cnntui.core.vocabulary import VOCABULARY, NotationError, layer_text, matching, parse_layer

LAYERS = [
    "conv 6 k5",
    "conv 6 same",
    "conv 6 nobias k3x1 s2x1 p1x0 d2 g2",
    "maxpool 2",
    "maxpool 3x2 s2 p1 ceil",
    "avgpool 3 s2 p1 nopad",
    "gap",
    "flatten",
    "linear 10",
    "linear 10 nobias",
    "bn",
    "dropout",
    "dropout 0.25",
    "dropout 0.00001",
    "dropout 0.1234567",
    "dwconv",
    "dwconv k5 s2 p2 nobias",
    "dwconv k3x1 same d2",
    "tconv 8 k4 s2 p1",
    "tconv 8 k2x3 s2x3 op1x2 g2 nobias",
    "adaptiveavgpool 7",
    "adaptiveavgpool 7x5",
    "upsample 2",
    "pad 1,2,0,3",
    "subsample 2",
    "ln",
    "in",
    "gn 4",
    "lrn",
    "relu",
    "relu6",
    "leakyrelu",
    "elu",
    "gelu",
    "silu",
    "hardswish",
    "tanh",
    "sigmoid",
    "softmax",
    "id",
]


@pytest.mark.parametrize("text", LAYERS)
def test_a_layer_reads_back(text: str) -> None:
    layer = parse_layer(text)
    assert parse_layer(layer_text(layer)) == layer


def test_every_layer_of_the_vocabulary_is_read_here() -> None:
    assert {text.split()[0] for text in LAYERS} == set(VOCABULARY)


def test_arguments_come_in_any_order() -> None:
    assert parse_layer("conv s2 k5 6") == parse_layer("conv 6 k5 s2")


def strip(network: Network) -> tuple[object, ...]:
    return network.input, network.nodes


@pytest.mark.parametrize("name", zoo())
def test_a_net_file_reads_back(name: str) -> None:
    net = load_net(name)
    again = parse_toml(to_toml(net))
    assert again == net


@pytest.mark.parametrize("seed", range(50))
def test_random_nets_read_back(seed: int) -> None:
    rng = random.Random(seed)
    items = [rng.choice(LAYERS) for _ in range(rng.randint(1, 9))]
    items[rng.randrange(len(items))] = "mine: relu"
    network = parse("; ".join(items), (2, 9, 9))
    assert strip(parse("\n".join(network_text(network)), (2, 9, 9))) == strip(network)


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("conv 6 q5", "layer 1 (conv 6 q5): 'q5' is not understood; conv takes kN", 1, 8),
        ("relu; conv", "layer 2 (conv): out_channels is missing; write for example 'conv 16'", 1, 11),
        ("relu\n  cnv 6", "layer 2 (cnv 6): no layer is called 'cnv'; did you mean conv", 2, 3),
        ("conv 6 k3 k5", "kernel_size is given twice", 1, 11),
        ("conv 6 same p1", "padding is given twice", 1, 13),
        ("conv 6 k3x3x3", "'3x3x3' is not a size such as 3 or 3x5", 1, 8),
        ("conv -6", "'-6' is not understood", 1, 6),
        ("dropout 0.5.5", "'0.5.5' is not a number", 1, 9),
        ("relu 3", "relu takes no such argument", 1, 6),
        ("; ;", "there is no layer in it", 1, 1),
    ],
)
def test_an_error_names_the_layer_and_the_place(text: str, message: str, line: int, column: int) -> None:
    with pytest.raises(NotationError) as error:
        parse(text, (1, 9, 9))
    assert message in str(error.value)
    assert (error.value.line, error.value.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not TOML"),
        ('layers = ["relu"]', "input = [channels, height, width] is missing"),
        ('input = [1, 28]\nlayers = ["relu"]', "input = [1, 28] is not [channels, height, width]"),
        ('input = [1, 28, 28]\nlayers = "relu"', "is not a list of texts"),
        ('input = [1, 28, 28]\nlayers = ["relu", "cnv"]', "layer 2 (cnv)"),
        ('inputs = [1, 28, 28]\nlayers = ["relu"]', "unknown key 'inputs'"),
        ('input = [1, 0, 28]\nlayers = ["relu"]', "each at least 1"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "net.toml"
    path.write_text(text)
    with pytest.raises(NotationError) as error:
        load_net(str(path))
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_net_can_be_called(tmp_path: Path) -> None:
    with pytest.raises(NotationError, match="no net is called 'lenet6'; the zoo has alexnet"):
        load_net("lenet6")
    with pytest.raises(NotationError, match="--input"):
        load_net("conv 6; relu")
    assert load_net("conv 6; relu", (1, 9, 9)).network.input == (1, 9, 9)
    assert load_net("lenet5", (1, 64, 64)).network.input == (1, 64, 64)
    with pytest.raises(NotationError, match="No such file"):
        load_net(str(tmp_path / "absent.toml"))


def test_input_on_the_command_line() -> None:
    assert parse_input("1,28,28") == parse_input("1x28x28") == (1, 28, 28)
    for wrong in ("28,28", "a,b,c", ""):
        with pytest.raises(NotationError, match="is not channels,height,width"):
            parse_input(wrong)


def test_what_a_file_says_about_its_net_is_kept() -> None:
    net = parse_toml('name="n"\nyear=1998\nidea="i"\nsource="s"\ninput=[1,2,2]\nlayers=["relu"]')
    assert net == NetFile(net.network, 1998, "i", "s")


def test_a_path_is_not_taken_for_layers() -> None:
    with pytest.raises(NotationError, match=r"/etc/passwd: a net's file ends in .toml or .onnx"):
        load_net("/etc/passwd")


def test_what_a_terminal_would_obey_is_left_out() -> None:
    text = 'name="a\\u001b[31mb"\ninput=[1,2,2]\nlayers=["relu"]'
    assert parse_toml(text).network.name == "a[31mb"


def test_every_layer_is_offered_on_one_line_of_plain_words() -> None:
    lines = matching("")
    assert len(lines) == len(VOCABULARY)
    assert [line for line in lines if len(line) > 78 or "`" in line or len(line.split("  ", 1)[1].strip()) < 5] == []

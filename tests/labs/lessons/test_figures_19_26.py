"""The figures of lessons 19 to 26, worked out here another way, stand in their text."""

from __future__ import annotations

import pytest

from tests.labs.lessons import rendered


def conv(inputs: int, outputs: int, kernel: int) -> int:
    """Parameters of a square window, with biases."""
    return outputs * (inputs * kernel * kernel + 1)


def linear(inputs: int, outputs: int) -> int:
    return outputs * (inputs + 1)


VGG = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512)] + [(512, 512)] * 5
VGG_CONVS = sum(conv(a, b, 3) for a, b in VGG)
VGG_LINEAR = linear(512 * 7 * 7, 4096) + linear(4096, 4096) + linear(4096, 1000)
LENET_PORT = conv(1, 6, 5) + conv(6, 16, 5) + conv(16, 120, 5) + linear(120, 84) + linear(84, 10)
# The table of 1998 joins six filters to 3 maps, nine to 4, one to 6; subsampling has two numbers a map; no output layer.
C3 = (6 * 3 + 9 * 4 + 6) * 25 + 16
LENET_1998 = conv(1, 6, 5) + 2 * 6 + C3 + 2 * 16 + conv(16, 120, 5) + linear(120, 84)
LENET_20_50 = conv(1, 20, 5) + conv(20, 50, 5) + linear(50 * 7 * 7, 500) + linear(500, 10)

LENET = {
    "61,706": LENET_PORT,
    "60,000": LENET_1998,
    "900": conv(6, 16, 5) - C3,
    "44": 2 * 6 + 2 * 16,
    "850": linear(84, 10),
    "1,256,080": LENET_20_50,
    "14,714,688": VGG_CONVS,
    "123,642,856": VGG_LINEAR,
    "138,357,544": VGG_CONVS + VGG_LINEAR,
    "12,979,200": conv(256, 512, 3) + 5 * conv(512, 512, 3),
}


SMALL_KERNELS = {
    "73,728": 2 * 9 * 64 * 64,
    "102,400": 25 * 64 * 64,
    "9,472": conv(3, 64, 7),
    "75,648": conv(3, 64, 3) + 2 * conv(64, 64, 3),
}
CHEAPER = {
    "73,856": conv(64, 128, 3),
    "8,896": 9 * 64 + 64 * 128 + 128,
    "115,605,504": 14 * 14 * 9 * 256 * 256,
    "13,296,640": 14 * 14 * (9 * 256 + 256 * 256),
    "4,816,896": 28 * 28 * 32 * 192,
    "1,354,752": 28 * 28 * 9 * 192,
    "4,765,696": 64 * 64 * (9 + 2 * 9 * 64) + 10 * 64 * 4 * 4,
}
WRONG_TOOL = {
    "112": (224 - 1 + 1) // 2,  # each layer of 3×3 adds two pixels to the first
    "223": 1 + 2 * 111,
    "225": 1 + 2 * 112,
    "38,416": (224 // 16) ** 4,
    "614,656": (224 // 8) ** 4,
    "50,176": 224 * 224,
}
REVIEW = {
    "150,528": 224 * 224 * 3,
    "5,575": 224 * 224 * 3 // 27,
    "274,763,776": 224 * 224 * 3 * 222 * 222 // 27,
    "110,592": 64 * 3 * 3 * 3 * 8 * 8,
    "118,013,952": 112 * 112 * 64 * 7 * 7 * 3,
    "236,027,904": 2 * 112 * 112 * 64 * 7 * 7 * 3,
    "14,714,688": VGG_CONVS,
    "123,642,856": VGG_LINEAR,
    "61,706": LENET_PORT,
    "60,000": LENET_1998,
    "128": 2 * 64,
}
RESIDUALS = {
    "12,466": conv(1, 8, 3) + 19 * conv(8, 8, 3) + linear(8 * 4 * 4, 10),
    "754": conv(1, 8, 3) + conv(8, 8, 3) + linear(8, 10),
}
# ResNet-18 by its plan: a stem, then four stages of two blocks; a batch norm has two numbers a channel.
STAGES = [(64, 64), (64, 128), (128, 256), (256, 512)]
BACKBONE = 3 * 64 * 49 + 128
for before, after in STAGES:
    BACKBONE += 9 * before * after + 3 * 9 * after * after + 4 * 2 * after
    BACKBONE += (before * after + 2 * after) if before != after else 0  # the projection
TRANSFER = {
    "11,176,512": BACKBONE,
    "513,000": linear(512, 1000),
    "5,130": linear(512, 10),
    "11,181,642": BACKBONE + linear(512, 10),
    "21,498": conv(1, 16, 3) + conv(16, 16, 3) + conv(16, 32, 3) + conv(32, 32, 3) + linear(32 * 4 * 4, 10),
}
FIGURES = {
    "lenet-and-its-children": LENET,
    "small-kernels": SMALL_KERNELS,
    "cheaper-convolutions": CHEAPER,
    "residuals": RESIDUALS,
    "transfer": TRANSFER,
    "the-wrong-tool": WRONG_TOOL,
    "review": REVIEW,
}


@pytest.mark.parametrize(
    ("lesson", "figure", "value"),
    [(lesson, *each) for lesson, figures in FIGURES.items() for each in figures.items()],
)
def test_figures_are_computed_right(lesson: str, figure: str, value: float) -> None:
    assert figure == f"{value:,}"
    assert figure in rendered(lesson)


def test_first_layers_of_alexnet_and_resnet() -> None:
    text = rendered("lenet-and-its-children")
    assert (224 + 2 * 2 - 11) // 4 + 1 == 55 and "64×55×55" in text  # AlexNet: 11×11, stride 4, padding 2
    assert (224 + 2 * 3 - 7) // 2 + 1 == 112 and "64×112×112" in text  # ResNet: 7×7, stride 2, padding 3


def test_two_of_3x3_against_one_of_5x5() -> None:
    text = rendered("small-kernels")
    assert (2 * 3 * 3, 3 * 3 * 3) == (18, 27)
    assert "2·9·C² = 18·C²" in text and "25·C² in all" in text
    assert "Three, with 27·C² against 49·C²" in text


def test_share_of_a_separable_convolution() -> None:
    assert f"{100 * (1 / 256 + 1 / 9):.1f} %" == "11.5 %"
    assert "11.5 %" in rendered("cheaper-convolutions")


def test_the_field_backward_and_the_rule_that_is_wrong() -> None:
    right = wrong = 1
    for kernel, stride in [(2, 2), (3, 1), (3, 1), (2, 2), (3, 1), (3, 1)]:  # from the last layer to the first
        right, wrong = stride * (right - 1) + kernel, stride * wrong + kernel - 1
    assert (right, wrong) == (16, 19)
    assert "1, 2, 4, 6, 12, 14, 16." in rendered("review")
    assert "one gets 19, which is wrong" in rendered("review")


def test_what_a_hook_on_conv1_sees() -> None:
    assert (28 + 2 * 1 - 3) // 1 + 1 == 28
    assert "32×28×28" in rendered("review")


def test_what_is_left_of_a_gradient() -> None:
    share = 1.0
    for _ in range(20):
        share *= 0.7
    assert f"{100 * share:.2f} %" == "0.08 %"
    assert "0.08 %. With skips" in rendered("residuals")

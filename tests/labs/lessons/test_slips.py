"""Figures that course notes copy from each other and that are wrong stand in the course only where they are called wrong."""

from __future__ import annotations

import re

import pytest

from cnntui.labs.lessons.course import lessons_directory
from cnntui.labs.lessons.tasks import Choice
from tests.labs.lessons import opened, passages

CALLED_WRONG = re.compile(
    r"\b(wrong(ly)?|not|no|slip|mistake|often (write|written|read|copied)|copied|1998)\b", re.IGNORECASE
)
# The figure, and what else must be in the sentence for it to be the slip.
SLIPS = {
    "VGG-16's convolutions: 9.5 M": (r"\b9\.5 (M|million)\b", ""),
    "locality saves 150,000 times": (r"\b150,000\b(?!,)", ""),
    "locality and sharing save 7.5 billion": (r"\b7\.5 billion\b", ""),
    "64 windows over 8×8 places, not shared: 884,736": (r"\b884,736\b", ""),
    "AlexNet begins with 7×7, stride 2": (r"\b7[×x]7\b", r"\bAlexNet\b"),
    "the VGG-style stack sees 19": (
        r"(?<![-\d.,·])19(?![\d·]|[.,]\d)",
        r"\b(field|fields|see|sees|rule|pixels|across)\b",
    ),
    "a hook on conv1 sees 14×14": (r"\b14[×x]14\b", r"\b(conv1|hook)\b"),
    "LeNet-5 has 60,000 in PyTorch": (r"\b60,000\b", r"\b(LeNet|PyTorch)\b"),
}
IDENTS = sorted(path.stem.partition("-")[2] for path in lessons_directory().glob("[0-9]*-*.md"))


def unmarked(text: str, figure: str, besides: str) -> list[str]:
    """The sentences in which a slip stands as if it were right."""
    sentences = re.split(r"(?<=[.!?])[\"”]?\s+(?=[\"“A-Z0-9{(*`-])", " ".join(text.split()))
    return [
        sentence
        for sentence in sentences
        if re.search(figure, sentence) and re.search(besides, sentence) and not CALLED_WRONG.search(sentence)
    ]


def texts(ident: str) -> list[str]:
    """What a lesson says. An answer that is offered is read with its reply, which says what is wrong with it."""
    lesson = opened(ident)
    offered: dict[str, str] = {}
    for page in lesson.pages:
        if isinstance(page.task, Choice):
            scope = lesson.scope(page)
            for choice, reply in zip(page.task.choices, page.task.replies, strict=True):
                offered[choice.filled(scope)] = reply.filled(scope)
    return [f"{text}: {offered[text]}" if text in offered else text for text in passages(lesson)]


@pytest.mark.parametrize("slip", SLIPS)
@pytest.mark.parametrize("ident", IDENTS)
def test_a_slip_stands_only_where_it_is_called_wrong(ident: str, slip: str) -> None:
    assert [sentence for text in texts(ident) for sentence in unmarked(text, *SLIPS[slip])] == []


@pytest.mark.parametrize(
    ("slip", "sentence"),
    [
        ("VGG-16's convolutions: 9.5 M", "The convolutions of VGG-16 hold about 9.5 M parameters."),
        ("locality saves 150,000 times", "Locality saves 150,000 times the weights."),
        ("locality and sharing save 7.5 billion", "It saves 7.5 billion times. That is a lot."),
        ("64 windows over 8×8 places, not shared: 884,736", "Unshared there are 884,736 weights."),
        ("AlexNet begins with 7×7, stride 2", "That is wrong. AlexNet begins with a window of 7×7 and stride 2."),
        ("the VGG-style stack sees 19", "A unit of the last map sees 19 pixels."),
        ("a hook on conv1 sees 14×14", "The hook on conv1 gives 32 maps of 14×14."),
        ("LeNet-5 has 60,000 in PyTorch", "In PyTorch LeNet-5 has 60,000 parameters."),
    ],
)
def test_a_slip_that_is_told_as_true_is_found(slip: str, sentence: str) -> None:
    assert unmarked(f"Nets differ. {sentence} So it is.", *SLIPS[slip])


@pytest.mark.parametrize("slip", SLIPS)
def test_the_review_asks_about_every_slip(slip: str) -> None:
    figure, besides = SLIPS[slip]
    assert any(re.search(figure, text) and re.search(besides, text) for text in texts("review"))

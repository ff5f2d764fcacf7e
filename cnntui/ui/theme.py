"""One colour grammar for every screen: orange above zero, blue below, the background at zero, one accent for the window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

from cnntui.core.shading import ZERO

if TYPE_CHECKING:
    from textual.app import App


@dataclass(frozen=True)
class Palette:
    """The fixed colours of a theme, as hex. Orange and blue differ for every kind of colour blindness.

    `weak` are blue and orange far from full, where a terminal has so few colours that shades of them would be grey.
    """

    background: str
    text: str
    dim: str
    positive: str
    negative: str
    accent: str
    on_accent: str
    error: str
    weak: tuple[str, str] | None = None


DARK = Palette("#12151c", "#d5dae3", "#6d7788", "#ff8c2e", "#4aa3ff", "#f4d35e", "#12151c", "#ff6b6b")
LIGHT = Palette("#fbfaf7", "#23272f", "#8a8f99", "#d95f02", "#1f6fb4", "#8a6100", "#ffffff", "#c1121f")

# Curves of other runs, by background: told apart from each other, and from orange and blue, by lightness too.
OTHERS = {
    DARK.background: ("#7bd88f", "#d6a6ff", "#f2f2f2", "#ff9fb2", "#6fd3d8"),
    LIGHT.background: ("#1b7f3b", "#7b3fb0", "#4a4a4a", "#b8336a", "#0b7a80"),
}


def _theme(name: str, palette: Palette, dark: bool, panel: str) -> Theme:
    return Theme(
        name=name,
        primary=palette.accent,
        secondary=palette.negative,
        accent=palette.accent,
        warning=palette.positive,
        error=palette.error,
        success=palette.negative,
        foreground=palette.text,
        background=palette.background,
        surface=palette.background,
        panel=panel,
        dark=dark,
        variables={
            "border": palette.dim,
            "border-blurred": panel,
            "input-cursor-background": palette.text,
        },
    )


THEMES = (_theme("cnntui-dark", DARK, True, "#1d222c"), _theme("cnntui-light", LIGHT, False, "#ebe8e0"))


WEAK = "#000080", "#808000"  # the dark blue and yellow of 16 colours
DARK_16, LIGHT_16 = (replace(colors, weak=WEAK) for colors in (DARK, LIGHT))


def palette(app: App[Any]) -> Palette:
    """The palette that fits the theme in use, and the terminal."""
    if app.console.color_system == "standard" and not app.is_headless:
        return DARK_16 if app.current_theme.dark else LIGHT_16
    return DARK if app.current_theme.dark else LIGHT


LEVELS = 16


@lru_cache(maxsize=1024)
def heat(shade: int, colors: Palette) -> str:
    """The colour of a shade (128 is zero): a few steps from the background to orange or blue."""
    level = round((shade - ZERO) / 127 * LEVELS)
    if not level:
        return colors.background
    if colors.weak and abs(level) <= LEVELS // 2:
        return colors.weak[level > 0]
    towards = Color.parse(colors.positive if level > 0 else colors.negative)
    # The first step is a visible one: a small value is not nothing.
    share = 0.18 + 0.82 * min(1.0, abs(level) / LEVELS)
    return Color.parse(colors.background).blend(towards, share).hex6


TINT, STRONG_TINT = 0.17, 0.36


@lru_cache(maxsize=64)
def tint(color: str, colors: Palette, strong: bool = False) -> str:
    """A ground that hints at a colour."""
    return Color.parse(colors.background).blend(Color.parse(color), STRONG_TINT if strong else TINT).hex6


@lru_cache(maxsize=4096)
def ink(color: str | None, background: str | None = None, bold: bool = False, underline: bool = False) -> Style:
    """A style, made once."""
    return Style(color=color, bgcolor=background, bold=bold or None, underline=underline or None)


@lru_cache(maxsize=1024)
def readable_on(background: str) -> str:
    """Black or white, whichever is read better."""
    return Color.parse(background).get_contrast_text(1.0).hex6

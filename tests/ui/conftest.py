"""What holds in every story."""

from __future__ import annotations

import ast
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _no_syntax_tree_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Textual reads its actions with `ast` on the event loop; a second thread that uses it may crash both: see npy.py."""
    elsewhere: list[str] = []
    parse = ast.parse

    def watched(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            elsewhere.extend(traceback.format_stack(limit=30))
        return parse(*args, **kwargs)

    monkeypatch.setattr(ast, "parse", watched)
    yield
    assert not elsewhere, "".join(elsewhere)

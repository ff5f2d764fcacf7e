"""How a module of this package serves as a process: a question in JSON on stdin, the answer in JSON on stdout."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import TypeVar

import msgspec

from cnntui.training.data import DataError
from cnntui.training.weights import WeightsError

Question = TypeVar("Question")


class RefusedError(Exception):
    """Why there is no answer, in one line."""


def serve(kind: type[Question], answer: Callable[[Question], object], failed: Callable[[Question], str]) -> int:
    """Answer one question; returns the exit status, 1 with one line on stderr that says why there is no answer.

    What the packages in use print, log or warn of goes nowhere. `failed` begins the line on what nobody foresaw.
    """
    os.umask(0o077)
    warnings.simplefilter("ignore")
    logging.disable()
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=kind)
    out, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    try:
        said = msgspec.json.encode(answer(question))
    except (RefusedError, WeightsError, DataError) as error:
        print(*str(error).split(), file=sys.stderr)
        return 1
    except Exception as error:  # torch and the exporter have many of their own
        reason = " ".join(str(error).split())[:400]
        print(f"{failed(question)}: {type(error).__name__}: {reason}", file=sys.stderr)
        return 1
    out.buffer.write(said)
    out.flush()
    return 0

"""What `cnntui lessons --check` finds on a screen that trains: tasks that pass undone, and moves that cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cnntui.cli import cli

LESSON = """+++
id = "undone"
number = 1
title = "Undone"
minutes = 5
[runs.small]
net = "flatten; linear 10"
input = [1, 8, 8]
data = "digits"
epochs = 1
+++

## Offered

Text.

```train
run small
```

```task
id = "offered"
ask = "Offer one epoch."
check = [{ fact = "epochs", is = 1 }]
hint = "Nothing."
solution = ["epochs 1"]
wrong = [["epochs 2"]]
```

## Paused

```train
run small
```

```task
id = "paused"
ask = "Set two epochs."
check = [{ fact = "epochs", is = 2 }]
hint = "The arrows."
solution = ["epochs 2"]
wrong = [["pause"]]
```

## Never

```train
run small
```

```task
id = "never"
ask = "Set two epochs."
check = [{ fact = "epochs", is = 2 }]
hint = "The arrows."
solution = ["epochs 3"]
wrong = [["epochs 2"]]
```

## Not known

```train
run small
```

```task
id = "unknown"
ask = "How well?"
number = "test_accuracy"
hint = "Train."
```
"""


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    path = tmp_path / "undone.md"
    path.write_text(LESSON)
    return path


def test_what_a_check_finds_where_effects_are_played(lesson: Path) -> None:
    result = CliRunner().invoke(cli, ["lessons", str(lesson), "--check"])
    assert result.exit_code == 1
    assert "✗ 1 Undone: 4 tasks" in result.output
    told = re.sub(r" \(line \d+\)", "", result.output)
    for problem in (
        "task offered passes at the start: nothing needs to be done",
        "task paused: pause is not possible: there is no run to pause: write start before it",
        "task never passes with what is wrong: epochs 2",
        "task never: the solution does not pass: the number of epochs is 3; it should be 2",
        "task unknown: the answer is not known on this page",
    ):
        assert problem in told
    assert told.count("paused") == 1

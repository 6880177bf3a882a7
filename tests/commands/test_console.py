"""Commands where there is no database: a sentence, and none is made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands.console import NO_DATABASE
from tests.conftest import ROOT


@pytest.mark.parametrize(
    "arguments", [["changelog", "verify"], ["people", "list"], ["people", "reset", "bob"]]
)
def test_without_a_database_a_command_says_so_and_makes_none(
    tmp_path: Path, arguments: list[str]
) -> None:
    others = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app.py", *arguments],
        cwd=ROOT,
        env={**others, "POSTROOM_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert NO_DATABASE in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("postroom.sqlite*"))

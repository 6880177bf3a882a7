"""The firm's mail servers and the browser; what is missing skips, or fails where nothing may."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.screenshots import CHROMIUM, FLAGS
from tests.servers.mail_system import MailSystem


def missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (nothing may be skipped here)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def mail_system() -> Iterator[MailSystem]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    for program in ("dovecot", "postfix"):
        if shutil.which(program, path=path) is None:
            missing(f"{program} is not installed")
    if os.geteuid() != 0:
        missing("Postfix starts as root only")
    system = MailSystem()
    try:
        system.start()
        yield system
    finally:
        system.stop()


@pytest.fixture
def firm(mail_system: MailSystem) -> MailSystem:
    """The firm's servers with nobody's mail in them."""
    mail_system.empty()
    return mail_system


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if not Path(CHROMIUM).exists():
        missing("Chromium is not installed")
    return {
        **browser_type_launch_args,
        "executable_path": CHROMIUM,
        "args": FLAGS,
    }

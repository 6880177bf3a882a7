"""A connection test as people read it: steps with a tick, a time, or a cross and a sentence."""

from dataclasses import dataclass
from typing import Literal

from flask_babel import gettext as _

from domain import services
from mail.diagnosis import steps_for
from mail.server_errors import Step
from mail.server_string import Protocol
from models.mailboxes import ConnectionTest, ConnectionTestState

StepState = Literal["done", "failed", "running", "waiting"]


@dataclass(frozen=True)
class ShownStep:
    protocol: str
    title: str
    state: StepState
    milliseconds: int | None


def shown_steps(test: ConnectionTest) -> list[ShownStep]:
    """Every step of both servers in the order in which they happen."""
    done = {(one["protocol"], one["step"]): one["ms"] for one in test.steps}
    failed = (test.failed_protocol, test.failed_step)
    shown: list[ShownStep] = []
    running = test.state is ConnectionTestState.RUNNING
    for protocol in (Protocol.IMAP, Protocol.SMTP):
        for step in steps_for(services.server_of(test.servers, protocol), login=bool(test.login)):
            state: StepState = "waiting"
            if (protocol.value, step.value) in done:
                state = "done"
            elif (protocol.value, step.value) == failed:
                state = "failed"
            elif running:
                state, running = "running", False
            milliseconds = done.get((protocol.value, step.value))
            shown.append(ShownStep(protocol.value.upper(), title_of(step), state, milliseconds))
    return shown


def title_of(step: Step) -> str:
    titles: dict[Step, str] = {
        Step.NAME: _("Name found"),
        Step.PORT: _("Port open"),
        Step.ENCRYPTION: _("Encryption"),
        Step.CERTIFICATE: _("Certificate"),
        Step.GREETING: _("Greeting"),
        Step.LOGIN: _("Login"),
        Step.INBOX: _("Inbox opened"),
        Step.CAPABILITIES: _("What it offers"),
    }
    return titles[step]

"""What a reply begins with, and a new Message-ID."""

import pytest

from mail.mime.build import build, new_message_id, quote_text, reply_subject
from mail.mime.headers import identifier
from mail.mime.parse import parse
from tests.mail.mime.samples import outgoing


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("Report", "Re: Report"),
        ("Re: Report", "Re: Report"),
        ("RE:Report", "Re: Report"),
        ("Re: AW: Re[2]: Report", "Re: Report"),
        ("Отв: Отчёт", "Re: Отчёт"),
        ("Ответ: Re: Отчёт", "Re: Отчёт"),
        ("Fwd: Re: Report", "Re: Fwd: Re: Report"),
        ("Regarding: Report", "Re: Regarding: Report"),
        ("Report Re: x", "Re: Report Re: x"),
        ("", "Re:"),
        ("Re:", "Re:"),
    ],
)
def test_a_reply_says_re_once(subject: str, reply: str) -> None:
    assert reply_subject(subject) == reply
    assert reply_subject(reply) == reply


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", "> a"),
        ("a\nb\n\n", "> a\n> b"),
        ("a\n\nb", "> a\n>\n> b"),
        ("> a\n>> b", ">> a\n>>> b"),
        ("", ">"),
    ],
)
def test_each_line_is_quoted(text: str, quoted: str) -> None:
    assert quote_text(text) == quoted


@pytest.mark.parametrize(
    ("domain", "end"),
    [
        ("firm.test", "@firm.test>"),
        ("почта.рф", "@xn--80a1acny.xn--p1ai>"),
        ("", "@localhost>"),
    ],
)
def test_a_new_message_id_is_an_identifier_that_nobody_has(domain: str, end: str) -> None:
    one, other = new_message_id(domain), new_message_id(domain)
    assert one != other
    assert one.endswith(end)
    assert identifier(one.encode()) == one
    assert parse(build(outgoing(message_id=one))).message_id == one

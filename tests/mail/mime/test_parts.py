"""What comes with a message: attachments, messages inside it, pictures of its HTML."""

import pytest

from mail.mime.message import NoSuchPartError, Part
from mail.mime.parse import parse, part_content
from tests.mail.mime.samples import mail, multipart, read

TEXT = mail("Content-Type: text/plain; charset=UTF-8", body="Hello")
PDF = mail(
    "Content-Type: Application/PDF; name=a.pdf", "Content-Disposition: attachment",
    "Content-Transfer-Encoding: base64", body="YWJj",
)  # fmt: skip
INNER = mail("Subject: inner", "From: carol@firm.test", body="inner text")
MESSAGE = mail("Content-Type: message/rfc822", body=INNER)


def html(source: str) -> bytes:
    return mail("Content-Type: text/html", body=f'<img src="{source}">')


def picture(*fields: str, kind: str = "image/png") -> bytes:
    return mail(f"Content-Type: {kind}", *fields, body="png")


def last_of(*parts: bytes) -> Part:
    return parse(multipart(*parts, kind="related")).parts[-1]


def test_an_attachment_is_listed_with_all_that_is_known_of_it() -> None:
    message = parse(multipart(TEXT, PDF))
    text, pdf = message.parts
    assert text == Part("1", "text/plain", "utf-8", "", 5, "", False, False)
    assert pdf == Part("2", "application/pdf", "", "a.pdf", 3, "", True, False)
    assert message.attachments == (pdf,)
    assert message.has_attachments
    assert not parse(TEXT).has_attachments


def test_the_content_of_a_part_is_found_by_its_path() -> None:
    raw = multipart(multipart(TEXT, boundary="i"), PDF)
    assert part_content(raw, "2") == (parse(raw).parts[1], b"abc")
    assert part_content(raw, "1.1")[1] == b"Hello"


CALENDAR = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


def invitation(body: str = CALENDAR, kind: str = "text/calendar", *fields: str) -> bytes:
    return mail(f"Content-Type: {kind}; method=REQUEST", *fields, body=body)


def attached(body: str = CALENDAR, kind: str = "application/ics") -> bytes:
    return invitation(body, f"{kind}; name=invite.ics", "Content-Disposition: attachment")


def names(*parts: bytes) -> list[str]:
    return [part.filename for part in parse(multipart(*parts)).attachments]


def alternatives(*parts: bytes) -> bytes:
    return multipart(TEXT, *parts, kind="alternative", boundary="i")


@pytest.mark.parametrize("kind", ["application/ics", "text/calendar"])
@pytest.mark.parametrize("body", [CALENDAR, CALENDAR.replace("\r", ""), CALENDAR.strip()])
def test_an_invitation_that_comes_twice_is_listed_once_by_its_name(kind: str, body: str) -> None:
    raw = multipart(alternatives(invitation()), attached(body, kind))
    message = parse(raw)
    assert [part.filename for part in message.attachments] == ["invite.ics"]
    assert message.has_attachments
    assert [part.path for part in message.parts] == ["1.1", "1.2", "2"]
    assert part_content(raw, "1.2")[1].decode().strip() == CALENDAR.strip()


def test_an_invitation_that_comes_once_is_listed_wherever_it_is() -> None:
    assert names(alternatives(invitation())) == ["part-2.ics"]
    assert names(TEXT, invitation()) == ["part-2.ics"]
    assert names(TEXT, invitation(), attached()) == ["part-2.ics", "invite.ics"]


def test_two_invitations_that_differ_are_both_listed() -> None:
    other = attached(CALENDAR.replace("REQUEST", "CANCEL"))
    assert names(alternatives(invitation()), other) == ["part-2.ics", "invite.ics"]
    named = invitation(CALENDAR, "text/calendar; name=a.ics")
    assert names(alternatives(named), attached()) == ["a.ics", "invite.ics"]
    pdf = invitation(CALENDAR, "application/pdf; name=a.pdf")
    assert names(alternatives(invitation()), pdf) == ["part-2.ics", "a.pdf"]


def test_a_text_that_comes_twice_is_no_invitation() -> None:
    files = [mail("Content-Type: application/ics; name=a.ics", body="Hello")]
    inner = mail("Content-Type: application/json", body="Hello")
    assert names(alternatives(inner), *files) == ["part-2.bin", "a.ics"]


@pytest.mark.parametrize("path", ["", "0", "1", "3", "2.1", "x", "../1"])
def test_a_part_that_is_not_there_is_not_found(path: str) -> None:
    with pytest.raises(NoSuchPartError):
        part_content(multipart(multipart(TEXT, boundary="i"), PDF), path)


def test_a_message_inside_a_message_is_an_attachment_and_not_read_as_its_text() -> None:
    raw = multipart(TEXT, MESSAGE)
    message = parse(raw)
    assert message.text == "Hello"
    assert message.sender == ()
    assert [part.filename for part in message.attachments] == ["part-2.eml"]
    assert part_content(raw, "2")[1] == INNER
    assert parse(part_content(raw, "2")[1]).subject == "inner"


def test_a_message_that_is_nothing_but_another_one_has_it_as_attachment() -> None:
    message = read("Content-Type: message/rfc822", body=INNER)
    assert (message.subject, message.text) == ("", "")
    assert [part.path for part in message.attachments] == ["1"]


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/gif", "image/webp"])
def test_a_picture_that_the_html_refers_to_is_no_attachment(kind: str) -> None:
    part = last_of(html("cid:1@x"), picture("Content-ID: <1@x>", kind=kind))
    assert part.is_inline_image
    assert not part.is_attachment
    assert part.content_id == "1@x"
    assert part.filename.startswith("part-2.")


@pytest.mark.parametrize(
    ("source", "content_id"),
    [
        ("cid:1%40x", "1@x"),
        ("cid:1&#64;x", "1@x"),
        ("cid:1&commat;x", "1@x"),
        ("cid:1%2540x", "1%40x"),
        ("cid:1%40x", "1%40x"),
        ("cid:a%26b&amp;c@x", "a&b&c@x"),
        ("cid:%D1%8F@x", "я@x"),
        ("CID:1@x", "1@x"),
        (" cid:1@x ", "1@x"),
        ("cid&colon;1@x", "1@x"),
        ("cid:my picture (1)@x", "my picture (1)@x"),
        ("cid:my%20picture@x", "my picture@x"),
        ("cid:it's@x", "it's@x"),
    ],
)
def test_a_picture_is_found_however_the_html_spells_its_name(source: str, content_id: str) -> None:
    assert last_of(html(source), picture(f"Content-ID: <{content_id}>")).is_inline_image


@pytest.mark.parametrize(
    "source",
    [
        "<img src='cid:1@x'>",
        "<img src=cid:1@x width=1>",
        "<p style='background: url(cid:1@x) red'>",
        '<p style="background: url(&quot;cid:1@x&quot;)">',
        "<img src='cid:&#" + "9" * 5_000 + ";'><img src='cid:1@x'>",
    ],
)
def test_a_picture_is_found_wherever_the_html_refers_to_it(source: str) -> None:
    part = last_of(mail("Content-Type: text/html", body=source), picture("Content-ID: <1@x>"))
    assert part.is_inline_image


@pytest.mark.parametrize(
    ("source", "fields", "kind"),
    [
        ("cid:2@x", ["Content-ID: <1@x>"], "image/png"),
        ("1@x", ["Content-ID: <1@x>"], "image/png"),
        ("cid:1@xy", ["Content-ID: <1@x>"], "image/png"),
        ("cid:", [], "image/png"),
        ("cid:", ["Content-ID: <>"], "image/png"),
        ("cid:1@x", ["Content-ID: <1@x>"], "image/svg+xml"),
        ("cid:1@x", ["Content-ID: <1@x>"], "application/pdf"),
        ("cid:1@x", ["Content-ID: <1@x>"], "text/html; name=x"),
    ],
)
def test_what_the_html_does_not_show_is_an_attachment(
    source: str, fields: list[str], kind: str
) -> None:
    part = last_of(html(source), picture(*fields, kind=kind))
    assert part.is_attachment
    assert not part.is_inline_image


@pytest.mark.parametrize("value", ["<1@x>", "1@x", " <1@x> ", "<1\0@x\u202e>"])
def test_a_content_id_has_no_brackets_and_no_control_characters(value: str) -> None:
    assert last_of(html("cid:1@x"), picture(f"Content-ID: {value}")).content_id == "1@x"


def test_the_type_and_charset_of_a_part_hold_nothing_that_cannot_be_stored() -> None:
    (part,) = read("Content-Type: text/pl\0ain\x1b\u202e; charset=utf\0-8").parts
    assert (part.content_type, part.charset) == ("text/plain", "utf-8")
    (long,) = read(f"Content-Type: a/{'b' * 500}; charset={'c' * 500}").parts
    assert (len(long.content_type), len(long.charset)) == (100, 60)

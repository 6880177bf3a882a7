"""What was made to take long does not."""

import time
from collections.abc import Iterator

import pytest

from mail.mime.address_lists import split_addresses
from mail.mime.message import UnparseableError
from mail.mime.parse import parse
from mail.mime.structure import DEEPEST
from mail.mime.text import html_to_text, unflow
from mail.mime.transfer import decode_base64
from tests.mail.mime.samples import mail, multipart

SECONDS = 2.0  # each of these takes a tenth of it; where a bound is missing, many times as long
MUCH = 128 * 1024


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < SECONDS


def parse_or_refuse(raw: bytes) -> None:
    try:
        parse(raw)
    except UnparseableError:
        return


@pytest.mark.parametrize("field", ["Content-Type: text/plain", "Content-Disposition: inline"])
@pytest.mark.parametrize("many", [";", "; ", "; =", ';"', ";a", ";a=", ';a="', ";a*0*=", "(", "\\"])
def test_many_parameters_in_many_parts(field: str, many: str) -> None:
    values = many * (50_000 // len(many))
    assert len(parse(multipart(*[mail(field + values, body="x")] * 40)).parts) == 40


@pytest.mark.parametrize(
    "many",
    ["<", "(", "g:", "a,", '"', "a ", "a@", "[", "\\", "<a@b>", "<@a,", "@", "<>", ")", "a>", ":;"],
)
@pytest.mark.parametrize("before", ["", "group:"])
def test_many_people_and_what_is_none(before: str, many: str) -> None:
    split_addresses([before + many * (MUCH // len(many))])


def test_many_lines_of_people_and_of_what_is_none() -> None:
    people = "To: " + "bob@firm.test, " * 8_000
    assert len(parse(mail(*[people] * 100)).to) == 2_000
    assert parse(mail(*["To: " + ";" * MUCH] * 60)).to == ()


@pytest.mark.parametrize("name", ["Subject", "From", "References", "Date", "Content-ID", "X"])
@pytest.mark.parametrize(
    "many", [b"=?utf-8?q?a", b"=?utf-8?q?a?= ", b"=?", b"?=", b"=", b"<a@b> ", b"<", b"\xff"]
)
def test_many_encoded_words_and_beginnings_of_them(name: str, many: bytes) -> None:
    parse_or_refuse(mail(f"{name}: ".encode() + many * (1_000_000 // len(many))))


@pytest.mark.parametrize(
    "many", [b"a:b\n", b"a:b\r", b" a\n", b": \n", b"From a\n", b"a", b" ", b"\r", b"\n", b"\0"]
)
@pytest.mark.parametrize("before", [b"", b"A:", b"A: b\n"])
def test_header_sections_without_end(before: bytes, many: bytes) -> None:
    parse_or_refuse(before + many * (2_000_000 // len(many)))


@pytest.mark.parametrize("many", [b"\r\n--b", b"\r\n--b\r\n", b"--b", b"\r\n--", b"\r\n--b "])
def test_many_boundaries(many: bytes) -> None:
    head = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    parse_or_refuse(head + many * (1_000_000 // len(many)))


def test_more_parts_than_anybody_sends() -> None:
    parse_or_refuse(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"\n--b" * 5_000_000)


@pytest.mark.parametrize("many", [b"QUJD" * 19 + b"\r\n", b"\n", b"\r", b"--", b"\r--b0\tx"])
def test_much_inside_of_many_multiparts(many: bytes) -> None:
    names = [b"b%d" % level for level in range(DEEPEST - 1)]
    head = b"".join(b"Content-Type: multipart/a; boundary=%b\n\n--%b\n" % (n, n) for n in names)
    parse(head + b"Content-Type: a/b\n\n" + many * (MUCH * 40 // len(many)))


@pytest.mark.parametrize("many", [b"YQ==", b"YWI=\n", b"Y=", b"YWJj=", b"=\n", b"YWJj"])
def test_many_pieces_of_base64(many: bytes) -> None:
    decode_base64(many * (10_000_000 // len(many)))


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
@pytest.mark.parametrize("many", [b"=", b"= ", b"=\r", b" ", b"=3D", b"\xff"])
def test_bodies_that_are_hard_to_decode(encoding: str, many: bytes) -> None:
    field = f"Content-Transfer-Encoding: {encoding}"
    parse_or_refuse(mail(field, body=many * (1_000_000 // len(many))))


@pytest.mark.parametrize("many", ["<div>", "<", "<!--", "&", "<a b='", "<table>", "</"])
def test_html_that_is_hard_to_read(many: str) -> None:
    parse_or_refuse(mail("Content-Type: text/html", body=many * (500_000 // len(many))))


@pytest.mark.parametrize(
    "many", ["<script>", "<style ", "<!--", "</script", "<title></title>", "&#1", "&#1;", "&a"]
)
def test_deep_html_with_much_that_is_not_seen(many: str) -> None:
    html_to_text("<div>" * 250 + many * (1_000_000 // len(many)))


@pytest.mark.parametrize("many", ["cid:", '"cid:', "'cid: ", "cid:%", '"cid:a" ', "&a", '" '])
def test_many_pictures_and_what_refers_to_them(many: str) -> None:
    html = mail("Content-Type: text/html", body="<!-- " + many * (1_000_000 // len(many)))
    fields = [f"Content-ID: <{many * 50}{number}>" for number in range(500)]
    parse(multipart(html, *[mail("Content-Type: image/png", field) for field in fields]))


@pytest.mark.parametrize("many", ["a \n", "> a \n", ">", "> "])
def test_paragraphs_of_many_lines(many: str) -> None:
    unflow(many * 500_000, delete_space=True)

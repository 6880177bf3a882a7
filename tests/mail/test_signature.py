"""Signatures are kept harmless, and have a plain text."""

import pytest

from mail.signature import below_text, clean_signature, signature_of_text, signature_text


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("<p>Bob <b>Baker</b></p>", "<p>Bob <b>Baker</b></p>"),
        ("Bob<script>alert(1)</script>", "Bob"),
        ("<p style='position:fixed' class=x id=y onclick=z()>Bob</p>", "<p>Bob</p>"),
        ("<p>Bob<img src='https://spy.test/x.gif'></p>", "<p>Bob</p>"),
        ("<a href='javascript:alert(1)'>Bob</a>", '<a rel="noopener noreferrer">Bob</a>'),
        (
            "<a href='https://firm.test/?a=1&b=2'>Bob</a>",
            '<a href="https://firm.test/?a=1&amp;b=2" rel="noopener noreferrer">Bob</a>',
        ),
        ("<svg><style>@import url(//x)</style></svg>Bob", "Bob"),
        ("<form action=/mail/new><input name=to></form>Bob", "Bob"),
        ("<p><br></p><div>&nbsp;</div>", ""),
        ("<ul><li>one<li>two</ul>", "<ul><li>one</li><li>two</li></ul>"),
    ],
)
def test_what_is_kept_of_a_signature(typed: str, kept: str) -> None:
    assert clean_signature(typed) == kept
    assert clean_signature(kept) == kept


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "<p>Bob <b>Baker</b><br>Firm &amp; Sons</p><p>Ulm</p>",
            "Bob Baker\nFirm & Sons\nUlm",
        ),
        ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ("<ul><li><div>one</div></li><li><div>two<br></div></li></ul>", "- one\n- two"),
        ("Bob<div>Ulm</div><div><br></div><div>Firm<br>Sons</div>", "Bob\nUlm\n\nFirm\nSons"),
        ("<p>Bob</p>\n<blockquote>Ulm</blockquote>", "Bob\nUlm"),
        ("1 &lt; 2", "1 < 2"),
        ('<a href="https://x.test/a>b">link</a>', "link"),
        ("", ""),
    ],
)
def test_the_same_as_plain_text(html: str, text: str) -> None:
    assert signature_text(html) == text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Bob\r\nFirm & <Sons>\r\n", "<div>Bob</div><div>Firm &amp; &lt;Sons&gt;</div>"),
        ("Bob  \n\nUlm", "<div>Bob</div><div><br></div><div>Ulm</div>"),
        (" \n ", ""),
    ],
)
def test_what_was_typed_as_text_becomes_html_and_the_same_text_again(text: str, html: str) -> None:
    assert signature_of_text(text) == html
    assert clean_signature(html) == html
    lines = [line.strip() for line in text.strip().splitlines()]
    assert signature_text(html) == "\n".join(lines)


def test_in_a_message_it_stands_below_the_line_that_programs_know() -> None:
    assert below_text("<div>Bob</div><div>Ulm</div>") == "-- \nBob\nUlm"
    assert below_text("") == ""

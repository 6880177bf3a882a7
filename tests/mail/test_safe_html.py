"""HTML of a message, made harmless."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.safe_html import FRAME_CSP, SafeHtml, TooComplex, document, sanitise, text_to_html
from tests.mail.html_checks import faults


def clean(html: str) -> SafeHtml:
    return sanitise(html, cid_address={"logo@firm": "/mail/messages/7/parts/1.2"}.get)


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>x",
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)">x</a>',
        '<a href="java&#10;script:alert(1)">x</a>',
        '<a href="data:text/html,<script>alert(1)</script>">x</a>',
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        '<form action="https://evil.example"><input name=password></form>',
        '<div hx-get="/sign-out" hx-trigger="load">x</div>',
        '<p style="background: url(https://tracker.example/x.gif)">x</p>',
        "<style>@import 'https://tracker.example/x.css'; p{background: url(//t.example)}</style>",
        '<base href="https://evil.example"><meta http-equiv=refresh content="0;url=x"><p>y</p>',
        '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
        '<img src="https://tracker.example/seen.gif" srcset="https://t.example 2x">',
        '<table background="https://tracker.example/x.gif"><tr><td>x</table>',
        '<object data="x.swf"></object><embed src="x.swf">',
    ],
)
def test_nothing_runs_and_nothing_is_asked_for(html: str) -> None:
    found = clean(html).html
    assert faults(found) == []
    assert "alert(1)" not in found
    assert "tracker.example" not in found


def test_what_people_write_stays() -> None:
    html = '<h1>Plan</h1><table><tr><td style="color: #c00"><b>Monday</b></td></tr></table>'
    found = clean(html).html
    for piece in ("<h1>Plan</h1>", "<b>Monday</b>", "color"):
        assert piece in found


def test_links_open_elsewhere_and_tell_nothing() -> None:
    found = clean('<a href="https://firm.example/map">map</a>').html
    assert 'href="https://firm.example/map"' in found
    assert 'target="_blank"' in found
    assert "noopener" in found
    assert "noreferrer" in found


def test_a_picture_of_the_message_itself_is_shown_and_others_are_counted() -> None:
    found = clean('<img src="cid:logo@firm"><img src="https://t.example/x.gif">')
    assert 'src="/mail/messages/7/parts/1.2"' in found.html
    assert found.blocked_pictures == 1


@pytest.mark.parametrize("piece", ["<div>", "<b>", "<table><tr><td>", "<svg><style>"])
def test_what_is_nested_without_end_is_given_up_quickly(piece: str) -> None:
    begun = time.monotonic()
    try:
        found = clean(piece * 20_000).html
        assert faults(found) == []
    except TooComplex:
        pass
    assert time.monotonic() - begun < 1.0


@given(st.text(alphabet="<>/=\"' abiu:&;#-!x", max_size=120))
def test_whatever_comes_is_harmless_and_stays_as_it_is(html: str) -> None:
    try:
        once = clean(html).html
    except TooComplex:
        return
    assert faults(once) == []
    assert clean(once).html == once


def test_plain_text_is_escaped_and_its_links_are_found() -> None:
    found = text_to_html("<b>1 < 2</b>\nsee https://firm.example/x\n> quoted")
    assert "&lt;b&gt;" in found
    assert 'href="https://firm.example/x"' in found
    assert "<blockquote" in found
    assert faults(found) == []


def test_the_document_has_its_language_and_no_script() -> None:
    page = document(text_to_html("hello"), "ru")
    assert 'lang="ru"' in page
    assert "<script" not in page
    assert "allow-scripts" not in FRAME_CSP
    assert "default-src 'none'" in FRAME_CSP


@pytest.mark.parametrize(
    "css",
    ["height:100%", "min-height: 101%", "height:calc(100% + 40px)", "max-height:50%"],
)
def test_no_height_is_a_share_of_the_frame_which_is_as_high_as_its_content(css: str) -> None:
    assert "%" not in clean(f"<style>html,body{{{css}}}</style><p style='{css}'>x</p>").html
    assert "width:50%" in clean("<p style='width:50%'>x</p>").html


@pytest.mark.parametrize("piece", ["&", "a & b ", "&lt;", ">"])
def test_a_flood_of_ampersands_is_given_up_quickly(piece: str) -> None:
    begun = time.process_time()
    with pytest.raises(TooComplex):
        clean(piece * 200_000)
    assert time.process_time() - begun < 3.0


@pytest.mark.parametrize("line", ["&" * 9_000, "www." * 2_450, "<" * 5_000])
def test_plain_text_costs_bounded_time_and_says_where_it_was_cut(line: str) -> None:
    begun = time.process_time()
    found = text_to_html(f"{line}\n" * 100)
    assert time.process_time() - begun < 3.0
    assert faults(found) == []


def test_a_text_that_is_too_long_ends_with_an_ellipsis() -> None:
    assert text_to_html("word " * 200_000).removesuffix("<br>").endswith("…")
    assert "…" in text_to_html("&\n" * 60_000)

"""Text out of HTML, and flowed text made whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.text import html_to_text, unflow
from tests.mail.mime.samples import patiently, read


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("words", "words"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("one<br>two", "one\ntwo"),
        ("a&nbsp;b &amp; c &lt;d&gt;", "a b & c <d>"),
        ("  a \n  b  ", "a b"),
        ("<b>a</b>b<i>c</i>", "abc"),
        ("<ul><li>a<li>b</ul>", "a\n\nb"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\n\nc"),
        ("a<script>x</script><style>y</style>b", "ab"),
        ("a<!-- x -->b<p><!--[if mso]>x<![endif]-->c", "ab\nc"),
        ("a<?xml:namespace prefix = o />b", "ab"),
        ("<style><!-- x --></style><script><!-- y --> z</script>a", "a"),
        ("a<svg><!-- x --><text>y</text></svg>b", "ab"),
        ("<head><title>x</title></head><body>a</body>", "a"),
        ("<p>Привет</p>", "Привет"),
        ("a&#0;b&#xD800;c\0d", "a\ufffdb\ufffdcd"),
        ("<p>never closed", "never closed"),
    ],
)
def test_html_is_read_as_text(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize("depth", [10, 250, 100_000])
def test_text_is_found_however_deep_it_lies(depth: int) -> None:
    text = html_to_text("<div>" * depth + "hello <b>Bob</b> &amp; Carol")
    assert text.split() == ["hello", "Bob", "&", "Carol"]


@pytest.mark.parametrize("depth", [10, 250])
@pytest.mark.parametrize(
    "hidden",
    [
        "<style>p > a {}</style>",
        "<STYLE type='text/css'>\n<!-- p {} -->\n</Style >",
        "<script>if (1 < 2) '</style>'</script>",
        "<title>x</title>",
        "<!-- x > <b>y</b> -->",
        "<!--[if mso]><style>z</style>x<![endif]-->",
        "<!-- <script> -->",
    ],
)
def test_neither_styles_nor_scripts_nor_comments_are_read_however_deep_the_rest_lies(
    hidden: str, depth: int
) -> None:
    text = html_to_text("<div>" * depth + f"one {hidden} two <scripted>three</scripted>")
    assert text.split() == ["one", "two", "three"]


def test_a_script_that_never_ends_hides_the_rest() -> None:
    assert html_to_text("<div>" * 250 + "one <script>two <b>three") == "one"


def test_a_number_of_a_character_may_have_any_length() -> None:
    assert html_to_text("<div>" * 250 + f"a&#{'9' * 5_000};b") == "a\ufffdb"


@patiently
@given(
    st.lists(
        st.sampled_from(
            ["one", "two", " ", "<p>", "</p>", "<b>", "</b>", "<br>", "<!-- x -->", "<?x y?>",
             "<table>", "<td>", "</table>", "<a href='x'>", "</a>", "<![if x]>", "<li>", "<o:p>"]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_no_word_between_tags_and_comments_is_lost(pieces: list[str]) -> None:
    words = [piece for piece in pieces if piece.isalpha()]
    assert "".join(html_to_text("".join(pieces)).split()) == "".join(words)


@patiently
@given(st.text(max_size=300) | st.text("<>&#;/ab!-'\"", max_size=100))
def test_any_html_becomes_text_that_can_be_stored(html: str) -> None:
    text = html_to_text(html.encode("utf-8", "replace").decode())
    assert "\0" not in text
    assert "\r" not in text
    text.encode()


@pytest.mark.parametrize(
    ("flowed", "whole"),
    [
        ("one \ntwo \nthree", "one two three"),
        ("one\ntwo", "one\ntwo"),
        ("one \n\ntwo", "one \ntwo"),
        ("> one \n> two\nthree", "> one two\nthree"),
        ("> one \n>> two", "> one \n>> two"),
        ("> one \nnot quoted", "> one \nnot quoted"),
        (" >not a quote", ">not a quote"),
        (" From Bob", "From Bob"),
        ("one \n-- \nBob", "one \n-- \nBob"),
        ("-- \nBob", "-- \nBob"),
    ],
)
def test_flowed_paragraphs_are_made_whole(flowed: str, whole: str) -> None:
    assert unflow(flowed, delete_space=False) == whole


def test_with_delsp_the_space_of_a_soft_break_goes_too() -> None:
    assert unflow("日本 \n語 \nです", delete_space=True) == "日本語です"
    assert unflow("one  \ntwo", delete_space=True) == "one two"


def test_a_message_says_whether_its_text_flows() -> None:
    body = "one \r\ntwo\r\n"
    assert read("Content-Type: text/plain; format=flowed", body=body).text == "one two"
    assert read("Content-Type: text/plain; format=Flowed; DelSp=Yes", body=body).text == "onetwo"
    assert read("Content-Type: text/plain; format=fixed", body=body).text == "one \ntwo"
    assert read("Content-Type: text/plain", body=body).text == "one \ntwo"

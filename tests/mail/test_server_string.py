"""The server string: what is accepted, what is refused, and with which example."""

import time
from string import ascii_lowercase, digits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.errors import RuleError
from mail.security import Security, check_port, usual_port
from mail.server_string import (
    LABEL_LONGEST,
    NAME_LONGEST,
    Protocol,
    ServerAddress,
    ServerFault,
    parse_server_string,
)
from tests.mail.server_string_cases import ACCEPTED, IMAP, REFUSED, SMTP, Accepted, Refused

# The tables of international names are read when the first one is met, which takes its time.
patiently = settings(deadline=None)

protocols = st.sampled_from(Protocol)
# What a server string is made of, put together in any order, so that every rule is reached.
pieces = st.sampled_from(
    [
        "smtp", "imap", "mail", "firm", "com", "почта", "рф", "straße", "xn--80a1acny", "xn--a",
        "XN--", "192.168.1.10", "fd00::1", "::", "[", "]", ".", ":", "..", "。", "-", "_", "@",
        "/", "://", "%", "?", " ", "\n", "\x00", "\u200b", "\u200d", "\ud800", "０", "465", "993",
        "587", "0", "65536", "0x7f", "ß", "℀", "א", "1", "٣", "a" * 63,
    ]
)  # fmt: skip
texts = st.one_of(
    st.text(max_size=320),
    st.lists(pieces, max_size=12).map("".join),
    st.builds(
        "{}.{}:{}".format,
        st.sampled_from(["smtp", "imap", "mail"]),
        st.text(max_size=20),
        st.integers(-1, 65537),
    ),
    st.sampled_from([case.text for case in (*ACCEPTED, *REFUSED)]),
)


def refusal(text: str, protocol: Protocol, non_standard: bool) -> RuleError | None:
    try:
        parse_server_string(text, protocol, non_standard=non_standard)
    except RuleError as error:
        return error
    return None


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
def test_a_right_server_string_is_accepted(case: Accepted) -> None:
    address = parse_server_string(case.text, case.protocol, non_standard=case.non_standard)
    assert address == ServerAddress(case.host, case.port)
    assert address.shown == (case.shown or str(address))


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_wrong_server_string_is_refused_with_its_fault_and_a_right_example(case: Refused) -> None:
    with pytest.raises(RuleError) as caught:
        parse_server_string(case.text, case.protocol, non_standard=case.non_standard)
    assert caught.value.field == "server"
    assert caught.value.code == case.fault
    assert caught.value.parameters["example"] == case.example
    assert caught.value.parameters["protocol"] == case.protocol.upper()
    assert caught.value.parameters["other"] == case.protocol.other.upper()


def test_every_fault_has_a_case() -> None:
    assert {case.fault for case in REFUSED} == set(ServerFault)


@pytest.mark.parametrize("case", [case for case in ACCEPTED if not case.non_standard], ids=str)
def test_what_a_standard_server_may_be_called_a_non_standard_one_may_too(case: Accepted) -> None:
    address = parse_server_string(case.text, case.protocol, non_standard=True)
    assert address == ServerAddress(case.host, case.port)


def test_each_protocol_has_the_other() -> None:
    assert (SMTP.other, IMAP.other) == (IMAP, SMTP)


def test_an_ipv6_address_stands_without_brackets_as_host_and_with_them_in_text() -> None:
    address = ServerAddress("fd00::1", 993)
    assert str(address) == address.shown == "[fd00::1]:993"


@pytest.mark.parametrize(
    "label", ["xn--a", "xn--", "xn--r0a8a1bqy", "xn---bbk", "xn--80a1acny-", "xn--\N{SNOWMAN}"]
)
def test_a_label_that_cannot_be_decoded_is_shown_as_it_is(label: str) -> None:
    address = ServerAddress(f"imap.{label}.xn--p1ai", 993)
    assert address.shown == f"imap.{label}.рф:993"


def test_a_text_of_any_length_is_refused_at_once() -> None:
    began = time.perf_counter()
    for text in ("я" * 10_000_000, ":" * 10_000_000, "smtp." * 2_000_000):
        with pytest.raises(RuleError, match=ServerFault.TOO_LONG):
            parse_server_string(text, SMTP)
    assert time.perf_counter() - began < 1


@patiently
@given(texts, protocols, st.booleans())
def test_any_text_is_either_read_or_refused_with_an_example_that_is_right(
    text: str, protocol: Protocol, non_standard: bool
) -> None:
    error = refusal(text, protocol, non_standard)
    if error is None:
        return
    assert error.field == "server"
    assert error.code in set(ServerFault)
    example = str(error.parameters["example"])
    address = parse_server_string(example, protocol, non_standard=non_standard)
    assert address.shown == example
    check_port(protocol, address.port)


@patiently
@given(texts, protocols, st.booleans())
def test_what_was_read_is_read_back_from_either_of_its_forms(
    text: str, protocol: Protocol, non_standard: bool
) -> None:
    if refusal(text, protocol, non_standard):
        return
    address = parse_server_string(text, protocol, non_standard=non_standard)
    for form in (str(address), address.shown):
        assert parse_server_string(form, protocol, non_standard=non_standard) == address
    assert address.host.isascii()
    assert address.host == address.host.lower()
    assert len(address.host) <= NAME_LONGEST
    assert 1 <= address.port <= 65535


labels = st.text(ascii_lowercase + digits + "-", min_size=1, max_size=LABEL_LONGEST).filter(
    lambda label: not label.startswith(("-", "xn--")) and not label.endswith("-")
)
top_labels = st.text(ascii_lowercase, min_size=1, max_size=LABEL_LONGEST)


@patiently
@given(protocols, st.lists(labels, max_size=2), top_labels, st.integers(1, 65535))
def test_every_name_of_letters_digits_and_hyphens_is_accepted(
    protocol: Protocol, between: list[str], top: str, port: int
) -> None:
    host = ".".join([protocol, *between, top])
    assert parse_server_string(f"{host}:{port}", protocol) == ServerAddress(host, port)


@patiently
@given(st.ip_addresses(), st.integers(1, 65535), protocols)
def test_every_ip_address_is_accepted_for_a_non_standard_server_only(
    ip: object, port: int, protocol: Protocol
) -> None:
    text = str(ServerAddress(str(ip), port))
    assert str(parse_server_string(text, protocol, non_standard=True)) == text
    with pytest.raises(RuleError, match=ServerFault.IP_ADDRESS):
        parse_server_string(text, protocol)


@patiently
@given(st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюя", min_size=1, max_size=20))
def test_every_russian_name_is_shown_in_its_own_letters(name: str) -> None:
    address = parse_server_string(f" IMAP.{name.upper()}.РФ:993", IMAP)
    assert address.host.startswith("imap.xn--")
    assert address.shown == f"imap.{name}.рф:993"


def test_the_example_names_the_port_for_tls() -> None:
    for protocol in Protocol:
        with pytest.raises(RuleError) as caught:
            parse_server_string(f"{protocol}.firm.com", protocol)
        port = usual_port(protocol, Security.TLS)
        assert caught.value.parameters["example"] == f"{protocol}.firm.com:{port}"

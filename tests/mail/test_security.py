"""Ports and connection security."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import RuleError
from mail.security import (
    PORTS,
    Security,
    SecurityFault,
    SecurityWarning,
    allowed_security,
    check_port,
    check_security,
    parse_security,
    usual_port,
    usual_security,
    warnings,
)
from mail.server_string import Protocol, parse_server_string
from tests.mail.server_string_cases import IMAP, PAIRS, SMTP, Pair

PROVIDERS = sorted((Path(__file__).parents[2] / "migrations" / "providers").glob("*.json"))[-1]
NONE, STARTTLS, TLS = Security.NONE, Security.STARTTLS, Security.TLS
protocols = st.sampled_from(Protocol)
securities = st.sampled_from(Security)
ports = st.one_of(st.sampled_from([25, 143, 465, 587, 993]), st.integers(1, 65535))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_pair_is_accepted_or_refused_as_the_table_says(pair: Pair) -> None:
    if pair.fault is None:
        check_security(pair.protocol, pair.port, pair.security)
        return
    with pytest.raises(RuleError) as caught:
        check_security(pair.protocol, pair.port, pair.security)
    assert caught.value.code == pair.fault
    wrong_pair = pair.fault is SecurityFault.WRONG_FOR_PORT
    assert caught.value.field == ("security" if wrong_pair else "server")


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_every_pair_is_accepted_for_a_non_standard_server(pair: Pair) -> None:
    check_security(pair.protocol, pair.port, pair.security, non_standard=True)


def test_the_cases_hold_every_well_known_port_with_every_security() -> None:
    known = {port for own in PORTS.values() for port in own}
    wanted = {
        (protocol, port, security)
        for protocol in Protocol
        for port in known
        for security in Security
    }
    assert wanted <= {(pair.protocol, pair.port, pair.security) for pair in PAIRS}


def test_every_code_has_a_case() -> None:
    with pytest.raises(RuleError) as caught:
        parse_security("ssl")
    raised = {caught.value.code, *(pair.fault for pair in PAIRS if pair.fault)}
    assert raised == set(SecurityFault)
    said = {one.code for one in warnings(SMTP, 993, NONE, non_standard=True)}
    assert said == set(SecurityWarning)


def test_a_wrong_pair_says_what_would_be_right() -> None:
    with pytest.raises(RuleError) as caught:
        check_security(SMTP, 465, STARTTLS)
    assert caught.value.parameters == {
        "port": 465,
        "allowed": (TLS,),
        "right": TLS,
        "chosen": STARTTLS,
        "chosen_port": 587,
    }
    with pytest.raises(RuleError) as caught:
        check_security(IMAP, 143, TLS)
    assert caught.value.parameters == {
        "port": 143,
        "allowed": (NONE, STARTTLS),
        "right": STARTTLS,
        "chosen": TLS,
        "chosen_port": 993,
    }


@given(protocols, ports, securities)
def test_what_a_refusal_proposes_is_accepted(
    protocol: Protocol, port: int, security: Security
) -> None:
    try:
        check_security(protocol, port, security)
    except RuleError as error:
        if error.field == "server":
            example = parse_server_string(str(error.parameters["example"]), protocol)
            check_security(protocol, example.port, TLS)
            return
        check_security(protocol, port, Security(str(error.parameters["right"])))
        check_security(protocol, int(str(error.parameters["chosen_port"])), security)
    else:
        assert security in allowed_security(protocol, port)


@given(protocols, ports, securities)
def test_the_port_alone_is_refused_when_no_security_would_do(
    protocol: Protocol, port: int, security: Security
) -> None:
    if allowed_security(protocol, port):
        check_port(protocol, port)
        return
    with pytest.raises(RuleError) as caught:
        check_port(protocol, port)
    assert (caught.value.field, caught.value.code) == ("server", SecurityFault.PORT_OF_OTHER)
    assert caught.value.parameters["port"] == port
    with pytest.raises(RuleError, match=SecurityFault.PORT_OF_OTHER):
        check_security(protocol, port, security)
    check_port(protocol, port, non_standard=True)


@pytest.mark.parametrize(
    ("protocol", "port", "security"),
    [
        (SMTP, 25, NONE), (SMTP, 465, TLS), (SMTP, 587, STARTTLS),
        (IMAP, 143, STARTTLS), (IMAP, 993, TLS),
        (SMTP, 2525, None), (SMTP, 993, None), (IMAP, 25, None),
    ],
)  # fmt: skip
def test_a_well_known_port_has_a_usual_security(
    protocol: Protocol, port: int, security: Security | None
) -> None:
    assert usual_security(protocol, port) is security


@pytest.mark.parametrize(
    ("protocol", "security", "port"),
    [
        (SMTP, NONE, 25), (SMTP, STARTTLS, 587), (SMTP, TLS, 465),
        (IMAP, NONE, 143), (IMAP, STARTTLS, 143), (IMAP, TLS, 993),
    ],
)  # fmt: skip
def test_every_security_has_a_usual_port(protocol: Protocol, security: Security, port: int) -> None:
    assert usual_port(protocol, security) == port
    check_security(protocol, port, security)


def test_any_other_port_takes_every_security() -> None:
    assert allowed_security(SMTP, 2525) == allowed_security(IMAP, 1143) == tuple(Security)


def test_the_ports_of_the_other_protocol_take_none() -> None:
    for protocol in Protocol:
        for port in PORTS[protocol.other]:
            assert allowed_security(protocol, port) == ()


@pytest.mark.parametrize("text", ["tls", "TLS", " Tls "])
def test_a_security_is_read_by_its_name(text: str) -> None:
    assert parse_security(text) is TLS


@pytest.mark.parametrize("text", ["", "ssl", "TLS1.3", "Security.TLS", "\ud800"])
def test_what_is_no_security_is_refused(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_security(text)
    assert (caught.value.field, caught.value.code) == ("security", SecurityFault.UNKNOWN)


@pytest.mark.parametrize(
    ("port", "security", "non_standard", "codes"),
    [
        (465, TLS, False, []),
        (465, TLS, True, []),
        (25, NONE, False, [SecurityWarning.UNENCRYPTED]),
        (2525, NONE, True, [SecurityWarning.UNENCRYPTED]),
        (993, TLS, True, [SecurityWarning.PORT_OF_OTHER]),
        (143, NONE, True, [SecurityWarning.PORT_OF_OTHER, SecurityWarning.UNENCRYPTED]),
    ],
)
def test_a_person_is_warned_of_what_is_accepted_all_the_same(
    port: int, security: Security, non_standard: bool, codes: list[SecurityWarning]
) -> None:
    check_security(SMTP, port, security, non_standard=non_standard)
    found = warnings(SMTP, port, security, non_standard=non_standard)
    assert [one.code for one in found] == codes


def test_a_refused_port_is_not_warned_of_as_well() -> None:
    assert warnings(SMTP, 993, TLS, non_standard=False) == ()


def test_the_providers_that_come_with_the_product_keep_the_rules() -> None:
    for provider in json.loads(PROVIDERS.read_text(encoding="utf-8"))["providers"]:
        for protocol in Protocol:
            non_standard = provider[f"{protocol}_non_standard"]
            server = provider[f"{protocol}_server"]
            address = parse_server_string(server, protocol, non_standard=non_standard)
            security = parse_security(provider[f"{protocol}_security"])
            check_security(protocol, address.port, security, non_standard=non_standard)
            assert str(address) == server
            assert warnings(protocol, address.port, security, non_standard=non_standard) == ()

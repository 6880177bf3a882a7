"""Find settings: from a domain to its mail servers, on loopback."""

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from dns import message
from dns.resolver import Resolver

from mail import discovery
from mail.connection import Network
from mail.discovery import _SMTP_HOST_BY_MX, Found, KnownProvider, find_settings
from mail.discovery import _sources as sources
from mail.dns_records import RECORDS_MOST, srv_offers
from mail.errors import RuleError
from mail.offers import FoundServer, LoginForm, Offer, Source
from mail.security import Security
from mail.server_string import Protocol, ServerAddress
from tests.mail.test_autoconfig import USUAL, file, server
from tests.servers.autoconfig_server import HOSTS, WebServers, answer, redirect, serving_web
from tests.servers.dns_server import DnsServer, serving_dns
from tests.servers.scripted import serving

PROVIDERS = Path(__file__).parents[2] / "migrations" / "providers"
IMAP, SMTP = Protocol.IMAP, Protocol.SMTP
NETWORK = Network(hosts=HOSTS)
AUTOCONFIG = "autoconfig.firm.test/mail/config-v1.1.xml?emailaddress=postmaster%40firm.test"
WELL_KNOWN = "firm.test/.well-known/autoconfig/mail/config-v1.1.xml"
ALL = [Source.SRV, Source.AUTOCONFIG, Source.AUTOCONFIG_UNENCRYPTED, Source.PROVIDER, Source.MX]

GMAIL = KnownProvider(
    "gmail.com",
    ("gmail.com", "googlemail.com"),
    (
        Offer(IMAP, "imap.gmail.com:993", Security.TLS, LoginForm.ADDRESS),
        Offer(SMTP, "smtp.gmail.com:465", Security.TLS, LoginForm.ADDRESS),
    ),
)
MICROSOFT = KnownProvider(
    "office365.com",
    ("onmicrosoft.com",),
    (
        Offer(IMAP, "outlook.office365.com:993", Security.TLS, LoginForm.ADDRESS, oauth2_only=True),
        Offer(
            SMTP, "smtp.office365.com:587", Security.STARTTLS, LoginForm.ADDRESS, oauth2_only=True
        ),
    ),
)
# A service that the administrator added, on the company's own network.
OWN = KnownProvider(
    "Own server",
    ("firm.test",),
    (
        Offer(IMAP, "192.168.1.10:143", Security.STARTTLS, LoginForm.LOCAL_PART),
        Offer(SMTP, "mail:25", Security.STARTTLS, LoginForm.TYPED),
    ),
)


@dataclass
class Firm:
    """firm.test with its name server and its web servers, and what was looked at."""

    dns: DnsServer
    web: WebServers
    names: list[str]
    steps: list[Source] = field(default_factory=list)

    def find(
        self, *providers: KnownProvider, domain: str = "firm.test", seconds: float = 5
    ) -> Found | None:
        self.steps.clear()
        web = replace(self.web.web, seconds=seconds)
        with mock.patch.object(discovery, "_sources", self._watched):
            return find_settings(domain, providers, NETWORK, self.dns.dns(seconds), web)

    def _watched(self, *asked: Any) -> dict[Source, Callable[[], Iterable[Offer]]]:
        def noting(source: Source, ask: Callable[[], Iterable[Offer]]) -> Iterable[Offer]:
            self.steps.append(source)
            return ask()

        return {source: partial(noting, source, ask) for source, ask in sources(*asked).items()}

    def srv(self, service: str, *records: str) -> None:
        self.dns.add(f"{service}._tcp.firm.test", "SRV", *records)

    def publish(self, content: bytes) -> None:
        self.web.https.pages[AUTOCONFIG] = answer(content)

    def both(self, *providers: KnownProvider) -> tuple[FoundServer, FoundServer]:
        found = self.find(*providers)
        assert found is not None
        assert found.imap is not None
        assert found.smtp is not None
        return found.imap, found.smtp


@pytest.fixture
def firm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Firm]:
    names: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, *arguments: Any, **named: Any) -> Any:
        if host.replace(".", "").isdigit():
            return real(host, *arguments, **named)
        names.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with serving_dns() as dns, serving_web() as web:
        yield Firm(dns, web, names)


def places(*servers: FoundServer | None) -> list[tuple[str, Security]]:
    return [(str(one.address), one.security) for one in servers if one is not None]


def says(firm: Firm) -> None:
    """The domain says it all in DNS."""
    firm.srv("_imaps", "0 1 993 imap.firm.test.")
    firm.srv("_submissions", "0 1 465 smtp.firm.test.")


# ---- SRV records -----------------------------------------------------------------------------


def test_srv_records_name_both_servers_and_nothing_else_is_asked(firm: Firm) -> None:
    says(firm)
    firm.publish(USUAL)
    assert firm.find() == Found(
        "firm.test",
        FoundServer(
            IMAP,
            ServerAddress("imap.firm.test", 993),
            Security.TLS,
            non_standard=False,
            login_form=LoginForm.ADDRESS,
            oauth2_only=False,
            provider="",
            source=Source.SRV,
        ),
        FoundServer(
            SMTP,
            ServerAddress("smtp.firm.test", 465),
            Security.TLS,
            non_standard=False,
            login_form=LoginForm.ADDRESS,
            oauth2_only=False,
            provider="",
            source=Source.SRV,
        ),
    )
    assert firm.steps == [Source.SRV]
    assert not firm.web.https.asked
    assert not firm.names


def test_starttls_is_what_the_older_records_mean(firm: Firm) -> None:
    firm.srv("_imap", "0 1 143 imap.firm.test.")
    firm.srv("_submission", "0 1 587 smtp.firm.test.")
    assert places(*firm.both()) == [
        ("imap.firm.test:143", Security.STARTTLS),
        ("smtp.firm.test:587", Security.STARTTLS),
    ]


def test_tls_from_the_start_is_preferred_whatever_the_priorities(firm: Firm) -> None:
    firm.srv("_imap", "0 9 143 imap.firm.test.")
    firm.srv("_submission", "0 9 587 smtp.firm.test.")
    firm.srv("_imaps", "9 0 993 imap.firm.test.")
    firm.srv("_submissions", "9 0 465 smtp.firm.test.")
    assert {security for _, security in places(*firm.both())} == {Security.TLS}


def test_465_is_tls_from_the_start_by_any_name(firm: Firm) -> None:
    firm.srv("_imap", "0 1 993 imap.firm.test.")
    firm.srv("_submission", "0 1 465 smtp.firm.test.")
    assert {security for _, security in places(*firm.both())} == {Security.TLS}


def test_a_service_that_is_not_offered_is_not_used(firm: Firm) -> None:
    firm.srv("_imaps", "0 0 0 .")
    firm.srv("_imap", "0 1 143 imap.firm.test.")
    firm.srv("_submissions", "0 0 0 .")
    firm.srv("_submission", "0 0 0 .")
    assert len(list(srv_offers("firm.test", firm.dns.dns()))) == 1
    found = firm.find()
    assert found is not None
    assert places(found.imap) == [("imap.firm.test:143", Security.STARTTLS)]
    assert found.smtp is None


def test_the_lowest_priority_and_the_heaviest_weight_come_first(firm: Firm) -> None:
    firm.srv(
        "_imaps",
        "10 99 993 imap.c.test.",
        "5 10 993 imap.b.test.",
        "5 20 993 imap.a.test.",
        "5 0 993 imap.d.test.",
    )
    firm.srv("_submissions", "0 1 465 smtp.firm.test.")
    assert firm.both()[0].address.host == "imap.a.test"


def test_a_record_that_cannot_be_used_is_passed_over(firm: Firm) -> None:
    firm.srv(
        "_imaps",
        "0 1 993 im\\010ap.firm.test.",
        "1 1 993 imap\\.firm.test.",
        "2 1 993 im_ap.firm.test.",
        "3 1 993 localhost.",
        "4 1 993 127.0.0.1.",
        "5 1 993 10.0.0.5.",
        "6 1 0 imap.firm.test.",
        "7 1 993 imap.right.test.",
    )
    firm.srv("_submissions", "0 1 465 smtp.firm.test.")
    assert firm.both()[0].address.host == "imap.right.test"


def test_a_server_of_another_make_is_marked(firm: Firm) -> None:
    firm.srv("_imaps", "0 1 993 Mail.Firm.test.")
    firm.srv("_submission", "0 1 25 smtp.firm.test.")
    imap, smtp = firm.both()
    assert (str(imap.address), imap.non_standard) == ("mail.firm.test:993", True)
    assert (smtp.security, smtp.non_standard) == (Security.STARTTLS, True)


def test_a_crowd_of_records_says_nothing(firm: Firm) -> None:
    records = [f"0 {n} 993 imap.{n}.test." for n in range(1000)]
    firm.srv("_imaps", *records[: RECORDS_MOST + 1])
    firm.srv("_submissions", "0 1 465 smtp.firm.test.")
    started = time.monotonic()
    found = firm.find()
    assert found is not None
    assert found.imap is None
    firm.srv("_imaps", *records[RECORDS_MOST + 1 :])
    found = firm.find()
    assert found is not None
    assert found.imap is None
    assert time.monotonic() - started < 3


def test_fifty_records_are_read(firm: Firm) -> None:
    firm.srv("_imaps", *(f"0 {n} 993 imap.{n}.test." for n in range(50)))
    firm.srv("_submissions", "0 1 465 smtp.firm.test.")
    assert firm.both()[0].address.host == "imap.49.test"


def test_a_silent_name_server_costs_its_time_and_no_more(firm: Firm) -> None:
    firm.publish(USUAL)
    firm.dns.answer = lambda _: None
    started = time.monotonic()
    found = firm.find(seconds=0.5)
    assert 0.5 <= time.monotonic() - started < 2
    assert found is not None
    assert found.imap is not None
    assert found.smtp is not None


def rubbish(query: message.Message) -> bytes:
    return query.id.to_bytes(2, "big") + b"\x81\x80" + b"\xff" * 40_000


def looping(query: message.Message) -> bytes:
    """An answer whose names point to each other for ever."""
    header = message.make_response(query).to_wire()
    return header[:7] + b"\x01" + header[8:] + b"\xc0\x0c" * 2000


@pytest.mark.parametrize("hostile", [rubbish, looping])
def test_a_hostile_name_server_says_nothing(firm: Firm, hostile: Any) -> None:
    firm.dns.answer = hostile
    started = time.monotonic()
    assert firm.find(seconds=0.5) is None
    assert time.monotonic() - started < 3


def test_a_name_that_is_too_long_for_dns_says_nothing(firm: Firm) -> None:
    assert firm.find(domain=f"{'x' * 60}.{'x.' * 93}test") is None
    assert firm.find(domain=f"{'x' * 63}.{'x' * 63}.{'x' * 63}.{'x' * 56}.test") is None


def test_the_machines_own_name_servers_are_asked_by_default(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def configure(resolver: Resolver, *_: object) -> None:
        resolver.nameservers = ["127.0.0.1"]

    says(firm)
    monkeypatch.setattr(Resolver, "read_resolv_conf", configure)
    own = replace(firm.dns.dns(), servers=())
    assert find_settings("firm.test", (), NETWORK, own) is not None


def test_the_machines_own_name_servers_do_not_matter_where_others_are_given(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(firm)
    monkeypatch.setattr(Resolver, "read_resolv_conf", lambda *_: pytest.fail("it was read"))
    assert firm.find() is not None


# ---- The domain's own file -------------------------------------------------------------------


def test_the_file_of_the_domain(firm: Firm) -> None:
    firm.publish(USUAL)
    imap, smtp = firm.both()
    assert places(imap, smtp) == [
        ("imap.firm.test:993", Security.TLS),
        ("smtp.firm.test:587", Security.STARTTLS),
    ]
    assert (imap.login_form, smtp.login_form) == (LoginForm.ADDRESS, LoginForm.LOCAL_PART)
    assert (imap.source, smtp.source) == (Source.AUTOCONFIG, Source.AUTOCONFIG)
    assert firm.steps == [Source.SRV, Source.AUTOCONFIG]
    assert firm.web.https.asked == [AUTOCONFIG], "one is enough"


def test_the_file_at_its_well_known_place(firm: Firm) -> None:
    firm.web.https.pages[WELL_KNOWN] = answer(USUAL)
    assert firm.both()[0].source is Source.AUTOCONFIG
    assert firm.web.https.asked == [AUTOCONFIG, WELL_KNOWN]


def test_a_file_that_came_unencrypted_is_the_last_choice_and_said(firm: Firm) -> None:
    firm.web.http.pages[AUTOCONFIG] = answer(USUAL)
    firm.web.http.pages[WELL_KNOWN] = answer(USUAL)
    assert firm.both()[0].source is Source.AUTOCONFIG_UNENCRYPTED
    assert firm.steps == ALL[:3]
    assert firm.web.https.asked == [AUTOCONFIG, WELL_KNOWN]
    assert firm.web.http.asked == [AUTOCONFIG]


def test_a_file_elsewhere_may_be_pointed_to(firm: Firm) -> None:
    firm.web.https.pages[AUTOCONFIG] = redirect("https://firm.test/there")
    firm.web.https.pages["firm.test/there"] = answer(USUAL)
    assert firm.both()[0].source is Source.AUTOCONFIG


@pytest.mark.parametrize(
    "host",
    ["192.168.1.10", "127.0.0.1", "[::1]", "localhost", "mail", "", "imap.firm.test:25", "a b"],
)
def test_a_file_cannot_name_a_private_address_or_what_is_no_name(firm: Firm, host: str) -> None:
    firm.publish(file(server(hostname=host), server(hostname="imap.b.test"), server(SMTP)))
    assert firm.both()[0].address.host == "imap.b.test"


def test_a_file_may_name_a_public_address_which_is_not_standard(firm: Firm) -> None:
    firm.publish(file(server(hostname="8.8.8.8"), server(SMTP)))
    assert (str(firm.both()[0].address), firm.both()[0].non_standard) == ("8.8.8.8:993", True)


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "9 9", "993x", "٩٩٣"])
def test_a_port_that_is_none_is_passed_over(firm: Firm, port: str) -> None:
    firm.publish(file(server(port=port), server(hostname="imap.b.test"), server(SMTP)))
    assert firm.both()[0].address.host == "imap.b.test"


def test_oauth2_alone_is_said(firm: Firm) -> None:
    firm.publish(file(server(authentication="OAuth2"), server(SMTP)))
    imap, smtp = firm.both()
    assert imap.oauth2_only
    assert not smtp.oauth2_only


def test_what_one_source_does_not_say_the_next_one_does(firm: Firm) -> None:
    firm.srv("_imaps", "0 1 993 imap.srv.test.")
    firm.publish(file(server(hostname="imap.file.test"), server(SMTP, hostname="smtp.file.test")))
    imap, smtp = firm.both()
    assert (imap.address.host, imap.source) == ("imap.srv.test", Source.SRV)
    assert (smtp.address.host, smtp.source) == ("smtp.file.test", Source.AUTOCONFIG)


def test_two_files_may_have_one_server_each(firm: Firm) -> None:
    firm.publish(file(server()))
    firm.web.https.pages[WELL_KNOWN] = answer(file(server(hostname="imap.b.test"), server(SMTP)))
    imap, smtp = firm.both()
    assert places(imap, smtp) == [
        ("imap.firm.test:993", Security.TLS),
        ("smtp.firm.test:465", Security.TLS),
    ]


def test_a_partial_answer_says_what_is_missing(firm: Firm) -> None:
    firm.publish(file(server(SMTP)))
    found = firm.find()
    assert found is not None
    assert found.imap is None
    assert places(found.smtp) == [("smtp.firm.test:465", Security.TLS)]
    assert firm.steps == ALL


def test_slow_web_servers_cost_their_time_and_no_more(firm: Firm) -> None:
    firm.web.https.slowness = firm.web.http.slowness = 60
    started = time.monotonic()
    assert firm.find(seconds=0.4) is None
    assert 1.2 <= time.monotonic() - started < 3


def test_no_web_server_of_a_private_address_is_asked(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    firm.publish(USUAL)
    firm.web.http.pages[AUTOCONFIG] = answer(USUAL)
    place = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, port, **__: [(*place, ("127.0.0.1", port))]
    )
    web = firm.web.web
    assert find_settings("firm.test", (), Network(), firm.dns.dns(), web=web) is None
    assert not firm.web.https.asked
    assert not firm.web.http.asked


# ---- Known providers -------------------------------------------------------------------------


def test_a_known_provider_by_the_domain(firm: Firm) -> None:
    imap, smtp = firm.both(GMAIL, OWN)
    assert [(str(one.address), one.non_standard) for one in (imap, smtp)] == [
        ("192.168.1.10:143", True),
        ("mail:25", True),
    ]
    assert (imap.login_form, smtp.login_form) == (LoginForm.LOCAL_PART, LoginForm.TYPED)
    assert {one.source for one in (imap, smtp)} == {Source.PROVIDER}
    assert {one.provider for one in (imap, smtp)} == {"Own server"}
    assert firm.steps == ALL[:4]


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("aspmx.l.google.com.", "gmail.com"),
        ("ASPMX2.GoogleMail.com.", "gmail.com"),
        ("smtp.google.com.", "gmail.com"),
        ("firm-test.mail.protection.outlook.com.", "office365.com"),
        ("firm-test.a-v1.mx.microsoft.", "office365.com"),
    ],
)
def test_a_known_provider_by_the_host_that_takes_the_mail(
    firm: Firm, host: str, provider: str
) -> None:
    firm.dns.add("firm.test", "MX", f"10 {host}", "20 mx.firm.test.")
    imap, smtp = firm.both(GMAIL, MICROSOFT)
    assert {one.provider for one in (imap, smtp)} == {provider}
    assert {one.source for one in (imap, smtp)} == {Source.MX}
    assert imap.oauth2_only == (provider == "office365.com")
    assert firm.steps == ALL


@pytest.mark.parametrize(
    "records",
    [
        ["0 ."],
        ["10 mx.firm.test.", "20 aspmx.l.google.com."],
        ["10 notgoogle.com."],
        ["10 google.com.firm.test."],
        ["10 firm-test.olc.protection.outlook.com."],
        [f"{n} aspmx.l.google.com." for n in range(51)],
    ],
)
def test_other_hosts_say_nothing_of_a_provider(firm: Firm, records: list[str]) -> None:
    firm.dns.add("firm.test", "MX", *records)
    assert firm.find(GMAIL, MICROSOFT) is None


def test_every_host_that_takes_mail_leads_to_a_provider_of_the_product() -> None:
    newest = max(PROVIDERS.glob("*.json"))
    providers = json.loads(newest.read_text(encoding="utf-8"))["providers"]
    known = {one["smtp_server"].rpartition(":")[0] for one in providers}
    assert set(_SMTP_HOST_BY_MX.values()) <= known


def test_a_server_of_a_known_provider_is_recognised_by_its_name(firm: Firm) -> None:
    firm.srv("_imaps", "0 1 993 Outlook.Office365.com.")
    firm.srv("_submission", "0 1 587 smtp.gmail.com.")
    local = replace(
        GMAIL, offers=[replace(one, login_form=LoginForm.LOCAL_PART) for one in GMAIL.offers]
    )
    imap, smtp = firm.both(local, MICROSOFT)
    assert (imap.provider, imap.oauth2_only, imap.source) == ("office365.com", True, Source.SRV)
    assert (smtp.provider, smtp.login_form, smtp.oauth2_only) == (
        "gmail.com",
        LoginForm.LOCAL_PART,
        False,
    )
    assert smtp.address.port == 587, "the domain's own word"


def test_a_host_that_two_providers_share_belongs_to_the_one_that_was_found(firm: Firm) -> None:
    firm.dns.add("firm.test", "MX", "10 firm-test.mail.protection.outlook.com.")
    personal = replace(MICROSOFT, name="outlook.com", offers=MICROSOFT.offers[:1])
    assert firm.both(personal, MICROSOFT)[0].provider == "office365.com"


def test_one_host_may_take_another_login_for_each_protocol(firm: Firm) -> None:
    firm.srv("_imaps", "0 1 993 mail.hoster.test.")
    firm.srv("_submissions", "0 1 465 mail.hoster.test.")
    hoster = KnownProvider(
        "Hoster",
        (),
        (
            Offer(IMAP, "mail.hoster.test:993", Security.TLS, LoginForm.LOCAL_PART),
            Offer(SMTP, "mail.hoster.test:465", Security.TLS, LoginForm.TYPED),
        ),
    )
    imap, smtp = firm.both(hoster)
    assert (imap.login_form, smtp.login_form) == (LoginForm.LOCAL_PART, LoginForm.TYPED)


def test_the_domains_own_word_on_the_login_counts(firm: Firm) -> None:
    firm.publish(file(server(hostname="imap.gmail.com", username="%EMAILLOCALPART%"), server(SMTP)))
    assert firm.both(GMAIL)[0].login_form is LoginForm.LOCAL_PART


# ---- The whole -------------------------------------------------------------------------------


def test_a_domain_of_which_nobody_knows_anything(firm: Firm) -> None:
    assert firm.find(GMAIL, domain="unknown.test") is None
    assert firm.steps == ALL
    assert set(firm.names) == {"autoconfig.unknown.test", "unknown.test"}
    assert {one.partition(" ")[0] for one in firm.dns.asked} == {
        "_imaps._tcp.unknown.test",
        "_imap._tcp.unknown.test",
        "_submissions._tcp.unknown.test",
        "_submission._tcp.unknown.test",
        "unknown.test",
    }, "nobody else is asked"


def test_a_domain_may_be_pasted_as_an_address(firm: Firm) -> None:
    says(firm)
    found = firm.find(domain="Bob <bob@Firm.TEST>")
    assert found is not None
    assert found.domain == "firm.test"
    assert not [one for one in firm.dns.asked if "bob" in one]


def test_an_international_domain_is_asked_for_in_ascii(firm: Firm) -> None:
    firm.dns.add("_imaps._tcp.xn--80a1acny.xn--p1ai", "SRV", "0 1 993 imap.firm.test.")
    found = firm.find(domain="почта.рф")
    assert found is not None
    assert found.domain == "xn--80a1acny.xn--p1ai"
    assert firm.names[0] == "autoconfig.xn--80a1acny.xn--p1ai"


def test_what_is_no_domain_is_refused_before_anybody_is_asked(firm: Firm) -> None:
    with pytest.raises(RuleError):
        firm.find(domain="firm")
    assert not firm.steps


def test_a_web_server_that_never_ends_gives_nothing(firm: Firm) -> None:
    with serving(lambda talk: talk.drip(b"x")) as slow:
        web = replace(firm.web.web, http_port=slow.port, seconds=0.4)
        started = time.monotonic()
        assert find_settings("firm.test", (), NETWORK, firm.dns.dns(), web=web) is None
        assert time.monotonic() - started < 2

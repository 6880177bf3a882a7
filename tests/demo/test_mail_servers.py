"""The demo's mail servers, as mail programs meet them: a process of its own, over TLS."""

import base64
import imaplib
import json
import select
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography import x509
from imapclient import IMAPClient

from demo.certificates import SERVER_LIFETIME, company_certificates

PASSWORDS = {
    "alice@firm.test": 'a "quoted" \\ word',
    "bob@firm.test": "bob's own",
    "carol@firm.test": "каролинин",
}
PATIENCE = 5.0
# Everything that goes wrong when a server takes a message apart and puts it together again.
LETTER = (
    b"From: Bob <bob@firm.test>\r\nTo: carol@firm.test\r\nX-Wide:    spaces\r\n"
    b"Subject: " + b"long " * 40 + b"\r\n\tfolded\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    b"From me\r\n.dot\r\n" + "Привет".encode() + b"\r\n\r\n\r\n"
)
DETAILS = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"


@dataclass
class Servers:
    """A running process, and the ways in."""

    process: subprocess.Popen[bytes]
    imap_port: int
    smtp_port: int
    trust: ssl.SSLContext

    def imap(self, login: str) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("imap.firm.test", self.imap_port, ssl_context=self.trust)
        # imaplib sends a literal and its end apart: 40 ms each with Nagle's algorithm.
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.authenticate("PLAIN", lambda _: f"\0{login}\0{_password(login)}".encode())
        return client

    def imap_client(self, login: str) -> Any:
        client = IMAPClient("imap.firm.test", self.imap_port, ssl_context=self.trust)
        client.plain_login(login, _password(login))
        return client

    def smtp(self, login: str | None = None) -> smtplib.SMTP_SSL:
        client = smtplib.SMTP_SSL("smtp.firm.test", self.smtp_port, context=self.trust)
        client.ehlo()
        if login:
            # smtplib's own login knows passwords in ASCII only.
            secret = base64.b64encode(f"\0{login}\0{_password(login)}".encode()).decode()
            assert client.docmd("AUTH", f"PLAIN {secret}")[0] == 235
        return client

    def send(self, sender: str, *recipients: str, letter: bytes = LETTER) -> None:
        with self.smtp(sender) as client:
            client.sendmail(sender, recipients, letter, ["BODY=8BITMIME"])


def _password(login: str) -> str:
    return PASSWORDS[f"{login.lower().partition('@')[0]}@firm.test"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _command(folder: Path, imap_port: int, smtp_port: int) -> list[str]:
    ports = ["--imap-port", str(imap_port), "--smtp-port", str(smtp_port)]
    return [sys.executable, "-m", "demo.mail_servers", "--folder", str(folder), *ports]


def _read(pipe: Any) -> bytes:
    """The next line, or nothing at the end."""
    assert select.select([pipe], [], [], PATIENCE)[0], "nothing came"
    line: bytes = pipe.readline()
    return line


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Servers]:
    imap_port, smtp_port = _free_port(), _free_port()
    pipe = subprocess.PIPE
    command = _command(folder, imap_port, smtp_port)
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, **options) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(PASSWORDS).encode() + b"\n")
            process.stdin.flush()
            assert _read(process.stdout) == b"ready\n"
            trust = ssl.create_default_context(cafile=folder / "tls" / "ca.pem")
            trust.verify_flags |= ssl.VERIFY_X509_STRICT
            yield Servers(process, imap_port, smtp_port, trust)
        finally:
            process.kill()


@pytest.fixture(autouse=True, scope="module")
def company_names() -> Iterator[None]:
    """firm.test is this machine, as the host table of a demo says."""
    real = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".firm.test") else host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lookup)
        yield


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running(tmp_path_factory.mktemp("firm")) as started:
        yield started


def new_folder(client: imaplib.IMAP4_SSL, name: str, *letters: bytes) -> None:
    """Tests share the servers, not the folders."""
    assert client.create(name)[0] == "OK"
    for letter in letters:
        assert client.append(name, "", "", letter)[0] == "OK"
    assert client.select(name)[0] == "OK"


def fetched(client: imaplib.IMAP4_SSL, uid: int) -> tuple[bytes, bytes]:
    """What is said about a message, and the message. Other answers may come before it."""
    answers = client.uid("fetch", str(uid), DETAILS)[1]
    about, content = next(answer for answer in answers if isinstance(answer, tuple))
    return about, content


def uids(client: imaplib.IMAP4_SSL) -> list[int]:
    return [int(uid) for uid in client.uid("search", "ALL")[1][0].split()]


# ---- Sending ---------------------------------------------------------------------------------


def test_a_letter_arrives_to_the_byte(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        servers.send("bob@firm.test", "Carol@firm.test")
        with servers.imap("carol") as carol:
            assert carol.select("INBOX") == ("OK", [b"1"])
            _, arrived = fetched(carol, 1)
    trace, _, letter = arrived.partition(b"From: ")
    assert b"From: " + letter == LETTER
    assert trace.startswith(b"Return-Path: <bob@firm.test>\r\nReceived: from ")
    assert b"for <carol@firm.test>" in trace


@pytest.mark.parametrize("login", ["bob", "bob@firm.test", "Bob@Firm.Test"])
def test_both_forms_of_login(servers: Servers, login: str) -> None:
    with servers.imap(login) as imap, servers.smtp() as smtp:
        assert imap.state == "AUTH"
        smtp.login(login, _password("bob"))
        assert smtp.mail("bob@firm.test")[0] == 250


@pytest.mark.parametrize(("login", "password"), [("bob", "wrong"), ("nobody", ""), ("", "")])
def test_a_wrong_password_is_refused(servers: Servers, login: str, password: str) -> None:
    with (
        imaplib.IMAP4_SSL("imap.firm.test", servers.imap_port, ssl_context=servers.trust) as imap,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        imap.login(login or '""', password)
    with servers.smtp() as smtp, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        smtp.login(login, password)
    assert refused.value.smtp_code == 535


def test_nobody_reads_as_somebody_else(servers: Servers) -> None:
    with imaplib.IMAP4_SSL("imap.firm.test", servers.imap_port, ssl_context=servers.trust) as imap:
        secret = f"alice\0bob\0{_password('bob')}".encode()
        with pytest.raises(imaplib.IMAP4.error, match="AUTHORIZATIONFAILED"):
            imap.authenticate("PLAIN", lambda _: secret)


def test_only_who_signed_in_sends(servers: Servers) -> None:
    with servers.smtp() as smtp:
        assert smtp.mail("bob@firm.test")[0] == 530


@pytest.mark.parametrize("sender", ["alice@firm.test", "bob@elsewhere.example", "bob"])
def test_a_foreign_sender_is_refused(servers: Servers, sender: str) -> None:
    with servers.smtp("bob") as smtp:
        code, words = smtp.mail(sender)
    assert code == 553
    assert b"signed in as bob@firm.test" in words


@pytest.mark.parametrize(
    ("recipient", "words"),
    [
        ("nobody@firm.test", b"5.1.1 <nobody@firm.test>: nobody at firm.test"),
        ("carol@elsewhere.example", b"addresses at firm.test only"),
        ("carol", b"addresses at firm.test only"),
    ],
)
def test_a_recipient_is_refused_and_the_others_are_served(
    servers: Servers, recipient: str, words: bytes
) -> None:
    mark = b"Subject: " + recipient.encode() + b"\r\n\r\n\r\n"
    with servers.smtp("bob") as smtp:
        refused = smtp.sendmail("bob@firm.test", [recipient, "alice@firm.test"], mark)
    assert refused[recipient][0] == 550
    assert words in refused[recipient][1]
    with servers.imap("alice") as alice:
        alice.select("INBOX")
        assert alice.uid("search", "SUBJECT", f'"{recipient}"')[1] != [b""]


def test_25_megabytes_are_the_limit(servers: Servers) -> None:
    limit = 25 * 1024 * 1024
    with servers.smtp("bob") as smtp:
        assert smtp.esmtp_features["size"] == str(limit)
        assert smtp.mail("bob@firm.test", [f"SIZE={limit + 1}"])[0] == 552
        assert smtp.mail("bob@firm.test")[0] == 250
        assert smtp.rcpt("bob@firm.test")[0] == 250
        line = b"x" * 62 + b"\r\n"
        assert smtp.data(line * (limit // len(line) + 1))[0] == 552


# ---- Reading ---------------------------------------------------------------------------------


def test_what_a_mail_program_does(servers: Servers) -> None:
    with servers.imap("alice") as alice:
        folders: list[Any] = alice.list()[1]
        names = {line.rpartition(b" ")[2] for line in folders}
        assert names >= {b"INBOX", b"Sent", b"Drafts", b"Trash", b"Junk"}
        new_folder(alice, "Program")
        date = '"17-Jul-2019 02:44:25 +0300"'
        assert alice.append("Program", r"(\Seen \Draft)", date, LETTER)[0] == "OK"
        assert uids(alice) == [1]
        about, content = fetched(alice, 1)
        assert rb"FLAGS (\Draft \Recent \Seen)" in about or rb"FLAGS (\Draft \Seen)" in about
        assert b'INTERNALDATE "16-Jul-2019 23:44:25 +0000"' in about
        assert b"RFC822.SIZE %d" % len(LETTER) in about
        assert content == LETTER
        assert alice.uid("store", "1", "-FLAGS", r"(\Draft)")[0] == "OK"
        with servers.imap("alice") as elsewhere:
            elsewhere.select("Program", readonly=True)
            assert rb"FLAGS (\Seen)" in elsewhere.uid("fetch", "1", "(FLAGS)")[1][0]


def test_copied_moved_and_moved_back_it_is_the_same_letter_once(servers: Servers) -> None:
    with servers.imap("alice") as alice:
        new_folder(alice, "There")
        new_folder(alice, "Here", LETTER)
        assert alice.uid("copy", "1", "There")[0] == "OK"
        assert alice.uid("move", "1", "There")[0] == "OK"
        alice.select("There")
        assert [fetched(alice, uid)[1] for uid in uids(alice)] == [LETTER, LETTER]
        alice.uid("move", "2", "Here")
        alice.uid("move", "1", "There")
        assert uids(alice) == [1]
        alice.select("Here")
        assert uids(alice) == [2]
        assert fetched(alice, 2)[1] == LETTER
        alice.uid("store", "2", "+FLAGS", r"(\Deleted)")
        alice.expunge()
        assert uids(alice) == []


def test_odd_folder_names_end_no_connection(servers: Servers) -> None:
    with servers.imap("alice") as alice:
        assert "ALREADYEXISTS" in str(alice.create("Sent"))
        for everything in ('"."', '""', '"/"'):
            assert alice.create(everything)[0] == "NO"
            assert alice.delete(everything)[0] == "NO"
            assert alice.select(everything)[0] == "NO"
        assert alice.rename("Missing", "Found")[0] == "NO"
        assert alice.create("a/b/c")[0] == "OK"
        assert alice.status("INBOX", "(UIDVALIDITY)")[0] == "OK"


def test_idle_and_noop_announce_what_arrives(servers: Servers) -> None:
    with servers.imap_client("bob") as bob, servers.imap("bob") as other:
        before = bob.select_folder("INBOX")[b"EXISTS"]
        other.select("INBOX")
        bob.idle()
        servers.send("alice@firm.test", "bob@firm.test")
        assert other.status("INBOX", "(MESSAGES)")[1] == [b"INBOX (MESSAGES %d)" % (before + 1)]
        assert other.noop()[0] == "OK"
        assert other.response("EXISTS")[1][-1] == b"%d" % (before + 1)
        announced = []
        while (before + 1, b"EXISTS") not in announced:
            news = bob.idle_check(timeout=PATIENCE)
            assert news, "IDLE says nothing"
            announced += news
        assert bob.idle_done()[0] == b"IDLE completed."


def test_imapclient_works_in_folders_of_any_language(servers: Servers) -> None:
    with servers.imap_client("carol@firm.test") as carol:
        carol.create_folder("Отчёты/Июль & Август")
        names = [name for _, _, name in carol.list_folders()]
        assert {"Отчёты", "Отчёты/Июль & Август"} <= set(names)
        when = datetime(2024, 7, 1, 12, 30, tzinfo=UTC)
        carol.append("Отчёты/Июль & Август", LETTER, [rb"\Flagged"], when)
        carol.multiappend("Отчёты", [LETTER, LETTER])
        carol.select_folder("Отчёты/Июль & Август")
        assert carol.search("FLAGGED") == [1]
        found = carol.fetch([1], ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]"])[1]
        assert found[b"BODY[]"] == LETTER
        assert found[b"RFC822.SIZE"] == len(LETTER)
        # IMAPClient gives local time without its zone.
        assert found[b"INTERNALDATE"].astimezone(UTC) == when
        carol.add_flags([1], [rb"\Seen"])
        assert set(carol.get_flags([1])[1]) >= {rb"\Seen", rb"\Flagged"}
        carol.move([1], "Отчёты")
        assert carol.folder_status("Отчёты", ["MESSAGES", "UNSEEN"])[b"MESSAGES"] == 3


def test_two_people_at_once(servers: Servers) -> None:
    def write(sender: str, recipient: str) -> Any:
        mark = b"Subject: letter from " + sender.encode() + b"\r\n\r\n"
        with servers.imap(sender) as imap:
            for number in range(10):
                servers.send(sender, recipient, letter=mark + b"%d\r\n" % number)
                assert imap.append("Sent", "", "", mark)[0] == "OK"
            imap.select("Sent")
            return imap.uid("search", "SUBJECT", f'"letter from {sender}"')[1][0].split()

    pair = ("alice@firm.test", "carol@firm.test")
    with ThreadPoolExecutor() as threads:
        kept = list(threads.map(write, pair, reversed(pair)))
    assert [len(set(copies)) for copies in kept] == [10, 10]
    for sender, recipient in (pair, pair[::-1]):
        with servers.imap(recipient) as imap:
            imap.select("INBOX")
            arrived = imap.uid("search", "SUBJECT", f'"letter from {sender}"')[1][0].split()
            assert len(set(arrived)) == 10


def test_clients_that_go_away_midway_hurt_nobody(servers: Servers) -> None:
    for port in (servers.imap_port, servers.smtp_port):
        with socket.create_connection(("127.0.0.1", port)) as no_tls:
            no_tls.sendall(b"a1 LOGIN alice secret\r\n")
    halfway = servers.imap("alice")
    halfway.send(b"h APPEND Drafts {500}\r\n")
    assert halfway.readline().startswith(b"+")
    halfway.send(b"half of it")
    halfway.sock.shutdown(socket.SHUT_RDWR)
    halfway.shutdown()
    idler = servers.imap("alice")
    idler.select("INBOX")
    idler.send(b"i IDLE\r\n")
    idler.shutdown()
    sender = servers.smtp("alice")
    sender.mail("alice@firm.test")
    sender.rcpt("bob@firm.test")
    assert sender.docmd("DATA")[0] == 354
    sender.send(b"Subject: half of it\r\n")
    sender.close()
    with servers.imap("alice") as alice:
        assert alice.status("Drafts", "(MESSAGES)")[1] == [b"Drafts (MESSAGES 0)"]
    servers.send("alice@firm.test", "bob@firm.test")


def test_the_certificate_is_for_these_names_only(servers: Servers) -> None:
    for name, trust in (
        ("localhost", servers.trust),
        ("imap.firm.test", ssl.create_default_context()),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            imaplib.IMAP4_SSL(name, servers.imap_port, ssl_context=trust)


# ---- Beginning and end -----------------------------------------------------------------------


def test_a_restart_keeps_mail_flags_and_uids(tmp_path: Path) -> None:
    def look(servers: Servers) -> tuple[Any, ...]:
        with servers.imap("carol") as carol:
            carol.select("INBOX")
            status = carol.status("INBOX", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")
            return status, [fetched(carol, uid) for uid in uids(carol)]

    with running(tmp_path) as servers:
        for _ in range(3):
            servers.send("bob@firm.test", "carol@firm.test")
        with servers.imap("carol") as carol:
            carol.select("INBOX")
            carol.uid("store", "3", "+FLAGS", r"(\Deleted)")
            carol.expunge()
            carol.uid("store", "1", "+FLAGS", r"(\Seen \Flagged)")
        before = look(servers)
    uid_list = tmp_path / "mail" / "carol" / "dovecot-uidlist"
    assert len(uid_list.read_text().splitlines()) == 3, "a head, and a line for each that is left"
    # Killed in the middle of writing, a process leaves its lock behind.
    (tmp_path / "mail" / "carol" / "dovecot-uidlist.lock").touch()
    with running(tmp_path) as servers:
        assert look(servers) == before
        servers.send("bob@firm.test", "carol@firm.test")
        with servers.imap("carol") as carol:
            carol.select("INBOX")
            assert uids(carol) == [1, 2, 4]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as servers:
        idler, sender = servers.imap("bob"), servers.smtp("bob")
        idler.select("INBOX")
        idler.send(b"i IDLE\r\n")
        assert idler.readline().startswith(b"+")
        servers.process.send_signal(number)
        assert servers.process.wait(timeout=2) == 0
        assert b"BYE" in idler.readline()
        idler.shutdown()
        sender.close()


def test_it_ends_with_its_standard_input(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        assert servers.process.stdin is not None
        servers.process.stdin.close()
        assert servers.process.wait(timeout=2) == 0


@pytest.mark.parametrize("given", ["a pipe that only the parent holds", "a file"])
def test_it_ends_with_its_parent(tmp_path: Path, given: str) -> None:
    people = tmp_path / "people.json"
    people.write_text(json.dumps(PASSWORDS) + "\n")
    script = (
        "import subprocess, sys\n"
        "stdin = open(sys.argv[1]) if sys.argv[1] else subprocess.PIPE\n"
        "child = subprocess.Popen(sys.argv[2:], stdin=stdin)\n"
        "child.stdin and (child.stdin.write(sys.stdin.buffer.readline()), child.stdin.flush())\n"
        "child.wait()"
    )
    file = str(people) if given == "a file" else ""
    command = [sys.executable, "-c", script, file, *_command(tmp_path, _free_port(), _free_port())]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as parent:
        assert parent.stdin is not None
        parent.stdin.write(people.read_bytes())
        parent.stdin.flush()
        assert _read(parent.stdout) == b"ready\n"
        parent.kill()
        # The servers hold the other end of this pipe: it ends when they have.
        assert _read(parent.stdout) == b""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", b"not one line of JSON"),
        (b"[]\n", b"names no people"),
        (b'{"x@elsewhere.example": "y"}\n', b"not an address at firm.test"),
        (b'{"../x@firm.test": "y"}\n', b"not an address at firm.test"),
        (b'{"x@firm.test": ""}\n', b"no password"),
    ],
)
def test_what_it_cannot_start_with(tmp_path: Path, line: bytes, words: bytes) -> None:
    command = _command(tmp_path, _free_port(), _free_port())
    ended = subprocess.run(command, input=line, capture_output=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert words in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    line = json.dumps(PASSWORDS).encode() + b"\n"
    with running(tmp_path):
        command = _command(tmp_path, _free_port(), _free_port())
        second = subprocess.run(
            command, input=line, capture_output=True, timeout=PATIENCE, check=False
        )
    assert second.returncode == 1
    assert b"Other mail servers are running in this folder" in second.stderr


# ---- Certificates ----------------------------------------------------------------------------


def test_certificates_are_made_once_and_guarded(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    made = company_certificates(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.pem")} == {0o600}
    before = {path: path.read_bytes() for path in folder.glob("*.pem")}
    assert company_certificates(folder) == made
    assert {path: path.read_bytes() for path in folder.glob("*.pem")} == before


def test_the_server_certificate_is_renewed_30_days_before_its_end(tmp_path: Path) -> None:
    made = company_certificates(tmp_path)
    first, end = made.cert_path.read_bytes(), datetime.now(UTC) + SERVER_LIFETIME
    with time_machine.travel(end - timedelta(days=31), tick=False):
        assert company_certificates(tmp_path).cert_path.read_bytes() == first
    with time_machine.travel(end - timedelta(days=30), tick=False):
        renewed = company_certificates(tmp_path)
    assert renewed.ca_pem == made.ca_pem
    second = x509.load_pem_x509_certificate(renewed.cert_path.read_bytes())
    assert second.not_valid_after_utc > end + timedelta(days=600)


@pytest.mark.parametrize("key", ["cut off", "another's"])
def test_a_broken_server_certificate_is_made_anew(tmp_path: Path, key: str) -> None:
    made = company_certificates(tmp_path / "ours")
    other = company_certificates(tmp_path / "another's")
    made.key_path.write_bytes(b"cut off" if key == "cut off" else other.key_path.read_bytes())
    assert company_certificates(tmp_path / "ours").ca_pem == made.ca_pem
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.cert_path, made.key_path)


def test_a_broken_ca_is_not_replaced_in_silence(tmp_path: Path) -> None:
    company_certificates(tmp_path)
    (tmp_path / "ca-key.pem").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"PEM|key"):
        company_certificates(tmp_path)


def test_the_servers_say_that_the_ca_is_broken(tmp_path: Path) -> None:
    company_certificates(tmp_path / "tls")
    (tmp_path / "tls" / "ca-key.pem").write_bytes(b"cut off")
    command = _command(tmp_path, _free_port(), _free_port())
    line = json.dumps(PASSWORDS).encode() + b"\n"
    ended = subprocess.run(command, input=line, capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert b"CA in" in ended.stderr
    assert b"Traceback" not in ended.stderr

"""A firm's mail servers: a real Dovecot and a real Postfix on high loopback ports.

Everything lies in one temporary folder with a short name (socket paths end at 108 bytes); no
service of the machine is touched, and only what was started here is stopped.
"""

import contextlib
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from demo.certificates import company_certificates
from scripts.house import until_listening
from tests.waiting import until

DOMAIN = "firm.test"
PEOPLE = ("alice", "bob", "carol")
PASSWORD = "mail-secret"
MAIL_UID = 5000
SECONDS = 20.0
USUAL = dict.fromkeys(PEOPLE, PASSWORD)

_DOVECOT = """
base_dir={d}/run
state_dir={d}/state
instance_name=postroom-test
log_path={d}/log/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_format = %n
first_valid_uid = 1
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {d}/etc/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {d}/etc/users
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  service_count = 0
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service auth {{
  unix_listener {d}/pf/queue/private/auth {{
    mode = 0666
  }}
}}
"""

_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {d}/pf/queue
data_directory = {d}/pf/data
maillog_file = {d}/log/postfix.log
maillog_file_prefixes = {d}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = smtp.firm.test
mydestination =
mynetworks =
alias_maps =
relayhost =
virtual_mailbox_domains = firm.test
virtual_mailbox_maps = regexp:{d}/pf/etc/people
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
default_transport = error:5.1.2 outside mail is disabled
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtputf8_enable = yes
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
"""

_MASTER_CF = """
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_tls_auth_only=yes
127.0.0.1:{plain} inet n - n - - smtpd
  -o smtpd_tls_security_level=none -o smtpd_tls_auth_only=no
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class MailSystem:
    """``hosts`` is for POSTROOM_HOSTS, ``ca_pem`` for the service's CA."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pr-", dir="/tmp"))
        self.folder.chmod(0o755)
        ports = _free_ports(6)
        self.imap_port, self.imaps_port, self.lmtp_port = ports[:3]
        self.smtps_port, self.submission_port, self.smtp_port = ports[3:]
        certificates = company_certificates(self.folder / "tls")
        self.ca_pem = certificates.ca_pem
        self._values = {
            "d": self.folder,
            "cert": certificates.cert_path,
            "key": certificates.key_path,
            "imap": self.imap_port,
            "imaps": self.imaps_port,
            "lmtp": self.lmtp_port,
            "smtps": self.smtps_port,
            "submission": self.submission_port,
            "plain": self.smtp_port,
        }
        self.hosts = f"imap.{DOMAIN}=127.0.0.1,smtp.{DOMAIN}=127.0.0.1"

    def start(self) -> None:
        for name in ("run", "state", "log", "etc", "mail", "pf/etc", "pf/queue/private", "pf/data"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._write_passwords(USUAL)
        self._write("etc/dovecot.conf", _DOVECOT)
        self._write("pf/etc/main.cf", _MAIN_CF)
        self._write("pf/etc/master.cf", _MASTER_CF)
        self._write("pf/etc/people", f"/^({'|'.join(PEOPLE)})@firm\\.test$/ ok\n")
        os.chown(self.folder / "mail", MAIL_UID, MAIL_UID)
        postfix = pwd.getpwnam("postfix")
        os.chown(self.folder / "pf/data", postfix.pw_uid, postfix.pw_gid)
        os.chown(self.folder / "pf/queue/private", postfix.pw_uid, postfix.pw_gid)
        (self.folder / "pf/queue/private").chmod(0o700)
        self.start_dovecot()
        self._call("postfix", "-c", str(self.folder / "pf/etc"), "start")
        for port in (self.smtps_port, self.submission_port, self.smtp_port):
            until_listening(port)

    def start_dovecot(self) -> None:
        self._call("dovecot", "-c", str(self.folder / "etc/dovecot.conf"))
        for port in (self.imap_port, self.imaps_port, self.lmtp_port):
            until_listening(port)

    def stop_dovecot(self) -> None:
        _stop(self.folder / "run/master.pid")

    def stop(self) -> None:
        self._call("postfix", "-c", str(self.folder / "pf/etc"), "stop", check=False)
        self.stop_dovecot()
        shutil.rmtree(self.folder, ignore_errors=True)

    def set_passwords(self, passwords: dict[str, str]) -> None:
        """Only these people can sign in from now on. Dovecot looks at the file once a second, so it
        is started anew, which takes seconds.
        """
        if passwords == self._passwords:
            return
        self.stop_dovecot()
        self._write_passwords(passwords)
        self.start_dovecot()

    def _write_passwords(self, passwords: dict[str, str]) -> None:
        self._passwords = passwords
        lines = [
            f"{login}:{{PLAIN}}{password}:{MAIL_UID}:{MAIL_UID}::{self.folder}/mail/{login}::"
            for login, password in passwords.items()
        ]
        (self.folder / "etc/users").write_text("\n".join(lines) + "\n")

    def messages(self, login: str, folder: str = "") -> list[bytes]:
        """What lies in a person's maildir, in the order of its delivery."""
        box = self.folder / "mail" / login / "Maildir" / (f".{folder}" if folder else "")
        found = [path for name in ("new", "cur") for path in (box / name).glob("*")]
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.name)]

    def deliver(self, login: str, *sources: bytes) -> None:
        """Puts messages into a person's inbox as Postfix does, by LMTP (RFC 2033).

        What is refused for now is tried again, as Postfix would: a session that ends while the
        mail of the test before is removed makes Dovecot say so.
        """
        with smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=SECONDS) as lmtp:
            for raw in sources:
                until(partial(_is_taken, lmtp, f"{login}@{DOMAIN}", raw))

    def doveadm(self, *command: str) -> None:
        self._call("doveadm", "-c", str(self.folder / "etc/dovecot.conf"), *command)

    def empty(self) -> None:
        """Removes everybody's mail, and gives everybody the usual password."""
        self.remove_mail()
        self.set_passwords(USUAL)

    def remove_mail(self) -> None:
        for login in PEOPLE:
            shutil.rmtree(self.folder / "mail" / login, ignore_errors=True)

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text.format(**self._values).lstrip())

    def _call(self, *command: str, check: bool = True) -> None:
        # To a file: the daemons keep a pipe open for good.
        with (self.folder / "log/console").open("ab") as console:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, check=check
            )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _stop(pid_file: Path) -> None:
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.02)


def _is_taken(lmtp: smtplib.LMTP, recipient: str, raw: bytes) -> bool:
    """Raises SMTPException for what is refused for good."""
    try:
        lmtp.sendmail("outside@elsewhere.test", [recipient], raw)
    except smtplib.SMTPDataError as error:
        if error.smtp_code >= 500:
            raise
        return False
    return True

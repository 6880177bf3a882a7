"""The firm's mail at other servers: with other ports, other names and another authority."""

import pytest

from demo import certificates
from tests.servers.mail_system import MailSystem

NEAR, FAR = "post.firm.test", "elsewhere.test"  # the first has the firm's registrable domain


class SecondSystem(MailSystem):
    """Serves the maildirs of another system, which goes on serving them too."""

    def __init__(self, first: MailSystem) -> None:
        names = [f"{host}.{domain}" for domain in (NEAR, FAR) for host in ("imap", "smtp")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(certificates, "DOMAIN", "test")
            patch.setattr(certificates, "SERVER_NAMES", tuple(names))
            super().__init__()
        self.hosts = ",".join(f"{name}=127.0.0.1" for name in names)
        (self.folder / "mail").symlink_to(first.folder / "mail")

"""What is right and what is wrong in a server, as data for every place that keeps these rules."""

from dataclasses import dataclass

from mail.security import Security, SecurityFault
from mail.server_string import Protocol, ServerFault

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP


@dataclass(frozen=True)
class Accepted:
    """``text`` names ``host`` and ``port``; ``shown`` where people see it in other letters."""

    text: str
    protocol: Protocol
    host: str
    port: int
    non_standard: bool = False
    shown: str = ""

    def __str__(self) -> str:
        return f"{self.protocol}{'*' if self.non_standard else ''} {ascii(self.text)[:60]}"


@dataclass(frozen=True)
class Refused:
    """``text`` is refused with ``fault`` and the right ``example``.

    ``stored`` is the host and port that a row would hold all the same, where a row by itself can
    break the rule.
    """

    text: str
    protocol: Protocol
    fault: ServerFault
    example: str
    non_standard: bool = False
    stored: tuple[str, int] | None = None

    def __str__(self) -> str:
        return f"{self.protocol}{'*' if self.non_standard else ''} {ascii(self.text)[:60]}"


@dataclass(frozen=True)
class Pair:
    """A port with a security, and what refuses it (None: it is accepted)."""

    protocol: Protocol
    port: int
    security: Security
    fault: SecurityFault | None = None

    def __str__(self) -> str:
        return f"{self.protocol} {self.port} {self.security}"


def lifted(text: str, protocol: Protocol, host: str, port: int, shown: str = "") -> Accepted:
    return Accepted(text, protocol, host, port, non_standard=True, shown=shown)


LONGEST_LABEL = "a" * 63
# 4 + 1 + 3 * (63 + 1) + 56 = 253
LONGEST_NAME = f"smtp.{'.'.join([LONGEST_LABEL] * 3)}.{'b' * 56}"

ACCEPTED = (
    Accepted("smtp.myserver.com:465", SMTP, "smtp.myserver.com", 465),
    Accepted("imap.myserver.com:993", IMAP, "imap.myserver.com", 993),
    Accepted("smtp.firm:25", SMTP, "smtp.firm", 25),
    Accepted("imap.mail.yahoo.com:993", IMAP, "imap.mail.yahoo.com", 993),
    Accepted("smtp.smtp:465", SMTP, "smtp.smtp", 465),
    Accepted("  SMTP.MyServer.Com:465\t\r\n", SMTP, "smtp.myserver.com", 465),
    Accepted("\u00a0imap.firm.com:993\u2003", IMAP, "imap.firm.com", 993),
    Accepted("smtp.firm.com:1", SMTP, "smtp.firm.com", 1),
    Accepted("smtp.firm.com:65535", SMTP, "smtp.firm.com", 65535),
    Accepted("smtp.3com.com:465", SMTP, "smtp.3com.com", 465),
    Accepted("smtp.1.2.3.com:465", SMTP, "smtp.1.2.3.com", 465),
    Accepted("smtp.a-b--c.com:465", SMTP, "smtp.a-b--c.com", 465),
    Accepted("smtp.r3---x.com:465", SMTP, "smtp.r3---x.com", 465),
    Accepted(f"smtp.{LONGEST_LABEL}.com:465", SMTP, f"smtp.{LONGEST_LABEL}.com", 465),
    Accepted(f"{LONGEST_NAME}:65535", SMTP, LONGEST_NAME, 65535),
    Accepted(
        "imap.почта.рф:993",
        IMAP,
        "imap.xn--80a1acny.xn--p1ai",
        993,
        shown="imap.почта.рф:993",
    ),
    Accepted(
        "IMAP.ПОЧТА.РФ:993",
        IMAP,
        "imap.xn--80a1acny.xn--p1ai",
        993,
        shown="imap.почта.рф:993",
    ),
    Accepted(
        "imap.XN--80A1ACNY.xn--p1ai:993",
        IMAP,
        "imap.xn--80a1acny.xn--p1ai",
        993,
        shown="imap.почта.рф:993",
    ),
    # IDNA 2008 keeps the sharp s and the Persian joiner, which IDNA 2003 changed to something else.
    Accepted("smtp.straße.de:465", SMTP, "smtp.xn--strae-oqa.de", 465, shown="smtp.straße.de:465"),
    Accepted(
        "imap.نامه\u200cای.com:993",
        IMAP,
        "imap.xn--mgba3gch31f060k.com",
        993,
        shown="imap.نامه\u200cای.com:993",
    ),
    # Decomposed, as macOS gives it; wide, as a Japanese keyboard gives it, with its dots.
    Accepted("smtp.bu\u0308ro.de:465", SMTP, "smtp.xn--bro-hoa.de", 465, shown="smtp.büro.de:465"),
    Accepted("ｓｍｔｐ。ｆｉｒｍ．ｃｏｍ:465", SMTP, "smtp.firm.com", 465),
    lifted("mail.firm.example:25", SMTP, "mail.firm.example", 25),
    lifted("outlook.office365.com:993", IMAP, "outlook.office365.com", 993),
    lifted("imap.firm.com:993", SMTP, "imap.firm.com", 993),
    lifted("192.168.1.10:143", IMAP, "192.168.1.10", 143),
    lifted("[fd00::1]:993", IMAP, "fd00::1", 993),
    lifted(" [FD00:0:0:0:0:0:0:0001]:993 ", IMAP, "fd00::1", 993),
    lifted("mailhost:25", SMTP, "mailhost", 25),
    lifted("smtp:465", SMTP, "smtp", 465),
    lifted("почта.рф:143", IMAP, "xn--80a1acny.xn--p1ai", 143, shown="почта.рф:143"),
)

DEFAULT = {SMTP: "smtp.myserver.com:465", IMAP: "imap.myserver.com:993"}
FIRM = "smtp.firm.com:465"

REFUSED = (
    Refused("x" * 301, SMTP, ServerFault.TOO_LONG, DEFAULT[SMTP]),
    Refused(" " * 280 + "smtp.firm.com:465" + " " * 4, SMTP, ServerFault.TOO_LONG, DEFAULT[SMTP]),
    Refused("", SMTP, ServerFault.EMPTY, DEFAULT[SMTP]),
    Refused(" \t\n", IMAP, ServerFault.EMPTY, DEFAULT[IMAP]),
    Refused("smtp.firm.com 465", SMTP, ServerFault.SPACE_FOR_COLON, FIRM),
    Refused(" imap.firm.com \t1993 ", IMAP, ServerFault.SPACE_FOR_COLON, "imap.firm.com:1993"),
    Refused("mail.firm.com 25", SMTP, ServerFault.SPACE_FOR_COLON, "smtp.firm.com:25"),
    Refused("[fd00::1] 993", IMAP, ServerFault.SPACE_FOR_COLON, "[fd00::1]:993", non_standard=True),
    Refused("smtp.firm.com:465 465", SMTP, ServerFault.SPACE, FIRM),
    Refused("smtp.firm.com ssl", SMTP, ServerFault.SPACE, FIRM),
    Refused("smtp.firm.com ٤٦٥", SMTP, ServerFault.SPACE, FIRM),
    Refused("smtp. firm.com 465", SMTP, ServerFault.SPACE, DEFAULT[SMTP]),
    Refused("smtp.firm.com: 587", SMTP, ServerFault.SPACE, "smtp.firm.com:587"),
    Refused("SMTP: smtp.firm.com:465 (SSL)", SMTP, ServerFault.SPACE, FIRM),
    Refused("smtp.firm.com:465\nimap.firm.com:993", SMTP, ServerFault.SPACE, DEFAULT[SMTP]),
    Refused("smtp.firm\u2028.com:465", SMTP, ServerFault.SPACE, DEFAULT[SMTP]),
    Refused("smtp.fi\x00rm.com:465", SMTP, ServerFault.HIDDEN_CHARACTER, FIRM),
    Refused("smtp.firm\x7f.com:465", SMTP, ServerFault.HIDDEN_CHARACTER, FIRM),
    Refused("\ufeffsmtp.firm.com:465", SMTP, ServerFault.HIDDEN_CHARACTER, FIRM),
    Refused("smtp.firm\u200b.com:465", SMTP, ServerFault.HIDDEN_CHARACTER, FIRM),
    Refused("smtp.\u202emrif.com:465", SMTP, ServerFault.HIDDEN_CHARACTER, "smtp.mrif.com:465"),
    Refused("smtp.fi\ud800rm.com:465", SMTP, ServerFault.HIDDEN_CHARACTER, FIRM),
    Refused("imap://imap.firm.com:993", IMAP, ServerFault.SCHEME, "imap.firm.com:993"),
    Refused("smtps://bob@smtp.firm.com/", SMTP, ServerFault.SCHEME, FIRM),
    Refused("https://imap.почта.рф/mail?x#y", IMAP, ServerFault.SCHEME, "imap.почта.рф:993"),
    Refused("bob@smtp.firm.com:465", SMTP, ServerFault.USER, FIRM),
    Refused("bob@firm.com", SMTP, ServerFault.USER, FIRM),
    Refused("smtp.firm.com:465/", SMTP, ServerFault.PATH, FIRM),
    Refused("/smtp.firm.com:465", SMTP, ServerFault.PATH, FIRM),
    Refused("imap.firm.com:993?mailbox=INBOX", IMAP, ServerFault.PATH, "imap.firm.com:993"),
    Refused("imap.firm.com:993#INBOX", IMAP, ServerFault.PATH, "imap.firm.com:993"),
    Refused("\\\\smtp.firm.com:465", SMTP, ServerFault.PATH, FIRM),
    Refused("smtp.firm.com::465", SMTP, ServerFault.COLON, FIRM),
    Refused("smtp:smtp.firm.com:465", SMTP, ServerFault.COLON, FIRM),
    Refused("smtp.firm.com:465:", SMTP, ServerFault.COLON, FIRM),
    Refused("[smtp.firm.com]:465", SMTP, ServerFault.BRACKETS, FIRM),
    Refused("[mailhost]:143", IMAP, ServerFault.BRACKETS, "mailhost:143", non_standard=True),
    Refused(
        "[192.168.1.10]:143", IMAP, ServerFault.BRACKETS, "192.168.1.10:143", non_standard=True
    ),
    Refused("192.168.1.10:143", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused("192.168.1.10", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused("[192.168.1.10]:143", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused("１９２.168.1.10:143", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused("[fd00::1]:993", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused("[fd00::1]", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused("fd00::1", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused("fd00::1:993", IMAP, ServerFault.IP_ADDRESS, DEFAULT[IMAP]),
    Refused(
        "fd00::1",
        IMAP,
        ServerFault.IPV6_WITHOUT_BRACKETS,
        "[fd00::1]:993",
        non_standard=True,
    ),
    Refused(
        "fd00::1:143",
        IMAP,
        ServerFault.IPV6_WITHOUT_BRACKETS,
        "[fd00::1]:143",
        non_standard=True,
    ),
    Refused("smtp.firm.com", SMTP, ServerFault.PORT_MISSING, FIRM),
    Refused("smtp.firm.com:", SMTP, ServerFault.PORT_MISSING, FIRM),
    Refused("mail.firm.com", SMTP, ServerFault.PORT_MISSING, FIRM),
    Refused("smtp", SMTP, ServerFault.PORT_MISSING, DEFAULT[SMTP]),
    Refused("192.168.1.10", IMAP, ServerFault.PORT_MISSING, "192.168.1.10:993", non_standard=True),
    Refused("[fd00::1]", IMAP, ServerFault.PORT_MISSING, "[fd00::1]:993", non_standard=True),
    Refused("smtp.firm.com:ssl", SMTP, ServerFault.PORT_NOT_DIGITS, FIRM),
    Refused("smtp.firm.com:+465", SMTP, ServerFault.PORT_NOT_DIGITS, FIRM),
    Refused("smtp.firm.com:-1", SMTP, ServerFault.PORT_NOT_DIGITS, FIRM),
    Refused("smtp.firm.com:4_65", SMTP, ServerFault.PORT_NOT_DIGITS, FIRM),
    Refused("smtp.firm.com:５８７", SMTP, ServerFault.PORT_NOT_DIGITS, "smtp.firm.com:587"),
    Refused("smtp.firm.com:46²", SMTP, ServerFault.PORT_NOT_DIGITS, "smtp.firm.com:462"),
    Refused("smtp.firm.com:٤٦٥", SMTP, ServerFault.PORT_NOT_DIGITS, FIRM),
    Refused("smtp.firm.com:0587", SMTP, ServerFault.PORT_LEADING_ZERO, "smtp.firm.com:587"),
    Refused("smtp.firm.com:00", SMTP, ServerFault.PORT_LEADING_ZERO, FIRM),
    Refused("smtp.firm.com:0", SMTP, ServerFault.PORT_RANGE, FIRM, stored=("smtp.firm.com", 0)),
    Refused(
        "smtp.firm.com:65536", SMTP, ServerFault.PORT_RANGE, FIRM, stored=("smtp.firm.com", 65536)
    ),
    Refused(f"smtp.firm.com:{'9' * 250}", SMTP, ServerFault.PORT_RANGE, FIRM),
    Refused(":465", SMTP, ServerFault.NAME_MISSING, DEFAULT[SMTP]),
    Refused(":", SMTP, ServerFault.NAME_MISSING, DEFAULT[SMTP]),
    Refused(".smtp.firm.com:465", SMTP, ServerFault.LEADING_DOT, FIRM),
    Refused(".:465", SMTP, ServerFault.LEADING_DOT, DEFAULT[SMTP]),
    Refused("smtp.firm.com.:465", SMTP, ServerFault.TRAILING_DOT, FIRM),
    Refused("smtp.:465", SMTP, ServerFault.TRAILING_DOT, DEFAULT[SMTP]),
    Refused("smtp.firm.com。:465", SMTP, ServerFault.TRAILING_DOT, FIRM),
    Refused("smtp..firm.com:465", SMTP, ServerFault.DOUBLE_DOT, FIRM),
    Refused("smtp.firm.。com:465", SMTP, ServerFault.DOUBLE_DOT, FIRM),
    Refused("smtp.my_firm.com:465", SMTP, ServerFault.CHARACTER, DEFAULT[SMTP]),
    Refused("smtp.%(example)s.com:465", SMTP, ServerFault.CHARACTER, DEFAULT[SMTP]),
    Refused("smtp.моя_почта.рф:465", SMTP, ServerFault.CHARACTER, DEFAULT[SMTP]),
    Refused("mail,firm.com:25", SMTP, ServerFault.CHARACTER, DEFAULT[SMTP], non_standard=True),
    Refused("smtp.-firm.com:465", SMTP, ServerFault.HYPHEN, DEFAULT[SMTP]),
    Refused("smtp.firm-.com:465", SMTP, ServerFault.HYPHEN, DEFAULT[SMTP]),
    Refused("imap.-почта.рф:993", IMAP, ServerFault.HYPHEN, DEFAULT[IMAP]),
    Refused(f"smtp.{'a' * 64}.com:465", SMTP, ServerFault.LABEL_TOO_LONG, DEFAULT[SMTP]),
    Refused(f"imap.{'я' * 60}.рф:993", IMAP, ServerFault.LABEL_TOO_LONG, DEFAULT[IMAP]),
    Refused(f"{LONGEST_NAME}b:465", SMTP, ServerFault.NAME_TOO_LONG, DEFAULT[SMTP]),
    Refused(f"imap.{'почта.' * 40}рф:993", IMAP, ServerFault.NAME_TOO_LONG, DEFAULT[IMAP]),
    Refused("imap.☃.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    Refused("imap.xn--a.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    Refused("imap.xn--abc-.com:993", IMAP, ServerFault.HYPHEN, DEFAULT[IMAP]),
    Refused("imap.xn--.com:993", IMAP, ServerFault.HYPHEN, DEFAULT[IMAP]),
    # Encoded with a capital letter, and in another way than the one that is right.
    Refused("imap.xn--r0a8a1bqy.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    Refused("imap.xn---bbk.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    Refused("imap.xn--почта.рф:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    # Left to right and right to left in one label (RFC 5893), a joiner that joins nothing.
    Refused("imap.aنامه.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    Refused("imap.fi\u200crm.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    # Signs that become a slash, a space and dots when they are mapped.
    Refused("imap.℀.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    Refused("imap.¨.com:993", IMAP, ServerFault.NOT_INTERNATIONAL, DEFAULT[IMAP]),
    Refused("smtp.firm.com：465", SMTP, ServerFault.NOT_INTERNATIONAL, FIRM),
    Refused("smtp.123:465", SMTP, ServerFault.NEITHER_NAME_NOR_IP, DEFAULT[SMTP]),
    Refused("smtp.0x7f:465", SMTP, ServerFault.NEITHER_NAME_NOR_IP, DEFAULT[SMTP]),
    Refused(
        "192.168.1.300:143",
        IMAP,
        ServerFault.NEITHER_NAME_NOR_IP,
        DEFAULT[IMAP],
        non_standard=True,
    ),
    Refused(
        "192.168.01.1:143",
        IMAP,
        ServerFault.NEITHER_NAME_NOR_IP,
        DEFAULT[IMAP],
        non_standard=True,
    ),
    # Resolvers read this as 127.0.0.1.
    Refused(
        "0x7f000001:143", IMAP, ServerFault.NEITHER_NAME_NOR_IP, DEFAULT[IMAP], non_standard=True
    ),
    Refused(
        "[fe80::1%eth0]:993",
        IMAP,
        ServerFault.NEITHER_NAME_NOR_IP,
        DEFAULT[IMAP],
        non_standard=True,
    ),
    Refused(
        "[fd00::1]993",
        IMAP,
        ServerFault.NEITHER_NAME_NOR_IP,
        "[fd00::1]:993",
        non_standard=True,
    ),
    Refused("smtp:465", SMTP, ServerFault.DOMAIN_MISSING, DEFAULT[SMTP], stored=("smtp", 465)),
    Refused("imap.firm.com:993", SMTP, ServerFault.OTHER_PROTOCOL, FIRM),
    Refused(
        "smtp.firm.com:1465",
        IMAP,
        ServerFault.OTHER_PROTOCOL,
        "imap.firm.com:1465",
        stored=("smtp.firm.com", 1465),
    ),
    Refused("imap:143", SMTP, ServerFault.OTHER_PROTOCOL, DEFAULT[SMTP]),
    Refused(
        "mail.firm.com:465",
        SMTP,
        ServerFault.NOT_PROTOCOL,
        FIRM,
        stored=("mail.firm.com", 465),
    ),
    Refused("mail.firm.com:993", SMTP, ServerFault.NOT_PROTOCOL, FIRM),
    Refused("firm.com:587", SMTP, ServerFault.NOT_PROTOCOL, "smtp.firm.com:587"),
    Refused("firm.co.uk:465", SMTP, ServerFault.NOT_PROTOCOL, "smtp.firm.co.uk:465"),
    Refused("smtps.firm.com:465", SMTP, ServerFault.NOT_PROTOCOL, FIRM),
    Refused(
        "imaps.firm.com:993",
        IMAP,
        ServerFault.NOT_PROTOCOL,
        "imap.firm.com:993",
        stored=("imaps.firm.com", 993),
    ),
    Refused("mailhost:25", SMTP, ServerFault.NOT_PROTOCOL, DEFAULT[SMTP], stored=("mailhost", 25)),
    Refused("имап.почта.рф:993", IMAP, ServerFault.NOT_PROTOCOL, "imap.имап.почта.рф:993"),
)

_WRONG, _OTHER = SecurityFault.WRONG_FOR_PORT, SecurityFault.PORT_OF_OTHER
_NONE, _STARTTLS, _TLS = Security.NONE, Security.STARTTLS, Security.TLS

PAIRS = (
    Pair(SMTP, 25, _NONE),
    Pair(SMTP, 25, _STARTTLS, _WRONG),
    Pair(SMTP, 25, _TLS, _WRONG),
    Pair(SMTP, 465, _NONE, _WRONG),
    Pair(SMTP, 465, _STARTTLS, _WRONG),
    Pair(SMTP, 465, _TLS),
    Pair(SMTP, 587, _NONE, _WRONG),
    Pair(SMTP, 587, _STARTTLS),
    Pair(SMTP, 587, _TLS, _WRONG),
    Pair(IMAP, 143, _NONE),
    Pair(IMAP, 143, _STARTTLS),
    Pair(IMAP, 143, _TLS, _WRONG),
    Pair(IMAP, 993, _NONE, _WRONG),
    Pair(IMAP, 993, _STARTTLS, _WRONG),
    Pair(IMAP, 993, _TLS),
    *(Pair(SMTP, port, security, _OTHER) for port in (143, 993) for security in Security),
    *(Pair(IMAP, port, security, _OTHER) for port in (25, 465, 587) for security in Security),
    *(
        Pair(protocol, port, security)
        for protocol in Protocol
        for port in (1, 26, 2525, 65535)
        for security in Security
    ),
)

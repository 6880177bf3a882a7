"""A name server on loopback that knows what a test tells it, and remembers what it was asked."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dns import flags, message, name, rcode, rdataclass, rdatatype, rrset

from mail.dns_records import Dns

_LARGEST = 65_507  # bytes that fit in one UDP packet on loopback
Answer = Callable[[message.Message], bytes | None]


class DnsServer:
    """``answer`` may be replaced, by what answers nothing (None) or any bytes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Answer = self.known
        self._records: dict[tuple[name.Name, rdatatype.RdataType], list[str]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="name server")
        self._thread.start()

    def add(self, owner: str, kind: str, *records: str) -> None:
        """Records in the words of a zone file: ``add("firm.test", "MX", "10 mx.firm.test.")``."""
        key = (name.from_text(owner), rdatatype.from_text(kind))
        self._records.setdefault(key, []).extend(records)

    def dns(self, seconds: float = 5) -> Dns:
        """What asks this server alone."""
        return Dns(servers=("127.0.0.1",), port=self.port, seconds=seconds)

    def known(self, query: message.Message) -> bytes:
        """No error for a name that has other records, and NXDOMAIN for the rest."""
        question = query.question[0]
        response = message.make_response(query)
        response.flags |= flags.RA
        records = self._records.get((question.name, question.rdtype), [])
        if records:
            response.answer.append(
                rrset.from_text(question.name, 60, rdataclass.IN, question.rdtype, *records)
            )
        elif not any(owner == question.name for owner, _ in self._records):
            response.set_rcode(rcode.NXDOMAIN)
        return response.to_wire(max_size=_LARGEST)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
            waking.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            received, asker = self._socket.recvfrom(_LARGEST)
            if not received:
                return
            query = message.from_wire(received)
            question = query.question[0]
            owner = question.name.to_text(omit_final_dot=True)
            self.asked.append(f"{owner} {rdatatype.to_text(question.rdtype)}")
            answer = self.answer(query)
            if answer is not None:
                self._socket.sendto(answer, asker)


@contextmanager
def serving_dns() -> Iterator[DnsServer]:
    server = DnsServer()
    try:
        yield server
    finally:
        server.close()

"""The outbox: no queued message is lost, none is sent twice by itself."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session, sessionmaker

from domain import mailboxes, messages, outbox
from domain.errors import ConflictError, NotFoundError, RefusedError
from domain.outbox import Letter
from mail.mime.parse import Address
from mail.smtp import RecipientResult, Reply
from models import Mailbox, MailboxState, OutgoingMessage, OutgoingState, User
from tests.mailroom import NOW, dump, mailbox_of, queued

CAROL, DAVE = "carol@firm.test", "dave@firm.test"
HERE, ELSEWHERE = uuid.uuid4(), uuid.uuid4()
ACCEPTED = RecipientResult(250, "2.1.5 fine", accepted=True)
LATER = RecipientResult(451, "4.3.0 later", accepted=False)
UNKNOWN = RecipientResult(550, "5.1.1 nobody of that name", accepted=False)
TAKEN, NOT_NOW, NEVER = Reply(250, "2.0.0 queued"), Reply(452, "4.3.1 full"), Reply(554, "5.7.1 no")
DAY = timedelta(days=1)

LETTER = Letter(
    to=(Address("Carol", CAROL),), cc=(), bcc=(Address("", DAVE),), subject="Lunch", text="At noon?"
)


@pytest.fixture
def rows(sessions: sessionmaker[Session], bob: User, carol: User) -> Iterator[Session]:
    """Asks for the people first: this session keeps others from writing."""
    with sessions() as opened:
        yield opened


@pytest.fixture
def mailbox(rows: Session, bob: User) -> Mailbox:
    return mailbox_of(rows, bob)


def stop(rows: Session, mailbox: Mailbox, state: MailboxState = MailboxState.LOGIN_REFUSED) -> None:
    rows.get_one(Mailbox, mailbox.id).state = state
    rows.flush()


def started(rows: Session, message: OutgoingMessage) -> None:
    assert outbox.claim(rows, message.id, HERE, NOW) is not None
    outbox.start_data(rows, message.id, HERE)
    rows.refresh(message)  # a runner has a session of its own for each step


def settled(
    rows: Session,
    message: OutgoingMessage,
    results: Mapping[str, RecipientResult],
    reply: Reply | None,
) -> OutgoingState:
    """One whole attempt."""
    if reply is None:
        assert outbox.claim(rows, message.id, HERE, NOW) is not None
    else:
        started(rows, message)
    outbox.settle(rows, message.id, HERE, results, reply, NOW)
    return state_of(rows, message)


def troubled(
    rows: Session,
    message: OutgoingMessage,
    cause: str,
    *,
    worker: uuid.UUID = HERE,
    permanent: bool = False,
) -> None:
    outbox.note_trouble(
        rows, message.id, worker, cause=cause, words="bye", permanent=permanent, now=NOW
    )


def refused_login(rows: Session, message: OutgoingMessage, times: int = 3) -> None:
    """So many tries at which the SMTP server did not take the login."""
    for _ in range(times):
        assert outbox.claim(rows, message.id, HERE, NOW) is not None
        troubled(rows, message, "login_refused")


def state_of(rows: Session, message: OutgoingMessage) -> OutgoingState:
    rows.refresh(message)
    return message.state


def in_state(rows: Session, mailbox: Mailbox, state: OutgoingState) -> OutgoingMessage:
    """A message that came to its state as messages do."""
    message = queued(rows, mailbox, CAROL)
    match state:
        case OutgoingState.DRAFT:  # nothing makes one yet
            message.state = OutgoingState.DRAFT
        case OutgoingState.HELD:
            stop(rows, mailbox)
            outbox.hold_and_release(rows)
        case OutgoingState.CLAIMED:
            outbox.claim(rows, message.id, HERE, NOW)
        case OutgoingState.DATA_STARTED:
            started(rows, message)
        case OutgoingState.SENT:
            settled(rows, message, {CAROL: ACCEPTED}, TAKEN)
        case OutgoingState.FAILED | OutgoingState.CANCELLED:
            settled(rows, message, {CAROL: UNKNOWN}, None)
        case OutgoingState.UNCONFIRMED:
            started(rows, message)
            outbox.release(rows, NOW)
    rows.flush()
    rows.refresh(message)
    if state is OutgoingState.CANCELLED:
        outbox.discard(rows, message)
    assert state_of(rows, message) is state
    return message


def _works_again(rows: Session, message: OutgoingMessage) -> None:
    stop(rows, message.mailbox, MailboxState.WORKING)
    outbox.hold_and_release(rows)


def _needs_a_person(rows: Session, message: OutgoingMessage) -> None:
    stop(rows, message.mailbox)
    outbox.hold_and_release(rows)


def _trouble(rows: Session, message: OutgoingMessage, *, permanent: bool) -> None:
    troubled(rows, message, "closed", permanent=permanent)


Verb = Callable[[Session, OutgoingMessage], object]
VERBS: dict[str, Verb] = {
    "claim": lambda rows, one: outbox.claim(rows, one.id, HERE, NOW),
    "start_data": lambda rows, one: outbox.start_data(rows, one.id, HERE),
    "start_data elsewhere": lambda rows, one: outbox.start_data(rows, one.id, ELSEWHERE),
    "give_back": lambda rows, one: outbox.give_back(rows, one.id, HERE),
    "give_back elsewhere": lambda rows, one: outbox.give_back(rows, one.id, ELSEWHERE),
    "answered": lambda rows, one: outbox.settle(rows, one.id, HERE, {CAROL: ACCEPTED}, TAKEN, NOW),
    "answered not now": lambda rows, one: outbox.settle(
        rows, one.id, HERE, {CAROL: ACCEPTED}, NOT_NOW, NOW
    ),
    "answered never": lambda rows, one: outbox.settle(
        rows, one.id, HERE, {CAROL: ACCEPTED}, NEVER, NOW
    ),
    "nobody accepted": lambda rows, one: outbox.settle(
        rows, one.id, HERE, {CAROL: UNKNOWN}, None, NOW
    ),
    "nobody accepted now": lambda rows, one: outbox.settle(
        rows, one.id, HERE, {CAROL: LATER}, None, NOW
    ),
    "answered elsewhere": lambda rows, one: outbox.settle(
        rows, one.id, ELSEWHERE, {CAROL: ACCEPTED}, TAKEN, NOW
    ),
    "nobody accepted elsewhere": lambda rows, one: outbox.settle(
        rows, one.id, ELSEWHERE, {CAROL: UNKNOWN}, None, NOW
    ),
    "trouble elsewhere": lambda rows, one: troubled(rows, one, "closed", worker=ELSEWHERE),
    "trouble": lambda rows, one: _trouble(rows, one, permanent=False),
    "permanent trouble": lambda rows, one: _trouble(rows, one, permanent=True),
    "release": lambda rows, _: outbox.release(rows, NOW),
    "the mailbox needs a person": _needs_a_person,
    "the mailbox works": _works_again,
    "send_again": lambda rows, one: outbox.send_again(rows, one, NOW),
    "discard": lambda rows, one: outbox.discard(rows, one),
}
S = OutgoingState
ALLOWED: dict[str, dict[OutgoingState, OutgoingState]] = {
    "claim": {S.QUEUED: S.CLAIMED},
    "start_data": {S.CLAIMED: S.DATA_STARTED},
    "start_data elsewhere": {},
    "give_back": {S.CLAIMED: S.QUEUED},
    "give_back elsewhere": {},
    "answered elsewhere": {},
    "nobody accepted elsewhere": {},
    "trouble elsewhere": {},
    "answered": {S.DATA_STARTED: S.SENT},
    "answered not now": {S.DATA_STARTED: S.QUEUED},
    "answered never": {S.DATA_STARTED: S.FAILED},
    "nobody accepted": {S.CLAIMED: S.FAILED},
    "nobody accepted now": {S.CLAIMED: S.QUEUED},
    "trouble": {S.CLAIMED: S.QUEUED, S.DATA_STARTED: S.UNCONFIRMED},
    "permanent trouble": {S.CLAIMED: S.FAILED, S.DATA_STARTED: S.UNCONFIRMED},
    "release": {S.CLAIMED: S.QUEUED, S.DATA_STARTED: S.UNCONFIRMED},
    "the mailbox needs a person": {S.QUEUED: S.HELD},
    "the mailbox works": {S.HELD: S.QUEUED},
    "send_again": {S.FAILED: S.QUEUED, S.UNCONFIRMED: S.QUEUED},
    "discard": {
        S.QUEUED: S.CANCELLED,
        S.HELD: S.CANCELLED,
        S.FAILED: S.CANCELLED,
        S.UNCONFIRMED: S.CANCELLED,
    },
}
# These say that they did nothing; the others find nothing to do.
SILENT = {"claim", "release", "the mailbox needs a person", "the mailbox works"}


@pytest.mark.parametrize("state", list(OutgoingState), ids=lambda state: state.value)
@pytest.mark.parametrize("verb", list(VERBS))
def test_every_state_goes_where_it_may_and_nowhere_else(
    rows: Session, mailbox: Mailbox, verb: str, state: OutgoingState
) -> None:
    message = in_state(rows, mailbox, state)
    before = dump(rows, but=["mailbox"])
    wanted = ALLOWED[verb].get(state)
    if wanted is None and verb not in SILENT:
        with pytest.raises(ConflictError):
            VERBS[verb](rows, message)
    else:
        VERBS[verb](rows, message)
    assert state_of(rows, message) is (wanted or state)
    if wanted is None:
        assert dump(rows, but=["mailbox"]) == before


def test_what_bob_sends_is_fixed_before_he_is_told(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    version = messages.version(rows, bob)
    answer = replace(LETTER, in_reply_to="<a@b>", references=("<c@d>", "<a@b>"))
    message = outbox.queue(
        rows, mailbox, answer, form_key=uuid.uuid4(), now=NOW + timedelta(microseconds=7)
    )
    assert (message.state, message.date, message.copied_to_sent) == (S.QUEUED, NOW, False)
    assert message.message_id.endswith("@firm.test>")
    first, second = outbox.outgoing_of(message), outbox.outgoing_of(message)
    assert first == second
    assert first.sender == Address("Bob", "bob@firm.test")
    assert (first.to, first.bcc) == (LETTER.to, LETTER.bcc)
    assert (first.in_reply_to, first.references) == ("<a@b>", ("<c@d>", "<a@b>"))
    assert outbox.due(rows, NOW + DAY) == [message.id]
    assert messages.version(rows, bob) == version + 1
    assert [one.id for one in outbox.unfinished(rows, bob)] == [message.id]


def test_a_form_that_is_sent_twice_queues_once(rows: Session, mailbox: Mailbox) -> None:
    key = uuid.uuid4()
    first = queued(rows, mailbox, form_key=key)
    assert queued(rows, mailbox, form_key=key, subject="Otherwise") is first
    assert queued(rows, mailbox).id != first.id
    assert rows.scalar(select(func.count()).select_from(OutgoingMessage)) == 2
    assert first.subject == "Lunch"


def test_the_key_of_somebody_elses_form_neither_finds_nor_blocks_anything(
    rows: Session, mailbox: Mailbox, carol: User
) -> None:
    key = uuid.uuid4()
    first = queued(rows, mailbox, form_key=key)
    second = queued(rows, mailbox_of(rows, carol), form_key=key)
    assert (second is first, second.form_key == key) == (False, False)


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"to": (), "bcc": ()}, "to", "recipient_missing"),
        ({"subject": "x" * 901}, "subject", "subject_broken"),
        ({"subject": "a\0b"}, "subject", "subject_broken"),
        ({"subject": "a\r\nBcc: x@firm.test"}, "subject", "subject_broken"),
        ({"text": "x" * 1_000_001}, "text", "text_long"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_its_field(
    rows: Session, mailbox: Mailbox, changed: dict[str, object], field: str, code: str
) -> None:
    wrong = replace(LETTER, **changed)  # type: ignore[arg-type]
    with pytest.raises(RefusedError) as refused:
        outbox.queue(rows, mailbox, wrong, form_key=uuid.uuid4(), now=NOW)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert rows.scalar(select(OutgoingMessage)) is None


@pytest.mark.parametrize(
    "subject", ["", "Grüße — привет", "Familie 👨‍👩‍👧", "می\u200cخواهم", "x" * 900, "\U0001fae9"]
)
def test_a_subject_may_be_in_any_language(rows: Session, mailbox: Mailbox, subject: str) -> None:
    message = outbox.queue(
        rows, mailbox, replace(LETTER, subject=subject), form_key=uuid.uuid4(), now=NOW
    )
    assert message.subject == subject


def test_only_bcc_is_enough(rows: Session, mailbox: Mailbox) -> None:
    hidden = replace(LETTER, to=())
    message = outbox.queue(rows, mailbox, hidden, form_key=uuid.uuid4(), now=NOW)
    dispatch = outbox.claim(rows, message.id, HERE, NOW)
    assert dispatch is not None
    assert dispatch.recipients == (DAVE,)


def test_a_message_goes_to_everyone_once_and_names_no_bcc(rows: Session, mailbox: Mailbox) -> None:
    twice = replace(LETTER, cc=(Address("C.", CAROL),))
    message = outbox.queue(rows, mailbox, twice, form_key=uuid.uuid4(), now=NOW)
    dispatch = outbox.claim(rows, message.id, HERE, NOW)
    assert dispatch is not None
    assert (dispatch.id, dispatch.mailbox_id) == (message.id, mailbox.id)
    assert dispatch.recipients == (CAROL, DAVE)


def test_one_worker_takes_a_message_and_the_other_finds_nothing(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox)
    assert outbox.claim(rows, message.id, HERE, NOW) is not None
    assert outbox.claim(rows, message.id, ELSEWHERE, NOW) is None
    assert outbox.claim(rows, 99999, HERE, NOW) is None
    rows.refresh(message)
    assert message.claimed_by == HERE


def test_a_worker_that_lost_its_claim_notices_before_the_first_byte(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox)
    outbox.claim(rows, message.id, HERE, NOW)
    outbox.release(rows, NOW)
    outbox.claim(rows, message.id, ELSEWHERE, NOW)
    with pytest.raises(ConflictError):
        outbox.start_data(rows, message.id, HERE)
    outbox.start_data(rows, message.id, ELSEWHERE)
    assert state_of(rows, message) is S.DATA_STARTED


def test_after_a_crash_what_was_only_claimed_is_tried_again_at_once(
    rows: Session, mailbox: Mailbox
) -> None:
    message = in_state(rows, mailbox, S.CLAIMED)
    outbox.release(rows, NOW + DAY)
    assert state_of(rows, message) is S.QUEUED
    assert message.claimed_by is None
    assert outbox.due(rows, NOW + DAY) == [message.id]


def test_after_a_crash_what_may_have_gone_out_is_bobs_to_decide(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = in_state(rows, mailbox, S.DATA_STARTED)
    version = messages.version(rows, bob)
    outbox.release(rows, NOW)
    assert state_of(rows, message) is S.UNCONFIRMED
    assert (message.cause, message.claimed_by) == ("worker_stopped", None)
    assert messages.version(rows, bob) > version
    assert outbox.due(rows, NOW + 30 * DAY) == []
    assert outbox.unfinished(rows, bob) == [message]


def test_a_message_that_went_out_is_sent_and_not_yet_copied(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox, CAROL)
    assert settled(rows, message, {CAROL: ACCEPTED}, TAKEN) is S.SENT
    assert (message.sent_at, message.copied_to_sent) == (NOW, False)
    assert message.recipients == {CAROL: {"code": 250, "words": "2.0.0 queued", "delivered": True}}
    assert outbox.unfinished(rows, bob) == []
    assert outbox.due(rows, NOW) == [message.id]
    copy = outbox.to_copy(rows, message.id, NOW)
    assert copy is not None
    assert copy.message_id == message.message_id


def test_a_copy_that_failed_is_tried_later_and_the_message_stays_sent(
    rows: Session, mailbox: Mailbox
) -> None:
    message = in_state(rows, mailbox, S.SENT)
    waits = []
    for attempt in range(1, 13):
        outbox.copy_later(rows, message.id, NOW)
        assert (state_of(rows, message), message.copy_attempts) == (S.SENT, attempt)
        assert message.next_copy_at is not None
        waits.append((message.next_copy_at - NOW).total_seconds())
    assert 3 <= waits[0] <= 4
    assert 15 * 60 * 0.75 <= waits[-1] <= 15 * 60
    assert (outbox.due(rows, NOW), outbox.to_copy(rows, message.id, NOW)) == ([], None)
    assert outbox.due(rows, NOW + DAY) == [message.id]
    stop(rows, mailbox)
    assert outbox.due(rows, NOW + DAY) == []
    stop(rows, mailbox, MailboxState.WORKING)
    outbox.copied(rows, message.id)
    assert outbox.due(rows, NOW + DAY) == []
    assert outbox.to_copy(rows, message.id, NOW + DAY) is None


def test_copying_is_given_up_after_two_days(rows: Session, mailbox: Mailbox) -> None:
    message = in_state(rows, mailbox, S.SENT)
    for _ in range(outbox.COPY_TRIES):
        outbox.copy_later(rows, message.id, NOW + 2 * DAY)
    assert outbox.due(rows, NOW + 3 * DAY) == [message.id]
    outbox.copy_later(rows, message.id, NOW + 3 * DAY)
    assert (message.state, message.copied_to_sent, message.next_copy_at) == (S.SENT, False, None)
    assert outbox.due(rows, NOW + 30 * DAY) == []


def test_a_mailbox_that_was_away_for_days_gets_its_copy(rows: Session, mailbox: Mailbox) -> None:
    message = in_state(rows, mailbox, S.SENT)
    outbox.copy_later(rows, message.id, NOW + 3 * DAY)
    assert outbox.due(rows, NOW + 4 * DAY) == [message.id]


def test_copying_and_sending_have_times_of_their_own(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox, CAROL, DAVE)
    assert settled(rows, message, {CAROL: ACCEPTED, DAVE: LATER}, TAKEN) is S.QUEUED
    later = message.next_attempt_at
    assert later > NOW
    assert outbox.due(rows, NOW) == [message.id]
    assert outbox.to_copy(rows, message.id, NOW) is not None
    outbox.copy_later(rows, message.id, NOW)
    assert message.next_attempt_at == later
    outbox.copied(rows, message.id)
    assert outbox.due(rows, NOW) == []


def test_a_failed_message_that_somebody_has_is_copied(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox, CAROL, DAVE)
    assert settled(rows, message, {CAROL: ACCEPTED, DAVE: UNKNOWN}, TAKEN) is S.FAILED
    assert outbox.due(rows, NOW) == [message.id]
    assert outbox.to_copy(rows, message.id, NOW) is not None


def test_what_has_not_gone_out_is_not_copied(rows: Session, mailbox: Mailbox) -> None:
    for state in (S.QUEUED, S.UNCONFIRMED, S.FAILED):
        assert outbox.to_copy(rows, in_state(rows, mailbox, state).id, NOW) is None
    assert outbox.to_copy(rows, 99999, NOW) is None


def test_a_temporary_refusal_is_tried_again_after_growing_waits(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox, CAROL)
    waits = []
    for attempt in range(1, 13):
        assert settled(rows, message, {CAROL: LATER}, None) is S.QUEUED
        assert message.attempts == attempt
        assert (message.cause, message.server_words) == ("refused_for_now", "4.3.0 later")
        assert message.claimed_by is None
        waits.append((message.next_attempt_at - NOW).total_seconds())
    assert 3 <= waits[0] <= 4
    assert 6 <= waits[1] <= 8
    assert 15 * 60 * 0.75 <= waits[-1] <= 15 * 60
    assert outbox.due(rows, NOW) == []


def test_after_two_days_it_has_failed(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox, CAROL)
    for later, state in ((2 * DAY, S.QUEUED), (2 * DAY + timedelta(seconds=1), S.FAILED)):
        assert outbox.claim(rows, message.id, HERE, NOW) is not None
        outbox.settle(rows, message.id, HERE, {CAROL: LATER}, None, NOW + later)
        assert state_of(rows, message) is state
    assert (message.cause, message.server_words) == ("refused_for_now", "4.3.0 later")


def test_what_is_sent_again_has_two_days_of_its_own(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox, CAROL)
    again = NOW + 30 * DAY
    assert settled(rows, message, {CAROL: UNKNOWN}, None) is S.FAILED
    outbox.send_again(rows, message, again)
    for later, state in ((2 * DAY, S.QUEUED), (3 * DAY, S.FAILED)):
        assert outbox.claim(rows, message.id, HERE, again) is not None
        outbox.settle(rows, message.id, HERE, {CAROL: LATER}, None, again + later)
        assert state_of(rows, message) is state


def test_after_two_days_without_a_connection_it_has_failed_too(
    rows: Session, mailbox: Mailbox
) -> None:
    message = in_state(rows, mailbox, S.CLAIMED)
    outbox.note_trouble(
        rows, message.id, HERE, cause="closed", words="", permanent=False, now=NOW + 3 * DAY
    )
    assert state_of(rows, message) is S.FAILED
    assert message.cause == "closed"


def test_what_former_servers_refused_is_not_held_against_the_present_ones(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox, CAROL)
    for signed_in_with in ("former", mailbox.sign_in_print):
        assert outbox.claim(rows, message.id, HERE, NOW + DAY) is not None
        outbox.note_trouble(
            rows,
            message.id,
            HERE,
            cause="login_refused",
            words="",
            permanent=False,
            now=NOW,
            signed_in_with=signed_in_with,
        )
        assert mailbox.smtp_failures == (signed_in_with != "former")


def test_a_permanent_refusal_is_shown_at_once_in_the_servers_words(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox, CAROL)
    assert settled(rows, message, {CAROL: UNKNOWN}, None) is S.FAILED
    assert (message.cause, message.server_words) == ("refused", "5.1.1 nobody of that name")
    assert message.recipients[CAROL]["code"] == 550
    assert message.sent_at is None
    assert outbox.unfinished(rows, bob) == [message]


def test_an_answer_to_the_text_counts_for_those_who_were_accepted(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox, CAROL, DAVE)
    assert settled(rows, message, {CAROL: ACCEPTED, DAVE: UNKNOWN}, NEVER) is S.FAILED
    assert {name: one["code"] for name, one in message.recipients.items()} == {
        CAROL: 554,
        DAVE: 550,
    }
    assert not any(one["delivered"] for one in message.recipients.values())


def test_who_has_it_never_gets_it_again_when_the_others_are_tried_again(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox, CAROL, DAVE)
    assert settled(rows, message, {CAROL: ACCEPTED, DAVE: LATER}, TAKEN) is S.QUEUED
    assert message.sent_at == NOW
    dispatch = outbox.claim(rows, message.id, HERE, NOW)
    assert dispatch is not None
    assert dispatch.recipients == (DAVE,)
    outbox.start_data(rows, message.id, HERE)
    rows.refresh(message)
    outbox.settle(rows, message.id, HERE, {DAVE: ACCEPTED}, TAKEN, NOW + DAY)
    assert state_of(rows, message) is S.SENT
    assert message.sent_at == NOW


def test_send_again_goes_only_to_those_who_do_not_have_it(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox, CAROL, DAVE)
    assert settled(rows, message, {CAROL: ACCEPTED, DAVE: UNKNOWN}, TAKEN) is S.FAILED
    first = message.message_id
    outbox.send_again(rows, message, NOW + DAY)
    assert (message.state, message.attempts, message.message_id) == (S.QUEUED, 0, first)
    assert (message.cause, message.server_words) == ("", "")
    assert outbox.due(rows, NOW + DAY) == [message.id]
    dispatch = outbox.claim(rows, message.id, HERE, NOW)
    assert dispatch is not None
    assert dispatch.recipients == (DAVE,)
    assert list(message.recipients) == [CAROL]


def test_an_unconfirmed_message_that_bob_sends_again_goes_to_everyone(
    rows: Session, mailbox: Mailbox
) -> None:
    message = in_state(rows, mailbox, S.UNCONFIRMED)
    outbox.send_again(rows, message, NOW)
    dispatch = outbox.claim(rows, message.id, HERE, NOW)
    assert dispatch is not None
    assert dispatch.recipients == (CAROL,)


def test_a_discarded_message_that_reached_somebody_counts_as_sent(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox, CAROL, DAVE)
    settled(rows, message, {CAROL: ACCEPTED, DAVE: UNKNOWN}, TAKEN)
    outbox.discard(rows, message)
    assert message.state is S.SENT
    assert outbox.unfinished(rows, bob) == []
    assert outbox.due(rows, NOW) == [message.id]


@pytest.mark.parametrize("state", [state for state in MailboxState if state.needs_person])
def test_a_message_is_held_while_its_mailbox_needs_a_person(
    rows: Session, mailbox: Mailbox, carol: User, state: MailboxState
) -> None:
    bobs, carols = queued(rows, mailbox), queued(rows, mailbox_of(rows, carol))
    stop(rows, mailbox, state)
    outbox.hold_and_release(rows)
    assert (state_of(rows, bobs), state_of(rows, carols)) == (S.HELD, S.QUEUED)
    assert outbox.due(rows, NOW + DAY) == [carols.id]
    stop(rows, mailbox, MailboxState.WORKING)
    outbox.hold_and_release(rows)
    assert state_of(rows, bobs) is S.QUEUED
    assert sorted(outbox.due(rows, NOW + DAY)) == [bobs.id, carols.id]


def test_an_open_page_learns_that_a_message_is_held_and_let_go(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    queued(rows, mailbox)
    for state in (MailboxState.CERTIFICATE_REFUSED, MailboxState.WORKING):
        stop(rows, mailbox, state)
        before = messages.version(rows, bob)
        outbox.hold_and_release(rows)
        assert messages.version(rows, bob) == before + 1
        outbox.hold_and_release(rows)
        assert messages.version(rows, bob) == before + 1


def test_a_server_that_is_only_away_holds_nothing(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox)
    for state in (MailboxState.UNREACHABLE, MailboxState.CONNECTING, MailboxState.WORKING):
        stop(rows, mailbox, state)
        outbox.hold_and_release(rows)
        assert state_of(rows, message) is S.QUEUED


def test_carol_sees_nothing_of_bobs_outbox(
    rows: Session, mailbox: Mailbox, bob: User, carol: User
) -> None:
    message = queued(rows, mailbox)
    assert outbox.find(rows, bob, message.id) is message
    with pytest.raises(NotFoundError):
        outbox.find(rows, carol, message.id)
    assert outbox.unfinished(rows, carol) == []


def test_the_newest_message_stands_first(rows: Session, mailbox: Mailbox, bob: User) -> None:
    first, second = queued(rows, mailbox), queued(rows, mailbox)
    assert outbox.unfinished(rows, bob) == [second, first]


def test_who_is_refused_for_good_does_not_end_the_tries_for_another(
    rows: Session, mailbox: Mailbox
) -> None:
    erin = "erin@firm.test"
    message = queued(rows, mailbox, CAROL, DAVE, erin)
    answers = {CAROL: ACCEPTED, DAVE: LATER, erin: UNKNOWN}
    assert settled(rows, message, answers, TAKEN) is S.QUEUED
    assert (message.cause, message.server_words) == ("refused_for_now", "4.3.0 later")
    dispatch = outbox.claim(rows, message.id, HERE, NOW)
    assert dispatch is not None
    assert dispatch.recipients == (DAVE,)
    outbox.start_data(rows, message.id, HERE)
    outbox.settle(rows, message.id, HERE, {DAVE: ACCEPTED}, TAKEN, NOW)
    assert state_of(rows, message) is S.FAILED
    assert (message.cause, message.server_words) == ("refused", "5.1.1 nobody of that name")
    delivered = {address for address, one in message.recipients.items() if one["delivered"]}
    assert delivered == {CAROL, DAVE}
    outbox.send_again(rows, message, NOW)
    again = outbox.claim(rows, message.id, HERE, NOW)
    assert again is not None
    assert again.recipients == (erin,)


def test_a_login_that_smtp_refuses_is_counted_apart_and_holds_after_the_third_time(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    first, second = queued(rows, mailbox), queued(rows, mailbox)
    before = (mailbox.state, mailbox.next_contact_at, mailbox.failures, mailbox.last_error_cause)
    refused_login(rows, first, 2)
    mailboxes.note_contact(rows, mailbox.id, NOW)
    outbox.hold_and_release(rows)
    assert state_of(rows, first) is S.QUEUED
    refused_login(rows, second, 1)
    assert outbox.claim(rows, first.id, HERE, NOW) is None
    outbox.hold_and_release(rows)
    assert (state_of(rows, first), state_of(rows, second)) == (S.HELD, S.HELD)
    rows.refresh(mailbox)
    after = (mailbox.state, mailbox.next_contact_at, mailbox.failures, mailbox.last_error_cause)
    assert after == before
    assert (mailbox.smtp_failures, mailbox.smtp_error_cause) == (3, "login_refused")
    assert (first.cause, first.server_words) == ("login_refused", "bye")
    mailboxes.note_contact(rows, mailbox.id, NOW)
    outbox.hold_and_release(rows)
    assert state_of(rows, first) is S.HELD
    # One that is written now waits, too: it must not offer the password once more.
    third = queued(rows, mailbox)
    assert outbox.claim(rows, third.id, HERE, NOW) is None
    assert outbox.waiting(rows, bob) == outbox.Waiting(3, wants_decision=True)


@pytest.mark.parametrize("change", ["service", "password", "login"])
def test_what_smtp_refused_is_let_go_when_something_changes(
    rows: Session, mailbox: Mailbox, change: str
) -> None:
    message = queued(rows, mailbox)
    refused_login(rows, message)
    outbox.hold_and_release(rows)
    assert state_of(rows, message) is S.HELD
    match change:
        case "service":
            mailbox.servers.smtp_port += 1000
        case "password":
            mailbox.sealed_password = b"1:another"
        case "login":
            mailbox.login = "robert"
    rows.flush()
    outbox.hold_and_release(rows)
    assert state_of(rows, message) is S.QUEUED
    refused_login(rows, message, 1)
    assert mailbox.smtp_failures == 1


def test_send_again_lets_go_what_smtp_refused(rows: Session, mailbox: Mailbox) -> None:
    first, second = queued(rows, mailbox), queued(rows, mailbox)
    refused_login(rows, first)
    outbox.hold_and_release(rows)
    outbox.send_again(rows, first, NOW)
    assert (mailbox.smtp_failures, mailbox.smtp_error_cause) == (0, "")
    outbox.hold_and_release(rows)
    assert (state_of(rows, first), state_of(rows, second)) == (S.QUEUED, S.QUEUED)


def test_a_login_that_was_accepted_ends_the_count(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox, CAROL)
    refused_login(rows, message, 2)
    assert settled(rows, message, {CAROL: LATER}, None) is S.QUEUED
    rows.refresh(mailbox)
    assert (mailbox.smtp_failures, mailbox.smtp_error_cause) == (0, "")


def test_a_server_that_is_away_neither_counts_nor_ends_the_count(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox, CAROL)
    refused_login(rows, message, 2)
    assert outbox.claim(rows, message.id, HERE, NOW) is not None
    troubled(rows, message, "connection_refused")
    rows.refresh(mailbox)
    assert (mailbox.smtp_failures, message.cause) == (2, "connection_refused")


def test_days_that_it_was_held_do_not_count(rows: Session, mailbox: Mailbox) -> None:
    message = queued(rows, mailbox, CAROL)
    assert settled(rows, message, {CAROL: LATER}, None) is S.QUEUED
    stop(rows, mailbox)
    outbox.hold_and_release(rows)
    assert state_of(rows, message) is S.HELD
    _works_again(rows, message)
    late = NOW + 3 * DAY
    for now, state in ((late, S.QUEUED), (late + 2 * DAY, S.QUEUED), (late + 3 * DAY, S.FAILED)):
        assert outbox.claim(rows, message.id, HERE, now) is not None
        outbox.settle(rows, message.id, HERE, {CAROL: LATER}, None, now)
        assert state_of(rows, message) is state


def test_a_person_who_was_disabled_sends_nothing_until_enabled(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    message = queued(rows, mailbox)
    for active, state in ((False, S.HELD), (True, S.QUEUED)):
        rows.get_one(User, bob.id).active = active
        rows.flush()
        outbox.hold_and_release(rows)
        assert state_of(rows, message) is state


def test_a_partly_delivered_message_that_is_cancelled_counts_as_sent(
    rows: Session, mailbox: Mailbox
) -> None:
    message = queued(rows, mailbox, CAROL, DAVE)
    assert settled(rows, message, {CAROL: ACCEPTED, DAVE: LATER}, TAKEN) is S.QUEUED
    outbox.discard(rows, message)
    assert state_of(rows, message) is S.SENT


def test_what_was_unconfirmed_once_is_remembered(rows: Session, mailbox: Mailbox) -> None:
    message = in_state(rows, mailbox, S.UNCONFIRMED)
    outbox.send_again(rows, message, NOW)
    assert settled(rows, message, {CAROL: UNKNOWN}, None) is S.FAILED
    assert message.was_unconfirmed
    assert not queued(rows, mailbox).was_unconfirmed


def test_a_list_of_what_waits_does_not_load_the_texts(
    rows: Session, mailbox: Mailbox, bob: User
) -> None:
    queued(rows, mailbox)
    rows.expunge_all()
    (found,) = outbox.unfinished(rows, bob)
    assert "text" in inspect(found).unloaded
    assert outbox.waiting(rows, bob) == outbox.Waiting(1, wants_decision=False)


def test_an_icon_says_that_something_wants_a_decision(
    rows: Session, mailbox: Mailbox, bob: User, carol: User
) -> None:
    for state in (S.UNCONFIRMED, S.SENT, S.CANCELLED):
        in_state(rows, mailbox, state)
    assert outbox.waiting(rows, bob) == outbox.Waiting(1, wants_decision=True)
    assert outbox.waiting(rows, carol) == outbox.Waiting(0, wants_decision=False)

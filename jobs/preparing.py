"""The runner that keeps the safe HTML of a message, so that it is sanitised once."""

from domain import messages
from jobs.context import Job
from mail import safe_html
from mail.mime.parse import UnparseableError, parse
from models.source_store import SourceMissingError


def prepare(job: Job, message_id: int) -> None:
    with job.step() as session:
        message = messages.without_safe_html(session, message_id, safe_html.VERSION)
        mailbox = messages.mailbox_uuid(session, message_id)
    if message is None or mailbox is None or message.source_hash is None:
        return
    try:
        html = messages.safe_html_of(parse(job.store.get(mailbox, message.source_hash)), message_id)
    except (SourceMissingError, UnparseableError):
        return
    with job.step() as session:
        messages.keep_safe_html(session, message_id, html, safe_html.VERSION)

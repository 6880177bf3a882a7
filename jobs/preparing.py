"""The runner that keeps the safe HTML of a message, so that it is sanitised once."""

from domain import messages
from jobs.context import Job
from mail import safe_html
from mail.mime.parse import UnparseableError
from models.source_store import SourceMissingError


def prepare(job: Job, message_id: int) -> None:
    with job.step() as session:
        opened = messages.without_safe_html(session, message_id, safe_html.VERSION)
    if opened is None or opened.message.source_hash is None:
        return
    try:
        raw = job.store.get(opened.mailbox.uuid, opened.message.source_hash)
        html = messages.safe_html_of(opened.content, raw)
    except (SourceMissingError, UnparseableError):
        return
    with job.step() as session:
        messages.keep_safe_html(session, message_id, html, safe_html.VERSION)

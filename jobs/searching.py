"""*Find settings*: asks DNS and the domain's own web server, while the window watches."""

from domain import searching
from jobs.context import Job
from mail.discovery import find_settings


def run_search(job: Job, search_id: int) -> None:
    with job.step() as session:
        claimed = searching.claim(session, search_id)
    if claimed is None:
        return
    domain, providers = claimed
    found = None
    try:
        found = find_settings(domain, providers, job.network, job.dns, web=job.web)
    finally:
        with job.step() as session:
            searching.finish(session, search_id, found)

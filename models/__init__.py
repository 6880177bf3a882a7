"""The rows. Importing this package maps them all."""

from models.base import Base, db
from models.changelog import ChangeLogEntry
from models.mailboxes import ConnectionTest, ConnectionTestState, Mailbox, MailboxState
from models.messages import (
    FlagChange,
    Folder,
    FolderRole,
    Message,
    MessageContent,
    PendingChange,
)
from models.outbox import OutgoingMessage, OutgoingState
from models.people import Invitation, Language, Role, Session, SignInAttempt, Theme, User
from models.services import LoginForm, MailService

__all__ = [
    "Base",
    "ChangeLogEntry",
    "ConnectionTest",
    "ConnectionTestState",
    "FlagChange",
    "Folder",
    "FolderRole",
    "Invitation",
    "Language",
    "LoginForm",
    "MailService",
    "Mailbox",
    "MailboxState",
    "Message",
    "MessageContent",
    "OutgoingMessage",
    "OutgoingState",
    "PendingChange",
    "Role",
    "Session",
    "SignInAttempt",
    "Theme",
    "User",
    "db",
]

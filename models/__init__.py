"""The rows. Importing this package maps them all."""

from models.base import Base, db
from models.changelog import ChangeLogEntry, ChangeLogHead
from models.company import CompanySettings
from models.mailboxes import (
    ConnectionPurpose,
    ConnectionTest,
    ConnectionTestState,
    Mailbox,
    MailboxState,
    SettingsSearch,
)
from models.messages import (
    FlagChange,
    Folder,
    FolderRole,
    Message,
    MessageContent,
    PendingChange,
)
from models.notices import Notice, NoticeKind
from models.outbox import OutgoingMessage, OutgoingState
from models.people import Invitation, Language, Role, Session, SignInAttempt, Theme, User
from models.services import LoginForm, MailService, OwnServers, Servers

__all__ = [
    "Base",
    "ChangeLogEntry",
    "ChangeLogHead",
    "CompanySettings",
    "ConnectionPurpose",
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
    "Notice",
    "NoticeKind",
    "OutgoingMessage",
    "OutgoingState",
    "OwnServers",
    "PendingChange",
    "Role",
    "Servers",
    "Session",
    "SettingsSearch",
    "SignInAttempt",
    "Theme",
    "User",
    "db",
]

"""What the company decided once for all: one row."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class CompanySettings(Base):
    """``other_allowed`` is the switch *Allow entering mail server details manually*;
    ``other_process_default`` is the process default of mailboxes connected that way, and
    ``employee_networks`` are those, beside public addresses, where such servers may be.
    """

    __tablename__ = "company_settings"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    other_allowed: Mapped[bool] = mapped_column(default=True)
    other_process_default: Mapped[bool] = mapped_column(default=True)
    employee_networks: Mapped[list[Any]] = mapped_column(default=list)
    version: Mapped[int] = mapped_column(default=1)

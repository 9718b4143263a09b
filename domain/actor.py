"""Who gives a command (G1)."""

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.identity import Who

__all__ = ["Actor", "ActorKind"]


class ActorKind(StrEnum):
    """What kind of someone an actor is, vouched for by the door it came through."""

    PERSON = "person"
    ACCOUNT_MANAGER = "account_manager"
    SUPPORT_STAFF = "support_staff"
    AUDITOR = "auditor"
    SYSTEM = "system"
    UNKNOWN = "unknown"
    """In envelopes of events that did not come through ``Ledger.ask``; may give no command."""


class Actor(BaseModel):
    """An actor as a door vouches for it; roles are read from the ledger, never from here (G1).

    Attributes:
        kind: what kind of someone this is.
        id: person id, or the id of a member of staff or a system; random, never a personal datum.
        who: an e-mail, ``person:ID`` or ``account:ID`` in place of ``id``, for a person whom the
            door knows by that; resolved to ``id`` before anything is decided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: ActorKind
    id: UUID | None = None
    who: Who | None = None

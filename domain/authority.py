"""Who may give which command, and open which sealed values: one table (G1)."""

from uuid import UUID

from domain.account import (
    AssignAccountManager,
    ChangeUserCode,
    CloseAccount,
    ConfirmPhone,
    ErasePerson,
    RegisterUser,
    ReinstateAccount,
    SetPassword,
    SuspendAccount,
)
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.contract import (
    EndContract,
    ExpireContract,
    FillRole,
    LinkRisk,
    NameContact,
    NameValidator,
    OpenContract,
    PublishInformationDocument,
    ReactivateContract,
    RemindContract,
    RequireRoles,
    UnlinkRisk,
    VacateRole,
    WithdrawInformationDocument,
)
from domain.contract_link import (
    DownloadInformationDocument,
    LinkPerson,
    MarkInformationDocumentAsRead,
    UnlinkPerson,
)
from domain.disclosure import OpenPersonalValue
from domain.invitation import (
    AcceptInvitation,
    CorrectInvitation,
    ExpireInvitation,
    InviteMember,
    RemindInvitation,
    ResendInvitation,
    RevokeInvitation,
)
from domain.invitation_import import ImportInvitations
from domain.membership import ChangeRole, RemoveMember
from domain.operations import RetryParkedStream, SkipParkedEvent
from domain.personal import Purpose
from domain.plan import ChangeSeats, OpenPlan
from domain.refusal import Refused
from domain.study_history import StudyContent
from domain.subscription import (
    AnnouncePrice,
    CapturePayment,
    CaptureRefund,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    DeclinePayment,
    EndSubscription,
    FailRefund,
    LapseSubscription,
    ReactivateSubscription,
    RecordUnknownCharge,
    RefundPayment,
    RemindPayment,
    RequestCharge,
    ResumeSubscription,
    StartSubscription,
)
from domain.support_ticket import (
    AssignTicket,
    CloseTicket,
    CopyPerson,
    MergeTicket,
    OpenTicket,
    ReceiveMail,
    ReopenTicket,
    ReplyToTicket,
    ResolveTicket,
    RouteTicket,
    SplitTicket,
    UncopyPerson,
)

__all__ = ["MAY_GIVE", "MAY_OPEN", "may_open", "refuse_unless_may_give"]

PERSON = ActorKind.PERSON
ACCOUNT_MANAGER = ActorKind.ACCOUNT_MANAGER
SUPPORT_STAFF = ActorKind.SUPPORT_STAFF
AUDITOR = ActorKind.AUDITOR
SYSTEM = ActorKind.SYSTEM

MAY_GIVE: dict[type[Command], frozenset[ActorKind]] = {
    RegisterUser: frozenset({PERSON, ACCOUNT_MANAGER}),
    ConfirmPhone: frozenset({SYSTEM}),
    SetPassword: frozenset({PERSON}),
    ChangeUserCode: frozenset({ACCOUNT_MANAGER}),
    AssignAccountManager: frozenset({ACCOUNT_MANAGER, SYSTEM}),
    SuspendAccount: frozenset({ACCOUNT_MANAGER}),
    ReinstateAccount: frozenset({ACCOUNT_MANAGER}),
    CloseAccount: frozenset({PERSON, ACCOUNT_MANAGER}),
    ErasePerson: frozenset({PERSON, ACCOUNT_MANAGER}),
    StartSubscription: frozenset({PERSON, ACCOUNT_MANAGER}),
    ChooseTaxDocument: frozenset({PERSON, ACCOUNT_MANAGER}),
    ConfirmPlan: frozenset({PERSON, ACCOUNT_MANAGER}),
    ChoosePaymentMethod: frozenset({PERSON, ACCOUNT_MANAGER}),
    AnnouncePrice: frozenset({ACCOUNT_MANAGER, SYSTEM}),
    RequestCharge: frozenset({PERSON, ACCOUNT_MANAGER, SYSTEM}),
    CapturePayment: frozenset({ACCOUNT_MANAGER, SYSTEM}),
    DeclinePayment: frozenset({SYSTEM}),
    RecordUnknownCharge: frozenset({SYSTEM}),
    RefundPayment: frozenset({ACCOUNT_MANAGER}),
    CaptureRefund: frozenset({SYSTEM}),
    FailRefund: frozenset({SYSTEM}),
    EndSubscription: frozenset({PERSON, ACCOUNT_MANAGER}),
    ResumeSubscription: frozenset({PERSON, ACCOUNT_MANAGER}),
    RemindPayment: frozenset({SYSTEM}),
    LapseSubscription: frozenset({SYSTEM}),
    ReactivateSubscription: frozenset({PERSON, ACCOUNT_MANAGER}),
    StudyContent: frozenset({PERSON}),
    OpenPlan: frozenset({ACCOUNT_MANAGER}),
    ChangeSeats: frozenset({ACCOUNT_MANAGER}),
    InviteMember: frozenset({PERSON, ACCOUNT_MANAGER}),
    ImportInvitations: frozenset({PERSON}),
    ResendInvitation: frozenset({PERSON, ACCOUNT_MANAGER}),
    CorrectInvitation: frozenset({PERSON, ACCOUNT_MANAGER}),
    RevokeInvitation: frozenset({PERSON, ACCOUNT_MANAGER}),
    RemindInvitation: frozenset({SYSTEM}),
    ExpireInvitation: frozenset({SYSTEM}),
    AcceptInvitation: frozenset({PERSON}),
    ChangeRole: frozenset({PERSON}),
    RemoveMember: frozenset({PERSON}),
    OpenContract: frozenset({ACCOUNT_MANAGER}),
    ReactivateContract: frozenset({PERSON, ACCOUNT_MANAGER}),
    EndContract: frozenset({PERSON, ACCOUNT_MANAGER}),
    RemindContract: frozenset({SYSTEM}),
    ExpireContract: frozenset({SYSTEM}),
    NameValidator: frozenset({PERSON, ACCOUNT_MANAGER}),
    NameContact: frozenset({PERSON, ACCOUNT_MANAGER}),
    PublishInformationDocument: frozenset({PERSON, ACCOUNT_MANAGER}),
    WithdrawInformationDocument: frozenset({PERSON, ACCOUNT_MANAGER}),
    RequireRoles: frozenset({PERSON, ACCOUNT_MANAGER}),
    LinkRisk: frozenset({PERSON}),
    UnlinkRisk: frozenset({PERSON}),
    FillRole: frozenset({PERSON}),
    VacateRole: frozenset({PERSON}),
    LinkPerson: frozenset({PERSON}),
    UnlinkPerson: frozenset({PERSON, ACCOUNT_MANAGER}),
    DownloadInformationDocument: frozenset({PERSON}),
    MarkInformationDocumentAsRead: frozenset({PERSON}),
    OpenTicket: frozenset({PERSON, ACCOUNT_MANAGER, SUPPORT_STAFF}),
    ReceiveMail: frozenset({SYSTEM}),
    ReplyToTicket: frozenset({PERSON, SUPPORT_STAFF}),
    AssignTicket: frozenset({SUPPORT_STAFF}),
    RouteTicket: frozenset({SUPPORT_STAFF}),
    CopyPerson: frozenset({PERSON, SUPPORT_STAFF}),
    UncopyPerson: frozenset({PERSON, SUPPORT_STAFF}),
    ResolveTicket: frozenset({SUPPORT_STAFF}),
    ReopenTicket: frozenset({SUPPORT_STAFF}),
    CloseTicket: frozenset({SUPPORT_STAFF}),
    SplitTicket: frozenset({SUPPORT_STAFF}),
    MergeTicket: frozenset({SUPPORT_STAFF}),
    RetryParkedStream: frozenset({SUPPORT_STAFF}),
    SkipParkedEvent: frozenset({SUPPORT_STAFF}),
    OpenPersonalValue: frozenset({PERSON, ACCOUNT_MANAGER, SUPPORT_STAFF, AUDITOR}),
}
"""The kinds of actor that may give each command.

A person only for their own account; or, by a role in a plan that the ledger knows of (I1, I8), for
that plan's invitations and members; or for a contract whose contact they are or to which they are
linked (C1, C2, C4); or for a ticket whose requester they are or on whose copy list (T4). Which
values an actor may open is the other table's business.
"""

MAY_OPEN: dict[Purpose, frozenset[ActorKind]] = {
    Purpose.IDENTITY: frozenset({PERSON, ACCOUNT_MANAGER, SUPPORT_STAFF, AUDITOR}),
    Purpose.CORRESPONDENCE: frozenset({PERSON, SUPPORT_STAFF, AUDITOR}),
    Purpose.TAX: frozenset({PERSON, ACCOUNT_MANAGER, AUDITOR}),
}
"""The kinds of actor that may open values sealed for each purpose.

A person only their own. Beyond it, by what the ledger knows: an administrator of a plan the
identity of its members and invited; a contract's contact that of the people linked to it, and they
that of its contact and validator (C6); whoever opened a ticket or is on its copy list its public
messages (T4).
"""


def refuse_unless_may_give(actor: Actor, command: type[Command]) -> None:
    """All that the table does not allow is refused (G1).

    Raises:
        Refused: this kind of actor may not give this command.
    """
    allowed = MAY_GIVE.get(command, frozenset())
    if actor.kind not in allowed:
        kinds = ", ".join(sorted(kind.value for kind in allowed)) or "nobody"
        raise Refused(
            "G1",
            f"an actor of kind {actor.kind.value} may not give {command.__name__}",
            remedy=f"Have it given by: {kinds}.",
        )


def may_open(
    actor: Actor, purpose: Purpose, owner: UUID, *, administers_owner: bool = False
) -> bool:
    """Whether this actor may open what is sealed for this purpose and person (G1).

    Args:
        actor: whoever asks.
        purpose: what the value is kept for.
        owner: the person to whom it belongs.
        administers_owner: the ledger knows that the actor administers a plan of that person.
    """
    if actor.kind not in MAY_OPEN[purpose]:
        return False
    if actor.kind is not PERSON or actor.id == owner:
        return True
    return administers_owner and purpose is Purpose.IDENTITY

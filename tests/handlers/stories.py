"""People whose stories the tests tell to a real ledger, command by command."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from stdnum.cl.rut import calc_check_digit

from domain.account import (
    AccountKind,
    AssignAccountManager,
    CloseAccount,
    ClosureReason,
    ConfirmPhone,
    RegisterUser,
    Role,
    RoleAssigned,
    SetPassword,
    UserRegistered,
)
from domain.actor import Actor, ActorKind
from domain.command import Command
from domain.event import Recorded
from domain.invitation import AcceptInvitation, InviteeDetails, InviteMember
from domain.invitation_import import ImportFault, ImportInvitations, ListedRow
from domain.money import Currency
from domain.plan import OpenPlan
from domain.refusal import Refused
from domain.study_history import StudyContent
from domain.subscription import (
    CapturePayment,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    PaymentMeans,
    StartSubscription,
    TaxDocumentKind,
)
from handlers.composition import Acta
from handlers.ledger import Receipt
from handlers.store.directory import Directory
from handlers.store.mapper import to_recorded

MANAGER = Actor(kind=ActorKind.ACCOUNT_MANAGER, id=UUID(int=3))
SYSTEM = Actor(kind=ActorKind.SYSTEM, id=UUID(int=7))
AUDITOR = Actor(kind=ActorKind.AUDITOR, id=UUID(int=8))
SOMEBODY = Actor(kind=ActorKind.PERSON)
PRICE_MINOR = 9990
Months = Literal[1, 3, 6, 12]

SCHOOL = "Colegio Los Aromos"
DIRECTOR = "directora@example.com"
ANA = "ana@example.com"
ANA_RUT = "12345678-5"
BRUNO = "bruno@example.com"
BRUNO_RUT = "11111111-1"


def noon(year: int, month: int, day: int) -> datetime:
    """An instant in the middle of a day in Chile."""
    return datetime(year, month, day, 16, tzinfo=UTC)


BEGINNING = noon(2026, 1, 31)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who has an account."""

    account: UUID
    person: UUID

    @property
    def who(self) -> str:
        """Names the account for good, whatever becomes of the e-mail."""
        return f"account:{self.account}"

    @property
    def itself(self) -> Actor:
        """The person, vouched for by a door."""
        return Actor(kind=ActorKind.PERSON, id=self.person)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan of an institution, and the person who administers it."""

    id: UUID
    director: Member

    @property
    def who(self) -> str:
        """Names the plan where it pays."""
        return f"plan:{self.id}"


class Story:
    """Tells a ledger what happens.

    Args:
        acta: the ledger.
    """

    def __init__(self, acta: Acta) -> None:
        self.acta = acta

    # ------------------------------------------------------------ asking

    def ask(self, command: Command, actor: Actor, command_id: UUID | None = None) -> Receipt:
        """Gives a command that is accepted."""
        return self.acta.ledger.ask(command, actor, command_id or uuid4())

    def refusal(self, command: Command, actor: Actor, command_id: UUID | None = None) -> Refused:
        """Gives a command that is refused."""
        answer = self.acta.ledger.answer(command, actor, command_id or uuid4())
        assert answer.refusal is not None, "it was accepted"
        assert answer.receipt.events == ()
        return answer.refusal

    def events(self, stream: UUID | None = None) -> list[Recorded]:
        """What is in the log, or in one stream."""
        if stream is not None:
            return self.acta.store.streams([stream])[stream]
        rows = self.acta.store.batch(after=0, limit=100_000)
        return [recorded for row in rows if (recorded := to_recorded(row)) is not None]

    # ------------------------------------------------------------ what people do

    def register(
        self, email: str = ANA, rut: str | None = None, *, at: datetime = BEGINNING
    ) -> Member:
        """Somebody opens an account."""
        receipt = self.ask(registration(email, rut, at=at), SOMEBODY)
        account = Directory(self.acta.store).account(email, at=at)
        assert account is not None
        event = self.events(account)[-1].event
        assert isinstance(event, UserRegistered)
        assert event.kind is AccountKind.INDIVIDUAL
        assert [told.event_id for told in receipt.events] == [self.events(account)[0].event_id]
        return Member(event.account, event.person)

    def make_ready(self, member: Member, *, at: datetime = BEGINNING) -> None:
        """The phone is confirmed and a password set."""
        self.ask(ConfirmPhone(at=at, account=member.who), SYSTEM)
        self.ask(SetPassword(at=at, account=member.who), member.itself)

    def take_steps(self, member: Member, *, months: Months = 1, at: datetime = BEGINNING) -> None:
        """All steps of a subscription that has begun, but the payment."""
        means = PaymentMeans.CARD if months == 1 else PaymentMeans.TRANSFER
        for command in (
            ChooseTaxDocument(at=at, account=member.who, kind=TaxDocumentKind.BOLETA),
            ConfirmPlan(
                at=at, account=member.who, plan="full-access", price_version=1,
                monthly_price_minor=PRICE_MINOR, currency=Currency.CLP,
            ),
            ChoosePaymentMethod(at=at, account=member.who, means=means, months=months),
        ):  # fmt: skip
            self.ask(command, member.itself)

    def about_to_pay(
        self,
        email: str = ANA,
        rut: str | None = None,
        *,
        months: Months = 1,
        at: datetime = BEGINNING,
    ) -> Member:
        """Somebody who has made all steps but the payment."""
        member = self.register(email, rut, at=at)
        self.make_ready(member, at=at)
        self.ask(StartSubscription(at=at, account=member.who), member.itself)
        self.take_steps(member, months=months, at=at)
        return member

    def pay(self, member: Member, *, months: Months = 1, at: datetime = BEGINNING) -> Receipt:
        """A payment succeeds."""
        return self.ask(capture(member, months=months, at=at), SYSTEM)

    def subscriber(
        self,
        email: str = ANA,
        rut: str | None = None,
        *,
        months: Months = 1,
        at: datetime = BEGINNING,
    ) -> Member:
        """Somebody who has paid for the first time."""
        member = self.about_to_pay(email, rut, months=months, at=at)
        self.pay(member, months=months, at=at)
        return member

    def study(self, member: Member, content: str, *, at: datetime = BEGINNING) -> Receipt:
        """Somebody studies."""
        return self.ask(StudyContent(at=at, account=member.who, content=content), member.itself)

    def close(self, member: Member, *, at: datetime = BEGINNING) -> Receipt:
        """Somebody closes their account."""
        return self.ask(closing(member, at=at), member.itself)

    def assign_manager(self, member: Member, *, at: datetime = BEGINNING) -> Receipt:
        """The account manager looks after somebody from now on."""
        assert MANAGER.id is not None
        return self.ask(
            AssignAccountManager(at=at, account=member.who, account_manager=MANAGER.id), MANAGER
        )

    # ------------------------------------------------------------ what institutions do

    def institution(
        self,
        director: str = DIRECTOR,
        *,
        seats: int = 50,
        paid: bool = True,
        plan: UUID | None = None,
        at: datetime = BEGINNING,
    ) -> Plan:
        """A school contracts a plan; its director comes by the account manager's invitation."""
        known_as = plan or uuid4()
        self.ask(OpenPlan(at=at, plan=known_as, institution=SCHOOL, seats=seats), MANAGER)
        self.invite(known_as, director, role=Role.SUPER_ADMINISTRATOR, by=MANAGER, at=at)
        opened = Plan(known_as, self.accept(director, at=at))
        if paid:
            self.pay_for(opened, at=at)
        return opened

    def pay_for(self, plan: Plan, *, at: datetime = BEGINNING) -> Receipt:
        """The school goes through the steps and pays for three months."""
        for command in (
            ChooseTaxDocument(at=at, account=plan.who, kind=TaxDocumentKind.BOLETA),
            ConfirmPlan(
                at=at, account=plan.who, plan="school", price_version=1,
                monthly_price_minor=PRICE_MINOR, currency=Currency.CLP,
            ),
            ChoosePaymentMethod(
                at=at, account=plan.who, means=PaymentMeans.TRANSFER, months=3
            ),
        ):  # fmt: skip
            self.ask(command, MANAGER)
        return self.ask(
            CapturePayment(
                at=at,
                account=plan.who,
                payment=uuid4(),
                amount_minor=3 * PRICE_MINOR,
                currency=Currency.CLP,
                gateway_reference="bank-1",
            ),
            MANAGER,
        )

    def invite(
        self,
        plan: UUID,
        email: str,
        *,
        by: Actor,
        role: Role = Role.USER,
        rut: str | None = None,
        at: datetime = BEGINNING,
    ) -> UUID:
        """Somebody is invited; the invitation."""
        invitation = uuid4()
        details = invitee(email, role, rut).model_dump()
        self.ask(InviteMember(at=at, plan=plan, invitation=invitation, **details), by)
        return invitation

    def accept(self, email: str, *, at: datetime = BEGINNING) -> Member:
        """Whoever was invited follows the invitation."""
        receipt = self.ask(
            AcceptInvitation(at=at, invitation=email), Actor(kind=ActorKind.PERSON, who=email)
        )
        rows = self.acta.store.batch(after=receipt.events[-1].position - 1, limit=1)
        recorded = to_recorded(rows[0])
        assert recorded is not None
        assert isinstance(recorded.event, RoleAssigned)
        return Member(recorded.event.account, recorded.event.person)

    def join(
        self,
        plan: Plan,
        email: str,
        *,
        role: Role = Role.USER,
        rut: str | None = None,
        at: datetime = BEGINNING,
    ) -> Member:
        """Somebody is invited by the director, and accepts."""
        self.invite(plan.id, email, by=plan.director.itself, role=role, rut=rut, at=at)
        return self.accept(email, at=at)

    def import_list(
        self,
        plan: Plan,
        rows: Sequence[str | None],
        *,
        invitation_import: UUID | None = None,
        first_row: int = 2,
        last: bool = True,
        at: datetime = BEGINNING,
    ) -> UUID:
        """The director imports a list of e-mails, or a stretch of it; None cannot be read."""
        known_as = invitation_import or uuid4()
        command = ImportInvitations(
            at=at,
            plan=plan.id,
            invitation_import=known_as,
            rows=tuple(listed(row, email) for row, email in enumerate(rows, start=first_row)),
            last=last,
        )
        self.ask(command, plan.director.itself)
        return known_as


def rut_of(email: str) -> str:
    """A RUT of their own for everybody."""
    number = 5_000_000 + zlib.crc32(email.encode()) % 20_000_000
    return f"{number}-{calc_check_digit(str(number))}"


def invitee(email: str, role: Role = Role.USER, rut: str | None = None) -> InviteeDetails:
    """Who is invited."""
    return InviteeDetails(
        role=role,
        given_name="Carla",
        paternal_surname="Soto",
        maternal_surname="Vera",
        rut=rut or rut_of(email),
        email=email,
        phone="+56961234567",
    )


def listed(row: int, email: str | None) -> ListedRow:
    """A row of a list; without an e-mail, a faulty one."""
    if email is not None:
        return ListedRow(row=row, invitee=invitee(email))
    fault = ImportFault(rule="I2", column="email", message="is missing", remedy="Write it.")
    return ListedRow(row=row, faults=(fault,))


def registration(
    email: str = ANA, rut: str | None = None, *, at: datetime = BEGINNING, **changes: Any
) -> RegisterUser:
    """Somebody's wish for an account."""
    return RegisterUser(
        **{
            "at": at,
            "given_name": "Ana",
            "paternal_surname": "Rojas",
            "email": email,
            "phone": "+56961234567",
            "rut": rut,
            **changes,
        }
    )


def capture(member: Member, *, months: Months = 1, at: datetime = BEGINNING) -> CapturePayment:
    """The gateway's word that a payment of so many months succeeded."""
    return CapturePayment(
        at=at,
        account=member.who,
        payment=uuid4(),
        amount_minor=PRICE_MINOR * months,
        currency=Currency.CLP,
        gateway_reference="gateway-1",
    )


def closing(member: Member, *, at: datetime = BEGINNING) -> CloseAccount:
    """The owner's wish to close an account."""
    return CloseAccount(at=at, account=member.who, reason=ClosureReason.OWNER_REQUEST)

"""Any command, about anybody, in any order, on a real ledger: what must hold after each."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.account import (
    AssignAccountManager,
    ChangeUserCode,
    CloseAccount,
    ClosureReason,
    ConfirmPhone,
    ErasePerson,
    RegisterUser,
    ReinstateAccount,
    SetPassword,
    SuspendAccount,
    SuspensionReason,
)
from domain.actor import Actor, ActorKind
from domain.command import AccountCommand, Command
from domain.identity import email_key
from domain.money import Currency
from domain.study_history import StudyContent
from domain.subscription import (
    CapturePayment,
    ChoosePaymentMethod,
    ChooseTaxDocument,
    ConfirmPlan,
    EndSubscription,
    LapseSubscription,
    PaymentMeans,
    ReactivateSubscription,
    ResumeSubscription,
    StartSubscription,
    TaxDocumentKind,
)
from handlers.composition import Acta, open_ledger
from handlers.ledger import Receipt
from handlers.store.embedded import EmbeddedServer
from tests.conftest import new_database
from tests.end_to_end.log_comparison import recorded_log
from tests.handlers.store.refolded_claims import held_by_log, held_in_database
from tests.handlers.stories import BEGINNING, MANAGER, PRICE_MINOR, SYSTEM
from tests.projections.contents import contents, rebuild

SANTIAGO = ZoneInfo("America/Santiago")
EMAILS = ["ana@example.com", "bruno@exämple.com", "carla@example.com"]
RUTS = ["12.345.678-5", "11.111.111-1", "20.347.878-K"]
SPELLINGS: Sequence[Callable[[str], str]] = [str, str.upper, str.title, lambda text: f" {text}"]

emails = st.builds(
    lambda spell, email: spell(email), st.sampled_from(SPELLINGS), st.sampled_from(EMAILS)
)
ruts = st.builds(
    lambda spell, rut: spell(rut),
    st.sampled_from([str, str.lower, lambda text: text.replace(".", "")]),
    st.sampled_from(RUTS),
)

Make = Callable[[datetime, str], Command]
"""A command, given when and for whom."""

STEPS: list[tuple[Make, Actor | None]] = [
    (lambda at, who: ConfirmPhone(at=at, account=who), SYSTEM),
    (lambda at, who: SetPassword(at=at, account=who), None),
    (lambda at, who: StartSubscription(at=at, account=who), None),
    (lambda at, who: ChooseTaxDocument(at=at, account=who, kind=TaxDocumentKind.BOLETA), None),
    (
        lambda at, who: ConfirmPlan(
            at=at, account=who, plan="full-access", price_version=1,
            monthly_price_minor=PRICE_MINOR, currency=Currency.CLP,
        ),
        None,
    ),
    (
        lambda at, who: ChoosePaymentMethod(
            at=at, account=who, means=PaymentMeans.CARD, months=1
        ),
        None,
    ),
    (
        lambda at, who: CapturePayment(
            at=at, account=who, payment=uuid4(), amount_minor=PRICE_MINOR,
            currency=Currency.CLP, gateway_reference="gateway-1",
        ),
        SYSTEM,
    ),
]  # fmt: skip
"""The way to access, and who goes each step: the owner where nobody is named."""

OTHERS: list[tuple[Make, Actor | None]] = [
    (lambda at, who: SuspendAccount(at=at, account=who, reason=SuspensionReason.MISUSE), MANAGER),
    (lambda at, who: ReinstateAccount(at=at, account=who, reason=SuspensionReason.OTHER), MANAGER),
    (lambda at, who: EndSubscription(at=at, account=who), None),
    (lambda at, who: ResumeSubscription(at=at, account=who), None),
    (lambda at, who: LapseSubscription(at=at, account=who), SYSTEM),
    (lambda at, who: ReactivateSubscription(at=at, account=who), None),
    (lambda at, who: StudyContent(at=at, account=who, content="algebra/1"), None),
    (
        lambda at, who: AssignAccountManager(
            at=at, account=who, account_manager=MANAGER.id or UUID(int=0)
        ),
        MANAGER,
    ),
]
ENDS: list[tuple[Make, Actor | None]] = [
    (lambda at, who: CloseAccount(at=at, account=who, reason=ClosureReason.OTHER), None),
    (lambda at, who: ErasePerson(at=at, account=who), None),
]


@dataclass(slots=True)
class NaiveAccount:
    """What somebody with pencil and paper would write down about an account.

    Attributes:
        told: time and name of each command that was accepted, in the order of the log.
        payments: when each was made, and the first and the first no longer paid instant.
    """

    account: UUID
    told: list[tuple[datetime, str]] = field(default_factory=list[tuple[datetime, str]])
    payments: list[tuple[datetime, datetime, datetime]] = field(
        default_factory=list[tuple[datetime, datetime, datetime]]
    )
    first_day: date | None = None
    next_day: date | None = None
    months: int = 0

    def pay(self, at: datetime) -> None:
        """A month more, counted from the first payment's day."""
        if self.first_day is None:
            own = at.astimezone(SANTIAGO).date()
            self.first_day = max(own, self.next_day or own)
        first, next_day = (
            self.first_day + relativedelta(months=months)
            for months in (self.months, self.months + 1)
        )
        self.months += 1
        self.next_day = next_day
        self.payments.append((at, max(at, _midnight(first)), _midnight(next_day)))

    def rules_in_the_way(self, at: datetime) -> list[str]:
        """Of content at an instant."""
        told = [name for when, name in self.told if when <= at]
        if "RegisterUser" not in told:
            return ["A1"]
        standing = _last(told, "SuspendAccount", "ReinstateAccount", "CloseAccount", "ErasePerson")
        if standing in ("CloseAccount", "ErasePerson"):
            return ["A10"]
        suspended = ["A10"] if standing == "SuspendAccount" else []
        payments = [payment for payment in self.payments if payment[0] <= at]
        if any(start <= at < end for _, start, end in payments):
            return suspended
        course = _last(
            told, "EndSubscription", "ResumeSubscription", "LapseSubscription",
            "ReactivateSubscription",
        )  # fmt: skip
        if not payments:
            return [*suspended, "S3"]
        if self._is_being_renewed(told, payments[-1][2], at):
            return suspended
        return [*suspended, "S4" if course == "EndSubscription" else "S5"]

    def _is_being_renewed(self, told: Sequence[str], end: datetime, at: datetime) -> bool:
        """On the day after what a card paid for it is charged anew, unless it was ended."""
        last = _last(
            told, "CapturePayment", "EndSubscription", "ResumeSubscription", "LapseSubscription",
            "ReactivateSubscription",
        )  # fmt: skip
        goes_on = last in ("CapturePayment", "ResumeSubscription")
        return goes_on and end <= at < _midnight(end.date() + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SANTIAGO)


def _last(told: Sequence[str], *names: str) -> str | None:
    return next((name for name in reversed(told) if name in names), None)


class LedgerMachine(RuleBasedStateMachine):
    """Three people, their addresses in any spelling, and a clock that goes on."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        super().__init__()
        self._opened = ExitStack()
        database = self._opened.enter_context(new_database(server, folder / uuid4().hex))
        self.acta: Acta = self._opened.enter_context(open_ledger(database.settings()))
        self.acta.projector.catch_up()
        self.now = BEGINNING
        self.accounts: dict[UUID, NaiveAccount] = {}

    def teardown(self) -> None:
        """Read models that grew command by command are those built from the beginning."""
        with self._opened:
            grown = contents(self.acta)
            rebuild(self.acta)
            assert contents(self.acta) == grown

    # ------------------------------------------------------------ what is asked

    @initialize(paying=st.sampled_from([3, 2, 1, 0]))
    def some_are_there(self, paying: int) -> None:
        """So many have registered, and pay by card."""
        for email, rut in list(zip(EMAILS, RUTS, strict=True))[:paying]:
            self.register(email, rut)
            self.go_on(email, len(STEPS))

    @rule(days=st.sampled_from([1, 10, 27, 31]))
    def time_passes(self, days: int) -> None:
        """Long enough for what was paid to run out, sometimes."""
        self.now += timedelta(days=days)

    @rule(email=emails, rut=st.none() | ruts)
    def register(self, email: str, rut: str | None) -> None:
        """Somebody registers, under whatever address and RUT."""
        command = RegisterUser(
            at=self.now, given_name="Ana", paternal_surname="Rojas", email=email,
            phone="+56961234567", rut=rut,
        )  # fmt: skip
        self.ask(command, Actor(kind=ActorKind.PERSON))

    @rule(email=emails, upto=st.integers(1, len(STEPS)))
    def go_on(self, email: str, upto: int) -> None:
        """So many steps towards access, each as far as it is allowed."""
        for make, actor in STEPS[:upto]:
            self.ask(make(self.now, email), actor or self.owner_of(email))

    @rule(email=emails, what=st.lists(st.sampled_from(STEPS + OTHERS), min_size=1, max_size=4))
    def do_something(self, email: str, what: list[tuple[Make, Actor | None]]) -> None:
        """Whoever may ask for it does, for one thing after the other."""
        for make, actor in what:
            self.ask(make(self.now, email), actor or self.owner_of(email))

    @rule(email=emails, days=st.sampled_from([0, 27, 31]), resumed=st.booleans())
    def end(self, email: str, days: int, resumed: bool) -> None:
        """The subscription is ended, and perhaps that is taken back, in time or too late."""
        self.ask(EndSubscription(at=self.now, account=email), self.owner_of(email))
        self.now += timedelta(days=days)
        if resumed:
            self.ask(ResumeSubscription(at=self.now, account=email), self.owner_of(email))

    @rule(email=emails, recorded=st.booleans(), upto=st.sampled_from([len(STEPS), 0]))
    def run_out(self, email: str, recorded: bool, upto: int) -> None:
        """What was paid is over, and the steps begin anew."""
        self.now += timedelta(days=31)
        if recorded:
            self.ask(LapseSubscription(at=self.now, account=email), SYSTEM)
        self.ask(ReactivateSubscription(at=self.now, account=email), self.owner_of(email))
        self.go_on(email, upto)

    @rule(email=emails, days=st.sampled_from([0, 5]))
    def suspend(self, email: str, days: int) -> None:
        """For some days, or without an end."""
        reason = SuspensionReason.OTHER
        self.ask(SuspendAccount(at=self.now, account=email, reason=reason), MANAGER)
        self.now += timedelta(days=days)
        if days:
            self.ask(ReinstateAccount(at=self.now, account=email, reason=reason), MANAGER)

    @rule(email=emails, back=st.integers(0, 40), what=st.sampled_from(STEPS[-1:] + OTHERS[:2]))
    def record_late(self, email: str, back: int, what: tuple[Make, Actor | None]) -> None:
        """Something that happened before now."""
        make, actor = what
        self.ask(make(self.now - timedelta(days=back), email), actor or self.owner_of(email))

    @rule(email=emails, new=emails)
    def change_code(self, email: str, new: str) -> None:
        """To an address that may well be somebody's."""
        assert MANAGER.id is not None
        assign = AssignAccountManager(at=self.now, account=email, account_manager=MANAGER.id)
        self.ask(assign, MANAGER)
        self.ask(ChangeUserCode(at=self.now, account=email, email=new), MANAGER)

    @rule(email=emails, end=st.sampled_from(ENDS), sometimes=st.integers(0, 1))
    def leave(self, email: str, end: tuple[Make, Actor | None], sometimes: int) -> None:
        """Closed or erased, which is what the addresses are free after."""
        if sometimes == 0:
            make, actor = end
            self.ask(make(self.now, email), actor or self.owner_of(email))

    @rule(email=emails, what=st.sampled_from(STEPS + OTHERS + ENDS), other=emails)
    def ask_for_another(self, email: str, what: tuple[Make, Actor | None], other: str) -> None:
        """A person asks, of their own account or of another's."""
        make, _ = what
        self.ask(make(self.now, email), self.owner_of(other))

    def owner_of(self, email: str) -> Actor:
        """Whoever holds an address, as a door knows them."""
        return Actor(kind=ActorKind.PERSON, who=email.strip())

    def ask(self, command: Command, actor: Actor) -> None:
        """Asks, and notes what was accepted on paper."""
        meant = self.meant_by(command)
        answer = self.acta.ledger.answer(command, actor, uuid4())
        if answer.refusal is None and answer.receipt.events:
            self.note(command, answer.receipt, meant)
        self.acta.projector.catch_up()

    def meant_by(self, command: Command) -> UUID | None:
        """The account that a command is about, as the log tells it."""
        if not isinstance(command, AccountCommand):
            return None
        digest = self.acta.vault.digest("email", email_key(command.account))
        holder, _, _ = self.held().get(("email", digest), (None, None, None))
        return holder

    def note(self, command: Command, receipt: Receipt, meant: UUID | None) -> None:
        """What was accepted, on paper."""
        if isinstance(command, RegisterUser):
            registered = next(
                entry for entry in recorded_log(self.acta) if entry.position == receipt.position
            )
            meant = registered.stream
            self.accounts[meant] = NaiveAccount(meant)
        assert meant is not None
        account = self.accounts[meant]
        account.told.append((command.at, command.NAME))
        if isinstance(command, CapturePayment):
            account.pay(command.at)
        if isinstance(command, ReactivateSubscription):
            account.first_day, account.months = None, 0
        if any("SubscriptionEnded" in event.topic for event in receipt.events):
            account.told.append((command.at, "EndSubscription"))

    # ------------------------------------------------------------ what must hold

    @invariant()
    def claims_can_be_rebuilt_from_the_log(self) -> None:
        """Decision 8: the table holds what the open accounts say, and nothing else."""
        assert held_in_database(self.acta) == held_by_log(self.acta)

    @invariant()
    def nobody_has_two_accounts(self) -> None:
        """A3: of the accounts that hold anything, each person has one."""
        holders = {(person, holder) for holder, person, _ in self.held().values()}
        assert len(holders) == len({person for person, _ in holders})

    @invariant()
    def checks_agree_with_pencil_and_paper(self) -> None:
        """X1, X2: now, and at instants before and after."""
        for account in self.accounts.values():
            for days in (-40, 0, 20):
                at = self.now + timedelta(days=days)
                answer = self.acta.queries.check(f"account:{account.account}", "content", at)
                told = [obstacle.rule for obstacle in answer.obstacles]
                assert told == account.rules_in_the_way(at), (account, at)

    def held(self) -> dict[tuple[str, bytes], tuple[UUID, UUID, datetime | None]]:
        """What is claimed, as the log tells it."""
        return held_by_log(self.acta).claims


def run(server: EmbeddedServer, folder: Path, *, one_in: int) -> None:
    """As many examples as the profile has, less what a database each takes."""

    class Machine(LedgerMachine):
        def __init__(self) -> None:
            super().__init__(server, folder)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=settings().max_examples // one_in,
            stateful_step_count=20,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


@pytest.mark.rule("A3", "A10", "X1", "X2")
def test_whatever_is_asked_of_a_ledger(server: EmbeddedServer, tmp_path: Path) -> None:
    """Claims, accounts and answers fit each other, and what was written down beside."""
    run(server, tmp_path, one_in=8)


@pytest.mark.soak
@pytest.mark.rule("A3", "A10", "X1", "X2")
def test_whatever_is_asked_of_a_ledger_at_length(server: EmbeddedServer, tmp_path: Path) -> None:
    """The same, with as many examples as a soak has time for."""
    run(server, tmp_path, one_in=8)

"""Makes input for ``acta apply``: the lives of some hundred people and some plans, in one file.

The same seed makes the same lines. People are named by their e-mails, in any spelling, and change
them midway; some come by invitation under an institution's plan, one by one or by list. At least
one command in ten is refused, and one in a hundred is refused in its place although it would be
accepted, word for word, if it were asked again at the end.

    python -m tests.end_to_end.workload --commands 5000 --seed 7 > commands.jsonl
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from stdnum.cl.rut import calc_check_digit

__all__ = ["Workload", "make_workload"]

Wish = dict[str, Any]
BEGINNING = datetime(2025, 1, 6, 12, tzinfo=UTC)
DURATION = timedelta(days=420)
TURNS_OF_A_LIFE = 25
ONE_IN_MENDED = 100
ONE_LIFE_IN_PLAN = 7
PRICE_MINOR = 9990


@dataclass(frozen=True, slots=True)
class Workload:
    """Commands as JSON Lines.

    Attributes:
        mended: those of the lines that are refused in their place, and whose cause is mended later.
    """

    lines: tuple[str, ...]
    mended: tuple[str, ...]

    def mended_with_new_ids(self, seed: int) -> tuple[str, ...]:
        """The mended lines as commands of their own, to be given at the end."""
        random = Random(seed)
        return tuple(
            json.dumps({**json.loads(line), "id": str(random_id(random))}) for line in self.mended
        )


def make_workload(commands: int, seed: int) -> Workload:
    """So many commands, always the same for a seed."""
    return World(commands, Random(seed)).tell()


def random_id(random: Random) -> UUID:
    """A random id that the seed decides."""
    return UUID(int=random.getrandbits(128), version=4)


@dataclass(slots=True)
class Person:
    """What the world remembers of somebody."""

    email: str
    rut: str
    phone: str
    managed_by: UUID | None = None
    paid_until: datetime | None = None
    invited_at: datetime | None = None


@dataclass(slots=True)
class Institution:
    """What the world remembers of a plan.

    Attributes:
        director: its super-administrator.
        members: who has accepted and has not left, as far as the world knows.
    """

    plan: UUID
    director: Person
    members: list[Person] = field(default_factory=list[Person])

    @property
    def who(self) -> str:
        """Names the plan where it pays."""
        return f"plan:{self.plan}"


class World:
    """Everybody, and what time it is."""

    def __init__(self, commands: int, random: Random) -> None:
        self.commands = commands
        self.random = random
        self.now = BEGINNING
        self.managers = [random_id(random) for _ in range(3)]
        self.system = {"kind": "system", "id": str(random_id(random))}
        self.people = 0
        self.lives = 0

    # ------------------------------------------------------------ one after the other

    def tell(self) -> Workload:
        """Lets everybody live, a command at a time, in an order that chance makes."""
        mending = self.places_of_mended_lives()
        living: list[Iterator[Wish]] = []
        lines: list[str] = []
        mended: list[str] = []
        for place in range(self.commands):
            self.now += self.random.uniform(0, 2) * DURATION / self.commands
            wish = next(mending[place]) if place in mending else self.next_of(living)
            is_mended = wish.pop("mended", False)
            line = self.line(wish)
            lines.append(line)
            if is_mended:
                mended.append(line)
        return Workload(tuple(lines), tuple(mended))

    def line(self, wish: Wish) -> str:
        """A wish with its id and time."""
        at = wish.pop("at", self.now).isoformat(timespec="seconds")
        return json.dumps(
            {
                "command": wish.pop("command"),
                "id": str(random_id(self.random)),
                "at": at,
                "actor": wish.pop("actor"),
                **wish,
            }
        )

    def next_of(self, living: list[Iterator[Wish]]) -> Wish:
        """What one of the living does next; the dead make room."""
        while True:
            while len(living) < self.commands // (4 * TURNS_OF_A_LIFE) + 5:
                begin = self.plan_life if self.lives % ONE_LIFE_IN_PLAN == 1 else self.life
                self.lives += 1
                living.append(begin())
            life = self.random.choice(living)
            wish = next(life, None)
            if wish is not None:
                return wish
            living.remove(life)

    def places_of_mended_lives(self) -> dict[int, Iterator[Wish]]:
        """At which places the lives go on in which something is refused and mended later."""
        kinds = [
            (self.confirms_before_registering, 2),
            (self.starts_before_confirming, 4),
            (self.plans_before_tax_document, 6),
            (self.pays_before_means, 8),
            (self.studies_before_payment, 9),
            (self.ends_before_payment, 9),
            (self.changes_code_before_assignment, 3),
            (self.registers_before_closing, 3),
            (self.reinstated_before_suspension, 3),
            (self.suspended_twice, 4),
            (self.invited_without_seats, 5),
        ]
        chosen = [kinds[number % len(kinds)] for number in range(self.commands // ONE_IN_MENDED)]
        free = self.random.sample(range(self.commands), sum(length for _, length in chosen))
        places: dict[int, Iterator[Wish]] = {}
        for make, length in chosen:
            life = make(self.new_person())
            places |= dict.fromkeys(free[:length], life)
            free = free[length:]
        return places

    # ------------------------------------------------------------ an ordinary life

    def life(self) -> Iterator[Wish]:
        """Registers, subscribes and goes on until it is closed, erased or forgotten."""
        person = self.new_person()
        yield self.register(person)
        yield from self.perhaps(0.3, self.register_again(person))
        yield from self.perhaps(0.2, self.start(person))
        yield self.confirm_phone(person)
        yield from self.perhaps(0.2, self.start(person))
        yield self.set_password(person)
        yield self.start(person)
        yield from self.steps(person)
        yield self.pay(person)
        for _ in range(self.random.randrange(2 * TURNS_OF_A_LIFE)):
            if person.paid_until is not None and self.now > person.paid_until:
                yield from self.run_out(person)
            elif person.paid_until and self.now > person.paid_until - timedelta(days=5):
                yield self.pay(person)
            else:
                yield from self.turn(person)
        if self.random.random() < 0.4:
            yield from self.depart(person)

    def steps(self, person: Person) -> Iterator[Wish]:
        """The steps of a subscription but the payment, sometimes in a wrong order."""
        yield from self.perhaps(0.2, self.confirm_plan(person))
        yield self.choose_tax_document(person)
        yield from self.perhaps(0.2, self.choose_card(person))
        yield self.confirm_plan(person)
        yield from self.perhaps(0.2, self.capture(person))
        yield self.choose_card(person)

    def run_out(self, person: Person) -> Iterator[Wish]:
        """What was paid is over: it lapses, and is perhaps begun anew."""
        person.paid_until = None
        yield self.study(person)
        yield from self.perhaps(0.7, self.by_system("LapseSubscription", person))
        if self.random.random() < 0.7:
            yield self.own("ReactivateSubscription", person)
            yield from self.steps(person)
            yield self.pay(person)

    def turn(self, person: Person) -> Iterator[Wish]:
        """Something that happens in the middle of a life."""
        turns: Sequence[tuple[int, Callable[[Person], Iterator[Wish]]]] = [
            (30, lambda person: iter([self.study(person)])),
            (6, self.decline),
            (8, self.end_and_resume),
            (8, self.change_code),
            (8, self.suspend_and_reinstate),
            (6, lambda person: iter([self.set_password(person)])),
            (6, lambda person: iter([self.choose_tax_document(person)])),
            (16, self.mistake),
        ]
        weights = [weight for weight, _ in turns]
        ((_, turn),) = self.random.choices(turns, weights)
        return turn(person)

    def decline(self, person: Person) -> Iterator[Wish]:
        """A charge is declined; said twice now and then."""
        wish = self.by_system(
            "DeclinePayment", person, payment=str(random_id(self.random)),
            amount_minor=PRICE_MINOR, currency="CLP", reason="insufficient_funds",
        )  # fmt: skip
        yield dict(wish)
        yield from self.perhaps(0.3, wish)

    def end_and_resume(self, person: Person) -> Iterator[Wish]:
        """The subscription is ended, and that is mostly taken back."""
        yield self.own("EndSubscription", person)
        yield from self.perhaps(0.8, self.own("ResumeSubscription", person))

    def change_code(self, person: Person) -> Iterator[Wish]:
        """The account manager gives the account another e-mail, once assigned."""
        if person.managed_by is None:
            person.managed_by = self.random.choice(self.managers)
            yield self.by_manager(
                "AssignAccountManager", person, account_manager=str(person.managed_by)
            )
        former = person.email
        person.email = self.new_email()
        yield self.by_manager("ChangeUserCode", person, account=former, email=person.email)

    def suspend_and_reinstate(self, person: Person) -> Iterator[Wish]:
        """Suspended for a while, in which nothing is studied."""
        yield self.suspend(person)
        yield from self.perhaps(0.7, self.study(person))
        yield self.by_manager("ReinstateAccount", person, reason="resolved")

    def mistake(self, person: Person) -> Iterator[Wish]:
        """Something that a rule stands in the way of."""
        staff = {"kind": "support_staff", "id": str(self.managers[0])}
        stranger = {"kind": "person", "id": str(random_id(self.random))}
        mistakes = [
            self.register_again(person),
            self.start(person),
            self.own("ReactivateSubscription", person),
            self.own("ResumeSubscription", person),
            self.by_system("LapseSubscription", person),
            {**self.set_password(person), "actor": stranger},
            {**self.study(person), "actor": stranger},
            {**self.study(person), "actor": staff},
            {**self.capture(person), "amount_minor": PRICE_MINOR + 1},
            {**self.suspend(person), "actor": staff},
            self.own("ChooseTaxDocument", person, kind="factura", company_name="Editorial Sur"),
            self.own("CloseAccount", self.new_person(), reason="owner_request"),
        ]
        yield self.random.choice(mistakes)

    def depart(self, person: Person) -> Iterator[Wish]:
        """Closes the account or has everything erased; some come back, some only try."""
        if self.random.random() < 0.5:
            yield self.own("ErasePerson", person)
        else:
            yield self.own("CloseAccount", person, reason="owner_request")
        yield from self.perhaps(0.3, self.study(person))
        yield from self.perhaps(0.5, self.register(person))

    # ------------------------------------------------------------ the life of a plan

    def plan_life(self) -> Iterator[Wish]:
        """An institution contracts a plan, and people come and go."""
        school = self.new_institution()
        yield self.open_plan(school, seats=self.random.randrange(3, 12))
        yield from self.perhaps(0.3, self.invite(school, self.new_person(), "user"))
        yield self.invite_director(school)
        yield from self.perhaps(0.3, self.accept(self.new_person()))
        yield self.accept(school.director)
        yield from self.plan_steps(school)
        for _ in range(self.random.randrange(TURNS_OF_A_LIFE)):
            yield from self.turn_of_plan(school)
        if self.random.random() < 0.3:
            yield self.by_staff("EndSubscription", account=school.who)

    def plan_steps(self, school: Institution) -> Iterator[Wish]:
        """All steps up to a payment for twelve months."""
        yield self.by_staff("ChooseTaxDocument", account=school.who, kind="boleta")
        yield self.by_staff(
            "ConfirmPlan", account=school.who, plan="school", price_version=1,
            monthly_price_minor=PRICE_MINOR, currency="CLP",
        )  # fmt: skip
        yield self.by_staff("ChoosePaymentMethod", account=school.who, means="transfer", months=12)
        yield self.by_staff(
            "CapturePayment", account=school.who, payment=str(random_id(self.random)),
            amount_minor=12 * PRICE_MINOR, currency="CLP", gateway_reference="bank-1",
        )  # fmt: skip

    def turn_of_plan(self, school: Institution) -> Iterator[Wish]:
        """Something that happens in the middle of a plan."""
        turns: Sequence[tuple[int, Callable[[Institution], Iterator[Wish]]]] = [
            (10, self.join),
            (4, self.import_list),
            (4, self.expire_and_invite_elsewhere),
            (4, self.change_role),
            (4, self.remove),
            (3, self.change_seats),
            (2, self.erase_invitee),
            (4, self.mistake_of_plan),
        ]
        weights = [weight for weight, _ in turns]
        ((_, turn),) = self.random.choices(turns, weights)
        return turn(school)

    def join(self, school: Institution) -> Iterator[Wish]:
        """Invited, perhaps under a wrong address, and accepted or taken back."""
        person = self.new_person()
        role = self.random.choice(["user", "user", "administrator"])
        yield self.invite(school, person, role)
        yield from self.perhaps(0.2, self.of_school(school, "ResendInvitation", person))
        if self.random.random() < 0.2:
            former = self.spelled(person)
            person.email = self.new_email()
            yield {
                **self.of_school(school, "CorrectInvitation", person),
                "invitation": former,
                "email": person.email,
            }
        if self.random.random() < 0.2:
            yield self.of_school(school, "RevokeInvitation", person)
        yield self.accept(person)
        school.members.append(person)
        yield from self.perhaps(0.5, self.study(person))

    def import_list(self, school: Institution) -> Iterator[Wish]:
        """Several at once: one row is faulty, one says somebody twice."""
        people = [self.new_person() for _ in range(self.random.randrange(1, 4))]
        people[0].invited_at = self.now
        rows: list[Wish] = [
            {"row": row, "invitee": self.invitee(person, "user")}
            for row, person in enumerate([*people, people[0]], start=2)
        ]
        fault = {"rule": "I2", "column": "email", "message": "is missing", "remedy": "Write it."}
        rows.append({"row": len(rows) + 2, "faults": [fault]})
        wish = {
            "command": "ImportInvitations",
            "actor": self.administrator_of(school),
            "plan": str(school.plan),
            "invitation_import": str(random_id(self.random)),
        }
        yield {**wish, "rows": rows[:2]}
        yield {**wish, "rows": rows, "last": True}
        yield self.accept(people[0])
        school.members.append(people[0])

    def expire_and_invite_elsewhere(self, school: Institution) -> Iterator[Wish]:
        """What nobody answered is recorded as expired, or taken over by a registration."""
        person = self.new_person()
        yield self.invite(school, person, "user")
        later = self.now + timedelta(days=15)
        if self.random.random() < 0.5:
            yield {
                "command": "ExpireInvitation", "actor": self.system, "at": later,
                "invitation": self.spelled(person),
            }  # fmt: skip
        yield {**self.register(person), "at": later}

    def change_role(self, school: Institution) -> Iterator[Wish]:
        """A member is given another role, twice over."""
        if school.members:
            person = self.random.choice(school.members)
            for role in ("administrator", "user"):
                yield {**self.of_member(school, "ChangeRole", person), "role": role}

    def remove(self, school: Institution) -> Iterator[Wish]:
        """A member is let go, and is perhaps invited again, or pays as an individual."""
        if school.members:
            person = school.members.pop(self.random.randrange(len(school.members)))
            yield self.of_member(school, "RemoveMember", person)
            yield self.study(person)
            if self.random.random() < 0.5:
                yield self.invite(school, person, "user")
                yield self.accept(person)
            else:
                yield self.confirm_phone(person)
                yield self.set_password(person)
                yield self.start(person)
                yield from self.steps(person)
                yield self.pay(person)

    def change_seats(self, school: Institution) -> Iterator[Wish]:
        """Sometimes fewer than there are members."""
        seats = self.random.choice([1, 5, 20])
        yield self.by_staff("ChangeSeats", plan=str(school.plan), seats=seats)

    def erase_invitee(self, school: Institution) -> Iterator[Wish]:
        """Somebody who never had an account is erased, and invited again as somebody new."""
        person = self.new_person()
        yield self.invite(school, person, "user")
        yield self.own("ErasePerson", person)
        yield from self.perhaps(0.5, self.invite(school, person, "user"))

    def mistake_of_plan(self, school: Institution) -> Iterator[Wish]:
        """Something that a rule stands in the way of."""
        stranger = {"kind": "person", "id": str(random_id(self.random))}
        mistakes = [
            self.of_member(school, "RemoveMember", school.director),
            {**self.invite(school, self.new_person(), "user"), "actor": stranger},
            self.invite(school, school.director, "user"),
            self.accept(self.new_person()),
            self.by_staff("ChangeSeats", plan=str(random_id(self.random)), seats=3),
            self.open_plan(school, seats=3),
        ]
        if school.members:
            # Refused while any of them is there.
            mistakes.append(self.own("CloseAccount", school.director, reason="owner_request"))
        yield self.random.choice(mistakes)

    # ------------------------------------------------------------ refused, and mended later

    def confirms_before_registering(self, person: Person) -> Iterator[Wish]:
        """A1: there is no such account yet."""
        yield {**self.confirm_phone(person), "mended": True}
        yield self.register(person)

    def starts_before_confirming(self, person: Person) -> Iterator[Wish]:
        """A4: the phone is not confirmed yet."""
        yield self.register(person)
        yield {**self.start(person), "mended": True}
        yield self.confirm_phone(person)
        yield self.set_password(person)

    def plans_before_tax_document(self, person: Person) -> Iterator[Wish]:
        """S1: a step out of order."""
        yield from self.ready(person)
        yield self.start(person)
        yield {**self.confirm_plan(person), "mended": True}
        yield self.choose_tax_document(person)

    def pays_before_means(self, person: Person) -> Iterator[Wish]:
        """S1: the last step out of order."""
        yield from self.ready(person)
        yield self.start(person)
        yield self.choose_tax_document(person)
        yield self.confirm_plan(person)
        yield {**self.capture(person), "mended": True}
        yield self.choose_card(person)

    def studies_before_payment(self, person: Person) -> Iterator[Wish]:
        """S3: a payment that came in before is recorded after."""
        yield from self.ready(person)
        yield self.start(person)
        yield self.choose_tax_document(person)
        yield self.confirm_plan(person)
        yield self.choose_card(person)
        paid_at = self.now
        yield {**self.study(person), "mended": True}
        yield {**self.capture(person), "at": paid_at}

    def ends_before_payment(self, person: Person) -> Iterator[Wish]:
        """S4: there is nothing to end yet."""
        yield from self.ready(person)
        yield self.start(person)
        yield self.choose_tax_document(person)
        yield self.confirm_plan(person)
        yield self.choose_card(person)
        yield {**self.own("EndSubscription", person), "mended": True}
        yield self.capture(person)

    def changes_code_before_assignment(self, person: Person) -> Iterator[Wish]:
        """A5: the account manager is not assigned yet."""
        person.managed_by = self.managers[0]
        yield self.register(person)
        yield {
            **self.by_manager("ChangeUserCode", person, email=self.new_email()),
            "mended": True,
        }
        yield self.by_manager(
            "AssignAccountManager", person, account_manager=str(person.managed_by)
        )

    def registers_before_closing(self, person: Person) -> Iterator[Wish]:
        """A3: the address is not free yet."""
        yield self.register(person)
        yield {**self.register_again(person), "mended": True}
        yield self.own("CloseAccount", person, reason="owner_request")

    def reinstated_before_suspension(self, person: Person) -> Iterator[Wish]:
        """A10: it is not suspended yet."""
        yield self.register(person)
        yield {**self.by_manager("ReinstateAccount", person, reason="other"), "mended": True}
        yield self.suspend(person)

    def suspended_twice(self, person: Person) -> Iterator[Wish]:
        """A10: it is suspended already."""
        yield self.register(person)
        yield self.suspend(person)
        yield {**self.suspend(person), "mended": True}
        yield self.by_manager("ReinstateAccount", person, reason="resolved")

    def invited_without_seats(self, person: Person) -> Iterator[Wish]:
        """S10: the only seat is the director's."""
        school = self.new_institution()
        yield self.open_plan(school, seats=1)
        yield self.invite_director(school)
        yield self.accept(school.director)
        yield {**self.invite(school, person, "user"), "mended": True}
        yield self.by_staff("ChangeSeats", plan=str(school.plan), seats=2)

    def ready(self, person: Person) -> Iterator[Wish]:
        """May begin a subscription."""
        yield self.register(person)
        yield self.confirm_phone(person)
        yield self.set_password(person)

    # ------------------------------------------------------------ single commands

    def register(self, person: Person) -> Wish:
        return {
            "command": "RegisterUser",
            "actor": {"kind": "person"},
            "given_name": self.random.choice(["Ana", "Bruno", "Carla", "Diego", "Elisa"]),
            "paternal_surname": self.random.choice(["Rojas", "Soto", "Muñoz", "Díaz"]),
            "email": person.email,
            "phone": person.phone,
            "rut": person.rut,
        }

    def register_again(self, person: Person) -> Wish:
        """Under the same address or the same RUT, spelled otherwise."""
        again = {**self.register(person), "email": self.spelled(person)}
        if self.random.random() < 0.5:
            del again["rut"]
        return again

    def confirm_phone(self, person: Person) -> Wish:
        return self.by_system("ConfirmPhone", person)

    def set_password(self, person: Person) -> Wish:
        return self.own("SetPassword", person)

    def start(self, person: Person) -> Wish:
        return self.own("StartSubscription", person)

    def choose_tax_document(self, person: Person) -> Wish:
        if self.random.random() < 0.6:
            return self.own("ChooseTaxDocument", person, kind="boleta")
        return self.own(
            "ChooseTaxDocument", person, kind="factura", company_name="Editorial Sur",
            company_rut="76.086.428-5", line_of_business="Libros", address="Calle Larga 1",
        )  # fmt: skip

    def confirm_plan(self, person: Person) -> Wish:
        return self.own(
            "ConfirmPlan", person, plan="full-access", price_version=1,
            monthly_price_minor=PRICE_MINOR, currency="CLP",
        )  # fmt: skip

    def choose_card(self, person: Person) -> Wish:
        return self.own("ChoosePaymentMethod", person, means="card", months=1)

    def pay(self, person: Person) -> Wish:
        """A payment that is probably captured."""
        person.paid_until = max(person.paid_until or self.now, self.now) + timedelta(days=30)
        return self.capture(person)

    def capture(self, person: Person) -> Wish:
        payment = random_id(self.random)
        return self.by_system(
            "CapturePayment", person, payment=str(payment), amount_minor=PRICE_MINOR,
            currency="CLP", gateway_reference=f"gateway-{payment.hex[:8]}",
        )  # fmt: skip

    def study(self, person: Person) -> Wish:
        content = f"algebra/unit-{self.random.randrange(1, 9)}"
        return self.own("StudyContent", person, content=content)

    def suspend(self, person: Person) -> Wish:
        return self.by_manager("SuspendAccount", person, reason="misuse", note="was told twice")

    def open_plan(self, school: Institution, seats: int) -> Wish:
        plan = str(school.plan)
        return self.by_staff("OpenPlan", plan=plan, institution="Liceo Uno", seats=seats)

    def invitee(self, person: Person, role: str) -> Wish:
        return {
            "role": role,
            "given_name": self.random.choice(["Fabiola", "Gabriel", "Hilda", "Iván"]),
            "paternal_surname": self.random.choice(["Vera", "Paz", "Ñáñez"]),
            "maternal_surname": self.random.choice(["Rojas", "Soto", "Muñoz"]),
            "rut": person.rut,
            "email": person.email,
            "phone": person.phone,
        }

    def invite(self, school: Institution, person: Person, role: str) -> Wish:
        person.invited_at = self.now
        return {
            "command": "InviteMember",
            "actor": self.administrator_of(school),
            "plan": str(school.plan),
            "invitation": str(random_id(self.random)),
            **self.invitee(person, role),
        }

    def invite_director(self, school: Institution) -> Wish:
        """The first super-administrator comes from an account manager."""
        invited = self.invite(school, school.director, "super_administrator")
        return {**invited, "actor": self.by_staff("")["actor"]}

    def accept(self, person: Person) -> Wish:
        """Soon after the invitation, however long others take to have their turn."""
        who = self.spelled(person)
        at = (person.invited_at or self.now) + timedelta(hours=2)
        actor = {"kind": "person", "who": who}
        return {"command": "AcceptInvitation", "actor": actor, "invitation": who, "at": at}

    def of_school(self, school: Institution, command: str, person: Person) -> Wish:
        """What an administrator asks about an invitation, soon after it went out."""
        actor = self.administrator_of(school)
        at = (person.invited_at or self.now) + timedelta(hours=1)
        return {"command": command, "actor": actor, "invitation": self.spelled(person), "at": at}

    def of_member(self, school: Institution, command: str, person: Person) -> Wish:
        """What an administrator asks about a member."""
        actor = self.administrator_of(school)
        account = self.spelled(person)
        return {"command": command, "actor": actor, "plan": str(school.plan), "account": account}

    def administrator_of(self, school: Institution) -> Wish:
        return {"kind": "person", "who": self.spelled(school.director)}

    def by_staff(self, command: str, **fields: object) -> Wish:
        """What an account manager asks about a plan."""
        actor = {"kind": "account_manager", "id": str(self.managers[0])}
        return {"command": command, "actor": actor, **fields}

    def own(self, command: str, person: Person, **fields: object) -> Wish:
        """What people ask about their own account."""
        who = self.spelled(person)
        return {
            "command": command,
            "actor": {"kind": "person", "who": who},
            "account": who,
            **fields,
        }

    def by_system(self, command: str, person: Person, **fields: object) -> Wish:
        return {"command": command, "actor": self.system, "account": self.spelled(person), **fields}

    def by_manager(self, command: str, person: Person, **fields: object) -> Wish:
        manager = person.managed_by or self.managers[0]
        actor = {"kind": "account_manager", "id": str(manager)}
        return {"command": command, "actor": actor, "account": self.spelled(person), **fields}

    # ------------------------------------------------------------ chance

    def new_person(self) -> Person:
        number = str(self.random.randrange(5_000_000, 25_000_000))
        return Person(
            email=self.new_email(),
            rut=f"{number}-{calc_check_digit(number)}",
            phone=f"+569{self.random.randrange(61_000_000, 69_000_000)}",
        )

    def new_institution(self) -> Institution:
        return Institution(random_id(self.random), self.new_person())

    def new_email(self) -> str:
        self.people += 1
        return f"person{self.people}@example.com"

    def spelled(self, person: Person) -> str:
        """The address as somebody happens to write it."""
        return self.random.choice([person.email, person.email.upper(), person.email.title()])

    def perhaps(self, chance: float, wish: Wish) -> Iterator[Wish]:
        if self.random.random() < chance:
            yield wish


def main() -> None:
    """Prints a workload."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--commands", type=int, default=5000)
    arguments.add_argument("--seed", type=int, default=7)
    chosen = arguments.parse_args()
    print(*make_workload(chosen.commands, chosen.seed).lines, sep="\n")


if __name__ == "__main__":
    main()

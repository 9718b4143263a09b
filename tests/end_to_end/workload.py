"""Makes input for ``acta apply``: the lives of some hundred people, in one file.

The same seed makes the same lines. People are named by their e-mails, in any spelling, and change
them midway. At least one command in ten is refused, and one in a hundred is refused in its place
although it would be accepted, word for word, if it were asked again at the end.

    python -m tests.end_to_end.workload --commands 5000 --seed 7 > commands.jsonl
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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


class World:
    """Everybody, and what time it is."""

    def __init__(self, commands: int, random: Random) -> None:
        self.commands = commands
        self.random = random
        self.now = BEGINNING
        self.managers = [random_id(random) for _ in range(3)]
        self.system = {"kind": "system", "id": str(random_id(random))}
        self.people = 0

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
                living.append(self.life())
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

"""``acta contract`` and ``acta contracts``."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.account import AccountSuspended, SuspensionReason
from domain.actor import Actor
from domain.contract import (
    ContractEnded,
    ContractEndReason,
    InformationDocumentWithdrawn,
    RiskLinked,
    RoleFilled,
)
from handlers.composition import Acta
from tests.handlers.cli.conftest import Terminal
from tests.handlers.stories import BEGINNING
from tests.projections.contract_lives import Agreement, Chronicle, Worker

AT = ["--at", BEGINNING.isoformat()]
NEXT = BEGINNING + timedelta(days=1)
OLGA = "olga@obras.example.com"
UNKNOWN = UUID("0195f3c2-7a41-4c1e-9d3f-5b8e2a6c4d10")


@dataclass(frozen=True)
class Works:
    """A contract with somebody linked to it, and its documents."""

    agreement: Agreement
    olga: Worker
    rules: UUID
    plan: UUID


@pytest.fixture
def told(acta: Acta) -> Chronicle:
    """Facts are written into the database that the terminal's settings name."""
    return Chronicle(acta)


@pytest.fixture
def works(told: Chronicle) -> Works:
    """Olga has read the rules in their first version, and one role of two is filled."""
    agreement = told.agree(roles=("site_manager", "first_aid"))
    olga = told.join(agreement, OLGA)
    rules, plan = told.publish(agreement), told.publish(agreement, code="evacuation")
    told.read(agreement, olga, rules)
    told.publish(agreement, rules, version=2)
    told.download(agreement, olga, rules, 2)
    told.of(agreement, RiskLinked, risk="work_at_height", linked_by=olga.person)
    filled: dict[str, Any] = {
        "role": "first_aid",
        "filled_by": olga.person,
        "named_by": olga.person,
    }
    told.of(agreement, RoleFilled, **filled)
    told.acta.projector.catch_up()
    return Works(agreement, olga, rules, plan)


def as_(actor: Actor) -> list[str]:
    """Asked by a person, whom the terminal vouches for."""
    return ["--actor", f"person:{actor.id}"]


# ---------------------------------------------------------------- one contract


@pytest.mark.rule("C3", "C4", "C6")
def test_a_contract_is_shown_with_what_is_still_to_do(terminal: Terminal, works: Works) -> None:
    id_ = works.agreement.id
    phone, email = "phone: +34612345678", "email: interlocutora@example.com"
    for name in (id_, f"contract:{id_}", f" contract:{id_} "):
        ended = terminal("contract", name, *AT, "--actor", "auditor")
        assert (ended.status, ended.err) == (0, "")
        for line in (
            f"contract: {id_}, at {BEGINNING.isoformat()}",
            f"holder: {works.agreement.holder}",
            f"contractor: {works.agreement.contractor}",
            "in force: yes, from 2026-01-01 to 2026-12-31 (Europe/Madrid)",
            "modules: documentation",
            f"validator: {works.agreement.validator}, holder_technician; name: Vera Tapia; {phone}",
            f"contact: {works.agreement.contact}; name: Irene Ibarra; {email}",
            "risks: work_at_height",
            f"required roles: site_manager (nobody), first_aid ({works.olga.person})",
            "outstanding: roles",
        ):
            assert f"{line}\n" in ended.out
        assert "site_rules 2 2026-01-31 16:00:00 application/pdf 2000 1 0" in ended.said
        left = f"{works.olga.account} 2026-01-31 16:00:00 evacuation 1 site_rules 2, evacuation 1"
        assert f"{left} given_name: Olga;" in ended.said
        assert ended.out.endswith("known up to position 13\n")


@pytest.mark.rule("C3", "C4", "C6")
def test_a_contract_in_json(terminal: Terminal, works: Works) -> None:
    """Everything, with who downloaded and read which version."""
    told = terminal("contract", works.agreement.id, *AT, "--actor", "auditor", "--json").json
    assert list(told) == [
        "contract", "holder", "contractor", "modules", "days", "valid_from", "valid_to",
        "time_zone", "ended_at", "ended_because", "outstanding", "validator", "contact",
        "documents", "risks", "roles", "people", "at", "position", "degraded",
    ]  # fmt: skip
    assert (told["days"], told["outstanding"], told["degraded"]) == ("in_force", ["roles"], False)
    assert list(told["validator"]) == ["person", "kind", "since", "personal"]
    assert told["contact"]["personal"]["name"] == {"state": "open", "value": "Irene Ibarra"}
    rules, plan = told["documents"]
    assert (rules["document"], plan["document"]) == (str(works.rules), str(works.plan))
    by_olga = {"person": str(works.olga.person), "at": BEGINNING.isoformat()}
    assert [(each["downloaded_by"], each["read_by"]) for each in rules["versions"]] == [
        ([by_olga], [by_olga]), ([by_olga], []),
    ]  # fmt: skip
    (olga,) = told["people"]
    assert list(olga) == [
        "account", "person", "since", "standing", "to_download", "to_read", "personal",
    ]  # fmt: skip
    evacuation = {"document": str(works.plan), "code": "evacuation", "version": 1}
    assert olga["to_download"] == [evacuation]
    assert [each["code"] for each in olga["to_read"]] == ["site_rules", "evacuation"]
    assert [each["risk"] for each in told["risks"]] == ["work_at_height"]
    assert [(each["role"], each["filled_by"]) for each in told["roles"]] == [
        ("site_manager", None), ("first_aid", str(works.olga.person)),
    ]  # fmt: skip


@pytest.mark.rule("G1", "C6")
def test_who_the_people_are_is_shown_to_those_whom_it_concerns(
    terminal: Terminal, works: Works
) -> None:
    """The contact sees the people; they see the contact and the validator; others see nobody."""

    def shown(*asker: str) -> str:
        return terminal("contract", works.agreement.id, *AT, *asker).out

    assert f"email: {OLGA}" in shown(*as_(works.agreement.its_contact))
    assert f"email: {OLGA}" in shown(*as_(works.olga.itself))
    assert "name: Vera Tapia" in shown(*as_(works.olga.itself))
    sealed = shown()
    for value in (OLGA, "Vera", "Irene", "+34"):
        assert value not in sealed
    assert "holder_technician; sealed: name, phone\n" in sealed
    assert "sealed: given_name, paternal_surname, email, phone" in " ".join(sealed.split())


@pytest.mark.rule("A10", "C3")
def test_what_is_over_says_so(terminal: Terminal, told: Chronicle, works: Works) -> None:
    """A contract that was ended, a document that was withdrawn, a suspended account."""
    told.of(works.agreement, InformationDocumentWithdrawn, document=works.plan, at=NEXT)
    told.on(works.olga, AccountSuspended, reason=SuspensionReason.SECURITY, at=NEXT)
    told.of(works.agreement, ContractEnded, reason=ContractEndReason.COMPLETED, at=NEXT)
    told.acta.projector.catch_up()
    ended = terminal("contract", works.agreement.id, "--at", NEXT.isoformat())
    assert "in force: no, ended 2026-02-01 16:00:00 UTC: completed, from 2026-01-01" in ended.out
    assert "outstanding: in_force, roles\n" in ended.out
    assert "evacuation (withdrawn) 1" in ended.said
    assert f"{works.olga.account} (suspended)" in ended.out


def test_a_contract_that_has_nothing_yet(terminal: Terminal, told: Chronicle) -> None:
    """Without documents and people there are no tables."""
    agreement = told.agree(date(2026, 3, 1))
    told.acta.projector.catch_up()
    shown = terminal("contract", agreement.id, *AT).out
    assert "in force: not yet, from 2026-03-01" in shown
    assert "risks: none\nrequired roles: none\noutstanding: in_force, risks\nknown up to" in shown


# ---------------------------------------------------------------- contracts


@pytest.mark.rule("C3")
def test_contracts_are_listed_by_their_last_day(
    terminal: Terminal, told: Chronicle, works: Works
) -> None:
    soon = told.agree(valid_to=date(2026, 2, 20))
    over = told.agree(valid_to=date(2026, 1, 30))
    told.acta.projector.catch_up()

    def listed(*asked: object) -> list[str]:
        answer = terminal("contracts", *AT, *asked, "--json").json
        assert list(answer) == ["at", "contracts", "position", "degraded"]
        return [line["contract"] for line in answer["contracts"]]

    expected = [str(each.id) for each in (over, soon, works.agreement)]
    assert listed() == expected
    assert listed("--in-force") == expected[1:]
    assert listed("--ending-within", 20) == [str(soon.id)]
    assert listed("--ending-within", 19) == []
    shown = terminal("contracts", *AT)
    assert (shown.status, shown.err) == (0, "")
    assert f"{over.id} no, run out 2026-01-01 2026-01-30 Europe/Madrid documentation 0" in (
        shown.said
    )
    assert f"{works.agreement.id} yes 2026-01-01 2026-12-31 Europe/Madrid documentation 1" in (
        shown.said
    )


@pytest.mark.rule("X6")
def test_an_answer_that_may_miss_something_says_so(
    terminal: Terminal, told: Chronicle, works: Works
) -> None:
    """Where a stream is parked."""
    told.agree(zone="Europe/Atlantis")
    told.acta.projector.catch_up()
    for command in (["contracts"], ["contract", works.agreement.id]):
        ended = terminal(*command, *AT)
        assert "degraded: " in ended.out
        assert terminal(*command, *AT, "--json").json["degraded"] is True


@pytest.mark.rule("X4")
def test_a_position_is_waited_for(terminal: Terminal, told: Chronicle, works: Works) -> None:
    """Or, past the deadline, it is said that it is not known."""
    told.agree()
    head = told.acta.store.head()
    for asked in (["contracts"], ["contract", works.agreement.id]):
        ended = terminal(*asked, *AT, "--at-least", head, "--deadline", 0)
        assert (ended.status, f"not {head}" in ended.err) == (2, True)
    told.acta.projector.catch_up()
    answer = terminal("contracts", *AT, "--at-least", head, "--json").json
    assert (len(answer["contracts"]), answer["position"]) == (2, head)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["contract", "nothing"], "CONTRACT: the id is not a UUID"),
        (["contract", f"plan:{UNKNOWN}"], "CONTRACT: the id is not a UUID"),
        (["contract", UNKNOWN], "there is no such contract"),
        (["contract", UNKNOWN, "--at", "yesterday"], "--at: not an instant"),
        (["contract", UNKNOWN, "--actor", "holder"], "--actor has no kind that there is"),
        (["contracts", "--ending-within", "-1"], "Invalid value for '--ending-within'"),
        (["contracts", "--ending-within", "soon"], "Invalid value for '--ending-within'"),
        (["contracts", "--at-least", "999999999"], "lies beyond the head of the log"),
    ],
)
def test_bad_input_is_told_in_words(
    shared_terminal: Terminal, arguments: list[object], said: str
) -> None:
    ended = shared_terminal(*arguments)
    assert ended.status == 2
    assert ended.out == ""
    assert said in ended.said


# ---------------------------------------------------------------- acta check


@pytest.mark.rule("X2", "C4")
def test_a_check_says_which_contract_is_meant_where_there_are_several(
    terminal: Terminal, told: Chronicle, works: Works
) -> None:
    """The same rule may be in the way of each."""
    asked = ["check", f"account:{works.olga.account}", "module:documentation", *AT]
    assert "in the way, C4: " in terminal(*asked).out
    other = told.agree()
    told.link(other, works.olga, OLGA)
    told.acta.projector.catch_up()
    shown = terminal(*asked).out
    for agreement in (works.agreement, other):
        assert f"in the way, C4, contract {agreement.id}: " in shown

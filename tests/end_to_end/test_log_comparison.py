"""The comparison of logs sees what counts, and nothing else (decision 15)."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from uuid import UUID, uuid4

import pytest

from domain.account import (
    CloseAccount,
    ClosureReason,
    ConfirmPhone,
    SetPassword,
    UserRegistered,
)
from domain.actor import Actor
from domain.command import Command
from domain.event import Event, Recorded
from domain.personal import Purpose, Sealed
from domain.study_history import ContentStudied
from domain.subscription import PaymentCaptured
from handlers.composition import Acta
from handlers.ledger import Receipt
from handlers.store.sealing import NotOpened
from tests.end_to_end.log_comparison import compare_logs, make_entries, read_log, recorded_log
from tests.handlers.stories import (
    ANA,
    BEGINNING,
    BRUNO,
    SOMEBODY,
    Story,
    closing,
    registration,
)

Asking = tuple[Command, Actor, UUID]


@pytest.fixture
def log(acta: Acta) -> list[Recorded]:
    """Somebody pays, studies and leaves; somebody else registers in between."""
    story = Story(acta)
    ana = story.subscriber(ANA)
    story.study(ana, "algebra/1")
    story.register(BRUNO)
    story.pay(ana)
    story.study(ana, "algebra/2")
    story.ask(closing(ana), ana.itself)
    return list(recorded_log(acta))


def differences(acta: Acta, log: Sequence[Recorded], changed: Sequence[Recorded]) -> list[str]:
    """What the comparison finds."""
    return compare_logs(make_entries(log, acta), make_entries(changed, acta))


def place_of(log: Sequence[Recorded], kind: type[Event], number: int = 0) -> int:
    """Where in the log the first event of a kind stands, the second, and so on."""
    return [place for place, entry in enumerate(log) if isinstance(entry.event, kind)][number]


def with_fields(entry: Recorded, **fields: object) -> Recorded:
    """The entry with another content."""
    return replace(entry, event=entry.event.model_copy(update=fields))


# ---------------------------------------------------------------- what is no difference


def test_a_log_equals_itself(acta: Acta, log: list[Recorded]) -> None:
    """Nothing differs."""
    assert differences(acta, log, log) == []


def test_other_ids_keys_and_times_are_no_difference(acta: Acta, other_acta: Acta) -> None:
    """Two runs of the same commands differ in all that chance and the clock give."""
    for each in (acta, other_acta):
        for command, actor, command_id in [*life(ANA, 1), *life(BRUNO, 2)]:
            each.ledger.answer(command, actor, command_id)
    one, other = list(recorded_log(acta)), list(recorded_log(other_acta))
    assert not {entry.event_id for entry in one} & {entry.event_id for entry in other}
    assert compare_logs(read_log(acta), read_log(other_acta)) == []


def test_another_order_between_streams_is_no_difference(acta: Acta, other_acta: Acta) -> None:
    """One after the other, or both by turns: each account has the same history."""
    anas, brunos = life(ANA, 1), life(BRUNO, 2)
    by_turns = filter(None, chain.from_iterable(zip_longest(brunos, anas)))
    for each, order in ((acta, [*anas, *brunos]), (other_acta, list(by_turns))):
        for command, actor, command_id in order:
            each.ledger.answer(command, actor, command_id)
    topics = [[entry.topic for entry in read_log(each)] for each in (acta, other_acta)]
    assert topics[0] != topics[1]
    assert compare_logs(read_log(acta), read_log(other_acta)) == []


def life(email: str, number: int) -> list[Asking]:
    """Somebody registers, has everything confirmed, and leaves."""
    itself = Actor.model_validate({"kind": "person", "who": email})
    system = Actor.model_validate({"kind": "system", "id": UUID(int=9)})
    commands: list[tuple[Command, Actor]] = [
        (registration(email), SOMEBODY),
        (ConfirmPhone(at=BEGINNING, account=email), system),
        (SetPassword(at=BEGINNING, account=email), itself),
        (CloseAccount(at=BEGINNING, account=email, reason=ClosureReason.OTHER, note="!"), itself),
        (registration(email), SOMEBODY),
    ]
    return [
        (command, actor, UUID(int=1000 * number + place))
        for place, (command, actor) in enumerate(commands)
    ]


def test_ids_within_the_rows_of_an_import_are_no_difference(acta: Acta, other_acta: Acta) -> None:
    """A plan, those invited by list, and their invitations have other ids in each log."""
    plan, lists = UUID(int=50), (UUID(int=51), UUID(int=52))
    for each, known_as in zip((acta, other_acta), lists, strict=True):
        told = SameCommandIds(each)
        school = told.institution(plan=plan)
        told.import_list(school, [ANA, None, BRUNO], invitation_import=known_as)
        told.accept(ANA)
    assert compare_logs(read_log(acta), read_log(other_acta)) == []


class SameCommandIds(Story):
    """Tells a story with command ids that are the same in each ledger."""

    def __init__(self, acta: Acta) -> None:
        super().__init__(acta)
        self._given = 0

    def ask(self, command: Command, actor: Actor, command_id: UUID | None = None) -> Receipt:
        """Gives a command under the next id."""
        self._given += 1
        return super().ask(command, actor, command_id or UUID(int=self._given))


# ---------------------------------------------------------------- what is one


def test_a_changed_field_is_found(acta: Acta, log: list[Recorded]) -> None:
    """The report names stream, event, field and both values."""
    place = place_of(log, PaymentCaptured)
    changed = [*log]
    changed[place] = with_fields(log[place], amount_minor=1)
    (difference,) = differences(acta, log, changed)
    assert "stream subscription" in difference
    assert "PaymentCaptured" in difference
    assert str(log[place].command_id) in difference
    assert "amount_minor: 9990 | 1" in difference


def test_a_changed_personal_value_is_found(acta: Acta, log: list[Recorded]) -> None:
    """It is opened to be compared."""
    first = log[0]
    wanted = (first.event.person, Purpose.IDENTITY)
    keys, _ = acta.vault.keys_for([wanted])

    def called(name: str) -> list[Recorded]:
        sealed = acta.vault.seal(name, keys[wanted], first.event_id, "given_name")
        return [with_fields(first, given_name=sealed), *log[1:]]

    (difference,) = differences(acta, log, called("Anna"))
    assert "'Ana'" in difference
    assert "'Anna'" in difference
    assert differences(acta, log, called("Ana")) == []


def test_a_missing_event_is_found(acta: Acta, log: list[Recorded]) -> None:
    """And nothing else is said to differ."""
    place = place_of(log, ContentStudied)
    (difference,) = differences(acta, log, [*log[:place], *log[place + 1 :]])
    assert "ContentStudied" in difference
    assert "only in the first log" in difference


def test_a_doubled_event_is_found(acta: Acta, log: list[Recorded]) -> None:
    """The same command was answered twice."""
    place = place_of(log, ContentStudied)
    again = replace(log[place], event_id=uuid4(), version=3, position=log[-1].position + 1)
    (difference,) = differences(acta, log, [*log, again])
    assert f"{log[place].command_id} #2 is only in the second log" in difference


def test_a_missing_stream_is_found(acta: Acta, log: list[Recorded]) -> None:
    """As such, and not event by event."""
    stream = log[place_of(log, ContentStudied)].stream
    changed = [entry for entry in log if entry.stream != stream]
    (difference,) = differences(acta, log, changed)
    assert "study_history" in difference
    assert "only in the first log" in difference


def test_another_order_within_a_stream_is_found(acta: Acta, log: list[Recorded]) -> None:
    """Though the same events are there."""
    first, second = place_of(log, ContentStudied, 0), place_of(log, ContentStudied, 1)
    changed = [*log]
    changed[first], changed[second] = log[second], log[first]
    found = differences(acta, log, changed)
    assert any("the same events in another order" in difference for difference in found)


def test_another_person_is_found(acta: Acta, log: list[Recorded]) -> None:
    """Ids are mapped, and one that stands in another's place is a difference."""
    stranger = log[place_of(log, UserRegistered, 1)].event.person
    place = place_of(log, ContentStudied, 1)
    changed = [*log]
    changed[place] = with_fields(log[place], person=stranger)
    (difference,) = differences(acta, log, changed)
    assert "person: " in difference


def test_another_order_within_a_command_is_found(acta: Acta, log: list[Recorded]) -> None:
    """A command binds the events of two streams."""
    *others, closed, ended = log
    assert closed.command_id == ended.command_id
    assert closed.stream != ended.stream
    assert differences(acta, log, [*others, ended, closed])


def test_an_effect_before_its_cause_is_found(acta: Acta, log: list[Recorded]) -> None:
    """A cause binds events of two streams and of two commands."""
    cause = log[0]
    effect = replace(log[place_of(log, ContentStudied)], causation_id=cause.event_id)
    rest = [entry for entry in log[1:] if entry.event_id != effect.event_id]
    found = differences(acta, [cause, effect, *rest], [effect, cause, *rest])
    assert any(difference.startswith("cause ") for difference in found)


def test_a_value_sealed_for_another_event_is_no_value(acta: Acta, log: list[Recorded]) -> None:
    """The comparison opens values as any reader does, and is not fooled by a copy."""
    first, second = place_of(log, UserRegistered, 0), place_of(log, UserRegistered, 1)
    registered = log[first].event
    assert isinstance(registered, UserRegistered)
    assert isinstance(registered.given_name, Sealed)
    copied = [*log]
    copied[second] = with_fields(log[second], given_name=registered.given_name)
    with pytest.raises(NotOpened):
        differences(acta, log, copied)

"""What every event and every command carries, and what none may (section E of the rules)."""

import re
from datetime import date
from uuid import UUID

import pytest
from pydantic import ValidationError

import domain.authority
from domain.account import UserRegistered
from domain.command import Command, command_classes
from domain.event import Event, event_class, event_classes
from domain.personal import personal_fields
from domain.subscription import (
    ChoosePaymentMethod,
    PaymentCaptured,
    PaymentMeans,
    PaymentMethodChosen,
)
from tests.domain.stories import PERSON, WHO, captured, noon, registered

EVENTS = event_classes()
COMMANDS = list(command_classes().values())
SECRET = re.compile(r"password|secret|token|card|otp|one_time_key|pin|cvv|hash", re.IGNORECASE)
SEALED_AT_ONCE = {"ChoosePaymentMethod": {"card_token"}}
"""Which commands bring something that goes into the vault and nowhere else."""

NAMES = {
    "account": [
        "UserRegistered", "PhoneConfirmed", "PasswordSet", "UserCodeChanged",
        "AccountManagerAssigned", "AccountSuspended", "AccountReinstated", "RoleAssigned",
        "MemberRemoved", "AccountBecameIndividual", "AccountClosed", "PersonErased",
    ],
    "contract": [
        "ContractOpened", "ContractReactivated", "ContractEnded", "ContractExpired",
        "ContractNoticeRequested", "ContactNamed", "ValidatorNamed",
        "InformationDocumentPublished", "InformationDocumentWithdrawn", "RolesRequired",
        "RoleFilled", "RoleVacated", "RiskLinked", "RiskUnlinked",
    ],
    "contract_link": [
        "PersonLinked", "PersonUnlinked", "InformationDocumentDownloaded",
        "InformationDocumentMarkedAsRead",
    ],
    "disclosure": ["PersonalValueOpened"],
    "invitation": [
        "InvitationSent", "InvitationSentAgain", "InvitationCorrected", "InvitationRevoked",
        "InvitationExpired", "InvitationAccepted", "InvitationNoticeRequested", "InviteeErased",
    ],
    "invitation_import": [
        "InvitationImportStarted", "InvitationRowsImported", "InvitationImportCompleted",
    ],
    "operations": ["ParkedStreamRetried", "ParkedEventSkipped"],
    "study_history": ["ContentStudied"],
    "subscription": [
        "SubscriptionStarted", "SeatsChanged", "TaxDocumentChosen", "PlanConfirmed",
        "PaymentMethodChosen",
        "PaymentCaptured", "PaymentDeclined", "SubscriptionEnded", "SubscriptionResumed",
        "SubscriptionLapsed", "SubscriptionReactivated", "ChargeRequested",
        "PaymentOutcomeUnknown", "SubscriptionPastDue", "PriceAnnounced", "RefundRequested",
        "PaymentRefunded", "RefundFailed", "NoticeRequested",
    ],
    "support_ticket": [
        "TicketOpened", "TicketReplied", "TicketRouted", "TicketAssigned", "TicketResolved",
        "TicketReopened", "TicketClosed", "TicketMerged", "PersonCopied", "PersonUncopied",
        "MessagesSplitOff", "MessagesTakenOver",
    ],
}  # fmt: skip
SECOND_VERSIONS = {"SubscriptionStarted", "PaymentDeclined"}


def named(cls: type[Event | Command]) -> str:
    """What a class is called in a report."""
    return cls.__name__


def test_events_have_the_names_that_are_fixed() -> None:
    """A topic is the aggregate, the fact and its version."""
    expected = {
        f"{aggregate}.{name}.v{2 if name in SECOND_VERSIONS else 1}"
        for aggregate, names in NAMES.items()
        for name in names
    }
    assert {cls.TOPIC for cls in EVENTS} == expected


@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_a_topic_leads_to_the_class_that_reads_it(cls: type[Event]) -> None:
    """Every version ever written is read by the class of today."""
    for version in range(1, cls.VERSION + 1):
        assert event_class(f"{cls.AGGREGATE}.{cls.__name__}.v{version}") is cls


def test_a_topic_that_was_never_published_leads_nowhere() -> None:
    """There is no event without a class."""
    with pytest.raises(KeyError):
        event_class("account.UserForgotten.v1")


@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_every_event_says_who_and_when(cls: type[Event]) -> None:
    """An event carries the person it is about and the business time, and needs both."""
    assert cls.model_fields["person"].is_required()
    assert cls.model_fields["person"].annotation is UUID
    assert cls.model_fields["occurred_at"].is_required()


@pytest.mark.parametrize("cls", EVENTS, ids=named)
def test_every_personal_value_belongs_to_somebody_in_the_event(cls: type[Event]) -> None:
    """The owner of a personal value is a person whom the same event names."""
    for mark in personal_fields(cls).values():
        assert cls.model_fields[mark.of].annotation is UUID


@pytest.mark.parametrize("cls", [*EVENTS, *COMMANDS], ids=named)
def test_everything_is_described(cls: type[Event | Command]) -> None:
    """Each event, each command and each of their fields says what it means."""
    assert cls.__doc__
    assert [name for name, field in cls.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("cls", [*EVENTS, *COMMANDS], ids=named)
def test_nothing_carries_a_secret(cls: type[Event | Command]) -> None:
    """No field is made for a password, a key, a token or a card number, with one exception."""
    assert {name for name in cls.model_fields if SECRET.search(name)} == SEALED_AT_ONCE.get(
        cls.__name__, set()
    )


def test_what_the_gateway_calls_a_card_is_in_no_event_and_no_message() -> None:
    """The command that brings it does not show it, and the fact that comes of it has no field."""
    choosing = ChoosePaymentMethod(
        at=noon(2025, 3, 1), account=WHO, means=PaymentMeans.CARD, months=1, card_token="pm_zoraida"
    )
    assert "zoraida" not in f"{choosing!r} {choosing}"
    assert {*PaymentMethodChosen.model_fields} == {
        "person", "occurred_at", "account", "subscription", "means", "months"
    }  # fmt: skip


@pytest.mark.rule("A2")
def test_a_registration_carries_its_fields_from_the_first_version() -> None:
    """Person, kind, language and time zone in clear; names, e-mail, phone and RUT sealed."""
    sealed = {"given_name", "paternal_surname", "maternal_surname", "email", "phone", "rut"}
    clear = {"person", "occurred_at", "account", "kind", "language", "time_zone"}
    assert {*UserRegistered.model_fields} == clear | sealed
    assert {*personal_fields(UserRegistered)} == sealed


@pytest.mark.rule("S3", "S5", "S11")
def test_a_payment_carries_its_fields_from_the_first_version() -> None:
    """All that billing and tax will ask of a payment is there, and all of it required."""
    fields = PaymentCaptured.model_fields.items()
    assert {name for name, field in fields if field.is_required()} == {
        "person", "occurred_at", "account", "subscription", "payment", "payer", "amount_minor",
        "currency", "means", "plan", "price_version", "period_from", "period_to", "time_zone",
        "gateway_reference", "tax_document",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["PasswordSet", "PhoneConfirmed"])
def test_a_fact_about_a_secret_is_the_fact_alone(name: str) -> None:
    """That a password was set or a key came back is known, and nothing more."""
    fields = event_class(f"account.{name}.v1").model_fields
    assert {*fields} == {"person", "occurred_at", "account"}


def test_an_event_is_about_everybody_it_names() -> None:
    """A payment by somebody else is about both of them."""
    payer = UUID(int=99)
    payment = captured(1, noon(2025, 3, 1), date(2025, 3, 1), date(2025, 3, 31))
    assert registered.persons == payment.persons == (PERSON,)
    assert payment.model_copy(update={"payer": payer}).persons == (PERSON, payer)


def test_what_happened_does_not_change() -> None:
    """An event is frozen, and takes no field that it does not have."""
    with pytest.raises(ValidationError, match="frozen"):
        registered.language = "en"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="nickname"):
        UserRegistered.model_validate({**dict(registered), "nickname": "Anita"})


def test_every_command_is_in_the_register() -> None:
    """The register of commands is what the table of who may give them knows."""
    assert {*COMMANDS} == {*domain.authority.MAY_GIVE}
    assert [*command_classes()] == sorted(cls.NAME for cls in COMMANDS)


@pytest.mark.parametrize("cls", COMMANDS, ids=named)
def test_a_command_that_is_turned_away_does_not_repeat_what_was_said(cls: type[Command]) -> None:
    """The message about a bad command holds none of its values."""
    values = dict.fromkeys([*cls.model_fields, "nickname"], "Zoraida")
    with pytest.raises(ValidationError) as failure:
        cls.model_validate(values)
    assert "Zoraida" not in str(failure.value)

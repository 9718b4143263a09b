"""Streams whose id follows from other ids, so that whoever knows those finds them."""

from datetime import date
from uuid import UUID, uuid5

__all__ = ["contract_link_of", "notice_of", "paid_by", "payment_of", "subscription_of"]


def subscription_of(account: UUID) -> UUID:
    """The subscription of an individual account: it keeps one id through all lapses (A6)."""
    return uuid5(account, "subscription")


def paid_by(payer: str) -> UUID:
    """The subscription that ``account:ID`` or ``plan:ID`` pays for; a plan is one itself (S10)."""
    kind, _, known_as = payer.partition(":")
    return UUID(known_as) if kind == "plan" else subscription_of(UUID(known_as))


def contract_link_of(contract: UUID, person: UUID) -> UUID:
    """What a person does under a contract: one stream, also when linked again (C2)."""
    return uuid5(contract, str(person))


def payment_of(subscription: UUID, first_day: date, attempt: int) -> UUID:
    """A try at charging for the period that begins on a day: whoever repeats it names it (S6)."""
    return uuid5(subscription, f"payment {first_day.isoformat()} {attempt}")


def notice_of(stream: UUID, number: int) -> UUID:
    """A notice of a subscription, an invitation or a contract, by how many came before it."""
    return uuid5(stream, f"notice {number}")

"""Streams whose id follows from other ids, so that whoever knows those finds them."""

from uuid import UUID, uuid5

__all__ = ["contract_link_of", "subscription_of"]


def subscription_of(account: UUID) -> UUID:
    """The subscription of an individual account: it keeps one id through all lapses (A6)."""
    return uuid5(account, "subscription")


def contract_link_of(contract: UUID, person: UUID) -> UUID:
    """What a person does under a contract: one stream, also when linked again (C2)."""
    return uuid5(contract, str(person))

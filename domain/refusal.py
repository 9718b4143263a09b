"""The one way in which Acta says no."""

from collections.abc import Sequence
from typing import ClassVar

__all__ = ["Refused", "refuse_for"]


class Refused(Exception):  # noqa: N818  a refusal is an answer, not an error
    """A business no: the rule that stands in the way, and what to do about it.

    A refusal is decided by the domain, stored as a receipt and given again for the
    same command id. Its texts name no personal value, because receipts are kept in clear.

    Attributes:
        rule: id of the rule in ``domain/rules.md``, such as ``A3``.
        message: what stood in the way.
        remedy: what to do about it, and whom to contact.
    """

    outcome: ClassVar[str] = "refused"

    def __init__(self, rule: str, message: str, *, remedy: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule
        self.message = message
        self.remedy = remedy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Refused):
            return NotImplemented
        return (self.rule, self.message, self.remedy) == (other.rule, other.message, other.remedy)

    def __hash__(self) -> int:
        return hash((self.rule, self.message, self.remedy))


def refuse_for(faults: Sequence[Refused]) -> None:
    """Refuses once for everything that stands in the way, not only for the first of it (I2).

    Raises:
        Refused: by the rule of the first, naming them all; not raised where there is none.
    """
    if not faults:
        return
    first, *others = faults
    message = "; ".join([first.message, *(f"{other.rule}: {other.message}" for other in others)])
    remedies = dict.fromkeys(fault.remedy for fault in faults)
    raise Refused(first.rule, message, remedy=" ".join(remedies))

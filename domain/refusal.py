"""The one way in which Acta says no."""

from typing import ClassVar

__all__ = ["Refused"]


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

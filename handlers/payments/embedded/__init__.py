"""A payment gateway to try things with: a real HTTP server that takes no money."""

from handlers.payments.embedded.ordered_faults import FaultKind, OrderedFault
from handlers.payments.embedded.server import EmbeddedGateway

__all__ = ["EmbeddedGateway", "FaultKind", "OrderedFault"]

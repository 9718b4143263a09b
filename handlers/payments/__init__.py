"""Payment gateways: what Acta asks of one, an adapter to a real one, and one to try things with."""

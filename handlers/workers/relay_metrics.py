"""What a relay tells Prometheus."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from math import nan

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from handlers.faults import DatabaseUnavailable, InvalidInput
from handlers.workers.relay import Relay

__all__ = ["serve_metrics"]


@contextmanager
def serve_metrics(relay: Relay, host: str, port: int) -> Generator[str]:
    """Serves the metrics of a relay from a thread of its own.

    Args:
        relay: whose.
        host: the address to bind to.
        port: likewise; 0: one that is free.

    Yields:
        The address of the page.

    Raises:
        InvalidInput: the address cannot be bound to.
    """
    registry = CollectorRegistry()
    registry.register(_RelayCollector(relay))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise InvalidInput(
            f"metrics cannot be served at {host}:{port}: {error.strerror}",
            remedy="Give another --metrics-port or --metrics-host.",
        ) from None
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _RelayCollector(Collector):
    """Measures when it is asked: a mark that has stalled would show no lag."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def collect(self) -> Iterator[Metric]:
        done = self._relay.progress
        head, events_behind, seconds_behind = self._lag()
        yield _gauge(
            "acta_relay_owning",
            "1 while the relay has taken over the topics; 0 while it waits for what is away.",
            int(self._relay.owning),
        )
        yield _gauge("acta_relay_position", "Position of the last event in Kafka.", done.position)
        yield _gauge("acta_relay_head", "Position of the last event in the log.", head)
        yield _gauge(
            "acta_relay_lag_events", "How far Kafka is behind the head of the log.", events_behind
        )
        yield _gauge(
            "acta_relay_lag_seconds",
            "How long the oldest event that is not in Kafka has been in the log.",
            seconds_behind,
        )
        yield _gauge(
            "acta_relay_events_per_second", "Events relayed a second.", done.events_per_second
        )
        events = CounterMetricFamily("acta_relay_events", "Events relayed by this process.")
        events.add_metric([], done.events)
        yield events
        outcomes = CounterMetricFamily(
            "acta_relay_transactions", "Kafka transactions, by outcome.", labels=["outcome"]
        )
        outcomes.add_metric(["committed"], done.committed)
        outcomes.add_metric(["failed"], done.failed)
        yield outcomes

    def _lag(self) -> tuple[float, float, float]:
        try:
            return self._relay.lag()
        except DatabaseUnavailable:
            return nan, nan, nan


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)

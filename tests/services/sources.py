"""Where the services of the tests come from: an address, a container engine, or jars."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from handlers.settings import COMPOSE_KAFKA_PORT, COMPOSE_REGISTRY_PORT
from tests.services.artifacts import FOLDER, Unavailable, alone_in
from tests.services.kafka import KafkaBroker, quick_broker
from tests.services.probe import faults_of_broker
from tests.services.registry import Registry, refusal_to_be_strict

COMPOSE_FILE = Path(__file__).parents[2] / "compose.yaml"
ENGINES = ("docker", "podman")
ENGINE_ANSWERS_SECONDS = 5
GIVEN_BROKER = "ACTA_TEST_KAFKA"
GIVEN_REGISTRY = "ACTA_TEST_REGISTRY"


class AnyBroker(Protocol):
    """A broker, whoever started it."""

    @property
    def bootstrap_servers(self) -> str:
        """Its address."""
        ...


class AnyRegistry(Protocol):
    """A registry, whoever started it."""

    @property
    def url(self) -> str:
        """Its address."""
        ...


@dataclass(frozen=True)
class GivenBroker:
    """A broker that the tests did not start, and so cannot kill."""

    bootstrap_servers: str


@dataclass(frozen=True)
class GivenRegistry:
    """A registry that the tests did not start."""

    url: str


@contextmanager
def any_broker(folder: Path) -> Iterator[AnyBroker]:
    """A broker that passed the probe: the given one, else the compose file's, else from jars.

    Raises:
        Unavailable: there is none, or it cannot do what the relay needs.
    """
    given = given_broker()
    if given is not None:
        yield probed(given)
        return
    with own_broker(folder) as broker:
        yield probed(broker)


@contextmanager
def own_broker(folder: Path) -> Iterator[KafkaBroker]:
    """A broker from jars, which only its test knows and may kill.

    Raises:
        Unavailable: it cannot be fetched or started.
    """
    broker = quick_broker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.discard()


@contextmanager
def any_registry(folder: Path) -> Iterator[AnyRegistry]:
    """A strict registry: the given one, else the compose file's, else from jars.

    Raises:
        Unavailable: there is none, or it does not take its setting.
    """
    given = given_registry()
    if given is not None:
        if refusal := refusal_to_be_strict(given.url):
            raise Unavailable(f"the registry at {given.url}: {refusal}")
        yield given
        return
    registry = Registry(folder)
    try:
        registry.start()
        yield registry
    finally:
        registry.stop()


def given_broker() -> GivenBroker | None:
    """The broker that the environment names or that the compose file starts, if either is so."""
    if address := os.environ.get(GIVEN_BROKER):
        return GivenBroker(address)
    if composed("kafka"):
        return GivenBroker(f"127.0.0.1:{COMPOSE_KAFKA_PORT}")
    return None


def given_registry() -> GivenRegistry | None:
    """The registry that the environment names or that the compose file starts, if either is so."""
    if address := os.environ.get(GIVEN_REGISTRY):
        return GivenRegistry(address)
    if composed("schema-registry"):
        return GivenRegistry(f"http://127.0.0.1:{COMPOSE_REGISTRY_PORT}")
    return None


def composed(service: str) -> bool:
    """Whether the compose file's service is up, now or since earlier.

    It stays up, as after ``docker compose up``: other workers, and who develops, use it too.
    """
    engine = container_engine()
    if engine is None:
        return False
    with alone_in(FOLDER):
        up = run(engine, "compose", f"--file={COMPOSE_FILE}", "up", "--detach", "--wait", service)
    if up is None or up.returncode:
        said = "no answer" if up is None else up.stderr.strip()[-300:]
        print(f"{engine} compose cannot start {service}, jars it is: {said}", file=sys.stderr)
        return False
    return True


def container_engine() -> str | None:
    """The first engine that answers and knows compose files."""
    for engine in ENGINES:
        if shutil.which(engine) is None:
            continue
        questions = ((engine, "info"), (engine, "compose", "version"))
        answers = (run(*question, timeout_seconds=ENGINE_ANSWERS_SECONDS) for question in questions)
        if all(answer is not None and answer.returncode == 0 for answer in answers):
            return engine
    return None


def run(*command: str, timeout_seconds: float = 300) -> subprocess.CompletedProcess[str] | None:
    """A program's run, or none if it did not end in time."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    except subprocess.TimeoutExpired:
        return None


def probed(broker: AnyBroker) -> AnyBroker:
    """The broker, if it can do what the relay needs."""
    if faults := faults_of_broker(broker.bootstrap_servers):
        raise Unavailable(f"the broker at {broker.bootstrap_servers}: {'; '.join(faults)}")
    return broker

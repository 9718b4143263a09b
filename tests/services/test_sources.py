"""Where the broker and the registry come from: an address, else Compose, else jars."""

from pathlib import Path

import pytest

from handlers.settings import COMPOSE_KAFKA_PORT, COMPOSE_REGISTRY_PORT
from tests.services import sources
from tests.services.programs import Programs
from tests.services.sources import GivenBroker, GivenRegistry, given_broker, given_registry


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """No program on the path, and no address in the environment."""
    monkeypatch.delenv(sources.GIVEN_BROKER, raising=False)
    monkeypatch.delenv(sources.GIVEN_REGISTRY, raising=False)
    return Programs(tmp_path, monkeypatch)


def test_address_in_the_environment_comes_first(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("docker")
    monkeypatch.setenv(sources.GIVEN_BROKER, "kafka.example:9092")
    monkeypatch.setenv(sources.GIVEN_REGISTRY, "http://registry.example")

    assert given_broker() == GivenBroker("kafka.example:9092")
    assert given_registry() == GivenRegistry("http://registry.example")
    assert programs.calls("docker") == []


@pytest.mark.parametrize("engine", sources.ENGINES)
def test_compose_file_comes_second_where_an_engine_answers(programs: Programs, engine: str) -> None:
    programs.add(engine)

    assert given_broker() == GivenBroker(f"127.0.0.1:{COMPOSE_KAFKA_PORT}")
    assert given_registry() == GivenRegistry(f"http://127.0.0.1:{COMPOSE_REGISTRY_PORT}")

    started = [call.split()[-1] for call in programs.calls(engine) if " up " in call]
    assert started == ["kafka", "schema-registry"]


def test_jars_come_last_where_there_is_no_engine(programs: Programs) -> None:
    assert programs.calls("docker") == []
    assert given_broker() is None
    assert given_registry() is None


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("exit 1", id="its daemon does not run"),
        pytest.param('[ "$1" != compose ]', id="it knows no compose files"),
        pytest.param('case "$*" in *up*) exit 1;; esac', id="it cannot get the image"),
    ],
)
def test_jars_come_last_where_the_engine_cannot(programs: Programs, script: str) -> None:
    programs.add("docker", script)
    assert given_broker() is None


def test_engine_that_does_not_answer_is_not_waited_for(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ENGINE_ANSWERS_SECONDS", 0.2)
    programs.add_hanging("docker")
    assert given_broker() is None
    assert programs.calls("docker") == ["info"]

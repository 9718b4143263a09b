"""compose.yaml says what the Compose specification allows, and what the settings expect."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from handlers.settings import (
    COMPOSE_DATABASE_PORT,
    COMPOSE_KAFKA_PORT,
    COMPOSE_REGISTRY_PORT,
    KAFKA_MAJOR,
    POSTGRESQL_MAJOR,
)
from tests.services.artifacts import POM

COMPOSE_FILE = Path(__file__).parent.parent / "compose.yaml"
SERVICES: dict[str, Any] = YAML(typ="safe").load(COMPOSE_FILE)["services"]


def published_port(service: str) -> int:
    (port,) = SERVICES[service]["ports"]
    address, outside, _inside = port.split(":")
    assert address == "127.0.0.1", f"{service} is open to more than this machine"
    return int(outside)


def major_version(service: str) -> int:
    _name, _, tag = SERVICES[service]["image"].rpartition(":")
    return int(tag.split(".")[0])


def test_compose_file_holds_against_the_compose_schema() -> None:
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema=vendor.compose-spec",
            COMPOSE_FILE,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_services_are_those_that_acta_speaks_with() -> None:
    assert set(SERVICES) == {"postgresql", "kafka", "schema-registry"}


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_a_health_check_that_ends(service: str) -> None:
    assert {"test", "interval", "timeout", "retries"} <= set(SERVICES[service]["healthcheck"])


@pytest.mark.parametrize("service", SERVICES)
def test_service_waits_for_the_health_of_what_it_needs(service: str) -> None:
    for needed in SERVICES[service].get("depends_on", {}).values():
        assert needed["condition"] == "service_healthy"


def test_postgresql_is_the_one_that_the_settings_name() -> None:
    assert major_version("postgresql") == POSTGRESQL_MAJOR
    assert published_port("postgresql") == COMPOSE_DATABASE_PORT


def test_kafka_is_the_one_that_the_settings_name() -> None:
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")

    assert major_version("kafka") == KAFKA_MAJOR
    assert published_port("kafka") == COMPOSE_KAFKA_PORT
    assert f"OUTSIDE://127.0.0.1:{COMPOSE_KAFKA_PORT}" in advertised


def test_kafka_from_jars_is_the_one_of_the_compose_file() -> None:
    _name, _, version = SERVICES["kafka"]["image"].rpartition(":")
    assert f"<kafka.version>{version}</kafka.version>" in POM.read_text()


def test_schema_registry_is_the_one_that_the_settings_name() -> None:
    assert published_port("schema-registry") == COMPOSE_REGISTRY_PORT

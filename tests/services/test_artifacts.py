"""Jars are fetched once, wholly or not at all, and what is missing is named."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tests.services.artifacts import Unavailable, fetch
from tests.services.programs import Programs

JAVA_17 = "echo 'openjdk version \"17.0.1\" 2021-10-19' >&2"
MAVEN = 'for each in "$@"; do case $each in --define=folder=*) folder=${each#*folder=};; esac; done'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs(tmp_path, monkeypatch)
    programs.add("java", JAVA_17)
    programs.add("mvn", f'{MAVEN}; echo jar > "$folder/kafka.jar"')
    return programs


@pytest.fixture
def pom(tmp_path: Path) -> Path:
    pom = tmp_path / "pom.xml"
    pom.write_text("<project/>")
    return pom


def test_workers_that_come_together_fetch_once(
    programs: Programs, pom: Path, tmp_path: Path
) -> None:
    together = Barrier(4)

    def work() -> Path:
        together.wait()
        return fetch("kafka", folder=tmp_path / "jars", pom=pom)

    with ThreadPoolExecutor(4) as workers:
        folders = {each.result() for each in [workers.submit(work) for _ in range(4)]}

    (folder,) = folders
    assert (folder / "kafka.jar").exists()
    assert len(programs.calls("mvn")) == 1


def test_changed_pom_is_fetched_anew(programs: Programs, pom: Path, tmp_path: Path) -> None:
    before = fetch("kafka", folder=tmp_path / "jars", pom=pom)
    pom.write_text("<project><!-- newer --></project>")
    assert fetch("kafka", folder=tmp_path / "jars", pom=pom) != before
    assert len(programs.calls("mvn")) == 2


def test_what_maven_left_when_it_failed_is_not_taken_for_the_whole(
    programs: Programs, pom: Path, tmp_path: Path
) -> None:
    half = f'{MAVEN}; echo half > "$folder/half.jar"; echo "[ERROR] no such version"; exit 1'
    whole = f'{MAVEN}; echo jar > "$folder/kafka.jar"'
    programs.add("mvn", half)
    with pytest.raises(Unavailable, match="Maven could not fetch kafka: no such version"):
        fetch("kafka", folder=tmp_path / "jars", pom=pom)

    programs.add("mvn", whole)
    folder = fetch("kafka", folder=tmp_path / "jars", pom=pom)
    assert [each.name for each in folder.iterdir()] == ["kafka.jar"]


@pytest.mark.parametrize(
    ("java", "reason"),
    [
        (None, "no java is on the path"),
        ("echo 'openjdk version \"11.0.2\"' >&2", "is Java 11"),
        ("exit 1", "none that runs"),
    ],
)
def test_java_that_cannot_run_kafka_is_named(
    java: str | None,
    reason: str,
    pom: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = Programs(tmp_path, monkeypatch)
    if java is not None:
        programs.add("java", java)
    with pytest.raises(Unavailable, match=reason):
        fetch("kafka", folder=tmp_path / "jars", pom=pom)


def test_missing_maven_is_named(pom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Programs(tmp_path, monkeypatch).add("java", JAVA_17)
    with pytest.raises(Unavailable, match="no mvn is on the path"):
        fetch("kafka", folder=tmp_path / "jars", pom=pom)

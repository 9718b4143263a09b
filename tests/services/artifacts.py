"""Fetches Kafka and the registry from Maven, once: ``python -m tests.services.artifacts``."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

POM = Path(__file__).with_name("pom.xml")
FOLDER = Path(__file__).with_name(".artifacts")
JAVA_MAJOR = 17

Service = Literal["kafka", "registry"]
GOALS: dict[Service, str] = {
    "kafka": "dependency:copy-dependencies@kafka",
    "registry": "dependency:unpack@registry",
}
MEBIBYTES: dict[Service, int] = {"kafka": 54, "registry": 142}


class Unavailable(Exception):  # noqa: N818  a machine that lacks something, not an error
    """A service cannot be had on this machine; the message says why."""


def fetch(service: Service, *, folder: Path = FOLDER, pom: Path = POM) -> Path:
    """The folder of a service's jars, fetched if this pom was not fetched before.

    Workers that come at the same time fetch once; what is there is always complete.

    Raises:
        Unavailable: Java or Maven is missing, or Maven failed.
    """
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    complete = folder / f"{service}-{digest}"
    if complete.exists():
        return complete
    with alone_in(folder):
        if complete.exists():
            return complete
        print(f"fetching {service} from Maven, once ({MEBIBYTES[service]} MiB) …", file=sys.stderr)
        staging = folder / f"staging-{service}"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        run_maven(service, staging, pom)
        staging.rename(complete)
    return complete


def java() -> str:
    """The Java that ``JAVA_HOME`` or the path names.

    Raises:
        Unavailable: there is none, or one older than Kafka needs.
    """
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if program is None or shutil.which(program) is None:
        raise Unavailable(f"no java is on the path (Java {JAVA_MAJOR} or newer is needed)")
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA_MAJOR:
        raise Unavailable(
            f"Java {JAVA_MAJOR} or newer is needed, and {program} is "
            + (f"Java {version[1]}" if version else "none that runs")
        )
    return program


def run_maven(service: Service, into: Path, pom: Path) -> None:
    """Lets Maven put a service's jars into a folder.

    Raises:
        Unavailable: Java or Maven is missing, or Maven failed.
    """
    java()
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("no mvn is on the path (Maven fetches the jars)")
    run = subprocess.run(
        [
            maven,
            "--batch-mode",
            "--quiet",
            f"--file={pom}",
            f"--define=folder={into}",
            GOALS[service],
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise Unavailable(f"Maven could not fetch {service}: {first_error(run.stdout)}")


def first_error(output: str) -> str:
    """The line in which Maven says what went wrong."""
    lines = (line for line in output.splitlines() if line.startswith("[ERROR]"))
    return next(lines, "[ERROR] it said nothing").removeprefix("[ERROR] ")[:300]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes from fetching into the same folder meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for each in GOALS:
        print(fetch(each))

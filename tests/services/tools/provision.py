"""Fetches the tools that the examples of subscribers are for, once and apart from Acta's own."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.artifacts import FOLDER, Unavailable, alone_in, first_error, java

HERE = Path(__file__).parent
DEBIAN_PACKAGES = ("kcat", "librdkafka1", "libyajl2")


@dataclass(frozen=True)
class Program:
    """How to start a program.

    Attributes:
        command: what its arguments are put behind.
        environment: what it needs beside everything that the tests have.
    """

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict[str, str])


def python() -> Path:
    """A Python with Quix Streams and FastStream, and without Acta.

    Raises:
        Unavailable: its packages cannot be had.
    """
    requirements = HERE / "requirements.txt"

    def make(folder: Path) -> None:
        uv = f"{sysconfig.get_path('scripts')}/uv"
        interpreter = folder / "bin" / "python"
        ran(uv, "venv", "--quiet", f"--python={sys.executable}", "--allow-existing", str(folder))
        ran(
            *(uv, "pip", "install", "--quiet", f"--python={interpreter}", "--require-hashes"),
            *("--link-mode=copy", "--requirement", str(requirements)),
        )

    made_for = requirements.read_bytes() + sys.version.encode()
    return once("python", made_for, 84, make) / "bin" / "python"


def kcat() -> Program:
    """The kcat on the path, else Debian's, which need not be installed.

    Raises:
        Unavailable: neither is to be had.
    """
    if found := shutil.which("kcat"):
        return Program((found,))
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise Unavailable("no kcat is on the path, and this is no Debian to fetch it from")

    def make(folder: Path) -> None:
        ran("apt-get", "download", "--quiet", *DEBIAN_PACKAGES, folder=folder)
        for package in folder.glob("*.deb"):
            ran("dpkg-deb", "--extract", str(package), str(folder))
            package.unlink()

    folder = once("kcat", " ".join(DEBIAN_PACKAGES).encode(), 1, make)
    (libraries,) = folder.glob("usr/lib/*-linux-gnu")
    return Program((str(folder / "usr/bin/kcat"),), {"LD_LIBRARY_PATH": str(libraries)})


def connect() -> Path:
    """A folder of Kafka Connect: its ``libraries``, and ``plugins`` with a sink for JDBC.

    Raises:
        Unavailable: Java or Maven is missing, or Maven failed.
    """
    goals = ("dependency:copy-dependencies@libraries", "dependency:unpack@plugins")
    return from_maven("connect", 79, *goals)


def flink() -> Path:
    """A folder of Flink's SQL: its ``libraries``.

    Raises:
        Unavailable: Java or Maven is missing, or Maven failed.
    """
    return from_maven("flink", 169, "dependency:copy-dependencies@libraries")


def from_maven(name: str, mebibytes: int, *goals: str) -> Path:
    """The folder that the goals of a tool's pom fill."""
    pom = HERE / f"{name}.xml"

    def make(folder: Path) -> None:
        java()
        maven = shutil.which("mvn")
        if maven is None:
            raise Unavailable("no mvn is on the path (Maven fetches the jars)")
        ran(
            *(maven, "--batch-mode", "--quiet", f"--file={pom}", f"--define=folder={folder}"),
            *goals,
            reason=first_error,
        )

    return once(name, pom.read_bytes(), mebibytes, make)


def once(name: str, made_for: bytes, mebibytes: int, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled, for these bytes, now or earlier; it is always complete."""
    complete = FOLDER / f"{name}-{hashlib.sha256(made_for).hexdigest()[:12]}"
    if complete.exists():
        return complete
    with alone_in(FOLDER):
        if not complete.exists():
            print(f"fetching {name}, once ({mebibytes} MiB) …", file=sys.stderr)
            staging = Path(tempfile.mkdtemp(prefix=f"staging-{name}-", dir=FOLDER))
            try:
                make(staging)
                staging.rename(complete)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return complete


def last_line(output: str) -> str:
    """The line in which most programs say what went wrong."""
    return (output.strip().splitlines() or ["it said nothing"])[-1][:300]


def ran(
    *command: str, folder: Path | None = None, reason: Callable[[str], str] = last_line
) -> None:
    """Runs a program to its end.

    Raises:
        Unavailable: it failed; the message has its reason.
    """
    run = subprocess.run(
        command, cwd=folder, env=surroundings(), check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if run.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed: {reason(run.stdout)}")


def surroundings(more: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
    """The environment without what is meant for the Python of the tests, or for Acta."""
    ours = ("ACTA_", "PYTHON", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | dict(more)

"""``make demo-kafka`` relays a year to Kafka, and a plain consumer reads all of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil

from handlers.store.embedded import default_home
from tests.end_to_end.test_documents import README, blocks, differs
from tests.services.sources import AnyBroker

PROJECT = Path(__file__).parents[2]
HOME = default_home() / "demo-kafka"


def test_the_demo_reads_from_kafka_what_is_in_the_log(broker: AnyBroker) -> None:
    """It ends well only if each topic has what the log has, and a second run brings nothing."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("ACTA_")}
    ran = subprocess.run(
        [sys.executable, "examples/demo_kafka.py"], cwd=PROJECT, check=False, text=True,
        env={**others, "ACTA_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout
    assert len(re.findall(r"\(as in the log\)$", ran.stdout, re.MULTILINE)) == 9, ran.stdout
    shown = next(block for block in blocks(README, "text") if "make demo-kafka" in block)
    # On a broker that is given, the topics of each demo have a namespace of their own.
    printed = re.sub(r"\bdemo-[0-9a-f-]+\.", "acta.", ran.stdout).splitlines()
    assert differs(shown.splitlines()[1:], printed) is None, ran.stdout
    assert [each.pid for each in psutil.process_iter() if str(HOME) in command(each)] == []


def command(process: psutil.Process) -> str:
    """How a process was started; nothing of one that ended just now."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""

"""A Kafka broker of the tests' own, from jars: killed and started again at will."""

import base64
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.services.artifacts import Unavailable, fetch, java
from tests.services.class_archive import class_archive, sharing
from tests.services.java_process import OPTIONS, JavaProcess, free_port

START_TIMEOUT_SECONDS = 90

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={log_folder}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# one broker can keep one copy
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# a start opens each of them
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1
# 128 MiB of the heap otherwise
log.cleaner.dedupe.buffer.size=8388608
# what is too old to keep goes at once, not by chance in one run of the tests in a hundred
log.initial.task.delay.ms=500
log.retention.check.interval.ms=500
"""

# Later lines win over earlier ones.
CONTROLLER_ALONE = """
process.roles=controller
listeners=CONTROLLER://127.0.0.1:{controller_port}
broker.session.timeout.ms=200
broker.heartbeat.interval.ms=50
controller.quorum.append.linger.ms=0
"""


class KafkaBroker:
    """A broker that is its own controller.

    Attributes:
        folder: all that it keeps.
        log_folder: where its segments are.
        bootstrap_servers: its address, the same over all its runs.
    """

    def __init__(self, folder: Path, java_options: Sequence[str] = ()) -> None:
        """Raises Unavailable when its jars cannot be had."""
        self._java_options = java_options
        self.folder = folder
        self.log_folder = folder / "log"
        self._jars = fetch("kafka")
        self._port = free_port()
        self._controller_port = free_port()
        self._properties = folder / "server.properties"
        self._process: JavaProcess | None = None
        self._left_in_order = True
        self.bootstrap_servers = f"127.0.0.1:{self._port}"

    @property
    def class_path(self) -> str:
        """Where Java finds Kafka's programs, those of the console too."""
        return f"{self._jars}/*"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.running

    @property
    def process(self) -> JavaProcess:
        """Its process, running or not.

        Raises:
            Unavailable: it was never started.
        """
        if self._process is None:
            raise Unavailable("Kafka was never started")
        return self._process

    def start(self) -> None:
        """Starts it, or starts it again on what it kept, and returns once it answers.

        Raises:
            Unavailable: it does not come up; the message has the end of its log.
        """
        if self.running:
            return
        if not self._properties.exists():
            self._format()
        if not self._left_in_order:
            self._give_up_former_self()
        self._left_in_order = False
        self._process = JavaProcess(
            [*self._java_options, "-cp", self.class_path, "kafka.Kafka", str(self._properties)],
            log=self.folder / "server.log",
        )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Ends it with SIGKILL; what it kept stays."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Ends it in order; what it kept stays."""
        if self._process is not None:
            self._process.stop()
            self._left_in_order = True

    def discard(self) -> None:
        """Ends it for good and removes what it kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _format(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(
            PROPERTIES.format(
                port=self._port,
                controller_port=self._controller_port,
                log_folder=self.log_folder,
            )
        )
        # Never with a dash in front, which the program would take for an option.
        cluster = base64.urlsafe_b64encode(b"k" + secrets.token_bytes(15)).decode().rstrip("=")
        formatted = subprocess.run(
            [
                *(java(), *OPTIONS, "-cp", self.class_path, "kafka.tools.StorageTool"),
                *("format", "--standalone", "-t", cluster, "-c", str(self._properties)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode:
            raise Unavailable(f"Kafka cannot format its storage: {formatted.stderr[-500:]}")

    def _give_up_former_self(self) -> None:
        """Lets the controller alone see that the killed broker is gone, before a new one comes.

        A lone broker that still counts as alive when it comes back leads its partitions before it
        listens, then is fenced and leads none for a moment. In that moment Kafka 4.3 takes topics
        for deleted whose transaction was committed but not yet marked in them: it calls the
        transaction complete without the mark, and no reader of committed records gets past it.
        Where a partition has a second copy that leads meanwhile, this cannot happen.
        """
        properties = self.folder / "controller.properties"
        alone = CONTROLLER_ALONE.format(controller_port=self._controller_port)
        properties.write_text(self._properties.read_text() + alone)
        log = self.folder / "controller.log"
        log.unlink(missing_ok=True)
        controller = JavaProcess(
            [
                *self._java_options,
                *("-Dlog4j2.level=INFO", "-cp", self.class_path, "kafka.Kafka", str(properties)),
            ],
            log=log,
        )
        deadline = monotonic() + START_TIMEOUT_SECONDS
        try:
            while "Fencing broker 1 " not in log.read_text():
                controller.wait_a_moment(deadline)
        finally:
            controller.stop()

    def _wait_until_it_answers(self, process: JavaProcess) -> None:
        deadline = monotonic() + START_TIMEOUT_SECONDS
        client = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "readiness",
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,  # that it does not answer yet is no news
            }
        )
        with closing(client):
            while not leads_its_partitions(client):
                process.wait_a_moment(deadline)


def quick_broker(folder: Path) -> KafkaBroker:
    """A broker that starts from the class archive of this machine, where there is one.

    Raises:
        Unavailable: its jars cannot be had, or it cannot be started to make the archive.
    """
    return KafkaBroker(folder, sharing(class_archive(fetch("kafka"), _archive_classes)))


def _archive_classes(archive: Path) -> None:
    """Has a broker write the classes with which it starts, when it ends in order."""
    with TemporaryDirectory() as folder:
        broker = KafkaBroker(Path(folder) / "kafka", [f"-XX:ArchiveClassesAtExit={archive}"])
        try:
            broker.start()
            broker.process.terminate(timeout_seconds=START_TIMEOUT_SECONDS)
        finally:
            broker.discard()


def leads_its_partitions(client: Consumer) -> bool:
    """Whether the cluster has a broker, and each partition one that answers for it."""
    try:
        cluster = client.list_topics(timeout=1)
        for topic in cluster.topics.values():
            for number in topic.partitions:
                client.get_watermark_offsets(TopicPartition(str(topic.topic), number), timeout=1)
    except KafkaException:
        return False
    return bool(cluster.brokers)

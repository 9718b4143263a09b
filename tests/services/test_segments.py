"""What a broker keeps can be searched, however its producers compress it."""

from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.services.kafka import KafkaBroker
from tests.services.segments import batches, search
from tests.services.topics import create_topic

COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")


def test_canary_is_found_in_keys_values_and_headers_of_every_compression(
    own_broker: KafkaBroker, namespace: str
) -> None:
    for compression in COMPRESSIONS:
        plant(own_broker, f"{namespace}.{compression}", compression)

    for place in ("key", "value", "header"):
        findings = search(own_broker.log_folder, [f"canary Їжак {place}".encode()])
        assert {finding.batch.compression for finding in findings} == set(COMPRESSIONS), place
        assert {finding.batch.segment.parent.name for finding in findings} == {
            f"{namespace}.{compression}-0" for compression in COMPRESSIONS
        }
    assert search(own_broker.log_folder, [b"never written"]) == []


def plant(broker: KafkaBroker, topic: str, compression: str) -> None:
    create_topic(broker.bootstrap_servers, topic)
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "compression.type": compression}
    )
    # Filled up, because librdkafka leaves a batch as it is that compression would not shrink.
    producer.produce(
        topic,
        key="canary Їжак key",
        value=f"canary Їжак value {'-' * 4000}",
        headers={"header": "canary Їжак header"},
    )
    assert producer.flush(10) == 0


def test_segment_that_cannot_be_read_to_its_end_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000000.log").write_bytes(bytes(70))
    with pytest.raises(ValueError, match="no whole batch"):
        list(batches(tmp_path))


def test_segment_that_ends_within_a_batch_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000000.log").write_bytes(bytes(7))
    with pytest.raises(ValueError, match="cut off"):
        list(batches(tmp_path))

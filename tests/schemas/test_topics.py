"""The names in Kafka: topics, records, subjects, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.contracts import Contracts
from schemas.topics import (
    Subject,
    checkpoint_key,
    checkpoint_topic,
    entries_topic,
    events_topic,
    read_subject,
    record_name,
    source,
    subject,
    transactional_id,
    version_of,
)

CONTRACTS = Contracts()
NAMESPACES = st.from_regex(r"[a-z][a-z0-9.-]{0,99}", fullmatch=True)


def test_topics_are_named_for_aggregate_and_generation() -> None:
    assert events_topic("acta", "account") == "acta.account.events.v1"
    assert events_topic("acta", "study_history", 2) == "acta.study_history.events.v2"
    assert entries_topic("acta") == "acta.entries.v1"
    assert checkpoint_topic("acta") == "acta.relay.checkpoint"
    assert (checkpoint_key(2), transactional_id("acta", 2)) == ("relay.v2", "acta.relay.v2")
    assert source("acta") == "/acta"


def test_every_version_of_a_fact_has_one_record_name() -> None:
    assert record_name("subscription.SubscriptionStarted.v2") == (
        "acta.subscription.SubscriptionStarted"
    )
    assert version_of("subscription.SubscriptionStarted.v12") == 12


@pytest.mark.parametrize("topic", CONTRACTS.topics())
def test_a_record_is_called_as_its_schema_says(topic: str) -> None:
    schema = CONTRACTS.schema(topic)
    assert record_name(topic) == f"{schema['namespace']}.{schema['name']}"


def test_subjects_are_named_by_topic_and_record_and_for_entries_by_topic() -> None:
    assert subject("acta", "account.UserRegistered.v1") == (
        "acta.account.events.v1-acta.account.UserRegistered"
    )
    assert subject("acta", "entries.Entry.v1", 2) == "acta.entries.v2-value"


@given(
    namespace=NAMESPACES,
    topic=st.sampled_from(CONTRACTS.topics()),
    generation=st.integers(min_value=1, max_value=10**6),
)
def test_a_subject_tells_what_it_was_made_of(namespace: str, topic: str, generation: int) -> None:
    named = subject(namespace, topic, generation)
    assert read_subject(named) == Subject(namespace, topic.rpartition(".v")[0], generation)


@pytest.mark.parametrize(
    "name",
    [
        "", "acta", "acta.entries.v0-value", "acta.entries.v1-key", "acta.entries.v1",
        "acta.account.events.v1-value", "acta.account.events.v1-acta.plan.UserRegistered",
        "acta.account.events.v-acta.account.UserRegistered", "entries.v1-value",
        "acta.account.events.v1-acta.account.UserRegistered\n", "acta.entries.v\u0661-value",
    ],
)  # fmt: skip
def test_what_is_no_subject_of_ours_is_none(name: str) -> None:
    assert read_subject(name) is None


@pytest.mark.parametrize(
    "topic", ["", "account.UserRegistered", "account.UserRegistered.v0", "a:b"]
)
def test_what_is_no_stored_topic_has_no_names(topic: str) -> None:
    for name_of in (record_name, version_of):
        with pytest.raises(ValueError, match="is not the topic of a stored event"):
            name_of(topic)

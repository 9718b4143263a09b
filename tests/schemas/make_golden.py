"""Makes the golden files that are missing: python -m tests.schemas.make_golden

A golden file is made once, when its version is published, and then kept for good. Until an event
is published for good, --force makes those of the current versions anew.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.event import Event
from domain.personal import personal_fields
from handlers.store.mapper import to_payload
from handlers.store.sealing import NONCE_BYTES, AesGcmSiv, Header, seal
from schemas.avro import Contracted, to_avro
from schemas.contracts import Contracts
from tests.schemas.examples import example
from tests.schemas.golden import TEST_KEY, TEST_KEY_ID, Golden

__all__ = ["golden", "make"]


def golden(contracted: Contracted) -> Golden:
    """The golden file of a class, the same bytes each time.

    An entry is in no log; its payload is what it says, in JSON.
    """
    clear = example(contracted)
    event_id = uuid5(NAMESPACE_URL, contracted.TOPIC)
    sealed = _seal(clear, event_id) if isinstance(clear, Event) else clear
    payload = to_payload(sealed) if isinstance(sealed, Event) else sealed.model_dump_json().encode()
    personal = {name: getattr(clear, name) for name in personal_fields(contracted)}
    return Golden(
        topic=contracted.TOPIC,
        event_id=event_id,
        key_id=TEST_KEY_ID,
        key=TEST_KEY,
        payload=payload,
        avro=to_avro(sealed),
        opened=json.loads(payload) | personal,
    )


def make(contracts: Contracts, *, force: bool = False) -> Iterator[str]:
    """Writes what is missing, or with force everything of today; the topics that were written."""
    for cls in contracts.classes:
        path = contracts.golden(cls.TOPIC)
        if force or not path.exists():
            golden(cls).write(path)
            yield cls.TOPIC


def _seal(clear: Event, event_id: UUID) -> Event:
    """Seals as the vault does, with a nonce that is the same each time."""
    sealed = {}
    for name in personal_fields(type(clear)):
        nonce = hashlib.sha256(f"{event_id} {name}".encode()).digest()[:NONCE_BYTES]
        header = Header(TEST_KEY_ID, 1, event_id, name, nonce)
        sealed[name] = seal(getattr(clear, name), header, TEST_KEY, AesGcmSiv())
    return clear.model_copy(update=sealed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="make those of today anew")
    for topic in make(Contracts(), force=parser.parse_args().force):
        print(topic)


if __name__ == "__main__":
    main()

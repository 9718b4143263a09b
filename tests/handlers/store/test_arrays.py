"""Arrays of one known type arrive in the database as they were."""

from typing import Any, LiteralString
from uuid import UUID, uuid4

import pytest

from handlers.composition import Acta
from handlers.store.arrays import Bigints, Byteas, Texts, Uuids

IDS = [uuid4(), UUID(int=0)]


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (Bigints([1, -(2**63), 2**63 - 1]), "bigint[]"),
        (Byteas([b"", b"\x00\xff", b"x" * 100_000]), "bytea[]"),
        (Texts(["", "Ñandú", '{"a",NULL}']), "text[]"),
        (Uuids(IDS), "uuid[]"),
        (Bigints(), "bigint[]"),
        (Byteas(), "bytea[]"),
        (Texts(), "text[]"),
        (Uuids(), "uuid[]"),
    ],
)
def test_an_array_arrives_whole(acta: Acta, array: list[Any], kind: LiteralString) -> None:
    with acta.database.connection() as connection:
        row = connection.execute(f"SELECT %b::{kind}, pg_typeof(%b)::text", (array, array))
        assert row.fetchone() == (list(array), kind)

"""The vault: what is sealed opens where it belongs alone, and for the erased nowhere (D7, D10)."""

import random
import shutil
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from domain.account import (
    AccountKind,
    ChangeUserCode,
    SuspendAccount,
    SuspensionReason,
    UserRegistered,
)
from domain.actor import Actor, ActorKind
from domain.event import Recorded
from domain.personal import Purpose, Sealed, personal_fields
from domain.subscription import TaxDocumentChosen
from handlers.commands.situation import subscription_of
from handlers.composition import Acta, open_ledger
from handlers.faults import FolderUnusable, KeyMissing
from handlers.settings import Settings
from handlers.store.append import Append, CountedClaim
from handlers.store.database import connect
from handlers.store.embedded import EmbeddedServer
from handlers.store.key_folder import KeyFolder
from handlers.store.sealing import FORMAT, AesGcmSiv, NotOpened, read_header
from handlers.store.vault import KEY_LIFETIME_SECONDS, ExpiringKeys, Vault
from tests.conftest import TestDatabase
from tests.handlers.beside import two_ledgers
from tests.handlers.store.stories import (
    MANAGER,
    NOON,
    SOMEBODY,
    ask,
    envelope,
    erase,
    home_of,
    purposes_with_keys,
    refused,
    registered,
    registration,
    seed,
    subscribe_with_factura,
)
from tests.handlers.store.waiting import sessions_waiting, wait_until

TODAY = NOON.date()
AUDITOR = Actor(kind=ActorKind.AUDITOR, id=UUID(int=8))


def recorded_of(acta: Acta, stream: UUID) -> list[Recorded]:
    """The events of a stream, in their places."""
    return acta.store.streams([stream])[stream]


def opened(acta: Acta, recorded: Recorded) -> dict[str, str | None]:
    """The personal values of an event: in clear, or None where they cannot be read any more."""
    return {
        field: acta.vault.open(value, event_id=recorded.event_id, field=field)
        for field in personal_fields(type(recorded.event))
        if isinstance(value := getattr(recorded.event, field), Sealed)
    }


def registration_of(acta: Acta, event: UserRegistered) -> Recorded:
    """A registration in its place."""
    return recorded_of(acta, event.account)[0]


def given_name(recorded: Recorded) -> Sealed:
    """The sealed given name of a registration."""
    assert isinstance(recorded.event, UserRegistered)
    assert isinstance(recorded.event.given_name, Sealed)
    return recorded.event.given_name


def factura_of(acta: Acta, event: UserRegistered) -> Recorded:
    """The choice of a tax document, with the buyer's data."""
    return next(
        each
        for each in recorded_of(acta, subscription_of(event.account))
        if isinstance(each.event, TaxDocumentChosen)
    )


# ---------------------------------------------------------------- sealed values


def test_a_sealed_value_opens_where_it_was_written(acta: Acta) -> None:
    registration = registration_of(acta, registered(acta, given_name="Ana María", email="a@b.cl"))

    values = opened(acta, registration)

    assert values["given_name"] == "Ana María"
    assert values["email"] == "a@b.cl"
    assert set(values) == {"given_name", "paternal_surname", "email", "phone", "rut"}


def test_nothing_personal_is_in_the_payload(acta: Acta) -> None:
    event = registered(acta, given_name="Arquímedes", email="arquimedes@example.com")

    (row,) = acta.store.batch(after=0, limit=1)

    assert b"medes" not in row.payload.lower()
    assert str(event.given_name).encode() in row.payload


def test_a_sealed_value_has_the_documented_form(acta: Acta) -> None:
    """Format, key and its generation, event, field, nonce, and text of its own length and a tag."""
    event = registered(acta, given_name="Ana")
    recorded = registration_of(acta, event)
    sealed = given_name(recorded)

    form, key_id, generation, event_id, length = struct.unpack_from(">B16sH16sB", sealed.token)
    rest = sealed.token[struct.calcsize(">B16sH16sB") :]

    assert (form, generation) == (FORMAT, 1)
    assert UUID(bytes=event_id) == recorded.event_id
    assert rest[:length] == b"given_name"
    assert len(rest[length:]) == 12 + len("Ana") + 16
    with acta.database.connection() as connection:
        keys = connection.execute("SELECT id, person, purpose, generation FROM vault.keys")
        assert keys.fetchall() == [(UUID(bytes=key_id), event.person, "identity", 1)]


def test_values_of_one_event_have_nonces_of_their_own(acta: Acta) -> None:
    recorded = registration_of(acta, registered(acta))
    nonces = {
        read_header(value).nonce
        for field in personal_fields(UserRegistered)
        if isinstance(value := getattr(recorded.event, field), Sealed)
    }
    assert len(nonces) == 5


def test_a_value_opens_for_no_other_event_or_field(acta: Acta) -> None:
    recorded = registration_of(acta, registered(acta))
    sealed = given_name(recorded)

    with pytest.raises(NotOpened):
        acta.vault.open(sealed, event_id=uuid4(), field="given_name")
    with pytest.raises(NotOpened):
        acta.vault.open(sealed, event_id=recorded.event_id, field="paternal_surname")


def test_a_value_opens_for_no_other_person(acta: Acta) -> None:
    """Renamed to another person's key, it is another value."""
    recorded = registration_of(acta, registered(acta))
    other = registration_of(acta, registered(acta, 2))
    sealed, theirs = given_name(recorded), given_name(other)
    forged = Sealed(sealed.token[:1] + read_header(theirs).key_id.bytes + sealed.token[17:])

    with pytest.raises(NotOpened):
        acta.vault.open(forged, event_id=recorded.event_id, field="given_name")


def test_no_byte_of_a_value_can_be_altered(acta: Acta) -> None:
    """Each bit, one at a time: what is left opens nothing."""
    recorded = registration_of(acta, registered(acta))
    sealed = given_name(recorded)

    def outcome(token: bytes) -> str | None:
        try:
            return acta.vault.open(Sealed(token), event_id=recorded.event_id, field="given_name")
        except NotOpened:
            return None

    assert outcome(sealed.token) == "Ana"
    for place in range(len(sealed.token) * 8):
        altered = bytearray(sealed.token)
        altered[place // 8] ^= 1 << place % 8
        assert outcome(bytes(altered)) is None, f"byte {place // 8}, bit {place % 8}"
    for length in range(len(sealed.token)):
        assert outcome(sealed.token[:length]) is None, f"the first {length} bytes"


# ---------------------------------------------------------------- keys


def test_keys_stand_wrapped_in_the_database(acta: Acta, database: TestDatabase) -> None:
    """Neither they nor the key that wraps them are in it; that one is a file for its owner."""
    event = registered(acta)
    keys, _ = acta.vault.keys_for([(event.person, Purpose.IDENTITY)])
    (key,) = keys.values()

    (file,) = database.keys.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.keys.stat().st_mode) == 0o700
    with connect(database.administrator) as administrator:
        rows = administrator.execute("SELECT wrapped FROM vault.keys").fetchall()
        rows += administrator.execute("SELECT wrapped FROM vault.secrets").fetchall()
    assert len(rows) == 3
    for (wrapped,) in rows:
        assert len(wrapped) == 12 + 32 + 16
        assert key.key not in wrapped
        assert file.read_bytes() not in wrapped


def test_a_wrapped_key_opens_in_its_own_place_alone(acta: Acta, database: TestDatabase) -> None:
    """Whoever can write to the database cannot hand one person's key to another."""
    first, second = registered(acta), registered(acta, 2)
    with connect(database.administrator) as administrator:
        administrator.execute(
            "UPDATE vault.keys SET wrapped = (SELECT wrapped FROM vault.keys WHERE person = %s)"
            " WHERE person = %s",
            (first.person, second.person),
        )
    acta.vault.forget()

    with pytest.raises(KeyMissing):
        opened(acta, registration_of(acta, second))


def test_keys_are_had_for_many_at_once(acta: Acta) -> None:
    """Those remembered, those stored and those to be made, each wanted once or twice."""
    events = [registered(acta, number) for number in range(3)]
    known = [(event.person, Purpose.IDENTITY) for event in events]
    one_by_one = {owner: acta.vault.keys_for([owner])[0][owner] for owner in known}
    strangers = [(uuid4(), purpose) for purpose in Purpose] + [(known[0][0], Purpose.TAX)]
    acta.vault.forget()
    acta.vault.keys_for(known[:1])

    keys, new = acta.vault.keys_for(known + strangers + known)

    assert {owner: keys[owner] for owner in known} == one_by_one
    assert {(key.person, key.purpose): key.id for key in new} == {
        owner: keys[owner].id for owner in strangers
    }
    assert len({key.key for key in keys.values()}) == len(keys) == len(known + strangers)
    assert acta.vault.keys_for([]) == ({}, [])


def test_of_several_generations_the_newest_key_is_had(acta: Acta, database: TestDatabase) -> None:
    owner = (uuid4(), Purpose.IDENTITY)
    _, (first,) = acta.vault.keys_for([owner])
    encryption_key = KeyFolder(database.keys).read(first.key_encryption_key)
    with connect(database.administrator) as administrator:
        for generation in (1, 3, 2):
            key_id, key = uuid4(), bytes([generation]) * 32
            place = f"{key_id}|{owner[0]}|identity|{generation}".encode()
            nonce = bytes(12)
            wrapped = nonce + AesGcmSiv().encrypt(encryption_key, nonce, key, place)
            administrator.execute(
                "INSERT INTO vault.keys VALUES (%s, %s, 'identity', %s, %s, %s)",
                (key_id, owner[0], generation, first.key_encryption_key, wrapped),
            )

    keys, new = acta.vault.keys_for([owner])

    assert (keys[owner].generation, new) == (3, [])


def test_keys_of_many_are_had_after_a_rotation_elsewhere(
    acta: Acta, database: TestDatabase
) -> None:
    """Of those who are stored and of those who are new, though the old key is remembered."""
    events = [registered(acta, number) for number in range(3)]
    owners = [(event.person, Purpose.IDENTITY) for event in events]
    before, _ = acta.vault.keys_for(owners)
    with open_ledger(database.settings()) as other:
        successor = other.vault.rotate(TODAY).successor
    acta.vault.forget()

    keys, new = acta.vault.keys_for([*owners, (uuid4(), Purpose.IDENTITY)])

    assert {owner: keys[owner] for owner in owners} == before
    assert [key.key_encryption_key for key in new] == [successor]


def test_unwrapped_keys_are_forgotten_in_time() -> None:
    """All of them, however often they were asked for: from the first that came in."""
    keys = ExpiringKeys(lifetime_seconds=0.05)
    forgotten = threading.Event()
    forget = keys.forget

    def forget_and_tell() -> None:
        forget()
        forgotten.set()

    keys.forget = forget_and_tell  # type: ignore[method-assign]
    keys.put("one", b"key")
    keys.put("two", b"key")
    assert keys.get("one") == b"key"

    assert forgotten.wait(timeout=30)
    assert keys.get("one") is None
    assert keys.get("two") is None
    keys.put("one", b"key")
    assert keys.get("one") == b"key"
    forget()
    assert KEY_LIFETIME_SECONDS <= 60


def test_a_process_that_had_the_key_loses_it_with_the_erasure(
    acta: Acta, database: TestDatabase
) -> None:
    """It opens from what it remembers for a minute at most, and then nothing."""
    event = registered(acta)
    with open_ledger(database.settings()) as other:
        other.vault._known = ExpiringKeys(lifetime_seconds=0.05)
        assert opened(other, registration_of(other, event))["given_name"] == "Ana"
        erase(acta, event)
        while opened(other, registration_of(other, event))["given_name"] is not None:
            threading.Event().wait(0.01)

        assert set(opened(other, registration_of(other, event)).values()) == {None}


def test_digests_differ_from_one_database_to_another(acta: Acta, database: TestDatabase) -> None:
    """They are keyed: an e-mail cannot be looked for by who has not the key."""
    email, rut = acta.vault.digest("email", "a@b.cl"), acta.vault.digest("rut", "a@b.cl")
    assert email == acta.vault.digest("email", "a@b.cl")
    assert len({email, rut, acta.vault.input_digest(b"email:a@b.cl")}) == 3

    with connect(database.administrator) as administrator:
        administrator.execute("DELETE FROM vault.secrets")
        administrator.execute("DELETE FROM vault.key_encryption_keys")
    acta.vault.forget()
    anew = Vault(acta.database, KeyFolder(database.keys))
    assert anew.digest("email", "a@b.cl") != email
    anew.forget()


# ---------------------------------------------------------------- founding, and what is missing


def test_a_database_opened_by_many_at_once_has_one_key(database: TestDatabase) -> None:
    barrier = threading.Barrier(4)

    def found(_: int) -> bytes:
        barrier.wait(timeout=30)
        with open_ledger(database.settings()) as acta:
            return acta.vault.digest("email", "a@b.cl")

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(found, range(4)))) == 1
    assert len(list(database.keys.iterdir())) == 1


def test_without_its_key_nothing_is_opened(database: TestDatabase, tmp_path: Path) -> None:
    """It says which file is missing and what to do, and makes no other in its place."""
    with open_ledger(database.settings()) as acta:
        registered(acta)
    elsewhere = Settings.model_validate(
        {"database_url": database.application, "keys": tmp_path / "elsewhere"}
    )

    with pytest.raises(KeyMissing) as missing, open_ledger(elsewhere):
        pass

    (file,) = database.keys.iterdir()
    assert file.name in missing.value.message
    assert "ACTA_KEYS" in missing.value.remedy
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b"short"), id="too short"),
        pytest.param(lambda file: file.write_bytes(bytes(32)), id="of another database"),
    ],
)
def test_with_a_damaged_key_nothing_is_opened(
    database: TestDatabase, damage: Callable[[Path], object]
) -> None:
    with open_ledger(database.settings()):
        pass
    (file,) = database.keys.iterdir()
    secret = file.read_bytes()
    damage(file)

    with pytest.raises(KeyMissing), open_ledger(database.settings()):
        pass

    file.write_bytes(secret)
    with open_ledger(database.settings()):
        pass


def test_a_folder_that_cannot_be_written_is_named(database: TestDatabase, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings = Settings.model_validate(
        {"database_url": database.application, "keys": tmp_path / "file" / "keys"}
    )

    with pytest.raises(FolderUnusable) as fault, open_ledger(settings):
        pass

    assert str(tmp_path / "file" / "keys") in fault.value.message


# ---------------------------------------------------------------- rotation


def test_after_a_rotation_all_still_opens_and_the_old_key_is_gone(
    acta: Acta, database: TestDatabase
) -> None:
    event = registered(acta)
    subscribe_with_factura(acta, event)
    email = acta.vault.digest("email", "a@b.cl")
    (old,) = database.keys.iterdir()

    rotation = acta.vault.rotate(TODAY)

    (new,) = database.keys.iterdir()
    assert new != old
    assert new.stem == str(rotation.successor)
    assert (rotation.keys_wrapped, rotation.key_files_destroyed) == (2, 1)
    assert acta.vault.digest("email", "a@b.cl") == email
    with open_ledger(database.settings()) as later:
        assert opened(later, registration_of(later, event))["given_name"] == "Ana"
        assert opened(later, factura_of(later, event))["company_rut"] == "76086428-5"


def test_a_process_that_was_running_goes_on_after_a_rotation(
    acta: Acta, database: TestDatabase
) -> None:
    """It makes keys for new people under the new key, though it remembers the old one."""
    first = registered(acta)
    with open_ledger(database.settings()) as other:
        other.vault.rotate(TODAY)

    second = registered(acta, 2)

    acta.vault.forget()
    assert opened(acta, registration_of(acta, first))["given_name"] == "Ana"
    assert opened(acta, registration_of(acta, second))["given_name"] == "Ana"


def test_a_key_on_its_way_in_is_not_lost_to_a_rotation(acta: Acta, database: TestDatabase) -> None:
    """An append that has found its key-encryption key current waits; a rotation waits for it."""
    counter = uuid4()
    event = UserRegistered(
        account=uuid4(),
        person=uuid4(),
        occurred_at=NOON,
        kind=AccountKind.INDIVIDUAL,
        language="es",
        time_zone="UTC",
        given_name="Ana",
        paternal_surname="Rojas",
        email="ana@example.com",
        phone="+56961234567",
    )
    append = Append(counted=[CountedClaim(counter, event.account, event.person, limit=1)])
    append.write(event.account, 0, [event])
    with (
        open_ledger(database.settings()) as other,
        ThreadPoolExecutor(2) as threads,
        connect(database.administrator) as administrator,
    ):
        with administrator.transaction():
            administrator.execute(
                "SELECT pg_advisory_xact_lock(uuid_hash_extended(%s, 1))", (counter,)
            )
            appending = threads.submit(acta.store.append, append, envelope())
            wait_until(lambda: sessions_waiting(database) > 0)
            rotating = threads.submit(other.vault.rotate, TODAY)
            wait_until(lambda: rotating.done() or sessions_waiting(database) > 1)
        appending.result(timeout=60)
        rotating.result(timeout=60)

    acta.vault.forget()
    assert opened(acta, recorded_of(acta, event.account)[0])["given_name"] == "Ana"


@pytest.mark.parametrize(
    ("people", "rotations"), [(60, 5), pytest.param(1500, 60, marks=pytest.mark.soak)]
)
def test_appends_during_rotations_lose_nothing(
    acta: Acta, database: TestDatabase, people: int, rotations: int
) -> None:
    """People register and are erased in several threads while keys are rotated."""
    chance = random.Random(seed())
    erased = set(chance.sample(range(people), people // 5))

    def register(number: int) -> UserRegistered:
        event = registered(acta, number, rut=None)
        if number in erased:
            erase(acta, event)
        return event

    def rotate(_: int) -> int:
        with open_ledger(database.settings()) as other:
            return other.vault.rotate(TODAY).keys_wrapped

    with ThreadPoolExecutor(4) as threads, ThreadPoolExecutor(1) as rotator:
        rotating = [rotator.submit(rotate, number) for number in range(rotations)]
        events = list(threads.map(register, range(people)))
        assert all(future.result(timeout=300) >= 0 for future in rotating)

    acta.vault.forget()
    with open_ledger(database.settings()) as later:
        for number, event in enumerate(events):
            name = opened(later, registration_of(later, event))["given_name"]
            assert name == (None if number in erased else "Ana")
    assert len(list(database.keys.glob("*.key"))) == 1


def test_rotations_at_the_same_time_come_one_after_the_other(
    acta: Acta, database: TestDatabase
) -> None:
    event = registered(acta)
    barrier = threading.Barrier(4)

    def rotate(_: int) -> UUID:
        with open_ledger(database.settings()) as other:
            barrier.wait(timeout=30)
            return other.vault.rotate(TODAY).successor

    with ThreadPoolExecutor(4) as threads:
        successors = set(threads.map(rotate, range(4)))

    assert len(successors) == 4
    (left,) = database.keys.iterdir()
    assert UUID(left.stem) in successors
    acta.vault.forget()
    assert opened(acta, registration_of(acta, event))["given_name"] == "Ana"


class RotatedMeanwhile(KeyFolder):
    """A rotation comes between a look at the database and one at the folder."""

    def __init__(self, folder: Path, rotate: Callable[[], object]) -> None:
        super().__init__(folder)
        self.rotations = [rotate]

    def read(self, key_id: UUID) -> bytes:
        if self.rotations:
            self.rotations.pop()()
        return super().read(key_id)


def test_whoever_opens_or_seals_during_a_rotation_is_not_disturbed(
    acta: Acta, database: TestDatabase
) -> None:
    recorded = registration_of(acta, registered(acta))
    sealed = given_name(recorded)

    def rotate() -> None:
        with open_ledger(database.settings()) as other:
            other.vault.rotate(TODAY)

    folder = RotatedMeanwhile(database.keys, rotate)
    vault = Vault(acta.database, folder)
    assert not folder.rotations
    folder.rotations.append(rotate)
    vault.forget()
    assert vault.open(sealed, event_id=recorded.event_id, field="given_name") == "Ana"
    folder.rotations.append(rotate)
    vault.forget()
    keys, new = vault.keys_for([(uuid4(), Purpose.IDENTITY)])
    vault.forget()

    assert len(keys) == len(new) == 1
    assert not folder.rotations


ROTATING = """
import os, sys
from pathlib import Path
from datetime import date
from handlers.composition import open_ledger
from handlers.settings import Settings
from handlers.store.key_folder import KeyFolder
from handlers.store.vault import Vault

when, name, times, address, keys = sys.argv[1:]
owner = KeyFolder if hasattr(KeyFolder, name) else Vault
method, left = getattr(owner, name), int(times)

def killed(self, *arguments, **named):
    global left
    left -= 1
    if not left and when == "before":
        os.kill(os.getpid(), 9)
    done = method(self, *arguments, **named)
    if not left:
        os.kill(os.getpid(), 9)
    return done

with open_ledger(Settings.model_validate({"database_url": address, "keys": Path(keys)})) as acta:
    setattr(owner, name, killed)
    acta.vault.rotate(date(2026, 3, 2))
"""


@pytest.mark.parametrize(
    "step",
    [
        "before _destroy_due 1",
        "after _destroy_due 1",
        "before create 1",
        "after create 1",
        "before _wrap 1",
        "after _wrap 2",
        "after _wrap_all 1",
        "after _hand_over 1",
        "after forget 1",
        "before destroy 2",
        "after destroy 2",
    ],
)
def test_a_rotation_killed_at_any_step_is_simply_run_again(
    database: TestDatabase, step: str
) -> None:
    """Before the second run everything opens, after it too, and one key is left."""
    with open_ledger(database.settings()) as acta:
        event = registered(acta)
        subscribe_with_factura(acta, event)
    (founded,) = database.keys.iterdir()

    killed = subprocess.run(
        [sys.executable, "-c", ROTATING, *step.split(), database.application, database.keys],
        check=False,
    )

    assert killed.returncode == -9
    with open_ledger(database.settings()) as acta:
        assert opened(acta, registration_of(acta, event))["given_name"] == "Ana"
        acta.vault.rotate(TODAY)
        assert opened(acta, factura_of(acta, event))["company_rut"] == "76086428-5"
    assert not founded.exists()
    with connect(database.administrator) as administrator:
        current = administrator.execute(
            "SELECT id FROM vault.key_encryption_keys WHERE retired_at IS NULL"
        ).fetchall()
    assert [UUID(file.stem) for file in database.keys.iterdir()] == [current[0][0]]


# ---------------------------------------------------------------- erasure


@pytest.mark.rule("A11")
def test_erasure_takes_identity_at_once_and_leaves_tax_data_to_its_term(
    acta: Acta, database: TestDatabase
) -> None:
    event = registered(acta)
    subscribe_with_factura(acta, event)
    suspend = SuspendAccount(
        account=f"account:{event.account}",
        at=NOON,
        reason=SuspensionReason.OTHER,
        note="Llamó por teléfono",
    )
    ask(acta, suspend, MANAGER)
    term = date(TODAY.year + 6, TODAY.month, TODAY.day)

    erase(acta, event)

    with open_ledger(database.settings()) as later:
        for recorded in recorded_of(later, event.account):
            assert set(opened(later, recorded).values()) <= {None}
        assert opened(later, factura_of(later, event))["address"] == "Los Aromos 123, Ñuñoa"
        assert later.vault.rotate(term).keys_destroyed == 0
        assert opened(later, factura_of(later, event))["address"] == "Los Aromos 123, Ñuñoa"
        assert later.vault.rotate(term + timedelta(days=1)).keys_destroyed == 1
        assert set(opened(later, factura_of(later, event)).values()) == {None}
    with connect(database.administrator) as administrator:
        assert purposes_with_keys(administrator, event.person) == set()


@pytest.mark.rule("A11")
def test_erasure_takes_every_purpose_of_who_never_paid(acta: Acta, database: TestDatabase) -> None:
    """Without a tax document nothing has to be kept; other people are left alone."""
    event, other = registered(acta), registered(acta, 2)

    erase(acta, event)

    with connect(database.administrator) as administrator:
        assert purposes_with_keys(administrator, event.person) == set()
        assert purposes_with_keys(administrator, other.person) == {Purpose.IDENTITY}
    assert opened(acta, registration_of(acta, other))["given_name"] == "Ana"


@pytest.mark.rule("A11")
def test_erasure_empties_claims_and_index(acta: Acta, database: TestDatabase) -> None:
    """The e-mail and the RUT are free, and whoever comes with them is a new person."""
    event = registered(acta)
    registered(acta, 2)

    erase(acta, event)

    with connect(database.administrator) as administrator:
        for table in ("ledger.claims", "ledger.counted_claims", "vault.people"):
            left = administrator.execute(
                f"SELECT FROM {table} WHERE person = %s".encode(), (event.person,)
            )
            assert left.rowcount == 0, table
    again = registered(acta)
    assert again.person != event.person
    assert again.account != event.account


@pytest.mark.rule("A11")
def test_erasure_empties_the_digests_of_what_the_person_was_asked(
    acta: Acta, database: TestDatabase
) -> None:
    """Of accepted commands and of refused ones, whichever rule refused them; nobody else's."""
    event = registered(acta)
    who = f"account:{event.account}"
    subscribe_with_factura(acta, event)
    change = ChangeUserCode(account=who, at=NOON, email="new@example.com")
    assert refused(acta, registration(), SOMEBODY).rule == "A3"
    assert refused(acta, change, MANAGER).rule == "A5"
    assert refused(acta, change, AUDITOR).rule == "G1"
    assert refused(acta, registration(), Actor(kind=ActorKind.SYSTEM)).rule == "G1"
    same_rut = registration(7, rut=registration().rut)
    assert refused(acta, same_rut, SOMEBODY).rule == "A3"
    other = uuid4()
    ask(acta, registration(2), SOMEBODY, other)

    erase(acta, event)

    with connect(database.administrator) as administrator:
        kept = administrator.execute(
            "SELECT command_id FROM ledger.receipts WHERE input_digest IS NOT NULL"
        ).fetchall()
    assert kept == [(other,)]


@pytest.mark.rule("A11")
def test_no_digest_comes_in_after_the_erasure(database: TestDatabase) -> None:
    """Neither of a command that was decided on before it, nor of one that is given after it."""
    with two_ledgers(database) as two:
        event = registered(two.acta)
        two.meanwhile(lambda: erase(two.other, event))
        # By G1, so that it rests on no stream that the erasure moves.
        assert refused(two.acta, registration(), AUDITOR).rule == "G1"
        change = ChangeUserCode(account=f"account:{event.account}", at=NOON, email="a@b.cl")
        assert refused(two.acta, change, MANAGER).rule == "A5"

    with connect(database.administrator) as administrator:
        receipts = administrator.execute("SELECT input_digest FROM ledger.receipts").fetchall()
    assert receipts == [(None,)] * 4


@pytest.mark.rule("A11")
@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_an_erasure_and_a_refusal_at_the_same_instant_leave_no_digest(
    acta: Acta, database: TestDatabase, rounds: int
) -> None:
    for number in range(rounds):
        event = registered(acta, number)
        barrier = threading.Barrier(4)

        def refuse(_: int, barrier: threading.Barrier = barrier, number: int = number) -> None:
            barrier.wait(timeout=30)
            # By its own RUT, so that it is about the same person whoever is first.
            acta.ledger.answer(registration(number, email="a@b.cl"), AUDITOR, uuid4())

        with ThreadPoolExecutor(3) as threads:
            refusing = [threads.submit(refuse, index) for index in range(3)]
            barrier.wait(timeout=30)
            erase(acta, event)
            for future in refusing:
                future.result(timeout=30)

        with connect(database.administrator) as administrator:
            kept = administrator.execute(
                "SELECT FROM ledger.receipts"
                " WHERE persons @> ARRAY[%s] AND input_digest IS NOT NULL",
                (event.person,),
            )
            assert kept.rowcount == 0


@pytest.mark.rule("A11")
def test_commands_of_the_erased_are_answered_by_their_id_still(acta: Acta) -> None:
    """Their input can no longer be compared; the first answer stands."""
    command_id = uuid4()
    first = ask(acta, registration(), SOMEBODY, command_id)
    (row,) = acta.store.batch(after=0, limit=1)
    recorded = recorded_of(acta, row.stream)[0]
    event = recorded.event
    assert isinstance(event, UserRegistered)
    erase(acta, event)

    assert ask(acta, registration(), SOMEBODY, command_id).events == first.events


@pytest.mark.rule("A11")
def test_an_erasure_is_pending_until_the_keys_are_rotated(acta: Acta) -> None:
    event = registered(acta)
    erase(acta, event)
    (pending,) = acta.queries.status().pending_erasures
    assert pending.person == event.person
    assert pending.copies_readable

    acta.vault.rotate(TODAY)

    assert acta.queries.status().pending_erasures == ()


# ---------------------------------------------------------------- copies made before


@pytest.mark.rule("A11")
def test_a_copy_made_before_an_erasure_opens_no_more_for_the_erased(
    state_folder: Path, tmp_path: Path
) -> None:
    """Not with the keys that exist after erasing and rotating; with the old one it would have."""
    keys, keys_before = tmp_path / "keys", tmp_path / "keys-before"
    with home_of(state_folder / "before") as home, home_of(state_folder / "copy") as copy:
        settings = Settings.model_validate({"home": home, "keys": keys})
        with open_ledger(settings) as acta:
            gone, stays = registered(acta), registered(acta, 2)
            subscribe_with_factura(acta, gone)
        subprocess.run(["cp", "-a", home, copy], check=True)
        shutil.copytree(keys, keys_before)
        with open_ledger(settings) as acta:
            erase(acta, gone)
            acta.vault.rotate(TODAY)
            assert set(opened(acta, registration_of(acta, gone)).values()) == {None}
            assert opened(acta, registration_of(acta, stays))["given_name"] == "Ana"

        with pytest.raises(KeyMissing), open_ledger(settings.model_copy(update={"home": copy})):
            pass
        opened_by_keys_before(copy, keys_before, gone)
        assert no_key_opens(copy, keys, gone)


def opened_by_keys_before(copy: Path, keys: Path, event: UserRegistered) -> None:
    """The copy is whole: with the keys of its day it opens, so it is the keys that protect."""
    settings = Settings.model_validate({"home": copy, "keys": keys})
    with open_ledger(settings) as acta:
        assert opened(acta, registration_of(acta, event))["given_name"] == "Ana"


def no_key_opens(copy: Path, keys: Path, event: UserRegistered) -> bool:
    """Tries every key that exists on every wrapped key of the copy, whatever it is named for."""
    with EmbeddedServer.start(copy) as server, connect(server.addresses.administrator) as reader:
        rows = reader.execute(
            "SELECT id, person, purpose, generation, wrapped FROM vault.keys WHERE person = %s",
            (event.person,),
        ).fetchall()
    assert rows
    for key_id, person, purpose, generation, wrapped in rows:
        place = f"{key_id}|{person}|{purpose}|{generation}".encode()
        for file in keys.iterdir():
            with pytest.raises(NotOpened):
                AesGcmSiv().decrypt(file.read_bytes(), wrapped[:12], wrapped[12:], place)
    return True

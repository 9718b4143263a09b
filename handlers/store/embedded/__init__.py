"""PostgreSQL without a server to look after: one that runs while somebody uses its folder.

Each module knows only those below it:

- ``server``: a share in the server of a folder; tells how processes agree
- ``supervisor``: the process that outlives those who have a share, in order to stop the server
- ``cluster``: the server itself, made, started and stopped
- ``configuration``, ``credentials``, ``binaries``: what it is told, who may ask it, what it runs
- ``folders``, ``processes``: made, checked and given away; waited for and buried
- ``layout``, ``account``, ``locks``: where everything is, as whom it runs, what is held

The supervisor is started while a folder's first user waits, and imports this package too: at their
top these modules import nothing that takes long.
"""

from handlers.store.embedded.credentials import Addresses
from handlers.store.embedded.layout import default_home
from handlers.store.embedded.server import EmbeddedServer

__all__ = ["Addresses", "EmbeddedServer", "default_home"]

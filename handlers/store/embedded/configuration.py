"""What the server is told: durable, quiet about its data, and on no network."""

from typing import Final

from handlers.store.embedded.layout import PORT, Layout

__all__ = ["write_settings"]

# Neither statements nor their errors are logged, for both can quote a person's data: an error is
# told to whoever sent the statement, and the log keeps what concerns the server itself.
SETTINGS: Final = """\
# Written by Acta at each start, and read instead of data/postgresql.conf. For settings of your
# own use ALTER SYSTEM.
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 200
max_locks_per_transaction = 256
shared_buffers = '128MB'
dynamic_shared_memory_type = posix
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = '1GB'
password_encryption = 'scram-sha-256'
timezone = 'UTC'
datestyle = 'iso, ymd'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.simple'
log_destination = 'stderr'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = 'none'
log_min_duration_statement = -1
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
log_connections = ''
"""


def write_settings(layout: Layout) -> None:
    """Writes the server's configuration file."""
    written = layout.settings.with_suffix(".new")
    written.write_text(SETTINGS.format(port=PORT, sockets=layout.sockets))
    written.chmod(0o644)  # readable by the account of the server, and holds no secret
    written.replace(layout.settings)

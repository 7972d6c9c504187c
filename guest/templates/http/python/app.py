"""{{name}}: downloads files from a server, and uploads files to it.

`syncmgr_http.py` sends the requests. `syncmgr_plugin.py` is the layer between this plugin and the
sync manager, and `wit/reference.md` explains every call. Import modules at the top of a file: what
is imported later is not in the component.
"""

import os
from collections.abc import Callable
from pathlib import Path

import syncmgr_http as http
from syncmgr_plugin import (
    ErrorCode, Guid, Item, Plugin, SyncContext, directories, error_code, export, failure, item,
)

# Never change the id of an item: the sync manager stores the user's choices under it.
TRANSFER = Guid(high=0x{{id-high}}, low=0x{{id-low}})

# The granted directory.
FILES = Path("/files")

# The bytes between two reports.
CHUNK = 1 << 20

# A download has this name until it is complete.
TEMPORARY = FILES / ".syncmgr-download"


class Transfer(Plugin):
    name = "{{name}}"

    def items(self) -> list[Item]:
        return [item(TRANSFER, "Transfer")]

    def synchronize_item(self, run: SyncContext) -> str:
        # The granted URL is the setting with the name of the server.
        server = os.environ.get("remote")
        downloads = os.environ.get("download", "").split()
        uploads = os.environ.get("upload", "").split()
        if server is None:
            raise failure(ErrorCode.ACCESS_DENIED, "the server `remote` is not granted")
        with (
            directories.open_grant("files") as files,
            files.lock(),  # keeps other runs out of the directory
        ):
            try:
                for name in downloads:
                    download(run, server, name)
                for name in uploads:
                    upload(run, server, name)
            except OSError as error:
                raise failure(error_code(error), f"{name}: {error.strerror or error}")
        return f"{len(downloads)} downloaded, {len(uploads)} uploaded"


def download(run: SyncContext, server: str, name: str) -> None:
    """Downloads a file. Its name refers to the old version until the new one is complete."""
    run.report(0, 0, name)
    with http.get(server + name) as response:
        response.check_status()
        report = progress(run, response.content_length or 0, name)
        done = 0
        try:
            with open(TEMPORARY, "wb") as writer:
                for chunk in response:
                    writer.write(chunk)
                    done += len(chunk)
                    report(done)
                writer.flush()
                os.fsync(writer.fileno())
            os.replace(TEMPORARY, FILES / Path(name).name)
        finally:
            TEMPORARY.unlink(missing_ok=True)


def upload(run: SyncContext, server: str, name: str) -> None:
    """Uploads a file, whose size does not matter."""
    path = FILES / name
    report = progress(run, path.stat().st_size, name)
    with http.put(server + name, path, sent=report) as response:
        response.check_status()


def progress(run: SyncContext, total: int, name: str) -> Callable[[int], None]:
    """Returns a function that reports the bytes done, at most once for each `CHUNK`."""
    due = 0

    def report(done: int) -> None:
        nonlocal due
        if done >= due:
            run.report(done, total, name)
            due = done + CHUNK

    return report


Synchronize = export(Transfer)

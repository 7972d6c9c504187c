"""{{name}}: copies new and changed files from one folder to another.

`copier.py` does the work. `syncmgr_plugin.py` is the layer between this plugin and the sync
manager, and `wit/reference.md` explains every call. Import modules at the top of a file: what is
imported later is not in the component.
"""

from pathlib import Path

import copier
from syncmgr_plugin import (
    ErrorCode, Guid, Item, Plugin, SyncContext, directories, error_code, export, item,
)

# Never change the id of an item: the sync manager stores the user's choices under it.
COPY = Guid(high=0x{{id-high}}, low=0x{{id-low}})


class Copy(Plugin):
    name = "{{name}}"

    def items(self) -> list[Item]:
        return [item(COPY, "Copy")]

    def synchronize_item(self, run: SyncContext) -> str:
        def fail(path: Path, error: OSError) -> None:
            changed = isinstance(error, copier.Changed)
            code = ErrorCode.CHANGED if changed else error_code(error)
            run.fail(code, f"{path}: {error.strerror or error}")

        with (
            directories.open_grant("source"),
            directories.open_grant("target") as target,
            target.lock(),  # keeps other runs out of the target
        ):
            copied = copier.synchronize(Path("/source"), Path("/target"), run.report, fail)
        run.count("files-copied", copied)
        return f"{copied} copied, {run.failures} failed"


Synchronize = export(Copy)

"""{{name}}: copies new and changed files from one folder to another.

This module is what the sync manager calls; `copier.py` does the work. `wit/reference.md` explains
every call. Import modules at the top of a file: what is imported later is not in the component.
"""

import random
import traceback
from functools import partial
from pathlib import Path

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import synchronize as calls
from wit_world.imports import directories, insecure_seed, statistics
from wit_world.imports import synchronize_callback as callback
from wit_world.imports import syncmgr_plugin_types as types
from wit_world.imports.syncmgr_plugin_types import Error, ErrorCode, Guid, ProgressResponse, Status

import copier

# Never change the id of an item: the user's choices are filed under it.
COPY = Guid(high=0x3F0C5C1E6B7A4D52, low=0x9E41D7A8C2B60F13)

# The items to synchronize. Not an attribute, because every call is made on a new object.
prepared: list[Guid] = []

# When the component starts, Python seeds its random numbers with secret ones, which only a plugin
# may use that requests `randomness`. These are always there.
seed = random.seed
random.seed = lambda a=None, *args: seed(
    insecure_seed.insecure_seed()[0] if a is None else a, *args
)


class Synchronize(exports.Synchronize):
    def initialize(self, trigger: types.Trigger, cookie: bytes | None) -> calls.Participation:
        return calls.Participation.PARTICIPATES

    def get_handler_info(self) -> types.HandlerInfo:
        return types.HandlerInfo("{{name}}", types.HandlerFlags(0))

    def enum_items(self) -> calls.ItemList:
        copy = types.Item(COPY, "Copy", types.ItemFlags(0), types.ItemState.CHECKED, None)
        return calls.ItemList([copy], missing_items=False)

    def prepare_for_sync(self, item_ids: list[Guid]) -> calls.PrepareOutcome:
        prepared[:] = item_ids
        return calls.PrepareOutcome.PREPARED

    def synchronize(self) -> None:
        for item in prepared:
            try:
                text, status = synchronize_item(item)
            except Cancelled as cancelled:
                text, status = "cancelled", cancelled.status
            except Err as error:  # of one of the imports
                log(item, error.value.code, error.value.message)
                text, status = "failed", Status.FAILED
            except Exception:  # a mistake in this program
                log(item, ErrorCode.FAILED, traceback.format_exc())
                text, status = "failed", Status.FAILED
            callback.progress(item, types.ProgressItem(text, status, None, None))

    def set_item_status(self, item_id: Guid | None, status: Status) -> None:
        pass  # What was cancelled, the answer to the next report says, too.

    def show_error(self, error_id: Guid) -> calls.ErrorDetail:
        raise Err(Error(ErrorCode.NOT_IMPLEMENTED, "there is nothing more to tell"))

    def get_properties(self, item_id: Guid | None) -> list[calls.Property]:
        raise Err(Error(ErrorCode.NOT_IMPLEMENTED, "there are no properties"))

    def set_properties(
        self, item_id: Guid | None, changes: list[calls.PropertyChange]
    ) -> calls.PropertiesOutcome:
        raise Err(Error(ErrorCode.NOT_IMPLEMENTED, "there are no properties"))


class Cancelled(Exception):
    def __init__(self, status: Status):
        self.status = status


def synchronize_item(item: Guid) -> tuple[str, Status]:
    """Does the work of an item, and returns how it ended."""
    report(item, 0, 0, "")
    if item != COPY:
        raise Err(Error(ErrorCode.NOT_FOUND, "there is no such item any more"))
    with directories.open_grant("source"), directories.open_grant("target") as target:
        target.lock()  # so that no other run works on it
    failed = []

    def fail(path: Path, error: OSError) -> None:
        failed.append(path)
        log(item, error_code(error), f"{path}: {error.strerror or error}")

    copied = copier.synchronize(Path("/source"), Path("/target"), partial(report, item), fail)
    statistics.set_count(item, "files-copied", copied)
    return f"{copied} copied, {len(failed)} failed", Status.FAILED if failed else Status.SUCCEEDED


def report(item: Guid, done: int, total: int, text: str) -> None:
    """Tells where an item stands. Raises `Cancelled` if the user wants it to stop."""
    step = (total >> 31) + 1  # so that any number of bytes fits into 31 bits
    statistics.set_bytes_per_step(item, step)
    status = Status.UPDATING if total else Status.UPDATING_INDETERMINATE
    answer = callback.progress(item, types.ProgressItem(text, status, done // step, total // step))
    if answer == ProgressResponse.CANCEL_ITEM:
        raise Cancelled(Status.SKIPPED)
    if answer == ProgressResponse.CANCEL_ALL:
        raise Cancelled(Status.STOPPED)


def log(item: Guid, code: ErrorCode, text: str) -> None:
    callback.log_error(types.LogLevel.ERROR, text, types.LogErrorInfo(None, None, item, code))


def error_code(error: OSError) -> ErrorCode:
    match error:
        case copier.Changed():
            return ErrorCode.CHANGED
        case PermissionError():
            return ErrorCode.ACCESS_DENIED
        case FileNotFoundError():
            return ErrorCode.NOT_FOUND
        case FileExistsError():
            return ErrorCode.ALREADY_EXISTS
        case _:
            return ErrorCode.INPUT_OUTPUT

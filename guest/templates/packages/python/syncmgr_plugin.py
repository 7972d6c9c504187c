"""Write sync plugins in Python: the layer between a plugin and the contract in `wit/`.

Subclass `Plugin`, and export it under the name that the contract requires:

    Synchronize = export(MyPlugin)
"""

import random
import traceback

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import synchronize as calls
from wit_world.imports import directories, insecure_seed, poll, statistics
from wit_world.imports import synchronize_callback as callback
from wit_world.imports import syncmgr_plugin_types as types
from wit_world.imports.syncmgr_plugin_types import (
    Error, ErrorCode, Guid, Item, LogLevel, ProgressResponse, Status,
)

__all__ = [
    "Cancelled", "ErrorCode", "Guid", "Item", "LogLevel", "Plugin", "Status", "SyncContext",
    "callback", "calls", "cancelled", "check_cancelled", "directories", "error_code", "export",
    "failure", "item", "log", "types",
]

# By default, Python seeds its random numbers with secure ones, which require the capability
# `randomness`. The insecure seed is always available.
_seed = random.seed
random.seed = lambda a=None, *args: _seed(
    insecure_seed.insecure_seed()[0] if a is None else a, *args
)


def item(id: Guid, name: str) -> Item:
    """Creates an item that takes part by default and has no flags."""
    return Item(id, name, types.ItemFlags(0), types.ItemState.CHECKED, None)


def failure(code: ErrorCode, message: str) -> Err:
    """Creates an error of the contract, to be raised."""
    return Err(Error(code, message))


def error_code(error: OSError) -> ErrorCode:
    """Returns the error code of the contract for a file error."""
    match error:
        case PermissionError():
            return ErrorCode.ACCESS_DENIED
        case FileNotFoundError():
            return ErrorCode.NOT_FOUND
        case FileExistsError():
            return ErrorCode.ALREADY_EXISTS
        case _:
            return ErrorCode.INPUT_OUTPUT


def log(
    level: LogLevel,
    text: str,
    item: Guid | None = None,
    code: ErrorCode | None = None,
    error_id: Guid | None = None,
) -> None:
    """Logs a message that the user sees in the results. `show_error` returns the details of `error_id`."""
    flags = types.ErrorFlags.ENABLE_JUMP_TEXT if error_id else None
    callback.log_error(level, text, types.LogErrorInfo(flags, error_id, item, code))


class Cancelled(Exception):
    """The user cancelled the item or the run."""

    def __init__(self, status: Status):
        self.status = status


# The item in progress, whose cancellation ends waiting.
_in_progress: Guid | None = None


def check_cancelled() -> None:
    """Raises `Cancelled` if the user cancelled the run or the item in progress."""
    if callback.is_cancelled(_in_progress):
        raise Cancelled(Status.STOPPED if callback.is_cancelled(None) else Status.SKIPPED)


def cancelled() -> poll.Pollable:
    """Returns a pollable that becomes ready when the user cancels. Poll it together with everything
    else that the plugin waits for."""
    return callback.subscribe_cancelled(_in_progress)


class SyncContext:
    """The work on one item."""

    def __init__(self, item: Guid):
        self.item = item
        self.failures = 0

    def report(self, done: int, total: int, text: str) -> None:
        """Reports the bytes done, the total (0 is unknown) and the status text.

        Raises `Cancelled` once the user cancelled.
        """
        step = (total >> 31) + 1  # so that any number of bytes fits into 31 bits
        statistics.set_bytes_per_step(self.item, step)
        status = Status.UPDATING if total else Status.UPDATING_INDETERMINATE
        report = types.ProgressItem(text, status, done // step, total // step)
        answer = callback.progress(self.item, report)
        if answer == ProgressResponse.CANCEL_ITEM:
            raise Cancelled(Status.SKIPPED)
        if answer == ProgressResponse.CANCEL_ALL:
            raise Cancelled(Status.STOPPED)

    def log(self, level: LogLevel, text: str) -> None:
        log(level, text, self.item)

    def fail(self, code: ErrorCode, text: str) -> None:
        """Logs an error. The work continues, and the item ends as failed."""
        self.failures += 1
        log(LogLevel.ERROR, text, self.item, code)

    def count(self, name: str, value: int) -> None:
        """Sets a named counter in the report. The name has 1 to 64 of `a-z`, `0-9` and `-`."""
        statistics.set_count(self.item, name, value)

    def question(self, text: str, choices: list[str], default_choice: int) -> int:
        """Asks the user a question and returns the index of the answer."""
        return callback.question(callback.UserQuestion(self.item, text, choices, default_choice))


class Plugin:
    """A sync handler. One object serves one run."""

    name: str

    def items(self) -> list[Item]:
        raise NotImplementedError

    def synchronize_item(self, run: SyncContext) -> str:
        """Synchronizes an item, and returns the text of its last report."""
        raise NotImplementedError

    def handler_info(self) -> types.HandlerInfo:
        return types.HandlerInfo(self.name, types.HandlerFlags(0))

    def initialize(self, trigger: types.Trigger, cookie: bytes | None) -> calls.Participation:
        return calls.Participation.PARTICIPATES

    def prepare(self, items: list[Guid]) -> calls.PrepareOutcome:
        return calls.PrepareOutcome.PREPARED

    def set_item_status(self, item: Guid | None, status: Status) -> None:
        """The answers to reports carry the same information, so most plugins need not implement it."""

    def show_error(self, error: Guid) -> calls.ErrorDetail:
        raise failure(ErrorCode.NOT_IMPLEMENTED, "the plugin has no details about errors")

    def properties(self, item: Guid | None) -> list[calls.Property]:
        raise failure(ErrorCode.NOT_IMPLEMENTED, "the plugin has no properties")

    def set_properties(
        self, item: Guid | None, changes: list[calls.PropertyChange]
    ) -> calls.PropertiesOutcome:
        raise failure(ErrorCode.NOT_IMPLEMENTED, "the plugin has no properties")


def export(plugin: type[Plugin]) -> type[exports.Synchronize]:
    """The class that a component exports. Every call is made on a new object of it, and all of them
    use one object of the plugin."""
    made: list[Plugin] = []
    prepared: list[Guid] = []

    def instance() -> Plugin:
        if not made:
            made.append(plugin())
        return made[0]

    def end(item: Guid) -> tuple[str, Status]:
        global _in_progress
        _in_progress = item
        run = SyncContext(item)
        try:
            run.report(0, 0, "")
            if all(known.id != item for known in instance().items()):
                raise failure(ErrorCode.NOT_FOUND, "the item does not exist")
            text = instance().synchronize_item(run)
            return text, Status.FAILED if run.failures else Status.SUCCEEDED
        except Cancelled as cancelled:
            return "cancelled", cancelled.status
        except Err as error:  # of one of the imports
            run.fail(error.value.code, error.value.message)
        except Exception:  # a mistake in the plugin
            run.fail(ErrorCode.FAILED, traceback.format_exc())
        finally:
            _in_progress = None
        return "failed", Status.FAILED

    class Synchronize(exports.Synchronize):
        def initialize(self, trigger, cookie):
            return instance().initialize(trigger, cookie)

        def get_handler_info(self):
            return instance().handler_info()

        def enum_items(self):
            return calls.ItemList(instance().items(), missing_items=False)

        def prepare_for_sync(self, item_ids):
            prepared[:] = item_ids
            return instance().prepare(item_ids)

        def synchronize(self):
            for item in prepared:
                text, status = end(item)
                callback.progress(item, types.ProgressItem(text, status, None, None))

        def set_item_status(self, item_id, status):
            instance().set_item_status(item_id, status)

        def show_error(self, error_id):
            return instance().show_error(error_id)

        def get_properties(self, item_id):
            return instance().properties(item_id)

        def set_properties(self, item_id, changes):
            return instance().set_properties(item_id, changes)

    return Synchronize

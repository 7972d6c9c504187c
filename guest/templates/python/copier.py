"""Determines which files to copy, and copies them.

Nothing here knows of the sync manager, so `test_copier.py` can test it natively.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

CHUNK = 1 << 20

# A copy has this name until it is complete. One name per folder is enough, because files are copied
# one after the other.
TEMPORARY = ".syncmgr-copy"

# Receives the bytes done, the total (0: unknown) and the status text. To cancel the work, it raises
# an exception that is not an OSError.
Report = Callable[[int, int, str], None]

# Receives a file or folder that could not be copied.
Fail = Callable[[Path, OSError], None]


@dataclass(frozen=True)
class File:
    path: Path  # below the source
    size: int
    modified: int  # in nanoseconds


class Changed(OSError):
    """A file was changed during its copy."""


def synchronize(source: Path, target: Path, report: Report, fail: Fail) -> int:
    """Copies new and changed files, and returns their number."""
    files = plan(source, target, report, fail)
    total = sum(file.size for file in files)
    done = copied = 0
    for file in files:
        try:
            copy(source, target, file, lambda more: report(done + more, total, str(file.path)))
            copied += 1
        except OSError as error:
            fail(file.path, error)
        done += file.size
    return copied


def plan(source: Path, target: Path, report: Report, fail: Fail) -> list[File]:
    """Lists the files whose current version is missing in the target."""
    files = []
    # This does not follow links to folders.
    for folder, folders, names in os.walk(source, onerror=lambda e: fail(Path(e.filename), e)):
        below = Path(folder).relative_to(source)
        report(0, 0, str(below))
        folders.sort()
        for name in sorted(names):
            try:
                file = os.lstat(source / below / name)
                # Entries other than regular files, such as links, are not copied.
                if not S_ISREG(file.st_mode) or name == TEMPORARY:
                    continue
                if not is_copy(target / below / name, file):
                    files.append(File(below / name, file.st_size, file.st_mtime_ns))
            except OSError as error:
                fail(below / name, error)
    return files


def is_copy(path: Path, file: os.stat_result) -> bool:
    """Returns whether a copy of this version of a file exists."""
    try:
        copy = os.lstat(path)
    except FileNotFoundError:
        return False
    # Some file systems store times less precisely: NTFS in steps of 100 ns, FAT of 2 seconds.
    steps = (1, 100, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)
    apart = abs(file.st_mtime_ns - copy.st_mtime_ns)
    same_time = any(apart < step and copy.st_mtime_ns % step == 0 for step in steps)
    return S_ISREG(copy.st_mode) and copy.st_size == file.st_size and same_time


def copy(source: Path, target: Path, file: File, report: Callable[[int], None]) -> None:
    """Copies a file. Its name refers to the old version until the new one is complete."""
    report(0)
    if any((target / path).is_symlink() for path in (file.path, *file.path.parents)):
        raise FileExistsError("there is a link in its place in the target")
    temporary = (target / file.path).with_name(TEMPORARY)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    temporary.unlink(missing_ok=True)  # left there by a run that was killed
    try:
        # With a buffer, closing would repeat the failed write and hide the reason.
        with open(source / file.path, "rb") as reader, open(temporary, "xb", 0) as writer:
            while chunk := reader.read(CHUNK):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[writer.write(rest) :]
                report(writer.tell())
            os.fsync(writer.fileno())
        now = os.lstat(source / file.path)
        if (now.st_size, now.st_mtime_ns) != (file.size, file.modified):
            raise Changed("it changed while it was copied; the next run will copy it")
        os.utime(temporary, ns=(file.modified, file.modified))
        os.replace(temporary, target / file.path)
    finally:
        temporary.unlink(missing_ok=True)

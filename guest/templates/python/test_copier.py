"""Tests the copying on real folders: `python3 -m unittest`."""

import os
import tempfile
import unittest
from pathlib import Path

import copier


class Stop(Exception):
    """The exception that a report raises on cancellation."""


class CopierTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = Path(folder.name, "source")
        self.target = Path(folder.name, "target")
        self.target.mkdir()
        self.write("a.txt", b"a")
        self.write("empty", b"")
        self.write("sub/large", bytes(2 * copier.CHUNK + 1))

    def write(self, path, content, folder=None):
        path = (folder or self.source) / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def content(self, folder):
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    def run_copier(self, stop_at=None, at_report=None):
        """Returns the number of copied files, the reports, and the failed paths."""
        reports, failed = [], {}

        def report(*args):
            reports.append(args)
            if at_report:
                at_report(*args)
            if len(reports) == stop_at:
                raise Stop

        def fail(path, error):
            failed[path.as_posix()] = error

        try:
            copied = copier.synchronize(self.source, self.target, report, fail)
        except Stop:
            copied = None
        return copied, reports, failed

    def test_everything_is_copied_and_then_nothing(self):
        self.assertEqual(self.run_copier()[0], 3)
        self.assertEqual(self.content(self.target), self.content(self.source))
        self.assertEqual(self.run_copier()[0], 0)

    def test_what_changed_is_copied(self):
        self.run_copier()
        self.write("a.txt", b"longer")
        os.utime(self.source / "empty", ns=(0, 123_456_789))
        self.assertEqual(self.run_copier()[0], 2)
        self.assertEqual(self.content(self.target), self.content(self.source))
        self.assertEqual(self.run_copier()[0], 0)

    def test_times_are_compared_as_exactly_as_the_target_keeps_them(self):
        os.utime(self.source / "a.txt", ns=(0, 1_000_000_000_987_654_321))
        self.run_copier()
        for kept, copied in [
            (1_000_000_000_987_654_300, 0),  # steps of 100 nanoseconds
            (1_000_000_000_000_000_000, 0),  # of 2 seconds
            (1_000_000_002_000_000_000, 0),
            (1_000_000_000_987_654_345, 1),
            (1_000_000_004_000_000_000, 1),
        ]:
            with self.subTest(kept=kept):
                os.utime(self.target / "a.txt", ns=(0, kept))
                self.assertEqual(self.run_copier()[0], copied)

    def test_nothing_is_deleted(self):
        self.write("theirs", b"theirs", self.target)
        self.run_copier()
        (self.source / "a.txt").unlink()
        self.run_copier()
        self.assertEqual(self.content(self.target)["theirs"], b"theirs")
        self.assertEqual(self.content(self.target)["a.txt"], b"a")

    def test_progress_covers_every_file_and_chunk(self):
        _, reports, _ = self.run_copier()
        total = 2 * copier.CHUNK + 2
        copying = [(Path(text).name, done) for done, all, text in reports if all == total]
        chunks = (1, copier.CHUNK + 1, 2 * copier.CHUNK + 1, total)
        large = [("large", done) for done in chunks]
        self.assertEqual(copying, [("a.txt", 0), ("a.txt", 1), ("empty", 1), *large])

    def test_a_run_can_be_cancelled_at_every_report(self):
        whole = self.content(self.source)
        for stop_at in range(1, len(self.run_copier()[1]) + 1):
            with self.subTest(stop_at=stop_at):
                for path in self.target.rglob("*"):
                    if path.is_file():
                        path.unlink()
                copied, reports, _ = self.run_copier(stop_at)
                self.assertIsNone(copied)
                self.assertEqual(len(reports), stop_at)
                # There are only complete files.
                self.assertLessEqual(self.content(self.target).items(), whole.items())
                self.run_copier()
                self.assertEqual(self.content(self.target), whole)

    def test_what_a_killed_run_left_is_cleared_away(self):
        self.write("sub/" + copier.TEMPORARY, b"half", self.target)
        self.run_copier()
        self.assertEqual(self.content(self.target), self.content(self.source))

    def test_a_file_that_fails_does_not_keep_others_from_being_copied(self):
        (self.target / "a.txt").mkdir()
        copied, _, failed = self.run_copier()
        self.assertEqual((copied, list(failed)), (2, ["a.txt"]))
        self.assertNotIn(copier.TEMPORARY, self.content(self.target))

    def test_a_missing_source_fails(self):
        self.source = self.source / "missing"
        copied, _, failed = self.run_copier()
        self.assertEqual((copied, len(failed)), (0, 1))

    def test_a_file_that_changes_during_its_copy_is_left_for_the_next_run(self):
        def write_more(done, total, text):
            if text == "a.txt" and done > 0:
                self.write("a.txt", b"longer")

        copied, _, failed = self.run_copier(at_report=write_more)
        self.assertEqual((copied, type(failed["a.txt"])), (2, copier.Changed))
        self.assertEqual(self.run_copier()[0], 1)
        self.assertEqual(self.content(self.target), self.content(self.source))

    @unittest.skipUnless(hasattr(os, "symlink") and os.name == "posix", "needs symbolic links")
    def test_links_are_not_followed(self):
        elsewhere = self.source.with_name("elsewhere")
        self.write("secret", b"secret", elsewhere)
        (self.source / "link").symlink_to(elsewhere)
        (self.source / "file-link").symlink_to(elsewhere / "secret")
        (self.target / "sub").symlink_to(elsewhere)
        (self.target / "a.txt").symlink_to(elsewhere / "secret")
        copied, _, failed = self.run_copier()
        self.assertEqual((copied, sorted(failed)), (1, ["a.txt", "sub/large"]))
        self.assertEqual(self.content(elsewhere), {"secret": b"secret"})


if __name__ == "__main__":
    unittest.main()

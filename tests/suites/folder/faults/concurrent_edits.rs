//! Files that change while they are read and copied.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::*;

/// More bytes than one call copies.
const LARGE: usize = 9 << 20;

/// The change to the file before each host call.
struct Way {
    name: &'static str,
    bytes: usize,
    /// Changes the file, with different content for each number.
    change: fn(&Path, usize) -> std::io::Result<()>,
    /// Returns whether no part of the run can have seen the file as unchanged.
    never_rests: bool,
}

fn append(place: &Path, number: usize) -> std::io::Result<()> {
    writeln!(fs::File::options().append(true).open(place)?, "and {number}")
}

/// Returns the start and the end, so that a torn copy has them from two versions.
fn rewrite(place: &Path, number: usize) -> std::io::Result<()> {
    let mut file = fs::File::options().write(true).open(place)?;
    write!(file, "{number:08}")?;
    file.seek(SeekFrom::End(-8))?;
    write!(file, "{number:08}")
}

fn shorten(place: &Path, number: usize) -> std::io::Result<()> {
    let file = fs::File::options().write(true).open(place)?;
    file.set_len(file.metadata()?.len().saturating_sub(1))?;
    rewrite(place, number)
}

fn start_anew(place: &Path, number: usize) -> std::io::Result<()> {
    fs::write(place, format!("anew for the {number}. time"))
}

#[cfg(unix)]
fn replace(place: &Path, number: usize) -> std::io::Result<()> {
    let aside = place.with_file_name("../aside");
    fs::write(&aside, format!("another file, the {number}."))?;
    fs::rename(&aside, place)
}

#[cfg(unix)]
fn come_and_go(place: &Path, number: usize) -> std::io::Result<()> {
    match number % 2 {
        0 => fs::remove_file(place),
        _ => fs::write(place, format!("back for the {number}. time")),
    }
}

const WAYS: &[Way] = &[
    Way { name: "appended to", bytes: 100, change: append, never_rests: true },
    Way { name: "appended to, large", bytes: LARGE, change: append, never_rests: true },
    Way { name: "written over", bytes: 100, change: rewrite, never_rests: true },
    Way { name: "written over, large", bytes: LARGE, change: rewrite, never_rests: true },
    Way { name: "cut", bytes: 9000, change: shorten, never_rests: true },
    Way { name: "written anew", bytes: 100, change: start_anew, never_rests: true },
    #[cfg(unix)]
    Way { name: "replaced", bytes: 100, change: replace, never_rests: true },
    // The file may be missing at any time.
    #[cfg(unix)]
    Way { name: "gone and back", bytes: 100, change: come_and_go, never_rests: false },
];

/// The file that changes.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// A file that was edited on the left.
    Source,
    /// The right file, which the left edit replaces.
    Target,
    /// A file that exists on the left only.
    New,
}

/// The start of the changes.
#[derive(Clone, Copy, Debug)]
enum Since {
    Call(usize),
    /// This number of calls after the first one that copies.
    Copying(usize),
}

/// Contents, identified by length and hash, since some are large and there are many.
type Marks = BTreeSet<(usize, u64)>;

fn mark(content: &[u8]) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    (content.len(), hasher.finish())
}

fn check(way: &Way, victim: Victim, since: Since) -> anyhow::Result<usize> {
    let pair = Pair::new()?;
    let file = |version: &str, bytes: usize| {
        let mut content = format!("00000000 {version} ").into_bytes();
        content.resize(content.len().max(bytes), b'.');
        content
    };
    for root in [pair.left(), pair.right()] {
        if !matches!(victim, Victim::New) {
            fs::write(root.join("f"), file("old", way.bytes))?;
        }
        fs::write(root.join("other"), "old")?;
    }
    pair.sync()?;
    fs::write(pair.left().join("f"), file("left", way.bytes))?;
    fs::write(pair.left().join("other"), "edited")?;
    let place = match victim {
        Victim::Source | Victim::New => pair.left().join("f"),
        Victim::Target => pair.right().join("f"),
    };

    let existed: Marks = pair.findable()?.iter().map(|content| mark(content)).collect();
    let seen = Arc::new(Mutex::new(existed));
    let (report, calls) = pair.sync_disturbed({
        let (seen, place, change) = (seen.clone(), place.clone(), way.change);
        let mut copying = None;
        move |number, call| {
            if matches!(call, "file.copy-from" | "copy-files-with") && copying.is_none() {
                copying = Some(number);
            }
            let is_time = match since {
                Since::Call(first) => number >= first,
                Since::Copying(after) => copying.is_some_and(|first| number >= first + after),
            };
            if !is_time {
                return Ok(());
            }
            anyhow::ensure!(number < 2000, "the run has no end");
            change(&place, number)?;
            if place.exists() {
                let mark = mark(&fs::read(&place)?);
                seen.lock().unwrap_or_else(PoisonError::into_inner).insert(mark);
            }
            Ok(())
        }
    })?;
    anyhow::ensure!(report.error().is_none(), "it ended by itself: {:?}", report.outcome);
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    let reported = report.log.iter().any(|entry| entry.text.contains(" f "));
    let must_report = way.never_rests && matches!(since, Since::Call(1));
    anyhow::ensure!(reported || !must_report, "it was not reported: {:?}", report.log);
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    for (path, entry) in pair.trees()?.into_iter().flatten() {
        if let Entry::File(content) = entry {
            anyhow::ensure!(seen.contains(&mark(&content)), "{path} is torn");
        }
    }
    let other = fs::read(pair.right().join("other"))?;
    anyhow::ensure!(other == b"edited", "the rest was synced: {:?}", report.log);

    let existed = pair.findable()?;
    let expected = pair.sync()?;
    check_intact(&pair, &expected, &existed)?;
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "the next run, at rest: {:?}", expected.log);
    anyhow::ensure!(work(&pair.sync()?)? == 0, "nothing is left to do");
    Ok(calls)
}

#[test]
fn a_file_changed_before_a_call_is_reported_and_never_torn() -> anyhow::Result<()> {
    let check = |way: &Way, victim, since| {
        check(way, victim, since).with_context(|| format!("{victim:?} is {}, {since:?}", way.name))
    };
    for (row, way) in WAYS.iter().enumerate() {
        for victim in [Victim::Source, Victim::Target, Victim::New] {
            let calls = check(way, victim, Since::Call(1))?;
            if way.bytes == LARGE {
                for after in 0..6 {
                    check(way, victim, Since::Copying(after))?;
                }
            } else {
                for k in sample(row, calls, 9) {
                    check(way, victim, Since::Call(k))?;
                }
            }
        }
    }
    Ok(())
}

/// Writes a file repeatedly until it is stopped.
struct Writer {
    may_write: AtomicBool,
    ends: AtomicBool,
    versions: AtomicUsize,
}

impl Writer {
    fn write(&self, place: &Path, bytes: usize) -> std::io::Result<()> {
        let mut file = fs::File::options().write(true).open(place)?;
        for version in (1..=250_u8).cycle() {
            while !self.may_write.load(SeqCst) {
                if self.ends.load(SeqCst) {
                    return Ok(());
                }
                std::thread::yield_now();
            }
            file.seek(SeekFrom::Start(0))?;
            // In parts, so that a copy can happen between them.
            for _ in 0..bytes / 4096 {
                file.write_all(&[version; 4096])?;
            }
            self.versions.fetch_add(1, SeqCst);
        }
        Ok(())
    }

    /// Also advances the coarse clock that the system uses for the times of files.
    fn wait_for_writing(&self) {
        let before = self.versions.load(SeqCst);
        let begun = Instant::now();
        while self.versions.load(SeqCst) < before + 2 && begun.elapsed().as_secs() < 20 {
            std::thread::sleep(Duration::from_millis(12));
        }
    }
}

#[test]
fn a_file_written_during_its_copy_is_reported_and_never_torn() -> anyhow::Result<()> {
    // Copied in a batch, and separately.
    for bytes in [256 << 10, 3 << 20] {
        check_written(bytes).with_context(|| format!("{bytes} bytes"))?;
    }
    Ok(())
}

fn check_written(bytes: usize) -> anyhow::Result<()> {
    let pair = Pair::new()?;
    let place = pair.left().join("f");
    for root in [pair.left(), pair.right()] {
        fs::write(root.join("f"), vec![0; bytes])?;
    }
    pair.sync()?;
    let writer = Arc::new(Writer {
        may_write: AtomicBool::new(false),
        ends: AtomicBool::new(false),
        versions: AtomicUsize::new(0),
    });
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let writing = scope.spawn(|| writer.write(&place, bytes));
        let outcome = (0..10).try_for_each(|run| {
            // At least this content is new.
            fs::write(&place, vec![251 + u8::from(run % 2 == 0); bytes])?;
            let (report, _) = pair.sync_disturbed({
                let writer = writer.clone();
                move |_, call| {
                    match call {
                        "copy-files-with" | "file.copy-from" => {
                            writer.may_write.store(true, SeqCst)
                        }
                        // Between the copy and the recheck of its source.
                        "flush-files" => writer.wait_for_writing(),
                        _ => {}
                    }
                    Ok(())
                }
            })?;
            writer.may_write.store(false, SeqCst);
            anyhow::ensure!(report.error().is_none(), "run {run}: {:?}", report.outcome);
            anyhow::ensure!(report.warnings > 0, "run {run} had no warning: {:?}", report.log);
            let reported = report.log.iter().find(|entry| entry.text.contains("changed during"));
            anyhow::ensure!(
                reported.is_some(),
                "run {run} did not report the change: {:?}",
                report.log
            );
            let copy = fs::read(pair.right().join("f"))?;
            let is_whole = copy.len() == bytes && copy.iter().all(|byte| *byte == copy[0]);
            anyhow::ensure!(is_whole, "run {run} has torn it: {:?}", report.log);
            Ok(())
        });
        writer.ends.store(true, SeqCst);
        writer.may_write.store(false, SeqCst);
        writing.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        outcome
    })?;
    pair.sync()?;
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "the next run, at rest");
    anyhow::ensure!(work(&pair.sync()?)? == 0, "nothing is left to do");
    Ok(())
}

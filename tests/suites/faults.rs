//! The `folder` plugin where things go wrong around it: no room, no permission, files and roots
//! that do not hold still, a damaged memory and wrong clocks. Nothing is simulated.
//!
//! Every test also says: the run ends by itself, no content is lost, no file ever has a content
//! that nobody gave it, and the next run without a fault needs no flag and brings the sides
//! together.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use anyhow::Context;
use conformance::folder::{Pair, only_item, shape, work};
use conformance::trees::{self, Entry, Tree};
use syncmgr_host::{Report, Status};

/// What a sync has to do, in every way at once.
struct Scene {
    baseline: Tree,
    left: Tree,
    right: Tree,
}

/// Paths whose two versions are both kept: which of them has the name depends on the times.
const CONTESTED: &[&str] = &["both"];

impl Scene {
    /// Edits, new files, deletions, a conflict and a file that becomes a directory. Files are at
    /// least so long, and the beginning of none is the content of another one.
    fn everything(bytes: usize) -> Self {
        let tree = |rows: &[(&str, &str)]| tree(rows, bytes);
        Self {
            baseline: tree(&[
                ("same", "0"),
                ("edited left", "0"),
                ("edited right", "0"),
                ("deleted left", "0"),
                ("deleted right", "0"),
                ("both", "0"),
                ("becomes directory", "0"),
                ("d/deep/in", "0"),
                ("d/in", "0"),
                ("d/same", "0"),
            ]),
            left: tree(&[
                ("same", "0"),
                ("edited left", "left"),
                ("edited right", "0"),
                ("deleted right", "0"),
                ("both", "left"),
                ("becomes directory/now", "left"),
                ("d/deep/in", "left"),
                ("d/in", "0"),
                ("d/same", "0"),
                ("new/left", "left"),
            ]),
            right: tree(&[
                ("same", "0"),
                ("edited left", "0"),
                ("edited right", "right"),
                ("deleted left", "0"),
                ("both", "right"),
                ("becomes directory", "0"),
                ("d/deep/in", "0"),
                ("d/in", "right"),
                ("d/same", "0"),
            ]),
        }
    }

    /// Edits and new files on both sides: nothing of this deletes anything anywhere.
    #[cfg(unix)]
    fn without_deletions() -> Self {
        let tree = |rows: &[(&str, &str)]| tree(rows, 0);
        Self {
            baseline: tree(&[("a", "0"), ("b", "0"), ("d/c", "0")]),
            left: tree(&[("a", "left"), ("b", "0"), ("d/c", "0"), ("d/new", "left")]),
            right: tree(&[("a", "0"), ("b", "right"), ("d/c", "0"), ("new", "right")]),
        }
    }

    /// Syncs the baseline, and makes the edits.
    fn prepare(&self, pair: &Pair) -> anyhow::Result<()> {
        trees::write(&pair.left(), &self.baseline)?;
        trees::write(&pair.right(), &self.baseline)?;
        pair.sync()?;
        trees::write(&pair.left(), &self.left)?;
        trees::write(&pair.right(), &self.right)
    }

    /// The host calls that the run makes, and what comes out, where nothing goes wrong.
    fn reference(&self) -> anyhow::Result<(Calls, Shape)> {
        let pair = Pair::new()?;
        self.prepare(&pair)?;
        let first_write = Arc::new(AtomicUsize::new(0));
        let (report, all) = pair.sync_disturbed({
            let first_write = first_write.clone();
            move |number, call| {
                if call == "directory.create-file" {
                    // Only the first one finds the zero.
                    let _ = first_write.compare_exchange(0, number, SeqCst, SeqCst);
                }
                Ok(())
            }
        })?;
        let calls = Calls { reading: first_write.load(SeqCst), all };
        anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
        let [left, right] = pair.trees()?;
        anyhow::ensure!(left == right, "got {left:?} and {right:?}");
        Ok((calls, shape(&left, CONTESTED)))
    }
}

/// How many host calls a run makes.
struct Calls {
    /// Until the first one that writes, which is when all decisions have been made.
    reading: usize,
    all: usize,
}

type Shape = (Tree, BTreeSet<Vec<u8>>, usize);

/// Files whose contents tell their paths and versions.
fn tree(rows: &[(&str, &str)], bytes: usize) -> Tree {
    let mut tree = trees::tree(rows);
    for (path, entry) in &mut tree {
        if let Entry::File(content) = entry {
            let mut long = [path.as_bytes(), b" ", content, b" "].concat();
            let line = long.clone();
            while long.len() < bytes {
                long.extend_from_slice(&line);
            }
            *content = long;
        }
    }
    tree
}

/// Checks what holds after any run, whatever went wrong in it.
fn check_intact(pair: &Pair, report: &Report, existed: &BTreeSet<Vec<u8>>) -> anyhow::Result<()> {
    anyhow::ensure!(report.error().is_none(), "it ended by itself: {:?}", report.outcome);
    let lost = pair.lost(existed)?;
    anyhow::ensure!(lost.is_empty(), "lost {lost:?}: {:?}", report.log);
    for side in pair.trees()? {
        for (path, entry) in side {
            if let Entry::File(content) = entry
                && !path.contains(".syncmgr-tmp-")
            {
                anyhow::ensure!(existed.contains(&content), "{path} is torn: {:?}", report.log);
            }
        }
    }
    Ok(())
}

/// Checks that nothing was deleted that both sides are to have in the end.
fn check_kept(before: &[Tree; 2], pair: &Pair, expected: &Shape) -> anyhow::Result<()> {
    for (before, after) in before.iter().zip(pair.trees()?) {
        let gone = before.keys().find(|path| {
            // A file makes way for the directory.
            let stays = expected.0.contains_key(*path) && *path != "becomes directory";
            stays && !after.contains_key(*path)
        });
        anyhow::ensure!(gone.is_none(), "{gone:?} was deleted");
    }
    Ok(())
}

/// Runs again, without a fault and without a flag. `None`: the sides are equal, and that is all.
fn check_next_run(
    pair: &Pair,
    existed: &BTreeSet<Vec<u8>>,
    expected: Option<&Shape>,
) -> anyhow::Result<()> {
    let report = pair.sync()?;
    check_intact(pair, &report, existed).context("the next run")?;
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "{left:?} and {right:?}: {:?}", report.log);
    let came_out = shape(&left, CONTESTED);
    let is_expected = expected.is_none_or(|expected| came_out == *expected);
    anyhow::ensure!(is_expected, "got {came_out:?}: {:?}", report.log);
    let unfinished = left.keys().find(|path| path.contains(".syncmgr-tmp-"));
    anyhow::ensure!(unfinished.is_none(), "{unfinished:?} is left");
    let again = pair.sync()?;
    anyhow::ensure!(work(&again)? == 0, "the run after that has nothing to do: {again:?}");
    Ok(())
}

/// The host calls at which a fault is tried for a row of a table: every so many. Rows begin at
/// different calls, so that together they try all of them. `SYNCMGR_FAULT_STRIDE=1` tries each
/// call for each row, which takes minutes.
fn sample(row: usize, calls: usize, stride: usize) -> impl Iterator<Item = usize> {
    let set = std::env::var("SYNCMGR_FAULT_STRIDE").ok().and_then(|text| text.parse().ok());
    let stride = set.unwrap_or(stride).max(1);
    (1 + row % stride..=calls).step_by(stride)
}

#[cfg(target_os = "linux")]
mod no_room {
    use std::io::Write;
    use std::process::Command;

    use conformance::isolation;
    use syncmgr_host::{ErrorCode, Hresult};

    use super::*;

    /// Room for all that there is, and little enough to be filled in no time.
    const PAGES: usize = 160;
    const ENTRIES: usize = 120;

    /// What runs out.
    #[derive(Clone, Copy, Debug)]
    enum Scarce {
        Pages,
        Entries,
    }

    /// A mounted disk.
    struct Disk(PathBuf);

    impl Disk {
        fn mount(at: PathBuf) -> anyhow::Result<Self> {
            fs::create_dir(&at)?;
            let options = format!("size={}k,nr_inodes={ENTRIES}", PAGES * 4);
            let status = Command::new("mount")
                .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
                .arg(&at)
                .status()?;
            anyhow::ensure!(status.success(), "mounting: {status}");
            Ok(Self(at))
        }

        fn ballast(&self) -> PathBuf {
            self.0.join("ballast")
        }

        /// Fills the disk, but for so much; whether there was so much.
        fn leave(&self, scarce: Scarce, room: usize) -> anyhow::Result<bool> {
            fs::create_dir(self.ballast())?;
            match scarce {
                Scarce::Pages => {
                    let mut file = fs::File::create(self.ballast().join("pages"))?;
                    let mut written = 0;
                    while file.write_all(&[0; 4096]).is_ok() {
                        written += 4096;
                    }
                    let room = room as u64 * 4096;
                    file.set_len(written - room.min(written))?;
                    Ok(room <= written)
                }
                Scarce::Entries => {
                    let name = |number: usize| self.ballast().join(number.to_string());
                    let made = (0..ENTRIES)
                        .take_while(|number| fs::File::create(name(*number)).is_ok())
                        .count();
                    for number in made - room.min(made)..made {
                        fs::remove_file(name(number))?;
                    }
                    Ok(room <= made)
                }
            }
        }

        fn make_room(&self) -> anyhow::Result<()> {
            Ok(fs::remove_dir_all(self.ballast())?)
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }

    /// One run with so much room; whether it was enough.
    fn run_with(
        scene: &Scene,
        expected: &Shape,
        on_disk: &[&str],
        scarce: Scarce,
        room: usize,
    ) -> anyhow::Result<bool> {
        let pair = Pair::new()?.moved_into("disk", on_disk);
        let disk = Disk::mount(pair.home().join("disk"))?;
        pair.make_directories()?;
        scene.prepare(&pair)?;
        let before = pair.trees()?;
        let existed = pair.findable()?;
        anyhow::ensure!(disk.leave(scarce, room)?, "the disk is too small for this test");

        // The second one finds what the first one left.
        let mut enough = false;
        for run in ["first", "second"] {
            let report = pair.sync()?;
            check_intact(&pair, &report, &existed).with_context(|| format!("the {run} run"))?;
            check_kept(&before, &pair, expected).with_context(|| format!("the {run} run"))?;
            let item = only_item(&report)?;
            enough = item.status == Status::Succeeded;
            if !enough {
                anyhow::ensure!(item.status == Status::Failed, "{report:?}");
                anyhow::ensure!(item.code == Some(ErrorCode::NoSpace), "{report:?}");
                anyhow::ensure!(item.hresult() == Hresult::HRESULT_ERROR_DISK_FULL);
            }
        }
        disk.make_room()?;
        check_next_run(&pair, &existed, Some(expected))?;
        Ok(enough)
    }

    fn body() -> anyhow::Result<()> {
        // More than one page each, so that copies end in the middle, too.
        let scene = Scene::everything(6000);
        let (_, expected) = scene.reference()?;
        let disks: [&[&str]; 5] = [
            &["left"],
            &["right"],
            &["storage"],
            &["left", "right"],
            &["left", "right", "storage"],
        ];
        for on_disk in disks {
            for scarce in [Scarce::Pages, Scarce::Entries] {
                let mut room = 0;
                while !run_with(&scene, &expected, on_disk, scarce, room)
                    .with_context(|| format!("{on_disk:?} with {room} {scarce:?}"))?
                {
                    room += 1;
                }
                anyhow::ensure!(room > 0, "{on_disk:?} needs {scarce:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_full_disk_fails_the_item_and_room_is_all_that_the_next_run_needs() -> anyhow::Result<()> {
        isolation::with_own_mounts(
            "no_room::a_full_disk_fails_the_item_and_room_is_all_that_the_next_run_needs",
            body,
        )
    }
}

#[cfg(unix)]
mod no_permission {
    use std::os::unix::fs::PermissionsExt;

    use conformance::isolation;

    use super::*;

    /// How long it is denied.
    #[derive(Clone, Copy, Debug)]
    enum For {
        TheRest,
        OneCall,
    }

    /// What is denied: a path in the home folder, and the permissions that it has then.
    const DENIED: &[(&str, u32)] = &[
        ("left", 0o000),
        ("left", 0o555),
        ("right", 0o000),
        ("right", 0o555),
        ("storage", 0o000),
        ("storage", 0o555),
        ("left/d", 0o000),
        ("left/d", 0o555),
        ("right/d", 0o000),
        ("right/d/deep", 0o555),
        ("left/d/deep", 0o666),
        ("left/edited left", 0o000),
        ("right/edited left", 0o000),
        ("right/both", 0o000),
    ];

    fn set_mode(place: &Path, mode: u32) -> anyhow::Result<()> {
        match fs::set_permissions(place, fs::Permissions::from_mode(mode)) {
            // The run has done something else with it meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => Ok(result?),
        }
    }

    /// Lets the owner use everything again, wherever the run has put it.
    fn permit(place: &Path) -> anyhow::Result<()> {
        let metadata = fs::symlink_metadata(place)?;
        let (needed, usual) = if metadata.is_dir() { (0o700, 0o755) } else { (0o600, 0o644) };
        if metadata.permissions().mode() & needed != needed {
            set_mode(place, usual)?;
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(place)? {
                permit(&entry?.path())?;
            }
        }
        Ok(())
    }

    fn body() -> anyhow::Result<()> {
        let scene = Scene::everything(0);
        let (calls, expected) = scene.reference()?;
        let rows = DENIED.iter().flat_map(|row| [(row, For::TheRest), (row, For::OneCall)]);
        for (number, ((path, denied), how_long)) in rows.enumerate() {
            let mut suffered = 0;
            for k in sample(number, calls.all, 16) {
                suffered += u32::from(
                    deny(&scene, &expected, path, *denied, how_long, k)
                        .with_context(|| format!("{path} {denied:o} {how_long:?} from call {k}"))?,
                );
            }
            let is_lasting = matches!(how_long, For::TheRest);
            anyhow::ensure!(suffered > 0 || !is_lasting, "{path} {denied:o} hinders nothing");
        }
        Ok(())
    }

    /// Whether it was in the way of anything.
    fn deny(
        scene: &Scene,
        expected: &Shape,
        path: &str,
        denied: u32,
        how_long: For,
        k: usize,
    ) -> anyhow::Result<bool> {
        let pair = Pair::new()?;
        scene.prepare(&pair)?;
        let existed = pair.findable()?;
        let place = pair.home().join(path);
        let usual = fs::metadata(&place)?.permissions().mode() & 0o777;
        let before = pair.trees()?;
        let (report, _) = pair.sync_disturbed(move |call, _| match how_long {
            For::TheRest | For::OneCall if call == k => set_mode(&place, denied),
            For::OneCall if call == k + 1 => set_mode(&place, usual),
            For::TheRest | For::OneCall => Ok(()),
        })?;
        permit(pair.home())?;
        check_intact(&pair, &report, &existed)?;
        check_kept(&before, &pair, expected).with_context(|| format!("{:?}", report.log))?;
        // Without what it remembers, a run is like the first, and takes no deletion over.
        let remembered = !report.log.iter().any(|entry| entry.text.contains("what was remembered"));
        anyhow::ensure!(remembered || path == "storage", "{:?}", report.log);
        check_next_run(&pair, &existed, remembered.then_some(expected))?;
        let item = only_item(&report)?;
        let left_out = |name: &str| item.counts.get(name).is_some_and(|count| *count > 0);
        Ok(item.status == Status::Failed || left_out("not-done") || left_out("left-alone"))
    }

    #[test]
    fn denied_at_any_call_it_loses_nothing_and_permission_is_all_that_the_next_run_needs()
    -> anyhow::Result<()> {
        isolation::where_permissions_hold(
            "no_permission::denied_at_any_call_it_loses_nothing_and_permission_is_all_that_the_next_run_needs",
            body,
        )
    }
}

mod restless {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::io::{Seek, SeekFrom, Write};
    use std::sync::atomic::AtomicBool;
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use super::*;

    /// More than one call copies.
    const LARGE: usize = 9 << 20;

    /// What happens to the file before each host call.
    struct Way {
        name: &'static str,
        bytes: usize,
        /// Changes the file, differently for each number.
        change: fn(&Path, usize) -> std::io::Result<()>,
        /// Whether no part of the run can have taken it for a file that is at rest.
        never_rests: bool,
    }

    fn append(place: &Path, number: usize) -> std::io::Result<()> {
        writeln!(fs::File::options().append(true).open(place)?, "and {number}")
    }

    /// The beginning and the end, so that a torn copy has them of two versions.
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
        // It may be away whenever somebody looks.
        #[cfg(unix)]
        Way { name: "gone and back", bytes: 100, change: come_and_go, never_rests: false },
    ];

    /// Which file does not hold still.
    #[derive(Clone, Copy, Debug)]
    enum Victim {
        /// One that was edited on the left.
        Source,
        /// The right one, which the left edit is to replace.
        Target,
        /// One that is on the left only.
        New,
    }

    /// Since when it does not hold still.
    #[derive(Clone, Copy, Debug)]
    enum Since {
        Call(usize),
        /// So many calls after the first one that copies.
        Copying(usize),
    }

    /// Contents, told by their length and hash: some are large, and there are many.
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
                if call == "file.copy-from" && copying.is_none() {
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
        let told = report.log.iter().any(|entry| entry.text.starts_with("f"));
        let must_tell = way.never_rests && matches!(since, Since::Call(1));
        anyhow::ensure!(told || !must_tell, "it was not told: {:?}", report.log);
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
    fn a_file_that_changes_before_every_call_is_told_and_never_torn() -> anyhow::Result<()> {
        let check = |way: &Way, victim, since| {
            check(way, victim, since)
                .with_context(|| format!("{victim:?} is {}, {since:?}", way.name))
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

    #[test]
    fn a_file_that_somebody_writes_all_the_time_is_told_and_never_torn() -> anyhow::Result<()> {
        const BYTES: usize = 256 << 10;
        let pair = Pair::new()?;
        let place = pair.left().join("f");
        for root in [pair.left(), pair.right()] {
            fs::write(root.join("f"), vec![0; BYTES])?;
        }
        pair.sync()?;
        let stop = AtomicBool::new(false);
        let written = Arc::new(AtomicUsize::new(0));
        // Also makes the clock go on by which the system tells the times of files: it is slow.
        let wait_for_writing = |written: &AtomicUsize| {
            let before = written.load(SeqCst);
            let begun = Instant::now();
            while written.load(SeqCst) < before + 2 && begun.elapsed().as_secs() < 20 {
                std::thread::sleep(Duration::from_millis(12));
            }
        };
        std::thread::scope(|scope| -> anyhow::Result<()> {
            let writer = scope.spawn(|| -> std::io::Result<()> {
                let mut file = fs::File::options().write(true).open(&place)?;
                for version in (1..=250_u8).cycle() {
                    if stop.load(SeqCst) {
                        break;
                    }
                    file.seek(SeekFrom::Start(0))?;
                    // In pieces, so that a copy can come between them.
                    for _ in 0..BYTES / 4096 {
                        file.write_all(&[version; 4096])?;
                    }
                    written.fetch_add(1, SeqCst);
                }
                Ok(())
            });
            wait_for_writing(&written);
            let outcome = (0..10).try_for_each(|run| {
                let written = written.clone();
                let (report, _) = pair.sync_disturbed(move |_, call| {
                    // Between the copy and the last look at its source.
                    if call == "file.digest" {
                        wait_for_writing(&written);
                    }
                    Ok(())
                })?;
                anyhow::ensure!(report.error().is_none(), "run {run}: {:?}", report.outcome);
                anyhow::ensure!(report.warnings > 0, "run {run} did not tell: {:?}", report.log);
                let copy = fs::read(pair.right().join("f"))?;
                let is_whole = copy.len() == BYTES && copy.iter().all(|byte| *byte == copy[0]);
                anyhow::ensure!(is_whole, "run {run} has torn it: {:?}", report.log);
                Ok(())
            });
            stop.store(true, SeqCst);
            writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
            outcome
        })?;
        pair.sync()?;
        let [left, right] = pair.trees()?;
        anyhow::ensure!(left == right, "the next run, at rest");
        anyhow::ensure!(work(&pair.sync()?)? == 0, "nothing is left to do");
        Ok(())
    }
}

#[cfg(unix)]
mod vanishing {
    use std::os::unix::fs::symlink;

    use syncmgr_host::Hresult;

    use super::*;

    /// What becomes of a directory.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        RenamedAway,
        Removed,
        ReplacedByNothing,
        ReplacedByFile,
        ReplacedByLinkToNothing,
        ReplacedByLinkToTheOther,
        ReplacedByLinkToAnother,
        ReplacedByLinkToNowhere,
    }

    const FATES: [Fate; 8] = [
        Fate::RenamedAway,
        Fate::Removed,
        Fate::ReplacedByNothing,
        Fate::ReplacedByFile,
        Fate::ReplacedByLinkToNothing,
        Fate::ReplacedByLinkToTheOther,
        Fate::ReplacedByLinkToAnother,
        Fate::ReplacedByLinkToNowhere,
    ];

    /// The directory, the other one, and where to put what is taken away.
    struct Places {
        root: PathBuf,
        other: PathBuf,
        away: PathBuf,
        nothing: PathBuf,
        stand_in: PathBuf,
        /// One that has nothing to do with the pair.
        another: PathBuf,
    }

    impl Places {
        fn new(pair: &Pair, name: &str) -> anyhow::Result<Self> {
            let (root, other) = match name {
                "left" => (pair.left(), pair.right()),
                "right" => (pair.right(), pair.left()),
                _ => (pair.storage(), pair.left()),
            };
            let [away, nothing, stand_in, another] =
                ["away", "nothing", "stand-in", "another"].map(|name| pair.home().join(name));
            fs::create_dir(&nothing)?;
            trees::write(&another, &self::another())?;
            Ok(Self { root, other, away, nothing, stand_in, another })
        }

        fn vanish(&self, fate: Fate) -> anyhow::Result<()> {
            if let Fate::Removed = fate {
                // What it was then is what comes back, as from a backup.
                trees::write(&self.away, &trees::read(&self.root)?)?;
                return Ok(fs::remove_dir_all(&self.root)?);
            }
            fs::rename(&self.root, &self.away)?;
            match fate {
                Fate::RenamedAway | Fate::Removed => {}
                Fate::ReplacedByNothing => fs::create_dir(&self.root)?,
                Fate::ReplacedByFile => fs::write(&self.root, "")?,
                Fate::ReplacedByLinkToNothing => symlink(&self.nothing, &self.root)?,
                Fate::ReplacedByLinkToTheOther => symlink(&self.other, &self.root)?,
                Fate::ReplacedByLinkToAnother => symlink(&self.another, &self.root)?,
                Fate::ReplacedByLinkToNowhere => symlink("nowhere", &self.root)?,
            }
            Ok(())
        }

        /// Puts it back. What stood in its place is kept elsewhere.
        fn put_back(&self) -> anyhow::Result<()> {
            if fs::symlink_metadata(&self.root).is_ok() {
                fs::rename(&self.root, &self.stand_in)?;
            }
            Ok(fs::rename(&self.away, &self.root)?)
        }

        /// Nothing was written to where a side was not.
        fn check_untouched(&self) -> anyhow::Result<()> {
            for place in [&self.nothing, &self.stand_in] {
                if fs::symlink_metadata(place).is_ok_and(|metadata| metadata.is_dir()) {
                    let found = trees::read(place)?;
                    anyhow::ensure!(found.is_empty(), "{place:?} has {found:?}");
                }
            }
            let found = trees::read(&self.another)?;
            anyhow::ensure!(found == another(), "{:?} has {found:?}", self.another);
            Ok(())
        }
    }

    fn another() -> Tree {
        tree(&[("a", "another"), ("z", "another")], 0)
    }

    fn check(
        scene: &Scene,
        expected: &Shape,
        name: &str,
        fate: Fate,
        k: usize,
    ) -> anyhow::Result<()> {
        let pair = Pair::new()?;
        scene.prepare(&pair)?;
        let places = Arc::new(Places::new(&pair, name)?);
        let before = pair.trees()?;
        let existed = pair.findable()?;
        let (report, _) = pair.sync_disturbed({
            let places = places.clone();
            move |call, _| if call == k { places.vanish(fate) } else { Ok(()) }
        })?;
        places.put_back()?;
        let is_side = name != "storage";
        if is_side {
            places.check_untouched()?;
        }
        check_intact(&pair, &report, &existed)?;
        check_kept(&before, &pair, expected).with_context(|| format!("{:?}", report.log))?;
        // With another storage a run is like the first, so that edits are conflicts.
        check_next_run(&pair, &existed, is_side.then_some(expected))
    }

    #[test]
    fn what_stands_in_for_a_side_stops_the_run_before_anything_is_written() -> anyhow::Result<()> {
        let scene = Scene::without_deletions();
        let is_stand_in = |fate: &Fate| !matches!(fate, Fate::RenamedAway | Fate::Removed);
        for fate in FATES.into_iter().filter(is_stand_in) {
            for name in ["left", "right"] {
                let pair = Pair::new()?;
                scene.prepare(&pair)?;
                let places = Arc::new(Places::new(&pair, name)?);
                let before = pair.trees()?;
                let (report, _) = pair.sync_disturbed({
                    let places = places.clone();
                    let mut is_first = true;
                    move |_, call| match call == "open-grant" && std::mem::take(&mut is_first) {
                        true => places.vanish(fate),
                        false => Ok(()),
                    }
                })?;
                places.put_back()?;
                places.check_untouched()?;
                let stopped = only_item(&report)?.hresult();
                anyhow::ensure!(
                    stopped == Hresult::HRESULT_ERROR_REQUEST_ABORTED,
                    "{name} {fate:?}: {report:?}"
                );
                anyhow::ensure!(pair.trees()? == before, "{name} {fate:?}: {:?}", report.log);
            }
        }
        Ok(())
    }

    #[test]
    fn a_directory_that_vanishes_at_any_call_deletes_nothing_elsewhere() -> anyhow::Result<()> {
        let scene = Scene::without_deletions();
        let (calls, expected) = scene.reference()?;
        let all = ["left", "right", "storage"].into_iter();
        let rows = all.flat_map(|name| FATES.into_iter().map(move |fate| (name, fate)));
        // The plugin may do with its storage what it likes, also where that is a side.
        let rows = rows.filter(|row| !matches!(row, ("storage", Fate::ReplacedByLinkToTheOther)));
        for (number, (name, fate)) in rows.enumerate() {
            // While the sides are read is when what is removed can look as if it were empty.
            let stride = if matches!(fate, Fate::Removed) { 1 } else { 4 };
            let reading = sample(number, calls.reading, stride);
            let rest = sample(number, calls.all, 12).filter(|k| *k > calls.reading);
            for k in reading.chain(rest) {
                check(&scene, &expected, name, fate, k)
                    .with_context(|| format!("{name} {fate:?} at call {k}"))?;
            }
        }
        Ok(())
    }
}

mod damaged_state {
    use super::*;

    /// A pair that would delete a file, if what it remembers could be trusted; and the bytes of
    /// that, with their place.
    fn prepare() -> anyhow::Result<(Pair, Tree, PathBuf, Vec<u8>)> {
        let pair = Pair::new()?;
        let tree = trees::tree(&[("a", "1"), ("d/b", "2")]);
        for root in [pair.left(), pair.right()] {
            trees::write(&root, &tree)?;
        }
        pair.sync()?;
        let place = fs::read_dir(pair.storage())?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "state"))
            .context("there is a state")?;
        let bytes = fs::read(&place)?;
        Ok((pair, tree, place, bytes))
    }

    /// Runs with this in place of the state, and one file missing.
    fn check(pair: &Pair, tree: &Tree, place: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        fs::remove_file(pair.left().join("a"))?;
        fs::write(place, bytes)?;
        let report = pair.sync()?;
        anyhow::ensure!(report.error().is_none(), "it ended by itself: {:?}", report.outcome);
        anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
        let told = report.log.iter().any(|entry| entry.text.contains("what was remembered"));
        anyhow::ensure!(told, "the user is told: {:?}", report.log);
        for side in pair.trees()? {
            anyhow::ensure!(side == *tree, "nothing was deleted, and all is back: {side:?}");
        }
        Ok(())
    }

    #[test]
    fn a_state_that_is_cut_anywhere_or_has_any_bit_flipped_is_noticed_and_deletes_nothing()
    -> anyhow::Result<()> {
        let (pair, tree, place, bytes) = prepare()?;
        for len in 0..bytes.len() {
            check(&pair, &tree, &place, &bytes[..len]).with_context(|| format!("cut at {len}"))?;
        }
        for at in 0..bytes.len() {
            // One bit of each byte, all eight of every 16th.
            let bits = if at % 16 == 0 { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                check(&pair, &tree, &place, &damaged)
                    .with_context(|| format!("bit {bit} of byte {at} of {}", bytes.len()))?;
            }
        }
        for (name, damaged) in [
            ("followed by a byte", [&bytes[..], &[0]].concat()),
            ("twice", [&bytes[..], &bytes].concat()),
            ("of zeroes", vec![0; bytes.len()]),
            ("of text", b"{\"entries\": {}}\n".to_vec()),
        ] {
            check(&pair, &tree, &place, &damaged).context(name)?;
        }
        Ok(())
    }

    /// Without this, the test above would pass for a state that is never used.
    #[test]
    fn a_state_that_is_whole_is_trusted() -> anyhow::Result<()> {
        let (pair, _, _, _) = prepare()?;
        fs::remove_file(pair.left().join("a"))?;
        pair.sync()?;
        assert!(!pair.right().join("a").exists(), "the deletion was carried over");
        Ok(())
    }

    #[test]
    fn what_is_no_file_in_place_of_the_state_deletes_nothing() -> anyhow::Result<()> {
        let (pair, tree, place, _) = prepare()?;
        fs::remove_file(pair.left().join("a"))?;
        fs::remove_file(&place)?;
        fs::create_dir(&place)?;
        let report = pair.sync()?;
        // What cannot be remembered is a failure, and the user is told.
        assert_eq!(only_item(&report)?.status, Status::Failed, "{report:?}");
        assert_eq!(pair.trees()?, [tree.clone(), tree.clone()]);
        fs::remove_dir(&place)?;
        let report = pair.sync()?;
        assert_eq!(only_item(&report)?.status, Status::Succeeded, "{report:?}");
        assert_eq!(pair.trees()?, [tree.clone(), tree]);
        Ok(())
    }
}

mod wrong_clocks {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// Sets the times of all files below.
    fn set_times(root: &Path, time: SystemTime) -> anyhow::Result<()> {
        for (path, entry) in trees::read(root)? {
            if let Entry::File(_) = entry {
                let file = fs::File::options().write(true).open(root.join(path))?;
                file.set_modified(time)?;
            }
        }
        Ok(())
    }

    fn check(time: SystemTime, places: &[&str]) -> anyhow::Result<()> {
        let scene = Scene::everything(0);
        let (_, expected) = scene.reference()?;
        let pair = Pair::new()?;
        let set_times =
            || places.iter().try_for_each(|place| set_times(&pair.home().join(place), time));
        for root in [pair.left(), pair.right()] {
            trees::write(&root, &scene.baseline)?;
        }
        set_times()?;
        pair.sync()?;
        set_times()?;
        let report = pair.sync()?;
        anyhow::ensure!(work(&report)? == 0, "times alone are no change: {report:?}");

        trees::write(&pair.left(), &scene.left)?;
        trees::write(&pair.right(), &scene.right)?;
        set_times()?;
        let existed = pair.findable()?;
        let report = pair.sync()?;
        check_intact(&pair, &report, &existed)?;
        let [left, right] = pair.trees()?;
        anyhow::ensure!(left == right, "{left:?} and {right:?}: {:?}", report.log);
        anyhow::ensure!(shape(&left, CONTESTED) == expected, "got {left:?}");
        set_times()?;
        check_next_run(&pair, &existed, Some(&expected))
    }

    #[test]
    fn files_of_any_time_are_neither_changed_by_it_nor_lost() -> anyhow::Result<()> {
        let now = SystemTime::now();
        for (name, time) in [
            ("an hour ago", now - DAY / 24),
            ("in an hour", now + DAY / 24),
            ("a year ago", now - 365 * DAY),
            ("in a year", now + 365 * DAY),
            ("1970", UNIX_EPOCH + DAY),
            ("the first second", UNIX_EPOCH),
            ("1930", UNIX_EPOCH - 40 * 365 * DAY),
            ("2037", UNIX_EPOCH + 67 * 365 * DAY),
            ("2106", UNIX_EPOCH + 136 * 365 * DAY),
            // Past what nanoseconds in 64 bits can tell.
            ("2400", UNIX_EPOCH + 430 * 365 * DAY),
        ] {
            for places in [&["left"][..], &["right"], &["storage"], &["left", "right", "storage"]] {
                check(time, places).with_context(|| format!("{places:?} {name}"))?;
            }
        }
        Ok(())
    }
}

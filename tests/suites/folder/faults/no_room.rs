//! A full disk.

use std::io::Write;
use std::process::Command;

use conformance::{isolation, limits};
use syncmgr_host::{ErrorCode, Hresult};

use super::*;

/// Enough space for all files, and small enough to be filled quickly.
const PAGES: usize = 160;
const ENTRIES: usize = 120;

/// The resource that runs out.
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

    /// Fills the disk except for this space. Returns whether there was as much.
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

/// Makes one run with this space. Returns whether it was sufficient.
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

    // The second run finds the leftovers of the first one.
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
    // More than one page each, so that copies also fail in the middle.
    let scene = Scene::everything(6000);
    let (_, expected) = scene.reference()?;
    let disks: [&[&str]; 5] =
        [&["left"], &["right"], &["storage"], &["left", "right"], &["left", "right", "storage"]];
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
fn a_full_disk_fails_the_item_and_the_next_run_recovers() -> anyhow::Result<()> {
    isolation::with_own_mounts(a_full_disk_fails_the_item_and_the_next_run_recovers, body)
}

/// Copies that wait to be flushed together use space that the replaced files free later.
fn room_for_one() -> anyhow::Result<()> {
    let pair = Pair::new()?.moved_into("disk", &["right"]).set("trash", "false");
    let disk = Disk::mount(pair.home().join("disk"))?;
    pair.make_directories()?;
    let names: Vec<_> = (0..10).map(|number| format!("f{number}")).collect();
    for name in &names {
        fs::write(pair.left().join(name), vec![b'0'; 6000])?;
    }
    pair.sync()?;
    for name in &names {
        fs::write(pair.left().join(name), vec![b'1'; 6000])?;
    }
    anyhow::ensure!(disk.leave(Scarce::Pages, 4)?, "the disk is too small for this test");
    let report = pair.sync()?;
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    let [left, right] = pair.trees()?;
    anyhow::ensure!(names.iter().all(|name| left.get(name) == right.get(name)), "{report:?}");
    Ok(())
}

#[test]
fn edits_without_trash_need_space_for_one_file() -> anyhow::Result<()> {
    isolation::with_own_mounts(edits_without_trash_need_space_for_one_file, room_for_one)
}

/// The files on the left, their changes, and the expected success or failure of each.
struct Row {
    name: &'static str,
    trash: &'static str,
    /// Files that are synced while there is space, in pages.
    before: &'static [(&'static str, usize)],
    /// Free pages on the right at that time.
    room: usize,
    removed: &'static [&'static str],
    new: &'static [(&'static str, usize)],
    /// The content of the right side after one run.
    fits: &'static [&'static str],
    /// The messages about the other files.
    said: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        name: "smaller files go on",
        trash: "true",
        before: &[],
        room: 12,
        removed: &[],
        new: &[("a large", 40), ("b", 2), ("c larger", 60), ("d", 3), ("e/f", 1)],
        fits: &["b", "d", "e", "e/f"],
        said: &[
            "cannot copy a large to the directory `right`: ",
            "cannot copy c larger to the directory `right`: ",
        ],
    },
    Row {
        name: "deletions make room where nothing is kept",
        trash: "false",
        before: &[("old", 50)],
        room: 4,
        removed: &["old"],
        new: &[("a new", 40), ("b", 1)],
        fits: &["a new", "b"],
        said: &[],
    },
    Row {
        name: "replacing makes room where nothing is kept",
        trash: "false",
        before: &[("z", 60)],
        room: 10,
        removed: &[],
        new: &[("a", 40), ("z", 2)],
        fits: &["a", "z"],
        said: &[],
    },
    Row {
        name: "a deletion that makes no room is done, too",
        trash: "true",
        before: &[("old", 50), ("other", 1)],
        room: 6,
        removed: &["old"],
        new: &[("a new", 40)],
        fits: &["other"],
        said: &["cannot copy a new to the directory `right`: "],
    },
];

fn check_row(row: &Row) -> anyhow::Result<()> {
    let pair = Pair::new()?.moved_into("disk", &["right"]).set("trash", row.trash);
    let pair = pair.set("max-delete", "any");
    let disk = Disk::mount(pair.home().join("disk"))?;
    pair.make_directories()?;
    let write = |files: &[(&str, usize)], byte: u8| -> anyhow::Result<()> {
        for (name, pages) in files {
            let place = pair.left().join(name);
            fs::create_dir_all(place.parent().context("it has one")?)?;
            fs::write(place, vec![byte; pages * 4096])?;
        }
        Ok(())
    };
    write(row.before, b'0')?;
    pair.sync()?;
    row.removed.iter().try_for_each(|name| fs::remove_file(pair.left().join(name)))?;
    write(row.new, b'1')?;
    anyhow::ensure!(disk.leave(Scarce::Pages, row.room)?, "the disk is too small for this test");
    let report = pair.sync()?;
    let item = only_item(&report)?;
    let log: Vec<_> = report.log.iter().map(|entry| entry.text.as_str()).collect();
    let [left, right] = pair.trees()?;
    let fits: Vec<_> = right.keys().filter(|path| !path.contains("ballast")).collect();
    let fits: Vec<_> = fits.into_iter().filter(|path| path.as_str() != "ballast").collect();
    anyhow::ensure!(fits == row.fits, "{fits:?}: {log:?}");
    for path in fits {
        anyhow::ensure!(left.get(path) == right.get(path), "{path}: {log:?}");
    }
    for words in row.said {
        anyhow::ensure!(log.iter().any(|text| text.starts_with(words)), "{words:?}: {log:?}");
    }
    let code = (!row.said.is_empty()).then_some(ErrorCode::NoSpace);
    anyhow::ensure!(item.code == code, "{report:?}");
    anyhow::ensure!(pair.unfinished()?.is_empty(), "{log:?}");
    disk.make_room()?;
    // Files in the trash must be deleted, too.
    let _ = fs::remove_dir_all(pair.right().join(".syncmgr-trash"));
    let report = pair.sync()?;
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "with room: {:?}", report.log);
    anyhow::ensure!(work(&pair.sync()?)? == 0, "nothing is left to do");
    Ok(())
}

#[test]
fn a_full_disk_allows_what_fits_and_deletions_free_space() -> anyhow::Result<()> {
    isolation::with_own_mounts(a_full_disk_allows_what_fits_and_deletions_free_space, || {
        ROWS.iter().try_for_each(|row| check_row(row).context(row.name))
    })
}

fn full_trash() -> anyhow::Result<()> {
    for (on_disk, trash) in [
        // The quota of the plugin's storage is exhausted. If the sides are on other disks, the
        // storage is not used at all.
        (&[][..], "the directory `trash` in the plugin's storage"),
        (&["right"][..], "`.syncmgr-trash` in the directory `right`"),
    ] {
        let pair = Pair::new()?.moved_into("disk", on_disk).set("max-delete", "any");
        let disk = Disk::mount(pair.home().join("disk"))?;
        pair.make_directories()?;
        let files = [("big", 60), ("changed", 1), ("d/e", 1), ("small", 1), ("stays", 1)];
        for (name, pages) in files {
            let place = pair.left().join(name);
            fs::create_dir_all(place.parent().context("it has one")?)?;
            fs::write(place, vec![b'0'; pages * 4096])?;
        }
        pair.sync()?;
        for name in ["big", "small", "d/e"] {
            fs::remove_file(pair.left().join(name))?;
        }
        fs::remove_dir(pair.left().join("d"))?;
        fs::write(pair.left().join("changed"), "1")?;
        fs::write(pair.left().join("new"), "2")?;
        let is_full_disk = !on_disk.is_empty();
        if is_full_disk {
            // No directory entry is left for the trash; new files replace nothing.
            fs::remove_file(pair.left().join("new"))?;
            disk.leave(Scarce::Entries, 0)?;
        }
        let limits = limits(|limits| limits.storage_bytes = 100 << 10);
        let report = pair.sync_with(pair.options()?.limits(limits))?;
        let log: Vec<_> = report.log.iter().map(|entry| entry.text.as_str()).collect();
        let [_, right] = pair.trees()?;
        anyhow::ensure!(right.contains_key("big"), "nothing goes that cannot be kept: {log:?}");
        let big = log
            .iter()
            .find(|text| text.starts_with("cannot delete big in the directory `right`: "));
        let big = big.with_context(|| format!("{log:?}"))?;
        for words in [trash, "it holds the files of", "`trash=false`"] {
            anyhow::ensure!(big.contains(words), "{words:?}: {big}");
        }
        anyhow::ensure!(only_item(&report)?.code == Some(ErrorCode::NoSpace), "{report:?}");
        if is_full_disk {
            disk.make_room()?;
        } else {
            for gone in ["small", "d/e", "d"] {
                anyhow::ensure!(!right.contains_key(gone), "{gone} is deleted: {log:?}");
            }
            for (name, content) in [("changed", "1"), ("new", "2")] {
                let copied = fs::read_to_string(pair.right().join(name))?;
                anyhow::ensure!(copied == content, "{name}: {log:?}");
            }
        }
        let report = pair.sync()?;
        anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
        let [left, right] = pair.trees()?;
        anyhow::ensure!(left == right, "with room: {:?}", report.log);
    }
    Ok(())
}

#[test]
fn a_full_trash_is_named_and_other_changes_continue() -> anyhow::Result<()> {
    isolation::with_own_mounts(a_full_trash_is_named_and_other_changes_continue, full_trash)
}

/// Copies and moves into the trash leave a part of the quota to the state.
#[test]
fn the_trash_leaves_space_for_the_state() -> anyhow::Result<()> {
    const FILES: usize = 60;
    let pair = Pair::new()?.set("max-delete", "any");
    pair.make_directories()?;
    let name = |number: usize| format!("file {number:02}");
    for number in 0..FILES {
        fs::write(pair.left().join(name(number)), [0; 4096])?;
    }
    pair.sync()?;
    let limits = limits(|limits| limits.storage_bytes = 320 << 10);
    let sync = || pair.sync_with(pair.options()?.limits(limits.clone()));
    for number in 0..FILES {
        fs::remove_file(pair.left().join(name(number)))?;
    }
    let report = sync()?;
    anyhow::ensure!(only_item(&report)?.code == Some(ErrorCode::NoSpace), "{report:?}");
    let [_, right] = pair.trees()?;
    anyhow::ensure!((1..FILES).contains(&right.len()), "a part fits: {}", right.len());
    // With the trash unchanged, further runs keep the state.
    for round in 0..3 {
        let new = format!("new {round}");
        fs::write(pair.left().join(&new), "new")?;
        let report = sync()?;
        anyhow::ensure!(pair.right().join(&new).exists(), "{report:?}");
        fs::remove_file(pair.right().join(&new))?;
        let report = sync()?;
        anyhow::ensure!(pair.left().join(&new).exists(), "it cannot be kept: {report:?}");
        fs::remove_file(pair.left().join(&new))?;
        let report = sync()?;
        let text = format!("{report:?}");
        anyhow::ensure!(!text.contains(".state"), "the state is saved: {text}");
    }
    Ok(())
}

fn read_only_medium() -> anyhow::Result<()> {
    let pair = Pair::new()?.moved_into("disk", &["right"]);
    let disk = Disk::mount(pair.home().join("disk"))?;
    pair.make_directories()?;
    trees::write(&pair.left(), &tree("a=|b=|d/c=|e=", 10))?;
    pair.sync()?;
    fs::remove_file(pair.left().join("a"))?;
    fs::write(pair.left().join("b"), "changed")?;
    fs::write(pair.left().join("d/new"), "new")?;
    let remount = |how: &str| -> anyhow::Result<()> {
        let status = Command::new("mount").args(["-o", how]).arg(&disk.0).status()?;
        anyhow::ensure!(status.success(), "{how}: {status}");
        Ok(())
    };
    remount("remount,ro")?;
    let report = pair.sync()?;
    remount("remount,rw")?;
    let mut said: Vec<_> = report.log.iter().map(|entry| entry.text.clone()).collect();
    said.sort();
    let why = "read-only file system; mount it for writing";
    for what in ["copy d/new to", "delete a in", "replace b in"] {
        let begin = format!("cannot {what} the directory `right`: ");
        let found = said.iter().any(|text| text.starts_with(&begin) && text.contains(why));
        anyhow::ensure!(found, "{what}: {said:?}");
    }
    anyhow::ensure!(only_item(&report)?.counts["not-done"] == 3, "{report:?}");
    let report = pair.sync()?;
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "mounted for writing: {:?}", report.log);
    Ok(())
}

#[test]
fn a_read_only_medium_is_reported_with_side_path_and_remedy() -> anyhow::Result<()> {
    isolation::with_own_mounts(
        a_read_only_medium_is_reported_with_side_path_and_remedy,
        read_only_medium,
    )
}

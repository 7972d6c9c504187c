//! The disk is full.

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
fn a_full_disk_fails_the_item_and_room_is_all_that_the_next_run_needs() -> anyhow::Result<()> {
    isolation::with_own_mounts(
        "no_room::a_full_disk_fails_the_item_and_room_is_all_that_the_next_run_needs",
        body,
    )
}

/// Copies that wait for the disk together hold room that what they replace gives back.
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
fn edits_need_room_for_one_of_them_where_nothing_is_kept() -> anyhow::Result<()> {
    isolation::with_own_mounts(
        "no_room::edits_need_room_for_one_of_them_where_nothing_is_kept",
        room_for_one,
    )
}

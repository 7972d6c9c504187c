//! A real directory and a side in memory, with every combination of what a side can do: edits on
//! both sides, calls that fail or whose answer is lost, edits in the middle of a run, and runs that
//! were interrupted. Nothing is lost, both sides become equal, and a rerun changes nothing.

#![allow(clippy::unwrap_used, reason = "it is a test")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use syncmgr_engine::options::DeleteLimit;
use syncmgr_engine::testing::{Faulty, Memory, Turn};
use syncmgr_engine::tree::{Side, join, moved_path, split};
use syncmgr_engine::{Capabilities, Endpoint, Local, Options, Pair, SideGrant, sync};
use syncmgr_plugin::directories;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::SyncManager;
use uuid::Uuid;

thread_local! {
    /// The side, which persists between runs.
    static MEMORY: RefCell<Memory> = RefCell::default();
    static TROUBLE: RefCell<Option<Trouble>> = const { RefCell::new(None) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static MOVES: Cell<u32> = const { Cell::new(0) };
    /// Files that the side received, and that were read from it.
    static RECEIVED: Cell<u32> = const { Cell::new(0) };
    static OPENED: Cell<u32> = const { Cell::new(0) };
    /// What was written in the middle of the run, and what that replaced.
    static WRITTEN: RefCell<[Option<Vec<u8>>; 2]> = const { RefCell::new([None, None]) };
}

/// What happens at a call of a run.
#[derive(Clone, Debug)]
enum Trouble {
    /// This call and all that follow fail.
    CutFrom(u32),
    /// The answer of this call is lost.
    Lost(u32),
    /// The plugin is killed at this call.
    Killed(u32),
    /// No entry can be moved.
    NotMoved(ErrorCode),
    /// No entry can be moved, because all are in use, and the plugin is killed at this call.
    InUseAndKilled(u32),
    /// Someone writes a file just before this call.
    Edited(u32, String, u8),
}

fn memory() -> Memory {
    MEMORY.with_borrow(Memory::clone)
}

/// Passes a call on, unless there is trouble.
fn turn(function: &str) -> Turn {
    CALLS.set(CALLS.get() + 1);
    let now = CALLS.get();
    let turn = TROUBLE.with_borrow(|trouble| match trouble {
        Some(Trouble::CutFrom(call)) if now >= *call => Turn::Failed(ErrorCode::NotConnected),
        Some(Trouble::Killed(call) | Trouble::InUseAndKilled(call)) if now == *call => {
            std::panic::resume_unwind(Box::new("killed"))
        }
        Some(Trouble::NotMoved(code)) if function == "rename" => Turn::Failed(*code),
        Some(Trouble::InUseAndKilled(_)) if function == "rename" => Turn::Failed(ErrorCode::Busy),
        Some(Trouble::Lost(call)) if now == *call => Turn::Lost,
        Some(Trouble::Edited(call, path, text)) if now == *call => {
            let (content, old) = (vec![*text, 7, 7, 7], memory().files().remove(path));
            if memory().put(path, &content) {
                WRITTEN.set([Some(content), old]);
            }
            Turn::Made
        }
        Some(_) | None => Turn::Made,
    });
    for (counter, counted) in [(&MOVES, "rename"), (&RECEIVED, "receive"), (&OPENED, "open")] {
        counter.set(counter.get() + u32::from(turn == Turn::Made && function == counted));
    }
    turn
}

#[derive(Default)]
struct WithMemory;

impl Plugin for WithMemory {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("With memory"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("item"), "Item")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let storage = directories::open_storage()?;
        let grant = directories::grants().remove(0);
        let side = |label, id| SideGrant {
            label,
            description: format!("the side `{label}`"),
            is_writable: true,
            id,
        };
        let pair = Pair { sides: [side("local", grant.id), side("memory", Uuid::from_u128(7))] };
        let options = Options { max_delete: DeleteLimit::Any, ..Options::default() };
        sync(&pair, &options, &storage, context, |context| {
            let local = Local::open_grant(&grant, &storage, Side::Left, context)?;
            Ok([Box::new(local), Box::new(Faulty::new(memory(), turn))])
        })
    }
}

/// A directory and the side in memory.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new(memory: Memory) -> Self {
        // Flushing takes no time in memory.
        let place = Path::new("/dev/shm");
        let place = if place.is_dir() { place.to_owned() } else { std::env::temp_dir() };
        let scene = Self(tempfile::tempdir_in(place).unwrap());
        MEMORY.set(memory);
        MOVES.set(0);
        RECEIVED.set(0);
        OPENED.set(0);
        for name in ["local", "storage"] {
            fs::create_dir(scene.0.path().join(name)).unwrap();
        }
        scene
    }

    fn local(&self) -> std::path::PathBuf {
        self.0.path().join("local")
    }

    /// Runs the plugin. Returns the run if it does not succeed.
    fn run(&self) -> std::result::Result<(), String> {
        self.run_with(None)
    }

    fn run_with(&self, trouble: Option<Trouble>) -> std::result::Result<(), String> {
        TROUBLE.set(trouble);
        CALLS.set(0);
        let manager =
            SyncManager::new().grant("local", self.local()).storage(self.0.path().join("storage"));
        let run = manager.run::<WithMemory>();
        match run.ended(ItemId::from_name("item")) {
            Some(Status::Succeeded) => Ok(()),
            Some(_) | None => Err(format!("{run:?}")),
        }
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        files_below(&self.local(), "", &mut all);
        all
    }

    /// Returns the contents of both sides.
    fn existing(&self) -> BTreeSet<Vec<u8>> {
        self.files().into_values().chain(memory().files().into_values()).collect()
    }

    /// Returns all contents that exist anywhere.
    fn contents(&self) -> BTreeSet<Vec<u8>> {
        let mut kept = BTreeMap::new();
        files_below(self.0.path(), "", &mut kept);
        let files = memory().files().into_values();
        kept.into_values().chain(files).chain(memory().trash().clone()).collect()
    }
}

fn files_below(root: &Path, path: &str, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(root.join(path)).unwrap() {
        let entry = entry.unwrap();
        let path = join(path, entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => files_below(root, &path, all),
            false => drop(all.insert(path, fs::read(entry.path()).unwrap())),
        }
    }
}

/// An edit of one side.
#[derive(Clone, Debug)]
enum Edit {
    Write(String, u8),
    Delete(String),
    /// Moves a file or a directory, if it exists and its new path does not.
    Rename(String, String),
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "d/a", "d/b", "d/e/a", "x"]).prop_map(str::to_owned)
}

fn any_path() -> impl Strategy<Value = String> {
    let paths = vec!["a", "b", "d", "d/a", "d/e", "d/e/a", "f", "f/e", "f/x", "x"];
    prop::sample::select(paths).prop_map(str::to_owned)
}

fn edits() -> impl Strategy<Value = Vec<(bool, Edit)>> {
    let write = (path(), any::<u8>()).prop_map(|(path, text)| Edit::Write(path, text));
    let delete = path().prop_map(Edit::Delete);
    let rename = (any_path(), any_path()).prop_map(|(path, to)| Edit::Rename(path, to));
    let edit = prop_oneof![3 => write, 1 => delete, 3 => rename];
    prop::collection::vec((any::<bool>(), edit), 0..8)
}

/// A side with any capabilities.
fn side() -> impl Strategy<Value = Memory> {
    any::<[bool; 5]>().prop_map(
        |[hashes_cheaply, has_only_times, works_at_once, renames, has_ids]| {
            let memory = Memory::with(Capabilities {
                at_once: if works_at_once { 8 } else { 1 },
                hashes_cheaply,
                // The times of the side never repeat.
                has_versions: true,
                renames,
                has_ids: has_ids && !has_only_times,
                ..Capabilities::default()
            });
            if has_only_times { memory.with_only_times() } else { memory }
        },
    )
}

fn trouble() -> impl Strategy<Value = Option<Trouble>> {
    let edited = (0..60_u32, path(), any::<u8>());
    prop::option::of(prop_oneof![
        (1..60_u32).prop_map(Trouble::CutFrom),
        (1..60_u32).prop_map(Trouble::Lost),
        edited.prop_map(|(call, path, text)| Trouble::Edited(call, path, text)),
        (1..60_u32).prop_map(Trouble::Killed),
        (1..60_u32).prop_map(Trouble::InUseAndKilled),
    ])
}

/// Applies edits. Every content is unique.
fn apply(scene: &Scene, edits: &[(bool, Edit)], round: u8) {
    for (number, (in_memory, edit)) in edits.iter().enumerate() {
        let number = u8::try_from(number).unwrap();
        match (edit, in_memory) {
            (Edit::Write(path, text), true) => {
                memory().put(path, &[*text, round, number, 1]);
            }
            (Edit::Write(path, text), false) => {
                let file = scene.local().join(path);
                // There may be a file above it, or a directory in its place.
                if fs::create_dir_all(file.parent().unwrap()).is_err()
                    || fs::write(&file, [*text, round, number, 2]).is_err()
                {
                    continue;
                }
                let age = Duration::from_secs(3_600 - 60 * u64::from(round));
                let file = fs::File::options().write(true).open(&file).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
            (Edit::Delete(path), true) => drop(memory().remove(path, None)),
            (Edit::Delete(path), false) => drop(fs::remove_file(scene.local().join(path))),
            (Edit::Rename(path, to), _) if moved_path(to, path, "").is_some() => {}
            (Edit::Rename(path, to), true) => {
                let mut memory = memory();
                if memory.stat(path).unwrap().is_some() {
                    if !split(to).0.is_empty() {
                        let _ = memory.create_directory(split(to).0, None);
                    }
                    let _ = memory.rename(path, to);
                }
            }
            (Edit::Rename(path, to), false) => {
                let [path, to] = [path, to].map(|path| scene.local().join(path));
                if path.exists() && !to.exists() {
                    let _ = fs::create_dir_all(to.parent().unwrap());
                    let _ = fs::rename(path, to);
                }
            }
        }
    }
}

/// A side that recognizes moves, and another one whose moves are found by content.
fn sides() -> [Memory; 2] {
    let can =
        Capabilities { renames: true, has_versions: true, at_once: 1, ..Capabilities::default() };
    [
        Memory::with(Capabilities { has_ids: true, at_once: 8, ..can }),
        Memory::with(Capabilities { hashes_cheaply: true, ..can }),
    ]
}

/// A scene with a directory that was synced.
fn synced(side: Memory) -> Scene {
    let scene = Scene::new(side);
    let age = Duration::from_secs(3_600);
    let files = [
        ("d/a", "1"),
        ("d/s/b", "22"),
        ("d/s/c", "333"),
        ("d/k", "55555"),
        ("d/m", "666666"),
        ("d/o", "7777777"),
        ("x", "4444"),
    ];
    for (path, content) in files {
        let file = scene.local().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let file = fs::File::options().write(true).open(&file).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    assert_eq!(scene.run(), Ok(()));
    RECEIVED.set(0);
    scene
}

/// Moves the directory in the scene, and a file out of it.
fn move_directory(scene: &Scene, in_memory: bool) {
    if in_memory {
        let mut memory = memory();
        memory.create_directory("n", None).unwrap();
        memory.rename("d", "n/e").unwrap();
        memory.rename("n/e/s/b", "b").unwrap();
    } else {
        let at = |path| scene.local().join(path);
        fs::create_dir(at("n")).unwrap();
        fs::rename(at("d"), at("n/e")).unwrap();
        fs::rename(at("n/e/s/b"), at("b")).unwrap();
    }
}

/// Checks the files of both sides, with those of the directory that nothing changes.
fn check_files(scene: &Scene, expected: &[(&str, &str)]) {
    let others = [("n/e/k", "55555"), ("n/e/m", "666666"), ("n/e/o", "7777777")];
    let row = |(path, content): &(&str, &str)| ((*path).to_owned(), content.as_bytes().to_vec());
    let expected: BTreeMap<_, _> = expected.iter().chain(&others).map(row).collect();
    assert_eq!(scene.files(), expected);
    assert_eq!(memory().files(), expected);
}

/// Checks that the move was made on both sides.
fn check_moved(scene: &Scene) {
    let expected = [("b", "22"), ("n/e/a", "1"), ("n/e/s/c", "333"), ("x", "4444")];
    check_files(scene, &expected);
    assert_eq!(memory().stat("d").unwrap(), None);
    assert!(!scene.local().join("d").exists());
}

#[cfg(unix)]
fn inode(scene: &Scene, path: &str) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(scene.local().join(path)).unwrap().ino()
}

#[cfg(unix)]
#[test]
fn moved_entries_are_renamed_on_the_other_side() {
    for side in sides() {
        for in_memory in [false, true] {
            let scene = synced(side.fresh());
            let inodes = ["d/a", "d/s/b", "d/s/c", "x"].map(|path| inode(&scene, path));
            move_directory(&scene, in_memory);
            assert_eq!(scene.run(), Ok(()));
            check_moved(&scene);
            let now = ["n/e/a", "b", "n/e/s/c", "x"].map(|path| inode(&scene, path));
            assert_eq!(now, inodes, "{side:?}");
            assert_eq!((RECEIVED.get(), memory().trash().len()), (0, 0), "{side:?}");
            assert_eq!(MOVES.take(), if in_memory { 0 } else { 2 }, "{side:?}");
            let writes = memory().writes();
            assert_eq!(scene.run(), Ok(()));
            assert_eq!(memory().writes(), writes, "a rerun changes something");
        }
    }
}

/// Runs until a call of the side in memory. Returns whether there were fewer calls.
fn run_until(scene: &Scene, call: u32, is_killed: bool) -> bool {
    let trouble = if is_killed { Trouble::Killed(call) } else { Trouble::CutFrom(call) };
    let run = std::panic::AssertUnwindSafe(|| scene.run_with(Some(trouble)));
    let _ = std::panic::catch_unwind(run);
    CALLS.get() < call
}

#[test]
fn an_interrupted_move_is_completed_without_a_copy() {
    for (side, is_killed) in
        sides().into_iter().flat_map(|side| [(side.clone(), false), (side, true)])
    {
        for in_memory in [false, true] {
            for cut in 1.. {
                let scene = synced(side.fresh());
                move_directory(&scene, in_memory);
                let is_complete = run_until(&scene, cut, is_killed);
                assert_eq!(scene.run(), Ok(()));
                check_moved(&scene);
                let (received, trash) = (RECEIVED.get(), memory().trash().len());
                assert_eq!((received, trash), (0, 0), "{side:?}, cut {cut}");
                assert_eq!(scene.run(), Ok(()));
                if is_complete {
                    assert!(cut > 3, "the case is large enough");
                    break;
                }
            }
        }
    }
}

#[test]
fn edits_in_a_moved_directory_survive_an_interruption_without_a_conflict() {
    for (side, is_killed) in
        sides().into_iter().flat_map(|side| [(side.clone(), false), (side, true)])
    {
        for cut in 1.. {
            let scene = synced(side.fresh());
            move_directory(&scene, false);
            fs::write(scene.local().join("n/e/a"), "edited").unwrap();
            fs::remove_file(scene.local().join("n/e/s/c")).unwrap();
            fs::write(scene.local().join("n/e/new"), "new").unwrap();
            let is_complete = run_until(&scene, cut, is_killed);
            assert_eq!(scene.run(), Ok(()));
            let files = [("b", "22"), ("n/e/a", "edited"), ("n/e/new", "new"), ("x", "4444")];
            check_files(&scene, &files);
            if is_complete {
                break;
            }
        }
    }
}

#[test]
fn a_failed_move_is_tried_again_and_an_impossible_one_is_copied() {
    for side in sides() {
        for code in [
            ErrorCode::AccessDenied,
            ErrorCode::NotImplemented,
            ErrorCode::NoSpace,
            ErrorCode::Busy,
        ] {
            let scene = synced(side.fresh());
            move_directory(&scene, false);
            let before = memory().files();
            let trouble = Some(Trouble::NotMoved(code));
            let _ = scene.run_with(trouble.clone());
            assert_eq!(memory().files(), before, "{side:?}, {code:?}");
            if code == ErrorCode::NotImplemented {
                assert_eq!(scene.run_with(trouble), Ok(()), "{side:?}");
            } else {
                let _ = scene.run_with(trouble);
                assert_eq!(memory().files(), before, "{side:?}, {code:?}");
                assert_eq!(scene.run(), Ok(()), "{side:?}, {code:?}");
            }
            check_moved(&scene);
            let copied = if code == ErrorCode::NotImplemented { 6 } else { 0 };
            let (received, trash) = (RECEIVED.get(), memory().trash().len());
            assert_eq!((received, trash), (copied, copied as usize), "{side:?}, {code:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_both_sides_become_equal(
        side in side(), first in edits(), second in edits(), trouble in trouble(),
    ) {
        let scene = Scene::new(side);
        for (round, edits) in [(1, &first), (2, &second)] {
            apply(&scene, edits, round);
            let mut before = scene.existing();
            if round == 2 && trouble.is_some() {
                // It may fail.
                let run = || scene.run_with(trouble.clone());
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                let [written, replaced] = WRITTEN.take();
                before.extend(written);
                before.retain(|content| Some(content) != replaced.as_ref());
            }
            // A conflict takes one run, and what it postpones another one.
            prop_assert_eq!(scene.run(), Ok(()));
            prop_assert_eq!(scene.run(), Ok(()));
            prop_assert_eq!(&scene.files(), &memory().files());
            let kept = scene.contents();
            for content in &before {
                prop_assert!(kept.contains(content), "{:?} is lost", content);
            }
        }
        let writes = memory().writes();
        prop_assert_eq!(scene.run(), Ok(()));
        prop_assert_eq!(memory().writes(), writes, "a rerun changes something");
    }
}

#[test]
fn an_interrupted_first_sync_copies_and_compares_little_again() {
    const FILES: u32 = 1_000;
    let scene = Scene::new(Memory::default());
    for number in 0..FILES {
        fs::write(scene.local().join(number.to_string()), number.to_le_bytes()).unwrap();
    }
    // Each file fails for itself.
    let _ = scene.run_with(Some(Trouble::CutFrom(3_000)));
    let first = RECEIVED.take();
    assert!(first > 600, "{first} files were copied");
    assert_eq!(scene.run(), Ok(()));
    let second = RECEIVED.take() + OPENED.take();
    // The state is saved after each 256 steps.
    assert!(second < FILES - first + 2 * 256, "{first}, then {second} files were transferred");
    assert_eq!(scene.files(), memory().files());
}

#[test]
fn a_postponed_move_is_made_after_the_baseline_was_saved_and_the_plugin_killed() {
    let scene = synced(sides()[0].fresh());
    move_directory(&scene, false);
    let new: BTreeMap<_, _> = (0..400_u32)
        .map(|number| (format!("new{number}"), number.to_le_bytes().to_vec()))
        .collect();
    for (name, content) in &new {
        fs::write(scene.local().join(name), content).unwrap();
    }
    let run = || scene.run_with(Some(Trouble::InUseAndKilled(1_050)));
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let received = RECEIVED.get();
    assert!((257..400).contains(&received), "{received} files were copied");
    assert_eq!(scene.run(), Ok(()));
    let files = scene.files();
    assert_eq!(files, memory().files());
    for (path, content) in [("n/e/a", "1"), ("b", "22"), ("n/e/s/c", "333"), ("n/e/k", "55555")] {
        assert_eq!(files.get(path).map(Vec::as_slice), Some(content.as_bytes()), "{path}");
    }
    assert_eq!(files.len(), 7 + new.len(), "nothing came back: {:?}", files.keys());
}

//! A real directory and a side in memory, with every combination of what a side can do: edits on
//! both sides, calls that fail, and a run that was interrupted. Nothing is lost, both sides become
//! equal, and a rerun changes nothing.

#![allow(clippy::unwrap_used, reason = "it is a test")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use syncmgr_engine::endpoint::{
    Capabilities, Content, Endpoint, Entry, Metadata, OpenRequest, Received, Rename, Transfer,
    changed,
};
use syncmgr_engine::options::DeleteLimit;
use syncmgr_engine::tree::{Fingerprint, Side, join, moved_path, split};
use syncmgr_engine::{Local, Options, Pair, SideGrant, sync};
use syncmgr_plugin::directories::{self, EntryKind, EntryName};
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::SyncManager;
use uuid::Uuid;

/// A file, or a directory if there is no content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    content: Option<Vec<u8>>,
    version: u64,
}

/// Everything on the side, which persists between runs.
#[derive(Clone, Debug, Default)]
struct World {
    entries: BTreeMap<String, Stored>,
    trash: Vec<Vec<u8>>,
    next: u64,
    can: Can,
    /// The numbers of entries that runs moved, and of contents that they stored.
    moves: u32,
    received: u32,
    /// Why entries cannot be moved, if they cannot.
    move_error: Option<ErrorCode>,
    /// Calls until each one fails; `None`: never.
    fails_after: Option<u32>,
    /// Whether the plugin is killed then.
    is_killed: bool,
}

/// What the side can do.
#[derive(Clone, Copy, Debug, Default)]
struct Can {
    hashes_cheaply: bool,
    has_versions: bool,
    works_at_once: bool,
    renames: bool,
    has_ids: bool,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

fn world<T>(action: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(action)
}

impl World {
    fn put(&mut self, path: &str, content: Option<Vec<u8>>) {
        self.next += 1;
        let version = self.next;
        self.entries.insert(path.to_owned(), Stored { content, version });
    }

    /// Moves an entry with everything in it.
    fn rename(&mut self, path: &str, to: &str) {
        let inside = |other: &&String| moved_path(other, path, to).is_some();
        let moved: Vec<_> = self.entries.keys().filter(inside).cloned().collect();
        for old in moved {
            if let (Some(new), Some(stored)) =
                (moved_path(&old, path, to), self.entries.remove(&old))
            {
                self.entries.insert(new, stored);
            }
        }
    }

    /// Returns whether a file can have a path: there is no directory, and no file above it.
    fn has_room(&self, path: &str) -> bool {
        let is_file = |path: &str| self.entries.get(path).map(|stored| stored.content.is_some());
        let mut above = path.match_indices('/').map(|(end, _)| &path[..end]);
        is_file(path) != Some(false) && above.all(|above| is_file(above) != Some(true))
    }

    /// Creates the directories above a path.
    fn put_parents(&mut self, path: &str) {
        let mut parent = split(path).0;
        while !parent.is_empty() {
            if !self.entries.contains_key(parent) {
                self.put(parent, None);
            }
            parent = split(parent).0;
        }
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let file =
            |(path, stored): (&String, &Stored)| Some((path.clone(), stored.content.clone()?));
        self.entries.iter().filter_map(file).collect()
    }

    /// Fails if it is the turn of this call.
    fn call(&mut self) -> Result<()> {
        match &mut self.fails_after {
            Some(0) if self.is_killed => std::panic::resume_unwind(Box::new("killed")),
            Some(0) => Err(Error::new(ErrorCode::NotConnected, "the connection is cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn metadata(&self, path: &str) -> Option<Metadata> {
        let stored = self.entries.get(path)?;
        let size = stored.content.as_ref().map_or(0, Vec::len) as u64;
        // Times of an hour ago are not racy; a side without versions shows times only.
        let modified = 1_800_000_000_000_000_000 + stored.version.cast_signed() * 1_000_000_000;
        let fingerprint = match self.can.has_versions {
            true => Fingerprint::of_version(size, 0, &stored.version.to_string()),
            false => Fingerprint { size, modified, ..Fingerprint::default() },
        };
        let kind = match stored.content {
            Some(_) => EntryKind::File,
            None => EntryKind::Directory,
        };
        Some(Metadata { kind, fingerprint, mode: None, identity: None })
    }
}

/// The side.
struct Memory;

impl Endpoint for Memory {
    fn capabilities(&self) -> Capabilities {
        let can = world(|world| world.can);
        Capabilities {
            at_once: if can.works_at_once { 8 } else { 1 },
            keeps_times: false,
            hashes_cheaply: can.hashes_cheaply,
            // The times above never repeat.
            has_versions: true,
            has_links: false,
            renames: can.renames,
            has_ids: can.has_ids && can.has_versions,
            clock_ahead: 0,
        }
    }

    fn list(
        &mut self,
        directory: &str,
        each: &mut dyn FnMut(Entry) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        let entries = world(|world| -> Result<Vec<Entry>> {
            world.call()?;
            let inside = world.entries.keys().filter(|path| split(path).0 == directory);
            let entry = |path: &String| {
                let name = EntryName::Text(split(path).1.to_owned());
                Some(Entry { name, metadata: Ok(world.metadata(path)?) })
            };
            Ok(inside.filter_map(entry).collect())
        })?;
        entries.into_iter().try_for_each(each)
    }

    fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
        world(|world| {
            world.call()?;
            Ok(world.metadata(path))
        })
    }

    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        let open = |file: &OpenRequest<'_>| {
            world(|world| {
                world.call()?;
                let gone = || Error::new(ErrorCode::NotFound, "it does not exist");
                let metadata = world.metadata(file.path).ok_or_else(gone)?;
                let content = world.entries[file.path].content.clone().ok_or_else(gone)?;
                Ok(Content { metadata, reader: Box::new(Cursor::new(content)) })
            })
        };
        files.iter().map(open).collect()
    }

    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut dyn FnMut(u64) -> Result<(), Interrupt>,
    ) -> Result<Received, Interrupt> {
        world(World::call)?;
        let open = OpenRequest { path: transfer.path, expected: Some(&transfer.source) };
        let mut source = from.open(&[open]).pop().unwrap()?;
        let mut content = Vec::new();
        source
            .reader
            .read_to_end(&mut content)
            .map_err(|error| Error::failed(error.to_string()))?;
        progress(content.len() as u64)?;
        let fingerprint = source.metadata.fingerprint;
        if content.len() as u64 != transfer.source.size || !fingerprint.is_still(&transfer.source) {
            return Err(changed("the file").into());
        }
        let digest = *blake3::hash(&content).as_bytes();
        world(|world| {
            world.received += 1;
            world.put(transfer.temp, Some(content));
        });
        Ok(Received { source: transfer.source, digest })
    }

    fn flush_received(&mut self, temps: &[&str], _durable: bool) -> Vec<Result<()>> {
        temps.iter().map(|_| world(World::call)).collect()
    }

    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<()>> {
        let rename = |rename: &Rename<'_>| {
            world(|world| {
                world.call()?;
                let to = join(split(rename.path).0, rename.to);
                if rename.replaces.is_none() && world.entries.contains_key(&to) {
                    return Err(Error::new(ErrorCode::AlreadyExists, "the name is used"));
                }
                let stored = world.entries.remove(rename.path);
                let gone = || Error::new(ErrorCode::NotFound, "it does not exist");
                world.entries.insert(to, stored.ok_or_else(gone)?);
                Ok(())
            })
        };
        renames.iter().map(rename).collect()
    }

    fn rename(&mut self, path: &str, to: &str) -> Result<()> {
        world(|world| {
            world.call()?;
            let parent = split(to).0;
            let refused = world.move_error.or((!world.can.renames).then_some(ErrorCode::Failed));
            if let Some(code) = refused {
                return Err(Error::new(code, "it is not possible"));
            }
            if world.entries.contains_key(to) {
                return Err(Error::new(ErrorCode::AlreadyExists, "the name is used"));
            }
            let is_directory = |stored: &Stored| stored.content.is_none();
            let has_parent =
                parent.is_empty() || world.entries.get(parent).is_some_and(is_directory);
            if !world.entries.contains_key(path) || !has_parent {
                return Err(Error::new(ErrorCode::NotFound, "it does not exist"));
            }
            world.rename(path, to);
            world.moves += 1;
            Ok(())
        })
    }

    fn keep_in_trash(&mut self, path: &str, stays: bool) -> Result<()> {
        world(|world| {
            world.call()?;
            let stored = match stays {
                true => world.entries.get(path).cloned(),
                false => world.entries.remove(path),
            };
            world.trash.extend(stored.and_then(|stored| stored.content));
            Ok(())
        })
    }

    fn remove(&mut self, path: &str) -> Result<()> {
        world(|world| {
            world.call()?;
            world.entries.remove(path);
            Ok(())
        })
    }

    fn create_directory(
        &mut self,
        path: &str,
        _like: Option<(&mut dyn Endpoint, &str, Option<u16>)>,
    ) -> Result<()> {
        world(|world| {
            world.call()?;
            match world.entries.contains_key(path) {
                true => Err(Error::new(ErrorCode::AlreadyExists, "the name is used")),
                false => {
                    world.put(path, None);
                    Ok(())
                }
            }
        })
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        world(|world| {
            world.call()?;
            if world.entries.keys().any(|other| split(other).0 == path) {
                return Err(Error::new(ErrorCode::AlreadyExists, "it is not empty"));
            }
            world.entries.remove(path);
            Ok(())
        })
    }
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
            Ok([Box::new(local), Box::new(Memory)])
        })
    }
}

/// A directory and the side in memory.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new(can: Can) -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        world(|world| *world = World { can, ..World::default() });
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

    /// Returns all contents that exist anywhere.
    fn contents(&self) -> BTreeSet<Vec<u8>> {
        let mut kept = BTreeMap::new();
        files_below(self.0.path(), "", &mut kept);
        let memory = world(|world| {
            let files = world.files().into_values();
            files.chain(world.trash.clone()).collect::<Vec<_>>()
        });
        kept.into_values().chain(memory).collect()
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

fn can() -> impl Strategy<Value = Can> {
    any::<[bool; 5]>().prop_map(
        |[hashes_cheaply, has_versions, works_at_once, renames, has_ids]| Can {
            hashes_cheaply,
            has_versions,
            works_at_once,
            renames,
            has_ids,
        },
    )
}

/// Applies edits. Every content is unique, and its length is that of the number of edits before.
fn apply(scene: &Scene, edits: &[(bool, Edit)], round: u8) -> BTreeSet<Vec<u8>> {
    let mut written = BTreeSet::new();
    for (number, (in_memory, edit)) in edits.iter().enumerate() {
        match (edit, in_memory) {
            (Edit::Write(path, text), true) => {
                let content = vec![*text, round, u8::try_from(number).unwrap(), 1];
                written.insert(content.clone());
                world(|world| {
                    if world.has_room(path) {
                        world.put_parents(path);
                        world.put(path, Some(content));
                    }
                });
            }
            (Edit::Write(path, text), false) => {
                let content = vec![*text, round, u8::try_from(number).unwrap(), 2];
                written.insert(content.clone());
                let file = scene.local().join(path);
                // There may be a file above it, or a directory in its place.
                if fs::create_dir_all(file.parent().unwrap()).is_err()
                    || fs::write(&file, content).is_err()
                {
                    continue;
                }
                let age = Duration::from_secs(3_600 - 60 * u64::from(round));
                let file = fs::File::options().write(true).open(&file).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
            (Edit::Delete(path), true) => {
                world(|world| {
                    if world.entries.get(path).is_some_and(|stored| stored.content.is_some()) {
                        world.entries.remove(path);
                    }
                });
            }
            (Edit::Delete(path), false) => {
                let _ = fs::remove_file(scene.local().join(path));
            }
            (Edit::Rename(path, to), _) if moved_path(to, path, "").is_some() => {}
            (Edit::Rename(path, to), true) => world(|world| {
                let is_free = !world.entries.contains_key(to) && world.has_room(to);
                if world.entries.contains_key(path) && is_free {
                    world.put_parents(to);
                    world.rename(path, to);
                }
            }),
            (Edit::Rename(path, to), false) => {
                let [path, to] = [path, to].map(|path| scene.local().join(path));
                if path.exists() && !to.exists() {
                    let _ = fs::create_dir_all(to.parent().unwrap());
                    let _ = fs::rename(path, to);
                }
            }
        }
    }
    written
}

/// Removes the contents that edits of the same side overwrote or deleted.
fn surviving(scene: &Scene) -> BTreeSet<Vec<u8>> {
    let memory = world(|world| world.files());
    scene.files().into_values().chain(memory.into_values()).collect()
}

/// A side that recognizes moves, and another one whose moves are found by content.
const CAN: [Can; 2] = [
    Can {
        renames: true,
        has_ids: true,
        has_versions: true,
        hashes_cheaply: false,
        works_at_once: true,
    },
    Can {
        renames: true,
        has_ids: false,
        has_versions: true,
        hashes_cheaply: true,
        works_at_once: false,
    },
];

/// A scene with a directory that was synced.
fn synced(can: Can) -> Scene {
    let scene = Scene::new(can);
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
    world(|world| world.received = 0);
    scene
}

/// Moves the directory in the scene, and a file out of it.
fn move_directory(scene: &Scene, in_memory: bool) {
    if in_memory {
        world(|world| {
            world.put("n", None);
            world.rename("d", "n/e");
            world.rename("n/e/s/b", "b");
        });
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
    assert_eq!(world(|world| world.files()), expected);
}

/// Checks that the move was made on both sides.
fn check_moved(scene: &Scene) {
    let expected = [("b", "22"), ("n/e/a", "1"), ("n/e/s/c", "333"), ("x", "4444")];
    check_files(scene, &expected);
    assert_eq!(world(|world| world.entries.get("d").cloned()), None);
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
    for can in CAN {
        for in_memory in [false, true] {
            let scene = synced(can);
            let inodes = ["d/a", "d/s/b", "d/s/c", "x"].map(|path| inode(&scene, path));
            move_directory(&scene, in_memory);
            assert_eq!(scene.run(), Ok(()));
            check_moved(&scene);
            let now = ["n/e/a", "b", "n/e/s/c", "x"].map(|path| inode(&scene, path));
            assert_eq!(now, inodes, "{can:?}");
            world(|world| {
                assert_eq!((world.received, world.trash.len()), (0, 0), "{can:?}");
                assert_eq!(world.moves, if in_memory { 0 } else { 2 }, "{can:?}");
                world.fails_after = None;
            });
            let next = world(|world| world.next);
            assert_eq!(scene.run(), Ok(()));
            assert_eq!(world(|world| world.next), next, "a rerun changes something");
        }
    }
}

/// Runs until a call of the side in memory. Returns whether there were fewer calls.
fn run_until(scene: &Scene, cut: u32, is_killed: bool) -> bool {
    world(|world| (world.fails_after, world.is_killed) = (Some(cut), is_killed));
    let run = std::panic::AssertUnwindSafe(|| scene.run());
    let _ = std::panic::catch_unwind(run);
    let left = world(|world| world.fails_after.take());
    left.is_some_and(|left| left > 0)
}

#[test]
fn an_interrupted_move_is_completed_without_a_copy() {
    for (can, is_killed) in CAN.into_iter().flat_map(|can| [(can, false), (can, true)]) {
        for in_memory in [false, true] {
            for cut in 0.. {
                let scene = synced(can);
                move_directory(&scene, in_memory);
                let is_complete = run_until(&scene, cut, is_killed);
                assert_eq!(scene.run(), Ok(()));
                check_moved(&scene);
                let (received, trash) = world(|world| (world.received, world.trash.len()));
                assert_eq!((received, trash), (0, 0), "{can:?}, cut {cut}");
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
    for (can, is_killed) in CAN.into_iter().flat_map(|can| [(can, false), (can, true)]) {
        for cut in 0.. {
            let scene = synced(can);
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
    for can in CAN {
        for code in [ErrorCode::AccessDenied, ErrorCode::NotImplemented, ErrorCode::NoSpace] {
            let scene = synced(can);
            move_directory(&scene, false);
            let before = world(|world| world.files());
            world(|world| world.move_error = Some(code));
            let _ = scene.run();
            assert_eq!(world(|world| world.files()), before, "{can:?}, {code:?}");
            if code != ErrorCode::NotImplemented {
                let _ = scene.run();
                assert_eq!(world(|world| world.files()), before, "{can:?}, {code:?}");
                world(|world| world.move_error = None);
            }
            assert_eq!(scene.run(), Ok(()), "{can:?}, {code:?}");
            check_moved(&scene);
            let copied = if code == ErrorCode::NotImplemented { 6 } else { 0 };
            let (received, trash) = world(|world| (world.received, world.trash.len()));
            assert_eq!((received, trash), (copied, copied as usize), "{can:?}, {code:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_both_sides_become_equal(
        can in can(), first in edits(), second in edits(), cut in prop::option::of(0_u32..60),
    ) {
        let scene = Scene::new(can);
        for (round, edits) in [(1, &first), (2, &second)] {
            apply(&scene, edits, round);
            let before = surviving(&scene);
            if round == 2 && cut.is_some() {
                world(|world| world.fails_after = cut);
                // It may fail.
                let _ = scene.run();
                world(|world| world.fails_after = None);
            }
            // A conflict takes one run, and what it postpones another one.
            prop_assert_eq!(scene.run(), Ok(()));
            prop_assert_eq!(scene.run(), Ok(()));
            let (local, memory) = (scene.files(), world(|world| world.files()));
            prop_assert_eq!(&local, &memory);
            let kept = scene.contents();
            for content in &before {
                prop_assert!(kept.contains(content), "{:?} is lost", content);
            }
        }
        let next = world(|world| world.next);
        prop_assert_eq!(scene.run(), Ok(()));
        prop_assert_eq!(world(|world| world.next), next, "a rerun changes something");
    }
}

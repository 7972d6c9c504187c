//! A directory and a side in memory, which are synced.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syncmgr_engine::testing::{Faulty, Memory, Turn};
use syncmgr_engine::tree::{Side, join};
use syncmgr_engine::{Endpoint, Local, Options, Pair, SideGrant, sync};
use syncmgr_plugin::directories;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::{Run, SyncManager};
use uuid::Uuid;

use crate::edit::{Changed, Edit};

thread_local! {
    /// The side, which persists between runs.
    static MEMORY: RefCell<Memory> = RefCell::default();
    static TROUBLE: RefCell<Option<Trouble>> = const { RefCell::new(None) };
    /// Whether the side in memory is the left one.
    static IS_LEFT: Cell<bool> = const { Cell::new(false) };
    pub(crate) static CALLS: Cell<u32> = const { Cell::new(0) };
    pub(crate) static MOVES: Cell<u32> = const { Cell::new(0) };
    /// Files that the side received, and calls that read from it.
    pub(crate) static RECEIVED: Cell<u32> = const { Cell::new(0) };
    pub(crate) static OPENED: Cell<u32> = const { Cell::new(0) };
    /// The local directory.
    static LOCAL: RefCell<PathBuf> = RefCell::default();
    /// What was changed in the middle of the run.
    pub(crate) static CHANGED: RefCell<Changed> = RefCell::default();
}

/// What happens at a call of a run.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
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
    /// Someone edits a side just before this call: the one in memory, or the local one.
    Edited(u32, bool, Edit),
}

pub(crate) fn memory() -> Memory {
    MEMORY.with_borrow(Memory::clone)
}

/// Passes a call on, unless there is trouble.
pub(crate) fn turn(function: &str) -> Turn {
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
        Some(Trouble::Edited(call, in_memory, edit)) if now == *call => {
            let local = LOCAL.with_borrow(PathBuf::clone);
            CHANGED.set(edit.make((!in_memory).then_some(&local), [7; 3], 60));
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
        let side = |side: Side, id| SideGrant {
            label: side.name(),
            description: format!("the directory `{}`", side.name()),
            is_writable: true,
            id,
        };
        let own = if IS_LEFT.get() { Side::Right } else { Side::Left };
        let mut sides = [side(own, grant.id), side(own.other(), Uuid::from_u128(7))];
        sides.rotate_left(own.index());
        let pair = Pair { sides };
        let options = Options::read(None, pair.labels(), &[])?;
        sync(&pair, &options, &storage, context, |context| {
            let local = Local::open_grant(&grant, &storage, own, context)?;
            let mut ends: [Box<dyn Endpoint>; 2] =
                [Box::new(local), Box::new(Faulty::new(memory(), turn))];
            ends.rotate_left(own.index());
            Ok(ends)
        })
    }
}

/// A directory and the side in memory.
pub(crate) struct Scene {
    place: tempfile::TempDir,
    /// The settings of each run.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
}

impl Scene {
    pub(crate) fn new(memory: Memory) -> Self {
        // Flushing takes no time in memory.
        let place = Path::new("/dev/shm");
        let place = if place.is_dir() { place.to_owned() } else { std::env::temp_dir() };
        let place = tempfile::tempdir_in(place).unwrap();
        MEMORY.set(memory);
        LOCAL.set(place.path().join("local"));
        IS_LEFT.set(false);
        MOVES.set(0);
        RECEIVED.set(0);
        OPENED.set(0);
        for name in ["local", "storage"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        Self { place, settings: vec![("max-delete", "any")] }
    }

    /// Lets the side in memory be the left one.
    pub(crate) fn swapped(self, is_swapped: bool) -> Self {
        IS_LEFT.set(is_swapped);
        self
    }

    pub(crate) fn local(&self) -> PathBuf {
        self.place.path().join("local")
    }

    /// Runs the plugin. Returns the run if it does not succeed.
    pub(crate) fn run(&self) -> std::result::Result<(), String> {
        self.run_with(None)
    }

    pub(crate) fn run_with(&self, trouble: Option<Trouble>) -> std::result::Result<(), String> {
        let run = self.report(trouble);
        match run.ended(ItemId::from_name("item")) {
            Some(Status::Succeeded) => Ok(()),
            Some(_) | None => Err(format!("{run:?}")),
        }
    }

    /// Runs the plugin, and returns the run.
    pub(crate) fn report(&self, trouble: Option<Trouble>) -> Run {
        TROUBLE.set(trouble);
        CALLS.set(0);
        let storage = self.place.path().join("storage");
        let mut manager = SyncManager::new().grant("local", self.local()).storage(storage);
        for (name, value) in &self.settings {
            manager = manager.setting(name, value);
        }
        manager.run::<WithMemory>()
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        files_below(&self.local(), "", &mut all);
        all
    }

    /// Returns the contents of both sides.
    pub(crate) fn existing(&self) -> BTreeSet<Vec<u8>> {
        self.files().into_values().chain(memory().files().into_values()).collect()
    }

    /// Returns all contents that exist anywhere.
    pub(crate) fn contents(&self) -> BTreeSet<Vec<u8>> {
        let kept = contents_below(self.place.path()).into_iter();
        kept.chain(memory().files().into_values()).chain(memory().trash().clone()).collect()
    }
}

/// Returns the contents of all files in a directory.
pub(crate) fn contents_below(directory: &Path) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeMap::new();
    files_below(directory, "", &mut all);
    all.into_values().collect()
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

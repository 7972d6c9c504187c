//! A directory, the server, and the storage of the plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use s3::bucket::Sizes;
use syncmgr_engine::service::{Server, ServerPair, Service};
use syncmgr_engine::tree::join;
use syncmgr_engine::{Endpoint, item, names};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::{Run, SyncManager};

use crate::quirks::Quirks;
use crate::world::{BUCKET, ORIGIN, PREFIX, Shared, Stored};

/// Names with characters that URLs encode.
const NAMES: [&str; 9] =
    ["a b", "\u{e9}", "100%", "%41", "semi;colon", "hash#", "plus+and&", "what?", "quote'"];

pub(crate) struct Scene {
    directory: tempfile::TempDir,
    pub(crate) server: Shared,
    /// Settings of each run.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    /// The granted URL; empty: that of the bucket.
    pub(crate) granted: &'static str,
    /// Whether files are sent in parts of a few bytes.
    pub(crate) in_parts: bool,
}

/// The plugin, with parts of a few bytes.
#[derive(Default)]
struct InParts;

impl Plugin for InParts {
    fn handler_info(&self) -> Result<HandlerInfo> {
        s3::S3.handler_info()
    }

    fn items(&mut self) -> Result<ItemList> {
        item::items(&ServerPair::<Self>::all()?)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        item::synchronize_item(&ServerPair::<Self>::all()?, context)
    }
}

impl Service for InParts {
    const NAME: &'static str = s3::S3::NAME;
    const SETTINGS: &'static [&'static str] = s3::S3::SETTINGS;

    fn url(granted: &str, setting: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        s3::S3::url(granted, setting)
    }

    fn open(server: &Server, storage: &Directory) -> Result<Box<dyn Endpoint>> {
        s3::open(server, storage, Sizes { held: 4, part: 6, copy: 15 })
    }
}

/// The contents of the files of a side, by path. The path of a directory ends with `/`.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

impl Scene {
    pub(crate) fn new(quirks: Quirks) -> Self {
        // In memory if possible: flushing to a disk takes most of the time.
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        }
        .unwrap();
        for name in ["local", "storage"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            directory,
            server: Shared::new(quirks),
            settings: Vec::new(),
            granted: "",
            in_parts: false,
        }
    }

    pub(crate) fn local_path(&self) -> PathBuf {
        self.directory.path().join("local")
    }

    /// Has the plugin find out what the server can do, as an earlier run would.
    pub(crate) fn probe(&self) {
        self.write("probe", b"probe", 500);
        let run = self.succeed().unwrap();
        assert!(log(&run).contains("refuses overwrites"), "{}", log(&run));
        self.remove("probe");
        self.edit("probe", None);
        self.settle().unwrap();
    }

    /// Fills both sides. The scene has each kind of change on each side, see [`Scene::change`].
    pub(crate) fn fill(&self) {
        for name in NAMES {
            self.write(&format!("names/{name}.l"), name.as_bytes(), 500);
            self.edit(&format!("names/{name}.r"), Some(name.as_bytes()));
        }
        for name in ["kept", "replaced", "deleted", "gone/a", "gone/b/c"] {
            self.write(&format!("l/{name}"), format!("local {name} 1").as_bytes(), 500);
            self.edit(&format!("r/{name}"), Some(format!("remote {name} 1").as_bytes()));
        }
        for name in ["moved/a", "moved/b/c"] {
            self.write(name, format!("{name}, which is moved").as_bytes(), 500);
        }
        self.write("both", b"both 1", 500);
        self.write("empty", b"", 500);
    }

    /// Changes both sides: a new file, a replaced one of the same size, a deleted one, a new
    /// directory, a removed one, a moved one, and a conflict.
    pub(crate) fn change(&self) {
        self.write("l/replaced", b"local replaced 2", 400);
        self.edit("r/replaced", Some(b"remote replaced 2"));
        self.write("l/new", b"local new 2", 400);
        self.edit("r/new", Some(b"remote new 2"));
        self.write("l/fresh/a", b"local fresh 2", 400);
        self.edit("r/fresh/a", Some(b"remote fresh 2"));
        self.remove("l/deleted");
        self.edit("r/deleted", None);
        fs::remove_dir_all(self.local_path().join("l/gone")).unwrap();
        fs::rename(self.local_path().join("moved"), self.local_path().join("l/there")).unwrap();
        self.server.with(|world| world.remove_all("r/gone"));
        self.write("both", b"both, local 2", 400);
        self.edit("both", Some(b"both, remote 2"));
    }

    /// Runs the plugin until a run succeeds that has nothing to do.
    pub(crate) fn settle(&self) -> Result<(), String> {
        self.succeed()?;
        // A conflict takes one run, and what it postpones another one.
        self.succeed().map(drop)
    }

    /// Runs the plugin once.
    pub(crate) fn run(&self) -> Run {
        match self.in_parts {
            true => self.run_as::<InParts>(),
            false => self.run_as::<s3::S3>(),
        }
    }

    pub(crate) fn run_as<P: Plugin>(&self) -> Run {
        let server = self.server.clone();
        let url = match self.granted {
            "" => format!("{ORIGIN}/{BUCKET}"),
            granted => granted.to_owned(),
        };
        let prefix = if self.granted.is_empty() { PREFIX } else { "" };
        let mut manager = SyncManager::new()
            .grant("local", self.local_path())
            .storage(self.directory.path().join("storage"))
            .server("remote", &url, move |request| server.answer(request))
            .setting("prefix", prefix);
        for (name, value) in &self.settings {
            manager = manager.setting(name, value);
        }
        manager.run::<P>()
    }

    /// Forgets the baseline.
    pub(crate) fn forget(&self) {
        let storage = self.directory.path().join("storage");
        for entry in fs::read_dir(storage).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "state") {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Returns the requests that are sent in the meantime.
    pub(crate) fn requests_of(&self, run: impl FnOnce(&Self)) -> Vec<String> {
        let before = self.server.with(|world| world.requests.len());
        run(self);
        self.server.with(|world| world.requests[before..].to_vec())
    }

    /// Returns an object below the prefix.
    pub(crate) fn object(&self, path: &str) -> Stored {
        self.server.with(|world| world.objects[&format!("{PREFIX}{path}")].clone())
    }

    /// Runs the plugin, which must succeed.
    pub(crate) fn succeed(&self) -> Result<Run, String> {
        let run = self.run();
        match is_success(&run) {
            true => Ok(run),
            false => Err(format!("{run:#?}")),
        }
    }

    /// Writes a local file, with a time that is not that of a file of this second.
    pub(crate) fn write(&self, path: &str, content: &[u8], age: u64) {
        let file = self.local_path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let _ = fs::remove_file(self.local_path().join(path));
    }

    /// Stores a file on the server as another client, or deletes one.
    pub(crate) fn edit(&self, path: &str, content: Option<&[u8]>) {
        self.server.with(|world| world.edit(path, content.map(<[u8]>::to_vec)));
    }

    pub(crate) fn local(&self) -> Files {
        let mut all = Files::new();
        files_below(&self.local_path(), "", &mut all);
        all
    }

    pub(crate) fn remote(&self) -> Files {
        self.server.with(|world| world.files())
    }

    /// Returns all contents that exist anywhere.
    pub(crate) fn contents(&self) -> BTreeSet<Vec<u8>> {
        let mut kept = Files::new();
        files_below(self.directory.path(), "", &mut kept);
        let remote = self.server.with(|world| world.contents());
        kept.into_values().chain(remote).collect()
    }

    /// Returns the contents of both sides.
    pub(crate) fn versions(&self) -> BTreeSet<Vec<u8>> {
        self.local().into_values().chain(self.remote().into_values()).collect()
    }

    /// Fails unless both sides are equal and these contents exist somewhere.
    pub(crate) fn check(&self, versions: &BTreeSet<Vec<u8>>) -> Result<(), String> {
        self.check_kept(versions)?;
        let (local, remote) = (composed(self.local()), composed(self.remote()));
        match local == remote {
            true => Ok(()),
            false => Err(format!("{} and {} differ", shown(&local), shown(&remote))),
        }
    }

    pub(crate) fn check_kept(&self, versions: &BTreeSet<Vec<u8>>) -> Result<(), String> {
        let faults = self.server.with(|world| world.faults.clone());
        if !faults.is_empty() {
            return Err(format!("the server got {faults:?}"));
        }
        let mut kept = self.contents();
        self.server.with(|world| kept.extend(world.overwritten.iter().cloned()));
        match versions.iter().find(|version| !kept.contains(*version)) {
            None => Ok(()),
            Some(lost) => Err(format!("{:?} is lost", String::from_utf8_lossy(lost))),
        }
    }

    /// Runs the plugin again, which must change nothing.
    pub(crate) fn check_rerun(&self) -> Result<(), String> {
        let before = (self.local(), self.server.with(|world| world.objects.clone()));
        let run = self.succeed()?;
        let after = (self.local(), self.server.with(|world| world.objects.clone()));
        match before == after && copied(&run) == 0 {
            true => Ok(()),
            false => Err(format!("a rerun changes something: {run:#?}")),
        }
    }
}

pub(crate) fn is_success(run: &Run) -> bool {
    run.items.iter().all(|(item, _)| run.ended(*item) == Some(Status::Succeeded))
        && run.error.is_none()
}

/// Returns the lines of the log that do not describe the server, which must be described once.
pub(crate) fn events(run: &Run) -> Vec<String> {
    let (described, events): (Vec<_>, Vec<_>) = log(run)
        .lines()
        .map(str::to_owned)
        .partition(|line| line.contains("; refuses overwrites: "));
    assert_eq!(described.len(), 1, "{described:?}");
    events
}

/// Returns the text of the log.
pub(crate) fn log(run: &Run) -> String {
    let error = run.error.iter().map(|error| error.message.clone());
    let lines = run.log.iter().map(|line| line.text.clone());
    lines.chain(error).collect::<Vec<_>>().join("\n")
}

pub(crate) fn copied(run: &Run) -> u64 {
    run.counts.iter().filter(|((_, name), _)| name == "copied").map(|(_, count)| *count).sum()
}

/// Returns the names in the form in which the two sides are compared.
fn composed(files: Files) -> Files {
    files.into_iter().map(|(path, content)| (names::key(&path).into_owned(), content)).collect()
}

fn shown(files: &Files) -> String {
    let one = |(path, content): (&String, &Vec<u8>)| {
        format!("{path}: {:?}", String::from_utf8_lossy(&content[..content.len().min(40)]))
    };
    format!("{{{}}}", files.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn files_below(root: &Path, path: &str, all: &mut Files) {
    for entry in fs::read_dir(root.join(path)).unwrap() {
        let entry = entry.unwrap();
        let path = join(path, entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => {
                all.insert(format!("{path}/"), Vec::new());
                files_below(root, &path, all);
            }
            false => drop(all.insert(path, fs::read(entry.path()).unwrap())),
        }
    }
}

//! A directory, the server, and the storage of the plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use syncmgr_engine::names;
use syncmgr_engine::tree::join;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::{Received, Run, SyncManager};

use crate::quirks::Quirks;
use crate::world::{BASE, ORIGIN, Shared};

/// Names with characters that URLs encode.
const NAMES: [&str; 9] =
    ["a b", "\u{e9}", "100%", "%41", "semi;colon", "hash#", "plus+and&", "what?", "quote'"];

pub(crate) struct Scene {
    directory: tempfile::TempDir,
    pub(crate) server: Shared,
    /// Settings of each run.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    /// The granted URL; empty: that of the synced collection.
    pub(crate) granted: &'static str,
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
        Self { directory, server: Shared::new(quirks), settings: Vec::new(), granted: "" }
    }

    pub(crate) fn local_path(&self) -> PathBuf {
        self.directory.path().join("local")
    }

    /// Has the plugin find out what the server can do, as an earlier run would.
    pub(crate) fn probe(&self) {
        fs::create_dir(self.local_path().join("probe")).unwrap();
        let run = self.succeed().unwrap();
        assert!(log(&run).contains("refuses overwrites"), "{}", log(&run));
        fs::remove_dir(self.local_path().join("probe")).unwrap();
        self.server.with(|world| world.remove_all("probe"));
        self.succeed().unwrap();
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
        self.write("both", b"both 1", 500);
        self.write("empty", b"", 500);
    }

    /// Changes both sides: a new file, a replaced one of the same size, a deleted one, a new
    /// directory, a removed one, and a conflict.
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
        self.run_as::<webdav::WebDav>()
    }

    pub(crate) fn run_as<P: Plugin>(&self) -> Run {
        self.run_watched::<P>(|_| {})
    }

    /// Runs a plugin. `watch` is called before each request.
    pub(crate) fn run_watched<P: Plugin>(
        &self,
        watch: impl Fn(&Received) + Send + Sync + 'static,
    ) -> Run {
        let server = self.server.clone();
        let url = match self.granted {
            "" => format!("{ORIGIN}/{BASE}"),
            granted => granted.to_owned(),
        };
        let mut manager = SyncManager::new()
            .grant("local", self.local_path())
            .storage(self.directory.path().join("storage"))
            .server("remote", &url, move |request| {
                watch(request);
                server.answer(request)
            });
        for (name, value) in &self.settings {
            manager = manager.setting(name, value);
        }
        manager.run::<P>()
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
        let before = (self.local(), self.server.with(|world| world.entries.clone()));
        let run = self.succeed()?;
        let after = (self.local(), self.server.with(|world| world.entries.clone()));
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

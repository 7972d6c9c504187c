//! Runs the plugins `folder`, `webdav` and `s3` on real directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use syncmgr_host::http::{HttpAuth, HttpGrant};
use syncmgr_host::sink::EventLog;
use syncmgr_host::{
    Access, Capability, Grant, HostCallHook, ItemReport, Plugin, RunReport, RunRequest,
    SessionOptions,
};

use crate::mirror::Mirror;
use crate::servers;
use crate::trees::{self, Tree};

/// Two directories and the plugin's storage, in a folder that is removed with this value.
#[derive(Debug)]
pub struct Pair {
    home: tempfile::TempDir,
    /// The paths of the left directory, the right one and the plugin's storage in that folder.
    places: [PathBuf; 3],
    /// Whether the directories are granted with swapped sides.
    swapped: bool,
    /// The server with the right directory.
    server: Option<Remote>,
    settings: Vec<(String, String)>,
}

/// A side on a server.
#[derive(Debug)]
struct Remote {
    /// The plugin that syncs it.
    plugin: &'static str,
    url: String,
    /// The kind of the credentials.
    auth: String,
    login: String,
    /// The objects that the right directory shows between the runs.
    mirror: Option<Mirror>,
}

/// The time after which a server lists what was changed in its directory.
const LISTED: std::time::Duration = std::time::Duration::from_millis(30);

/// The compiled plugin.
pub fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    crate::load(&PLUGIN, crate::FOLDER)
}

/// The compiled plugin `webdav`.
pub fn webdav() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    crate::load(&PLUGIN, crate::WEBDAV)
}

/// The compiled plugin `s3`.
pub fn s3() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    crate::load(&PLUGIN, crate::S3)
}

impl Pair {
    /// Creates two empty directories.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn new() -> anyhow::Result<Self> {
        let pair = Self {
            home: tempfile::tempdir()?,
            places: ["left", "right", "storage"].map(PathBuf::from),
            swapped: false,
            server: None,
            settings: Vec::new(),
        };
        pair.make_directories()?;
        Ok(pair)
    }

    /// Adds a setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Swaps the sides: `left` names the directory that is granted as the right one.
    #[must_use]
    pub fn swapped(mut self, swapped: bool) -> Self {
        self.swapped = swapped;
        self
    }

    /// Lets `webdav` sync the left directory with the files of a server, at this URL. With swapped
    /// sides, the left directory is that of the server.
    #[must_use]
    pub fn with_server(mut self, url: String, files: PathBuf) -> Self {
        let (auth, login) = ("basic".to_owned(), "me:hunter2".to_owned());
        self.server = Some(Remote { plugin: "webdav", url, auth, login, mirror: None });
        self.places[usize::from(!self.swapped)] = files;
        match self.swapped {
            true => self.set("from", "remote"),
            false => self,
        }
    }

    /// Lets `s3` sync the left directory with a part of a bucket, at this URL.
    #[must_use]
    pub fn with_bucket(mut self, url: String, mirror: Mirror) -> Self {
        let auth = format!("aws-sigv4:{}", servers::REGION);
        let login = format!("{}:{}", servers::ACCESS_KEY, servers::SECRET_KEY);
        self.server = Some(Remote { plugin: "s3", url, auth, login, mirror: Some(mirror) });
        self
    }

    /// Makes the changes of the right directory on its server, if they are not there yet.
    ///
    /// # Errors
    /// Returns the errors of the server and of the file system.
    pub fn push(&self) -> anyhow::Result<()> {
        self.mirror().map_or(Ok(()), |mirror| mirror.push(&self.right()))
    }

    /// Makes the changes on the server in the right directory, if they are not there yet.
    ///
    /// # Errors
    /// Returns the errors of the server and of the file system.
    pub fn pull(&self) -> anyhow::Result<()> {
        self.mirror().map_or(Ok(()), |mirror| mirror.pull(&self.right()))
    }

    fn mirror(&self) -> Option<&Mirror> {
        self.server.as_ref()?.mirror.as_ref()
    }

    /// Returns a value of a setting, or words of a message, in the terms of the plugin.
    pub fn worded(&self, text: &str) -> String {
        let terms: &[_] = match (&self.server, self.swapped) {
            (None, _) => &[],
            (Some(_), false) => &[
                ("the directory `right", "the server `remote"),
                ("in the directory `", "in the server `"),
                ("prefer-left", "prefer-local"),
                ("prefer-right", "prefer-remote"),
            ],
            (Some(_), true) => &[
                ("the directory `right", "the directory `local"),
                ("prefer-left", "prefer-remote"),
                ("prefer-right", "prefer-local"),
            ],
        };
        let replaced = |text: String, (old, new): &(&str, &str)| text.replace(old, new);
        terms.iter().fold(text.to_owned(), replaced)
    }

    /// Moves the storage to a path in the home folder that need not exist yet.
    #[must_use]
    pub fn stored_in(mut self, path: impl Into<PathBuf>) -> Self {
        self.places[2] = path.into();
        self
    }

    /// Moves some of `left`, `right` and `storage` to a folder in the home folder.
    /// [`Pair::make_directories`] creates them.
    #[must_use]
    pub fn moved_into(mut self, folder: &str, names: &[&str]) -> Self {
        for place in &mut self.places {
            if names.iter().any(|name| place.as_path() == Path::new(name)) {
                *place = Path::new(folder).join(&*place);
            }
        }
        self
    }

    /// Creates the missing directories.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn make_directories(&self) -> anyhow::Result<()> {
        for place in &self.places {
            std::fs::create_dir_all(self.home().join(place))?;
        }
        Ok(())
    }

    /// Returns the folder that contains everything.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the path of the left directory.
    pub fn left(&self) -> PathBuf {
        self.home.path().join(&self.places[0])
    }

    /// Returns the path of the right directory.
    pub fn right(&self) -> PathBuf {
        self.home.path().join(&self.places[1])
    }

    /// Returns the secret of the credentials for the server.
    pub fn login(&self) -> &str {
        self.server.as_ref().map_or("", |server| &server.login)
    }

    /// Returns the arguments of the program for this pair, in the home folder. The variable `LOGIN`
    /// has the secret of the credentials.
    pub fn arguments(&self) -> Vec<String> {
        let arguments = match &self.server {
            None => {
                ["folder", "--dir", "left=left", "--dir", "right=right"].map(str::to_owned).to_vec()
            }
            Some(Remote { plugin, url, auth, .. }) => {
                let (server, login) = (format!("remote={url}"), format!("remote={auth}:env:LOGIN"));
                [plugin, "--dir", "local=left", "--http", &server, "--http-auth", &login]
                    .map(str::to_owned)
                    .to_vec()
            }
        };
        [vec!["run".to_owned()], arguments].concat()
    }

    /// Returns the path of the plugin's storage.
    pub fn storage(&self) -> PathBuf {
        self.home.path().join(&self.places[2])
    }

    /// Returns the session options.
    ///
    /// # Errors
    /// Returns the errors of the grants.
    pub fn options(&self) -> anyhow::Result<SessionOptions> {
        let (left, right) = match self.swapped {
            false => (self.left(), self.right()),
            true => (self.right(), self.left()),
        };
        let options = SessionOptions::new().allow(Capability::WallClock).storage(self.storage());
        let mut options =
            match &self.server {
                None => options
                    .grant(Grant::new("left", &left, Access::ReadWrite)?)
                    .grant(Grant::new("right", &right, Access::ReadWrite)?),
                Some(Remote { url, auth, login, .. }) => options
                    .grant(Grant::new("local", &left, Access::ReadWrite)?)
                    .http(HttpGrant::new("remote", url, Access::ReadWrite)?)
                    .http_auth("remote", HttpAuth::new(auth, login)?),
            };
        for (name, value) in &self.settings {
            options = options.setting(name, value);
        }
        Ok(options)
    }

    /// Runs the plugin.
    ///
    /// # Errors
    /// Returns the errors of the start.
    pub fn sync(&self) -> anyhow::Result<RunReport> {
        self.sync_with(self.options()?)
    }

    /// Runs the plugin with options made from [`Pair::options`].
    ///
    /// # Errors
    /// Returns the errors of the start.
    pub fn sync_with(&self, options: SessionOptions) -> anyhow::Result<RunReport> {
        let plugin = match &self.server {
            None => plugin(),
            Some(server) => {
                self.push()?;
                // A server may keep a listing for some milliseconds.
                std::thread::sleep(LISTED);
                if server.plugin == "s3" { s3() } else { webdav() }
            }
        };
        let report = plugin.run(options, EventLog::new(), &RunRequest::default())?;
        self.pull()?;
        Ok(report)
    }

    /// Runs the plugin with a hook for each host call.
    ///
    /// # Errors
    /// Returns the errors of the start.
    pub fn sync_watched(&self, hook: HostCallHook) -> anyhow::Result<RunReport> {
        self.sync_with(self.options()?.host_call_hook(hook))
    }

    /// Runs the plugin with a function that is called before each host call with its number, from
    /// 1, and its name. Also returns the number of calls.
    ///
    /// # Errors
    /// Returns the errors of the start, and the first error of the function.
    pub fn sync_disturbed(
        &self,
        disturb: impl FnMut(usize, &str) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<(RunReport, usize)> {
        let state = Arc::new(Mutex::new((0, disturb, Ok(()))));
        let hook = state.clone();
        let report = self.sync_watched(Arc::new(move |call| {
            let mut state = hook.lock().unwrap_or_else(PoisonError::into_inner);
            let (calls, disturb, outcome) = &mut *state;
            *calls += 1;
            if outcome.is_ok() {
                *outcome = disturb(*calls, call);
            }
            outcome.is_ok()
        }));
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.2, Ok(()))?;
        Ok((report?, state.0))
    }

    /// Returns both trees without the plugin's trash, which exists if the storage is on another
    /// disk.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn trees(&self) -> anyhow::Result<[Tree; 2]> {
        let read = |root: PathBuf| -> anyhow::Result<Tree> {
            let mut tree = trees::read(&root)?;
            // `.DAV` is a directory of Apache.
            let hidden = [Some(".syncmgr-trash"), Some(".DAV")];
            tree.retain(|path, _| !hidden.contains(&path.split('/').next()));
            Ok(tree)
        };
        Ok([read(self.left())?, read(self.right())?])
    }

    /// Returns the contents of all files in the directories and the trash.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn findable(&self) -> anyhow::Result<BTreeSet<Vec<u8>>> {
        let mut all = self.everything()?;
        // The state of the plugin does not count.
        let is_memory = |path: &str| {
            let ends = [".state", ".state.new", ".state.modes", ".state.moves"];
            ends.iter().any(|end| path.ends_with(end))
        };
        all.retain(|path, _| !is_memory(path));
        Ok(trees::contents(&all))
    }

    /// Returns the temporary files of a run: unfinished copies, an unfinished state, and the note
    /// about permissions.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn unfinished(&self) -> anyhow::Result<Vec<String>> {
        let is_unfinished = |path: &String| {
            let notes = [".state.new", ".state.modes", ".state.moves"];
            let is_note = notes.iter().any(|end| path.ends_with(end));
            path.contains(".syncmgr-tmp-") || is_note
        };
        let mut unfinished: Vec<_> = self.everything()?.into_keys().filter(is_unfinished).collect();
        if let Some(mirror) = self.mirror() {
            unfinished.extend(mirror.uploads()?);
        }
        Ok(unfinished)
    }

    /// Returns the home folder, and the files of the server.
    fn everything(&self) -> anyhow::Result<Tree> {
        let mut all = trees::read(self.home())?;
        // The history changes with each run.
        all.retain(|path, _| !path.starts_with("state/history.db"));
        let remote = if self.swapped { self.left() } else { self.right() };
        if self.server.is_some() && !remote.starts_with(self.home()) {
            let files = trees::read(&remote)?;
            all.extend(files.into_iter().map(|(path, entry)| (format!("server/{path}"), entry)));
        }
        Ok(all)
    }

    /// Returns those of the contents that are missing, shortened.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn lost(&self, existed: &BTreeSet<Vec<u8>>) -> anyhow::Result<Vec<String>> {
        let now = self.findable()?;
        let show = |content: &Vec<u8>| {
            String::from_utf8_lossy(&content[..content.len().min(60)]).into_owned()
        };
        Ok(existed.difference(&now).map(show).collect())
    }
}

/// Returns the only item of a report.
///
/// # Errors
/// Returns the error of the run if there is no item.
pub fn only_item(report: &RunReport) -> anyhow::Result<&ItemReport> {
    report.items.first().with_context(|| format!("the run has no item: {:?}", report.outcome))
}

/// Returns the number of entries that a run could have moved or changed.
///
/// # Errors
/// Returns an error if the run has no item.
pub fn work(report: &RunReport) -> anyhow::Result<u64> {
    let counts = &only_item(report)?.counts;
    let names = ["moved", "copied", "deleted", "directories", "permissions", "not-done"];
    Ok(names.iter().filter_map(|name| counts.get(*name)).sum())
}

/// Returns whether a path is that of a conflict copy.
pub fn is_conflict_copy(path: &str) -> bool {
    path.contains(" (conflicted copy ")
}

/// Returns a tree without its conflict copies.
pub fn without_conflict_copies(tree: &Tree) -> Tree {
    let clone_row = |(path, entry): (&String, &trees::Entry)| (path.clone(), entry.clone());
    tree.iter().filter(|(path, _)| !is_conflict_copy(path)).map(clone_row).collect()
}

/// A tree without time-dependent details, all contents, and the number of conflict copies.
pub type Shape = (Tree, BTreeSet<Vec<u8>>, usize);

/// Returns a tree without time-dependent details: which version of a conflict keeps the name, and
/// the names of conflict copies. These are counted, and every content is listed.
pub fn shape(tree: &Tree, contested: &[&str]) -> Shape {
    let copies = tree.keys().filter(|path| is_conflict_copy(path)).count();
    let mut rest = without_conflict_copies(tree);
    rest.retain(|path, _| !contested.contains(&path.as_str()));
    (rest, trees::contents(tree), copies)
}

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;
use notify::{RecursiveMode, Watcher};
use syncmgr_host::RunRequest;

use crate::args::Dev;
use crate::check::TempFixture;
use crate::command::{build, test};
use crate::escape::escape;
use crate::exit::{self, Exit};
use crate::interrupt::Interrupts;
use crate::output;
use crate::output::{Lines, View, print_to_stderr, show_output, summary};
use crate::project::{self, Project};

/// The quiet period after a change, since editors write in several steps.
const QUIET: Duration = Duration::from_millis(150);
/// The interval at which Ctrl-C is polled.
const PATIENCE: Duration = Duration::from_millis(300);
/// How many consecutive builds may change source files before `dev` waits for another change.
const MOST_ECHOES: u32 = 3;

pub(crate) fn run(args: &Dev) -> anyhow::Result<Exit> {
    let interrupts = Interrupts::listen()?;
    let root = Project::find(&args.project)?.root().to_owned();
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event| {
        // The receiver is dropped at the end of the command.
        let _ = sender.send(event);
    })
    .context("cannot watch files")?;
    watcher.watch(&root, RecursiveMode::Recursive).context("cannot watch the project")?;
    let mut echoes = 0;
    let mut seen = look(&root);
    loop {
        let outcome = build_and_run(args, &interrupts);
        if args.once {
            return outcome;
        }
        if let Err(error) = outcome {
            exit::print_error(&error);
        }
        let now = look(&root);
        let changed = if now == seen {
            echoes = 0;
            say("waiting for changes; press Ctrl-C to quit")?;
            match wait(&events, &root, &now, &interrupts)? {
                Some(changed) => changed,
                None => return Ok(Exit::InSync),
            }
        } else {
            echoes += 1;
            changes(&seen, &now)
        };
        if interrupts.came() {
            return Ok(Exit::InSync);
        }
        if echoes > MOST_ECHOES {
            say(&format!("each build changes {}; waiting for another change", changed.join(", ")))?;
            echoes = 0;
            seen = look(&root);
            match wait(&events, &root, &seen.clone(), &interrupts)? {
                Some(_) => {}
                None => return Ok(Exit::InSync),
            }
        } else {
            say(&format!("changed: {}", changed.join(", ")))?;
        }
        seen = look(&root);
    }
}

/// Prints a line of the command itself.
fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(output::stdout(), "dev: {}", escape(text))?)
}

fn build_and_run(args: &Dev, interrupts: &Interrupts) -> anyhow::Result<Exit> {
    // The manifest may have changed.
    let project = Project::find(&args.project)?;
    let (built, plugin) = build::build_and_load(&project, false, args.state_dir.path.as_deref())?;
    say(&build::describe(&built))?;
    let fixture = test::project_fixture(&project)?;
    test::check_fixture(&plugin, &fixture)?;
    let temp = TempFixture::new(&fixture)?;
    let options = temp.options(&plugin)?.cancel_with(interrupts.cancel_handle());
    let options = options.output_hook(show_output(print_to_stderr));
    let sink = Lines::new(output::stdout(), View::default());
    let report = plugin.run(options, sink, &RunRequest::default())?;
    output::stdout().write_all(summary(&report, &View::default()).as_bytes())?;
    for line in temp.changes()? {
        say(&line)?;
    }
    Ok(Exit::of_report(&report))
}

/// Waits for a change of the source files; `None`: Ctrl-C was pressed.
fn wait(
    events: &mpsc::Receiver<notify::Result<notify::Event>>,
    root: &Path,
    seen: &Seen,
    interrupts: &Interrupts,
) -> anyhow::Result<Option<Vec<String>>> {
    loop {
        if interrupts.came() {
            return Ok(None);
        }
        match events.recv_timeout(PATIENCE) {
            Ok(event) => {
                event.context("cannot watch files")?;
                while events.recv_timeout(QUIET).is_ok() {}
                let now = look(root);
                if now != *seen {
                    return Ok(Some(changes(seen, &now)));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the file watcher stopped"),
        }
    }
}

/// The digests of the source files.
type Seen = BTreeMap<PathBuf, blake3::Hash>;

fn look(root: &Path) -> Seen {
    let digest = |path: PathBuf| {
        let bytes = fs::read(&path).ok()?;
        let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
        Some((relative, blake3::hash(&bytes)))
    };
    project::sources(root).into_iter().filter_map(digest).collect()
}

fn changes(before: &Seen, after: &Seen) -> Vec<String> {
    let new = after.iter().filter(|(path, digest)| before.get(*path) != Some(digest));
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let paths = new.map(|(path, _)| path).chain(gone);
    paths.map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_source_files_are_watched() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("src/lib.rs", "1");
        put("syncmgr.toml", "1");
        let before = look(root.path());
        put("build/plugin.wasm", "1");
        put("target/x/y", "1");
        put("Cargo.lock", "1");
        put("src/lib.rs", "1");
        assert_eq!(look(root.path()), before, "the same content is no change");
        put("src/lib.rs", "2");
        put("src/new.rs", "1");
        fs::remove_file(root.path().join("syncmgr.toml")).unwrap();
        let changed = changes(&before, &look(root.path()));
        assert_eq!(changed, ["src/lib.rs", "src/new.rs", "syncmgr.toml"]);
    }
}

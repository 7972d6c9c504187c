//! One run of one pair, from the locks to the report.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use syncmgr_plugin::directories::{self, Directory};
use syncmgr_plugin::{Error, ErrorCode, ItemRun, LogLevel, Result, Stop};

use crate::apply::{self, Applier, Done, Places};
use crate::filter::Filter;
use crate::options::{Mode, Options};
use crate::pair::Pair;
use crate::plan::{self, Action, Danger, Input, Operation, Plan};
use crate::scan::{self, Identity, Known, Scan};
use crate::spelling::Spelling;
use crate::state::{BaseChildren, ConflictRecord, State, Unusable};
use crate::tree::{Digest, Side};
use crate::walker::{Walker, split};

/// State files larger than this are damaged.
const MAX_STATE_BYTES: usize = 1 << 30;
/// Log entries of one kind; the rest is one entry that counts them.
const MAX_ENTRIES: usize = 100;

/// Synchronizes a pair.
pub(crate) fn sync(pair: &Pair, options: &Options, run: &mut ItemRun) -> Result<(), Stop> {
    let mut is_reported = false;
    let outcome = sync_pair(pair, options, run, &mut is_reported);
    if outcome.is_err() && !is_reported {
        // What it did last says nothing about the outcome.
        let _ = run.text("nothing was changed");
    }
    outcome
}

fn sync_pair(
    pair: &Pair,
    options: &Options,
    run: &mut ItemRun,
    is_reported: &mut bool,
) -> Result<(), Stop> {
    run.working(|| "starting".to_owned())?;
    let roots = open_roots(pair, options, run)?;
    let identities = identities(pair, &roots)?;
    let storage = directories::open_storage()?;
    if !options.dry_run {
        apply::repair(&storage, pair, &roots)?;
    }
    let before = load(&storage, pair, run)?;
    let filter = Filter::new(&options.ignore)?;

    let now = now();
    let [left, right] = &roots;
    let known = Known { base: Some(&before.entries), other: None };
    let left = scan::scan(left, Side::Left, &filter, known, identities, run)
        .map_err(|stop| lead(stop, &format!("cannot read {}", pair.directory(Side::Left))))?;
    let known = Known { other: Some(&left.children), ..known };
    let right = scan::scan(right, Side::Right, &filter, known, identities, run)
        .map_err(|stop| lead(stop, &format!("cannot read {}", pair.directory(Side::Right))))?;
    let mut scans = [left, right];
    refuse_overlap(&scans)?;
    let (settled, spelling) = settle_spelling(&mut scans, &before, options);
    let base = settled.as_ref().unwrap_or(&before.entries);

    let when = stamp(now, "%Y-%m-%d %H%M%S");
    let input =
        Input { sides: [&scans[0].children, &scans[1].children], base, options, now, when: &when };
    report_hints(&filter, run);
    let files = [scans[0].files, scans[1].files];
    let (mut plan, verdict) = make_plan(&input, files, &roots, run)?;
    let verdict = verdict.map_err(|danger| explain(&danger, pair, &before));
    if !options.dry_run {
        verdict.clone()?;
    }
    plan.removals.extend(spelling.renames);
    plan.alike = spelling.alike;
    report_left_alone(&plan, run);
    if options.dry_run {
        // Whoever decides about a safety stop wants to see the whole list first.
        tell(&plan, run)?;
        *is_reported = true;
        return Ok(verdict?);
    }

    let places = Places { pair, roots: &roots, storage: &storage };
    let stamp = stamp(now, "%Y-%m-%dT%H%M%S.%9fZ");
    let is_open = scans.each_ref().map(|scan| scan.is_open);
    let mut applier = Applier::new(places, is_open, options, now, stamp, run)?;
    *is_reported = true;
    for side in Side::BOTH {
        applier.remove_leftovers(side, &scans[side.index()].leftovers);
    }
    let ended = applier.apply(&mut plan, base);
    let done = applier.done;
    let after = State {
        roots: pair.roots(),
        conflicts: standing_conflicts(&before, &plan),
        entries: std::mem::take(&mut plan.next),
    };
    let saved = match after != before {
        true => save(&storage, pair, &after, options),
        // A run that was ended while it saved may have left it.
        false => remove_if_there(&storage, &temp_state_name(pair)),
    };
    report_conflicts(&after, &plan, run);
    log_all(run, LogLevel::Warning, done.failed.iter().cloned());
    finish(&plan, &done, &after, &ended, run)?;
    ended.and(saved.map_err(Stop::from))
}

/// Refuses one directory for both sides, under whichever names.
fn identities(pair: &Pair, roots: &[Directory; 2]) -> Result<[Identity; 2]> {
    let identity = |root: &Directory| root.metadata().map(|metadata| scan::identity(&metadata));
    let identities = [identity(&roots[0])?, identity(&roots[1])?];
    match identities[0].is_some() && identities[0] == identities[1] {
        true => Err(overlaps(format!(
            "the directories `{}` and `{}` are the same",
            pair.grants[0].name, pair.grants[1].name
        ))),
        false => Ok(identities),
    }
}

/// Refuses a side that is inside the other one by a mount: it would be copied into itself.
fn refuse_overlap(scans: &[Scan; 2]) -> Result<()> {
    for (side, scan) in Side::BOTH.into_iter().zip(scans) {
        if let Some(path) = &scan.overlap {
            return Err(overlaps(format!(
                "the directory {path} on the {} is one of the two sides, by a mount, and would be \
                 copied into itself",
                side.name()
            )));
        }
    }
    Ok(())
}

fn overlaps(message: String) -> Error {
    let message = format!("{message}; sync two directories of which neither is in the other");
    Error::new(ErrorCode::InvalidArgument, message)
}

/// Takes entries whose names differ only in case for one. Returns what was agreed on then, if that is
/// not the same.
fn settle_spelling(
    scans: &mut [Scan; 2],
    before: &State,
    options: &Options,
) -> (Option<BaseChildren>, Spelling) {
    let [left, right] = scans;
    let sides = [&left.children, &right.children];
    let spelling = Spelling::find(sides, &before.entries, options.mode);
    let settled = (!spelling.is_settled()).then(|| {
        let mut base = before.entries.clone();
        spelling.settle([&mut left.children, &mut right.children], &mut base);
        base
    });
    (settled, spelling)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn stamp(nanoseconds: i64, format: &str) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime(format).to_string()
}

fn lead(stop: Stop, context: &str) -> Stop {
    match stop {
        Stop::Failed(error) => {
            Stop::Failed(Error::new(ErrorCode::SafetyStop, error.context(context).message))
        }
        Stop::Item | Stop::All => stop,
    }
}

/// Opens and locks both directories. One that is not there stops the run: a medium that is not
/// mounted must not look like a directory whose files were all deleted.
fn open_roots(pair: &Pair, options: &Options, run: &ItemRun) -> Result<[Directory; 2]> {
    let open = |side: Side| {
        let grant = &pair.grants[side.index()];
        let one_way = matches!(options.mode, Mode::OneWaySafe | Mode::Mirror);
        let needs_writing = !(options.dry_run || one_way && side == Side::Left);
        if needs_writing && !pair.is_writable(side) {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "the directory `{}` is granted read-only, and this mode writes to it; drop \
                     the `:ro`, or use mode=mirror or mode=one-way-safe with it on the left",
                    grant.name
                ),
            ));
        }
        directories::open_grant(&grant.name).map_err(|error| {
            let message = if error.code == ErrorCode::NotFound {
                let directory = pair.directory(side);
                format!("{directory} does not exist; create it, or mount its file system")
            } else if error.code == ErrorCode::Changed {
                format!("{}; restore the directory", error.message)
            } else {
                return error;
            };
            Error::new(ErrorCode::SafetyStop, format!("{message}, then run again"))
        })
    };
    let roots = [open(Side::Left)?, open(Side::Right)?];
    for side in Side::BOTH {
        let name = &pair.grants[side.index()].name;
        match roots[side.index()].lock() {
            Ok(()) => {}
            Err(error) if error.code == ErrorCode::Busy => {
                return Err(Error::new(
                    ErrorCode::Busy,
                    format!("another run holds the directory `{name}`; run again after it ends"),
                ));
            }
            Err(error) => run.log(
                LogLevel::Information,
                &format!(
                    "the directory `{name}` cannot be locked ({error}); do not run twice at once"
                ),
            ),
        }
    }
    Ok(roots)
}

fn load(storage: &Directory, pair: &Pair, run: &ItemRun) -> Result<State> {
    let roots = pair.roots();
    let swapped = [roots[1], roots[0]];
    let bytes = match storage.open_file(&pair.state_name()) {
        Ok(file) => file.read_to_end(MAX_STATE_BYTES),
        Err(error) if error.code == ErrorCode::NotFound => return Ok(State::new(roots)),
        Err(error) => Err(error),
    };
    let why = match bytes {
        Ok(bytes) => match State::from_bytes(&bytes, roots) {
            Ok(state) => return Ok(state),
            Err(Unusable::OtherPair) => match State::from_bytes(&bytes, swapped) {
                Ok(state) => return Ok(state.swapped()),
                Err(_) => "belongs to another pair".to_owned(),
            },
            Err(Unusable::Damaged) => "is damaged or of another version".to_owned(),
        },
        Err(error) => format!("cannot be read ({error})"),
    };
    run.log(
        LogLevel::Information,
        &format!(
            "what was remembered of the last run {why}; taking this as the first run: equal files \
             are taken as synced, and nothing is deleted"
        ),
    );
    Ok(State::new(roots))
}

/// Replaces the state in one step, after everything that it speaks of.
fn save(storage: &Directory, pair: &Pair, state: &State, options: &Options) -> Result<()> {
    let (name, temp) = (pair.state_name(), temp_state_name(pair));
    let write = || {
        remove_if_there(storage, &temp)?;
        let file = storage.create_file(&temp)?;
        state.write(|part| file.write(part))?;
        if options.durable {
            file.flush()?;
        }
        storage.rename(&temp, storage, &name)?;
        if options.durable {
            storage.flush()?;
        }
        Ok(())
    };
    write().map_err(|error: Error| {
        let context = "cannot save what was synced, so the next run compares all files again";
        error.context(context)
    })
}

/// What the state file is called until it is complete.
fn temp_state_name(pair: &Pair) -> String {
    format!("{}.new", pair.state_name())
}

fn remove_if_there(directory: &Directory, name: &str) -> Result<()> {
    match directory.remove_file(name) {
        Err(error) if error.code != ErrorCode::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a plan, and checks whether it may be carried out.
fn make_plan(
    input: &Input<'_>,
    files: [u64; 2],
    roots: &[Directory; 2],
    run: &mut ItemRun,
) -> Result<(Plan, Result<(), Danger>), Stop> {
    let mut cancelled = None;
    let [left, right] = roots;
    let mut walkers = [Walker::new(Some(left.reopen()?)), Walker::new(Some(right.reopen()?))];
    let mut hash = |side: Side, path: &str| -> Result<Digest, Option<String>> {
        match hash(&mut walkers[side.index()], path, run) {
            Ok(digest) => Ok(digest),
            Err(Stop::Failed(error)) => Err(Some(format!("cannot be read: {error}"))),
            Err(stop) => {
                cancelled = Some(stop);
                Err(None)
            }
        }
    };
    let mut checked = || -> Result<(Plan, Result<(), Danger>), plan::Cancelled> {
        let mut plan = plan::plan(input, &mut hash)?;
        let verdict = plan::check(&mut plan, input, files, &mut hash)?;
        Ok((plan, verdict))
    };
    match checked() {
        Ok(plan) => Ok(plan),
        Err(plan::Cancelled) => Err(cancelled.unwrap_or(Stop::Item)),
    }
}

fn hash(root: &mut Walker, path: &str, run: &mut ItemRun) -> Result<Digest, Stop> {
    let (parent, name) = split(path);
    let file = root.directory(parent, false)?.open_file(name)?;
    let size = file.metadata()?.size;
    let mut read = 0;
    loop {
        let step = file.hash(16 << 20)?;
        read += step;
        if step == 0 {
            return Ok(file.digest());
        }
        // One that somebody keeps appending to need not have an end.
        if read > size {
            let message = "it grows while it is read; the next run takes it up";
            return Err(Error::new(ErrorCode::Changed, message).into());
        }
        run.working(|| format!("comparing {path}"))?;
    }
}

fn explain(danger: &Danger, pair: &Pair, before: &State) -> Error {
    let message = match danger {
        Danger::Emptied(side) => format!(
            "{directory} is empty, but {} entries were synced there; if that is right, run once \
             with the setting `max-delete=any` (`--set max-delete=any`)",
            before.entries.len(),
            directory = pair.directory(*side),
        ),
        Danger::EmptySource { files } => format!(
            "{left} is empty, and mode=mirror would delete all {files} files in {right}; if that is \
             right, run once with the setting `max-delete=any` (`--set max-delete=any`)",
            left = pair.directory(Side::Left),
            right = pair.directory(Side::Right),
        ),
        Danger::Replaced(side) => format!(
            "{directory} has none of the {} entries that were synced there, as if something else \
             were in its place; if that is right, run once with the setting `max-delete=any` \
             (`--set max-delete=any`)",
            before.entries.len(),
            directory = pair.directory(*side),
        ),
        Danger::Deletions { side, deleted, files, examples } => format!(
            "{deleted} of {files} files would be deleted in {directory}, such as {}; if that is \
             right, run once with the setting `max-delete={deleted}` or `max-delete=any` \
             (`--set max-delete=any`)",
            examples.join(", "),
            directory = pair.directory(*side),
        ),
    };
    Error::new(ErrorCode::SafetyStop, message)
}

/// Logs at most a hundred entries of one kind.
fn log_all(run: &ItemRun, level: LogLevel, entries: impl ExactSizeIterator<Item = String>) {
    let more = entries.len().saturating_sub(MAX_ENTRIES);
    for entry in entries.take(MAX_ENTRIES) {
        run.log(level, &entry);
    }
    if more > 0 {
        run.log(level, &format!("and {more} more"));
    }
}

fn report_hints(filter: &Filter, run: &ItemRun) {
    log_all(run, LogLevel::Information, filter.hints().iter().cloned());
}

fn report_left_alone(plan: &Plan, run: &ItemRun) {
    let entries = plan.left_alone.iter().map(|(path, why)| format!("{path}: {why}"));
    log_all(run, LogLevel::Warning, entries);
    run.count("left-alone", plan.left_alone.len() as u64);
}

/// Conflicts whose copy is still there.
fn standing_conflicts(before: &State, plan: &Plan) -> Vec<ConflictRecord> {
    let old = before.conflicts.iter().filter(|conflict| exists(&plan.next, &conflict.copy));
    old.chain(&plan.conflicts).cloned().collect()
}

fn exists(mut entries: &BaseChildren, key: &str) -> bool {
    let mut parts = key.split('/').peekable();
    while let Some(base) = parts.next().and_then(|part| entries.get(part)) {
        match base.children() {
            _ if parts.peek().is_none() => return true,
            Some(children) => entries = children,
            None => return false,
        }
    }
    false
}

fn report_conflicts(after: &State, plan: &Plan, run: &ItemRun) {
    let entries = after.conflicts.iter().map(|conflict| {
        let new = plan.conflicts.contains(conflict);
        let what =
            if new { "was changed on both sides" } else { "has a conflict that is not settled" };
        format!("{} {what}; compare it with {:?} and delete one", conflict.path, conflict.copy)
    });
    log_all(run, LogLevel::Warning, entries);
}

/// Reports what was done, also where that is not all.
fn finish(
    plan: &Plan,
    done: &Done,
    after: &State,
    ended: &Result<(), Stop>,
    run: &mut ItemRun,
) -> Result<(), Stop> {
    let conflicts = plan.conflicts.len() as u64;
    let not_done = done.failed.len() as u64;
    run.count("copied", done.copied);
    run.count("deleted", done.removed);
    run.count("conflicts", conflicts);
    run.count("not-done", not_done);
    run.count("bytes-copied", done.bytes);
    run.count("directories", done.directories);
    run.count("permissions", done.modes);
    run.count("times", done.times);
    run.count("renamed", done.renamed);
    run.count("unchanged", plan.unchanged);
    run.count("conflicts-standing", after.conflicts.len() as u64);
    let counts = [
        (done.copied, ["copied", "copied"]),
        (done.removed, ["deleted", "deleted"]),
        (conflicts, ["conflict", "conflicts"]),
        (done.directories, ["directory", "directories"]),
        (done.modes, ["permission", "permissions"]),
        (done.times, ["time", "times"]),
        (done.renamed, ["renamed", "renamed"]),
        (not_done, ["not done", "not done"]),
    ];
    let said = counts.into_iter().filter(|(count, _)| *count > 0).map(counted);
    let said = said.collect::<Vec<_>>().join(", ");
    let text = match (ended, said.is_empty()) {
        (Err(Stop::Item | Stop::All), true) => "nothing was changed".to_owned(),
        (Err(Stop::Item | Stop::All), false) => {
            format!("{said}, {} left for the next run", done.left)
        }
        (Ok(()) | Err(Stop::Failed(_)), true) => "nothing to do".to_owned(),
        (Ok(()) | Err(Stop::Failed(_)), false) => said,
    };
    // The end of the item is decided by the caller, and a cancellation has been noticed before.
    match run.text(text) {
        Err(Stop::Failed(error)) => Err(Stop::Failed(error)),
        Ok(()) | Err(Stop::Item | Stop::All) => Ok(()),
    }
}

/// A number with its word.
fn counted((count, [one, many]): (u64, [&str; 2])) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Tells what would be done: a line for each step.
fn tell(plan: &Plan, run: &mut ItemRun) -> Result<(), Stop> {
    let steps: Vec<&Operation> = plan.operations.iter().chain(&plan.removals).collect();
    for step in &steps {
        run.log(LogLevel::Information, &describe(step));
    }
    for conflict in &plan.conflicts {
        run.log(LogLevel::Warning, &format!("{} was changed on both sides", conflict.path));
    }
    let bytes: u64 = steps.iter().map(|step| step.bytes()).sum();
    run.count("steps", steps.len() as u64);
    run.count("bytes-to-copy", bytes);
    run.text(match steps.len() as u64 {
        0 => "nothing to do".to_owned(),
        count => format!(
            "{} and {} to copy; nothing was changed",
            counted((count, ["step", "steps"])),
            counted((bytes, ["byte", "bytes"]))
        ),
    })
}

fn describe(step: &Operation) -> String {
    let on = step.side();
    let arrow = match on {
        Side::Left => "left <- right",
        Side::Right => "left -> right",
    };
    let path = &step.paths[on.index()];
    let reason = &step.reason;
    match &step.action {
        Action::Copy { source, replaces, .. } => {
            let verb = if replaces.is_some() { "replace" } else { "copy" };
            format!("{verb}  {arrow}  {path}  ({reason}, {} bytes)", source.size)
        }
        Action::MakeLink { .. } => format!("link  {arrow}  {path}  ({reason})"),
        Action::MakeDirectory { .. } => format!("make directory  {arrow}  {path}  ({reason})"),
        Action::Rename { to, .. } => {
            format!("rename  {}  {path} to {to}  ({reason})", on.name())
        }
        Action::Respell { to, .. } => format!("rename  {arrow}  {path} to {to}  ({reason})"),
        Action::Remove { target, .. } => {
            format!("delete  {arrow}  {path}  ({reason}, {} bytes)", target.size)
        }
        Action::RemoveDirectory { .. } => {
            format!("delete directory  {arrow}  {path}  ({reason})")
        }
        Action::SetMode { mode, .. } => {
            format!("set permissions  {arrow}  {path}  ({reason}, to {mode:o})")
        }
        Action::SetModified { .. } => format!("set time  {arrow}  {path}  ({reason})"),
    }
}

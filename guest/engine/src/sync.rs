//! One run of one pair, from the locks to the report.

mod journal;
mod preview;
mod roots;
mod saved_state;
mod summary;

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, LogLevel, Result, SyncContext};

use crate::apply::{Applier, Endpoints, Save};
use crate::endpoint::Capabilities;
use crate::filter::Filter;
use crate::names;
use crate::options::Options;
use crate::pair::Pair;
use crate::plan::{self, Finder, Input, Plan, SafetyStop};
use crate::scan::{self, Known, Scan};
use crate::spelling::Spelling;
use crate::state::{BaseChildren, ConflictRecord, State};
use crate::tree::{Digest, Side};
use journal::Journal;
use preview::preview;
use roots::{check_writable, identities, refuse_overlap};
use saved_state::{load, remove_temp_state, save};
use summary::{
    explain, finish, log_all, report_actions, report_conflicts, report_hints, report_skipped,
    standing_conflicts,
};

/// Synchronizes a pair. `open` opens the two sides, and `storage` keeps the state of the pair. The
/// item's last status text says what was done.
///
/// # Errors
/// Returns the interrupt once the user cancelled, and otherwise
/// - [`SafetyStop`](ErrorCode::SafetyStop) if the run would delete more than the settings permit,
///   or if a side is missing or looks like another one: nothing was changed;
/// - [`NoSpace`](ErrorCode::NoSpace) if a side is full: everything else was synced;
/// - the errors of `open` and of the storage.
///
/// An entry that cannot be synced is not an error: it is logged as a warning.
pub fn sync(
    pair: &Pair,
    options: &Options,
    storage: &Directory,
    context: &mut SyncContext,
    open: impl FnOnce(&SyncContext) -> Result<Endpoints>,
) -> Result<(), Interrupt> {
    let mut is_reported = false;
    let outcome = sync_pair(pair, options, storage, context, open, &mut is_reported);
    if outcome.is_err() && !is_reported {
        // The text of the last step says nothing about the outcome.
        let _ = context.set_status_text("nothing was changed");
    }
    outcome
}

fn sync_pair(
    pair: &Pair,
    options: &Options,
    storage: &Directory,
    context: &mut SyncContext,
    open: impl FnOnce(&SyncContext) -> Result<Endpoints>,
    is_reported: &mut bool,
) -> Result<(), Interrupt> {
    context.working(|| "starting".to_owned())?;
    check_writable(pair, options)?;
    let mut ends = open(context)?;
    let identities = identities(pair, &ends)?;
    if !options.dry_run {
        ends.iter_mut().try_for_each(|end| end.repair())?;
    }
    let before = load(storage, pair, context)?;
    let mut journal = Journal::load(storage, pair)?;
    let filter = Filter::new(&options.ignore)?;

    let now = now();
    let has_links = ends.iter().all(|end| end.capabilities().has_links);
    let [left, right] = &mut ends;
    let known = Known { base: Some(&before.entries), other: None };
    let left = scan::scan(
        &mut **left,
        pair.label(Side::Left),
        &filter,
        known,
        identities,
        has_links,
        context,
    )
    .map_err(|stop| unreadable(stop, pair, Side::Left))?;
    let known = Known { other: Some(&left.children), ..known };
    let right = scan::scan(
        &mut **right,
        pair.label(Side::Right),
        &filter,
        known,
        identities,
        has_links,
        context,
    )
    .map_err(|stop| unreadable(stop, pair, Side::Right))?;
    let mut scans = [left, right];
    refuse_overlap(pair, &scans)?;
    let capabilities = ends.each_ref().map(|end| end.capabilities());
    let (mut base, spelling) =
        settle_spelling(&mut scans, &before, options, capabilities, pair.labels());
    journal.replay(scans.each_ref().map(|scan| &scan.children), &mut base);
    report_hints(&filter, context);
    let labels = pair.labels();
    let settings = (options, capabilities, labels, now);
    let (mut plan, verdict) =
        make_plan(&mut scans, &mut base, &spelling, settings, &mut ends, context)?;
    let verdict = verdict.map_err(|stop| explain(&stop, pair, &before));
    if !options.dry_run {
        verdict.clone()?;
    }
    plan.removals.extend(spelling.renames);
    plan.alike = spelling.alike;
    report_skipped(&plan, context);
    if options.dry_run {
        // The list shows whether the limit of a safety stop can be raised.
        preview(&plan, labels, context)?;
        *is_reported = true;
        return Ok(verdict?);
    }

    journal.add(&plan, storage, pair, options)?;
    let stamp = names::stamp(now);
    let is_open = scans.each_ref().map(|scan| scan.is_open);
    let mut applier = Applier::new(pair, &mut ends, is_open, options, now, stamp, context);
    *is_reported = true;
    for side in Side::BOTH {
        applier.remove_leftovers(side, &scans[side.index()].leftovers);
    }
    let state = |entries: BaseChildren, new: Vec<ConflictRecord>| State {
        roots: pair.roots(),
        conflicts: standing_conflicts(&before, &entries, new),
        entries,
    };
    let mut checkpoint =
        |entries, conflicts| save(storage, pair, &state(entries, conflicts), options);
    let is_expensive = capabilities.iter().any(|can| !can.hashes_cheaply);
    let checkpoint: Option<&mut Save<'_>> = is_expensive.then_some(&mut checkpoint);
    let ended = applier.apply(&mut plan, &base, checkpoint);
    let after = state(std::mem::take(&mut plan.next), plan.conflicts.clone());
    let saved = match after != before {
        true => save(storage, pair, &after, options),
        false => remove_temp_state(storage, pair),
    }
    .and_then(|()| match applier.done.unmoved {
        0 => journal.remove(storage, pair),
        _ => Ok(()),
    });
    if ended.is_ok() && saved.is_ok() {
        applier.remove_old_trash(storage);
    }
    let done = applier.done;
    report_conflicts(&after, &plan, context);
    report_actions(&after, &plan, context);
    log_all(context, LogLevel::Warning, done.failed.iter().cloned());
    finish(&plan, &done, &after, &ended, context)?;
    ended.and(saved.map_err(Interrupt::from))
}

/// Treats entries whose names differ only in case as one. Returns the baseline for that.
fn settle_spelling<'a>(
    scans: &mut [Scan; 2],
    before: &'a State,
    options: &Options,
    capabilities: [Capabilities; 2],
    labels: [&'static str; 2],
) -> (Cow<'a, BaseChildren>, Spelling) {
    let [left, right] = scans;
    let sides = [&left.children, &right.children];
    let renames = capabilities.map(|can| can.renames);
    let spelling = Spelling::find(sides, &before.entries, options.mode, renames, labels);
    let mut base = Cow::Borrowed(&before.entries);
    if !spelling.is_settled() {
        spelling.settle([&mut left.children, &mut right.children], base.to_mut());
    }
    (base, spelling)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn unreadable(stop: Interrupt, pair: &Pair, side: Side) -> Interrupt {
    match stop {
        Interrupt::Failed(error) => {
            let context = format!("cannot read {}", pair.description(side));
            Interrupt::Failed(Error::new(ErrorCode::SafetyStop, error.context(context).message))
        }
        Interrupt::Item | Interrupt::All => stop,
    }
}

/// Finds moves, makes a plan, and checks whether it may be carried out. The trees and the baseline
/// are then those after the moves.
fn make_plan(
    scans: &mut [Scan; 2],
    base: &mut Cow<'_, BaseChildren>,
    spelling: &Spelling,
    (options, capabilities, labels, now): (&Options, [Capabilities; 2], [&'static str; 2], i64),
    ends: &mut Endpoints,
    context: &mut SyncContext,
) -> Result<(Plan, Result<(), SafetyStop>), Interrupt> {
    let mut cancelled = None;
    let mut hash = |side: Side, path: &str| -> Result<Digest, Option<String>> {
        let mut progress = |_| context.working(|| format!("comparing {path}"));
        match ends[side.index()].hash(path, &mut progress) {
            Ok(digest) => Ok(digest),
            Err(Interrupt::Failed(error)) => Err(Some(format!("cannot be read: {error}"))),
            Err(stop) => {
                cancelled = Some(stop);
                Err(None)
            }
        }
    };
    let mut checked = || -> Result<(Plan, Result<(), SafetyStop>), plan::Cancelled> {
        let files = [scans[0].files, scans[1].files];
        let [left, right] = scans.each_mut().map(|scan| &mut scan.children);
        let finder = Finder { mode: options.mode, capabilities, labels, alike: &spelling.alike };
        let moves = finder.find([&mut *left, &mut *right], base, &mut hash)?;
        let (sides, before) = ([&*left, &*right], moves.before);
        let when = &names::time(now, "%Y-%m-%d %H%M%S");
        let input = Input { sides, base, before, options, capabilities, labels, now, when };
        let mut plan = plan::plan(&input, &mut hash)?;
        plan.moves = moves.steps;
        let verdict = plan::check(&mut plan, &input, files, &mut hash)?;
        Ok((plan, verdict))
    };
    match checked() {
        Ok(plan) => Ok(plan),
        Err(plan::Cancelled) => Err(cancelled.unwrap_or(Interrupt::Item)),
    }
}

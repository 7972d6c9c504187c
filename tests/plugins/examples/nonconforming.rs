//! A plugin that copies files. The setting `fault` names its violation of the contract; without it,
//! the plugin conforms.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use directories::{open_grant, open_storage};
use syncmgr_plugin::prelude::*;

request!(
    r#"
    [directories]
    source = { access = "read-only", why = "the folder to copy from" }
    target = { access = "read-write", why = "the folder to copy to" }
    [http]
    remote = { access = "read-only", why = "a list" }
    [settings]
    fault = "the violation of the contract"
    [allow]
    wall-clock = "to compute the time since the last run"
    "#
);

/// The bytes to copy between two reports.
const CHUNK: u64 = 1024;

const LAST_RUN: &str = "/storage/last-run";

#[derive(Default)]
struct Copier;

fn fault() -> String {
    settings::get(None, "fault").unwrap_or_default()
}

/// Requests a file of the server.
fn list() -> Result<http::Response, Interrupt> {
    http::get(&format!("{}list", settings::get(None, "remote").unwrap_or_default())).send()
}

fn item() -> ItemId {
    ItemId::from_name("copy")
}

impl Plugin for Copier {
    fn initialize(&mut self, trigger: Trigger, _: Option<&[u8]>) -> Result<Participation> {
        assert!(fault() != "only-manual" || trigger.event == SyncEvent::Manual);
        Ok(Participation::Participates)
    }

    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new(if fault() == "nameless" { "" } else { "wrong" }))
    }

    fn items(&mut self) -> Result<ItemList> {
        let mut list = ItemList::from([Item::new(item(), "Copy")]);
        match &*fault() {
            // Conforming: only the id has to be the same in every run.
            "" => {
                let storage = open_storage()?;
                if storage.stat("made")?.is_none() {
                    storage.create_file("made")?;
                    list.items[0].name = "New".to_owned();
                }
            }
            "changing-ids" => {
                let storage = open_storage()?;
                let mut runs = 0;
                while storage.stat(&format!("run{runs}"))?.is_some() {
                    runs += 1;
                }
                storage.create_file(&format!("run{runs}"))?;
                list.items[0].id = ItemId::from_name(&format!("copy{runs}"));
            }
            "changes-when-listing" => {
                let _ =
                    open_grant("target").and_then(|target| target.create_directory("inbox", None));
            }
            // The SDK rejects ids that are not in a complete list.
            "never-looks-the-id-up" => list.missing_items = true,
            _other => {}
        }
        Ok(list)
    }

    fn prepare(&mut self, items: &[ItemId]) -> Result<PrepareOutcome> {
        assert!(fault() != "knows-its-items" || items == [item()], "there is no other");
        Ok(PrepareOutcome::Prepared)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        match &*fault() {
            "falling-values" => {
                [1, 5, 3, 8, 10].into_iter().try_for_each(|value| work(context, value, 10))?;
            }
            // The last step is shorter than the others.
            "more-than-all" => {
                [4, 8, 12].into_iter().try_for_each(|value| work(context, value, 10))?;
            }
            "floods" => (1..=200_000).try_for_each(|value| work(context, value, 200_000))?,
            "never-listens" => {
                (1..=1000).for_each(|value| drop(work(context, value, 1000)));
                return Ok(());
            }
            "ignores-cancel-all" => {
                for value in 1..=1000 {
                    if work(context, value, 1000) == Err(Interrupt::Item) {
                        return Err(Interrupt::Item);
                    }
                }
            }
            "deaf" => {
                work(context, 1, 2)?;
                thread::sleep(Duration::from_secs(3));
            }
            "goes-on-after-the-end" => {
                context.report().status(Status::Succeeded).send()?;
                work(context, 10, 10)?;
            }
            "unwraps" => drop(open_grant("target").expect("it is granted")),
            "expects-its-server" => drop(list().expect("it is granted")),
            // A server that is not granted is expected.
            "believes-its-server" => {
                let sent = list();
                if !matches!(&sent, Err(Interrupt::Failed(error)) if error.code == ErrorCode::AccessDenied)
                {
                    let list = sent.and_then(http::Response::check_status);
                    list.and_then(|mut list| list.read_to_vec(1 << 10)).expect("it is right");
                }
            }
            "waits-for-its-server" => while list().is_err() {},
            "fails-without-a-code" => {
                return match copy_all(context) {
                    Err(Interrupt::Failed(_)) => context.report().status(Status::Failed).send(),
                    ended => ended,
                };
            }
            "promises-details" => {
                return copy_all(context).inspect_err(|stop| {
                    if let Interrupt::Failed(error) = stop {
                        context.log_error(error, ErrorId::from_name("copy"));
                    }
                });
            }
            // It is complete only without a cancellation.
            "done-though-cancelled" => {
                let storage = open_storage()?;
                if storage.stat("done")?.is_some() {
                    return Ok(());
                }
                let copied = copy_all(context);
                storage.create_file("done")?;
                return copied;
            }
            "storage-is-never-full" => {
                copy_all(context)?;
                fs::write("/storage/last-result", "succeeded").expect("there is space");
            }
            "time-never-goes-back" => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let last = fs::read_to_string(LAST_RUN).ok().and_then(|text| text.parse().ok());
                let ago = now.checked_sub(Duration::from_secs(last.unwrap_or(0)));
                let ago = ago.expect("the last run was before this one");
                context.set_status_text(format!("the last run was {ago:?} ago"))?;
                fs::write(LAST_RUN, now.as_secs().to_string())?;
            }
            "writes-in-place-by-wasi" => {
                for entry in fs::read_dir("/source")? {
                    let entry = entry?;
                    context.set_status_text("copying")?;
                    let to = std::path::Path::new("/target").join(entry.file_name());
                    if entry.file_type()?.is_file() && !to.exists() {
                        fs::write(&to, fs::read(entry.path())?)?;
                    }
                }
                return Ok(());
            }
            _other => {}
        }
        copy_all(context)
    }

    fn show_error(&mut self, error: ErrorId) -> Result<ErrorDetail> {
        if fault() == "knows-every-error" {
            assert_eq!(error, ErrorId::from_name("copy"), "there is no other");
        }
        Err(Error::new(ErrorCode::NotImplemented, "there are no details"))
    }

    fn properties(&mut self, _: Option<ItemId>) -> Result<Vec<Property>> {
        Ok(vec![Property {
            name: "hidden-files".to_owned(),
            label: "Copy hidden files".to_owned(),
            description: None,
            field: PropertyField::Boolean(false),
            read_only: false,
        }])
    }

    fn set_properties(
        &mut self,
        _: Option<ItemId>,
        changes: &[PropertyChange],
    ) -> Result<PropertiesOutcome> {
        let unknown = changes.iter().any(|change| change.name != "hidden-files");
        if unknown && fault() != "takes-any-property" {
            return Err(Error::new(ErrorCode::InvalidArgument, "there is no such property"));
        }
        Ok(PropertiesOutcome::Applied)
    }
}

export!(Copier);

fn work(context: &mut SyncContext, value: i32, max: i32) -> Result<(), Interrupt> {
    context.report().status(Status::Updating).value(value).max(max).send()
}

/// Copies the missing files.
fn copy_all(context: &mut SyncContext) -> Result<(), Interrupt> {
    const UNFINISHED: &str = ".unfinished";
    let (source, target) = (open_grant("source")?, open_grant("target")?);
    context.check_cancelled()?;
    // The leftover of an interrupted run.
    if target.stat(UNFINISHED)?.is_some() {
        target.remove_file(UNFINISHED)?;
    }
    let fault = fault();
    for name in files(&source)? {
        let mut as_name = name.clone();
        while fault == "copies-again" && target.stat(&as_name)?.is_some() {
            as_name.push('+');
        }
        if target.stat(&as_name)?.is_some() {
            continue;
        }
        if fault == "writes-in-place" {
            copy(context, (&source, &target), &name, &as_name)?;
        } else {
            copy(context, (&source, &target), &name, UNFINISHED)?;
            target.rename(UNFINISHED, &target, &as_name)?;
        }
    }
    Ok(())
}

/// Returns the names of the files in a directory, in order.
fn files(directory: &Directory) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in directory.list()? {
        let entry = entry?;
        let kind = entry.metadata.map_err(Error::from)?.kind;
        let name = entry.name.display();
        if kind == EntryKind::File && !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn copy(
    context: &mut SyncContext,
    (source, target): (&Directory, &Directory),
    name: &str,
    as_name: &str,
) -> Result<(), Interrupt> {
    let from = source.open_file(name)?;
    let to = target.create_file(as_name)?;
    while to.copy_from(&from, CHUNK)? > 0 {
        context.report().status(Status::Updating).text(name).send()?;
    }
    Ok(to.flush()?)
}

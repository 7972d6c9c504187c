//! The SDK, with its mock sync manager.

use syncmgr_plugin::testing::{Run, SyncManager};
use syncmgr_plugin::*;

/// One item, with the work of a test.
#[derive(Default)]
struct Worker<W>(W);

trait Work: Default + 'static {
    fn work(context: &mut SyncContext) -> Result<(), Interrupt>;
}

impl<W: Work> Plugin for Worker<W> {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Worker"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(item(), "Work")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        W::work(context)
    }
}

fn item() -> ItemId {
    ItemId::from_name("work")
}

fn run<W: Work>() -> Run {
    SyncManager::new().run::<Worker<W>>()
}

fn full() -> Error {
    Error::new(ErrorCode::NoSpace, "the disk is full")
}

#[test]
fn the_error_of_a_failed_item_is_logged_once() {
    #[derive(Default)]
    struct Fails;
    impl Work for Fails {
        fn work(_: &mut SyncContext) -> Result<(), Interrupt> {
            Err(full().into())
        }
    }
    #[derive(Default)]
    struct LogsIt;
    impl Work for LogsIt {
        fn work(context: &mut SyncContext) -> Result<(), Interrupt> {
            context.log_error(&full(), ErrorId::from_name("full"));
            Err(full().into())
        }
    }
    for run in [run::<Fails>(), run::<LogsIt>()] {
        run.assert_ended(item(), Status::Failed);
        let logged: Vec<_> = run.log.iter().map(|line| (line.text.as_str(), line.code)).collect();
        assert_eq!(logged, [("the disk is full", Some(ErrorCode::NoSpace))]);
    }
}

#[test]
fn a_different_final_error_is_logged_too() {
    #[derive(Default)]
    struct LogsAnother;
    impl Work for LogsAnother {
        fn work(context: &mut SyncContext) -> Result<(), Interrupt> {
            context.log_error(&full(), ErrorId::from_name("full"));
            Err(Error::failed("one file was not copied").into())
        }
    }
    let run = run::<LogsAnother>();
    run.assert_ended(item(), Status::Failed);
    let logged: Vec<_> = run.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(logged, ["the disk is full", "one file was not copied"]);
}

#[test]
fn a_terminal_status_of_the_plugin_is_kept() {
    #[derive(Default)]
    struct Deleted;
    impl Work for Deleted {
        fn work(context: &mut SyncContext) -> Result<(), Interrupt> {
            context.report().status(Status::Deleted).send()
        }
    }
    let run = run::<Deleted>();
    run.assert_ended(item(), Status::Deleted);
    assert_eq!(run.reports_of(item()).count(), 1);
}

#[test]
fn the_last_report_has_the_complete_progress() {
    #[derive(Default)]
    struct Copies;
    impl Work for Copies {
        fn work(context: &mut SyncContext) -> Result<(), Interrupt> {
            context.set_total_bytes(3)?;
            (0..3).try_for_each(|_| context.advance(1, || "copying".to_owned()))
        }
    }
    let run = run::<Copies>();
    run.assert_ended(item(), Status::Succeeded);
    assert_eq!(run.reports_of(item()).last().and_then(|last| last.value), Some(3));
    run.assert_in_order();
}

#[test]
fn a_cancelled_item_is_skipped_or_stopped_by_its_scope() {
    #[derive(Default)]
    struct Counts;
    impl Work for Counts {
        fn work(context: &mut SyncContext) -> Result<(), Interrupt> {
            (1..=3).try_for_each(|value| context.report().value(value).max(3).send())
        }
    }
    let manager = SyncManager::new;
    for (manager, end) in [
        (manager(), Status::Succeeded),
        (manager().cancel_item_at(item(), 2), Status::Skipped),
        (manager().cancel_all_at(2), Status::Stopped),
    ] {
        manager.run::<Worker<Counts>>().assert_ended(item(), end);
    }
}

#[test]
fn native_batch_copies_equal_those_of_the_host() -> std::io::Result<()> {
    const NAMES: [&str; 6] = ["one", "missing", "directory", "long", "there", "last"];

    #[derive(Default)]
    struct Copies;
    impl Work for Copies {
        fn work(context: &mut SyncContext) -> Result<(), Interrupt> {
            let source = directories::open_grant("source")?;
            let target = directories::open_grant("target")?;
            let request = |name| directories::CopyRequest {
                source: &source,
                name,
                target: &target,
                target_name: name,
                max_size: 5,
                verify: true,
            };
            for copied in directories::copy_files(&NAMES.map(request)) {
                let text = match copied {
                    Ok(copied) => {
                        copied.copy.flush()?;
                        format!("{} bytes {:02x}", copied.source.size, copied.digest[0])
                    }
                    Err(error) => format!("{:?}", error.code),
                };
                context.log(LogLevel::Information, &text);
            }
            // The digest is that of the bytes that were read from the source.
            let (from, to) = (source.open_file("one")?, target.create_file("by itself")?);
            while to.copy_from(&from, 2)? > 0 {}
            context.log(LogLevel::Information, &format!("{:02x}", from.digest()[0]));
            Ok(())
        }
    }

    let home = tempfile::tempdir()?;
    let (source, target) = (home.path().join("source"), home.path().join("target"));
    std::fs::create_dir_all(source.join("directory"))?;
    std::fs::create_dir(&target)?;
    for (name, content) in [("one", "1"), ("long", "longer"), ("there", "new"), ("last", "last")] {
        std::fs::write(source.join(name), content)?;
    }
    std::fs::write(target.join("there"), "old")?;
    let manager = SyncManager::new().grant("source", &source).grant("target", &target);
    let run = manager.fail("copy-files", 6, ErrorCode::NoSpace).run::<Worker<Copies>>();
    run.assert_ended(item(), Status::Succeeded);
    let digest = format!("{:02x}", blake3::hash(b"1").as_bytes()[0]);
    let said: Vec<_> = run.log.iter().map(|line| line.text.as_str()).collect();
    let one = format!("1 bytes {digest}");
    assert_eq!(
        said,
        [
            &one,
            "ErrorCode::NotFound",
            "ErrorCode::Changed",
            "ErrorCode::Changed",
            "ErrorCode::AlreadyExists",
            "ErrorCode::NoSpace",
            &digest
        ],
    );
    assert_eq!(std::fs::read(target.join("there"))?, b"old");
    let mut copies: Vec<_> = std::fs::read_dir(&target)?.collect::<std::io::Result<_>>()?;
    copies.sort_by_key(std::fs::DirEntry::file_name);
    let names: Vec<_> = copies.iter().map(std::fs::DirEntry::file_name).collect();
    assert_eq!(names, ["by itself", "one", "there"]);
    Ok(())
}

/// Has a property, and requests a connection and an answer before it works.
#[derive(Default)]
struct Asks {
    attempts: u32,
}

impl Plugin for Asks {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Asks"))
    }

    fn items(&mut self) -> Result<ItemList> {
        callback::log(LogLevel::Warning, "the list is old");
        callback::log_error(&full(), ErrorId::from_name("list"));
        callback::delete_log_error(Some(ErrorId::from_name("list")));
        Ok([Item::new(item(), "Work")].into())
    }

    fn prepare(&mut self, _items: &[ItemId]) -> Result<PrepareOutcome> {
        callback::establish_connection(Some("office"))?;
        match callback::question("Go on?", &["no", "yes"], 0)? {
            0 => Ok(PrepareOutcome::NeedsUser),
            _ => Ok(PrepareOutcome::Prepared),
        }
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        self.attempts += 1;
        if self.attempts == 2 {
            return Ok(());
        }
        context.log_error(&full(), ErrorId::from_name("full"));
        Err(full().into())
    }

    fn show_error(&mut self, error: ErrorId) -> Result<ErrorDetail> {
        match error == ErrorId::from_name("full") {
            true => Ok(ErrorDetail { text: "in detail".to_owned(), retry: vec![item()] }),
            false => Err(Error::new(ErrorCode::InvalidArgument, "there is no such error")),
        }
    }

    fn properties(&mut self, _item: Option<ItemId>) -> Result<Vec<Property>> {
        Ok(vec![Property {
            name: "days".to_owned(),
            label: "Days".to_owned(),
            description: None,
            field: PropertyField::Integer(30),
            read_only: false,
        }])
    }

    fn set_properties(
        &mut self,
        _item: Option<ItemId>,
        changes: &[PropertyChange],
    ) -> Result<PropertiesOutcome> {
        match changes.iter().all(|change| change.name == "days") {
            true => Ok(PropertiesOutcome::EnumItems),
            false => Err(Error::new(ErrorCode::InvalidArgument, "there is no such property")),
        }
    }
}

#[test]
fn a_plugin_can_log_and_prompt_without_an_item() {
    let run = SyncManager::new().choose(1).run::<Asks>();
    run.assert_ended(item(), Status::Failed);
    let logged: Vec<_> = run.log.iter().map(|line| (line.text.as_str(), line.item)).collect();
    assert_eq!(logged, [("the list is old", None), ("the disk is full", Some(item()))]);
    assert_eq!(run.connections, [Some("office".to_owned())]);
    assert!(run.details.is_empty(), "without retries no error is asked about");

    let run = SyncManager::new().run::<Asks>();
    assert_eq!(run.ended(item()), None, "the default answer is no");
    let failing =
        SyncManager::new().choose(1).fail("establish-connection", 1, ErrorCode::NotConnected);
    assert_eq!(failing.run::<Asks>().error.map(|error| error.code), Some(ErrorCode::NotConnected));
}

#[test]
fn an_item_is_synchronized_again_if_its_error_requests_it() {
    let run = SyncManager::new().choose(1).choose(1).retries(1).run::<Asks>();
    run.assert_ended(item(), Status::Succeeded);
    run.assert_in_order();
    let details: Vec<_> =
        run.details.iter().map(|(id, detail)| (*id, detail.text.as_str())).collect();
    assert_eq!(details, [(ErrorId::from_name("full"), "in detail")]);
}

#[test]
fn properties_are_read_and_changed() -> Result<()> {
    let manager = SyncManager::new;
    let properties = manager().properties::<Asks>(None)?;
    assert_eq!(properties.len(), 1);
    assert!(matches!(properties[0].field, PropertyField::Integer(30)));
    let change =
        |name: &str| PropertyChange { name: name.to_owned(), value: PropertyValue::Integer(7) };
    let outcome = manager().set_properties::<Asks>(Some(item()), &[change("days")])?;
    assert_eq!(outcome, PropertiesOutcome::EnumItems);
    let refused = manager().set_properties::<Asks>(None, &[change("weeks")]);
    assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::InvalidArgument));
    let none = manager().properties::<Worker<Nothing>>(None);
    assert_eq!(none.map_err(|error| error.code).err(), Some(ErrorCode::NotImplemented));
    Ok(())
}

#[derive(Default)]
struct Nothing;

impl Work for Nothing {
    fn work(_: &mut SyncContext) -> Result<(), Interrupt> {
        Ok(())
    }
}

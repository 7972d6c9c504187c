//! The promises of a side.

use std::cell::RefCell;

use s3::bucket::{Bucket, Sizes};
use s3::location::Location;
use syncmgr_engine::testing::{Broken, check_side};
use syncmgr_plugin::directories;
use syncmgr_plugin::prelude::*;
use uuid::Uuid;

use crate::quirks::{Quirks, Tags};
use crate::scene::Scene;
use crate::world::{BUCKET, ORIGIN, PREFIX};

thread_local! {
    static BROKEN: RefCell<Vec<Broken>> = const { RefCell::new(Vec::new()) };
    static SIZES: RefCell<Sizes> = const { RefCell::new(Sizes { held: 0, part: 0, copy: 0 }) };
}

/// Checks a prefix.
#[derive(Default)]
struct Checked;

impl Plugin for Checked {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Checked"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("item"), "Item")].into())
    }

    fn synchronize_item(&mut self, _: &mut SyncContext) -> Result<(), Interrupt> {
        let location = Location::new(&format!("{ORIGIN}/{BUCKET}/{PREFIX}"), None)?;
        let storage = directories::open_storage()?;
        let mut bucket = Bucket::new(location, "remote", Uuid::nil(), storage, SIZES.take());
        BROKEN.set(check_side(&mut bucket));
        Ok(())
    }
}

#[test]
fn a_bucket_keeps_all_promises() {
    let (small, large) = (Sizes { held: 5, part: 100_000, copy: 3 }, Sizes::default());
    for (sizes, quirks) in [
        (large, Quirks::default()),
        (small, Quirks::default()),
        (large, Quirks { page: 2, ..Quirks::default() }),
        (large, Quirks { ignores_conditions: true, ..Quirks::default() }),
        (small, Quirks { ignores_conditions: true, ..Quirks::default() }),
        (small, Quirks { completes_always: true, ..Quirks::default() }),
        (small, Quirks { completes_any_version: true, ..Quirks::default() }),
        (large, Quirks { ignores_if_match: true, deletes_always: true, ..Quirks::default() }),
        (large, Quirks { refuses_conditions: true, ..Quirks::default() }),
        (large, Quirks { tags: Tags::Version, ..Quirks::default() }),
        (small, Quirks { tags: Tags::Version, is_versioned: true, ..Quirks::default() }),
        (large, Quirks { lists_raw: true, lists_fractions: true, ..Quirks::default() }),
        (large, Quirks { lists_backwards: true, ..Quirks::default() }),
        (large, Quirks { copies_always: true, ..Quirks::default() }),
        (large, Quirks { has_no_markers: true, ..Quirks::default() }),
        (large, Quirks { put_has_no_tag: true, ..Quirks::default() }),
    ] {
        SIZES.set(sizes);
        let scene = Scene::new(quirks.clone());
        let run = scene.run_as::<Checked>();
        run.assert_ended(ItemId::from_name("item"), Status::Succeeded);
        assert_eq!(BROKEN.take(), [], "{quirks:?}");
        scene.check_kept(&std::collections::BTreeSet::new()).unwrap();
        // The next run continues the one that was interrupted.
        assert!(scene.server.with(|world| world.uploads.len()) <= 1, "{quirks:?}");
    }
}

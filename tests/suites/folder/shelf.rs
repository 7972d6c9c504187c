//! The example of the book: a plugin of a third party that syncs with a service.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use conformance::folder::{only_item, work};
use conformance::shelf::Shelf;
use conformance::trees::{self, Entry};
use syncmgr_host::http::HttpGrant;
use syncmgr_host::sink::EventLog;
use syncmgr_host::{
    Access, Capability, Grant, Plugin, RunReport, RunRequest, SessionOptions, Status,
};

fn sync(home: &Path, shelf: &Shelf) -> anyhow::Result<RunReport> {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    let options = SessionOptions::new()
        .allow(Capability::WallClock)
        .storage(home.join("storage"))
        .grant(Grant::new("local", home.join("local"), Access::ReadWrite)?)
        .http(HttpGrant::new("remote", &shelf.url(), Access::ReadWrite)?);
    let plugin = conformance::load(&PLUGIN, conformance::SHELF);
    let report = plugin.run(options, EventLog::new(), &RunRequest::default())?;
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    Ok(report)
}

fn local(home: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let file = |(path, entry)| match entry {
        Entry::File(content) => Some((path, content)),
        Entry::Directory | Entry::Link(_) => None,
    };
    Ok(trees::read(&home.join("local"))?.into_iter().filter_map(file).collect())
}

#[test]
fn a_plugin_of_a_third_party_syncs_with_a_service() -> anyhow::Result<()> {
    let (home, shelf) = (tempfile::tempdir()?, Shelf::start()?);
    let home = home.path();
    for name in ["local/docs", "storage"] {
        fs::create_dir_all(home.join(name))?;
    }
    for (name, content) in [("docs/a", "of local"), ("docs/é & 100%", "name"), ("both", "one")] {
        fs::write(home.join("local").join(name), content)?;
    }
    shelf.put("remote/b", b"of the shelf");
    shelf.put("both", b"another");
    sync(home, &shelf)?;
    assert_eq!(local(home)?, shelf.files());
    assert_eq!(shelf.files().len(), 5, "a conflict keeps both: {:?}", shelf.files().keys());
    assert_eq!(work(&sync(home, &shelf)?)?, 0, "a rerun changes nothing");

    fs::write(home.join("local/docs/a"), "edited")?;
    fs::rename(home.join("local/docs"), home.join("local/papers"))?;
    shelf.put("remote/b", b"edited on the shelf");
    shelf.put("remote/deep/c", b"new");
    shelf.delete("both");
    sync(home, &shelf)?;
    let files = shelf.files();
    assert_eq!(local(home)?, files);
    assert_eq!(files["papers/a"], b"edited");
    assert_eq!(files["papers/é & 100%"], b"name");
    assert_eq!(files["remote/b"], b"edited on the shelf");
    assert!(files.contains_key("remote/deep/c") && !files.contains_key("both"));
    assert!(shelf.history().contains(&b"of local".to_vec()), "the service keeps the old version");
    assert_eq!(work(&sync(home, &shelf)?)?, 0, "a rerun changes nothing");
    Ok(())
}

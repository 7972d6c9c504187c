//! Shared code of the test suites: the guests, built as components, and functions that run them.

#![deny(missing_docs)]

pub mod blocks;
pub mod com;
pub mod corpus;
pub mod fault_proxy;
pub mod folder;
pub mod hook;
pub mod hooked;
pub mod http_server;
pub mod isolation;
pub mod limits_page;
pub mod mirror;
pub mod reference;
pub mod script;
pub mod servers;
pub mod session;
pub mod shelf;
pub mod trees;
#[cfg(unix)]
pub mod wine;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use syncmgr_host::{Host, Limits, Plugin};

/// The documents with Rust code blocks, as doctests.
#[cfg(doctest)]
pub mod documents {
    #[doc = include_str!("../../guest/book/src/cancellation.md")]
    pub struct Cancellation;
    #[doc = include_str!("../../guest/book/src/embedding.md")]
    pub struct Embedding;
    #[doc = include_str!("../../guest/book/src/files.md")]
    pub struct Files;
    #[doc = include_str!("../../guest/book/src/grants.md")]
    pub struct Grants;
    #[doc = include_str!("../../README.md")]
    pub struct Readme;
    #[doc = include_str!("../../guest/book/src/network.md")]
    pub struct Network;
    #[doc = include_str!("../../guest/book/src/testing.md")]
    pub struct Testing;
}

/// The plugin of the README.
pub const HELLO: &str = env!("GUEST_HELLO");
/// The plugin that syncs directories.
pub const FOLDER: &str = env!("GUEST_FOLDER");
/// The plugin that syncs a directory with a server.
pub const WEBDAV: &str = env!("GUEST_WEBDAV");
/// The plugin that syncs a directory with a bucket.
pub const S3: &str = env!("GUEST_S3");
/// A plugin that executes its settings.
pub const SCRIPT: &str = env!("GUEST_SCRIPT");
/// A plugin that performs the attack in its settings.
pub const FETCH: &str = env!("GUEST_FETCH");
/// The plugin that attacks the host.
pub const HOSTILE: &str = env!("GUEST_HOSTILE");
/// The example of the book, which syncs with a service.
pub const SHELF: &str = env!("GUEST_SHELF");
/// A component that is not a plugin.
pub const OTHER_WORLD: &str = env!("GUEST_OTHER_WORLD");

/// A plugin that violates the contract as its settings say.
pub const NONCONFORMING: &str = env!("GUEST_NONCONFORMING");

/// The root of the repository.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a text with a file of the repository. With the variable `BLESS`, updates the file.
///
/// # Errors
/// Returns the first line that differs.
pub fn compare_with_file(file: &str, text: &str) -> anyhow::Result<()> {
    let (path, text) = (workspace().join(file), text.replace("\r\n", "\n"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text)?;
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let equal = recorded.lines().zip(text.lines()).take_while(|(old, new)| old == new).count();
    let line = |text: &str| text.lines().nth(equal).unwrap_or("(nothing)").to_owned();
    anyhow::ensure!(
        recorded == text,
        "{file} differs in line {}:\n  it was: {}\n  it is:  {}\n\
         If that is right, update it with `BLESS=1 cargo test`",
        equal + 1,
        line(&recorded),
        line(&text)
    );
    Ok(())
}

/// Returns the sources of a test suite, concatenated.
///
/// # Errors
/// Returns the errors of the file system.
pub fn suite_source(suite: &str) -> std::io::Result<String> {
    let mut source = String::new();
    for program in std::fs::read_dir(workspace().join("tests/suites"))? {
        let module = program?.path().join(suite);
        let below = std::fs::read_dir(&module).into_iter().flatten();
        let files = below.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>()?;
        for file in files.into_iter().chain([module.with_extension("rs")]) {
            if file.is_file() {
                source.push_str(&std::fs::read_to_string(file)?);
            }
        }
    }
    Ok(source)
}

/// Adds requests to a component without any.
pub fn with_requests(component: &[u8], requests: &str) -> Vec<u8> {
    let section = wasm_encoder::CustomSection {
        name: syncmgr_host::requests::SECTION.into(),
        data: requests.as_bytes().into(),
    };
    let mut only = wasm_encoder::Component::new();
    only.section(&section);
    [component, &only.finish()[wasm_encoder::Component::HEADER.len()..]].concat()
}

/// Checks that a component fits the world `plugin`, which has no network.
///
/// # Errors
/// Returns the first import or export that does not match.
pub fn fits_the_world(component: &[u8]) -> anyhow::Result<()> {
    fits(component, "plugin")
}

/// Checks that a component fits a world of the contract, as `wasm-tools component targets` does.
///
/// # Errors
/// Returns the first import or export that does not match.
pub fn fits(component: &[u8], world: &str) -> anyhow::Result<()> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(workspace().join("wit"))?;
    let world = resolve.select_world(&[package], Some(world))?;
    wit_component::targets(&resolve, world, component)
}

/// Returns the host that all tests of a suite share.
///
/// # Panics
/// Panics if this system cannot run compiled code.
pub fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::new().unwrap_or_else(|error| panic!("{error:?}")))
}

/// Returns the default limits with a change.
pub fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Returns a plugin, compiled once for each cell.
///
/// # Panics
/// Panics if the file is no plugin.
pub fn load(cell: &'static OnceLock<Plugin>, path: &str) -> Plugin {
    cell.get_or_init(|| host().load_file(path).unwrap_or_else(|error| panic!("{error:?}"))).clone()
}

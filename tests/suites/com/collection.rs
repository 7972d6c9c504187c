//! The collection of the installer, with a client in C under Wine.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use conformance::wine::{Wine, windows_path};
use conformance::{HELLO, compare_with_file, workspace};

/// What the installer writes for the collection: key, name, value.
fn installed_values() -> Result<Vec<[String; 3]>> {
    let installer = fs::read_to_string(workspace().join("host/cli/packages/syncmgr.wxs"))?;
    let attribute = |tag: &str, name: &str| {
        let value = tag.split_once(&format!(" {name}=\""))?.1.split('"').next()?;
        Some(value.to_owned())
    };
    let one_line = installer.replace('\n', " ");
    let mut values = Vec::new();
    for tag in one_line.split("<RegistryValue").skip(1) {
        let tag = tag.split("/>").next().unwrap_or_default();
        let key = attribute(tag, "Key").context("a key")?;
        let value = attribute(tag, "Value").context("a value")?;
        values.push([key, attribute(tag, "Name").unwrap_or_default(), value]);
    }
    Ok(values)
}

/// Runs the client without the rights of an administrator, which programs have under Wine.
const LIMITED: &[&str] = &["--limited"];

/// Wine has no classes of a single user, so only the collection can return this plugin.
#[test]
fn a_collection_lists_the_plugins_of_the_user() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    let wine = wine.another()?;
    let library = windows_path(&wine.programs().join("syncmgr_com.dll"))?;
    let values = installed_values()?;
    ensure!(values.len() == 4, "{values:?}");
    // Registered before the program was installed, by the key of handlers.
    let hello = windows_path(Path::new(HELLO))?;
    let register = || wine.syncmgr(&["register", &hello, "--name", "users"])?.expect(0);
    let before = register()?;
    let handlers = r"HKCU\Software\Microsoft\Windows\CurrentVersion\SyncMgr\Handlers";
    let is_listed = |class: &str| {
        let key = format!(r"{handlers}\{{{class}}}");
        Ok::<_, anyhow::Error>(wine.run("reg", &["query", &key])?.status == 0)
    };
    let users = before.stdout.split(['{', '}']).nth(1).context("the class is printed")?;
    ensure!(is_listed(users)?, "{before:?}");
    for [key, name, value] in &values {
        let key = format!(r"HKLM\{key}");
        let value = value.replace("[#Server]", &library);
        let name = match name.as_str() {
            "" => vec!["/ve"],
            name => vec!["/v", name],
        };
        wine.run("reg", &[&["add", &key], &name[..], &["/d", &value, "/f"]].concat())?.expect(0)?;
    }
    let registered = register()?;
    ensure!(!registered.stderr.contains("registry key"), "{registered:?}");
    ensure!(!is_listed(users)?, "the key of handlers would list it twice");
    let machines = wine.register(HELLO, "machines", &[])?;
    let class = values[0][0].rsplit_once('\\').context("a class")?.1;
    let list = |more: &[&str]| -> Result<String> {
        Ok(wine.run("collection.exe", &[&[class], more].concat())?.expect(0)?.stdout)
    };
    let listed = list(LIMITED)?;
    ensure!(!listed.contains(&machines), "the machine's plugins have a separate key: {listed}");
    let of_one = listed.replace(&format!("{{{users}}}"), "{CLASS}");
    compare_with_file("tests/com/expected/collection.log", &of_one)?;
    let elevated = list(&[])?;
    ensure!(!elevated.contains(users), "the user could change it: {elevated}");
    wine.run("regsvr32", &["/s", "/u", "syncmgr_com.dll"])?.expect(0)?;
    ensure!(!list(LIMITED)?.contains(users), "it has no class");
    wine.run("regsvr32", &["/s", "syncmgr_com.dll"])?.expect(0)?;
    ensure!(list(LIMITED)?.contains(users), "it has a class again");
    wine.syncmgr(&["unregister", "--all"])?.expect(0)?;
    ensure!(!list(LIMITED)?.contains(users), "it is no longer installed");
    Ok(())
}

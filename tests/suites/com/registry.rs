//! The registry keys of plugins, under Wine.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use conformance::HELLO;
use conformance::wine::{Wine, windows_path};

/// Reads a value of the registry.
fn value(wine: &Wine, key: &str, name: &str) -> Result<Option<String>> {
    let name: &[&str] = if name.is_empty() { &["/ve"] } else { &["/v", name] };
    let ran = wine.run("reg", &[&["query", key], name].concat())?;
    if ran.status != 0 {
        return Ok(None);
    }
    Ok(ran.stdout.split("REG_SZ").nth(1).map(|value| value.trim().to_owned()))
}

#[test]
fn registration_creates_and_removes_the_registry_keys() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    // A separate prefix, because the other tests need the registrations that this one removes.
    let wine = &wine.another()?;
    let library = windows_path(&wine.programs().join("syncmgr_com.dll"))?;
    let handlers = r"Software\Microsoft\Windows\CurrentVersion\SyncMgr\Handlers";
    for (scope, hive) in [("--user", "HKCU"), ("--machine", "HKLM")] {
        let plugin = windows_path(Path::new(HELLO))?;
        let arguments = ["register", &plugin, "--name", "keys", scope];
        let said = wine.syncmgr(&arguments)?.expect(0)?.stdout;
        let class = said.split(['{', '}']).nth(1).context("the class is printed")?.to_owned();
        let class_key = format!(r"{hive}\Software\Classes\CLSID\{{{class}}}");
        let server_key = format!(r"{class_key}\InprocServer32");
        let handler_key = format!(r"{hive}\{handlers}\{{{class}}}");
        let check = |there: bool| -> Result<()> {
            for (key, name, expected) in [
                (&class_key, "", "keys"),
                (&server_key, "", &library),
                (&server_key, "ThreadingModel", "Both"),
                (&handler_key, "", "keys"),
            ] {
                let found = value(wine, key, name)?;
                ensure!(found.as_deref() == there.then_some(expected), "{key}: {found:?}");
            }
            Ok(())
        };
        check(true)?;
        // First without the server, then with it.
        wine.run("regsvr32", &["/s", "/u", "syncmgr_com.dll"])?.expect(0)?;
        check(false)?;
        wine.run("regsvr32", &["/s", "syncmgr_com.dll"])?.expect(0)?;
        check(true)?;
        wine.syncmgr(&["unregister", "keys"])?.expect(0)?;
        check(false)?;
        wine.syncmgr(&["unregister", "keys"])?.expect(2)?;
        wine.syncmgr(&arguments)?.expect(0)?;
        check(true)?;
        wine.syncmgr(&["unregister", "--all"])?.expect(0)?;
        check(false)?;
    }
    Ok(())
}

#[test]
fn a_class_of_another_program_is_not_replaced() -> Result<()> {
    let Some(wine) = Wine::get()? else { return Ok(()) };
    // The class of a part of Windows that a plugin would replace, and that of the collection.
    let other = "{6295DF40-1111-11D1-8707-00C04FD93327}";
    let collection = format!("{{{}}}", syncmgr_com::collection::COLLECTION_CLASS);
    let key = format!(r"HKLM\Software\Classes\CLSID\{other}\InprocServer32");
    wine.run("reg", &["add", &key, "/ve", "/d", r"C:\windows\other.dll", "/f"])?.expect(0)?;
    for class in [other, &collection] {
        let mut component = fs::read(HELLO)?;
        let text = format!("clsid = \"{}\"", &class[1..class.len() - 1]);
        let name = syncmgr_host::requests::SECTION;
        let length = u8::try_from(1 + name.len() + text.len())?;
        component.extend([0, length, u8::try_from(name.len())?]);
        component.extend(name.bytes().chain(text.bytes()));
        let plugin = wine.folder("thief")?.join("thief.wasm");
        fs::write(&plugin, component)?;
        let ran = wine.syncmgr(&["register", &windows_path(&plugin)?, "--machine"])?;
        ensure!(ran.status != 0 && ran.stderr.contains("is already used by"), "{}", ran.stderr);
    }
    let found = value(&wine, &key, "")?;
    ensure!(found.as_deref() == Some(r"C:\windows\other.dll"), "{found:?}");
    Ok(())
}

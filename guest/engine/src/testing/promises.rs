//! The promises of a side, each with its check.

use syncmgr_plugin::directories::EntryKind::{Directory, File, SymbolicLink};
use syncmgr_plugin::{ErrorCode, Interrupt};

use super::check::{Check, Found, SOURCE, done, expect, one, refused};
use crate::endpoint::{OpenRequest, Rename, Transfer};
use crate::names;

type Promise = (&'static str, fn(&mut Check<'_>) -> Found);

pub(super) const ALL: [Promise; 29] = [
    ("a new directory is empty", |check| check.expect_entries(&[])),
    ("a copy is an entry only after it got its name", |check| {
        let temp = check.temp();
        done("copying a file", check.receive(&temp, "a", b"content", false))?;
        expect(check.stat("a")?.is_none(), || "the name exists before".to_owned())?;
        done("naming a copy", check.name(&temp, "a", None))?;
        let left = done("the metadata", check.side.stat(&temp))?;
        expect(left.is_none(), || "the temporary name still exists".to_owned())?;
        check.expect_entries(&[("a", File)])
    }),
    ("a file has the content that was received", |check| {
        for (name, length) in [("empty", 0), ("small", 1), ("large", 600_000)] {
            let content: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8).collect();
            check.create(name, &content)?;
            check.expect_content(name, &content)?;
        }
        Ok(())
    }),
    (
        "the result of a copy has the digest of its content and the fingerprint of its source",
        |check| {
            let temp = check.temp();
            let received = done("copying a file", check.receive(&temp, "a", b"content", false))?;
            let digest = *blake3::hash(b"content").as_bytes();
            expect(received.digest == digest, || "the digest is another one".to_owned())?;
            let source = check.source.fingerprint(SOURCE);
            expect(received.source == source, || {
                format!("{:?} is not {source:?}", received.source)
            })?;
            done("removing a copy", check.side.remove(&temp, None))
        },
    ),
    ("a listing has the metadata that stat returns", |check| {
        let file = check.create("file", b"content")?;
        let path = check.path("directory");
        done("creating a directory", check.side.create_directory(&path, None))?;
        let directory = check.stat("directory")?;
        let listed = check.list("")?;
        expect(file.kind == File && file.fingerprint.size == 7, || format!("{file:?}"))?;
        expect(listed.get("file") == Some(&file), || format!("{listed:?} has no {file:?}"))?;
        let is_listed = listed.get("directory") == directory.as_ref();
        expect(is_listed, || format!("{listed:?} has no {directory:?}"))
    }),
    ("results are in the order of their requests", |check| {
        let names: Vec<_> = (0..2 * check.side.capabilities().at_once + 1)
            .map(|number| format!("{number}"))
            .collect();
        for (at, name) in names.iter().enumerate() {
            check.source.put(name, &vec![7; at]);
        }
        let temps: Vec<_> = names.iter().map(|_| check.temp()).collect();
        let transfers: Vec<_> = names
            .iter()
            .zip(&temps)
            .map(|(name, temp)| Transfer {
                path: name,
                temp,
                name,
                source: check.source.fingerprint(name),
                mode: None,
                replaces: false,
                owner: false,
            })
            .collect();
        let received = check.side.receive_all(&mut check.source, &transfers);
        for (transfer, received) in transfers.iter().zip(&received) {
            let is_right = received.as_ref().is_ok_and(|one| one.source == transfer.source);
            expect(is_right, || format!("{:?} for {:?}", received, transfer.source))?;
        }
        expect(received.len() == names.len(), || format!("{} results", received.len()))?;
        let paths: Vec<_> = temps.iter().map(String::as_str).collect();
        for flushed in check.side.flush_received(&paths, true) {
            done("flushing a copy", flushed)?;
        }
        let pairs = temps.iter().zip(&names);
        let renames: Vec<_> =
            pairs.map(|(temp, to)| Rename { path: temp, to, replaces: None }).collect();
        for renamed in check.side.rename_all(&renames) {
            done("naming a copy", renamed)?;
        }
        let paths: Vec<_> = names.iter().map(|name| check.path(name)).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        for (at, found) in check.side.stat_all(&paths).into_iter().enumerate() {
            let size = done("the metadata", found)?.map(|found| found.fingerprint.size);
            expect(size == Some(at as u64), || format!("{size:?} bytes instead of {at}"))?;
        }
        Ok(())
    }),
    ("one failure does not prevent the others", |check| {
        check.create("a", b"first")?;
        check.create("c", b"third")?;
        let paths = ["a", "b", "c"].map(|name| check.path(name));
        let request = |path| OpenRequest { path, expected: None };
        let opened = check.side.open(&paths.each_ref().map(|path| request(&**path)));
        let are_open: Vec<_> = opened.iter().map(Result::is_ok).collect();
        expect(are_open == [true, false, true], || format!("open are {are_open:?}"))
    }),
    ("what does not exist is NotFound, or no metadata", |check| {
        expect(check.stat("a")?.is_none(), || "stat finds something".to_owned())?;
        let path = check.path("a");
        let opened = check.side.open(&[OpenRequest { path: &path, expected: None }]);
        refused("opening a file", one(opened).map(drop), ErrorCode::NotFound)?;
        refused("removing a file", check.remove("a"), ErrorCode::NotFound)?;
        let removed = check.side.remove_directory(&path);
        refused("removing a directory", removed, ErrorCode::NotFound)
    }),
    ("a directory that does not exist, or that is a file, is not listed as empty", |check| {
        check.create("file", b"content")?;
        for name in ["missing", "file"] {
            expect(check.list(name).is_err(), || format!("{name} is listed"))?;
        }
        Ok(())
    }),
    ("a fingerprint stays until the file changes", |check| {
        let before = check.create("a", b"content")?;
        check.create("b", b"another")?;
        check.read("a")?;
        let after = check.stat("a")?;
        expect(after == Some(before), || format!("{after:?} instead of {before:?}"))
    }),
    ("another content has another fingerprint", |check| {
        let before = check.create("a", b"content")?;
        let after = check.replace("a", b"CONTENT!", &before.fingerprint)?;
        let differs = after.fingerprint != before.fingerprint;
        expect(differs, || format!("it is still {:?}", before.fingerprint))?;
        if check.side.capabilities().has_versions {
            let last = check.replace("a", b"content?", &after.fingerprint)?;
            let differs = last.fingerprint != after.fingerprint;
            expect(differs, || format!("it is still {:?}", after.fingerprint))?;
        }
        Ok(())
    }),
    ("a replaced file has the new content", |check| {
        let before = check.create("a", b"old")?;
        check.replace("a", b"new content", &before.fingerprint)?;
        check.expect_content("a", b"new content")?;
        check.expect_entries(&[("a", File)])
    }),
    ("a name that is used is not replaced", |check| {
        check.create("a", b"first")?;
        let temp = check.temp();
        done("copying a file", check.receive(&temp, "a", b"second", false))?;
        let named = check.name(&temp, "a", None);
        refused("naming a copy", named, ErrorCode::AlreadyExists)?;
        done("removing a copy", check.side.remove(&temp, None))?;
        check.expect_content("a", b"first")?;
        check.expect_entries(&[("a", File)])
    }),
    ("only the expected file is replaced", |check| {
        let before = check.create("a", b"old")?;
        check.replace("a", b"newer", &before.fingerprint)?;
        let temp = check.temp();
        done("copying a file", check.receive(&temp, "a", b"newest", true))?;
        let named = check.name(&temp, "a", Some(&before.fingerprint));
        refused("replacing another file", named, ErrorCode::Changed)?;
        done("removing a copy", check.side.remove(&temp, None))?;
        check.expect_content("a", b"newer")?;
        check.expect_entries(&[("a", File)])
    }),
    ("only the expected file is deleted", |check| {
        let before = check.create("a", b"old")?;
        check.replace("a", b"newer", &before.fingerprint)?;
        for stays in [true, false] {
            let kept = check.keep("a", &before.fingerprint, stays);
            refused("keeping another file", kept, ErrorCode::Changed)?;
            check.expect_content("a", b"newer")?;
        }
        let path = check.path("a");
        let removed = check.side.remove(&path, Some(&before.fingerprint));
        refused("removing another file", removed, ErrorCode::Changed)?;
        check.expect_content("a", b"newer")
    }),
    ("a deleted file is gone, and another one can have its name", |check| {
        let before = check.create("a", b"content")?;
        let kept = check.keep("a", &before.fingerprint, false);
        done("keeping a file in the trash", kept)?;
        check.expect_entries(&[])?;
        check.create("a", b"another")?;
        done("removing a file", check.remove("a"))?;
        check.expect_entries(&[])
    }),
    ("a directory is created once", |check| {
        let path = check.path("a");
        done("creating a directory", check.side.create_directory(&path, None))?;
        let created = check.side.create_directory(&path, None);
        refused("creating it again", created, ErrorCode::AlreadyExists)?;
        check.create("file", b"content")?;
        let path = check.path("file");
        let created = check.side.create_directory(&path, None);
        refused("creating it in place of a file", created, ErrorCode::AlreadyExists)?;
        check.expect_entries(&[("a", Directory), ("file", File)])
    }),
    ("a directory is not created without its parent", |check| {
        let created = check.side.create_directory(&check.path("a/b"), None);
        expect(created.is_err(), || "it is created".to_owned())?;
        check.expect_entries(&[])
    }),
    ("only an empty directory is removed", |check| {
        let path = check.path("a");
        done("creating a directory", check.side.create_directory(&path, None))?;
        check.create("a/b", b"content")?;
        let removed = check.side.remove_directory(&path);
        refused("removing it", removed, ErrorCode::AlreadyExists)?;
        check.expect_content("a/b", b"content")?;
        done("removing a file", check.remove("a/b"))?;
        done("removing a directory", check.side.remove_directory(&path))?;
        check.expect_entries(&[])
    }),
    ("remove removes no directory", |check| {
        let path = check.path("a");
        done("creating a directory", check.side.create_directory(&path, None))?;
        expect(check.remove("a").is_err(), || "it is removed".to_owned())?;
        check.expect_entries(&[("a", Directory)])
    }),
    ("a source that changed is not copied", |check| {
        check.source.put(SOURCE, b"content");
        let planned = check.source.fingerprint(SOURCE);
        check.source.put(SOURCE, b"CONTENT");
        let temp = check.temp();
        let received = check.receive_planned(&temp, "a", planned, false, &mut |_| Ok(()));
        refused("copying it", received, ErrorCode::Changed)?;
        check.expect_entries(&[])
    }),
    ("a source that is shorter or longer than it should be is not copied", |check| {
        for size in [6, 8] {
            check.source.put(SOURCE, b"content");
            check.source.claim_size(SOURCE, size);
            let planned = check.source.fingerprint(SOURCE);
            let temp = check.temp();
            let received = check.receive_planned(&temp, "a", planned, false, &mut |_| Ok(()));
            refused("copying it", received, ErrorCode::Changed)?;
        }
        check.expect_entries(&[])
    }),
    ("progress has all bytes, and an interrupt ends a copy", |check| {
        check.source.put(SOURCE, &vec![7; 600_000]);
        let planned = check.source.fingerprint(SOURCE);
        let temp = check.temp();
        let mut total = 0;
        let mut count = |bytes| {
            total += bytes;
            Ok(())
        };
        let received = check.receive_planned(&temp, "a", planned, false, &mut count);
        done("copying a file", received)?;
        expect(total == 600_000, || format!("{total} of 600000 bytes were reported"))?;
        done("removing a copy", check.side.remove(&temp, None))?;
        let mut stop = |_| Err(Interrupt::Item);
        let received = check.receive_planned(&temp, "a", planned, false, &mut stop);
        expect(received == Err(Interrupt::Item), || format!("it ends with {received:?}"))?;
        check.expect_entries(&[])
    }),
    ("a name is stored as it is, or refused", |check| {
        for name in NAMES {
            let path = check.path("");
            let path = path.trim_end_matches('/');
            let can_store = names::trial(name)
                .is_none_or(|unusual| check.side.can_store(path, &unusual).unwrap_or(false));
            if !can_store {
                continue;
            }
            let temp = check.temp();
            let created = check.receive(&temp, name, name.as_bytes(), false);
            if created.is_err() || check.name(&temp, name, None).is_err() {
                let _ = check.side.remove(&temp, None);
                expect(check.list("")?.is_empty(), || format!("{name:?} is refused, and there"))?;
                continue;
            }
            let listed: Vec<_> = check.list("")?.into_keys().collect();
            let is_it = listed.len() == 1 && names::key(&listed[0]) == names::key(name);
            expect(is_it, || format!("{name:?} is listed as {listed:?}"))?;
            check.expect_content(name, name.as_bytes())?;
            done("removing a file", check.remove(name))?;
        }
        Ok(())
    }),
    ("an entry is renamed with everything in it", |check| {
        if !check.side.capabilities().renames {
            return Ok(());
        }
        for name in ["a", "b"] {
            let path = check.path(name);
            done("creating a directory", check.side.create_directory(&path, None))?;
        }
        let before = check.create("a/file", b"content")?;
        for (from, to) in [("a/file", "b/moved"), ("b/moved", "b/Moved"), ("b", "a/c")] {
            let [from, to] = [from, to].map(|name| check.path(name));
            done("renaming", check.side.rename(&from, &to))?;
        }
        check.expect_content("a/c/Moved", b"content")?;
        if check.side.capabilities().has_ids {
            let after = check.stat("a/c/Moved")?;
            expect(after == Some(before), || format!("{after:?} instead of {before:?}"))?;
        }
        check.expect_entries(&[("a", Directory)])
    }),
    ("a rename replaces nothing", |check| {
        if !check.side.capabilities().renames {
            return Ok(());
        }
        check.create("a", b"first")?;
        check.create("b", b"second")?;
        let path = check.path("d");
        done("creating a directory", check.side.create_directory(&path, None))?;
        for (from, to) in [("a", "b"), ("a", "d"), ("d", "b")] {
            let [from, to] = [from, to].map(|name| check.path(name));
            let renamed = check.side.rename(&from, &to);
            refused("renaming", renamed, ErrorCode::AlreadyExists)?;
        }
        check.expect_content("a", b"first")?;
        check.expect_content("b", b"second")?;
        check.expect_entries(&[("a", File), ("b", File), ("d", Directory)])
    }),
    ("links are kept as text where there are links", |check| {
        if !check.side.capabilities().has_links {
            let path = check.path("a");
            let created = check.side.create_link(&path, "b/c");
            return refused("creating a link", created, ErrorCode::NotImplemented);
        }
        let temp = check.temp();
        done("creating a link", check.side.create_link(&temp, "b/c"))?;
        let rename = Rename { path: &temp, to: "a", replaces: None };
        done("naming a link", one(check.side.rename_all(&[rename])))?;
        check.expect_entries(&[("a", SymbolicLink)])?;
        let path = check.path("a");
        let target = done("reading a link", check.side.read_link(&path))?;
        expect(target == "b/c", || format!("it leads to {target:?}"))
    }),
    ("a side that keeps times keeps those of the source", |check| {
        if !check.side.capabilities().keeps_times {
            return Ok(());
        }
        let created = check.create("a", b"content")?;
        let source = check.source.fingerprint(SOURCE);
        let kept = created.fingerprint.modified;
        expect(kept == source.modified, || format!("{kept} instead of {}", source.modified))?;
        let path = check.path("a");
        let time = 1_000_000_000_000_000_000;
        done("setting the time", check.side.set_modified(&path, time))?;
        let kept = check.stat("a")?.map(|found| found.fingerprint.modified);
        expect(kept == Some(time), || format!("{kept:?} instead of {time}"))
    }),
    ("a digest is that of the content", |check| {
        check.create("a", b"content")?;
        let path = check.path("a");
        let digest = done("hashing a file", check.side.hash(&path, &mut |_| Ok(())))?;
        expect(digest == *blake3::hash(b"content").as_bytes(), || "it is another one".to_owned())
    }),
];

/// Names with characters that have a meaning in URLs, in XML, in paths and in shells, names in two
/// normalization forms, and a long one.
const NAMES: &[&str] = &[
    "a b",
    " a",
    "100%",
    "%41",
    "a#b",
    "a?b",
    "a;b",
    "a+b",
    "a&amp;b",
    "a'b",
    "a\"b",
    "a<b",
    "a:b",
    "a\\b",
    "~a",
    "a=b",
    "[a]",
    "{a}",
    "a@b",
    "a,b",
    "$a",
    "a|b",
    "*",
    "a.",
    "a..b",
    "\u{e9}",
    "e\u{301}",
    "\u{65e5}\u{672c}",
    "\u{1f600}",
    "A",
    "-a",
    "CON",
    "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-\
     long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-",
];

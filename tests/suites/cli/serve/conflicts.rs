//! Conflicts that are settled on the page.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::client::Page;
use super::{PAIR, with_conflict};
use crate::home::Home;

/// Returns the keys of the conflicts on the page.
fn keys(page: &Page) -> Result<Vec<String>> {
    let shown = page.get("/conflicts")?.expect(200, "<h1>Conflicts</h1>")?.body;
    let parts = shown.split("name=\"conflict\" value=\"").skip(1);
    Ok(parts.map(|part| part.split('"').next().unwrap_or_default().to_owned()).collect())
}

/// Returns the names and contents of the files of a side.
fn files(home: &Home, side: &str) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(home.path(side))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn each_version_can_be_kept_on_the_page() -> Result<()> {
    let (left, right) = ("left version", "right version!");
    for (keep, expected) in [
        ("left", &[("a.txt", left)][..]),
        ("right", &[("a.txt", right)]),
        ("newer", &[("a.txt", right)]),
        ("both", &[("a (left).txt", left), ("a.txt", right)]),
    ] {
        let home = with_conflict()?;
        let mut page = Page::start(&home)?;
        let [key] = &keys(&page)?[..] else { anyhow::bail!("there is one conflict") };
        let compared = page.get(&format!("/conflict/{key}"))?.expect(200, "Differences")?;
        ensure!(compared.body.contains("<div class=\"bad\">-right version!</div>"), "{compared:?}");
        let settled = page.submit("/conflicts", "conflict", &format!("&one={keep}:{key}"))?;
        ensure!(settled.status == 303, "{settled:?}");
        page.get("/conflicts")?.expect(200, "There are no conflicts.")?;
        let of = |side: &str| -> Result<bool> {
            let found = files(&home, side)?;
            Ok(found.iter().map(|(name, text)| (&**name, &**text)).eq(expected.iter().copied()))
        };
        ensure!(of("left")?, "{keep}: {:?}", files(&home, "left")?);
        home.run(&PAIR)?.expect(0, "succeeded")?;
        ensure!(of("left")? && of("right")?, "{keep}: {:?}", files(&home, "right")?);
        page.get(&format!("/conflict/{key}"))?.expect(404, "there is no such page")?;
    }
    Ok(())
}

#[test]
fn many_conflicts_are_settled_at_once() -> Result<()> {
    let home = with_conflict()?;
    for side in ["left", "right"] {
        for number in 0..60 {
            home.write(&format!("{side}/{number:02}.txt"), format!("{number} of {side}"))?;
        }
    }
    home.run(&PAIR)?.expect(1, "")?;
    let mut page = Page::start(&home)?;
    let first = keys(&page)?;
    assert_eq!(first.len(), 50);
    page.get("/conflicts?skip=50")?.expect(200, "59.txt")?;
    let more: String = first[1..].iter().map(|key| format!("&conflict={key}")).collect();
    let settled = page.submit("/conflicts", "conflict", &format!("{more}&keep=left"))?;
    ensure!(settled.status == 303, "{settled:?}");
    assert_eq!(keys(&page)?.len(), 11);
    // The copies of many conflicts are removed.
    let run = [&PAIR[..], &["--set", "max-delete=any"]].concat();
    home.run(&run)?.expect(1, "")?;
    let kept = (0..60).filter(|number| {
        let right = fs::read_to_string(home.path(&format!("right/{number:02}.txt")));
        right.is_ok_and(|right| right == format!("{number} of left"))
    });
    assert_eq!(kept.count(), 50);
    Ok(())
}

#[test]
fn a_conflict_that_is_not_settled_remains_with_a_reason() -> Result<()> {
    let home = with_conflict()?;
    let before = files(&home, "left")?;
    let mut page = Page::start(&home)?;
    let key = keys(&page)?.pop().context("a conflict")?;
    for (form, status, words) in [
        (format!("&one=local:{key}"), 409, "its versions are those of right and left"),
        (format!("&one=older:{key}"), 404, "the form selects nothing that there is"),
        ("&one=left:0".to_owned(), 404, "the form selects nothing that there is"),
        ("&one=left:../a.txt".to_owned(), 404, "the form selects nothing that there is"),
        (String::new(), 404, "selects nothing that there is"),
    ] {
        page.submit("/conflicts", "conflict", &form)?.expect(status, words)?;
    }
    let copy = before.iter().find(|(name, _)| name.contains("conflicted"));
    let (copy, content) = copy.context("a copy")?;
    fs::remove_file(home.path(&format!("left/{copy}")))?;
    page.get("/conflicts")?.expect(200, "is missing; run the plugin again")?;
    page.submit("/conflicts", "conflict", "&keep=newer")?.expect(409, "is missing")?;
    home.write(&format!("left/{copy}"), content)?;
    assert_eq!(files(&home, "left")?, before);
    page.get("/conflicts")?.expect(200, "a.txt")?;
    Ok(())
}

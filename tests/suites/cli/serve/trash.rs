//! Files that are restored on the page.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::client::{Answer, Page};
use super::{PAIR, with_conflict};

/// Returns the path of the page of the newest run.
fn newest_run(page: &Page) -> Result<String> {
    let shown = page.get("/trash")?.expect(200, "<h1>Trash</h1>")?.body;
    let key = shown.split("href=\"/trash/").nth(1).context("a run")?;
    Ok(format!("/trash/{}", key.split('"').next().unwrap_or_default()))
}

/// Presses the button next to the only file of a run.
fn restore(page: &mut Page, run: &str, more: &str) -> Result<Answer> {
    let shown = page.get(run)?.body;
    let buttons: Vec<_> = shown.split("name=\"one\" value=\"").skip(1).collect();
    let [button] = buttons[..] else { anyhow::bail!("there is one file: {shown}") };
    let key = button.split('"').next().unwrap_or_default();
    page.submit(run, "part", &format!("&one={key}{more}"))
}

#[test]
fn a_file_is_restored_on_the_page() -> Result<()> {
    let home = with_conflict()?;
    let mut page = Page::start(&home)?;
    let run = newest_run(&page)?;
    let right = format!("right, {}", home.path("right").display());
    page.get(&run)?.expect(200, &right)?.expect(200, "old.txt")?;
    let restored = restore(&mut page, &run, "")?;
    ensure!(restored.status == 303, "{restored:?}");
    ensure!(restored.head.contains("\r\nlocation: /trash\r\n"), "{restored:?}");
    assert_eq!(fs::read_to_string(home.path("right/old.txt"))?, "olds!");
    page.get("/trash")?.expect(200, "There is nothing in the trash.")?;
    page.get(&run)?.expect(404, "there is no such page")?;
    home.run(&PAIR)?.expect(1, "")?;
    assert_eq!(fs::read_to_string(home.path("left/old.txt"))?, "olds!");
    Ok(())
}

#[test]
fn a_file_on_the_page_replaces_none_unless_that_is_selected() -> Result<()> {
    let home = with_conflict()?;
    home.write("right/old.txt", "another")?;
    let mut page = Page::start(&home)?;
    let run = newest_run(&page)?;
    let refused = restore(&mut page, &run, "")?.expect(409, "Files that are not restored")?;
    ensure!(refused.body.contains("a newer file"), "{refused:?}");
    ensure!(!refused.body.contains("--"), "an option of the command: {refused:?}");
    assert_eq!(fs::read_to_string(home.path("right/old.txt"))?, "another");
    let restored = restore(&mut page, &run, "&replace=1")?;
    ensure!(restored.status == 303, "{restored:?}");
    assert_eq!(fs::read_to_string(home.path("right/old.txt"))?, "olds!");
    // The replaced file is in the trash, in a separate run.
    let run = newest_run(&page)?;
    page.get(&run)?.expect(200, "7 B")?;
    Ok(())
}

#[test]
fn all_files_of_a_side_are_restored_at_once() -> Result<()> {
    let home = with_conflict()?;
    // A browser would change the line break in the value of a field.
    let names = ["docs/<b>.txt", "docs/a\u{202e}b.txt", "docs/x&y.txt"];
    #[cfg(unix)]
    let names = [&names[..], &["docs/line\nbreak.txt"]].concat();
    #[cfg(windows)]
    let names = &names[1..];
    for name in &names[..] {
        home.write(&format!("left/{name}"), name)?;
    }
    home.run(&PAIR)?.expect(1, "")?;
    for name in &names[..] {
        fs::remove_file(home.path(&format!("left/{name}")))?;
    }
    home.run(&[&PAIR[..], &["--set", "max-delete=any"]].concat())?.expect(1, "")?;
    let mut page = Page::start(&home)?;
    let run = newest_run(&page)?;
    let shown = page.get(&run)?.expect(200, "Restore all of this side")?.body;
    ensure!(!shown.contains("<b>.txt") && !shown.contains('\u{202e}'), "{shown}");
    let restored = page.submit(&run, "part", "&all=1")?;
    ensure!(restored.status == 303, "{restored:?}");
    for name in &names[..] {
        assert_eq!(fs::read_to_string(home.path(&format!("right/{name}")))?, **name);
    }
    Ok(())
}

#[test]
fn a_form_restores_nothing_else() -> Result<()> {
    let home = with_conflict()?;
    home.write("state/secret.txt", "secret")?;
    let mut page = Page::start(&home)?;
    let run = newest_run(&page)?;
    let zero = "0".repeat(32);
    for more in ["", "&one=old.txt", "&one=..%2F..%2Fsecret.txt", &format!("&one={zero}"), "&one="]
    {
        page.submit(&run, "part", more)?.expect(404, "the form selects nothing")?;
    }
    let body = format!("token={}&part={zero}&all=1", page.form);
    page.request("POST", "/restore", &page.headers(), &body)?.expect(404, "selects nothing")?;
    let body = format!("token={zero}&part={zero}&all=1");
    let forged = page.request("POST", "/restore", &page.headers(), &body)?;
    ensure!(forged.status == 403, "{forged:?}");
    // The operator has withdrawn the access.
    let register = ["register", "folder", "--dir", "left=left", "--dir", "right=right:ro"];
    home.run(&register)?.expect(0, "registered folder")?;
    restore(&mut page, &run, "")?.expect(409, "is granted read-only")?;
    ensure!(!home.path("right/old.txt").exists());
    page.get(&run)?.expect(200, "old.txt")?;
    Ok(())
}

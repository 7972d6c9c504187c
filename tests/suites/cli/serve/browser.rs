//! The page in a real browser.

use std::fs;

use anyhow::{Result, ensure};

use super::client::Page;
use super::driver::{Browser, has_browser};
use super::{PAIR, last_run, with_conflict};
use crate::home::Home;

/// Each page, with the id of a run.
fn pages(run: &str) -> Vec<String> {
    let paths = ["", "running", "history", "conflicts", "skipped", "trash", "plugins"];
    paths.map(str::to_owned).into_iter().chain([format!("run/{run}")]).collect()
}

fn url(page: &Page, path: &str) -> String {
    format!("http://127.0.0.1:{}/{path}", page.port)
}

/// Stores a picture for the book. Pictures depend on fonts, so they are not compared.
pub(super) fn picture(browser: &Browser, name: &str) -> Result<()> {
    let picture = browser.screenshot()?;
    ensure!(picture.starts_with(b"\x89PNG"));
    if std::env::var_os("BLESS").is_some() {
        let folder = conformance::workspace().join("guest/book/src/images");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("serve-{name}.png")), picture)?;
    }
    Ok(())
}

#[test]
fn every_page_fits_narrow_and_wide_windows() -> Result<()> {
    if !has_browser()? {
        return Ok(());
    }
    let home = with_conflict()?;
    let long = format!("{}.txt", "long-name-without-a-blank".repeat(8));
    for number in 0..20 {
        home.write(&format!("left/{number}-{long}"), "x".repeat(1000 * number))?;
        home.run(&PAIR)?.expect(1, "")?;
    }
    let page = Page::start(&home)?;
    let browser = Browser::start()?;
    browser.open(&page.url)?;
    assert_eq!(browser.value("location.href")?, url(&page, ""), "the token is not in the address");
    let run = last_run(&home)?;
    let mut backgrounds = Vec::new();
    for colors in ["light", "dark"] {
        browser.prefer(colors)?;
        for width in [360, 1280] {
            browser.resize(width, 900)?;
            for path in pages(&run) {
                browser.open(&url(&page, &path))?;
                let size = "[document.documentElement.scrollWidth, innerWidth]";
                let size = browser.value(size)?;
                ensure!(
                    size[0].as_u64() <= size[1].as_u64() && size[1] == width,
                    "{path} at {width}: {size}"
                );
                let unnamed = "[...document.querySelectorAll('button:not([hidden]), input:not([type=hidden]), a')]\
                               .filter(e => !(e.ariaLabel || e.innerText || e.labels?.length)).length";
                assert_eq!(browser.value(unnamed)?, 0, "{path}: each control has a name");
            }
        }
        backgrounds.push(browser.value("getComputedStyle(document.body).backgroundColor")?);
    }
    ensure!(backgrounds[0] != backgrounds[1], "{backgrounds:?}");
    browser.prefer("light")?;
    let run = format!("run/{run}");
    for (path, name, height) in
        [("", "items", 420), ("history", "history", 700), (&run, "run", 560)]
    {
        browser.resize(960, height)?;
        browser.open(&url(&page, path))?;
        picture(&browser, name)?;
    }
    let errors = browser.errors()?;
    // Browsers ask for an icon.
    let errors: Vec<_> = errors
        .iter()
        .filter(|error| !error["message"].as_str().unwrap_or_default().contains("favicon.ico"))
        .collect();
    ensure!(errors.is_empty(), "{errors:?}");
    Ok(())
}

#[test]
fn runs_are_started_from_the_browser() -> Result<()> {
    if !has_browser()? {
        return Ok(());
    }
    let home = with_conflict()?;
    home.write("left/new.txt", "new")?;
    let page = Page::start(&home)?;
    let browser = Browser::start()?;
    browser.open(&page.url)?;
    browser.click("//button[text()='Preview']")?;
    browser.wait_for("What would be done")?;
    browser.wait_for("new.txt")?;
    ensure!(!home.path("right/new.txt").exists());
    browser.open(&url(&page, ""))?;
    browser.click("//button[text()='Run']")?;
    // The script loads the page again at the end.
    browser.wait_for("Messages")?;
    browser.click("//summary[text()='Messages']")?;
    browser.wait_for("created on right: new.txt")?;
    assert_eq!(fs::read_to_string(home.path("right/new.txt"))?, "new");
    Ok(())
}

#[test]
fn a_conflict_is_settled_in_the_browser() -> Result<()> {
    if !has_browser()? {
        return Ok(());
    }
    let home = with_conflict()?;
    let page = Page::start(&home)?;
    let browser = Browser::start()?;
    browser.open(&page.url)?;
    browser.click("//a[text()='Conflicts']")?;
    browser.wait_for("Keep left")?;
    browser.click("//a[text()='Compare']")?;
    browser.wait_for("-right version!")?;
    browser.wait_for("+left version")?;
    browser.resize(960, 540)?;
    picture(&browser, "conflict")?;
    browser.click("//button[text()='Keep left']")?;
    browser.wait_for("There are no conflicts.")?;
    home.run(&PAIR)?.expect(0, "succeeded")?;
    for side in ["left", "right"] {
        assert_eq!(fs::read_to_string(home.path(&format!("{side}/a.txt")))?, "left version");
        assert_eq!(files_in(&home, side)?, 1);
    }
    Ok(())
}

/// Returns the number of files in a directory.
fn files_in(home: &Home, directory: &str) -> Result<usize> {
    let entries = fs::read_dir(home.path(directory))?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.iter().filter(|entry| entry.path().is_file()).count())
}

#[cfg(unix)]
#[test]
fn runs_are_cancelled_from_the_browser_with_and_without_scripts() -> Result<()> {
    if !has_browser()? {
        return Ok(());
    }
    for scripts in [true, false] {
        let home = super::running::with_waiting_job()?;
        let page = Page::start(&home)?;
        let browser = Browser::start()?;
        browser.open(&page.url)?;
        browser.scripts(scripts)?;
        browser.click("//button[text()='Run']")?;
        let wait_for = |words: &str| match scripts {
            true => browser.wait_for(words),
            false => {
                page.wait_for("/running", words)?;
                browser.click("//a[text()='Refresh']")?;
                browser.wait_for(words)
            }
        };
        wait_for("halfway, 5 of 10")?;
        if scripts {
            browser.resize(360, 440)?;
            picture(&browser, "running")?;
        }
        browser.click("//button[text()='Cancel']")?;
        wait_for("Ended")?;
        browser.wait_for("cancelled")?;
        ensure!(home.path("dir/tidied").exists());
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn hostile_names_run_no_script() -> Result<()> {
    if !has_browser()? {
        return Ok(());
    }
    let home = Home::new()?;
    let attack = "<img src=x onerror=document.title='attacked'>";
    let other = "\"><svg onload=document.title='attacked'>";
    for name in [attack, other] {
        home.write(&format!("left/{name}"), "left")?;
    }
    fs::create_dir(home.path("right"))?;
    home.run(&PAIR)?.expect(0, "")?;
    for (side, name) in [("left", attack), ("right", attack), ("left", other), ("right", other)] {
        home.write(&format!("{side}/{name}"), format!("changed on {side}"))?;
    }
    home.run(&PAIR)?.expect(1, "")?;
    let page = Page::start(&home)?;
    let browser = Browser::start()?;
    browser.open(&page.url)?;
    browser.click("//button[text()='Preview']")?;
    browser.wait_for("Ended")?;
    for path in pages(&last_run(&home)?) {
        browser.open(&url(&page, &path))?;
        let title = browser.value("document.title")?;
        ensure!(
            title.as_str().is_some_and(|title| title.ends_with("– syncmgr")),
            "{path}: {title}"
        );
        let elements = "document.querySelectorAll('img, [onerror], [onload]').length";
        assert_eq!(browser.value(elements)?, 0, "{path}");
    }
    ensure!(browser.text()?.contains(attack), "the name is shown as text");
    Ok(())
}

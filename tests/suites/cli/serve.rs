//! The page `syncmgr serve`, with the real program.

mod attacks;
mod browser;
mod client;
mod conflicts;
mod driver;
#[cfg(unix)]
mod running;
#[cfg(target_os = "linux")]
mod tour;
mod trash;

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};

use crate::home::Home;
use client::Page;

const PAIR: [&str; 6] = ["run", "folder", "--dir", "left=left", "--dir", "right=right"];

/// Creates two directories, syncs them, and leaves a conflict, and a file in the trash.
fn with_conflict() -> Result<Home> {
    let home = Home::new()?;
    home.write("left/a.txt", "hello")?;
    home.write("left/docs/b.txt", "b")?;
    let old = home.write("left/old.txt", "olds!")?;
    fs::create_dir(home.path("right"))?;
    home.run(&PAIR)?.expect(0, "succeeded")?;
    fs::remove_file(old)?;
    let left = home.write("left/a.txt", "left version")?;
    home.write("right/a.txt", "right version!")?;
    // The newer version keeps the name.
    let earlier = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(left)?.set_modified(earlier)?;
    home.run(&PAIR)?.expect(1, "changed on both sides")?;
    Ok(home)
}

/// Returns the id of the last run.
fn last_run(home: &Home) -> Result<String> {
    let lines = home.run(&["history", "--limit", "1", "--json"])?.json_lines()?;
    let id = lines.first().and_then(|run| run["run"].as_str());
    Ok(id.context("there is a run")?.to_owned())
}

#[test]
fn each_page_shows_real_runs() -> Result<()> {
    let home = Home::new()?;
    let page = Page::start(&home)?;
    for path in ["/", "/running", "/history", "/conflicts", "/skipped", "/trash", "/plugins"] {
        page.get(path)?.expect(200, "<h1>")?;
    }
    drop(page);

    let home = with_conflict()?;
    #[cfg(unix)]
    {
        let made = std::process::Command::new("mkfifo").arg(home.path("left/pipe")).status()?;
        ensure!(made.success());
        home.run(&PAIR)?.expect(1, "pipe")?;
    }
    home.run(&["register", "folder", "--dir", "left=left:ro", "--dir", "right=right"])?
        .expect(0, "registered folder")?;
    let page = Page::start(&home)?;
    let left = home.path("left").display().to_string();
    let last = last_run(&home)?;
    for (path, expected) in [
        ("/", &["<h2>folder</h2>", "1 conflict", "last success", " in sync, "][..]),
        ("/history", &["conflicts or skipped entries", "<svg", "1 conflict kept"]),
        ("/history?failed=1", &["No run matches."]),
        ("/history?item=nothing", &["No run matches."]),
        ("/history?path=b.txt", &["created on right: docs/b.txt (1 B)"]),
        ("/history?path=nothing", &["Nothing happened to"]),
        (&format!("/run/{last}"), &["Result", &left, "a.txt"]),
        (&format!("/run/{}", &last[..8]), &[&last]),
        ("/conflicts", &["a.txt", "12 B", "14 B", "Keep left", "Keep right", "Keep newer"]),
        #[cfg(unix)]
        ("/skipped", &["<code>pipe</code>", "<th scope=\"col\">Reason</th>"]),
        ("/plugins", &["(read-only)", "Requested", "<h3>webdav</h3>", &left]),
        ("/trash", &["5 B", "href=\"/trash/", "syncmgr trash restore folder PATH --to"]),
        ("/running", &["runs nothing at the moment"]),
    ] {
        let shown = page.get(path)?;
        for words in expected {
            ensure!(
                shown.status == 200 && shown.body.contains(words),
                "{path}: {words}\n{shown:?}"
            );
        }
    }
    page.get("/run/zz")?.expect(404, "there is no such page")?;
    page.get("/nothing")?.expect(404, "there is no such page")?;
    let style = page.get("/style.css")?.expect(200, "prefers-color-scheme: dark")?;
    ensure!(style.head.contains("text/css"), "{}", style.head);
    page.get("/script.js")?.expect(200, "EventSource")?;
    Ok(())
}

#[test]
fn the_page_without_a_server_is_complete() -> Result<()> {
    let home = Home::new()?;
    home.run(&["serve", "--once"])?.expect(0, "No run has been recorded yet")?;
    let home = with_conflict()?;
    let page = home.run(&["serve", "--once"])?.expect(0, "1 conflict")?.stdout;
    for words in ["<style>", "<h2>Last runs</h2>", "conflicts or skipped entries", "<svg"] {
        ensure!(page.contains(words), "{words}: {page}");
    }
    for words in ["<script", "<form", "<link", "href=", "src="] {
        ensure!(!page.contains(words), "{words}: {page}");
    }
    home.run(&["serve", "--once", "--port", "1"])?.expect(2, "cannot be used with")?;
    Ok(())
}

#[test]
fn ten_thousand_runs_and_a_run_of_a_hundred_thousand_actions_are_paged() -> Result<()> {
    let home = with_conflict()?;
    let database = rusqlite::Connection::open(home.path("state/history.db"))?;
    database.execute_batch(
        "BEGIN;
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
         INSERT INTO run (uuid, job, plugin, trigger, started, ended, exit_code)
         SELECT printf('%08x-many', n), 'many', 'many', 'manual', n, n + 5, iif(n % 100, 0, 3)
         FROM n;
         INSERT INTO item (run, job, uuid, name, status)
         SELECT id, job, 'many', 'Many', iif(exit_code, 'failed', 'succeeded') FROM run
         WHERE job = 'many';
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
         INSERT INTO action (item, kind, path, size)
         SELECT (SELECT max(id) FROM item), 'created', 'd/' || n, n FROM n;
         INSERT INTO change SELECT item, kind, count(*), sum(size) FROM action
         WHERE item = (SELECT max(id) FROM item) GROUP BY item, kind;
         COMMIT;",
    )?;
    drop(database);
    let page = Page::start(&home)?;
    for (path, row, rows) in [
        ("/", "<article", 2),
        ("/history", "<tr><td>", 50),
        ("/history?skip=9950", "<tr><td>", 50),
        ("/history?skip=10000", "<tr><td>", 2),
        ("/history?item=Many&failed=1&skip=50", "<tr><td>", 50),
        ("/run/00002710-many", "<li>created", 500),
        ("/skipped", "<tr><td>", 0),
        ("/conflicts", "<article", 1),
    ] {
        let shown = page.get(path)?.expect(200, "<h1>")?;
        assert_eq!(shown.body.matches(row).count(), rows, "{path}");
    }
    let first = page.get("/run/00002710-many")?.body;
    let next = first.split("href=\"").find(|link| link.contains("action=")).context("a link")?;
    let next = next.split('"').next().context("a link")?.replace("&amp;", "&");
    let second = page.get(&next)?.expect(200, "created: d/501 (501 B)")?;
    assert_eq!(second.body.matches("<li>created").count(), 500);
    Ok(())
}

#[test]
fn runs_without_an_end_are_running_elsewhere() -> Result<()> {
    let home = with_conflict()?;
    let database = rusqlite::Connection::open(home.path("state/history.db"))?;
    database.execute(
        "INSERT INTO run (uuid, job, plugin, trigger, started) \
         VALUES ('0123456789', '/home/me/night.toml', 'folder', 'scheduled', 1)",
        [],
    )?;
    let page = Page::start(&home)?;
    let shown = page.get("/running")?.expect(200, "Running elsewhere, or killed")?;
    ensure!(shown.body.contains("/home/me/night.toml"), "{}", shown.body);
    Ok(())
}

//! Runs that the page starts and cancels.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::client::{PATIENCE, Page};
use super::{PAIR, last_run, with_conflict};
use crate::home::Home;

/// Creates a job file that waits for its cancellation, then writes a file. The page knows it after
/// its first run.
pub(super) fn with_waiting_job() -> Result<Home> {
    let home = Home::new()?;
    fs::create_dir(home.path("dir"))?;
    let job = format!(
        "plugin = {:?}\n[dirs]\ndir = \"dir\"\n[settings]\nitems = \"a\"\nsynchronize = \"\"\"\n\
         progress item=a status=updating text=halfway value=5 max=10\n\
         write path=/dir/started text=x\nwait-cancelled item=a\nwrite path=/dir/tidied text=x\n\
         \"\"\"\n",
        conformance::SCRIPT
    );
    home.write("job.toml", job)?;
    let quick = "synchronize=progress item=a status=succeeded";
    home.run(&["run", "--job", "job.toml", "--set", quick])?.expect(0, "succeeded: a")?;
    Ok(home)
}

fn wait_until(what: &str, is: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is() {
        ensure!(begun.elapsed() < PATIENCE, "{what} never happens");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn a_preview_changes_nothing_and_a_run_changes_the_files() -> Result<()> {
    let home = with_conflict()?;
    home.write("left/new.txt", "new")?;
    let before = last_run(&home)?;
    let mut page = Page::start(&home)?;
    page.submit("/", "job", "&mode=preview")?.expect(303, "")?;
    let shown = page.wait_for("/running", "What would be done")?;
    ensure!(shown.body.contains("new.txt"), "{}", shown.body);
    ensure!(!home.path("right/new.txt").exists());
    assert_eq!(last_run(&home)?, before, "a preview is not recorded");

    page.submit("/", "job", "&mode=run")?.expect(303, "")?;
    page.wait_for("/running", "created on right: new.txt (3 B)")?;
    page.wait_for("/running", "runs nothing at the moment")?;
    assert_eq!(fs::read_to_string(home.path("right/new.txt"))?, "new");
    let run = last_run(&home)?;
    ensure!(run != before);
    page.get(&format!("/run/{run}"))?.expect(200, "created on right: new.txt")?;
    Ok(())
}

#[test]
fn a_run_that_stopped_for_safety_is_done_once() -> Result<()> {
    for is_registered in [false, true] {
        let home = Home::new()?;
        for number in 0..12 {
            home.write(&format!("left/docs/{number}.txt"), "12345")?;
            home.write(&format!("left/pictures/{number}.jpg"), "1234567890")?;
        }
        home.write("left/kept.txt", "kept")?;
        fs::create_dir(home.path("right"))?;
        let dirs = ["--dir", "left=left", "--dir", "right=right"];
        let run = match is_registered {
            true => {
                home.run(&[&["register", "folder"][..], &dirs].concat())?.expect(0, "")?;
                &["run", "folder"][..]
            }
            false => &PAIR,
        };
        home.run(run)?.expect(0, "succeeded")?;
        for number in 0..12 {
            fs::remove_file(home.path(&format!("left/docs/{number}.txt")))?;
            fs::remove_file(home.path(&format!("left/pictures/{number}.jpg")))?;
        }
        home.run(run)?.expect(4, "")?;
        let mut page = Page::start(&home)?;
        page.get("/")?.expect(200, "stopped for safety")?;
        page.submit("/", "job", "&mode=once&preview=1")?.expect(404, "no such run")?;
        page.submit("/", "job", "&mode=preview")?.expect(303, "")?;
        let shown = page.wait_for("/running", "Do it once")?.body;
        for words in ["<td>12 deleted</td><td>60 B</td>", "<td>120 B</td>", "class=\"treemap\""] {
            ensure!(shown.contains(words), "{words}: {shown}");
        }
        // Its limit is that of the preview.
        home.write("right/docs/new.txt", "new")?;
        home.run(run)?.expect(4, "")?;
        page.submit("/running", "preview", "&job=x&mode=once")?.expect(404, "reload the page")?;
        page.submit("/running", "job", "&mode=once&preview=7")?.expect(404, "no such run")?;
        ensure!(home.path("right/docs/1.txt").exists());
        page.submit("/running", "job", "&mode=once&preview=1")?.expect(303, "")?;
        page.wait_for("/running", "runs nothing at the moment")?;
        let left = fs::read_dir(home.path("right/docs"))?.count();
        assert_eq!(left, 1, "{}", page.get("/running")?.body);
        ensure!(!home.path("right/pictures/1.jpg").exists());
        assert_eq!(fs::read_to_string(home.path("left/docs/new.txt"))?, "new");
        page.get("/")?.expect(200, ">Run</button>")?;
    }
    Ok(())
}

#[test]
fn a_schedule_runs_while_the_page_is_served() -> Result<()> {
    let home = Home::new()?;
    home.write("left/a.txt", "hello")?;
    fs::create_dir(home.path("right"))?;
    let job = "plugin = \"folder\"\nschedule = \"* * * * *\"\n\
               [dirs]\nleft = \"left\"\nright = \"right\"\n";
    home.write("job.toml", job)?;
    home.run(&["run", "--job", "job.toml"])?.expect(0, "succeeded")?;
    let page = Page::start(&home)?;
    page.get("/")?.expect(200, "next run")?;
    let before = last_run(&home)?;
    home.write("left/b.txt", "later")?;
    page.wait_for("/running", "created on right: b.txt (5 B)")?;
    page.wait_for("/running", "runs nothing at the moment")?;
    assert_eq!(fs::read_to_string(home.path("right/b.txt"))?, "later");
    let runs = home.run(&["history", "--limit", "1", "--json"])?.json_lines()?;
    ensure!(runs[0]["run"] != before.as_str() && runs[0]["trigger"] == "scheduled", "{runs:?}");
    Ok(())
}

#[test]
fn a_limit_of_deletions_is_for_one_run() -> Result<()> {
    let home = Home::new()?;
    for number in 0..20 {
        home.write(&format!("left/{number}.txt"), "")?;
    }
    fs::create_dir(home.path("right"))?;
    home.run(&PAIR)?.expect(0, "succeeded")?;
    for number in 0..15 {
        fs::remove_file(home.path(&format!("left/{number}.txt")))?;
    }
    let run = |more: &[&str]| home.run(&[&PAIR[..], more].concat());
    run(&[])?.expect(4, "")?;
    run(&["--max-delete", "14", "--set", "max-delete=any"])?.expect(4, "")?;
    run(&["--max-delete", "many"])?.expect(2, "a number of files")?;
    run(&["--max-delete", "15"])?.expect(0, "succeeded")?;
    assert_eq!(fs::read_dir(home.path("right"))?.count(), 5);
    Ok(())
}

#[test]
fn only_jobs_whose_arguments_are_known_can_be_run() -> Result<()> {
    for (more, runnable) in [
        (&[][..], true),
        (&["--set", "mode=mirror"][..], false),
        (&["--limit", "items=10"], false),
        (&["--item", "folder"], false),
    ] {
        let home = Home::new()?;
        home.write("left/a.txt", "hello")?;
        fs::create_dir(home.path("right"))?;
        let command: Vec<_> = PAIR.iter().chain(more).copied().collect();
        home.run(&command)?.expect(0, "succeeded")?;
        let shown = Page::start(&home)?.get("/")?.expect(200, "<h2>folder</h2>")?;
        let button = shown.body.contains(">Run</button>");
        assert_eq!(button, runnable, "{more:?}: {}", shown.body);
        assert_eq!(shown.body.contains("the settings of the last run are not known"), !runnable);
    }
    // Read-only access would be lost.
    let home = Home::new()?;
    home.write("left/a.txt", "hello")?;
    fs::create_dir(home.path("right"))?;
    let mirror = ["--dir", "left=left:ro", "--dir", "right=right", "--set", "mode=mirror"];
    home.run(&[&["run", "folder"][..], &mirror].concat())?.expect(0, "")?;
    let shown = Page::start(&home)?.get("/")?.body;
    ensure!(!shown.contains(">Run</button>"), "{shown}");
    // A registration has everything.
    home.run(&[&["register", "folder"][..], &mirror].concat())?.expect(0, "")?;
    Page::start(&home)?.get("/")?.expect(200, ">Run</button>")?;
    // A job file that does not exist any longer cannot be run.
    let home = with_waiting_job()?;
    let page = Page::start(&home)?;
    page.get("/")?.expect(200, ">Run</button>")?;
    fs::remove_file(home.path("job.toml"))?;
    ensure!(!page.get("/")?.body.contains(">Run</button>"));
    Ok(())
}

#[test]
fn a_cancelled_run_tidies_up() -> Result<()> {
    let home = with_waiting_job()?;
    let mut page = Page::start(&home)?;
    page.submit("/", "job", "&mode=run")?.expect(303, "")?;
    wait_until("the start", || home.path("dir/started").exists())?;
    page.wait_for("/running", "halfway, 5 of 10")?;
    ensure!(!home.path("dir/tidied").exists());
    page.submit("/running", "run", "")?.expect(303, "")?;
    let shown = page.wait_for("/running", "Ended")?;
    ensure!(shown.body.contains("cancelled"), "{}", shown.body);
    ensure!(home.path("dir/tidied").exists(), "the first signal is a request");
    page.get("/")?.expect(200, "cancelled")?;
    Ok(())
}

#[test]
fn progress_is_sent_while_a_run_goes_on() -> Result<()> {
    let home = with_waiting_job()?;
    let mut page = Page::start(&home)?;
    page.submit("/", "job", "&mode=run")?.expect(303, "")?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, page.port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let headers = page.headers();
    write!(
        stream,
        "GET /running/events HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}\r\n",
        page.port
    )?;
    let mut lines = BufReader::new(stream).lines();
    let mut find = |words: &str| -> Result<String> {
        let found = lines.find(|line| line.as_ref().map_or(true, |line| line.contains(words)));
        Ok(found.with_context(|| format!("the stream ended before {words}"))??)
    };
    find("text/event-stream")?;
    find("halfway, 5 of 10")?;
    page.submit("/running", "run", "")?.expect(303, "")?;
    find("\"shape\":\"1:false:")?;
    Ok(())
}

#[test]
fn the_end_of_the_program_is_the_end_of_its_runs() -> Result<()> {
    let home = with_waiting_job()?;
    let mut page = Page::start(&home)?;
    page.submit("/", "job", "&mode=run")?.expect(303, "")?;
    wait_until("the start", || home.path("dir/started").exists())?;
    let sent = Command::new("kill").args(["-INT", &page.child.id().to_string()]).status()?;
    ensure!(sent.success());
    let status = page.child.wait()?;
    ensure!(status.success(), "{status}");
    ensure!(home.path("dir/tidied").exists(), "the run was cancelled, not killed");
    home.run(&["status"])?.expect(1, "a: cancelled")?;
    Ok(())
}

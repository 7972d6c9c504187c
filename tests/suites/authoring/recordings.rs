//! Recorded runs, and what comes of replaying them.

use super::*;

#[test]
fn a_recording_allows_what_its_run_was_allowed() -> Result<()> {
    let home = Home::new()?;
    let commands = "random\nprogress item=a status=succeeded";
    let run = [
        "run",
        conformance::SCRIPT,
        "--set",
        "items=a",
        "--set",
        &format!("synchronize={commands}"),
    ];
    for (allow, status, words) in
        [(&["--allow", "randomness"][..], 0, "succeeded"), (&[], 7, "ended-denied")]
    {
        let record = ["--record", "run.jsonl", "--json"];
        home.run("", &[&run[..], allow, &record].concat())?.expect(status, words)?;
        let replayed = home.run("", &["replay", conformance::SCRIPT, "run.jsonl"])?;
        replayed.expect(0, "all ").with_context(|| format!("{allow:?}"))?;
    }
    Ok(())
}

#[test]
fn a_recording_is_replayed_and_the_first_difference_is_shown() -> Result<()> {
    let home = Home::new()?;
    let script = conformance::SCRIPT;
    fs::create_dir(home.path("in"))?;
    let commands = "progress item=a status=updating value=1 max=2 text=one\n\
                    progress item=a status=succeeded value=2";
    let run = ["run", script, "--set", "items=a", "--set"];
    let record = ["--record", "run.jsonl"];
    let setting = format!("synchronize={commands}");
    let arguments = [&run[..], &[&setting], &record].concat();
    home.run("", &arguments)?.expect(0, "succeeded")?;
    home.run("", &["replay", script, "run.jsonl"])?.expect(0, "all ")?;

    // The plugin does something else from the second report on.
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    let changed = text.replacen("value=2", "value=1", 1);
    ensure!(changed != text, "{text}");
    fs::write(home.path("other.jsonl"), changed)?;
    let replayed = home.run("", &["replay", script, "other.jsonl"])?;
    let replayed = replayed.expect(3, "is not as in the recording")?;
    let (recorded, now) =
        (replayed.stdout.contains("value=2"), replayed.stdout.contains("value=1"));
    ensure!(recorded && now && replayed.stdout.contains("now:"), "{replayed:?}");

    fs::write(home.path("broken.jsonl"), "{}\n")?;
    home.run("", &["replay", script, "broken.jsonl"])?.expect(2, "line 1")?;
    Ok(())
}

#[test]
fn a_recording_with_files_needs_nothing_else() -> Result<()> {
    let home = Home::new()?;
    for (path, text) in
        [("left/a.txt", &b"a"[..]), ("left/b/c.bin", b"\xff\x00"), ("right/d", b"d")]
    {
        let path = home.path(path);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        fs::write(path, text)?;
    }
    let dirs = ["--dir", "left=left", "--dir", "right=right"];
    let record = ["--record", "run.jsonl", "--record-files"];
    home.run("", &[&["run", "folder"][..], &dirs, &record].concat())?.expect(0, "succeeded")?;
    fs::remove_dir_all(home.path("left"))?;
    fs::remove_dir_all(home.path("right"))?;
    // The built-in plugin is asked for by its file here.
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    ensure!(text.contains("c.bin") && text.contains("base64"), "{text}");
    home.run("", &["replay", conformance::FOLDER, "run.jsonl"])?.expect(0, "all ")?;
    Ok(())
}

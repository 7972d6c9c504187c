//! Recorded runs, and their replay.

use super::*;

#[test]
fn a_recording_has_the_grants_of_its_run() -> Result<()> {
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
        home.run(&[&run[..], allow, &record].concat())?.expect(status, words)?;
        let replayed = home.run(&["replay", conformance::SCRIPT, "run.jsonl"])?;
        replayed.expect(0, "all ").with_context(|| format!("{allow:?}"))?;
    }
    Ok(())
}

#[test]
fn a_replay_shows_the_first_difference() -> Result<()> {
    let home = Home::new()?;
    let script = conformance::SCRIPT;
    fs::create_dir(home.path("in"))?;
    let commands = "progress item=a status=updating value=1 max=2 text=one\n\
                    progress item=a status=succeeded value=2";
    let run = ["run", script, "--set", "items=a", "--set"];
    let record = ["--record", "run.jsonl"];
    let setting = format!("synchronize={commands}");
    let arguments = [&run[..], &[&setting], &record].concat();
    home.run(&arguments)?.expect(0, "succeeded")?;
    home.run(&["replay", script, "run.jsonl"])?.expect(0, "all ")?;

    // The plugin behaves differently from the second report on.
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    let changed = text.replacen("value=2", "value=1", 1);
    ensure!(changed != text, "{text}");
    fs::write(home.path("other.jsonl"), changed)?;
    let replayed = home.run(&["replay", script, "other.jsonl"])?;
    let replayed = replayed.expect(3, "differs from the recording")?;
    let (recorded, now) =
        (replayed.stdout.contains("value=2"), replayed.stdout.contains("value=1"));
    ensure!(recorded && now && replayed.stdout.contains("now:"), "{replayed:?}");

    fs::write(home.path("broken.jsonl"), "{}\n")?;
    home.run(&["replay", script, "broken.jsonl"])?.expect(2, "line 1")?;
    Ok(())
}

#[test]
fn a_replay_does_not_compare_work_in_progress() -> Result<()> {
    let home = Home::new()?;
    let script = conformance::SCRIPT;
    let end = "\nprogress item=a status=succeeded quiet=";
    let recorded = "progress item=a status=updating value=0 max=9 quiet=\n\
                    progress item=a quiet= value=3 text=three\n\
                    progress item=a status=updating-indeterminate text=four quiet=";
    let setting = format!("synchronize={recorded}{end}");
    let run = ["run", script, "--set", "items=a", "--record", "run.jsonl", "--set", &setting];
    home.run(&run)?.expect(0, "succeeded")?;
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    let with = |from: &str, to: &str| -> Result<String> {
        ensure!(text.contains(from), "no {from:?} in {text}");
        Ok(text.replacen(from, to, 1))
    };
    let cancelled = with(
        r#""prog-value":3,"response":"continue""#,
        r#""prog-value":3,"response":"cancel-item""#,
    )?;
    for (what, changed, status) in [
        ("another value", with("value=3", "value=4")?, 0),
        ("another text", with("text=four", "text=five")?, 0),
        ("fewer reports", with("progress item=a quiet= value=3 text=three\\n", "")?, 0),
        ("more reports", with("text=three", "text=three times=9")?, 0),
        ("a cancellation, reached later", cancelled.replacen("value=3", "value=5", 1), 0),
        ("a cancellation, not reached", cancelled.replacen("value=3", "value=2", 1), 3),
        ("another total", with("max=9", "max=8")?, 3),
        ("another status", with("status=succeeded", "status=failed")?, 3),
    ] {
        fs::write(home.path("changed.jsonl"), changed)?;
        let replayed = home.run(&["replay", script, "changed.jsonl"])?;
        replayed.expect(status, "the recording").context(what)?;
    }
    Ok(())
}

#[test]
fn a_recording_with_files_is_self_contained() -> Result<()> {
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
    home.run(&[&["run", "folder"][..], &dirs, &record].concat())?.expect(0, "succeeded")?;
    fs::remove_dir_all(home.path("left"))?;
    fs::remove_dir_all(home.path("right"))?;
    // The built-in plugin is specified by its file here.
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    ensure!(text.contains("c.bin") && text.contains("base64"), "{text}");
    home.run(&["replay", conformance::FOLDER, "run.jsonl"])?.expect(0, "all ")?;
    Ok(())
}

#[test]
fn an_invalid_recording_is_a_usage_error() -> Result<()> {
    let home = Home::new()?;
    let head = |more: &str| {
        format!("{{\"version\":1,\"plugin\":\"a\",\"component\":\"\",\"event\":3{more}}}\n")
            .into_bytes()
    };
    let directory = |files: &str| head(&format!(",\"directories\":{{\"left\":[{files}]}}"));
    for (what, recording) in [
        ("nothing", Vec::new()),
        ("no text", b"{\xff\xfe}".to_vec()),
        ("another version", head("").iter().map(|&b| if b == b'1' { b'2' } else { b }).collect()),
        ("a setting that none can be", head(",\"settings\":{\"a=b\":\"\"}")),
        ("a name that none can be", head(",\"directories\":{\"a b\":[]}")),
        (
            "a file in a file",
            directory(
                "{\"path\":\"a\",\"content\":{\"text\":\"\"}},{\"path\":\"a/b\",\"content\":{\"text\":\"\"}}",
            ),
        ),
        ("a name that is too long", directory(&format!("{{\"path\":\"{}\"}}", "x".repeat(300)))),
    ] {
        fs::write(home.path("broken.jsonl"), recording)?;
        let ran = home.run(&["replay", conformance::SCRIPT, "broken.jsonl"])?;
        ensure!(ran.status == 2, "{what}: {ran:?}");
    }
    for file in [".", "missing.jsonl", "/dev/zero"] {
        home.run(&["replay", conformance::SCRIPT, file])?.expect(2, file)?;
    }
    Ok(())
}

#[test]
fn a_bounded_recording_is_valid() -> Result<()> {
    let home = Home::new()?;
    let flood = format!("synchronize=progress item=a text={} times=999999999", "x".repeat(4000));
    let run = ["run", conformance::SCRIPT, "--set", "items=a", "--set", &flood];
    let record = ["--record", "run.jsonl", "--limit", "record-bytes=100KiB"];
    home.run(&[&run[..], &record].concat())?.expect(7, "record-bytes")?;
    let text = fs::read_to_string(home.path("run.jsonl"))?;
    ensure!((90 << 10..120 << 10).contains(&text.len()), "{} bytes", text.len());
    let replayed = home.run(&["replay", conformance::SCRIPT, "run.jsonl"])?;
    ensure!(matches!(replayed.status, 0 | 3), "{replayed:?}");
    Ok(())
}

#[test]
fn truncated_json_lines_are_marked() -> Result<()> {
    let home = Home::new()?;
    let reports = format!(
        "synchronize=progress item=a text={} times=200\nprogress item=a status=succeeded",
        "x".repeat(1000)
    );
    let run = ["run", conformance::SCRIPT, "--set", "items=a", "--set", &reports, "--json"];
    let ran = home.run(&[&run[..], &["--limit", "json-bytes=20KiB"]].concat())?;
    let ran = ran.expect(0, "\"event\":\"truncated\",\"limit\":\"json-bytes\",\"value\":20480")?;
    // The log has separate limits.
    let lines = ran.stdout.lines().filter(|line| !line.starts_with("{\"event\":\"log\""));
    let bytes: usize = lines.map(|line| line.len() + 1).sum();
    ensure!(bytes < 24 << 10, "{bytes} bytes");
    ensure!(ran.stdout.contains("\"status-type\":\"succeeded\""), "its end is missing");
    ensure!(ran.stdout.lines().last().is_some_and(|last| last.contains("\"report\"")));
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_recording_has_all_kinds_of_entries() -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let home = Home::new()?;
    fs::create_dir_all(home.path("left/empty"))?;
    fs::create_dir_all(home.path("right"))?;
    for name in [&b"a\nb"[..], b"caf\xe9", &b"x".repeat(255), b"plain"] {
        fs::write(home.path("left").join(std::ffi::OsStr::from_bytes(name)), name)?;
    }
    std::os::unix::fs::symlink("/etc/passwd", home.path("left/absolute"))?;
    std::os::unix::fs::symlink("nowhere", home.path("left/dangling"))?;
    let made = std::process::Command::new("mkfifo").arg(home.path("left/fifo")).status()?;
    ensure!(made.success());
    let dirs = ["--dir", "left=left", "--dir", "right=right"];
    let record = ["--record", "run.jsonl", "--record-files"];
    home.run(&[&["run", "folder"][..], &dirs, &record].concat())?.expect(1, "")?;
    home.run(&["replay", conformance::FOLDER, "run.jsonl"])?.expect(0, "all ")?;
    Ok(())
}

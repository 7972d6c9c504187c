//! Messages about mistakes on the command line and in job files.

use super::*;

#[test]
fn common_mistakes_are_answered_with_the_correct_usage() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    for (arguments, words) in [
        (&["run", "folder", "left"][..], "--dir left=DIRECTORY --dir right=DIRECTORY"),
        (&["run", "folder", "left", "https://dav.example/"], "name them: `--dir left=DIRECTORY "),
        (&["items", "folder", "left"], "--dir left=A --dir right=B"),
        (&["run", "folder", "--dir", "left"], "NAME=PATH"),
        (&["run", "folder", "--dir", "left=left", "--dir", "left=right"], "`--dir left=...` is"),
        (&pair_with(&["--set", "mode=mirror", "--set", "mode=newer"]), "`--set mode=...` is given"),
        (&pair_with(&["--set", "ignore=a", "--set", "ignore=a"]), "`--set ignore=...` is given"),
        (&pair_with(&["--limit", "items=1", "--limit", "items=2"]), "`--limit items=...` is given"),
        (&pair_with(&["--state-dir", ""]), "--state-dir <DIR>"),
        (&["run", "folder", "--dir", "left=", "--dir", "right=right"], "has no path"),
        (&["register", "folder", "--set", "mode=newer", "--set", "mode=newer"], "is given twice"),
        (&["test", "x.wasm", "--set", "a=1", "--set", "a=2"], "is given twice"),
    ] {
        home.run(arguments)?.expect(2, words).with_context(|| format!("{arguments:?}"))?;
    }
    let ran = home.run(&["run", "folder", "--lefft", "x"])?;
    assert!(!ran.stderr.contains("--dir left=A"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn an_invalid_job_file_is_named_with_the_reason() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    let good = "plugin = \"folder\"\n[dirs]\nleft = \"left\"\nright = \"right\"\n";
    let utf16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    home.write("good.toml", format!("\u{feff}{}", good.replace('\n', "\r\n")))?;
    home.run(&["run", "--job", "good.toml"])?.expect(0, "1 copied")?;
    for (name, content, words) in [
        ("utf16.toml", utf16(good), "UTF-16"),
        ("latin.toml", b"plugin = \"caf\xe9\"".to_vec(), "not UTF-8"),
        (
            "dot.toml",
            b"plugin = \"folder\"\n[items.\"my.docs\"]\ndirs = { left = \"left\" }".to_vec(),
            "invalid item key `my.docs`: a key consists of letters",
        ),
        (
            "escape.toml",
            b"plugin = \"folder\"\n[dirs]\nleft = \"C:\\Users\\me\"\n".to_vec(),
            "in single quotes",
        ),
        (
            "item.toml",
            b"plugin = \"folder\"\n[items.docs]\ndirs = { left = \"left\", right = \"right\" }\n\
              [items.photos]\ndirs = { left = \"left\", right = \"right\" }\n\
              settings = { mode = \"miror\" }\n"
                .to_vec(),
            "photos",
        ),
    ] {
        home.write(name, content)?;
        let ran = home.run(&["run", "--job", name])?.expect(2, words).context(name)?;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(name) || name == "item.toml", "{said}");
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_device_or_a_pipe_in_place_of_a_file_is_refused() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    let pipe = home.path("pipe.wasm");
    anyhow::ensure!(Command::new("mkfifo").arg(&pipe).status()?.success());
    std::os::unix::fs::symlink("/dev/zero", home.path("zero.wasm"))?;
    for command in ["validate", "inspect", "run", "items", "register"] {
        for file in ["pipe.wasm", "zero.wasm"] {
            home.run(&[command, file])?
                .expect(2, "error[load-read]")?
                .expect(2, "no regular file")
                .with_context(|| format!("{command} {file}"))?;
        }
    }
    home.run(&["run", "--job", "/dev/zero"])?.expect(2, "larger than 1 MiB")?;
    let register = ["register", conformance::SCRIPT, "--name", "x"];
    home.run(&[&register[..], &["--grants", "/dev/zero"]].concat())?
        .expect(2, "larger than 1 MiB")?;
    home.run(&["run", conformance::SCRIPT, "--secret", "token=file:/dev/zero"])?
        .expect(2, "larger than 1 MiB")?;
    // A file from a shell's process substitution is read.
    let job = "plugin = \"folder\"\n[dirs]\nleft = \"left\"\nright = \"right\"\n";
    home.write(
        "job.toml",
        job.replace("\"left\"", &format!("{:?}", home.path("left")))
            .replace("\"right\"", &format!("{:?}", home.path("right"))),
    )?;
    let output = home
        .command(&["run", "--job", "/dev/stdin"])
        .stdin(fs::File::open(home.path("job.toml"))?)
        .output()?;
    Ran::of(&output).expect(0, "1 copied")?;
    Ok(())
}

#[test]
fn an_item_of_a_job_is_selected_by_its_key_or_its_name() -> anyhow::Result<()> {
    let home = Home::new()?;
    for name in ["one/l/a", "one/r/b", "two/l/c", "two/r/d"] {
        home.write(name, name)?;
    }
    home.write(
        "sync.toml",
        "plugin = \"folder\"\n[items.docs]\nname = \"Documents\"\n\
         dirs = { left = \"one/l\", right = \"one/r\" }\n\
         [items.photos]\ndirs = { left = \"two/l\", right = \"two/r\" }\n",
    )?;
    let run = |item: &str| home.run(&["run", "--job", "sync.toml", "--item", item]);
    run("docs")?.expect(0, "succeeded: Documents, 2 copied")?;
    run("Documents")?.expect(0, "succeeded: Documents, nothing to do")?;
    assert!(!home.path("two/r/c").exists(), "only the item named");
    run("photos")?.expect(0, "succeeded: photos, 2 copied")?;
    run("letters")?.expect(2, "unknown item \"letters\"")?;
    Ok(())
}

#[test]
fn a_directory_is_named_with_its_path() -> anyhow::Result<()> {
    let home = Home::with_pair()?;
    let gone = home.path("nowhere/dosc");
    let right = format!("right={}", gone.display());
    home.run(&["run", "folder", "--dir", "left=left", "--dir", &right])?
        .expect(4, &gone.display().to_string())?;
    Ok(())
}

#[test]
fn native_results_are_shown_in_json_and_on_request() -> anyhow::Result<()> {
    let home = Home::new()?;
    let failing = "synchronize=progress item=a status=failed text=no";
    let run = ["run", conformance::SCRIPT, "--set", "items=a", "--set", failing];
    let ran = home.run(&run)?.expect(3, "failed: a, no")?;
    assert!(!ran.stdout.contains("0x80004005"), "{}", ran.stdout);
    home.run(&[&run[..], &["-v"]].concat())?.expect(3, "failed [E_FAIL (0x80004005)]: a, no")?;
    home.run(&[&run[..], &["--json"]].concat())?.expect(3, "0x80004005")?;
    Ok(())
}

#[test]
fn validate_accepts_the_arguments_of_inspect() -> anyhow::Result<()> {
    let home = Home::new()?;
    home.run(&["register", conformance::HELLO, "--name", "mine"])?.expect(0, "registered")?;
    for plugin in ["folder", "mine", conformance::HELLO] {
        home.run(&["inspect", plugin])?.expect(0, "contract")?;
        home.run(&["validate", plugin])?.expect(0, "is a plugin of syncmgr:plugin@0.1.0")?;
    }
    home.run(&["validate", "nothing"])?.expect(2, "no plugin `nothing`")?;
    Ok(())
}

#[test]
fn text_in_json_is_safe_to_print_and_keeps_its_value() -> anyhow::Result<()> {
    let home = Home::new()?;
    let text = "a\u{9b}2J\u{7f}\u{202e}\u{200b}\u{fe0f}b";
    let attack = format!("synchronize=progress item=a text={text} status=succeeded");
    let run = ["run", conformance::SCRIPT, "--set", "items=a", "--set", &attack, "--json"];
    let ran = home.run(&run)?.expect(0, r"a\u009b2J\u007f\u202e\u200b\ufe0fb")?;
    let report = ran.json_lines()?.pop().context("there is a report")?;
    assert_eq!(report["items"][0]["text"], text);
    let shown = home.run(&run[..6])?.expect(0, r"a\u{9b}2J\u{7f}\u{202e}\u{200b}\u{fe0f}b")?;
    assert!(shown.stdout.chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_recording_is_private_to_its_owner() -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new()?;
    for there in [false, true] {
        if there {
            home.write("run.jsonl", "old")?;
            fs::set_permissions(home.path("run.jsonl"), fs::Permissions::from_mode(0o644))?;
        }
        home.run(&["run", conformance::HELLO, "--record", "run.jsonl"])?.expect(0, "Greeting")?;
        let mode = fs::metadata(home.path("run.jsonl"))?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "there before: {there}");
    }
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_recording_has_files_with_non_unicode_names() -> anyhow::Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let home = Home::with_pair()?;
    fs::write(home.path("left").join(OsStr::from_bytes(b"caf\xe9")), "x")?;
    home.run(&pair_with(&["--record", "run.jsonl", "--record-files"]))?.expect(1, "caf")?;
    home.run(&["replay", "folder", "run.jsonl"])?.expect(0, "match the recording")?;
    Ok(())
}

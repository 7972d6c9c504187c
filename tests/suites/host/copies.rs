//! Copying many files with one call: each copy is complete, and each result belongs to its file.
#![cfg(target_os = "linux")]

mod attributes;

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context;
use conformance::script::Script;
use conformance::{isolation, limits};
use syncmgr_host::{Access, CancelHandle, Grant, SessionOptions};

/// Two directories that the script plugin is granted, and its storage.
struct Workdir(tempfile::TempDir);

impl Workdir {
    fn new() -> anyhow::Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    fn within(directory: &Path) -> anyhow::Result<Self> {
        let workdir = Self(tempfile::tempdir_in(directory)?);
        for name in ["source", "target", "locked", "storage"] {
            fs::create_dir(workdir.path(name))?;
        }
        Ok(workdir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the log of the plugin about its copies.
    fn copies(
        &self,
        arguments: &str,
        change: impl FnOnce(SessionOptions) -> SessionOptions,
    ) -> anyhow::Result<String> {
        let ran = self.script(arguments)?.options(change).run()?;
        let said = ran.said_in_synchronize().join("\n");
        said.strip_prefix("copies: ")
            .map(str::to_owned)
            .with_context(|| format!("{:?}", ran.report))
    }

    fn script(&self, arguments: &str) -> anyhow::Result<Script> {
        let grant = |name, access| Grant::new(name, self.path(name), access);
        let grants = [
            grant("source", Access::ReadWrite)?,
            grant("target", Access::ReadWrite)?,
            grant("locked", Access::ReadOnly)?,
        ];
        let script = Script::new("a").on("synchronize", &format!("copies {arguments}"));
        Ok(script.options(|options| {
            grants.into_iter().fold(options, SessionOptions::grant).storage(self.path("storage"))
        }))
    }

    /// Creates this number of sources with a content, and returns their names for the plugin.
    fn sources(&self, count: usize, content: &[u8]) -> io::Result<String> {
        let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        names.iter().try_for_each(|name| fs::write(self.path("source").join(name), content))?;
        Ok(names.join(","))
    }

    fn target_names(&self) -> anyhow::Result<Vec<String>> {
        let entries = fs::read_dir(self.path("target"))?;
        let name = |entry: io::Result<fs::DirEntry>| -> io::Result<String> {
            Ok(entry?.file_name().to_string_lossy().into_owned())
        };
        let mut names = entries.map(name).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }
}

fn unchanged(options: SessionOptions) -> SessionOptions {
    options
}

/// Bytes without repetition.
fn content(len: usize) -> Vec<u8> {
    (0_u64..).flat_map(u64::to_le_bytes).take(len).collect()
}

fn digest(content: &[u8]) -> String {
    blake3::hash(content).to_hex()[..16].to_owned()
}

#[test]
fn a_copy_has_the_content_the_time_and_the_permissions_of_its_source() -> anyhow::Result<()> {
    let modified = UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    for verify in ["", " verify=yes"] {
        for (len, mode, kept) in [
            (0, 0o600, 0o600),
            (1, 0o644, 0o644),
            (1_000, 0o777, 0o777),
            (300_000, 0o400, 0o400),
            ((3 << 20) + 1, 0o4755, 0o755),
            (9 << 20, 0o1640, 0o640),
        ] {
            let workdir = Workdir::new()?;
            let (source, target) =
                (workdir.path("source").join("f"), workdir.path("target").join("f"));
            let content = content(len);
            fs::write(&source, &content)?;
            let file = File::options().write(true).open(&source)?;
            file.set_times(FileTimes::new().set_modified(modified))?;
            fs::set_permissions(&source, Permissions::from_mode(mode))?;
            let said =
                workdir.copies(&format!("from=source to=target files=f{verify}"), unchanged)?;
            assert_eq!(said, format!("1 {len} bytes {}", digest(&content)));
            assert!(fs::read(&target)? == content, "{len} bytes");
            let metadata = target.metadata()?;
            assert_eq!(metadata.mode() & 0o7777, kept, "{len} bytes");
            assert_eq!(metadata.modified()?, modified, "{len} bytes");
        }
    }
    Ok(())
}

#[test]
fn each_answer_is_that_of_its_file_and_a_failure_leaves_nothing() -> anyhow::Result<()> {
    let workdir = Workdir::new()?;
    let source = workdir.path("source");
    fs::write(source.join("one"), "one")?;
    fs::write(source.join("two"), "two!")?;
    fs::write(source.join("long"), "longer")?;
    fs::create_dir(source.join("directory"))?;
    symlink("one", source.join("link"))?;
    anyhow::ensure!(Command::new("mkfifo").arg(source.join("fifo")).status()?.success());
    fs::write(workdir.path("target").join("there"), "before")?;
    let long_name = "x".repeat(256);
    let rows = [
        ("one", "1", format!("3 bytes {}", digest(b"one"))),
        ("missing", "2", "ErrorCode::NotFound".to_owned()),
        ("directory", "3", "ErrorCode::Changed".to_owned()),
        ("one", "there", "ErrorCode::AlreadyExists".to_owned()),
        ("link", "4", "ErrorCode::Changed".to_owned()),
        ("long", "5", "ErrorCode::Changed".to_owned()),
        ("../source/one", "6", "ErrorCode::InvalidArgument".to_owned()),
        ("two", "1", "ErrorCode::AlreadyExists".to_owned()),
        ("one", "../target/7", "ErrorCode::InvalidArgument".to_owned()),
        ("fifo", "8", "ErrorCode::Changed".to_owned()),
        ("one", &long_name, "ErrorCode::InvalidArgument".to_owned()),
        ("two", "2", format!("4 bytes {}", digest(b"two!"))),
    ];
    let names: Vec<_> = rows.iter().map(|row| row.0).collect();
    let new_names: Vec<_> = rows.iter().map(|row| row.1).collect();
    let said = workdir.copies(
        &format!(
            "from=source to=target max=5 files={} as={}",
            names.join(","),
            new_names.join(",")
        ),
        unchanged,
    )?;
    // If two files have the same target, their order is undefined, but both have a result.
    let results: Vec<_> = said
        .split(", ")
        .flat_map(|row| {
            let (count, answer) = row.split_once(' ').unwrap_or_default();
            vec![answer.to_owned(); count.parse().unwrap_or(0)]
        })
        .collect();
    let expected: Vec<_> = rows.iter().map(|row| row.2.clone()).collect();
    let (first, second) = (0, 7);
    for (index, (result, expected)) in results.iter().zip(&expected).enumerate() {
        assert!(index == first || index == second || result == expected, "{index}: {said}");
    }
    assert_eq!(results.len(), expected.len(), "{said}");
    let made = [&results[first], &results[second]];
    assert_eq!(made.iter().filter(|result| result.contains("bytes")).count(), 1, "{said}");
    assert_eq!(workdir.target_names()?, ["1", "2", "there"]);
    assert_eq!(fs::read(workdir.path("target").join("there"))?, b"before");
    Ok(())
}

#[test]
fn a_read_only_grant_rejects_copies() -> anyhow::Result<()> {
    let workdir = Workdir::new()?;
    fs::write(workdir.path("locked").join("f"), "f")?;
    let from_locked = workdir.copies("from=locked to=target files=f", unchanged)?;
    assert_eq!(from_locked, format!("1 1 bytes {}", digest(b"f")));
    let to_locked = workdir.copies("from=target to=locked files=f as=g", unchanged)?;
    assert_eq!(to_locked, "1 ErrorCode::AccessDenied");
    assert!(!workdir.path("locked").join("g").exists());
    Ok(())
}

#[test]
fn concurrent_copies_are_bounded() -> anyhow::Result<()> {
    let workdir = Workdir::new()?;
    let names = workdir.sources(1_100, b"x")?;
    let x = format!("1 bytes {}", digest(b"x"));
    let arguments = format!("from=source to=target files={names}");
    // The default limit of a process is 1,024, and other tests run concurrently.
    let pid = std::process::id().to_string();
    run(Command::new("prlimit").args(["--pid", &pid, "--nofile=8192:"]))?;
    for (open_files, answers, made) in [
        // Two directories are open.
        (12, format!("10 {x}, 1014 ErrorCode::Failed, 76 ErrorCode::InvalidArgument"), 10),
        (2, "1024 ErrorCode::Failed, 76 ErrorCode::InvalidArgument".to_owned(), 0),
        (100_000, format!("1024 {x}, 76 ErrorCode::InvalidArgument"), 1_024),
    ] {
        let limits = limits(|limits| {
            limits.open_files = open_files;
            limits.handles = 100_000;
        });
        let said = workdir.copies(&arguments, |options| options.limits(limits))?;
        assert_eq!(said, answers);
        let copies = workdir.target_names()?;
        assert_eq!(copies.len(), made);
        for copy in copies {
            fs::remove_file(workdir.path("target").join(copy))?;
        }
    }
    Ok(())
}

#[test]
fn copies_in_the_storage_use_its_quota() -> anyhow::Result<()> {
    let workdir = Workdir::new()?;
    let names = workdir.sources(40, &content(2 << 20))?;
    let limits = limits(|limits| limits.storage_bytes = 20 << 20);
    let arguments = format!("from=source to=storage files={names}");
    let said = workdir.copies(&arguments, |options| options.limits(limits))?;
    assert!(
        said.starts_with("9 2097152 bytes ") && said.ends_with(", 31 ErrorCode::NoSpace"),
        "{said}"
    );
    let stored: Vec<_> = fs::read_dir(workdir.path("storage"))?.collect::<io::Result<_>>()?;
    assert_eq!(stored.len(), 9, "nothing is left of those that failed");
    Ok(())
}

#[test]
fn the_result_of_a_copy_holds_under_concurrent_writes() -> anyhow::Result<()> {
    const COPIES: usize = 100;
    const BYTES: usize = 3 << 20;
    let workdir = Workdir::new()?;
    let changing = workdir.path("source").join("changing");
    fs::write(&changing, content(BYTES))?;
    // The system copies files that are unchanged for this time.
    thread::sleep(Duration::from_millis(2_100));
    let (writes, at_rest) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let new_names: Vec<_> = (0..COPIES).map(|number| number.to_string()).collect();
    let said = thread::scope(|scope| {
        let disturb = || -> io::Result<()> {
            let mut file = File::options().write(true).open(&changing)?;
            for version in (0..=255).cycle() {
                while !writes.load(SeqCst) && !at_rest.load(SeqCst) {
                    thread::yield_now();
                }
                if at_rest.load(SeqCst) {
                    break;
                }
                file.rewind()?;
                file.write_all(&vec![version; BYTES])?;
            }
            Ok(())
        };
        let disturbing = scope.spawn(disturb);
        let arguments = format!(
            "from=source to=target files={} as={}",
            vec!["changing"; COPIES].join(","),
            new_names.join(",")
        );
        let begin = Arc::clone(&writes);
        let said = workdir.copies(&arguments, |options| {
            options.host_call_hook(Arc::new(move |call| {
                begin.fetch_or(call == "copy-files", SeqCst);
                true
            }))
        });
        at_rest.store(true, SeqCst);
        let disturbed = disturbing.join().map_err(|_| anyhow::anyhow!("it panicked"))?;
        disturbed?;
        said
    })?;
    let rows = said.split(", ").filter_map(|row| row.split_once(' '));
    let results = rows.flat_map(|(count, row)| vec![row; count.parse().unwrap_or(0)]);
    let mut results: Vec<_> = results.collect();
    let copy = |name: String| -> anyhow::Result<String> {
        let content = fs::read(workdir.path("target").join(name))?;
        Ok(format!("{} bytes {}", content.len(), digest(&content)))
    };
    let mut copies =
        workdir.target_names()?.into_iter().map(copy).collect::<anyhow::Result<Vec<_>>>()?;
    results.sort_unstable();
    copies.sort_unstable();
    assert_eq!(copies.len(), COPIES, "its length never changed");
    assert_eq!(copies, results, "each copy matches its result");
    Ok(())
}

#[test]
fn a_terminated_copy_leaves_nothing() -> anyhow::Result<()> {
    let workdir = Workdir::new()?;
    for name in ["endless", "more"] {
        File::create(workdir.path("source").join(name))?.set_len(1 << 40)?;
    }
    let kill = Arc::new(OnceLock::<CancelHandle>::new());
    let script = workdir.script("from=source to=target files=endless,more")?.options(|options| {
        let (kill, target) = (Arc::clone(&kill), workdir.path("target"));
        options.host_call_hook(Arc::new(move |call| {
            if call == "copy-files" {
                let (kill, target) = (Arc::clone(&kill), target.clone());
                thread::spawn(move || {
                    while fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_none()) {
                        thread::yield_now();
                    }
                    kill.wait().kill();
                });
            }
            true
        }))
    });
    let ran = script.run_with(|cancel| drop(kill.set(cancel.clone())))?;
    assert_eq!(ran.error_code(), Some("ended-killed"));
    // The run does not wait for system calls that continue.
    let since = Instant::now();
    while !workdir.target_names()?.is_empty() && since.elapsed().as_secs() < 20 {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(workdir.target_names()?, [""; 0]);
    Ok(())
}

/// The size of a file system that can share the bytes of files.
const DISK_BYTES: u64 = 512 << 20;

#[test]
fn a_copy_shares_bytes_where_the_file_system_can() -> anyhow::Result<()> {
    if !can_make_disks()? {
        return Ok(());
    }
    isolation::with_own_mounts(a_copy_shares_bytes_where_the_file_system_can, || {
        let home = tempfile::tempdir()?;
        let (disk, root) = (home.path().join("disk"), home.path().join("root"));
        File::create(&disk)?.set_len(DISK_BYTES)?;
        fs::create_dir(&root)?;
        run(Command::new("mkfs.btrfs").arg("--quiet").arg(&disk))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&disk).arg(&root))?;
        let workdir = Workdir::within(&root)?;
        let content = content(100 << 20);
        for name in ["one", "two"] {
            fs::write(workdir.path("source").join(name), &content)?;
        }
        // The system does not copy files that have just been written.
        thread::sleep(Duration::from_millis(2_100));
        run(Command::new("sync").arg("--file-system").arg(&root))?;
        let before = room(&root)?;
        let said = workdir.copies("from=source to=target files=one,two", unchanged)?;
        assert_eq!(said, format!("2 {} bytes {}", content.len(), digest(&content)));
        run(Command::new("sync").arg("--file-system").arg(&root))?;
        let taken = before.saturating_sub(room(&root)?);
        assert!(taken < content.len() as u64 / 4, "{taken} bytes are taken");
        for copy in ["one", "two"] {
            assert!(fs::read(workdir.path("target").join(copy))? == content, "{copy}");
        }
        Ok(())
    })
}

/// Returns whether file systems can be created and mounted; an error if that is required.
fn can_make_disks() -> anyhow::Result<bool> {
    let mut probe = Command::new("mkfs.btrfs");
    let there = probe.arg("--version").stdout(Stdio::null()).status().is_ok();
    let root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    let _ = Command::new("modprobe").args(["--quiet", "btrfs"]).status();
    let known = fs::read_to_string("/proc/filesystems")?.contains("btrfs");
    if there && root && known && Path::new("/dev/loop-control").exists() {
        return Ok(true);
    }
    anyhow::ensure!(
        std::env::var_os("SYNCMGR_REQUIRE_BTRFS").is_none(),
        "SYNCMGR_REQUIRE_BTRFS wants root, a system with Btrfs and loop devices, and mkfs.btrfs: install btrfs-progs"
    );
    // Bypasses the test harness, which hides the output of a passing test.
    writeln!(
        io::stderr(),
        "SKIPPED: copies that share their bytes. Run as root, with btrfs-progs installed."
    )?;
    Ok(false)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(())
}

/// Returns the free bytes of a file system.
fn room(root: &Path) -> anyhow::Result<u64> {
    let output =
        Command::new("df").args(["--block-size=1", "--output=avail"]).arg(root).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().last().unwrap_or_default().trim().parse()?)
}

//! Syncthing: two instances on this machine, because it has no command for a single sync.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

pub(crate) const SYNCTHING: &str = "Syncthing";

const KEY: &str = "benchmark";
/// The time limit of a sync.
const PATIENCE: Duration = Duration::from_secs(1800);

/// One of the two instances.
struct Node {
    home: PathBuf,
    folder: PathBuf,
    id: String,
    api: u16,
    sync: u16,
}

/// A process that is killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a free port.
fn port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Node {
    fn new(home: PathBuf, folder: &Path) -> Result<Self> {
        let home_option = format!("--home={}", home.display());
        let generated = Command::new("syncthing")
            .args(["generate", "--no-default-folder", "--skip-port-probing", &home_option])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(generated.success(), "syncthing generate: {generated}");
        let id = Command::new("syncthing").args([&home_option, "--device-id"]).output()?;
        let id = String::from_utf8(id.stdout)?.trim().to_owned();
        Ok(Self { home, folder: folder.to_owned(), id, api: port()?, sync: port()? })
    }

    /// Writes a configuration without discovery, relays and updates, with the address of the other.
    fn configure(&self, other: &Self) -> Result<()> {
        let device = |node: &Self| {
            format!(
                r#"<device id="{}" name="" compression="never">
                    <address>tcp://127.0.0.1:{}</address></device>"#,
                node.id, node.sync
            )
        };
        let text = format!(
            r#"<configuration version="36">
                <folder id="f" label="f" path="{folder}" type="sendreceive" rescanIntervalS="3600"
                    fsWatcherEnabled="false">
                    <device id="{own}"/><device id="{others}"/>
                    <minDiskFree unit="%">0</minDiskFree>
                </folder>
                {}{}
                <gui enabled="true" tls="false"><address>127.0.0.1:{api}</address>
                    <apikey>{KEY}</apikey></gui>
                <options>
                    <listenAddress>tcp://127.0.0.1:{sync}</listenAddress>
                    <globalAnnounceEnabled>false</globalAnnounceEnabled>
                    <localAnnounceEnabled>false</localAnnounceEnabled>
                    <relaysEnabled>false</relaysEnabled>
                    <natEnabled>false</natEnabled>
                    <reconnectionIntervalS>1</reconnectionIntervalS>
                    <startBrowser>false</startBrowser>
                    <urAccepted>-1</urAccepted>
                    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
                    <crashReportingEnabled>false</crashReportingEnabled>
                    <setLowPriority>false</setLowPriority>
                </options>
            </configuration>"#,
            device(self),
            device(other),
            folder = self.folder.display(),
            own = self.id,
            others = other.id,
            api = self.api,
            sync = self.sync,
        );
        fs::create_dir_all(self.folder.join(".stfolder"))?;
        Ok(fs::write(self.home.join("config.xml"), text)?)
    }

    fn start(&self) -> Result<Running> {
        let child = Command::new("syncthing")
            .args(["serve", "--no-browser", "--no-restart"])
            .arg(format!("--home={}", self.home.display()))
            // Otherwise it becomes a child of the started process, and outlives it.
            .env("STMONITORED", "yes")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Running(child))
    }

    /// Returns the number of local and of known files; `None`: it does not answer yet.
    fn status(&self) -> Option<(u64, u64)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.api)).ok()?;
        let request = format!(
            "GET /rest/db/status?folder=f HTTP/1.0\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let number = |name: &str| -> Option<u64> {
            let rest = answer.split_once(&format!("\"{name}\":"))?.1;
            let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        };
        let idle = answer.contains("\"state\": \"idle\"") || answer.contains("\"state\":\"idle\"");
        idle.then_some(())?;
        Some((number("localFiles")?, number("globalFiles")?))
    }
}

/// Returns the seconds of the first sync from the left; `None`: it is not installed.
pub(crate) fn first_sync(
    place: &Path,
    left: &Path,
    right: &Path,
    files: usize,
) -> Result<Option<f64>> {
    let asked = Command::new("syncthing").arg("--version").stdout(Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        println!("no {SYNCTHING}: it is not installed");
        return Ok(None);
    }
    let one = Node::new(place.join("one"), left)?;
    let other = Node::new(place.join("other"), right)?;
    one.configure(&other)?;
    other.configure(&one)?;
    let since = Instant::now();
    let running = (one.start()?, other.start()?);
    let all = files as u64;
    loop {
        thread::sleep(Duration::from_millis(100));
        if other.status() == Some((all, all)) {
            break;
        }
        if since.elapsed() > PATIENCE {
            bail!("{SYNCTHING} does not end: {:?}", other.status());
        }
    }
    let seconds = since.elapsed().as_secs_f64();
    drop(running);
    Ok(Some(seconds))
}

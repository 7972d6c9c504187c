//! Secrets in the keyring of the system. The tests start a session bus with GNOME Keyring.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use conformance::http_server::HttpServer;
use conformance::servers;

use super::network::{SECRET, credentials_are_hidden};
use super::*;

/// How long the bus and the keyring may take to start.
const START: Duration = Duration::from_secs(60);

const BUS: &str = "<busconfig>
  <type>session</type>
  <listen>unix:path=PLACE/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context=\"default\">
    <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/>
  </policy>
</busconfig>";

/// A session bus, with an unlocked keyring or none. It ends when this is dropped.
struct Session {
    place: tempfile::TempDir,
    children: Vec<Child>,
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Session {
    fn without_keyring() -> anyhow::Result<Option<Self>> {
        if !servers::has("dbus-daemon")? {
            return Ok(None);
        }
        let place = tempfile::tempdir()?;
        let config = place.path().join("bus.conf");
        fs::write(&config, BUS.replace("PLACE", &place.path().display().to_string()))?;
        let mut bus = Command::new("dbus-daemon")
            .args(["--nofork", "--print-address", "--config-file"])
            .arg(&config)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = bus.stdout.take().context("it is piped")?;
        let session = Self { place, children: vec![bus] };
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address)?;
        anyhow::ensure!(address.starts_with("unix:"), "the bus did not start: {address:?}");
        Ok(Some(session))
    }

    /// Starts a session; `None` if a program is missing.
    fn start() -> anyhow::Result<Option<Self>> {
        if !servers::has("gnome-keyring-daemon")? {
            return Ok(None);
        }
        let Some(mut session) = Self::without_keyring()? else { return Ok(None) };
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]);
        let control = session.place.path().join("control");
        syncmgr_install::create_private(&control)?;
        command.arg("--control-directory").arg(control);
        session.enter(&mut command);
        let log = fs::File::create(session.place.path().join("log"))?;
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let mut daemon = command.spawn()?;
        let password = daemon.stdin.take();
        session.children.push(daemon);
        password.context("it is piped")?.write_all(b"password of the keyring")?;
        session.wait()?;
        Ok(Some(session))
    }

    fn wait(&self) -> anyhow::Result<()> {
        let home = Home::new()?;
        let end = Instant::now() + START;
        loop {
            let ran = self.run(&home, &["secret", "list"])?;
            if ran.status == 0 {
                return Ok(());
            }
            let log = fs::read_to_string(self.place.path().join("log"))?;
            anyhow::ensure!(Instant::now() < end, "the keyring did not start: {}{log}", ran.said());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes a program a part of the session.
    fn enter(&self, command: &mut Command) {
        let place = self.place.path();
        command
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/bus", place.display()))
            .envs([("HOME", place), ("XDG_DATA_HOME", place), ("XDG_RUNTIME_DIR", place)])
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
    }

    fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = home.command(arguments);
        self.enter(&mut command);
        command
    }

    fn run(&self, home: &Home, arguments: &[&str]) -> anyhow::Result<Ran> {
        Ok(Ran::of(&self.command(home, arguments).stdin(Stdio::null()).output()?))
    }

    /// Stores a secret from standard input.
    fn set(&self, home: &Home, name: &str, secret: &[u8]) -> anyhow::Result<Ran> {
        let mut command = self.command(home, &["secret", "set", name]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // The program may end before it has read everything.
        let _ = child.stdin.take().context("it is piped")?.write_all(secret);
        Ok(Ran::of(&child.wait_with_output()?))
    }

    /// Calls a method of the Secret Service.
    fn call(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
        self.enter(&mut command);
        let ran = Ran::of(&command.args(arguments).output()?);
        anyhow::ensure!(ran.status == 0, "{}", ran.said());
        Ok(())
    }
}

#[test]
fn a_secret_is_stored_used_and_removed() -> anyhow::Result<()> {
    let Some(session) = Session::start()? else { return Ok(()) };
    let home = Home::new()?;
    let run = |arguments: &[&str]| session.run(&home, arguments);
    run(&["secret", "list"])?.expect(0, "")?;
    session.set(&home, "dav", b"an earlier one\n")?.expect(0, "stored the secret dav")?;
    session.set(&home, "dav", format!("{SECRET}\r\n").as_bytes())?.expect(0, "stored")?;
    session.set(&home, "a name/with: others", b"two\nlines\n")?.expect(0, "stored")?;
    assert_eq!(run(&["secret", "list"])?.stdout, "a name/with: others\ndav\n");
    let names = run(&["secret", "list", "--json"])?.json()?;
    assert_eq!(names, serde_json::json!([{ "name": "a name/with: others" }, { "name": "dav" }]));

    let server = HttpServer::start()?;
    let grant = format!("remote={}/", server.url());
    let fetch = ["run", conformance::FETCH, "--set", "requests=GET remote/a", "--http", &grant];
    let with = |auth: &str| run(&[&fetch[..], &["--http-auth", auth]].concat());
    with("remote=bearer:keyring:dav")?.expect(0, "404")?;
    let job = format!(
        "plugin = {:?}\n[settings]\nrequests = \"GET remote/a\"\n[http]\nremote = {:?}\n\
         [http-auth.remote]\nkind = \"bearer\"\nsecret = {{ keyring = \"dav\" }}\n",
        conformance::FETCH,
        format!("{}/", server.url())
    );
    home.write("job.toml", job)?;
    run(&["run", "--job", "job.toml"])?.expect(0, "404")?;
    run(&["register", conformance::FETCH, "--name", "fetch", "--grants", "job.toml"])?
        .expect(0, "registered")?;
    run(&["run", "fetch"])?.expect(0, "404")?;
    let expected = format!("authorization: Bearer {SECRET}\r\n");
    let heads = server.heads();
    assert_eq!(heads.len(), 6, "two items each");
    assert!(heads.iter().all(|head| head.contains(&expected)), "{heads:?}");
    let text = "synchronize=progress item=a text=$token status=succeeded";
    let script = ["run", conformance::SCRIPT, "--set", "items=a", "--set", text];
    run(&[&script[..], &["--secret", "token=keyring:dav"]].concat())?.expect(0, "a, [secret]")?;

    run(&["secret", "remove", "dav"])?.expect(0, "removed the secret dav")?;
    run(&["secret", "remove", "dav"])?.expect(2, "error[keyring-missing]")?;
    with("remote=bearer:keyring:dav")?.expect(2, "the keyring has no secret `dav`")?;
    assert_eq!(run(&["secret", "list"])?.stdout, "a name/with: others\n");
    Ok(())
}

#[test]
fn a_secret_of_the_keyring_is_in_no_output_and_no_file() -> anyhow::Result<()> {
    let Some(session) = Session::start()? else { return Ok(()) };
    let home = Home::new()?;
    session.set(&home, "token", SECRET.as_bytes())?.expect(0, "stored")?;
    credentials_are_hidden(&home, "keyring:token", |command| session.enter(command))
}

#[test]
fn invalid_names_and_secrets_are_refused() -> anyhow::Result<()> {
    let Some(session) = Session::start()? else { return Ok(()) };
    let home = Home::new()?;
    let long = "x".repeat(129);
    for name in ["", "a\u{1b}[2J", &long] {
        session.set(&home, name, b"secret")?.expect(2, "error[keyring-name]")?;
        session.run(&home, &["secret", "remove", name])?.expect(2, "error[keyring-name]")?;
        let token = format!("token=keyring:{name}");
        session
            .run(&home, &["run", conformance::SCRIPT, "--secret", &token])?
            .expect(2, "error[keyring-name]")?;
    }
    let large = vec![b'x'; (1 << 20) + 1];
    for (secret, problem) in
        [(&b"\n"[..], "it is empty"), (b"hunter2\xff", "not UTF-8"), (&large, "larger than 1 MiB")]
    {
        let ran = session.set(&home, "dav", secret)?.expect(2, problem)?;
        assert!(!ran.said().contains("hunter2"), "{}", ran.said());
    }
    session.set(&home, "dav", &large[1..])?.expect(0, "stored")?;
    Ok(())
}

#[test]
fn a_locked_keyring_is_an_error() -> anyhow::Result<()> {
    let Some(session) = Session::start()? else { return Ok(()) };
    let home = Home::new()?;
    session.set(&home, "dav", SECRET.as_bytes())?.expect(0, "stored")?;
    session.call(&[
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.Lock",
        "array:objpath:/org/freedesktop/secrets/collection/login",
    ])?;
    // Nothing can show the prompt.
    let run = ["run", conformance::SCRIPT, "--secret", "token=keyring:dav"];
    for arguments in [&run[..], &["secret", "remove", "dav"]] {
        session.run(&home, arguments)?.expect(7, "error[keyring-locked]")?;
    }
    session.set(&home, "other", b"secret")?.expect(7, "error[keyring-locked]")?;
    Ok(())
}

#[test]
fn a_system_without_a_keyring_is_an_error_with_the_alternatives() -> anyhow::Result<()> {
    let home = Home::new()?;
    let words = "a file with mode 0600 (`file:PATH`) or in a variable (`env:VARIABLE`)";
    let run = ["run", conformance::SCRIPT, "--secret", "token=keyring:dav"];
    for arguments in [&["secret", "list"][..], &["secret", "remove", "dav"], &run] {
        let mut command = home.command(arguments);
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        Ran::of(&command.output()?).expect(2, words)?.expect(2, "error[keyring-unavailable]")?;
    }
    let Some(session) = Session::without_keyring()? else { return Ok(()) };
    for arguments in [&["secret", "list"][..], &run] {
        let ran = session.run(&home, arguments)?.expect(2, words)?;
        ran.expect(2, "error[keyring-unavailable]")?;
    }
    Ok(())
}

/// Returns whether the terminal whose path is in a file does not echo.
fn hides_input(file: &Path) -> anyhow::Result<bool> {
    let path = fs::read_to_string(file).unwrap_or_default();
    let settings = Command::new("stty").args(["-F", path.trim(), "-a"]).output()?;
    Ok(String::from_utf8_lossy(&settings.stdout).split_whitespace().any(|word| word == "-echo"))
}

#[test]
fn a_terminal_does_not_show_the_secret() -> anyhow::Result<()> {
    let Some(session) = Session::start()? else { return Ok(()) };
    let home = Home::new()?;
    let program = env!("CARGO_BIN_EXE_syncmgr");
    let terminal = home.path("terminal");
    // It gives the program a terminal.
    let mut command = Command::new("script");
    let inner = format!("tty >'{}'; exec '{program}' secret set dav", terminal.display());
    command.args(["--quiet", "--return", "--command", &inner, "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    session.enter(&mut command);
    let mut child = command.spawn()?;
    let end = Instant::now() + START;
    while !hides_input(&terminal)? {
        anyhow::ensure!(Instant::now() < end, "the program does not prompt");
        thread::sleep(Duration::from_millis(20));
    }
    let mut keyboard = child.stdin.take().context("it is piped")?;
    keyboard.write_all(format!("{SECRET}\n").as_bytes())?;
    let mut said = Vec::new();
    child.stdout.take().context("it is piped")?.read_to_end(&mut said)?;
    let said = String::from_utf8(said)?;
    anyhow::ensure!(child.wait()?.success(), "{said}");
    assert!(said.contains("stored the secret dav") && !said.contains(SECRET), "{said}");
    let text = "synchronize=progress item=a text=$token status=succeeded";
    let script = ["run", conformance::SCRIPT, "--set", "items=a", "--set", text];
    session
        .run(&home, &[&script[..], &["--secret", "token=keyring:dav"]].concat())?
        .expect(0, "a, [secret]")?;
    Ok(())
}

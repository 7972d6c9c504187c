//! Servers that an operator grants.

use std::process::Stdio;

use super::*;
use conformance::http_server::HttpServer;
use conformance::servers::{self, Authority};

pub(crate) const SECRET: &str = "hunter2-and-more";

impl Home {
    /// Writes a token file with an expired token, of an authorization server at `server`.
    fn login(&self, name: &str, server: &HttpServer) -> anyhow::Result<()> {
        let object = serde_json::json!({
            "token_url": format!("{}/token/{SECRET}", server.url()), "client_id": "me",
            "client_secret": format!("client-{SECRET}"), "refresh_token": format!("old-{SECRET}"),
        });
        let path = self.write(name, object.to_string())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
        #[cfg(not(unix))]
        drop(path);
        Ok(())
    }
}

fn run(home: &Home, requests: &str, more: &[&str]) -> anyhow::Result<Ran> {
    let requests = format!("requests={requests}");
    let run = ["run", conformance::FETCH, "--set", &requests];
    home.run(&[&run[..], more].concat())
}

#[test]
fn a_server_is_granted_on_the_command_line_and_in_a_job() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    home.write("login", format!("me:{SECRET}\n"))?;
    let grant = format!("remote={}/files/", server.url());
    let auth = "remote=basic:file:login";
    let read_only = format!("{grant}:ro");
    for (requests, more, status, words) in [
        ("GET remote/a", &["--http", &grant][..], 0, "404"),
        ("PUT remote/a body=3", &["--http", &grant, "--http-auth", auth], 0, "201"),
        ("PUT remote/a body=3", &["--http", &grant, "--dry-run"], 1, "for reading only"),
        ("PUT remote/a body=3", &["--http", &read_only], 1, "for reading only"),
        ("GET remote/a", &["--http", "remote"], 2, "remote"),
        ("GET remote/a", &["--http", "remote=ftp://a.example/"], 2, "must begin with `https://`"),
        ("GET remote/a", &["--http", &grant, "--http", &grant], 2, "given twice"),
        ("GET remote/a", &["--http", "absent=https://a.example/"], 2, "`absent`"),
        ("GET remote/a", &["--http-auth", auth], 2, "remote"),
        ("GET remote/a", &["--http", "remote=http://a.example/", "--http-auth", auth], 2, "https"),
        (
            "GET remote/a",
            &["--http", &grant, "--http-auth", "remote=basic:x"],
            2,
            "use `--http-auth",
        ),
        ("GET remote/a", &["--http", &grant, "--http-auth", "remote=sso:file:login"], 2, "`sso`"),
        ("GET remote/a", &["--http", &grant, "--http-ca", "login"], 2, "login"),
    ] {
        run(&home, requests, more)?
            .expect(status, words)
            .with_context(|| format!("{requests} {more:?}"))?;
    }
    let job = format!(
        "plugin = {:?}\n[settings]\nrequests = \"GET remote/a\"\n[http]\nremote = {:?}\n\
         [http-auth.remote]\nkind = \"basic\"\nsecret = {{ file = \"login\" }}\n",
        conformance::FETCH,
        format!("{}/files/", server.url())
    );
    home.write("job.toml", &job)?;
    home.run(&["run", "--job", "job.toml"])?.expect(0, "404")?;
    let heads = server.heads();
    let with_auth = heads.iter().filter(|head| head.contains("authorization: Basic "));
    assert_eq!(with_auth.count(), 4, "two items each: {heads:?}");
    Ok(())
}

#[test]
fn an_absent_server_fails_what_needs_it() -> anyhow::Result<()> {
    let home = Home::new()?;
    // Nothing listens at this address.
    let url = HttpServer::start()?.url().replace("127.0.0.1", "127.0.0.2");
    let grant = format!("remote={url}/");
    let message = format!("{url}/a: ErrorCode::ConnectionRefused");
    let options = ["--http", &grant, "--set", "fails=yes"];
    let ran = run(&home, "GET remote/a", &options)?.expect(3, &message)?;
    assert_eq!(ran.said().matches(&message).count(), 2, "two items: {}", ran.said());
    let ran = run(&home, "GET remote/a", &[&options[..], &["--json"]].concat())?.expect(3, "")?;
    let report = ran.json_lines()?.pop().context("a report")?;
    for item in report["items"].as_array().context("items")? {
        assert_eq!(item["code"], "not-connected", "{item}");
    }
    Ok(())
}

#[test]
fn a_denied_server_is_shown_with_the_option_to_add() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    let request = format!("GET {}/a", server.url());
    let shown = format!("--http NAME={}/", server.url());
    let ran = run(&home, &request, &[])?.expect(1, &shown)?;
    assert_eq!(ran.said().matches(&shown).count(), 1, "once for two items: {}", ran.said());
    assert_eq!(server.connections(), 0);
    let ran = run(&home, &request, &["--json"])?.expect(1, "\"denied\":2")?;
    assert!(ran.said().contains(&format!("{:?}", server.url())), "{}", ran.said());
    Ok(())
}

#[test]
fn credentials_are_in_no_output_and_no_file() -> anyhow::Result<()> {
    for source in ["file:token", "env:TOKEN"] {
        let home = Home::new()?;
        home.write("token", SECRET)?;
        credentials_are_hidden(&home, source, |command| {
            command.env("TOKEN", SECRET);
        })
        .context(source)?;
    }
    Ok(())
}

/// Checks that the program prints and writes no credentials from a source, which requires a
/// preparation of the program.
pub(crate) fn credentials_are_hidden(
    home: &Home,
    source: &str,
    prepare: impl Fn(&mut Command),
) -> anyhow::Result<()> {
    let server = HttpServer::start()?;
    let (grant, auth) = (format!("remote={}/", server.url()), format!("remote=bearer:{source}"));
    let options = ["--http", &grant, "--http-auth", &auth];
    let run = |arguments: &[&str]| -> anyhow::Result<Ran> {
        let mut command = home.command(arguments);
        prepare(&mut command);
        Ok(Ran::of(&command.env("RUST_LOG", "trace").output()?))
    };
    let record = ["--record", "recording", "--record-files"];
    for more in [&[][..], &["--json"], &record[..2], &record, &["--verbose"]] {
        // The server returns the credentials.
        let fetch = ["run", conformance::FETCH, "--set", "requests=GET remote/echo"];
        let ran = run(&[&fetch[..], &options, more].concat())?.expect(0, "[secret]")?;
        assert!(!ran.said().contains(SECRET), "{more:?}: {}", ran.said());
    }
    // A login, whose token is renewed in the first run.
    home.login("login.json", &server)?;
    let login = ["--http", &grant, "--http-auth", "remote=oauth2:login.json"];
    for more in [&[][..], &["--json"], &["--record", "recording2"], &["--verbose"]] {
        let mut command = home.command(&["run", conformance::FETCH]);
        command.args(["--set", "requests=GET remote/echo"]).args(login).args(more);
        let ran = Ran::of(&command.env("RUST_LOG", "trace").output()?).expect(0, "[secret]")?;
        assert!(!ran.said().contains(SECRET), "{more:?}: {}", ran.said());
    }
    home.run(&[&["register", conformance::FETCH, "--name", "login"][..], &login].concat())?
        .expect(0, "")?;
    home.run(&["run", "login"])?.expect(0, "succeeded")?;
    fs::remove_file(home.path("login.json"))?;
    let register = ["register", conformance::FETCH, "--name", "fetch"];
    run(&[&register[..], &options].concat())?.expect(0, "")?;
    for command in [&["list"][..], &["list", "--json"], &["inspect", conformance::FETCH]] {
        let ran = run(command)?.expect(0, "")?;
        assert!(!ran.said().contains(SECRET), "{command:?}: {}", ran.said());
    }
    // The file is the source.
    let _ = fs::remove_file(home.path("token"));
    let mut folders = vec![home.0.path().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                let content = fs::read(entry.path())?;
                let found = content.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
                assert!(!found, "{}", entry.path().display());
            }
        }
    }
    Ok(())
}

/// On Linux, the thread of the plugin is confined: it could not replace the file.
#[test]
fn a_login_is_renewed_in_its_file() -> anyhow::Result<()> {
    let home = Home::new()?;
    let server = HttpServer::start()?;
    let grant = format!("remote={}/", server.url());
    let login = ["--http", &grant, "--http-auth", "remote=oauth2:folder/login.json"];
    let sent = format!("authorization: Bearer {SECRET}-access");
    let job = format!(
        "plugin = {:?}\n[settings]\nrequests = \"GET remote/echo\"\n[http]\nremote = {:?}\n\
         [http-auth.remote]\nkind = \"oauth2\"\nsecret = {{ file = \"login.json\" }}\n",
        conformance::FETCH,
        server.url()
    );
    home.write("folder/job.toml", &job)?;
    for in_job in [false, true] {
        home.login("folder/login.json", &server)?;
        let before = server.heads().len();
        // Two processes at the same time.
        let processes = [(); 2].map(|()| {
            let mut command = match in_job {
                true => home.command(&["run", "--job", "folder/job.toml"]),
                false => {
                    let mut command = home.command(&["run", conformance::FETCH]);
                    command.args(["--set", "requests=GET remote/echo"]).args(login);
                    command
                }
            };
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        });
        for process in processes {
            Ran::of(&process?.wait_with_output()?).expect(0, "[secret]")?;
        }
        let heads = &server.heads()[before..];
        let renewals = heads.iter().filter(|head| head.starts_with("POST /token/"));
        assert_eq!(renewals.count(), 1, "{heads:?}");
        let used = heads.iter().filter(|head| head.contains(&sent));
        assert_eq!(used.count(), 4, "two items of two processes: {heads:?}");
        let stored = fs::read_to_string(home.path("folder/login.json"))?;
        assert!(stored.contains(&format!("\"{SECRET}-refresh\"")), "{stored}");
    }
    for (auth, words) in [
        ("remote=oauth2:missing.json", "cannot read the token file"),
        ("remote=oauth2:folder/job.toml", "the token file"),
        ("remote=oauth2", "NAME=oauth2:FILE"),
    ] {
        run(&home, "GET remote/a", &["--http", &grant, "--http-auth", auth])?.expect(2, words)?;
    }
    home.write("job.toml", job.replace("file = \"login.json\"", "env = \"LOGIN\""))?;
    home.run(&["run", "--job", "job.toml"])?.expect(2, "`oauth2` needs a file")?;
    Ok(())
}

#[test]
fn a_certificate_of_the_operator_is_trusted_in_addition() -> anyhow::Result<()> {
    if !servers::has("nginx")? {
        return Ok(());
    }
    let home = Home::new()?;
    let authority = Authority::new()?;
    let server = servers::nginx(&[authority.certificate("localhost")?])?;
    fs::write(server.files().join("a"), "text of the file")?;
    home.write("ca.pem", authority.pem())?;
    let grant = format!("remote=https://localhost:{}/", server.ports[0]);
    run(&home, "GET remote/a", &["--http", &grant])?.expect(0, "TlsCertificateError")?;
    run(&home, "GET remote/a", &["--http", &grant, "--http-ca", "ca.pem"])?
        .expect(0, "200 text of the file")?;
    Ok(())
}

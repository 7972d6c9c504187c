//! Servers that an operator grants.

use super::*;
use conformance::http_server::HttpServer;
use conformance::servers::{self, Authority};

const SECRET: &str = "hunter2-and-more";

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
    let home = Home::new()?;
    let server = HttpServer::start()?;
    home.write("token", SECRET)?;
    let grant = format!("remote={}/", server.url());
    let options = ["--http", &grant, "--http-auth", "remote=bearer:file:token"];
    for more in [&[][..], &["--json"], &["--record", "recording"], &["--verbose"]] {
        // The server returns the credentials.
        let mut command = home.command(&["run", conformance::FETCH]);
        command.args(["--set", "requests=GET remote/echo"]).args(options).args(more);
        let ran = Ran::of(&command.env("RUST_LOG", "trace").output()?).expect(0, "[secret]")?;
        assert!(!ran.said().contains(SECRET), "{more:?}: {}", ran.said());
    }
    let register = ["register", conformance::FETCH, "--name", "fetch"];
    home.run(&[&register[..], &options].concat())?.expect(0, "")?;
    for command in [&["list"][..], &["list", "--json"], &["inspect", conformance::FETCH]] {
        let ran = home.run(command)?.expect(0, "")?;
        assert!(!ran.said().contains(SECRET), "{command:?}: {}", ran.said());
    }
    fs::remove_file(home.path("token"))?;
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

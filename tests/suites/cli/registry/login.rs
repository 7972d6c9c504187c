//! Logins at registries, with the credentials of docker.

use super::hostile::{Contents, Hostile, answer, is_for};
use super::*;

/// `me:hunter2` in Base64.
const BASIC: &str = "bWU6aHVudGVyMg==";

/// Starts a registry that wants a token, which its service issues for the password.
fn registry(
    contents: Contents,
    content: impl Fn(&str, &Contents) -> Vec<u8> + Send + Sync + 'static,
) -> Result<Hostile> {
    Hostile::start(move |head| {
        let lower = head.to_lowercase();
        let host = lower.split("host: ").nth(1).and_then(|rest| rest.lines().next());
        let host = host.unwrap_or_default();
        if is_for(head, "/token") {
            return match head.contains(&format!("Basic {BASIC}")) {
                true => answer(200, &[], b"{\"access_token\":\"t0ken-of-the-registry\"}"),
                false => answer(401, &[], b""),
            };
        }
        match head.contains("Bearer t0ken-of-the-registry") {
            true => content(head, &contents),
            false => {
                let challenge =
                    format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"r\"");
                answer(401, &[&challenge], b"")
            }
        }
    })
}

/// Starts a registry that redirects requests for contents to another server.
fn redirecting(to: &Hostile) -> Result<Hostile> {
    let target = format!("Location: {}/blob", to.url());
    registry(contents()?, move |head, contents| match is_for(head, "blobs/") {
        true => answer(307, &[&target], b""),
        false => contents.answer(head),
    })
}

/// Installs with docker's configuration of the home.
fn install(home: &Home, reference: &str) -> Result<Ran> {
    let mut command = home.command(&["install", reference, "--yes"]);
    Ok(Ran::of(&command.env("DOCKER_CONFIG", home.path("docker")).output()?))
}

fn log_in(home: &Home, server: &Hostile, auth: &str) -> Result<()> {
    let config = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{auth}\"}}}}}}", server.registry());
    home.write("docker/config.json", config)?;
    Ok(())
}

fn contents() -> Result<Contents> {
    let component = plugin("1.0.0", "")?;
    Ok(Contents::new(&component, component.len() as u64))
}

#[test]
fn a_token_is_requested_with_the_password_of_docker() -> Result<()> {
    let server = registry(contents()?, |head, contents| contents.answer(head))?;
    let home = Home::new()?;
    install(&home, &server.reference())?.expect(2, "log in with `docker login 127.0.0.1:")?;
    log_in(&home, &server, "bWU6d3Jvbmc=")?;
    install(&home, &server.reference())?.expect(2, "or log in again")?;
    nothing_is_stored(&home)?;
    log_in(&home, &server, BASIC)?;
    let ran = install(&home, &server.reference())?.expect(0, "installed mail")?;
    for secret in ["hunter2", BASIC, "t0ken"] {
        ensure!(!ran.said().contains(secret), "{ran:?}");
    }
    let tokens: Vec<_> = server.heads().into_iter().filter(|head| is_for(head, "/token")).collect();
    let last = tokens.last().context("a token was requested")?;
    ensure!(last.contains("scope=repository%3Amail%3Apull&") || last.contains("pull "), "{last}");
    Ok(())
}

#[test]
fn a_redirect_to_another_host_does_not_receive_the_token() -> Result<()> {
    let component = contents()?.component;
    let other = Hostile::start(move |_| answer(200, &[], &component))?;
    let server = redirecting(&other)?;
    let home = Home::new()?;
    log_in(&home, &server, BASIC)?;
    install(&home, &server.reference())?.expect(0, "installed mail")?;
    let heads = other.heads();
    assert_eq!(heads.len(), 1);
    ensure!(!heads[0].to_lowercase().contains("authorization"), "{heads:?}");

    // A manifest, a token and an upload are never elsewhere.
    let target = format!("Location: {}/manifest", other.url());
    let server = registry(contents()?, move |_, _| answer(307, &[&target], b""))?;
    let home = Home::new()?;
    log_in(&home, &server, BASIC)?;
    install(&home, &server.reference())?.expect(2, "which is refused: only contents")?;
    nothing_is_stored(&home)?;
    assert_eq!(other.heads().len(), 1);
    Ok(())
}

#[test]
fn only_the_registry_itself_can_require_a_login() -> Result<()> {
    let service = Hostile::start(|_| answer(200, &[], b"{\"token\":\"x\"}"))?;
    let challenge = format!("WWW-Authenticate: Bearer realm=\"{}/token\"", service.url());
    let other = Hostile::start(move |_| answer(401, &[&challenge], b""))?;
    let server = redirecting(&other)?;
    let home = Home::new()?;
    log_in(&home, &server, BASIC)?;
    install(&home, &server.reference())?.expect(2, "denies access to `mail` (status 401)")?;
    nothing_is_stored(&home)?;
    assert_eq!(other.heads().len(), 1);
    assert!(service.heads().is_empty(), "{:?}", service.heads());
    Ok(())
}

#[test]
fn an_upload_to_another_host_is_refused() -> Result<()> {
    let other = Hostile::start(|_| answer(201, &[], b""))?;
    let target = format!("Location: {}/upload", other.url());
    let server = registry(contents()?, move |head, _| match head.starts_with("POST") {
        true => answer(202, &[&target], b""),
        false => answer(404, &[], b""),
    })?;
    let home = Home::new()?;
    log_in(&home, &server, BASIC)?;
    home.write("mail.wasm", contents()?.component)?;
    let mut push = home.command(&["push", "mail.wasm", &server.reference()]);
    let ran = Ran::of(&push.env("DOCKER_CONFIG", home.path("docker")).output()?);
    ran.expect(2, "uploads must be to the registry itself")?;
    assert!(other.heads().is_empty());
    Ok(())
}

#[test]
fn a_token_service_at_a_local_address_is_refused() -> Result<()> {
    let server = Hostile::start(|_| {
        answer(401, &["WWW-Authenticate: Bearer realm=\"https://10.0.0.1/token\""], b"")
    })?;
    let home = Home::new()?;
    log_in(&home, &server, BASIC)?;
    install(&home, &server.reference())?.expect(2, "it is a local address")?;
    nothing_is_stored(&home)
}

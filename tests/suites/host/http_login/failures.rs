//! Failures of a token endpoint.

use super::*;

#[test]
fn a_failure_of_the_token_endpoint_fails_the_request() -> Result<()> {
    let other = Server::echo()?;
    let redirect =
        format!("HTTP/1.1 307 S\r\nLocation: {}/\r\nContent-Length: 0\r\n\r\n", other.url);
    let full = |status: u16, body: Value| {
        let body = body.to_string();
        format!("HTTP/1.1 {status} S\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let token = |token: &str| full(200, json!({ "access_token": token, "token_type": "Bearer" }));
    let error =
        |status, code: &str| full(status, json!({ "error": code, "error_description": SECRET }));
    for (answer, outcome, words) in [
        (error(400, "invalid_grant"), "AccessDenied", "(invalid_grant); log in again and renew"),
        (error(401, "invalid_client"), "AccessDenied", "(invalid_client)"),
        (error(200, "bad_refresh_token"), "AccessDenied", "(bad_refresh_token)"),
        (error(400, "a\u{1b}[31m"), "AccessDenied", "(an invalid error code)"),
        (error(400, &"a".repeat(65)), "AccessDenied", "(an invalid error code)"),
        (error(500, "server_error"), "NotConnected", "answered with the status 500"),
        (error(429, "slow_down"), "NotConnected", "answered with the status 429"),
        (full(400, json!("invalid_grant")), "NotConnected", "answered with the status 400"),
        (redirect, "NotConnected", "redirects (status 307)"),
        (full(200, json!([1])), "NotConnected", "did not answer with a JSON object"),
        (full(200, json!({ "expires_in": 5 })), "NotConnected", "without a valid token"),
        (token("new\r\naccess: token"), "NotConnected", "without a valid token"),
        (token("new access token"), "NotConnected", "without a valid token"),
        (token("short"), "NotConnected", "without a valid token"),
        (token(&"long".repeat(3000)), "NotConnected", "without a valid token"),
        (
            full(200, json!({ "access_token": NEW_ACCESS, "refresh_token": 1 })),
            "NotConnected",
            "without a valid token",
        ),
        (
            full(200, json!({ "access_token": NEW_ACCESS, "token_type": "mac" })),
            "NotConnected",
            "another type than `Bearer`",
        ),
        (full(200, json!("x".repeat(70_000))), "NotConnected", "larger than 65536 bytes"),
        ("HTTP/1.1 200 S\r\n\r\n<endless>".to_owned(), "NotConnected", "larger than 65536 bytes"),
        (
            "HTTP/1.1 200 S\r\nContent-Length: 9\r\n\r\n{".to_owned(),
            "NotConnected",
            "is incomplete",
        ),
        ("HTTP/1.1 200 S\r\nX: <endless>".to_owned(), "NotConnected", "cannot be reached"),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), "NotConnected", "the answer is not HTTP"),
        (String::new(), "NotConnected", "the connection ended"),
        ("<silent>".to_owned(), "NotConnected", "did not answer in time"),
        ("HTTP/1.1 200 S\r\nX: <silent>".to_owned(), "NotConnected", "did not answer in time"),
    ] {
        let (text, server) = (answer.clone(), Server::echo()?);
        let tokens = Server::start(move |to, _| {
            let end =
                text.find('<').filter(|_| text.contains("endless>") || text.contains("silent>"));
            to.write_all(&text.as_bytes()[..end.unwrap_or(text.len())])?;
            while text.contains("<endless>") {
                to.write_all(&[b'x'; 4096])?;
            }
            if text.contains("<silent>") {
                thread::sleep(IDLE * 20);
            }
            Err(io::ErrorKind::ConnectionAborted.into())
        })?;
        let file = TokenFile::new(&tokens.url, json!({}))?;
        let before = file.read()?;
        let ran = file.run(&server, "GET remote/a\nPUT remote/a body=300000")?;
        let outcome = format!("ErrorCode::{outcome}");
        ensure!(ran.answers().iter().all(|one| one.starts_with(&outcome)), "{answer}: {ran:?}");
        let warnings = ran.warnings();
        ensure!(warnings.len() == 1 && warnings[0].contains(words), "{answer}: {ran:?}");
        ensure!(warnings[0].contains("the server `remote`"), "{ran:?}");
        check_secrets(&ran.everything()?)?;
        ensure!(file.read()? == before, "{answer}");
        ensure!(server.requests().is_empty() && other.requests().is_empty(), "{answer}");
        // The second item does not cause another request.
        ensure!(tokens.requests().len() == 1, "{answer}: {:?}", tokens.requests());
        ensure!(!file.folder.path().join("token.json.new").exists(), "{answer}");
    }
    Ok(())
}

#[test]
fn a_token_endpoint_that_cannot_be_reached_fails_the_request() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let closed = format!("http://{}/token", listener.local_addr()?);
    drop(listener);
    let port = closed.rsplit(':').next().unwrap_or_default().to_owned();
    for (token_url, words) in [
        (closed, "cannot connect"),
        (format!("https://127.0.0.1:{port}"), "cannot connect"),
        ("https://localtest.invalid/token".to_owned(), "cannot resolve"),
    ] {
        let server = Server::echo()?;
        let file = TokenFile::new(&token_url, json!({}))?;
        let ran = file.run(&server, "GET remote/a")?;
        let failed = |answer: &&str| answer.starts_with("ErrorCode::NotConnected");
        ensure!(ran.answers().iter().all(failed), "{token_url}: {ran:?}");
        ensure!(ran.warnings()[0].contains(words), "{token_url}: {ran:?}");
    }
    Ok(())
}

#[test]
fn a_token_that_is_still_valid_is_used_after_a_failure() -> Result<()> {
    let (tokens, server) = (Server::tokens(503, "")?, Server::echo()?);
    let file = TokenFile::new(&tokens.url, json!({ "expires_at": now()? + 50 }))?;
    let ran = file.run(&server, "GET remote/a")?;
    ensure!(ran.answers().iter().all(|answer| answer.starts_with("200")), "{ran:?}");
    ensure!(ran.warnings().is_empty() && tokens.requests().len() == 1, "{ran:?}");
    Ok(())
}

//! Unusable token files.

use super::*;

#[test]
fn an_unusable_token_file_is_rejected() -> Result<()> {
    let url = "https://example.org/token";
    let long = |bytes: usize| "x".repeat(bytes);
    for (change, why) in [
        (json!({}), ""),
        (json!({ "token_url": "http://[::1]:8080/token" }), ""),
        (json!({ "token_url": "local:https://login.lan/token" }), ""),
        (json!({ "token_url": null }), "`token_url` is missing"),
        (json!({ "token_url": "http://example.org/token" }), "must begin with `https://`"),
        (json!({ "token_url": "local:http://nas.lan/token" }), "must begin with `https://`"),
        (json!({ "token_url": "ftp://example.org/" }), "must begin with `https://`"),
        (json!({ "token_url": "https://me:pw123@example.org/" }), "user name"),
        (json!({ "token_url": "https://example.org/a/../b" }), "segments"),
        (json!({ "token_url": "https://example.org/#a" }), "has a fragment"),
        (json!({ "token_url": "example.org" }), "`token_url` is invalid"),
        (json!({ "token_url": long(2049) }), "`token_url` is not a text of 1 to 2048"),
        (json!({ "client_id": null }), "`client_id` is missing"),
        (json!({ "client_id": "" }), "`client_id` is not a text"),
        (json!({ "client_secret": "a\nclient:secret" }), "`client_secret` is not a text"),
        (json!({ "refresh_token": null }), "`refresh_token` is missing"),
        (json!({ "refresh_token": "short" }), "`refresh_token` is not a text of 8 to 8192"),
        (json!({ "refresh_token": long(8193) }), "`refresh_token` is not a text of 8 to 8192"),
        (json!({ "refresh_token": 1_234_567_890 }), "`refresh_token` is not a text"),
        (json!({ "access_token": "an access token" }), "`access_token` contains a space"),
        (json!({ "access_token": "access\u{fc}token" }), "`access_token` is not a text"),
        (json!({ "expires_at": "2026-01-01T00:00:00Z" }), "`expires_at` is not a number"),
        (json!({ "note": long(70_000) }), "larger than 64 KiB"),
    ] {
        let file = TokenFile::new(url, change.clone())?;
        match HttpAuth::oauth2(file.path()) {
            Ok(auth) => {
                ensure!(why.is_empty(), "{change}");
                check_secrets(&format!("{auth:?}"))?;
            }
            Err(error) => {
                let text = error.to_string();
                ensure!(!why.is_empty() && text.contains(why), "{change}: {text}");
                ensure!(matches!(error, HttpAuthError::FileContent { .. }), "{error:?}");
                ensure!(!text.contains("pw123"), "{text}");
                check_secrets(&text)?;
            }
        }
    }
    let file = TokenFile::new(url, json!({}))?;
    for text in
        [&b"{\"refresh_token\": \"old-refresh-token+/=\""[..], b"\"client:secret\"", b"\xff"]
    {
        file.write(text)?;
        let error = HttpAuth::oauth2(file.path()).err().context("it is not JSON")?;
        ensure!(matches!(error, HttpAuthError::FileContent { .. }), "{error:?}");
        check_secrets(&error.to_string())?;
    }
    for path in [file.folder.path().to_owned(), file.path().join("missing")] {
        let error = HttpAuth::oauth2(&path).err().context("it is no file")?;
        ensure!(matches!(error, HttpAuthError::FileRead { .. }), "{error:?}");
    }
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_token_file_that_others_may_access_is_rejected() -> Result<()> {
    let tokens = Server::tokens(200, new_tokens())?;
    let server = Server::echo()?;
    let file = TokenFile::new(&tokens.url, json!({}))?;
    for mode in [0o644, 0o640, 0o604, 0o660, 0o602, 0o610] {
        set_mode(&file.path(), mode)?;
        let error = HttpAuth::oauth2(file.path()).err().context("it is refused")?;
        ensure!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
        // Also if it was changed later.
        set_mode(&file.path(), 0o600)?;
        let auth = file.auth()?;
        set_mode(&file.path(), mode)?;
        let options = SessionOptions::new().http(server.grant("remote")?);
        let ran = Ran::new(options, auth, "GET remote/a")?;
        ensure!(ran.answers()[0].starts_with("ErrorCode::InputOutput"), "{ran:?}");
        ensure!(ran.warnings()[0].contains("chmod 600"), "{ran:?}");
    }
    ensure!(tokens.requests().is_empty() && server.requests().is_empty());
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_link_to_a_token_file_is_kept() -> Result<()> {
    let (tokens, server) = (Server::tokens(200, new_tokens())?, Server::echo()?);
    let file = TokenFile::new(&tokens.url, json!({}))?;
    let home = tempfile::tempdir()?;
    let link = home.path().join("link.json");
    std::os::unix::fs::symlink(file.path(), &link)?;
    let options = SessionOptions::new().http(server.grant("remote")?);
    Ran::new(options, HttpAuth::oauth2(&link)?, "GET remote/a")?;
    ensure!(fs::symlink_metadata(&link)?.is_symlink());
    ensure!(file.read()?["refresh_token"] == NEW_REFRESH);
    Ok(())
}

/// A directory without write access is found before the refresh token is spent.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_replaced_is_not_renewed() -> Result<()> {
    let (tokens, server) = (Server::tokens(200, new_tokens())?, Server::echo()?);
    let file = TokenFile::new(&tokens.url, json!({}))?;
    // Not even `root` can remove it as a file.
    fs::create_dir(file.folder.path().join("token.json.new"))?;
    let ran = file.run(&server, "GET remote/a")?;
    ensure!(ran.answers()[0].starts_with("ErrorCode::InputOutput"), "{ran:?}");
    ensure!(ran.warnings()[0].contains("cannot replace the token file"), "{ran:?}");
    ensure!(tokens.requests().is_empty() && server.requests().is_empty());
    Ok(())
}

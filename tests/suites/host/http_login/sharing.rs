//! Several sessions with one token file, and sessions that end early.

use super::*;

#[test]
fn sessions_with_one_file_renew_once() -> Result<()> {
    let count = Mutex::new(0);
    let tokens = Server::start(move |to, _| {
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        thread::sleep(IDLE / 2);
        let token = format!("new-access-token-{count}");
        respond(to, 200, &json!({ "access_token": token, "expires_in": 3600 }).to_string())
    })?;
    let server = Server::accepting("new-access-token-1")?;
    let file = TokenFile::new(&tokens.url, json!({}))?;
    let shared = file.auth()?;
    let results = thread::scope(|scope| {
        let spawned: Vec<_> = (0..6)
            .map(|at| {
                // Some share their credentials, as in one program, and some only the file.
                let auth = if at % 2 == 0 { Ok(shared.clone()) } else { file.auth() };
                let server = &server;
                scope.spawn(move || {
                    let options = SessionOptions::new().http(server.grant("remote")?);
                    let options = options.setting("at-once", "8");
                    Ran::new(options, auth?, &["GET remote/a"; 8].join("\n"))
                })
            })
            .collect();
        spawned
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"))
            .collect::<Vec<_>>()
    });
    for ran in results {
        let ran = ran?;
        ensure!(ran.answers().iter().all(|answer| answer.starts_with("200")), "{ran:?}");
    }
    ensure!(tokens.requests().len() == 1, "{:?}", tokens.requests());
    Ok(())
}

#[test]
fn a_renewal_is_finished_after_a_cancellation() -> Result<()> {
    let (arrives, arrived) = mpsc::channel();
    let arrives = Mutex::new(arrives);
    let tokens = Server::start(move |to, _| {
        let _ = arrives.lock().unwrap_or_else(PoisonError::into_inner).send(());
        thread::sleep(IDLE);
        respond(to, 200, &new_tokens())
    })?;
    let server = Server::echo()?;
    let file = TokenFile::new(&tokens.url, json!({}))?;
    for kill in [false, true] {
        file.write(
            json!({
                "token_url": tokens.url, "client_id": "me", "refresh_token": OLD_REFRESH,
            })
            .to_string()
            .as_bytes(),
        )?;
        let cancel = CancelHandle::new();
        let options =
            SessionOptions::new().http(server.grant("remote")?).cancel_with(cancel.clone());
        let auth = file.auth()?;
        thread::scope(|scope| {
            let run = scope.spawn(|| Ran::new(options, auth, "GET remote/a"));
            arrived.recv()?;
            match kill {
                true => cancel.kill(),
                false => cancel.cancel_all(),
            }
            run.join().expect("it does not panic")
        })?;
        // The process could end now.
        ensure!(file.read()?["refresh_token"] == NEW_REFRESH, "{kill}");
    }
    ensure!(server.requests().is_empty(), "{:?}", server.requests());
    Ok(())
}

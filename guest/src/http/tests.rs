//! Requests to the server of a mock sync manager.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::native::session::Session;
use crate::testing::{Reply, SyncManager};

const URL: &str = "https://dav.example/me/";

/// Does something in a run.
fn within<T>(manager: SyncManager, work: impl FnOnce() -> T) -> T {
    let _session = Session::open(manager.0);
    work()
}

#[test]
fn requests_reach_the_server_of_the_test_only() {
    let rows = [
        ("GET", "https://dav.example/me/echo", Some(200)),
        ("GET", "https://dav.example/me", Some(200)),
        ("GET", "https://dav.example/men", None),
        ("GET", "http://dav.example/me/echo", None),
        ("PUT", "https://dav.example/me/echo", Some(200)),
        ("PUT", "https://read.example/a", None),
        ("PROPFIND", "https://read.example/a", Some(200)),
    ];
    for (method, url, expected) in rows {
        let manager = SyncManager::new()
            .server("remote", URL, |_| Reply::new(200))
            .server_read_only("read", "https://read.example/", |_| Reply::new(200));
        let sent = within(manager, move || request(method, url).body(b"x").send());
        let status = sent.as_ref().map(Response::status);
        match expected {
            Some(expected) => assert_eq!(status.ok(), Some(expected), "{method} {url}"),
            None => {
                let Err(Interrupt::Failed(error)) = sent else { panic!("{method} {url}") };
                assert_eq!(error.code, ErrorCode::AccessDenied, "{method} {url}");
            }
        }
    }
}

#[test]
fn safe_requests_are_repeated() {
    for (method, replies, retries, requests, status) in [
        ("GET", &[503, 429, 200][..], 2, 3, 200),
        ("GET", &[503, 429, 200], 1, 2, 429),
        ("GET", &[503, 200], 0, 1, 503),
        ("GET", &[500, 200], 2, 1, 500),
        ("PUT", &[503, 201], 2, 2, 201),
        ("POST", &[503, 200], 2, 1, 503),
        ("MOVE", &[503, 200], 2, 1, 503),
        ("safe MOVE", &[503, 200], 2, 2, 200),
        ("PUT on", &[500, 409, 201], 2, 3, 201),
        ("PUT on", &[400, 201], 2, 1, 400),
    ] {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let manager = SyncManager::new().server("remote", URL, move |received| {
            assert_eq!(received.body, if received.method == "PUT" { &b"x"[..] } else { b"" });
            Reply::new(replies[count.fetch_add(1, Ordering::SeqCst) as usize])
        });
        let sent = within(manager, move || {
            let mut request = match (method.strip_prefix("safe "), method.strip_suffix(" on")) {
                (Some(method), _) => request(method, URL).safe_to_repeat(),
                (None, Some(method)) => request(method, URL).retry_on(&[409, 500]),
                (None, None) => request(method, URL),
            }
            .retry(retries);
            if method.starts_with("PUT") {
                request = request.body(b"x");
            }
            request.send().map(|response| response.status())
        });
        assert_eq!(sent.ok(), Some(status), "{method} {replies:?}");
        assert_eq!(asked.load(Ordering::SeqCst), requests, "{method} {replies:?}");
    }
}

#[test]
fn many_requests_keep_their_order() {
    let manager = SyncManager::new().server("remote", URL, |received| {
        let number: u16 = received.path().trim_start_matches("/me/").parse().unwrap_or(0);
        Reply::new(200 + number)
    });
    let statuses = within(manager, || {
        let urls: Vec<_> = (0..50).map(|number| format!("{URL}{number}")).collect();
        let mut statuses = Vec::new();
        let sent = send_all(urls.iter().map(|url| get(url)), 8, |at, response| {
            statuses.push((at, response?.status()));
            Ok(())
        });
        sent.map(|()| statuses)
    });
    let expected: Vec<_> = (0..50).map(|at| (usize::from(at), 200 + at)).collect();
    assert_eq!(statuses.ok(), Some(expected));
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    for cut in [Reply::cut, |reply: Reply| reply.cut_after(1), |reply: Reply| reply.cut_after(0)] {
        let manager =
            SyncManager::new().server("remote", URL, move |_| cut(Reply::new(200).body("ab")));
        let read =
            within(manager, || get(URL).send().and_then(|mut response| response.read_to_vec(9)));
        let Err(Interrupt::Failed(error)) = read else { panic!("{read:?}") };
        assert_eq!(error.code, ErrorCode::InputOutput);
    }
    let manager = SyncManager::new().server("remote", URL, |_| Reply::new(200));
    let sent = within(manager, || put(URL).body_from(3, &b"ab"[..]).send());
    assert!(matches!(sent, Err(Interrupt::Failed(_))), "{sent:?}");
}

#[test]
fn a_body_that_can_be_opened_is_sent_again() {
    for (replies, expected) in [
        // The answer is lost after the server acted; the source changes before the third
        // attempt.
        (&[None, Some(201)][..], Ok(201)),
        (&[None, None, Some(201)], Err("the source changed")),
    ] {
        let bodies = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&bodies);
        let manager = SyncManager::new().server("remote", URL, move |received| {
            assert_eq!(received.body, b"abc");
            let reply = replies[count.fetch_add(1, Ordering::SeqCst) as usize];
            reply.map_or_else(Reply::lost, Reply::new)
        });
        let sent = within(manager, || {
            let mut opened = 0;
            let open = || {
                opened += 1;
                match opened > 2 {
                    true => Err(Error::new(ErrorCode::Changed, "the source changed")),
                    false => Ok(Box::new(&b"abcd"[..]) as Box<dyn Read>),
                }
            };
            put(URL).body_with(3, open).retry(4).send().map(|response| response.status())
        });
        match (sent, expected) {
            (Ok(status), Ok(expected)) => assert_eq!(status, expected),
            (Err(Interrupt::Failed(error)), Err(words)) => assert_eq!(error.message, words),
            (sent, expected) => panic!("{sent:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn redirects_are_followed_within_bounds() {
    for (method, location, expected) in [
        ("GET", "https://dav.example/me/there", Some("GET")),
        ("HEAD", "there", Some("HEAD")),
        ("PUT", "there", None),
        ("GET", "loop", None),
        ("GET", "https://other.example/", None),
        ("GET", "http://dav.example/me/there", None),
    ] {
        let manager =
            SyncManager::new().server("remote", URL, move |received| match received.path() {
                "/me/there" => Reply::new(200).header("x-method", &received.method),
                _ => Reply::new(302).header("location", location),
            });
        let sent = within(manager, move || request(method, &format!("{URL}loop")).send());
        let found = sent.ok().filter(|response| response.status() == 200);
        let found = found.as_ref().and_then(|response| response.header("x-method"));
        assert_eq!(found, expected, "{method} {location}");
    }
}

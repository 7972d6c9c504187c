//! Attacks on the page.

use std::fs;

use anyhow::{Result, ensure};

use super::client::Page;
use super::{PAIR, last_run, with_conflict};
use crate::home::Home;

#[test]
fn a_request_without_the_cookie_is_refused() -> Result<()> {
    let home = with_conflict()?;
    let page = Page::start(&home)?;
    let run = format!("/run/{}", last_run(&home)?);
    let token = "open the URL that `syncmgr serve` printed";
    let (name, value) = page.cookie.split_once('=').unwrap_or_default();
    let wrong = format!("Cookie: {name}={}\r\n", "0".repeat(value.len()));
    let start = format!("Cookie: {name}={}\r\n", &value[..63]);
    let paths = ["/", "/history", &run, "/conflicts", "/skipped", "/trash", "/plugins", "/running"];
    let more = ["/running/events", "/style.css", "/script.js", "/nothing", "/?token=0"];
    for path in paths.into_iter().chain(more) {
        for headers in ["", &wrong, &start, "Cookie: other=1\r\n"] {
            let answer = page.request("GET", path, headers, "")?.expect(403, token)?;
            ensure!(!answer.body.contains('<') && !answer.head.contains("set-cookie"));
        }
    }
    for path in ["/start", "/cancel", "/resolve", "/"] {
        page.request("POST", path, "", "token=0")?.expect(403, token)?;
    }
    // The token of the URL is not the cookie.
    let url = page.url.split("token=").nth(1).unwrap_or_default();
    page.request("GET", "/", &format!("Cookie: {name}={url}\r\n"), "")?.expect(403, token)?;
    Ok(())
}

#[test]
fn a_request_for_another_host_is_refused() -> Result<()> {
    let home = with_conflict()?;
    let page = Page::start(&home)?;
    let cookie = format!("Cookie: {}\r\n", page.cookie);
    let (port, path) = (page.port, page.url.split_at(page.url.rfind('/').unwrap_or_default()).1);
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("evil.example:{port}"), 403),
        (format!("127.0.0.1.evil.example:{port}"), 403),
        (format!("LOCALHOST:{port}"), 403),
        (format!("[::1]:{port}"), 403),
        ("127.0.0.1".to_owned(), 403),
        (String::new(), 403),
    ] {
        let headers = format!("Host: {host}\r\n{cookie}");
        let answer = page.request("GET", "/", &headers, "")?;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
        if status == 403 {
            // DNS rebinding also has no use for a token.
            let entering = page.request("GET", path, &headers, "")?;
            entering.expect(403, "the request is for another host")?;
        }
    }
    Ok(())
}

const NO_CONFLICT: &str = "the form selects nothing that there is";

#[test]
fn a_form_of_another_page_is_refused() -> Result<()> {
    let home = with_conflict()?;
    let mut page = Page::start(&home)?;
    home.write("left/new.txt", "new")?;
    let cookie = format!("Cookie: {}\r\n", page.cookie);
    let own = format!("Origin: http://127.0.0.1:{}\r\n", page.port);
    page.submit("/", "job", "&mode=preview")?.expect(303, "")?;
    let token = page.form.clone();
    let good = format!("token={token}&job=0");
    let (another, form) = ("another page sent the form", "the form is not of this page");
    for (origin, body, status, words) in [
        (own.as_str(), good.as_str(), 404, "cannot be run from here"),
        ("Origin: null\r\nSec-Fetch-Site: same-origin\r\n", &good, 404, "cannot be run"),
        ("", &good, 403, another),
        ("Origin: https://evil.example\r\n", &good, 403, another),
        ("Origin: null\r\n", &good, 403, another),
        ("Origin: null\r\nSec-Fetch-Site: cross-site\r\n", &good, 403, another),
        (&format!("{own}Sec-Fetch-Site: same-site\r\n"), &good, 403, another),
        (&format!("Origin: http://127.0.0.1:{}1\r\n", page.port), &good, 403, another),
        (&own, "", 403, form),
        (&own, "job=0&mode=run", 403, form),
        (&own, "token=&job=0", 403, form),
        (&own, &format!("token={}&job=0", &token[1..]), 403, form),
        (&own, &format!("TOKEN={token}&job=0"), 403, form),
        (&own, &format!("{good}&x={}", "x".repeat(6000)), 413, "the form is too large"),
    ] {
        for path in ["/start", "/start?token=x", "/resolve"] {
            let words = if status == 404 && path == "/resolve" { NO_CONFLICT } else { words };
            let headers = format!("{cookie}{origin}");
            page.request("POST", path, &headers, body)?.expect(status, words)?;
        }
    }
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        let headers = format!("{cookie}{own}");
        page.request(method, "/start", &headers, &good)?.expect(405, "unknown method")?;
    }
    page.get("/start")?.expect(405, "")?;
    page.wait_for("/running", "Preview of folder")?;
    ensure!(!home.path("right/new.txt").exists(), "no other run was started");
    Ok(())
}

#[test]
fn a_form_selects_a_job_and_gives_no_arguments() -> Result<()> {
    let home = with_conflict()?;
    let mut page = Page::start(&home)?;
    page.submit("/", "job", "&mode=preview")?.expect(303, "")?;
    let token = page.form.clone();
    let job = home.write("evil.toml", "plugin = \"folder\"\n")?;
    for job in ["folder", "--all", "../../evil.toml", &*job.display().to_string(), "%00", "-"] {
        let body = format!("token={token}&job={job}&mode=run");
        let answer = page.request("POST", "/start", &page.headers(), &body)?;
        answer.expect(404, "this job cannot be run from here")?;
    }
    for run in ["0", "2", "-1", "1e9", "99999999999999999999999", "x"] {
        let body = format!("token={token}&run={run}");
        let answer = page.request("POST", "/cancel", &page.headers(), &body)?;
        answer.expect(404, "there is no such run")?;
    }
    Ok(())
}

#[test]
fn paths_lead_to_pages_only() -> Result<()> {
    let home = with_conflict()?;
    let page = Page::start(&home)?;
    for path in [
        "/../../../../etc/passwd",
        "/run/../../state/history.db",
        "/run/%2e%2e%2fhistory.db",
        "/run/..%5c..%5cx",
        "/run/%00",
        "/run/%ff",
        "/run/",
        "/run/' OR 1=1 --",
        "/run/%25",
        "//history",
        "/style.css/",
        "/style.css%00.html",
        "/history.db",
    ] {
        let answer = page.get(path)?;
        ensure!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        ensure!(!answer.body.contains("root:") && !answer.body.contains("SQLite"), "{path}");
    }
    for query in ["?path=%ff%00'", "?item=' OR 1=1 --", "?skip=-1", "?skip=99999999999", "?=&&%"] {
        let query = query.replace(' ', "%20");
        page.get(&format!("/history{query}"))?.expect(200, "<h1>History</h1>")?;
    }
    Ok(())
}

#[test]
fn each_answer_forbids_other_content_frames_and_caches() -> Result<()> {
    let home = with_conflict()?;
    let page = Page::start(&home)?;
    let wrong_host = page.request("GET", "/", "Host: evil.example\r\n", "")?;
    for answer in [page.get("/")?, page.get("/nothing")?, page.get("/script.js")?, wrong_host] {
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'; \
             img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            ensure!(answer.head.contains(&format!("\r\n{header}")), "{header}: {}", answer.head);
        }
        ensure!(!answer.head.contains("access-control-allow"), "{}", answer.head);
    }
    let shown = page.get("/")?.body;
    for inline in ["<style", " style=", " onclick=", "javascript:", "<script>", "http://"] {
        ensure!(!shown.contains(inline), "{inline}: {shown}");
    }
    Ok(())
}

/// Names that end an element or an attribute, start a script, and reorder text.
#[cfg(unix)]
const HOSTILE: [&str; 3] = [
    "<script>alert(1)<\u{2044}script>",
    "\"><img src=x onerror=alert(1)>",
    "exe.\u{202e}gpj\u{200b}\u{7}",
];

#[cfg(unix)]
#[test]
fn names_of_files_are_text() -> Result<()> {
    let home = Home::new()?;
    for name in HOSTILE {
        home.write(&format!("left/{name}"), "left")?;
    }
    fs::create_dir(home.path("right"))?;
    home.run(&PAIR)?.expect(0, "")?;
    for name in HOSTILE {
        home.write(&format!("left/{name}"), "left!")?;
        home.write(&format!("right/{name}"), "right!!")?;
    }
    home.run(&PAIR)?.expect(1, "")?;
    let mut page = Page::start(&home)?;
    page.submit("/", "job", "&mode=preview")?.expect(303, "")?;
    page.wait_for("/running", "Ended")?;
    let run = format!("/run/{}", last_run(&home)?);
    let search = "/history?path=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E";
    let once = home.run(&["serve", "--once"])?.stdout;
    let mut shown = vec![("--once", once)];
    for path in ["/", "/history", &run, "/conflicts", "/running", search] {
        shown.push((path, page.get(path)?.body));
    }
    for (path, body) in shown {
        for harmful in ["<script>alert", "<img", "\u{202e}", "\u{200b}", "\u{7}"] {
            ensure!(!body.contains(harmful), "{path}: {harmful:?} is in {body}");
        }
        if path == run || path == "/conflicts" {
            for escaped in
                ["&lt;script&gt;", "&quot;&gt;&lt;img", "exe.\\u{202e}gpj\\u{200b}\\u{7}"]
            {
                ensure!(body.contains(escaped), "{path}: {escaped} is not in {body}");
            }
        }
    }
    Ok(())
}

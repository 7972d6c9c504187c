//! A browser without a display, driven by WebDriver: JSON over HTTP.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};

use super::client::{PATIENCE, send};

/// The driver, and the browser that it starts.
const PROGRAMS: [(&str, &str); 2] = [("chromedriver", "chromium-driver"), ("chromium", "chromium")];

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Returns whether a browser is installed. States that tests are skipped if not.
///
/// # Errors
/// Returns an error if `SYNCMGR_REQUIRE_BROWSER` is set, and it is not.
pub(super) fn has_browser() -> Result<bool> {
    for (program, package) in PROGRAMS {
        if find(program).is_some() {
            continue;
        }
        ensure!(
            std::env::var_os("SYNCMGR_REQUIRE_BROWSER").is_none(),
            "there is no {program}, and SYNCMGR_REQUIRE_BROWSER wants it: install the Debian \
             package `{package}`"
        );
        // Bypasses the test harness, which hides the output of a passing test.
        writeln!(
            io::stderr(),
            "SKIPPED: tests in a browser. Install the Debian package `{package}` to run them."
        )?;
        return Ok(false);
    }
    Ok(true)
}

/// A browser with one page. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// The profile of the browser.
    profile: tempfile::TempDir,
}

impl Browser {
    pub(super) fn start() -> Result<Self> {
        // Another process may take the port, which then fails the test.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let profile = tempfile::tempdir()?;
        let driver = Command::new(find("chromedriver").context("a driver")?)
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut browser = Self { driver, port, session: String::new(), profile };
        let begun = Instant::now();
        while browser.call("GET", "/status", &Value::Null).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "the driver does not start");
            thread::sleep(Duration::from_millis(50));
        }
        let data = format!("--user-data-dir={}", browser.profile.path().display());
        // The sandbox of the browser does not work for root. It shows pages of this test only.
        let options = json!({
            "binary": find("chromium").context("a browser")?,
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", data],
        });
        let capabilities = json!({ "alwaysMatch": { "goog:chromeOptions": options } });
        let session = browser.call("POST", "/session", &json!({ "capabilities": capabilities }))?;
        browser.session = session["sessionId"].as_str().context("a session")?.to_owned();
        Ok(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (port, length) = (self.port, body.len());
        let answer = send(
            port,
            &format!(
                "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
            ),
        )?;
        ensure!(answer.status == 200, "{path}: {}", answer.body);
        let mut value: Value = serde_json::from_str(&answer.body)?;
        Ok(value["value"].take())
    }

    fn session(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        self.call(method, &format!("/session/{}/{path}", self.session), body)
    }

    fn chrome(&self, command: &str, parameters: &Value) -> Result<()> {
        let body = json!({ "cmd": command, "params": parameters });
        self.session("POST", "goog/cdp/execute", &body).map(drop)
    }

    /// Sets the size of the page, which may be smaller than that of any window.
    pub(super) fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.chrome("Emulation.setDeviceMetricsOverride", &size)
    }

    /// Sets the preferred colors, `light` or `dark`.
    pub(super) fn prefer(&self, colors: &str) -> Result<()> {
        let feature = json!({ "name": "prefers-color-scheme", "value": colors });
        self.chrome("Emulation.setEmulatedMedia", &json!({ "features": [feature] }))
    }

    /// Turns scripts of pages on or off.
    pub(super) fn scripts(&self, on: bool) -> Result<()> {
        self.chrome("Emulation.setScriptExecutionDisabled", &json!({ "value": !on }))
    }

    pub(super) fn open(&self, url: &str) -> Result<()> {
        self.session("POST", "url", &json!({ "url": url })).map(drop)
    }

    /// Returns the value of an expression in JavaScript.
    pub(super) fn value(&self, expression: &str) -> Result<Value> {
        let script = format!("return {expression};");
        self.session("POST", "execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Returns the text of the page.
    pub(super) fn text(&self) -> Result<String> {
        let text = self.value("document.body.innerText")?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks the first element that an XPath finds.
    pub(super) fn click(&self, path: &str) -> Result<()> {
        let found = self.session("POST", "element", &json!({ "using": "xpath", "value": path }))?;
        let element = found.as_object().and_then(|found| found.values().next());
        let element = element.and_then(Value::as_str).context("an element")?;
        self.session("POST", &format!("element/{element}/click"), &json!({})).map(drop)
    }

    /// Waits until the page has certain words.
    pub(super) fn wait_for(&self, words: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            // While a page is loaded, it may have no text.
            let text = self.text().unwrap_or_default();
            if text.contains(words) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the page never has {words:?}: {text}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns a picture of the page, as PNG.
    pub(super) fn screenshot(&self) -> Result<Vec<u8>> {
        let picture = self.session("GET", "screenshot", &Value::Null)?;
        let picture = picture.as_str().context("a picture")?;
        Ok(base64::engine::general_purpose::STANDARD.decode(picture)?)
    }

    /// Returns the errors in the browser's console.
    pub(super) fn errors(&self) -> Result<Vec<Value>> {
        let log = self.session("POST", "se/log", &json!({ "type": "browser" }))?;
        let entries = log.as_array().context("a log")?.iter();
        Ok(entries.filter(|entry| entry["level"] == "SEVERE").cloned().collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser.
        let _ = self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

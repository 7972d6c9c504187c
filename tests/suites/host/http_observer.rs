//! The observer of a plugin's HTTP requests.

use std::fs;
use std::sync::{Arc, Mutex, OnceLock};

use anyhow::{Context, Result, ensure};
use conformance::http_server::HttpServer;
use syncmgr_host::http::{
    HttpAnswer, HttpAuth, HttpBody, HttpExchange, HttpFailure, HttpGrant, HttpObserver, HttpRequest,
};
use syncmgr_host::sink::EventLog;
use syncmgr_host::{Access, LogLevel, Plugin, RunRequest, Selection, SessionOptions};

const SECRET: &str = "hunter2/and more+";

fn plugin() -> Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    conformance::load(&PLUGIN, conformance::FETCH)
}

/// Keeps all exchanges, and answers the requests whose URL ends with the name of an answer.
#[derive(Default)]
struct Observer {
    answers: Vec<(&'static str, HttpAnswer)>,
    exchanges: Mutex<Vec<HttpExchange>>,
}

impl HttpObserver for Observer {
    fn max_body_bytes(&self) -> usize {
        2_000
    }

    fn answer(&self, request: &HttpRequest) -> Option<HttpAnswer> {
        let known = self.answers.iter().find(|(end, _)| request.url.ends_with(end));
        known.map(|(_, answer)| answer.clone())
    }

    fn exchanged(&self, exchange: &HttpExchange) {
        self.exchanges.lock().expect("no panic").push(exchange.clone());
    }
}

/// Sends requests, one per line, once. Returns the logged answers.
fn run(options: SessionOptions, lines: &str, observer: &Arc<Observer>) -> Result<Vec<String>> {
    let lines: Vec<_> = lines.lines().map(str::trim).collect();
    let observer: Arc<dyn HttpObserver> = Arc::clone(observer) as _;
    let options = options.setting("requests", lines.join("\n")).http_observer(observer);
    let mut request = RunRequest::default();
    request.selection = Selection::Only(vec!["a".to_owned()]);
    let report = plugin().run(options, EventLog::new(), &request)?;
    let logged = report.log.iter().filter(|entry| entry.level == LogLevel::Information);
    Ok(logged.map(|entry| entry.text.clone()).collect())
}

fn grant(name: &str, url: &str) -> Result<HttpGrant> {
    Ok(HttpGrant::new(name, url, Access::ReadWrite)?)
}

fn response(status: u16, body: HttpBody) -> Result<HttpAnswer> {
    Ok(HttpAnswer::Response(http::Response::builder().status(status).body(body)?))
}

fn body(content: &str) -> HttpBody {
    HttpBody { length: content.len() as u64, content: Some(content.into()), failure: None }
}

#[test]
fn an_observer_receives_what_the_plugin_sent() -> Result<()> {
    let server = HttpServer::start()?;
    let closed = server.url().replace("127.0.0.1", "127.0.0.2");
    let url = server.url();
    let refused = url.replace("://", "://me:pw@");
    let lines = format!(
        "GET remote/echo?a=hunter2%2fand+more%2B header=Authorization:mine \
         header=x-token:hunter2/and%20more%2b
         PUT remote/echo text=hunter2%2Fand%20more%2B!
         PUT remote/echo body=3000
         GET remote/status/503
         GET remote/short/1000
         GET remote/bytes/2001
         DELETE remote/raw/HTTP/1.1%20200%20OK|Content-Length:%200|Set-Cookie:%20a|\
         Location:%20/x/hunter2%2fand+more%2B||
         GET {refused}/echo
         GET other/echo
         hunter2%2Fand%20more%2B remote/echo header=x-hunter2%2fand%20more%2b:1"
    );
    let options = SessionOptions::new()
        .http(grant("remote", &url)?)
        .http(grant("other", &closed)?)
        .http_auth("remote", HttpAuth::new("bearer", SECRET)?);
    let observer = Arc::new(Observer::default());
    let answers = run(options, &lines, &observer)?;
    ensure!(answers.len() == 10, "{answers:?}");
    ensure!(server.heads()[0].contains(SECRET), "it was sent");
    let exchanges = observer.exchanges.lock().expect("no panic");
    let summaries: Vec<_> = exchanges.iter().map(summary).collect();
    let expected = [
        format!("1 GET {url}/echo?a=[secret] authorization=[secret] x-token=[secret] -> 200 kept"),
        format!("2 PUT {url}/echo content-length=24 \"[secret]!\" -> 200 kept"),
        format!("3 PUT {url}/echo content-length=3000 3000 -> 200 kept"),
        format!("4 GET {url}/status/503 -> 503 \"reason\""),
        format!("5 GET {url}/short/1000 -> 200 kept HTTP-response-incomplete"),
        format!("6 GET {url}/bytes/2001 -> 200 2001"),
        format!(
            "7 DELETE {url}/raw/HTTP/1.1%20200%20OK|Content-Length:%200|Set-Cookie:%20a|\
             Location:%20/x/[secret]|| -> 200"
        ),
        format!("8 GET {}/echo -> HTTP-request-denied", url.replace("://", "://[secret]@")),
        format!("9 GET {closed}/echo -> connection-refused"),
        format!("10 redacted {url}/echo redacted=1 -> 200 kept"),
    ];
    for (summary, expected) in summaries.iter().zip(&expected) {
        ensure!(summary == expected, "{summary}\n{expected}");
    }
    let everything = format!("{exchanges:?}");
    for secret in [SECRET, "hunter2", "mine", "me:pw"] {
        ensure!(!everything.contains(secret), "{secret}: {everything}");
    }
    for header in ["\"set-cookie\": \"[secret]\"", "\"location\": \"/x/[secret]\""] {
        ensure!(everything.contains(header), "{header}: {everything}");
    }
    Ok(())
}

/// Returns an exchange in a line. The body of an answer is `kept` unless it is short.
fn summary(exchange: &HttpExchange) -> String {
    let text = |body: &HttpBody, shown: usize| {
        let content = body.content.as_ref().map(|content| String::from_utf8_lossy(content));
        let shown = match content {
            Some(content) if content.is_empty() => String::new(),
            Some(content) if content.len() <= shown => format!(" {content:?}"),
            Some(_) => " kept".to_owned(),
            None => format!(" {}", body.length),
        };
        shown + &body.failure.map(|failure| format!(" {failure}")).unwrap_or_default()
    };
    let request = &exchange.request;
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| format!(" {name}={}", value.to_str().unwrap_or("")));
    let answer = match &exchange.answer {
        HttpAnswer::Response(response) => {
            format!("{}{}", response.status().as_u16(), text(response.body(), 20))
        }
        HttpAnswer::Failure(failure) => failure.to_string(),
    };
    format!(
        "{} {} {}{}{} -> {answer}",
        request.number,
        request.method,
        request.url,
        headers.collect::<String>(),
        text(&exchange.body, 20)
    )
}

fn answer_without_a_network() -> Result<()> {
    let observer = Arc::new(Observer {
        answers: vec![
            ("/a", response(200, body("from the observer"))?),
            ("/b", response(503, HttpBody::default())?),
            (
                "/c",
                response(
                    200,
                    HttpBody { failure: HttpFailure::parse("dropped"), ..body("start") },
                )?,
            ),
            ("/d", HttpAnswer::Failure(HttpFailure::parse("DNS-error").context("known")?)),
            ("/e", response(200, HttpBody { length: 7, ..HttpBody::default() })?),
            ("/f", response(200, body("not granted"))?),
        ],
        exchanges: Mutex::default(),
    });
    let before = sockets()?;
    let lines = "GET remote/a\nPUT remote/b body=3000000\nGET remote/c\nGET remote/d\n\
                 GET remote/e\nGET https://other.example/f";
    let options = SessionOptions::new().http(grant("remote", "https://dav.example.org/")?);
    let answers = run(options, lines, &observer)?;
    for (answer, expected) in answers.iter().zip([
        "200 from the observer",
        "503 ",
        "ErrorCode::InputOutput: https://dav.example.org/c: ErrorCode::ConnectionTerminated",
        "ErrorCode::NotConnected: https://dav.example.org/d: ErrorCode::DnsError",
        "ErrorCode::InputOutput: https://dav.example.org/e: ErrorCode::HttpResponseIncomplete",
        "ErrorCode::AccessDenied",
    ]) {
        ensure!(answer.starts_with(expected), "{answers:?}");
    }
    ensure!(observer.exchanges.lock().expect("no panic")[1].body.length == 3_000_000);
    for thread in fs::read_dir("/proc/self/task").into_iter().flatten() {
        let name = fs::read_to_string(thread?.path().join("comm"))?;
        ensure!(!name.starts_with("syncmgr-netw"), "the network runs");
    }
    ensure!(sockets()? == before);
    Ok(())
}

/// Returns the number of sockets of this process, on Linux.
fn sockets() -> Result<usize> {
    let files = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
}

#[test]
fn an_observer_answers_without_a_network() -> Result<()> {
    conformance::isolation::alone(an_observer_answers_without_a_network, answer_without_a_network)
}

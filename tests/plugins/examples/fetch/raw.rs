//! Uses of `wasi:http` that the SDK's client never makes. The setting `raw` selects one, and `much`
//! the amount.

use std::mem;
use std::thread;
use std::time::Duration;

use syncmgr_plugin::bindings::syncmgr::plugin::synchronize_callback as callback;
use syncmgr_plugin::settings;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, Scheme,
};
use wasip2::io::streams::OutputStream;

/// The pause between the bytes of a slow body.
const PAUSE: Duration = Duration::from_millis(50);

type Outcome<T> = Result<T, ErrorCode>;

/// The targets of requests, which differ from the granted server: authorities and paths. `HERE` is
/// the authority of the server.
const TARGETS: [(&str, &str); 17] = [
    ("HERE", "/\r\nX: y"),
    ("HERE", "/ HTTP/1.1\r\n\r\nGET /evil"),
    ("HERE", "/a b"),
    ("HERE", "/a\tb"),
    ("HERE", "/a\0b"),
    ("HERE", "http://evil.example/"),
    ("HERE", "//evil.example/"),
    ("HERE", "@evil.example/"),
    ("HERE", ".evil.example/"),
    ("HERE", ":80/"),
    ("HERE", "*"),
    ("HERE/evil", "/"),
    ("HERE\r\nX: y", "/"),
    ("me:pw@HERE", "/"),
    ("HERE@evil.example", "/"),
    ("evil.example", "/"),
    ("", "/"),
];

/// Performs a use. Returns what happened, a line each.
pub(crate) fn perform(name: &str, much: usize) -> Vec<String> {
    let result = match name {
        "body-unfinished" => unfinished(),
        "body-held" => held(),
        "body-slow" => slow(much),
        "body-longer" => with_length("5", 10),
        "body-shorter" => with_length("10", 5),
        "length-without-body" => send(&Method::Get, "", &[("content-length", b"40")]).map(done),
        "two-lengths" => {
            let lengths = [("content-length", &b"5"[..]), ("content-length", b"6")];
            send(&Method::Get, "", &lengths).map(done)
        }
        "bodies-unread" => return unread(much),
        "after-cancellation" => after_cancellation(),
        "leak-pollables" => leak(much, || get("silent").map(|sent| (sent.subscribe(), sent))),
        "leak-requests" => leak(much, || get("silent")),
        "leak-headers" => leak(much, || Ok(Fields::new())),
        "many-headers" => headers((0..much).map(|at| (format!("x-{at}"), vec![b'v'; 5]))),
        "long-header" => headers([("x".to_owned(), vec![b'v'; much])].into_iter()),
        "invalid-headers" => return invalid_headers(),
        "targets" => return targets(),
        other => Ok(format!("there is no `{other}`")),
    };
    vec![result.unwrap_or_else(|error| format!("{error:?}"))]
}

fn done<T>(_: T) -> String {
    "done".to_owned()
}

/// Returns the authority and the path of the granted server.
fn server() -> (String, String) {
    let url = settings::get(None, "remote").unwrap_or_default();
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    (authority.to_owned(), format!("/{path}"))
}

/// Returns a request, and the error of the first invalid part.
fn request(
    method: &Method,
    authority: &str,
    path: &str,
    headers: &[(&str, &[u8])],
) -> Outcome<OutgoingRequest> {
    let fields = Fields::new();
    for (name, value) in headers {
        let appended = fields.append(name, value);
        appended.map_err(|_| ErrorCode::HttpRequestHeaderSize(None))?;
    }
    let request = OutgoingRequest::new(fields);
    let invalid = |()| ErrorCode::HttpRequestUriInvalid;
    request.set_method(method).map_err(|()| ErrorCode::HttpRequestMethodInvalid)?;
    request.set_scheme(Some(&Scheme::Http)).map_err(invalid)?;
    request.set_authority(Some(authority)).map_err(invalid)?;
    request.set_path_with_query(Some(path)).map_err(invalid)?;
    Ok(request)
}

fn start(method: &Method, name: &str, headers: &[(&str, &[u8])]) -> Outcome<OutgoingRequest> {
    let (authority, path) = server();
    request(method, &authority, &format!("{path}{name}"), headers)
}

fn get(name: &str) -> Outcome<FutureIncomingResponse> {
    handle(start(&Method::Get, name, &[])?, None)
}

fn receive(sent: &FutureIncomingResponse) -> Outcome<IncomingResponse> {
    sent.subscribe().block();
    let response = sent.get().ok_or(ErrorCode::InternalError(None))?;
    response.unwrap_or(Err(ErrorCode::InternalError(None)))
}

fn send(method: &Method, name: &str, headers: &[(&str, &[u8])]) -> Outcome<IncomingResponse> {
    receive(&handle(start(method, name, headers)?, None)?)
}

/// Starts a request with this length of its body.
fn upload(length: &str) -> Outcome<(FutureIncomingResponse, OutgoingBody, OutputStream)> {
    let request = start(&Method::Put, "echo", &[("content-length", length.as_bytes())])?;
    let body = request.body().map_err(|()| ErrorCode::HttpRequestBodySize(None))?;
    let stream = body.write().map_err(|()| ErrorCode::HttpRequestBodySize(None))?;
    Ok((handle(request, None)?, body, stream))
}

fn write(stream: &OutputStream, bytes: usize) -> Outcome<()> {
    let written = stream.blocking_write_and_flush(&vec![b'x'; bytes]);
    written.map_err(|error| ErrorCode::InternalError(Some(format!("{error:?}"))))
}

fn unfinished() -> Outcome<String> {
    let (sent, body, stream) = upload("100")?;
    write(&stream, 10)?;
    drop(stream);
    drop(body);
    receive(&sent).map(done)
}

/// Waits for an answer to a request without its end.
fn held() -> Outcome<String> {
    let (sent, _body, stream) = upload("100")?;
    write(&stream, 10)?;
    receive(&sent).map(done)
}

fn slow(much: usize) -> Outcome<String> {
    let (sent, body, stream) = upload(&much.to_string())?;
    for _ in 0..much {
        thread::sleep(PAUSE);
        write(&stream, 1)?;
    }
    drop(stream);
    OutgoingBody::finish(body, None)?;
    receive(&sent).map(done)
}

fn with_length(length: &str, bytes: usize) -> Outcome<String> {
    let (sent, body, stream) = upload(length)?;
    write(&stream, bytes)?;
    drop(stream);
    OutgoingBody::finish(body, None)?;
    receive(&sent).map(done)
}

/// Keeps responses without reading them, and then all but one.
fn unread(much: usize) -> Vec<String> {
    let mut responses: Vec<_> =
        (0..much).map(|_| send(&Method::Get, "bytes/1000000000", &[])).collect();
    thread::sleep(Duration::from_millis(500));
    let mut outcomes: Vec<_> = responses.iter().map(|one| format!("{:?}", one.is_ok())).collect();
    responses.truncate(1);
    outcomes.push(send(&Method::Get, "echo", &[]).map_or_else(|error| format!("{error:?}"), done));
    outcomes
}

fn after_cancellation() -> Outcome<String> {
    // The connection is kept.
    drop(send(&Method::Get, "echo", &[])?);
    callback::subscribe_cancelled(None).block();
    send(&Method::Get, "late", &[]).map(done)
}

/// Opens handles until the host terminates the plugin.
fn leak<T>(much: usize, one: impl Fn() -> Outcome<T>) -> Outcome<String> {
    for _ in 0..much {
        match one() {
            Ok(handle) => mem::forget(handle),
            Err(error) => mem::forget(error),
        }
    }
    Ok(format!("{much} handles"))
}

fn headers(headers: impl Iterator<Item = (String, Vec<u8>)>) -> Outcome<String> {
    let headers: Vec<_> = headers.collect();
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    send(&Method::Get, "echo", &headers).map(done)
}

fn invalid_headers() -> Vec<String> {
    let invalid: [(&str, &[u8]); 10] = [
        ("x", b"a\nb"),
        ("x", b"a\r\nb: c"),
        ("x", b"a\0b"),
        ("x\r\ny", b"z"),
        ("x y", b"z"),
        ("x:", b"z"),
        ("", b"z"),
        ("content-length", b"+5"),
        ("host", b"evil.example"),
        ("transfer-encoding", b"chunked"),
    ];
    let fields = Fields::new();
    let mut outcomes: Vec<_> =
        invalid.iter().map(|(name, value)| format!("{:?}", fields.append(name, value))).collect();
    let listed = invalid.map(|(name, value)| (name.to_owned(), value.to_vec()));
    outcomes.extend(listed.map(|one| format!("{:?}", Fields::from_list(&[one]).map(done))));
    outcomes
}

fn targets() -> Vec<String> {
    let (here, _) = server();
    let outcome = |(authority, path): (&str, &str)| {
        let authority = authority.replace("HERE", &here);
        let sent = request(&Method::Get, &authority, path, &[]);
        let sent = sent.and_then(|request| handle(request, None));
        match sent.and_then(|sent| receive(&sent)) {
            Ok(response) => format!("{}", response.status()),
            Err(error) => format!("{error:?}"),
        }
    };
    TARGETS.map(outcome).to_vec()
}

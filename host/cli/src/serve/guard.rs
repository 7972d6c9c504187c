//! The first code that sees a request: who may do what, and the headers of each answer.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::form::Form;
use super::server::Server;

/// The maximum size of a body in bytes.
const MAX_BODY: usize = 4096;

/// The headers of each answer. Nothing is loaded from elsewhere, nothing in the page is a script or
/// a style, and no other page may frame this one.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A request that is not answered, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

const NOT_THIS_HOST: Refused =
    Refused(StatusCode::FORBIDDEN, "refused: the request is for another host");
const NO_COOKIE: Refused = Refused(
    StatusCode::FORBIDDEN,
    "refused: open the URL that `syncmgr serve` printed, with its token",
);
const OTHER_PAGE: Refused = Refused(StatusCode::FORBIDDEN, "refused: another page sent the form");
const NO_FORM_TOKEN: Refused =
    Refused(StatusCode::FORBIDDEN, "refused: the form is not of this page; reload the page");
const TOO_LARGE: Refused = Refused(StatusCode::PAYLOAD_TOO_LARGE, "refused: the form is too large");
const OTHER_METHOD: Refused = Refused(StatusCode::METHOD_NOT_ALLOWED, "refused: unknown method");

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permitted {
    /// Exchange the token in the URL for the cookie.
    Enter,
    Read,
    /// Change something, if the form has its token.
    Change,
}

/// Answers a request, if it is permitted. A form reaches its handler as an extension.
pub(super) async fn guard(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut answer = match check(&server, &parts) {
        Err(refused) => refused.into_response(),
        Ok(Permitted::Enter) => enter(&server),
        Ok(Permitted::Read) => next.run(Request::from_parts(parts, body)).await,
        Ok(Permitted::Change) => match to_bytes(body, MAX_BODY).await {
            Err(_) => TOO_LARGE.into_response(),
            Ok(body) => {
                let form = Form::parse(&String::from_utf8_lossy(&body));
                match form.get("token").is_some_and(|token| server.form.is(token)) {
                    false => NO_FORM_TOKEN.into_response(),
                    true => {
                        parts.extensions.insert(form);
                        next.run(Request::from_parts(parts, body.into())).await
                    }
                }
            }
        },
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn check(server: &Server, request: &Parts) -> Result<Permitted, Refused> {
    // A name that an attacker has pointed to this machine is another host.
    let host = only(&request.headers, &header::HOST).ok_or(NOT_THIS_HOST)?;
    let hosts = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", server.port));
    let is_of_host = |host: &str| hosts.iter().any(|own| own == host);
    let in_url = request.uri.authority().map(|authority| authority.as_str());
    if !is_of_host(host) || in_url.is_some_and(|in_url| in_url != host) {
        return Err(NOT_THIS_HOST);
    }
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    if !reads && request.method != Method::POST {
        return Err(OTHER_METHOD);
    }
    if reads && request.uri.path() == "/" {
        let query = Form::parse(request.uri.query().unwrap_or_default());
        if query.get("token").is_some_and(|token| server.token.is(token)) {
            return Ok(Permitted::Enter);
        }
    }
    if !has_cookie(server, &request.headers) {
        return Err(NO_COOKIE);
    }
    if reads {
        return Ok(Permitted::Read);
    }
    let origin = only(&request.headers, &header::ORIGIN);
    let site = HeaderName::from_static("sec-fetch-site");
    let site = request.headers.contains_key(&site).then(|| only(&request.headers, &site));
    // The referrer policy makes browsers send the origin `null` with a form. Which page sent it is
    // then in the other header, which no page can set.
    let is_own = match (origin, site) {
        (Some("null"), Some(site)) => site == Some("same-origin"),
        (Some(origin), site) => {
            origin.strip_prefix("http://") == Some(host)
                && site.is_none_or(|site| site == Some("same-origin"))
        }
        (None, _) => false,
    };
    match is_own {
        true => Ok(Permitted::Change),
        false => Err(OTHER_PAGE),
    }
}

/// Returns the value of a header that occurs once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (None, _) | (Some(_), Some(_)) => None,
    }
}

/// Returns the name of the cookie. Servers at other ports of this machine share its cookies.
fn cookie_name(server: &Server) -> String {
    format!("syncmgr-{}", server.port)
}

fn has_cookie(server: &Server, headers: &HeaderMap) -> bool {
    let name = cookie_name(server);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(|value| value.split(';'));
    cookies.any(|cookie| {
        let cookie = cookie.trim().split_once('=');
        cookie.is_some_and(|(found, value)| found == name && server.cookie.is(value))
    })
}

/// Sets the cookie, and continues at the URL without the token.
fn enter(server: &Server) -> Response {
    let name = cookie_name(server);
    let cookie = format!("{name}={}; HttpOnly; SameSite=Strict; Path=/", server.cookie.text());
    let headers = [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use syncmgr_install::Registrations;

    use super::*;

    #[test]
    fn only_the_own_page_may_do_something() {
        let server = Server::new(Registrations::new(Path::new("/nowhere")), 8420);
        let own = format!("a=b; syncmgr-8420={}", server.cookie.text());
        let own = own.as_str();
        let wrong = format!("syncmgr-8420={}", server.token.text());
        let other_port = format!("syncmgr-8421={}", server.cookie.text());
        let enter = format!("/?token={}", server.token.text());
        let (host, cookie, origin, site) = ("host", "cookie", "origin", "sec-fetch-site");
        let here = (host, "127.0.0.1:8420");
        let me = (origin, "http://127.0.0.1:8420");
        for (method, path, headers, expected) in [
            ("GET", "/", &[here, (cookie, own)][..], Ok(Permitted::Read)),
            ("HEAD", "/", &[here, (cookie, own)], Ok(Permitted::Read)),
            ("GET", "/", &[(host, "localhost:8420"), (cookie, own)], Ok(Permitted::Read)),
            ("GET", &enter, &[here], Ok(Permitted::Enter)),
            ("GET", "/?token=", &[here], Err(NO_COOKIE)),
            ("GET", "/?token=0", &[here], Err(NO_COOKIE)),
            ("GET", &enter.replace('?', "history?"), &[here], Err(NO_COOKIE)),
            ("POST", &enter, &[here, me], Err(NO_COOKIE)),
            ("GET", "/", &[here], Err(NO_COOKIE)),
            ("GET", "/style.css", &[here], Err(NO_COOKIE)),
            ("GET", "/", &[here, (cookie, &wrong)], Err(NO_COOKIE)),
            ("GET", "/", &[here, (cookie, &other_port)], Err(NO_COOKIE)),
            ("GET", "/", &[(cookie, own)], Err(NOT_THIS_HOST)),
            ("GET", "/", &[here, here, (cookie, own)], Err(NOT_THIS_HOST)),
            ("GET", &enter, &[(host, "evil.example:8420")], Err(NOT_THIS_HOST)),
            ("GET", "/", &[(host, "evil.example:8420"), (cookie, own)], Err(NOT_THIS_HOST)),
            ("GET", "/", &[(host, "127.0.0.1"), (cookie, own)], Err(NOT_THIS_HOST)),
            ("GET", "/", &[(host, "127.0.0.1:84200"), (cookie, own)], Err(NOT_THIS_HOST)),
            ("GET", "/", &[(host, "localhost.evil:8420"), (cookie, own)], Err(NOT_THIS_HOST)),
            ("GET", "http://evil.example/", &[here, (cookie, own)], Err(NOT_THIS_HOST)),
            ("PUT", "/", &[here, (cookie, own), me], Err(OTHER_METHOD)),
            ("POST", "/start", &[here, (cookie, own), me], Ok(Permitted::Change)),
            (
                "POST",
                "/start",
                &[here, (cookie, own), me, (site, "same-origin")],
                Ok(Permitted::Change),
            ),
            (
                "POST",
                "/start",
                &[here, (cookie, own), (origin, "null"), (site, "same-origin")],
                Ok(Permitted::Change),
            ),
            ("POST", "/start", &[here, me], Err(NO_COOKIE)),
            ("POST", "/start", &[here, (cookie, own)], Err(OTHER_PAGE)),
            ("POST", "/start", &[here, (cookie, own), (origin, "null")], Err(OTHER_PAGE)),
            (
                "POST",
                "/start",
                &[here, (cookie, own), (origin, "null"), (site, "cross-site")],
                Err(OTHER_PAGE),
            ),
            (
                "POST",
                "/start",
                &[here, (cookie, own), (origin, "http://127.0.0.1:9")],
                Err(OTHER_PAGE),
            ),
            (
                "POST",
                "/start",
                &[here, (cookie, own), (origin, "https://127.0.0.1:8420")],
                Err(OTHER_PAGE),
            ),
            // It has the same address, but is another site.
            (
                "POST",
                "/start",
                &[here, (cookie, own), (origin, "http://localhost:8420")],
                Err(OTHER_PAGE),
            ),
            ("POST", "/start", &[here, (cookie, own), me, (site, "same-site")], Err(OTHER_PAGE)),
            ("POST", "/start", &[here, (cookie, own), me, me], Err(OTHER_PAGE)),
        ] {
            let mut request = axum::http::Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(check(&server, &parts), expected, "{method} {path} {headers:?}");
        }
    }
}

//! HTTP requests of a plugin, compared with the same requests of a native client.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use conformance::FETCH;
use conformance::http_server::HttpServer;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use syncmgr_host::http::HttpGrant;
use syncmgr_host::sink::Discard;
use syncmgr_host::{Access, Host, Limits, Plugin, RunRequest, SessionOptions, Status};

use crate::Options;
use crate::report::{Figure, Goal, Row, median};

/// The number of requests of a plugin in flight.
const AT_ONCE: usize = 64;

/// Returns the seconds that a plugin takes for a request, repeated this many times.
fn ours(
    plugin: &Plugin,
    server: &HttpServer,
    path: &str,
    times: usize,
    at_once: usize,
) -> Result<f64> {
    let mut limits = Limits::default();
    limits.http_bytes_down = u64::MAX;
    limits.http_requests = AT_ONCE as u64;
    limits.log_entries = 10;
    let options = SessionOptions::new()
        .limits(limits)
        .http(HttpGrant::new("remote", &server.url(), Access::ReadWrite)?)
        .setting("requests", vec![format!("GET remote/{path} discard"); times].join("\n"));
    let options = match at_once {
        1 => options,
        more => options.setting("at-once", more.to_string()),
    };
    let since = Instant::now();
    let report = plugin.run(options, Discard, &RunRequest::default())?;
    let took = since.elapsed().as_secs_f64();
    ensure!(report.items.iter().all(|item| item.status == Status::Succeeded), "{report:?}");
    // Both items make all requests.
    let requests = 2 * times;
    let usage = report.http.values().next().context("requests")?;
    ensure!(usage.requests == requests as u64 && usage.bytes_down > 0, "{report:?}");
    Ok(took / requests as f64)
}

/// Returns the seconds that hyper takes for it.
fn native(server: &HttpServer, path: &str, times: usize) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Empty<Bytes>> =
            Client::builder(TokioExecutor::new()).build(connector);
        let url: http::Uri = format!("{}/{path}", server.url()).parse()?;
        let since = Instant::now();
        for _ in 0..times {
            let mut body = client.get(url.clone()).await?.into_body();
            while let Some(frame) = body.frame().await {
                frame?;
            }
        }
        Ok(since.elapsed().as_secs_f64() / times as f64)
    })
}

pub(crate) fn measure(options: &Options) -> Result<Vec<Row>> {
    let (rounds, times, large) =
        if options.small { (1, 70, 1_u64 << 20) } else { (options.rounds, 2_000, 1 << 30) };
    let host = Host::new()?;
    let plugin = host.load_file(FETCH)?;
    let server = HttpServer::start()?;
    let stream = format!("bytes/{large}");
    let (mut small, mut many, mut bulk) = (Vec::new(), Vec::new(), Vec::new());
    let (mut small_native, mut bulk_native) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        small.push(ours(&plugin, &server, "bytes/1024", times, 1)?);
        small_native.push(native(&server, "bytes/1024", times)?);
        many.push(ours(&plugin, &server, "bytes/1024", times, AT_ONCE)?);
        bulk.push(ours(&plugin, &server, &stream, 1, 1)?);
        bulk_native.push(native(&server, &stream, 1)?);
    }
    let time = |all| Figure::Time(median(all));
    let small_native = time(small_native);
    Ok(vec![
        Row::new("GET of 1 KiB, kept connection", time(small))
            .limit("hyper", small_native)
            .goal(Goal::TimesLimit(1.5)),
        Row::new("GET of 1 KiB, 64 in flight", time(many)).limit("hyper, one", small_native),
        Row::new(if options.small { "GET of 1 MiB" } else { "GET of 1 GiB" }, time(bulk))
            .limit("hyper", time(bulk_native))
            .goal(Goal::TimesLimit(1.25)),
    ])
}

//! The paths of the server.

use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, body::Body};

use super::children::Mode;
use super::form::Form;
use super::guard::{Refused, guard};
use super::live::Live;
use super::outcome::Outcome;
use super::server::Server;
use super::{conflicts, jobs, trash, view};

const HTML: &str = "text/html; charset=utf-8";
const NOT_FOUND: Refused = Refused(StatusCode::NOT_FOUND, "there is no such page");
const NO_JOB: Refused =
    Refused(StatusCode::NOT_FOUND, "this job cannot be run from here; reload the page");
const NO_RUN: Refused = Refused(StatusCode::NOT_FOUND, "there is no such run; reload the page");

const NOTHING_CHOSEN: Refused =
    Refused(StatusCode::NOT_FOUND, "the form selects nothing that there is; reload the page");
const FAILED: Refused = Refused(StatusCode::INTERNAL_SERVER_ERROR, "the page failed");

type Shared = State<Arc<Server>>;

pub(super) fn router(server: Arc<Server>) -> Router {
    let text = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/", get(|state| page(state, |server| view::items(server).map(Some))))
        .route("/history", get(history))
        .route("/run/{id}", get(one_run))
        .route("/conflicts", get(standing))
        .route("/conflict/{key}", get(conflict))
        .route("/skipped", get(|state| page(state, |server| view::skipped(server).map(Some))))
        .route("/trash", get(|state| page(state, |server| view::trash(server).map(Some))))
        .route("/trash/{key}", get(trash_run))
        .route("/plugins", get(|state| page(state, |server| view::plugins(server).map(Some))))
        .route("/running", get(|state| page(state, |server| view::running(server).map(Some))))
        .route("/running/events", get(events))
        .route("/start", post(start))
        .route("/cancel", post(cancel))
        .route("/resolve", post(|state, form| act(state, form, conflicts::settle)))
        .route("/restore", post(|state, form| act(state, form, trash::restore)))
        .route("/style.css", text("text/css; charset=utf-8", view::STYLE))
        .route("/script.js", text("text/javascript; charset=utf-8", include_str!("script.js")))
        .fallback(|| async { NOT_FOUND })
        .layer(from_fn_with_state(Arc::clone(&server), guard))
        .with_state(server)
}

/// Returns a page; `None`: there is no such page. Files are read on another thread, so that other
/// requests and the progress of runs go on.
async fn page(
    State(server): Shared,
    view: impl FnOnce(&Server) -> anyhow::Result<Option<String>> + Send + 'static,
) -> Response {
    let shown = tokio::task::spawn_blocking(move || {
        view(&server).map_err(|error| {
            (StatusCode::INTERNAL_SERVER_ERROR, view::failed(&format!("{error:#}")))
        })
    });
    match shown.await {
        Ok(Ok(Some(page))) => ([(header::CONTENT_TYPE, HTML)], page).into_response(),
        Ok(Ok(None)) => NOT_FOUND.into_response(),
        Ok(Err((status, page))) => (status, [(header::CONTENT_TYPE, HTML)], page).into_response(),
        Err(_) => FAILED.into_response(),
    }
}

async fn history(state: Shared, RawQuery(query): RawQuery) -> Response {
    let query = Form::parse(&query.unwrap_or_default());
    page(state, move |server| view::history(server, &query).map(Some)).await
}

async fn one_run(state: Shared, Path(id): Path<String>, RawQuery(query): RawQuery) -> Response {
    let query = Form::parse(&query.unwrap_or_default());
    page(state, move |server| view::one_run(server, &id, &query)).await
}

async fn standing(state: Shared, RawQuery(query): RawQuery) -> Response {
    let query = Form::parse(&query.unwrap_or_default());
    page(state, move |server| view::conflicts(server, &query).map(Some)).await
}

async fn conflict(state: Shared, Path(key): Path<String>) -> Response {
    page(state, move |server| view::conflict(server, &key)).await
}

async fn trash_run(state: Shared, Path(key): Path<String>) -> Response {
    page(state, move |server| view::trash_run(server, &key)).await
}

async fn events(State(server): Shared) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::new(Live::new(server))).into_response()
}

/// Starts a run. The form selects one of the known jobs; nothing else of it is used.
async fn start(State(server): Shared, Extension(form): Extension<Form>) -> Response {
    let started = tokio::task::spawn_blocking(move || {
        let jobs = jobs::all(&server)?;
        let job = jobs.into_iter().find(|job| Some(&*job.key) == form.get("job"));
        let Some(job) = job else { return Ok(NO_JOB.into_response()) };
        let preview = || server.children.stopped_deletions(form.number("preview")?, &job.key);
        let mode = match (form.get("mode"), preview()) {
            (Some("preview"), _) => Mode::Preview,
            (Some("once"), Some(deletions)) => Mode::Once { deletions },
            (Some("once"), None) => return Ok(NO_RUN.into_response()),
            (Some(_) | None, _) => Mode::Run,
        };
        match server.children.start(&job, mode, server.registrations.state_dir()) {
            Ok(()) => Ok(see_other("/running")),
            Err(refused) => {
                let failed = view::failed(&format!("{refused:#}"));
                Ok((StatusCode::CONFLICT, [(header::CONTENT_TYPE, HTML)], failed).into_response())
            }
        }
    });
    match started.await {
        Ok(Ok(answer)) => answer,
        Ok(Err::<_, anyhow::Error>(_)) | Err(_) => NO_JOB.into_response(),
    }
}

async fn cancel(State(server): Shared, Extension(form): Extension<Form>) -> Response {
    match form.number("run").is_some_and(|number| server.children.cancel(number)) {
        true => see_other("/running"),
        false => NO_RUN.into_response(),
    }
}

/// Changes files. The form selects some of those that the server knows, and what to do.
async fn act(
    State(server): Shared,
    Extension(form): Extension<Form>,
    action: fn(&Server, &Form) -> anyhow::Result<Outcome>,
) -> Response {
    let done = tokio::task::spawn_blocking(move || {
        let html = [(header::CONTENT_TYPE, HTML)];
        match action(&server, &form) {
            Ok(Outcome::Done(page)) => see_other(&page),
            Ok(Outcome::NothingChosen) => NOTHING_CHOSEN.into_response(),
            Ok(Outcome::Refused(refusals)) => {
                (StatusCode::CONFLICT, html, view::refused(&refusals)).into_response()
            }
            Err(error) => {
                let failed = view::failed(&format!("{error:#}"));
                (StatusCode::INTERNAL_SERVER_ERROR, html, failed).into_response()
            }
        }
    });
    done.await.unwrap_or_else(|_| FAILED.into_response())
}

fn see_other(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

//! The command `serve`: a page in the browser.
//!
//! - `server`: the data of the server, and its end. `routes`: its paths.
//! - `guard`: who may do what: the first code that sees a request, and the headers of each answer.
//!   `secret`: the tokens that it compares. `form`: the fields of a query or a body.
//! - `view/`: one file per page. They show texts of plugins, which `view` escapes in one place.
//! - `job`, `jobs`: what can be run. `children`: the runs; `progress` reads their output, `places`
//!   counts by directory, `rates` by time, and `live` passes it on to the browser.
//! - `scheduler`: starts the runs of schedules that the system does not execute.
//! - `conflicts` and `trash`: which of them a form selects, and settling or restoring them. `key`:
//!   what names them. `outcome`: what became of a form.

mod children;
mod conflicts;
mod form;
mod guard;
mod job;
mod jobs;
mod key;
mod live;
mod outcome;
mod places;
mod progress;
mod rates;
mod routes;
mod scheduler;
mod secret;
mod server;
mod trash;
mod view;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::args::Serve;
use crate::exit::Exit;
use crate::interrupt::Interrupts;
use crate::output;
use crate::plugin_source::registrations;
use server::Server;

/// The interval of checks for Ctrl-C.
const INTERRUPT_CHECK: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &Serve) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    if args.once {
        let page = view::once(&Server::new(registrations, 0))?;
        output::stdout().write_all(page.as_bytes())?;
        return Ok(Exit::InSync);
    }
    let interrupts = Interrupts::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port));
        let listener = listener
            .await
            .with_context(|| format!("cannot listen on 127.0.0.1, port {}", args.port))?;
        let server = Arc::new(Server::new(registrations, listener.local_addr()?.port()));
        writeln!(output::stdout(), "{}", server.url())?;
        let interrupted = async {
            while !interrupts.came() {
                tokio::time::sleep(INTERRUPT_CHECK).await;
            }
        };
        let served = tokio::select! {
            served = axum::serve(listener, routes::router(Arc::clone(&server))) => served,
            never = scheduler::run(Arc::clone(&server)) => match never {},
            () = interrupted => Ok(()),
        };
        server.children.stop();
        served.context("cannot answer requests")
    })?;
    Ok(Exit::InSync)
}

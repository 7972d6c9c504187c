//! The head of a recording.

use syncmgr_host::{Access, Plugin, RunRequest, Selection};
use syncmgr_install::{InstallError, Server};

use crate::check::{RecordedServer, RecordingHead};
use crate::job::Job;

/// Returns the state before the run, for a recording. `with_files`: with the files of the granted
/// directories.
pub(super) fn head(
    job: &Job,
    request: &RunRequest,
    plugin: &Plugin,
    with_files: bool,
) -> anyhow::Result<RecordingHead> {
    let component = job.plugin.bytes(&job.grants.limits().load)?;
    let directories = &job.grants.directories;
    let mut allowed = job.grants.allow.clone();
    if job.plugin.is_built_in() {
        allowed = plugin.description().requests.capabilities.iter().map(|(one, _)| *one).collect();
    }
    let selection =
        if let Selection::Only(items) = &request.selection { Some(items) } else { None };
    let server = |server: &Server| {
        let grant = server.grant(plugin)?;
        let read_only = grant.access() == Access::ReadOnly;
        let recorded = RecordedServer { url: grant.url().to_owned(), read_only };
        Ok((server.name.clone(), recorded))
    };
    let servers = job.grants.http.iter().map(server).collect::<Result<_, InstallError>>()?;
    let mut head = RecordingHead {
        version: 1,
        plugin: job.plugin.name(),
        component: blake3::hash(&component).to_string(),
        selection: selection.cloned(),
        settings: job.grants.settings.iter().cloned().collect(),
        allowed: allowed.iter().map(|one| one.name().to_owned()).collect(),
        servers,
        directory_ids: directories.iter().map(|one| (one.name().to_owned(), one.id())).collect(),
        ..RecordingHead::default()
    };
    head.set_trigger(request.trigger, request.cookie.as_deref());
    if with_files {
        for grant in directories {
            let limit = job.grants.limits().session.record_bytes;
            head.record_directory(grant.name(), grant.path(), limit)?;
        }
    }
    Ok(head)
}

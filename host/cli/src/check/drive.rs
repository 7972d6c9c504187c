//! Runs of a plugin for the SDK's `testing` module. Request and result are JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use syncmgr_host::http::{HttpGrant, HttpGrantError};
use syncmgr_host::sink::Discard;
use syncmgr_host::{
    Access, Grant, ItemId, Limits, Participation, Plugin, ProgressResponse, PropertiesOutcome,
    PropertyValue, RunRequest, Session, SessionError, SessionOptions, SyncEvent, Trigger,
    full_message,
};
use uuid::Uuid;

use crate::check::error::CheckError;
use crate::check::event::Event;
use crate::check::property::{ChangeData, PropertyData};
use crate::check::run::{self, Answer};

/// The request of a test.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drive {
    /// The component.
    pub component: PathBuf,
    #[serde(default)]
    directories: Vec<Directory>,
    #[serde(default)]
    servers: Vec<Server>,
    #[serde(default)]
    storage: Option<PathBuf>,
    #[serde(default)]
    settings: Vec<(String, String)>,
    #[serde(default)]
    answers: Vec<NthAnswer>,
    #[serde(default)]
    choices: Vec<usize>,
    #[serde(default)]
    event: String,
    #[serde(default)]
    modifiers: u8,
    #[serde(default)]
    cookie: Option<Vec<u8>>,
    #[serde(default)]
    retries: u32,
    /// Gets or changes properties instead of running the plugin.
    #[serde(default)]
    properties: Option<PropertiesRequest>,
}

#[derive(Clone, Debug, Deserialize)]
struct PropertiesRequest {
    item: Option<Uuid>,
    /// The changes; absent: get the properties.
    #[serde(default)]
    changes: Option<Vec<ChangeData>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "ServerData")]
struct Server(HttpGrant);

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ServerData {
    name: String,
    url: String,
    read_only: bool,
}

impl TryFrom<ServerData> for Server {
    type Error = HttpGrantError;

    fn try_from(server: ServerData) -> Result<Self, HttpGrantError> {
        let access = if server.read_only { Access::ReadOnly } else { Access::ReadWrite };
        HttpGrant::new(&server.name, &server.url, access).map(Self)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Directory {
    name: String,
    path: PathBuf,
    read_only: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct NthAnswer {
    item: Option<String>,
    nth: usize,
    response: String,
}

/// The result.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Driven {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    items: Vec<DrivenItem>,
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<PropertyData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties_outcome: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Failure {
    code: &'static str,
    message: String,
}

#[derive(Clone, Debug, Serialize)]
struct DrivenItem {
    id: String,
    name: String,
    counts: BTreeMap<String, u64>,
}

fn event(name: &str) -> SyncEvent {
    match name {
        "Connect" => SyncEvent::Connect,
        "PendingDisconnect" => SyncEvent::PendingDisconnect,
        "Idle" => SyncEvent::Idle,
        "Invoke" => SyncEvent::Invoke,
        "Scheduled" => SyncEvent::Scheduled,
        _manual => SyncEvent::Manual,
    }
}

/// Returns the answers of the test, by the number of the report of an item or of the run.
fn answer(answers: Vec<NthAnswer>) -> Answer {
    let of_items: Mutex<BTreeMap<String, usize>> = Mutex::default();
    Box::new(move |item, _, of_all| {
        let item = item.to_string();
        let mut of_items = of_items.lock().unwrap_or_else(PoisonError::into_inner);
        let of_item = of_items.entry(item.clone()).or_default();
        *of_item += 1;
        let due = |answer: &&NthAnswer| match &answer.item {
            None => answer.nth == of_all,
            Some(about) => *about == item && answer.nth == *of_item,
        };
        let responses = answers.iter().filter(due).map(|answer| match answer.response.as_str() {
            "cancel-all" => ProgressResponse::CancelAll,
            _item => ProgressResponse::CancelItem,
        });
        responses.max().unwrap_or_default()
    })
}

/// Runs a plugin.
///
/// # Errors
/// [`CheckError`]. An error of the plugin is part of the result.
pub fn drive(plugin: &Plugin, drive: &Drive) -> Result<Driven, CheckError> {
    let mut limits = Limits::default();
    limits.progress_per_second = u64::MAX;
    let mut options = SessionOptions::new().limits(limits);
    for directory in &drive.directories {
        let access = if directory.read_only { Access::ReadOnly } else { Access::ReadWrite };
        options = options.grant(Grant::new(&directory.name, &directory.path, access)?);
    }
    for Server(server) in &drive.servers {
        options = options.http(server.clone());
    }
    if let Some(storage) = &drive.storage {
        options = options.storage(storage);
    }
    for (name, value) in &drive.settings {
        options = options.setting(name, value);
    }
    for (capability, _) in &plugin.description().requests.capabilities {
        options = options.allow(*capability);
    }
    if let Some(properties) = &drive.properties {
        return drive_properties(plugin, &options, drive, properties);
    }
    let mut request = RunRequest::default();
    request.trigger = Trigger {
        event: event(&drive.event),
        settings: drive.modifiers & 1 != 0,
        may_bother_user: drive.modifiers & 2 != 0,
    };
    request.cookie.clone_from(&drive.cookie);
    request.retries = drive.retries;
    let choices = Arc::new(Mutex::new(drive.choices.clone()));
    let answers = answer(drive.answers.clone());
    let ran = run::run_choosing(plugin, options, &request, answers, choices)?;
    Ok(Driven {
        outcome: ran.report.outcome.name(),
        error: ran.report.error().map(Failure::of),
        items: ran
            .report
            .items
            .iter()
            .map(|item| DrivenItem {
                id: item.id.to_string(),
                name: item.name.clone(),
                counts: item.counts.clone(),
            })
            .collect(),
        events: ran.events.into_iter().map(|call| call.event).collect(),
        ..Driven::default()
    })
}

impl Failure {
    fn of(error: &SessionError) -> Self {
        if let SessionError::Plugin { code, message, .. } = error {
            return Self { code: code.name(), message: message.clone() };
        }
        Self { code: "failed", message: full_message(error) }
    }
}

/// Gets or changes properties in a settings session.
fn drive_properties(
    plugin: &Plugin,
    options: &SessionOptions,
    drive: &Drive,
    request: &PropertiesRequest,
) -> Result<Driven, CheckError> {
    let trigger = Trigger {
        event: event(&drive.event),
        settings: true,
        may_bother_user: drive.modifiers & 2 != 0,
    };
    let (cookie, item) = (drive.cookie.clone(), request.item.map(ItemId::from_uuid));
    let changes = request.changes.clone();
    let mut session = plugin.start_on_thread(options, Discard)?;
    let asked = session.call(async move |session: &mut Session| {
        let mut driven = Driven { outcome: "completed", ..Driven::default() };
        if session.initialize(trigger, cookie.as_deref()).await? == Participation::Declines {
            driven.outcome = "declined";
            driven.error = Some(Failure {
                code: "unexpected",
                message: "the plugin declines to take part in runs for settings".to_owned(),
            });
            return Ok::<_, SessionError>(driven);
        }
        match changes {
            None => {
                let properties = session.properties(item).await?;
                driven.properties = properties.into_iter().map(PropertyData::from).collect();
            }
            Some(changes) => {
                let changes: Vec<_> = changes
                    .iter()
                    .map(|change| (change.name.as_str(), PropertyValue::from(change.value.clone())))
                    .collect();
                let outcome = session.set_properties(item, &changes).await?;
                driven.properties_outcome = Some(match outcome {
                    PropertiesOutcome::Applied => "applied",
                    PropertiesOutcome::ItemDeleted => "item-deleted",
                    PropertiesOutcome::EnumItems => "enum-items",
                });
            }
        }
        Ok(driven)
    });
    Ok(asked.and_then(|answer| answer).unwrap_or_else(|error| Driven {
        outcome: "failed",
        error: Some(Failure::of(&error)),
        ..Driven::default()
    }))
}

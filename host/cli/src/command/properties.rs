use std::io::Write;

use serde::Serialize;
use syncmgr_host::sink::Discard;
use syncmgr_host::text::to_json;
use syncmgr_host::{
    ErrorCode, ItemId, Participation, PropertiesOutcome, Property, PropertyField, PropertyValue,
    Session, SessionError, SyncEvent, Trigger,
};

use crate::args::{GrantArgs, PluginArgs, Properties};
use crate::check::PropertyData;
use crate::escape::escape;
use crate::exit::{Exit, UsageError};
use crate::job::Job;
use crate::options::key_value;
use crate::output;

/// The properties of an item, or of the handler.
struct Sheet {
    /// The item; `None`: the handler.
    item: Option<(ItemId, String)>,
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct SheetLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    properties: Vec<PropertyData>,
}

pub(crate) fn run(args: &Properties) -> anyhow::Result<Exit> {
    let job = Job::new(&plugin_args(args))?;
    let plugin = job.load()?;
    job.note_denied(&plugin);
    let mut options = job.session_options(&plugin)?;
    if args.set.is_empty() {
        options = options.read_only();
    }
    let mut session = plugin.start_on_thread(&options, Discard)?;
    let (key, set) = (args.item.clone(), args.set.clone());
    let answer = session.call(async move |session: &mut Session| {
        let trigger = Trigger { event: SyncEvent::Manual, settings: true, may_bother_user: false };
        if session.initialize(trigger, None).await? == Participation::Declines {
            return Err(UsageError("the plugin declines settings sessions".to_owned()).into());
        }
        let sheets = sheets(session, key.as_deref()).await?;
        if set.is_empty() {
            return Ok(Answer::Sheets(sheets));
        }
        let sheet =
            sheets.first().ok_or_else(|| UsageError("the plugin has no properties".into()))?;
        let changes: Vec<_> =
            set.iter().map(|change| parse(sheet, change)).collect::<anyhow::Result<_>>()?;
        let changes: Vec<_> =
            changes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let item = sheet.item.as_ref().map(|(id, _)| *id);
        Ok::<_, anyhow::Error>(Answer::Changed(session.set_properties(item, &changes).await?))
    })??;
    match answer {
        Answer::Sheets(sheets) => print(args, sheets),
        Answer::Changed(outcome) => {
            let words = match outcome {
                PropertiesOutcome::Applied => "changed",
                PropertiesOutcome::ItemDeleted => "changed; the item was deleted",
                PropertiesOutcome::EnumItems => "changed; the plugin has other items now",
            };
            writeln!(output::stdout(), "{words}")?;
            Ok(Exit::InSync)
        }
    }
}

enum Answer {
    Sheets(Vec<Sheet>),
    Changed(PropertiesOutcome),
}

/// Returns the arguments in the form of the command `run`.
fn plugin_args(args: &Properties) -> PluginArgs {
    PluginArgs {
        plugin: args.plugin.clone(),
        job: args.job.clone(),
        grants: GrantArgs {
            dirs: args.dirs.clone(),
            settings: args.settings.clone(),
            secrets: args.secrets.clone(),
            allow: args.allow.clone(),
            ..GrantArgs::default()
        },
        limits: args.limits.clone(),
        state_dir: args.state_dir.clone(),
    }
}

/// Returns the properties of the item with this id or name, or of the handler and all items.
async fn sheets(session: &mut Session, key: Option<&str>) -> anyhow::Result<Vec<Sheet>> {
    let list = session.enum_items().await?;
    let items = list.items.into_iter().map(|item| Some((item.id, item.name)));
    let wanted: Vec<_> = match key {
        None => std::iter::once(None).chain(items).collect(),
        Some(key) => {
            let found = items.flatten().find(|(id, name)| id.to_string() == key || name == key);
            let found = found.ok_or_else(|| {
                UsageError(format!("unknown item `{key}`; list the items with `syncmgr items`"))
            })?;
            vec![Some(found)]
        }
    };
    let mut sheets = Vec::new();
    for item in wanted {
        match session.properties(item.as_ref().map(|(id, _)| *id)).await {
            Ok(properties) if properties.is_empty() && key.is_none() => {}
            Ok(properties) => sheets.push(Sheet { item, properties }),
            Err(SessionError::Plugin { code: ErrorCode::NotImplemented, .. }) if key.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sheets)
}

/// Parses a change as a value of the property's type.
fn parse(sheet: &Sheet, change: &str) -> anyhow::Result<(String, PropertyValue)> {
    let (name, text) = key_value(change, "--set NAME=VALUE")?;
    let Some(property) = sheet.properties.iter().find(|property| property.name == name) else {
        let names: Vec<_> = sheet.properties.iter().map(|one| one.name.as_str()).collect();
        return Err(UsageError(format!(
            "unknown property `{name}`; use one of {}",
            names.join(", ")
        ))
        .into());
    };
    if property.read_only {
        return Err(UsageError(format!("property `{name}` is read-only")).into());
    }
    let (value, wanted) = match &property.field {
        PropertyField::Boolean(_) => {
            (text.parse().ok().map(PropertyValue::Boolean), "true or false".to_owned())
        }
        PropertyField::Integer(_) => {
            (text.parse().ok().map(PropertyValue::Integer), "a whole number".to_owned())
        }
        PropertyField::Text(_) => (Some(PropertyValue::Text(text.to_owned())), String::new()),
        PropertyField::Choice { options, .. } => {
            let index = options.iter().position(|option| option == text);
            let index = index.and_then(|index| u32::try_from(index).ok());
            (index.map(PropertyValue::Choice), format!("one of: {}", options.join(", ")))
        }
    };
    let value = value.ok_or_else(|| {
        UsageError(format!("invalid value `{text}` of property `{name}`: use {wanted}"))
    })?;
    Ok((name.to_owned(), value))
}

fn print(args: &Properties, sheets: Vec<Sheet>) -> anyhow::Result<Exit> {
    let mut to = output::stdout();
    if args.json {
        let line = |sheet: Sheet| {
            let (item, name) = sheet.item.map(|(id, name)| (id.to_string(), name)).unzip();
            let properties = sheet.properties.into_iter().map(PropertyData::from).collect();
            SheetLine { item, name, properties }
        };
        let lines: Vec<_> = sheets.into_iter().map(line).collect();
        writeln!(to, "{}", to_json(&lines, true)?)?;
        return Ok(Exit::InSync);
    }
    if sheets.is_empty() {
        writeln!(to, "no properties")?;
    }
    for sheet in &sheets {
        match &sheet.item {
            None => writeln!(to, "the handler:")?,
            Some((id, name)) => writeln!(to, "{} ({id}):", escape(name))?,
        }
        for property in &sheet.properties {
            let (value, choices) = match &property.field {
                PropertyField::Boolean(value) => (value.to_string(), "true or false".to_owned()),
                PropertyField::Integer(value) => (value.to_string(), "a whole number".to_owned()),
                PropertyField::Text(value) => (value.clone(), "a text".to_owned()),
                PropertyField::Choice { options, selected } => (
                    options.get(*selected).cloned().unwrap_or_default(),
                    format!("one of: {}", options.join(", ")),
                ),
            };
            let choices = if property.read_only { "read-only" } else { &choices };
            writeln!(to, "  {}={}", escape(&property.name), escape(&value))?;
            writeln!(to, "      {} ({})", escape(&property.label), escape(choices))?;
            if let Some(description) = &property.description {
                writeln!(to, "      {}", escape(description))?;
            }
        }
    }
    Ok(Exit::InSync)
}

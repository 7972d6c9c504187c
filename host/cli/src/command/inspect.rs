use std::io::Write;

use serde::Serialize;
use syncmgr_host::requests::SettingValues;
use syncmgr_host::text::to_json;
use syncmgr_host::{
    Access, CONTRACT_VERSION, Description, LimitRow, Limits, LoadError, LoadLimits,
};

use crate::args::Inspect;
use crate::escape::{escape, quote};
use crate::exit::Exit;
use crate::output;
use crate::plugin_source::{PluginSource, registrations};
use crate::project::Metadata;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct InspectLine {
    name: String,
    size_bytes: usize,
    largest_function_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    contract_version: String,
    host_contract_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clsid: Option<String>,
    requests: Vec<RequestLine>,
    imports: Vec<String>,
    exports: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk: Option<String>,
    producers: Vec<(String, String)>,
    limits: Vec<LimitLine>,
}

#[derive(Serialize)]
pub(crate) struct RequestLine {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<&'static str>,
    pub(crate) why: String,
    /// The values of a setting that cannot be any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) values: Option<String>,
    /// The default of a setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    /// The option that grants the request.
    option: String,
}

impl RequestLine {
    /// Returns the values of a setting and its default in words, in brackets; nothing if neither is
    /// declared.
    pub(crate) fn value_words(&self) -> String {
        let default = self.default.as_ref().map(|default| match default.is_empty() {
            true => "default: empty".to_owned(),
            false => format!("default: `{default}`"),
        });
        let words: Vec<_> = self.values.iter().cloned().chain(default).collect();
        match words.is_empty() {
            true => String::new(),
            false => format!(" ({})", words.join("; ")),
        }
    }
}

#[derive(Serialize)]
struct LimitLine {
    name: &'static str,
    value: String,
    unit: &'static str,
}

pub(crate) fn run(args: &Inspect) -> anyhow::Result<Exit> {
    let registrations = registrations(args.state_dir.path.as_deref())?;
    let plugin = PluginSource::find_or_build(args.plugin.as_deref(), &registrations)?;
    let name = plugin.name();
    let bytes = plugin.bytes(&LoadLimits::default())?;
    let metadata = Metadata::of(&bytes);
    let description = Description::of(&bytes)
        .map_err(|reason| LoadError::Contract { name: name.clone(), reason })?;
    let requests = requests(&description);
    let limits: Vec<_> =
        LoadLimits::default().rows().into_iter().chain(Limits::default().rows()).collect();
    let mut to = output::stdout();
    if args.json {
        let limit =
            |row: LimitRow| LimitLine { name: row.name, value: row.value, unit: row.unit.name() };
        let line = InspectLine {
            name,
            size_bytes: description.size_bytes,
            largest_function_bytes: description.largest_function_bytes,
            version: metadata.version,
            description: metadata.description,
            license: metadata.license,
            homepage: metadata.homepage,
            contract_version: description.contract_version,
            host_contract_version: CONTRACT_VERSION,
            clsid: description.requests.clsid.map(|clsid| clsid.to_string()),
            requests,
            imports: description.imports,
            exports: description.exports,
            sdk: description.sdk,
            producers: description.producers,
            limits: limits.into_iter().map(limit).collect(),
        };
        writeln!(to, "{}", to_json(&line, true)?)?;
        return Ok(Exit::InSync);
    }
    writeln!(to, "name      {}", escape(&name))?;
    writeln!(to, "size      {}", indicatif::BinaryBytes(description.size_bytes as u64))?;
    for (what, value) in [
        ("version", &metadata.version),
        ("about", &metadata.description),
        ("license", &metadata.license),
        ("homepage", &metadata.homepage),
        ("sdk", &description.sdk),
    ] {
        if let Some(value) = value {
            writeln!(to, "{what:<9} {}", escape(value))?;
        }
    }
    writeln!(
        to,
        "contract  syncmgr:plugin@{} (this host runs {CONTRACT_VERSION})",
        escape(&description.contract_version)
    )?;
    if let Some(clsid) = description.requests.clsid {
        writeln!(to, "class     {{{}}}", clsid.to_string().to_uppercase())?;
    }
    if requests.is_empty() {
        writeln!(to, "requests  nothing except its own storage")?;
    }
    for request in &requests {
        let access = request.access.map(|access| format!(" ({access})")).unwrap_or_default();
        writeln!(
            to,
            "requests  {} {}{access}: {}{}\n            grant it with {}",
            request.kind,
            escape(&request.name),
            escape(&request.why),
            escape(&request.value_words()),
            escape(&request.option)
        )?;
    }
    for (tool, version) in &description.producers {
        writeln!(to, "made with {} {}", escape(tool), escape(version))?;
    }
    for export in &description.exports {
        writeln!(to, "exports   {}", escape(export))?;
    }
    for import in &description.imports {
        writeln!(to, "imports   {}", escape(import))?;
    }
    for limit in limits {
        writeln!(to, "limit     {}={}", limit.name, limit.value)?;
    }
    Ok(Exit::InSync)
}

/// Returns the requests of a plugin with the options that grant them.
pub(crate) fn requests(description: &Description) -> Vec<RequestLine> {
    let requests = &description.requests;
    let mut lines = Vec::new();
    for directory in &requests.directories {
        let (access, suffix) = match directory.access {
            Access::ReadOnly => ("read-only", ":ro"),
            Access::ReadWrite => ("read-write", ""),
        };
        lines.push(RequestLine {
            kind: "directory",
            name: directory.name.clone(),
            access: Some(access),
            why: directory.why.clone(),
            values: None,
            default: None,
            option: option("--dir", &directory.name, &format!("PATH{suffix}")),
        });
    }
    for setting in &requests.settings {
        let item = if setting.per_item { "[ITEM.]" } else { "" };
        let is_text = setting.values == SettingValues::Text;
        let values = (!is_text).then(|| setting.values.to_string());
        lines.push(RequestLine {
            kind: "setting",
            name: setting.name.clone(),
            access: None,
            why: setting.why.clone(),
            values,
            default: setting.default.clone(),
            option: format!("--set {item}{}", quote(&format!("{}=VALUE", in_words(&setting.name)))),
        });
    }
    let mut line = |kind, name: &str, why: &str, option: String| {
        let (name, why) = (name.to_owned(), why.to_owned());
        let (values, default) = (None, None);
        lines.push(RequestLine { kind, name, access: None, why, values, default, option });
    };
    for secret in &requests.secrets {
        let option = option("--secret", &secret.name, "env:VARIABLE");
        line("secret", &secret.name, &secret.why, option);
    }
    for (capability, why) in &requests.capabilities {
        let option = format!("--allow {}", capability.name());
        line("capability", capability.name(), why, option);
    }
    for http in &requests.http {
        let suffix = match http.access {
            Access::ReadOnly => ":ro",
            Access::ReadWrite => "",
        };
        let option = match &http.url {
            Some(url) => format!("--http {}  ({url})", quote(&format!("{}{suffix}", http.name))),
            None => option("--http", &http.name, &format!("https://HOST/PATH{suffix}")),
        };
        line("server", &http.name, &http.why, option);
    }
    lines
}

/// Returns an option with a placeholder.
fn option(option: &str, name: &str, value: &str) -> String {
    format!("{option} {}", quote(&format!("{}={value}", in_words(name))))
}

/// Replaces `*` in a name by a placeholder.
fn in_words(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((item, "*")) => format!("{}.NAME", item.replace('*', "ITEM")),
        Some((item, name)) => format!("{}.{name}", item.replace('*', "ITEM")),
        None => name.replace('*', "NAME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_name_becomes_a_placeholder() {
        for (name, words) in
            [("left", "left"), ("*", "NAME"), ("*.left", "ITEM.left"), ("*.*", "ITEM.NAME")]
        {
            assert_eq!(in_words(name), words);
        }
    }
}

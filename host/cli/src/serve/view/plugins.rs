//! The plugins: what they request, and what they are granted.

use maud::{Markup, html};
use syncmgr_host::{Access, LimitRow, Limits, LoadLimits, full_message};
use syncmgr_install::{Grants, Registration};

use super::super::server::Server;
use super::page;
use crate::plugin_source::PluginSource;

pub(in crate::serve) fn plugins(server: &Server) -> anyhow::Result<String> {
    let registrations = server.registrations.list();
    let body = html! {
        h2 { "Registered" }
        @if registrations.is_empty() {
            p { "None. " code { "syncmgr register" } " registers a plugin with its grants." }
        }
        @for registration in registrations {
            @match registration {
                Ok(registration) => (registered(server, registration)),
                Err(error) => p.bad { (full_message(&error)) },
            }
        }
        h2 { "Built-in" }
        @for plugin in PluginSource::all_built_in() {
            article.item { h3 { (plugin.name()) } (requests(server, &plugin)) }
        }
    };
    Ok(page("/plugins", "Plugins", &body))
}

fn registered(server: &Server, registration: Registration) -> Markup {
    let limits = limits(&registration.grants);
    html! {
        article.item {
            h3 { (registration.name) }
            p.note {
                "for the " (registration.scope.name()) ", class "
                code { "{" (registration.clsid.to_string().to_uppercase()) "}" }
            }
            (granted(&registration.grants))
            @if !limits.is_empty() {
                h4 { "Limits that differ from the defaults" }
                ul { @for limit in limits { li { code { (limit.name) "=" (limit.value) } } } }
            }
            (requests(server, &PluginSource::Installed(Box::new(registration))))
        }
    }
}

/// Returns the grants; of secrets only the names.
fn granted(grants: &Grants) -> Markup {
    let access = |access: Access| match access {
        Access::ReadOnly => " (read-only)",
        Access::ReadWrite => "",
    };
    html! {
        h4 { "Granted" }
        ul {
            @if grants.is_empty() { li { "nothing except its own storage" } }
            @for grant in &grants.directories {
                li {
                    "directory " (grant.name()) ": " code { (grant.path().display()) }
                    (access(grant.access()))
                }
            }
            @for (name, value) in &grants.settings {
                li { "setting " code { (name) "=" (value) } }
            }
            @for (name, _) in &grants.secrets { li { "secret " (name) } }
            @for server in &grants.http {
                li { "server " (server.name) (access(server.access)) }
            }
            @for auth in &grants.http_auth { li { "credentials for the server " (auth.server) } }
            @for capability in &grants.allow { li { "capability " (capability.name()) } }
        }
    }
}

fn requests(server: &Server, plugin: &PluginSource) -> Markup {
    let requested = server.requested(plugin);
    html! {
        h4 { "Requested" }
        @match &*requested {
            Err(error) => p.bad { (error) },
            Ok(requests) => ul {
                @if requests.is_empty() { li { "nothing except its own storage" } }
                @for request in requests {
                    li {
                        (request.kind) " " code { (request.name) }
                        @if let Some(access) = request.access { " (" (access) ")" }
                        ": " (request.why) (request.value_words())
                    }
                }
            },
        }
    }
}

/// Returns the limits that differ from the defaults.
fn limits(grants: &Grants) -> Vec<LimitRow> {
    let all = grants.limits();
    let rows = all.load.rows().into_iter().chain(all.session.rows());
    let defaults = LoadLimits::default().rows().into_iter().chain(Limits::default().rows());
    rows.zip(defaults)
        .filter(|(row, default)| row.value != default.value)
        .map(|(row, _)| row)
        .collect()
}

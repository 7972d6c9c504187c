//! The values of command line options.

use std::collections::HashSet;
use std::path::Path;

use syncmgr_install::{Grants, InstallError, Secret, Server, ServerAuth};

use crate::args::GrantArgs;
use crate::exit::UsageError;

/// Returns the grants and settings of the command line.
pub(crate) fn grants(args: &GrantArgs) -> anyhow::Result<Grants> {
    let mut grants = Grants::default();
    let mut names = HashSet::new();
    for dir in &args.dirs {
        let (name, path) = key_value(dir, "--dir NAME=PATH")?;
        once(&mut names, "--dir", name)?;
        grants.directories.push(syncmgr_install::parse_directory(name, path, Path::new(""))?);
    }
    for setting in &args.settings {
        let (name, value) = key_value(setting, "--set KEY=VALUE")?;
        once(&mut names, "--set", name)?;
        grants.settings.push((name.to_owned(), value.to_owned()));
    }
    for secret in &args.secrets {
        const FORM: &str = "--secret KEY=env:VARIABLE|file:PATH|keyring:NAME";
        let (name, source) = key_value(secret, FORM)?;
        once(&mut names, "--secret", name)?;
        // The value may be the secret itself, so the message does not contain it.
        let invalid = || UsageError(format!("invalid secret `{name}`: use `{FORM}`"));
        let secret = secret_source(source)?.ok_or_else(invalid)?;
        grants.secrets.push((name.to_owned(), secret));
    }
    for server in &args.http {
        let (name, server) = match server.split_once('=') {
            Some((name, url)) => (name, Server::parse(name, url)?),
            None => (server.as_str(), Server::requested(server)),
        };
        once(&mut names, "--http", name)?;
        grants.http.push(server);
    }
    for auth in &args.http_auth {
        const FORM: &str = "--http-auth NAME=KIND:env:VARIABLE|file:PATH|keyring:NAME` or \
                            `--http-auth NAME=oauth2:FILE";
        let (server, value) = key_value(auth, FORM)?;
        once(&mut names, "--http-auth", server)?;
        let login = value.strip_prefix(ServerAuth::LOGIN).and_then(|rest| rest.strip_prefix(':'));
        if let Some(path) = login {
            let (kind, secret) = (ServerAuth::LOGIN.to_owned(), Secret::File(path.into()));
            grants.http_auth.push(ServerAuth { server: server.to_owned(), kind, secret });
            continue;
        }
        let sources = [":env:", ":file:", ":keyring:"];
        let at = sources.iter().filter_map(|source| value.find(source)).min();
        let invalid = || UsageError(format!("invalid credentials for `{server}`: use `{FORM}`"));
        let (kind, source) = value.split_at(at.ok_or_else(invalid)?);
        let secret = secret_source(&source[1..])?.ok_or_else(invalid)?;
        let (server, kind) = (server.to_owned(), kind.to_owned());
        grants.http_auth.push(ServerAuth { server, kind, secret });
    }
    grants.http_ca.clone_from(&args.http_ca);
    for name in &args.allow {
        grants.allow.push(name.parse()?);
    }
    Ok(grants)
}

fn secret_source(text: &str) -> Result<Option<Secret>, InstallError> {
    Ok(match text.split_once(':') {
        Some(("env", variable)) => Some(Secret::Env(variable.to_owned())),
        Some(("file", path)) => Some(Secret::File(path.into())),
        Some(("keyring", name)) => Some(Secret::Keyring(name.parse()?)),
        Some((_, _)) | None => None,
    })
}

pub(crate) fn set_limits(grants: &mut Grants, limits: &[String]) -> anyhow::Result<()> {
    let mut names = HashSet::new();
    for limit in limits {
        let (name, value) = key_value(limit, "--limit NAME=VALUE")?;
        once(&mut names, "--limit", name)?;
        grants.set_limit(name, value)?;
    }
    Ok(())
}

/// Rejects an option that is given twice for one name: one of the two would be ignored.
pub(crate) fn once<'a>(
    seen: &mut HashSet<(&'static str, &'a str)>,
    option: &'static str,
    name: &'a str,
) -> anyhow::Result<()> {
    match seen.insert((option, name)) {
        true => Ok(()),
        false => {
            Err(UsageError(format!("`{option} {name}=...` is given twice; give it once")).into())
        }
    }
}

pub(crate) fn key_value<'a>(text: &'a str, form: &str) -> anyhow::Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        Some(_) | None => Err(UsageError(format!("invalid value `{text}`: use `{form}`")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_given_once_for_each_name() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        for (dirs, settings, secrets, good) in [
            (&["a=/x", "b=/x"][..], &["a=1", "b=1"][..], &["c=env:C"][..], true),
            (&["a=/x", "a=/y"], &[], &[], false),
            (&[], &["mode=a", "mode=a"], &[], false),
            (&[], &["mode=a", "docs.mode=b"], &[], true),
            (&[], &[], &["t=env:A", "t=env:B"], false),
        ] {
            let args = GrantArgs {
                dirs: texts(dirs),
                settings: texts(settings),
                secrets: texts(secrets),
                ..GrantArgs::default()
            };
            let parsed = grants(&args);
            assert_eq!(parsed.is_ok(), good, "{dirs:?} {settings:?} {secrets:?}: {parsed:?}");
        }
        let twice = ["items=1".to_owned(), "items=2".to_owned()];
        assert!(set_limits(&mut Grants::default(), &twice).is_err());
    }
}

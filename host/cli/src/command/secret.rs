use std::io::{self, IsTerminal as _, Read as _, Write as _};

use anyhow::Context as _;
use serde::Serialize;
use syncmgr_host::text::to_json;
use syncmgr_install::{
    InstallError, KeyringError, MAX_SECRET_BYTES, SecretName, is_keyring_supported, remove_secret,
    secret_names, store_secret,
};

use crate::args::{Secret, SecretCommand};
use crate::confine::disable_core_dumps;
use crate::escape::escape;
use crate::exit::Exit;
use crate::output;

#[derive(Serialize)]
struct SecretLine {
    name: SecretName,
}

pub(crate) fn run(args: &Secret) -> anyhow::Result<Exit> {
    if !is_keyring_supported() {
        return Err(InstallError::from(KeyringError::Unsupported).into());
    }
    match &args.command {
        SecretCommand::Set { name } => set(&parse(name)?),
        SecretCommand::List { json } => list(*json),
        SecretCommand::Remove { name } => remove(&parse(name)?),
    }
}

fn parse(name: &str) -> Result<SecretName, InstallError> {
    Ok(name.parse()?)
}

fn set(name: &SecretName) -> anyhow::Result<Exit> {
    disable_core_dumps();
    let secret = match io::stdin().is_terminal() {
        true => prompt(name),
        false => read_input(),
    };
    let secret = secret.context("cannot read the secret")?;
    store_secret(name, secret).map_err(InstallError::from)?;
    writeln!(output::stdout(), "stored the secret {} in the keyring", escape(name.as_str()))?;
    Ok(Exit::InSync)
}

/// Reads a line from the terminal without echoing it.
#[cfg(feature = "keyring")]
fn prompt(name: &SecretName) -> io::Result<Vec<u8>> {
    let question = format!("Secret {}: ", escape(name.as_str()));
    rpassword::prompt_password(question).map(String::into_bytes)
}

#[cfg(not(feature = "keyring"))]
fn prompt(_: &SecretName) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Reads standard input without the line break at its end. A secret that is too large is cut, but
/// remains too large.
fn read_input() -> io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    io::stdin().take(MAX_SECRET_BYTES + 3).read_to_end(&mut secret)?;
    let end = secret.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let length = end.map_or(secret.len(), <[u8]>::len);
    secret.truncate(length);
    Ok(secret)
}

fn list(json: bool) -> anyhow::Result<Exit> {
    let names = secret_names().map_err(InstallError::from)?;
    let mut to = output::stdout();
    if json {
        let lines: Vec<_> = names.into_iter().map(|name| SecretLine { name }).collect();
        writeln!(to, "{}", to_json(&lines, false)?)?;
        return Ok(Exit::InSync);
    }
    for name in names {
        writeln!(to, "{}", escape(name.as_str()))?;
    }
    Ok(Exit::InSync)
}

fn remove(name: &SecretName) -> anyhow::Result<Exit> {
    remove_secret(name).map_err(InstallError::from)?;
    writeln!(output::stdout(), "removed the secret {} from the keyring", escape(name.as_str()))?;
    Ok(Exit::InSync)
}

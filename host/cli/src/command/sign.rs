//! `syncmgr sign` and `syncmgr verify`.

use std::fs::OpenOptions;
use std::io::{self, Cursor, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use syncmgr_host::{LoadLimits, read_component};
use syncmgr_install::registry::{OciError, PluginSignature, read_key, verify};
use syncmgr_install::{InstallError, replace_file};

use super::install::arrived::{read_signature, signature_path};
use crate::args::{Sign, Verify};
use crate::confine::disable_core_dumps;
use crate::escape::escape;
use crate::exit::{Exit, UsageError};
use crate::output;

/// The variable with the password of a key.
const PASSWORD: &str = "SYNCMGR_KEY_PASSWORD";

pub(crate) fn sign(args: &Sign) -> anyhow::Result<Exit> {
    disable_core_dumps();
    if let Some(path) = &args.new_key {
        return create_key(path);
    }
    let (Some(file), Some(key)) = (&args.file, &args.key) else {
        return Err(UsageError("give a file and `--key KEY`".to_owned()).into());
    };
    let component = read_component(file, &LoadLimits::default())?;
    let secret = read_secret_key(key)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let comment =
        format!("timestamp:{}\tfile:{}", jiff::Timestamp::now().as_second(), escape(&name));
    let signed = minisign::sign(None, &secret, Cursor::new(&component), Some(&comment), None);
    let signed = signed.map_err(|error| invalid(key, &error))?;
    let path = signature_path(file);
    replace_file(&path, signed.into_string().as_bytes())?;
    writeln!(output::stdout(), "created {}", escape(&path.display().to_string()))?;
    Ok(Exit::InSync)
}

fn read_secret_key(path: &Path) -> anyhow::Result<SecretKey> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        InstallError::from(OciError::Key { path: path.to_owned(), why: error.to_string() })
    })?;
    let parse = || SecretKeyBox::from_string(&text).map_err(|error| invalid(path, &error));
    if let Ok(key) = parse()?.into_unencrypted_secret_key() {
        return Ok(key);
    }
    let password = password(&format!("Password of {}: ", escape(&path.display().to_string())))?;
    parse()?.into_secret_key(Some(password)).map_err(|error| invalid(path, &error).into())
}

fn invalid(path: &Path, error: &minisign::PError) -> InstallError {
    OciError::Key { path: path.to_owned(), why: error.to_string() }.into()
}

/// Reads a password from the variable, or from the terminal without echoing it.
fn password(question: &str) -> anyhow::Result<String> {
    match std::env::var(PASSWORD) {
        Ok(password) => Ok(password),
        Err(_) if io::stdin().is_terminal() => {
            rpassword::prompt_password(question).context("cannot read the password")
        }
        Err(_) => Err(UsageError(format!(
            "the key has a password, and there is no terminal to ask on; set {PASSWORD}"
        ))
        .into()),
    }
}

/// Creates a key. An empty password means a key without one.
fn create_key(path: &Path) -> anyhow::Result<Exit> {
    let public_path = path.with_extension("pub");
    if public_path == path {
        let message =
            format!("name the secret key otherwise: {} is the public key", path.display());
        return Err(UsageError(message).into());
    }
    let password = password("Password of the new key (empty for none): ")?;
    let pair = match password.is_empty() {
        true => KeyPair::generate_unencrypted_keypair(),
        false => KeyPair::generate_encrypted_keypair(Some(password)),
    };
    let failed = |error: minisign::PError| anyhow::anyhow!("cannot create a key: {error}");
    let pair = pair.map_err(failed)?;
    let secret = pair.sk.to_box(None).map_err(failed)?.into_string();
    let public = pair.pk.to_box().map_err(failed)?.into_string();
    create(&public_path, &public, false)?;
    if let Err(error) = create(path, &secret, true) {
        // Without its secret key, it is of no use.
        let _ = std::fs::remove_file(&public_path);
        return Err(error);
    }
    writeln!(
        output::stdout(),
        "created the secret key {} and the public key {}",
        escape(&path.display().to_string()),
        escape(&public_path.display().to_string())
    )?;
    Ok(Exit::InSync)
}

/// Creates a file, which must not exist.
fn create(path: &Path, text: &str, is_secret: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if is_secret { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = is_secret;
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| UsageError(format!("cannot create {}: {error}", path.display())).into())
}

pub(crate) fn verify_file(args: &Verify) -> anyhow::Result<Exit> {
    let component = read_component(&args.file, &LoadLimits::default())?;
    let key = read_key(&args.key).map_err(InstallError::from)?;
    let path = signature_path(&args.file);
    let signature = read_signature(&args.file)?;
    let signature = signature.as_deref().and_then(PluginSignature::parse).ok_or_else(|| {
        let why = "there is no signature; create one with `syncmgr sign`".to_owned();
        InstallError::from(OciError::Key { path, why })
    })?;
    let what = format!("{}", args.file.display());
    let id = signature.key().to_owned();
    let keys = [key];
    match verify(&what, &component, &[signature], &keys).map_err(InstallError::from)? {
        Some(key) => {
            writeln!(output::stdout(), "{} is signed with key {}", escape(&what), key.id)?;
            Ok(Exit::InSync)
        }
        None => Err(InstallError::from(OciError::Signature {
            what,
            key: keys[0].id.clone(),
            why: format!("it is made with key {id}"),
        })
        .into()),
    }
}

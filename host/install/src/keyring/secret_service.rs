//! The Secret Service API of desktops, over the D-Bus session bus:
//! <https://specifications.freedesktop.org/secret-service-spec/latest/>.
//!
//! Secrets cross the bus unencrypted. Programs that can observe the bus run as the same user, and
//! can also request the secrets.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::slice;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::export::futures_core::Stream as _;
use zbus::message::Type as MessageType;
use zbus::wire::{DynamicDeserialize, DynamicType};
use zbus::{
    Connection, DBusError as _, MatchRule, MessageStream, OwnedObjectPath, OwnedVariant, Variant,
};

use super::{KeyringError, MAX_LISTED, SERVICE, SecretName};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(30);
/// How long the user may take to unlock the keyring.
const PROMPT: Duration = Duration::from_secs(120);

const NAME: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const SERVICES: &str = "org.freedesktop.Secret.Service";
const COLLECTIONS: &str = "org.freedesktop.Secret.Collection";
const ITEMS: &str = "org.freedesktop.Secret.Item";
const PROMPTS: &str = "org.freedesktop.Secret.Prompt";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The path that stands for no object.
const NONE: &str = "/";

/// The attributes of an entry, which other programs use as well.
const SERVICE_ATTRIBUTE: &str = "service";
const NAME_ATTRIBUTE: &str = "username";

/// The type of the value of a secret.
const TEXT: &str = "text/plain; charset=utf8";

/// A session, parameters, a value and its type.
type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

pub(super) fn read(name: &SecretName) -> Result<Option<Vec<u8>>, KeyringError> {
    run(async |bus| {
        let items = bus.items(&attributes(name)).await?;
        let Some(item) = items.first() else { return Ok(None) };
        let session = bus.session().await?;
        let (_, _, value, _): Secret = bus.call(item, ITEMS, "GetSecret", &(session,)).await?;
        Ok(Some(value))
    })
}

pub(super) fn store(name: &SecretName, secret: &[u8]) -> Result<(), KeyringError> {
    run(async |bus| {
        let attributes = attributes(name);
        let items = bus.items(&attributes).await?;
        let secret: Secret = (bus.session().await?, Vec::new(), secret.to_vec(), TEXT.to_owned());
        if let Some(item) = items.first() {
            return bus.call(item, ITEMS, "SetSecret", &(secret,)).await;
        }
        let collection: OwnedObjectPath = bus.service("ReadAlias", &("default",)).await?;
        if collection.as_str() == NONE {
            let problem = "the Secret Service has no default collection".to_owned();
            return Err(KeyringError::Unavailable { problem });
        }
        bus.unlock(slice::from_ref(&collection)).await?;
        let label = format!("{SERVICE}: {name}");
        let properties: HashMap<&str, Variant<'_>> = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", label.into()),
            ("org.freedesktop.Secret.Item.Attributes", attributes.into()),
        ]);
        let created = (properties, secret, true);
        let (_, prompt): (OwnedObjectPath, OwnedObjectPath) =
            bus.call(&collection, COLLECTIONS, "CreateItem", &created).await?;
        bus.complete(prompt).await
    })
}

pub(super) fn remove(name: &SecretName) -> Result<bool, KeyringError> {
    run(async |bus| {
        let items = bus.items(&attributes(name)).await?;
        for item in &items {
            bus.complete(bus.call(item, ITEMS, "Delete", &()).await?).await?;
        }
        Ok(!items.is_empty())
    })
}

pub(super) fn names() -> Result<Vec<String>, KeyringError> {
    run(async |bus| {
        let mut names = Vec::new();
        let items = bus.items(&HashMap::from([(SERVICE_ATTRIBUTE, SERVICE)])).await?;
        for item in items.iter().take(MAX_LISTED) {
            let found: OwnedVariant =
                bus.call(item, PROPERTIES, "Get", &(ITEMS, "Attributes")).await?;
            let found = HashMap::<String, String>::try_from(found).map_err(failure)?;
            names.extend(found.get(NAME_ATTRIBUTE).cloned());
        }
        Ok(names)
    })
}

fn attributes(name: &SecretName) -> HashMap<&str, &str> {
    HashMap::from([(SERVICE_ATTRIBUTE, SERVICE), (NAME_ATTRIBUTE, name.as_str())])
}

fn run<T>(work: impl AsyncFnOnce(&Bus) -> Result<T, KeyringError>) -> Result<T, KeyringError> {
    let unavailable = |error: &dyn std::fmt::Display| KeyringError::Unavailable {
        problem: format!("cannot connect to the D-Bus session bus: {error}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(|error| unavailable(&error))?.block_on(async {
        let connection = timeout(CALL, Builder::session().method_timeout(CALL).build());
        let connection = connection.await.map_err(|error| unavailable(&error))?;
        work(&Bus(connection.map_err(|error| unavailable(&error))?)).await
    })
}

/// The session bus.
struct Bus(Connection);

impl Bus {
    async fn call<B, R>(
        &self,
        object: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<R, KeyringError>
    where
        B: Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let answer = self.0.call_method(Some(NAME), object, Some(interface), method, body).await;
        answer.and_then(|answer| answer.body().deserialize()).map_err(failure)
    }

    async fn service<B, R>(&self, method: &str, body: &B) -> Result<R, KeyringError>
    where
        B: Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        self.call(ROOT, SERVICES, method, body).await
    }

    /// Opens a session to transfer secrets in.
    async fn session(&self) -> Result<OwnedObjectPath, KeyringError> {
        let plain = ("plain", Variant::from(""));
        let (_, session): (OwnedVariant, _) = self.service("OpenSession", &plain).await?;
        Ok(session)
    }

    /// Returns the items with these attributes, unlocked.
    async fn items(
        &self,
        attributes: &HashMap<&str, &str>,
    ) -> Result<Vec<OwnedObjectPath>, KeyringError> {
        let (mut items, locked): (Vec<_>, Vec<_>) =
            self.service("SearchItems", &(attributes,)).await?;
        if !locked.is_empty() {
            self.unlock(&locked).await?;
            items.extend(locked);
        }
        Ok(items)
    }

    async fn unlock(&self, objects: &[OwnedObjectPath]) -> Result<(), KeyringError> {
        let (_, prompt): (Vec<OwnedObjectPath>, _) = self.service("Unlock", &(objects,)).await?;
        self.complete(prompt).await
    }

    /// Shows a prompt to the user, if there is one, and waits for the answer.
    async fn complete(&self, prompt: OwnedObjectPath) -> Result<(), KeyringError> {
        if prompt.as_str() == NONE {
            return Ok(());
        }
        let locked = |problem: &str| KeyringError::Locked { problem: problem.to_owned() };
        let rule = MatchRule::builder()
            .msg_type(MessageType::Signal)
            .interface(PROMPTS)
            .member("Completed")
            .path(prompt.as_str())
            .build();
        let rule = rule.map_err(failure)?;
        let answers = MessageStream::for_match_rule(rule, &self.0, None).await;
        let mut answers = answers.map_err(failure)?;
        self.call::<_, ()>(&prompt, PROMPTS, "Prompt", &("",)).await?;
        let next = poll_fn(|context| Pin::new(&mut answers).poll_next(context));
        let answer = timeout(PROMPT, next).await;
        let answer = answer.map_err(|_| locked("its prompt was not answered"))?;
        let answer = answer.ok_or_else(|| locked("its prompt ended"))?.map_err(failure)?;
        let (dismissed, _): (bool, OwnedVariant) = answer.body().deserialize().map_err(failure)?;
        match dismissed {
            true => Err(locked("its prompt was dismissed")),
            false => Ok(()),
        }
    }
}

fn failure(error: zbus::Error) -> KeyringError {
    let problem = error.to_string();
    let name = if let zbus::Error::FDO(error) = &error {
        error.name().to_string()
    } else if let zbus::Error::MethodError(name, ..) = &error {
        name.to_string()
    } else {
        String::new()
    };
    match name.strip_prefix("org.freedesktop.").unwrap_or_default() {
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => {
            KeyringError::Unavailable { problem }
        }
        name if name.starts_with("DBus.Error.Spawn.") => KeyringError::Unavailable { problem },
        "Secret.Error.IsLocked" => KeyringError::Locked { problem },
        _other => KeyringError::Failed { problem },
    }
}

//! Errors of registries, signatures and updates. The suite `registry` causes most of them.

use syncmgr_install::registry::{Digest, OciError, Reference};

use super::*;

pub(crate) fn registry(messages: &mut Messages) -> Result<()> {
    for reference in
        ["ghcr.io/alice/mail", "oci://alice/mail", "oci://ghcr.io/Alice", "oci://r.io/a@x"]
    {
        messages.refused(reference.parse::<Reference>().map_err(InstallError::from))?;
    }
    let text = str::to_owned;
    let (reference, pinned) =
        (text("oci://ghcr.io/alice/mail:1.0.0"), text("oci://ghcr.io/alice/mail@…"));
    let (registry, name) = (text("ghcr.io"), text("mail"));
    let what = format!("the component of `{reference}`");
    let trusted_keys = PathBuf::from("/home/bob/.local/state/syncmgr/trusted-keys.toml");
    let key = text("E7620F1842B4E81F");
    let (installed, found) = (Digest::of(b"a"), Digest::of(b"b"));
    for error in [
        OciError::Connection { server: text("https://ghcr.io"), why: text("cannot connect") },
        OciError::Credentials {
            registry: registry.clone(),
            why: text("config.json: line 3 is not valid JSON"),
        },
        OciError::Denied {
            registry: registry.clone(),
            repository: text("alice/mail"),
            status: 401,
            has_credentials: false,
        },
        OciError::Denied {
            registry: registry.clone(),
            repository: text("alice/mail"),
            status: 403,
            has_credentials: true,
        },
        OciError::NotFound { registry: registry.clone(), what: "plugin", name: reference.clone() },
        OciError::Redirect {
            registry: registry.clone(),
            target: text("http://ghcr.io"),
            why: "it is not an `https://` URL",
        },
        OciError::Answer {
            server: registry,
            what: text("an upload"),
            why: text("its status is 500"),
        },
        OciError::NotAPlugin {
            reference: reference.clone(),
            why: text("it has 2 layers instead of one"),
        },
        OciError::Size { what: what.clone(), limit: 64 << 20, why: "the limit `component-bytes`" },
        OciError::Incomplete {
            what: what.clone(),
            received: 10,
            expected: 20,
            why: text("the connection ended early"),
        },
        OciError::Digest { what: what.clone(), expected: installed.clone(), found: found.clone() },
        OciError::Unsigned {
            what: format!("`{reference}`"),
            required: text("`--key alice.pub`"),
            others: vec![key.clone()],
            trusted_keys: trusted_keys.clone(),
        },
        OciError::Signature {
            what: format!("`{reference}`"),
            key: key.clone(),
            why: text("it is for another content, or made with another key"),
        },
        OciError::Key {
            path: trusted_keys,
            why: text("`public-key` of `Alice` is not a public key of `minisign`"),
        },
        OciError::NoSource { name: name.clone(), from: text("a file") },
        OciError::Moved {
            name: name.clone(),
            reference: reference.clone(),
            installed,
            found,
            pinned: pinned.clone(),
        },
        OciError::Older {
            name: name.clone(),
            reference,
            installed: text("2.0.0"),
            found: text("1.0.0"),
            pinned: pinned.clone(),
        },
        OciError::Signer { name: name.clone(), installed: key, found: None, pinned },
        OciError::Requests { name, requests: vec![text("the secret `token`")] },
    ] {
        messages.error(InstallError::from(error));
    }
    Ok(())
}

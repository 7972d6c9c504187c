//! What an update may change without being asked.

use semver::Version;
use syncmgr_host::{Access, Requests};

use super::digest::Digest;
use super::error::OciError;
use super::reference::{Reference, Selector, is_tag};
use super::signature::TrustedKey;
use crate::grants::Grants;
use crate::origin::Origin;

/// Returns the reference that an update of a plugin follows.
///
/// A tag that is a version, such as `1.2.0` or `v1.2.0`, names one content: the update follows the
/// highest version among `tags`. Without `tags`, or with another tag such as `latest`, the tag is
/// followed. A digest is never followed.
///
/// # Errors
/// [`OciError::Reference`] if the registry has an invalid tag.
pub fn followed(installed: &Reference, tags: &[String]) -> Result<Option<Reference>, OciError> {
    let tag = match installed.selector() {
        Selector::Digest(_) => return Ok(None),
        Selector::Tag(tag) => tag,
    };
    let Some(current) = version(tag) else { return Ok(Some(installed.clone())) };
    let newer = tags.iter().filter(|tag| is_tag(tag)).filter_map(|tag| Some((version(tag)?, tag)));
    let newer = newer.filter(|(version, _)| {
        *version > current && (version.pre.is_empty() || !current.pre.is_empty())
    });
    match newer.max_by(|(a, _), (b, _)| a.cmp(b)) {
        Some((_, tag)) => installed.with_tag(tag).map(Some),
        None => Ok(Some(installed.clone())),
    }
}

/// Returns whether a reference has a tag that is a version, so that its repository may have others.
pub fn has_version_tag(reference: &Reference) -> bool {
    matches!(reference.selector(), Selector::Tag(tag) if version(tag).is_some())
}

fn version(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

/// A new version of an installed plugin.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The name of the installed plugin.
    pub name: &'a str,
    /// The reference that was followed.
    pub reference: &'a Reference,
    /// The digest that it has now.
    pub digest: &'a Digest,
    /// The version that the component declares.
    pub version: Option<&'a str>,
    /// The key that has signed it.
    pub signer: Option<&'a TrustedKey>,
}

impl Candidate<'_> {
    /// Checks that the new content is a later version by the same publisher.
    ///
    /// # Errors
    /// [`OciError::Moved`], [`OciError::Older`] and [`OciError::Signer`].
    pub fn check(&self, installed: &Origin) -> Result<(), OciError> {
        let (name, reference) = (self.name.to_owned(), self.reference.to_string());
        let pinned = pinned(self.reference, self.digest);
        if let Some(key) = &installed.signed_by
            && self.signer.map(|signer| &signer.id) != Some(key)
        {
            let found = self.signer.map(|signer| signer.id.clone());
            return Err(OciError::Signer { name, installed: key.clone(), found, pinned });
        }
        let is_same_tag = installed.reference == reference && has_version_tag(self.reference);
        let is_same_version = match (&installed.version, self.version) {
            (Some(before), Some(now)) => before == now,
            // A version that is no longer declared cannot be compared.
            (Some(_), None) => true,
            (None, Some(_) | None) => false,
        };
        if is_same_tag || is_same_version {
            let found = self.digest.clone();
            // The registration was written by this program, or the check for damage has failed.
            let installed = installed.digest.parse().unwrap_or_else(|_| Digest::of(b""));
            return Err(OciError::Moved { name, reference, installed, found, pinned });
        }
        // A version that cannot be compared is not known to be a later one.
        let is_later = |before: &str, now: &str| {
            version(before).zip(version(now)).is_some_and(|(before, now)| before < now)
        };
        if let (Some(before), Some(now)) = (&installed.version, self.version)
            && !is_later(before, now)
        {
            let (installed, found) = (before.clone(), now.to_owned());
            return Err(OciError::Older { name, reference, installed, found, pinned });
        }
        Ok(())
    }
}

/// Returns a reference to exactly one content.
fn pinned(reference: &Reference, digest: &Digest) -> String {
    format!("oci://{}/{}@{digest}", reference.registry(), reference.repository())
}

/// Returns what a new version requests in addition to the installed one, and what it would do with
/// `kept` grants that the installed one could not, in words. What is in `given` by its name is not
/// returned. Settings are no rights.
pub fn additional_requests(
    before: &Requests,
    now: &Requests,
    kept: &Grants,
    given: &Grants,
) -> Vec<String> {
    let mut found = Vec::new();
    let is_wider = |before: Access, now: Access| match (before, now) {
        (Access::ReadOnly, Access::ReadWrite) => true,
        (Access::ReadOnly | Access::ReadWrite, Access::ReadOnly)
        | (Access::ReadWrite, Access::ReadWrite) => false,
    };
    for new in &now.directories {
        let old = before.directories.iter().find(|old| old.name == new.name);
        let is_given = given.directories.iter().any(|grant| new.name == grant.name());
        if !is_given && old.is_none_or(|old| is_wider(old.access, new.access)) {
            found.push(format!("the directory `{}` ({})", new.name, words(new.access)));
        }
    }
    for new in &now.secrets {
        let is_old = before.secrets.iter().any(|old| old.name == new.name);
        if !is_old && !given.secrets.iter().any(|(name, _)| new.name == *name) {
            found.push(format!("the secret `{}`", new.name));
        }
    }
    for (capability, _) in &now.capabilities {
        let is_old = before.capabilities.iter().any(|(old, _)| old == capability);
        if !is_old && !given.allow.contains(capability) {
            found.push(format!("the capability `{}`", capability.name()));
        }
    }
    for new in &now.http {
        let old = before.http.iter().find(|old| old.name == new.name);
        let is_given = given.http.iter().any(|server| new.name == server.name);
        // A grant may leave the URL to the plugin, so another URL is another server.
        let is_less =
            old.is_some_and(|old| old.url == new.url && !is_wider(old.access, new.access));
        if !is_given && !is_less {
            let url = new.url.as_deref().map(|url| format!("{url}, ")).unwrap_or_default();
            found.push(format!("the server `{}` ({url}{})", new.name, words(new.access)));
        }
    }
    // A request with `*` can apply to a grant that another request was for.
    for grant in &kept.directories {
        let name = grant.name();
        let (old, new) = (before.directory(name), now.directory(name));
        let is_given = given.directories.iter().any(|given| given.name() == name);
        if let Some(new) = new
            && !is_given
            && old.is_none_or(|old| is_wider(old, new))
        {
            found.push(format!("the granted directory `{name}` ({})", words(new)));
        }
    }
    for server in &kept.http {
        let name = server.name.as_str();
        let (old, new) = (before.server(name), now.server(name));
        let is_given = given.http.iter().any(|given| given.name == name);
        if let Some(new) = new
            && !is_given
            && old.is_none_or(|old| old.url != new.url || is_wider(old.access, new.access))
        {
            let url = new.url.as_deref().map(|url| format!("{url}, ")).unwrap_or_default();
            found.push(format!("the granted server `{name}` ({url}{})", words(new.access)));
        }
    }
    found
}

const fn words(access: Access) -> &'static str {
    match access {
        Access::ReadOnly => "read-only",
        Access::ReadWrite => "read-write",
    }
}

#[cfg(test)]
mod tests {
    use syncmgr_host::{Capability, Grant};

    use super::*;
    use crate::grants::{Secret, Server};

    fn reference(tag: &str) -> Reference {
        format!("oci://r.example/mail:{tag}").parse().unwrap()
    }

    #[test]
    fn version_tags_lead_to_the_highest_version() {
        let tags =
            ["latest", "0.9.0", "1.0.0", "v1.10.0", "1.9.0", "2.0.0-rc.1", "sha256-0", "../x"];
        let tags = tags.map(str::to_owned);
        for (tag, expected) in [
            ("1.0.0", "v1.10.0"),
            ("v1.0.0", "v1.10.0"),
            ("v1.10.0", "v1.10.0"),
            ("2.0.0-alpha", "2.0.0-rc.1"),
            ("3.0.0", "3.0.0"),
            ("latest", "latest"),
            ("stable", "stable"),
        ] {
            let found = followed(&reference(tag), &tags).unwrap();
            assert_eq!(found, Some(reference(expected)), "{tag}");
        }
        let pinned = pinned(&reference("x"), &Digest::of(b"x")).parse().unwrap();
        assert_eq!(followed(&pinned, &tags).unwrap(), None);
        assert!(!has_version_tag(&pinned));
    }

    #[test]
    fn an_update_is_a_later_version_by_the_same_publisher() {
        const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let key = TrustedKey::parse("Alice", KEY).unwrap();
        let mut other = key.clone();
        other.id = "0000000000000000".to_owned();
        for (installed, signed, tag, version, signer, expected) in [
            (Some("1.0.0"), false, "1.1.0", Some("1.1.0"), None, None),
            (Some("1.0.0"), false, "latest", Some("1.1.0"), None, None),
            (None, false, "latest", None, None, None),
            (None, false, "latest", Some("0.1.0"), None, None),
            (Some("1.0.0"), true, "latest", Some("1.1.0"), Some(&key), None),
            (Some("1.0.0"), false, "latest", Some("1.1.0"), Some(&key), None),
            (Some("1.0.0"), false, "1.0.0", Some("1.1.0"), None, Some("update-moved")),
            (Some("1.0.0"), false, "latest", Some("1.0.0"), None, Some("update-moved")),
            (Some("1.0.0"), false, "latest", None, None, Some("update-moved")),
            (Some("1.0.0"), false, "latest", Some("0.9.0"), None, Some("update-older")),
            (Some("1.10"), false, "latest", Some("1.2"), None, Some("update-older")),
            (Some("1.0.0"), false, "latest", Some("two"), None, Some("update-older")),
            (Some("one"), false, "latest", Some("1.0.0"), None, Some("update-older")),
            (Some("1.0.0"), true, "latest", Some("1.1.0"), None, Some("update-signer")),
            (Some("1.0.0"), true, "latest", Some("1.1.0"), Some(&other), Some("update-signer")),
        ] {
            let origin = Origin {
                reference: reference(if tag == "latest" { "latest" } else { "1.0.0" }).to_string(),
                digest: Digest::of(b"1").to_string(),
                version: installed.map(str::to_owned),
                signed_by: signed.then(|| key.id.clone()),
            };
            let (reference, digest) = (reference(tag), Digest::of(b"2"));
            let candidate =
                Candidate { name: "mail", reference: &reference, digest: &digest, version, signer };
            let found = candidate.check(&origin).err().map(|error| error.code());
            assert_eq!(found, expected, "{installed:?} {tag} {version:?}");
        }
    }

    #[test]
    fn wider_requests_are_found() {
        let parse = |text: &str| Requests::parse(text.as_bytes()).unwrap();
        let before = parse(
            "[directories]\ninbox = { access = \"read-only\", why = \"x\" }\n\
             [http]\nserver = { url = \"https://a.example\", why = \"x\" }\n",
        );
        let none = Grants::default();
        assert!(additional_requests(&before, &before, &none, &none).is_empty());
        let now = parse(
            "[directories]\ninbox = { access = \"read-write\", why = \"x\" }\n\
             \"*.left\" = { access = \"read-only\", why = \"x\" }\n[settings]\nmode = \"x\"\n\
             [secrets]\ntoken = \"x\"\n[allow]\nwall-clock = \"x\"\n\
             [http]\nserver = { url = \"https://evil.example\", why = \"x\" }\n",
        );
        let found = additional_requests(&before, &now, &none, &none);
        let words = ["`inbox` (read-write)", "`*.left`", "`token`", "`wall-clock`", "evil.example"];
        assert_eq!(found.len(), words.len(), "{found:?}");
        for word in words {
            assert!(found.iter().any(|found| found.contains(word)), "{word}: {found:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let mut given = Grants::default();
        given.allow.push(Capability::WallClock);
        given.http.push(Server::requested("server"));
        given.secrets.push(("token".to_owned(), Secret::Env("TOKEN".to_owned())));
        for name in ["inbox", "photos.left"] {
            given.directories.push(Grant::new(name, folder.path(), Access::ReadOnly).unwrap());
        }
        // No directory is all those that a name with `*` requests.
        let found = additional_requests(&before, &now, &none, &given);
        assert_eq!(found, ["the directory `*.left` (read-only)"]);
        let found = additional_requests(&now, &before, &none, &none);
        assert_eq!(found, ["the server `server` (https://a.example, read-only)"]);
    }

    #[test]
    fn a_request_for_other_names_does_not_widen_a_grant() {
        let parse = |text: &str| Requests::parse(text.as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (mut kept, none) = (Grants::default(), Grants::default());
        kept.directories.push(Grant::new("inbox", folder.path(), Access::ReadWrite).unwrap());
        kept.http.push(Server::requested("api"));
        let all = "\"*\" = { access = \"read-write\", why = \"x\" }\n";
        let any = "\"*\" = { url = \"https://evil.example\", why = \"x\" }\n";
        let inbox = "inbox = { access = \"read-only\", why = \"x\" }\n";
        let api = "api = { url = \"https://a.example\", why = \"x\" }\n";
        for (before, now, expected) in [
            (format!("[directories]\n{inbox}"), format!("[directories]\n{inbox}"), vec![]),
            (
                format!("[directories]\n{inbox}"),
                format!("[directories]\n{inbox}{all}"),
                vec![
                    "the directory `*` (read-write)",
                    "the granted directory `inbox` (read-write)",
                ],
            ),
            (
                format!("[http]\n{api}{any}"),
                format!("[http]\n{any}"),
                vec!["the granted server `api` (https://evil.example, read-only)"],
            ),
        ] {
            let found = additional_requests(&parse(&before), &parse(&now), &kept, &none);
            assert_eq!(found, expected, "{now}");
        }
    }
}

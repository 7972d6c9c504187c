//! What registries, and those who can push to them, may try.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::hostile::{Contents, Hostile, answer, is_for};
use super::*;

/// Requires that an installation is refused with a sentence, and nothing is stored.
fn refused(server: &Hostile, status: i32, words: &str) -> Result<()> {
    let home = Home::new()?;
    home.run(&["install", &server.reference(), "--yes"])?.expect(status, words)?;
    nothing_is_stored(&home)
}

#[test]
fn a_tampered_component_is_refused() -> Result<()> {
    let contents = Contents::new(&plugin("1.0.0", "")?, plugin("1.0.0", "")?.len() as u64);
    let mut tampered = contents.clone();
    let last = tampered.component.len() - 1;
    tampered.component[last] ^= 1;
    let server = Hostile::start(move |head| tampered.answer(head))?;
    refused(&server, 2, "was changed: its digest is sha256:")
}

#[test]
fn another_manifest_than_the_pinned_one_is_refused() -> Result<()> {
    let component = plugin("1.0.0", "")?;
    let contents = Contents::new(&component, component.len() as u64);
    let server = Hostile::start(move |head| match is_for(head, "manifests/") {
        true => answer(200, &[], &contents.manifest),
        false => contents.answer(head),
    })?;
    let home = Home::new()?;
    let pinned = format!("oci://{}/mail@sha256:{}", server.registry(), "0".repeat(64));
    home.run(&["install", &pinned, "--yes"])?.expect(2, "was changed: its digest is sha256:")?;
    nothing_is_stored(&home)
}

#[test]
fn a_registry_that_lies_about_sizes_is_refused() -> Result<()> {
    let component = plugin("1.0.0", "")?;
    let size = component.len() as u64;
    // Larger and smaller than the manifest says, and larger than any plugin may be.
    for (stated, status, words) in [
        (size - 1, 2, "the size in its manifest"),
        (size + 1, 7, "is incomplete"),
        (1 << 40, 2, "the limit `component-bytes`"),
    ] {
        let contents = Contents::new(&component, stated);
        let server = Hostile::start(move |head| contents.answer(head))?;
        refused(&server, status, words)?;
        let wants_content = server.heads().iter().any(|head| is_for(head, "blobs/"));
        assert_eq!(wants_content, stated != 1 << 40, "{:?}", server.heads());
    }
    // Without a length, and without an end.
    let contents = Contents::new(&component, size);
    let server = Hostile::start(move |head| match is_for(head, "blobs/") {
        true => {
            let head = b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n";
            [&head[..], &contents.component, &[0; 1 << 16]].concat()
        }
        false => contents.answer(head),
    })?;
    refused(&server, 2, "the size in its manifest")
}

#[test]
fn huge_manifests_and_lists_are_refused() -> Result<()> {
    let server = Hostile::start(|_| answer(200, &[], &vec![b' '; 2 << 20]))?;
    refused(&server, 2, "is larger than 1048576 bytes")?;
    let deep = "[".repeat(1 << 19);
    let server = Hostile::start(move |_| answer(200, &[], deep.as_bytes()))?;
    refused(&server, 2, "is not a plugin: its manifest is invalid")
}

#[test]
fn a_truncated_component_is_refused() -> Result<()> {
    let component = plugin("1.0.0", "")?;
    let contents = Contents::new(&component, component.len() as u64);
    let server = Hostile::start(move |head| {
        let mut answer = contents.answer(head);
        if is_for(head, "blobs/") {
            answer.truncate(answer.len() - 10);
        }
        answer
    })?;
    refused(&server, 7, "is incomplete")
}

#[test]
fn a_login_is_not_repeated_forever() -> Result<()> {
    let server = Hostile::start(|head| match is_for(head, "/token") {
        true => answer(200, &[], b"{\"token\":\"abc\"}"),
        false => {
            let host = head.to_lowercase();
            let host = host.split("host: ").nth(1).and_then(|rest| rest.lines().next());
            let realm = format!("http://{}/token", host.unwrap_or_default());
            let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"x\"");
            answer(401, &[&challenge], b"")
        }
    })?;
    refused(&server, 2, "denies access to `mail` (status 401)")?;
    assert_eq!(server.heads().len(), 3, "{:?}", server.heads());
    Ok(())
}

#[test]
fn redirects_end_and_lead_only_to_contents() -> Result<()> {
    let count = AtomicUsize::new(0);
    let component = plugin("1.0.0", "")?;
    let contents = Contents::new(&component, component.len() as u64);
    let server = Hostile::start(move |head| match is_for(head, "blobs/") {
        true => {
            let next = count.fetch_add(1, Ordering::AcqRel);
            answer(307, &[&format!("Location: /v2/mail/blobs/{next}")], b"")
        }
        false => contents.answer(head),
    })?;
    refused(&server, 2, "there are too many redirects")?;
    let server = Hostile::start(|_| answer(302, &["Location: https://example.com/x"], b""))?;
    refused(&server, 2, "leads to https://example.com, which is refused: only contents")?;
    for (location, words) in [
        ("http://example.com/", "not an `https://` URL"),
        ("https://169.254.169.254/latest", "it is a local address"),
        ("https://10.0.0.1/", "it is a local address"),
        ("file:///etc/passwd", "is invalid"),
    ] {
        let contents = Contents::new(&component, component.len() as u64);
        let server = Hostile::start(move |head| match is_for(head, "blobs/") {
            true => answer(307, &[&format!("Location: {location}")], b""),
            false => contents.answer(head),
        })?;
        refused(&server, 2, words)?;
    }
    Ok(())
}

#[test]
fn text_of_a_registry_cannot_control_the_terminal() -> Result<()> {
    let server = Hostile::start(|_| {
        let manifest = "{\"schemaVersion\":2,\"mediaType\":\"x\\u001b[2J\",\"layers\":[]}";
        answer(200, &[], manifest.as_bytes())
    })?;
    let home = Home::new()?;
    let ran = home.run(&["install", &server.reference(), "--yes"])?.expect(2, "u{1b}[2J")?;
    ensure!(!ran.said().contains('\u{1b}'), "{ran:?}");
    Ok(())
}

#[test]
fn a_plugin_without_a_signature_of_a_trusted_key_is_refused() -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    let (alice, _) = (scene.key("alice")?, scene.key("mallory")?);
    scene.trust("Alice", &alice)?;
    scene.push("1.0.0", &plugin("1.0.0", "")?, None)?;
    scene.install("1.0.0", &[])?.expect(2, "has no signature of a trusted key")?;
    scene.push("1.0.1", &plugin("1.0.1", "")?, Some("mallory.key"))?;
    scene.install("1.0.1", &[])?.expect(2, "it is signed with unknown keys: ")?;
    // The key of the command line replaces the trusted ones.
    scene.push("1.0.2", &plugin("1.0.2", "")?, Some("alice.key"))?;
    let mallory = scene.author.path("mallory.pub").display().to_string();
    scene.install("1.0.2", &["--key", &mallory])?.expect(2, "which `--key ")?;
    nothing_is_stored(&scene.user)?;
    // A file's signature is for its content.
    scene.author.write("mail.wasm", plugin("6.6.6", "")?)?;
    let verify = ["verify", "mail.wasm", "--key", "alice.pub"];
    scene.author.run(&verify)?.expect(2, "is invalid: it is for another content")?;
    scene.install("1.0.2", &[])?.expect(0, "installed mail")?;
    Ok(())
}

#[test]
fn an_update_needs_the_key_of_the_installed_version() -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    let (alice, mallory) = (scene.key("alice")?, scene.key("mallory")?);
    let text = format!(
        "[[keys]]\nname = \"Alice\"\npublic-key = \"{alice}\"\n\
         [[keys]]\nname = \"Mallory\"\npublic-key = \"{mallory}\"\n"
    );
    trust(&scene.user, &text)?;
    scene.push("latest", &plugin("1.0.0", "")?, Some("alice.key"))?;
    scene.install("latest", &[])?.expect(0, "installed mail")?;
    let update = ["update", "mail", "--yes"];
    for key in [None, Some("mallory.key")] {
        scene.push("latest", &plugin("1.1.0", "")?, key)?;
        scene.user.run(&update)?.expect(2, "the installed version is signed with key")?;
        scene.push("latest", &plugin("1.0.0", "")?, Some("alice.key"))?;
    }
    Ok(())
}

#[test]
fn a_moved_tag_and_an_older_version_are_no_updates() -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    scene.push("1.0.0", &plugin("1.0.0", "")?, None)?;
    scene.install("1.0.0", &[])?.expect(0, "installed mail")?;
    let other = plugin("1.0.0", "[settings]\nmode = \"another content\"\n")?;
    scene.push("1.0.0", &other, None)?;
    scene.user.run(&["update", "--yes"])?.expect(2, "was moved to another content")?;
    scene.install("1.0.0", &["--name", "old"])?.expect(0, "installed old")?;
    scene.user.run(&["uninstall", "mail"])?.expect(0, "")?;
    scene.push("latest", &plugin("2.0.0", "")?, None)?;
    scene.install("latest", &[])?.expect(0, "installed mail")?;
    scene.push("latest", &plugin("1.5.0", "")?, None)?;
    scene.user.run(&["update", "mail", "--yes"])?.expect(2, "has version 1.5.0, and 2.0.0 is")?;
    Ok(())
}

#[test]
fn another_plugin_of_the_same_publisher_is_no_update() -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    let named = |version: &str, name: &str| -> Result<Vec<u8>> {
        let mut add = AddMetadata::default();
        add.name = AddMetadataField::Set(name.to_owned());
        add.to_wasm(&plugin(version, "")?)
    };
    scene.push("latest", &named("1.0.0", "mail")?, None)?;
    scene.install("latest", &[])?.expect(0, "installed mail")?;
    scene.push("latest", &named("2.0.0", "wipe")?, None)?;
    let words = "calls itself `wipe` instead of `mail`";
    scene.user.run(&["update", "mail", "--yes"])?.expect(2, words)?;
    scene.install("latest", &["--name", "other"])?.expect(0, "its name  wipe")?;
    Ok(())
}

#[test]
fn an_update_never_gets_larger_requests_silently() -> Result<()> {
    const BEFORE: &str = "[http]\napi = { url = \"https://a.example\", why = \"x\" }\n";
    let Some(scene) = Scene::new()? else { return Ok(()) };
    scene.push("1.0.0", &plugin("1.0.0", BEFORE)?, None)?;
    scene
        .install("1.0.0", &["--http", "api"])?
        .expect(0, "server api (https://a.example, read-only)")?;
    let registration = scene.user.path("state/installed/mail/registration.toml");
    let before = fs::read(&registration)?;
    let wider = "[http]\napi = { url = \"https://evil.example\", why = \"x\" }\n\
                 [secrets]\ntoken = \"signs in\"\n";
    scene.push("1.1.0", &plugin("1.1.0", wider)?, None)?;
    let update = ["update", "mail", "--yes"];
    let refused = scene.user.run(&update)?.expect(2, "also requests the secret `token`")?;
    ensure!(refused.said().contains("https://evil.example"), "{refused:?}");
    assert_eq!(fs::read(&registration)?, before);
    let given = ["--secret", "token=env:HOME", "--http", "api=https://evil.example/"];
    let all = ["update", "--yes"];
    scene.user.run(&[&all[..], &given].concat())?.expect(2, "grants are for one plugin")?;
    let updated = scene.user.run(&[&update[..], &given].concat())?;
    updated.expect(0, "updated mail")?;
    // Grants that are no longer requested are removed.
    scene.push("1.2.0", &plugin("1.2.0", "")?, None)?;
    scene.user.run(&update)?.expect(0, "no longer granted: the secret `token`")?;
    Ok(())
}

//! Plugins from registries: a real registry, and hostile ones.

mod attacks;
mod hostile;
mod login;

use std::fs;
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use conformance::corpus::core::Core;
use conformance::servers::{self, Authority, DOCKER_REGISTRY, Server};
use wasm_metadata::{AddMetadata, AddMetadataField};

use crate::home::{Home, Ran};

/// Returns a plugin with a version and requests.
fn plugin(version: &str, requests: &str) -> Result<Vec<u8>> {
    let section = format!("(@custom \"syncmgr-requests\" {requests:?})");
    let component = Core::new().also(section).component()?;
    let mut add = AddMetadata::default();
    add.version = AddMetadataField::Set(version.parse()?);
    add.to_wasm(&component)
}

/// An author and a user, each with a home, and a registry between them.
struct Scene {
    author: Home,
    user: Home,
    server: Server,
}

impl Scene {
    /// Returns `None` if there is no registry to start.
    fn new() -> Result<Option<Self>> {
        if !servers::has(DOCKER_REGISTRY)? {
            return Ok(None);
        }
        let server = servers::docker_registry(None)?;
        Ok(Some(Self { author: Home::new()?, user: Home::new()?, server }))
    }

    fn registry(&self) -> String {
        format!("127.0.0.1:{}", self.server.ports[0])
    }

    fn reference(&self, tag: &str) -> String {
        format!("oci://{}/alice/mail:{tag}", self.registry())
    }

    /// Creates a plugin, signs it if there is a key, and pushes it.
    fn push(&self, tag: &str, plugin: &[u8], key: Option<&str>) -> Result<Ran> {
        self.author.write("mail.wasm", plugin)?;
        let signature = self.author.path("mail.wasm.minisig");
        if signature.exists() {
            fs::remove_file(signature)?;
        }
        if let Some(key) = key {
            self.author.run(&["sign", "mail.wasm", "--key", key])?.expect(0, "created")?;
        }
        self.author.run(&["push", "mail.wasm", &self.reference(tag)])?.expect(0, "pushed oci://")
    }

    /// Creates a key of the author. Returns the public key.
    fn key(&self, name: &str) -> Result<String> {
        new_key(&self.author, name)
    }

    /// Has the user trust a key, and require signatures.
    fn trust(&self, name: &str, key: &str) -> Result<()> {
        let text = format!(
            "require-signature = true\n[[keys]]\nname = \"{name}\"\npublic-key = \"{key}\"\n"
        );
        trust(&self.user, &text)
    }

    fn install(&self, tag: &str, more: &[&str]) -> Result<Ran> {
        let reference = self.reference(tag);
        self.user.run(&[&["install", &reference, "--yes"], more].concat())
    }
}

fn new_key(home: &Home, name: &str) -> Result<String> {
    let mut command = home.command(&["sign", "--new-key", &format!("{name}.key")]);
    let ran = Ran::of(&command.env("SYNCMGR_KEY_PASSWORD", "").output()?);
    ran.expect(0, "created the secret key")?;
    let public = fs::read_to_string(home.path(&format!("{name}.pub")))?;
    Ok(public.lines().nth(1).context("a key")?.to_owned())
}

fn trust(home: &Home, text: &str) -> Result<()> {
    home.write("state/trusted-keys.toml", text)?;
    // The tests may run with a mask that lets others write.
    #[cfg(unix)]
    for (path, mode) in [("state", 0o700), ("state/trusted-keys.toml", 0o600)] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(home.path(path), fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Requires that no plugin is installed, and no file of one remains.
fn nothing_is_stored(home: &Home) -> Result<()> {
    let listed = home.run(&["list"])?.expect(0, "")?.stdout;
    ensure!(listed.is_empty(), "{listed}");
    let installed = home.path("state/installed");
    if installed.exists() {
        let left = fs::read_dir(installed)?.flatten().map(|entry| entry.path());
        // The lock remains.
        let left: Vec<_> = left.filter(|path| !path.ends_with(".lock")).collect();
        ensure!(left.is_empty(), "{left:?}");
    }
    Ok(())
}

#[test]
fn a_signed_plugin_is_pushed_installed_updated_and_uninstalled() -> Result<()> {
    let Some(scene) = Scene::new()? else { return Ok(()) };
    let key = scene.key("alice")?;
    scene
        .push("1.0.0", &plugin("1.0.0", "")?, Some("alice.key"))?
        .expect(0, "with its signature")?;
    scene
        .author
        .run(&["verify", "mail.wasm", "--key", "alice.pub"])?
        .expect(0, "is signed with")?;
    scene.trust("Alice", &key)?;

    // Without a terminal, nothing is installed without `--yes`.
    let asked = scene.user.run(&["install", &scene.reference("1.0.0")])?;
    let asked = asked.expect(2, "confirm with `--yes`")?;
    for words in ["plugin    mail 1.0.0", "digest    sha256:", "signed by Alice (key "] {
        ensure!(asked.said().contains(words), "{words}: {}", asked.said());
    }
    nothing_is_stored(&scene.user)?;

    scene.install("1.0.0", &[])?.expect(0, "installed mail")?;
    scene.user.run(&["run", "mail"])?.expect(0, "succeeded")?;
    scene.user.run(&["list"])?.expect(0, &format!("from: {}", scene.reference("1.0.0")))?;
    scene.user.run(&["outdated"])?.expect(0, "")?;
    scene.user.run(&["update", "--yes"])?.expect(0, "mail is up to date")?;
    let registration =
        fs::read_to_string(scene.user.path("state/installed/mail/registration.toml"))?;
    for words in ["digest = \"sha256:", "version = \"1.0.0\"", "signed-by = \""] {
        ensure!(registration.contains(words), "{words}: {registration}");
    }

    scene.push("1.1.0", &plugin("1.1.0", "")?, Some("alice.key"))?;
    scene.user.run(&["outdated"])?.expect(0, "mail  1.0.0  ->  oci://")?;
    let outdated = scene.user.run(&["outdated", "--json"])?.json()?;
    assert_eq!(outdated[0]["available"], scene.reference("1.1.0"));
    scene.user.run(&["update"])?.expect(2, "confirm with `--yes`")?;
    scene.user.run(&["update", "--yes"])?.expect(0, "version 1.0.0 -> 1.1.0")?;
    scene.user.run(&["run", "mail"])?.expect(0, "succeeded")?;
    scene.user.run(&["uninstall", "mail"])?.expect(0, "its storage remains")?;
    nothing_is_stored(&scene.user)?;
    scene.user.run(&["uninstall", "mail"])?.expect(2, "no plugin is registered")?;
    Ok(())
}

#[test]
fn a_registry_with_a_certificate_of_its_own_needs_its_authority() -> Result<()> {
    if !servers::has(DOCKER_REGISTRY)? {
        return Ok(());
    }
    let authority = Authority::new()?;
    let server = servers::docker_registry(Some(&authority.certificate("localhost")?))?;
    let (home, reference) = (Home::new()?, format!("oci://localhost:{}/mail:1", server.ports[0]));
    home.write("ca.pem", authority.pem())?;
    home.write("other.pem", Authority::new()?.pem())?;
    home.write("mail.wasm", plugin("1.0.0", "")?)?;
    home.run(&["push", "mail.wasm", &reference, "--ca", "other.pem"])?.expect(7, "cannot reach")?;
    home.run(&["push", "mail.wasm", &reference, "--ca", "ca.pem"])?.expect(0, "pushed")?;
    home.run(&["install", &reference, "--ca", "ca.pem", "--yes"])?.expect(0, "installed mail")?;
    Ok(())
}

#[test]
fn files_and_urls_are_installed_by_digest() -> Result<()> {
    let home = Home::new()?;
    let component = plugin("1.0.0", "")?;
    let digest = syncmgr_install::registry::Digest::of(&component);
    home.write("mail-1.0.0.wasm", &component)?;
    let other = format!("sha256:{}", "0".repeat(64));
    let install = |more: &[&str]| home.run(&[&["install", "--yes"], more].concat());
    install(&["mail-1.0.0.wasm", "--digest", &other])?.expect(2, "was changed: its digest is")?;
    nothing_is_stored(&home)?;
    install(&["mail-1.0.0.wasm", "--digest", digest.as_str()])?.expect(0, "installed mail")?;
    home.run(&["update", "mail"])?.expect(2, "it was installed from a file")?;
    home.run(&["update"])?.expect(0, "")?;

    let content = component.clone();
    let server = hostile::Hostile::start(move |_| hostile::answer(200, &[], &content))?;
    let url = format!("{}/mail.wasm", server.url());
    install(&[&url])?.expect(2, "needs `--digest sha256:")?;
    install(&[&url, "--digest", &other])?.expect(2, "was changed: its digest is")?;
    install(&[&url, "--digest", digest.as_str(), "--name", "post"])?.expect(0, "installed post")?;
    install(&["http://example.com/x.wasm", "--digest", &other])?.expect(2, "`https://` URLs")?;
    Ok(())
}

/// Runs the program on a terminal, with an answer to its question. `words` need no quotes.
#[cfg(target_os = "linux")]
fn on_terminal(home: &Home, words: &str, answer: &str) -> Result<Ran> {
    use std::io::Write as _;
    let command = format!("{} {words}", env!("CARGO_BIN_EXE_syncmgr"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(home.path(""))
        .env("SYNCMGR_STATE_DIR", home.path("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("it is a pipe")?.write_all(answer.as_bytes())?;
    Ok(Ran::of(&child.wait_with_output()?))
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_asked_before_anything_is_stored() -> Result<()> {
    if !servers::has("script")? {
        return Ok(());
    }
    let home = Home::new()?;
    home.write("mail.wasm", plugin("1.0.0", "")?)?;
    on_terminal(&home, "install mail.wasm", "n\n")?.expect(5, "Install mail? [y/N]")?;
    nothing_is_stored(&home)?;
    on_terminal(&home, "install mail.wasm", "y\n")?.expect(0, "installed mail")?;
    home.write("mail.wasm", plugin("2.0.0", "")?)?;
    let asked = on_terminal(&home, "install mail.wasm", "\n")?;
    asked.expect(5, "version 1.0.0 -> 2.0.0")?.expect(5, "Replace the installed plugin mail?")?;
    Ok(())
}

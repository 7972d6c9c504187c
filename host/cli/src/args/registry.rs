use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{GrantArgs, StateDir};

/// How to reach registries.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct RegistryArgs {
    /// Trust the certificates in this PEM file for the registry, in addition to those of the
    /// system. A registry on this machine is then reached with TLS, too
    #[arg(long = "ca", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Reach the registry through this proxy, which must support `CONNECT`: `http://HOST:PORT`, or
    /// `http://USER:PASSWORD@HOST:PORT`
    #[arg(
        long = "proxy",
        value_name = "URL",
        id = "registry_proxy",
        env = "SYNCMGR_HTTP_PROXY",
        hide_env_values = true
    )]
    pub(crate) proxy: Option<String>,
}

/// What an installation requires before it stores anything.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct ConsentArgs {
    /// Require a signature by the public key in this file of `minisign`
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,

    /// Install without a question
    #[arg(long, short)]
    pub(crate) yes: bool,
}

const INSTALL_HELP: &str = "\
Examples:
  syncmgr install oci://ghcr.io/alice/mail:1.2.0 --dir inbox=~/mail:ro
  syncmgr install oci://ghcr.io/alice/mail --key alice.pub --yes
  syncmgr install https://example.org/mail.wasm --digest sha256:0123...
  syncmgr install mail.wasm

Credentials for a registry are those of docker: its config.json, and its credential helpers.

Exit status:
  0  installed
  2  invalid usage, refused, or not confirmed
  5  declined
  7  the registry cannot be reached or answers wrongly";

/// Install a plugin from a registry, a server or a file, with grants
///
/// Shows the plugin, its signature and its requests, and asks before it stores anything.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = INSTALL_HELP)]
pub(crate) struct Install {
    /// Plugin: `oci://HOST/REPOSITORY[:TAG|@sha256:...]`, an `https://` URL with `--digest`, or a
    /// `.wasm` file
    pub(crate) source: String,

    /// Name of the installed plugin [default: the last part of the repository, or the name of the
    /// file without its version]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Digest of the component, `sha256:` with 64 hexadecimal digits; required for a URL
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    /// Read the grants from a job file, which need not name the plugin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dirs", "settings", "secrets", "allow"])]
    pub(crate) grants: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) grant_args: GrantArgs,

    /// Set a limit (`none`: unlimited); `syncmgr inspect` lists the limits
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    pub(crate) limits: Vec<String>,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const UPDATE_HELP: &str = "\
An update keeps the grants. A tag that is a version is followed to the highest version in its
repository, another tag to its present content. A version that requests more than the installed one
needs new grants, or a confirmation on a terminal.

Exit status:
  0  all plugins are up to date
  2  invalid usage, refused, or not confirmed
  5  declined
  7  a registry cannot be reached or answers wrongly";

/// Update plugins that were installed from a registry
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = UPDATE_HELP)]
pub(crate) struct Update {
    /// Names of installed plugins [default: all that are from a registry]
    pub(crate) names: Vec<String>,

    #[command(flatten)]
    pub(crate) consent: ConsentArgs,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) grant_args: GrantArgs,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// List installed plugins for which their registry has an update
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Outdated {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

/// Remove an installed plugin, but not its storage
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Uninstall {
    /// Name of the installed plugin
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) state_dir: StateDir,
}

const PUSH_HELP: &str = "\
Examples:
  syncmgr push dist/mail-1.2.0.wasm oci://ghcr.io/alice/mail:1.2.0
  syncmgr sign dist/mail-1.2.0.wasm --key alice.key && syncmgr push dist/mail-1.2.0.wasm \
  oci://ghcr.io/alice/mail:1.2.0

The signature in FILE.minisig is pushed with the plugin, if there is one.";

/// Push a plugin to a registry
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = PUSH_HELP)]
pub(crate) struct Push {
    /// Plugin: a `.wasm` file
    pub(crate) file: PathBuf,

    /// Reference: `oci://HOST/REPOSITORY:TAG`
    pub(crate) reference: String,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

const SIGN_HELP: &str = "\
Examples:
  syncmgr sign --new-key alice.key
  syncmgr sign dist/mail-1.2.0.wasm --key alice.key

Keys and signatures are those of `minisign`. A key with a password asks for it on the terminal, or
reads it from the variable SYNCMGR_KEY_PASSWORD.";

/// Sign a plugin: create FILE.minisig
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = SIGN_HELP)]
pub(crate) struct Sign {
    /// Plugin: a `.wasm` file
    #[arg(required_unless_present = "new_key", requires = "key")]
    pub(crate) file: Option<PathBuf>,

    /// File with the secret key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<PathBuf>,

    /// Create a secret key in this file, and its public key in a file with the extension `pub`
    #[arg(long, value_name = "KEY", conflicts_with_all = ["file", "key"])]
    pub(crate) new_key: Option<PathBuf>,
}

/// Verify the signature of a plugin in FILE.minisig
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Verify {
    /// Plugin: a `.wasm` file
    pub(crate) file: PathBuf,

    /// File with the public key
    #[arg(long, value_name = "PUB")]
    pub(crate) key: PathBuf,
}

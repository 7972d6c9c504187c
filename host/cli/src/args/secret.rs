use clap::{Args as ClapArgs, Subcommand};

const SECRET_HELP: &str = "\
Examples:
  Store the login for a server, and use it:
    syncmgr secret set dav
    syncmgr run mine.wasm --http remote=https://dav.example.org/files/me/ \
      --http-auth remote=basic:keyring:dav
  Store the output of a program:
    pass show dav | syncmgr secret set dav
  Use it in a job file:
    [http-auth.remote]
    kind = \"basic\"
    secret = { keyring = \"dav\" }
  List the names, and remove a secret:
    syncmgr secret list
    syncmgr secret remove dav

The keyring is the Secret Service of the desktop on Linux (GNOME Keyring, KWallet, KeePassXC), the
keychain on macOS and the Credential Manager on Windows. On a system without one, pass a secret in
a file with mode 0600 (`file:PATH`) or in a variable (`env:VARIABLE`).

Exit status:
  0  done
  2  invalid usage, no such secret, or no keyring
  7  the keyring is locked or failed";

/// Store, list and remove secrets in the keyring of the system
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = SECRET_HELP)]
pub(crate) struct Secret {
    #[command(subcommand)]
    pub(crate) command: SecretCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Store a secret; replaces the one of this name
    ///
    /// Prompts for the secret, or reads it from standard input if that is not a terminal, without
    /// the line break at its end.
    Set {
        /// Name of the secret, for `keyring:NAME`
        name: String,
    },
    /// List the names of the secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret
    Remove {
        /// Name of the secret
        name: String,
    },
}

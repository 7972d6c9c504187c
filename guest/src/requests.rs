/// Declares the plugin's requests, as TOML in a custom section that hosts read without running the
/// plugin. A host grants nothing else. Use it once, next to [`export!`](crate::export).
///
/// # Examples
/// ```no_run
/// syncmgr_plugin::request!(
///     r#"
///     [directories]
///     inbox = { access = "read-only", why = "the messages to import" }
///     "*.inbox" = { access = "read-only", why = "one inbox per item" }
///     [settings]
///     max-age = "the age in days up to which messages are imported"
///     [secrets]
///     token = "authenticates with the service"
///     [allow]
///     wall-clock = "computes the age of a message"
///     [http]
///     remote = { access = "read-only", why = "the mail service" }
///     "#
/// );
/// # fn main() {}
/// ```
///
/// `clsid = "..."` at the top sets the class of the plugin's native handler on Windows. By default,
/// it is derived from the name under which the plugin is registered.
///
/// Every part is optional, and `include_str!("requests.toml")` works, too. A `*` in a name stands
/// for one part between dots. The capabilities under `allow` are `wall-clock`, the time of day, and
/// `randomness`, secure random numbers; the host terminates a plugin that uses one without a grant.
/// Settings and secrets are environment variables. The plugin's own storage needs no request.
#[macro_export]
macro_rules! request {
    ($toml:expr) => {
        const _: () = {
            const TOML: &str = $toml;
            // A custom section of the file, not memory of the program.
            #[cfg_attr(target_family = "wasm", unsafe(link_section = "syncmgr-requests"))]
            #[used]
            static REQUESTS: [u8; TOML.len()] = $crate::glue::section(TOML);
        };
    };
}

/// States what the plugin wants to be granted, as TOML that its file carries and that hosts read
/// without running it. What is not stated is not given. Use it once, beside
/// [`export!`](crate::export).
///
/// ```no_run
/// syncmgr_plugin::request!(
///     r#"
///     [directories]
///     inbox = { access = "read-only", why = "what arrived" }
///     "*.inbox" = { access = "read-only", why = "the same for each of several items" }
///     [settings]
///     max-age = "messages that are older are left out"
///     [secrets]
///     token = "signs in at the service"
///     [allow]
///     wall-clock = "tells how old a message is"
///     [http]
///     "api.example.com" = "the service"
///     "#
/// );
/// # fn main() {}
/// ```
///
/// `clsid = "..."` above all of it states the class that the plugin has as a native handler on
/// Windows. Without it, one follows from the name that the plugin is registered under.
///
/// Every part may be left out. `include_str!("requests.toml")` does as well. A `*` in a name
/// stands for one part between dots. What may be allowed is `wall-clock`, the time of day, and
/// `randomness`, secret random numbers; the host ends a plugin that uses them and was not allowed
/// to. Settings and secrets are environment variables. The plugin's own storage need not be
/// requested.
#[macro_export]
macro_rules! request {
    ($toml:expr) => {
        const _: () = {
            const TOML: &str = $toml;
            const fn bytes() -> [u8; TOML.len()] {
                let mut bytes = [0; TOML.len()];
                let mut at = 0;
                while at < bytes.len() {
                    bytes[at] = TOML.as_bytes()[at];
                    at += 1;
                }
                bytes
            }
            // A custom section of the file; it is no memory of the program.
            #[cfg_attr(target_family = "wasm", unsafe(link_section = "syncmgr-requests"))]
            #[used]
            static REQUESTS: [u8; TOML.len()] = bytes();
        };
    };
}

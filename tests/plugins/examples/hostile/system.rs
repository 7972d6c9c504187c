//! WASI functions without a standard library.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package hostile:guest;
        world guest {
            include wasi:cli/imports@0.2.12;
        }
    ",
    world: "hostile:guest/guest",
    generate_all,
});

pub(crate) use wasi::clocks::monotonic_clock;
pub(crate) use wasi::filesystem::preopens;
pub(crate) use wasi::filesystem::types as filesystem;

pub(crate) fn network() -> wasi::sockets::network::Network {
    wasi::sockets::instance_network::instance_network()
}

pub(crate) fn random() -> Vec<u8> {
    wasi::random::random::get_random_bytes(8)
}

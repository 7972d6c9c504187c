mod generated {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package syncmgr:host;
            world handler {
                include syncmgr:plugin/imports@0.1.0;
                export syncmgr:plugin/synchronize@0.1.0;
            }
        ",
        world: "syncmgr:host/handler",
        imports: {
            "syncmgr:plugin/synchronize-callback@0.1.0.question": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "syncmgr:plugin/directories@0.1.0.directory": crate::fs::directory::Directory,
            "syncmgr:plugin/directories@0.1.0.listing": crate::fs::directory::Listing,
            "syncmgr:plugin/directories@0.1.0.file": crate::fs::file::File,
            "syncmgr:plugin/directories@0.1.0.directory-lock": crate::fs::locks::DirectoryLock,
        },
        require_store_data_send: true,
    });
}

pub(crate) use generated::exports::syncmgr::plugin::synchronize as exports;
pub(crate) use generated::syncmgr::plugin::{directories, statistics, synchronize_callback, types};
pub(crate) use generated::{Handler, HandlerPre};

/// The WASI version that wasmtime links; imports of any 0.2 version resolve to it.
pub(crate) const WASI: &str = "0.2.12";

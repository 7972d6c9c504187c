wit_bindgen::generate!({
    path: "wit",
    inline: "
        package syncmgr:sdk;
        world sdk {
            include syncmgr:plugin/imports@0.1.0;
            // The linker takes what the standard library imports for this version of it.
            include wasi:cli/imports@0.2.12;
            export syncmgr:plugin/synchronize@0.1.0;
        }
    ",
    world: "syncmgr:sdk/sdk",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_synchronize",
    default_bindings_module: "syncmgr_plugin::bindings",
});

//! Clang compiles the sources and the generated bindings to a module, which is then converted to a
//! component.

use std::fs;
use std::path::PathBuf;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_bindgen_core::Files;
use wit_component::ComponentEncoder;
use wit_parser::Resolve;

use crate::project::Project;
use crate::project::error::ProjectError;
use crate::project::language::take;
use crate::project::tool::Tool;

const INSTALL: &str = "sudo apt install clang lld wasi-libc libclang-rt-dev-wasm32";

/// Returns the version of Clang.
pub(crate) fn tools(project: &Project) -> Vec<u8> {
    let version = Tool::new("clang", project.root(), INSTALL).args(["--version"]).output();
    // Without Clang, an existing component stays up to date.
    version.unwrap_or_default()
}

pub(crate) fn build(project: &Project, debug: bool) -> Result<Vec<u8>, ProjectError> {
    let root = project.root();
    generate_bindings(project)?;
    let module = project.build_folder().join("plugin.core.wasm");
    let mut clang = Tool::new("clang", root, INSTALL);
    clang.args(["--target=wasm32-wasi", "-mexec-model=reactor", "-std=c17", "-O2"]);
    clang.args(["-Wall", "-Wextra", "-Werror=implicit-function-declaration", "-Ibuild"]);
    // The stack is below the data, so that a stack overflow traps and does not overwrite data.
    clang.args(["-Wl,--stack-first", "-Wl,-z,stack-size=1048576"]);
    match debug {
        true => {
            // Paths relative to the project, so that the build is reproducible.
            let map = format!("-ffile-prefix-map={}=.", root.display());
            clang.arg("-gline-tables-only").arg(map)
        }
        false => clang.arg("-Wl,--strip-debug"),
    };
    clang.args(["build/plugin.c", "build/plugin_component_type.o"]).args(sources(project)?);
    clang.arg("-o").arg(&module).run()?;
    let module = take(&module)?;
    let failed = |error| ProjectError::Component {
        what: "convert the module to a component",
        message: format!("{error:#}"),
    };
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| {
            encoder.adapter(
                WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
            )
        })
        .and_then(|mut encoder| encoder.encode())
        .map_err(failed)
}

/// Returns the C files in `src`, by their paths relative to the project.
fn sources(project: &Project) -> Result<Vec<PathBuf>, ProjectError> {
    let folder = project.root().join("src");
    let entries = fs::read_dir(&folder).map_err(ProjectError::file("list", &folder))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let sources = paths.filter(|path| path.extension().is_some_and(|end| end == "c"));
    let mut sources: Vec<_> =
        sources.filter_map(|path| Some(PathBuf::from("src").join(path.file_name()?))).collect();
    sources.sort();
    Ok(sources)
}

fn generate_bindings(project: &Project) -> Result<(), ProjectError> {
    let failed = |message| ProjectError::Component {
        what: "generate bindings from the folder `wit`",
        message,
    };
    let mut resolve = Resolve::default();
    let generated = resolve
        .push_dir(project.root().join("wit"))
        .map_err(|error| failed(format!("{error:#}")))
        .and_then(|(package, _)| {
            let world = resolve
                .select_world(&[package], Some(project.manifest().world()))
                .map_err(|error| failed(format!("{error:#}")))?;
            let mut files = Files::default();
            // The names in C do not depend on the world.
            let options = wit_bindgen_c::Opts {
                rename_world: Some("plugin".to_owned()),
                ..wit_bindgen_c::Opts::default()
            };
            let mut generator = options.build();
            generator
                .generate(&mut resolve, world, &mut files)
                .map_err(|error| failed(format!("{error:#}")))?;
            Ok(files)
        })?;
    let folder = project.build_folder();
    for (name, content) in generated.iter() {
        let path = folder.join(name);
        // An unchanged file is not written, so that editors do not reload it.
        if fs::read(&path).is_ok_and(|before| before == content) {
            continue;
        }
        fs::write(&path, content).map_err(ProjectError::file("write", &path))?;
    }
    Ok(())
}

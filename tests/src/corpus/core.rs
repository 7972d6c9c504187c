//! Components from core modules in the text format: a conforming plugin for the canonical ABI, with
//! one replaced function.

use anyhow::Result;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The exports, each with its core type and its result in a conforming plugin: the address of a
/// prepared area in memory.
const EXPORTS: [(&str, &str, &str); 9] = [
    ("initialize", "(param i32 i32 i32 i32 i32) (result i32)", "i32.const 1024"),
    ("get-handler-info", "(result i32)", "i32.const 1056"),
    ("enum-items", "(result i32)", "i32.const 1088"),
    ("prepare-for-sync", "(param i32 i32) (result i32)", "i32.const 1024"),
    ("synchronize", "(result i32)", "call $succeed i32.const 1024"),
    ("set-item-status", "(param i32 i64 i64 i32) (result i32)", "i32.const 1024"),
    ("show-error", "(param i64 i64) (result i32)", "i32.const 1024"),
    ("get-properties", "(param i32 i64 i64) (result i32)", "i32.const 1024"),
    ("set-properties", "(param i32 i64 i64 i32 i32) (result i32)", "i32.const 1024"),
];

const INTERFACE: &str = "syncmgr:plugin/synchronize@0.1.0";

/// Reports success of the only item.
const SUCCEED: &str = "(func $succeed
    (drop (call $progress (i64.const 10) (i64.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 1) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))";

const PROGRESS: &str = r#"(import "syncmgr:plugin/synchronize-callback@0.1.0" "progress"
    (func $progress (param i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))"#;

/// Allocates memory from the second page on.
const REALLOC: &str = "(local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at)";

/// The data: at 1024 an empty success, at 1056 the info of a handler, and at 1088 a list of one
/// item, which is at 1152. The names are at 2048.
const DATA: &str = r#"
    (data (i32.const 1060) "\00\08\00\00\01\00\00\00")
    (data (i32.const 1092) "\80\04\00\00\01\00\00\00")
    (data (i32.const 1152) "\0a\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\08\00\00\01\00\00\00\00\01")
    (data (i32.const 2048) "a\ff\fe")
"#;

/// A builder for a core module.
#[derive(Clone, Debug)]
pub struct Core {
    imports: String,
    also: String,
    memory: String,
    realloc: String,
    bodies: Vec<(&'static str, String)>,
    posts: Vec<(&'static str, String)>,
}

impl Default for Core {
    fn default() -> Self {
        Self::new()
    }
}

impl Core {
    /// Creates a conforming plugin with one item.
    pub fn new() -> Self {
        Self {
            imports: String::new(),
            also: String::new(),
            memory: "(memory (export \"memory\") 4)".to_owned(),
            realloc: REALLOC.to_owned(),
            bodies: Vec::new(),
            posts: Vec::new(),
        }
    }

    /// Imports a function of an interface, as `$name` of this type.
    #[must_use]
    pub fn import(mut self, module: &str, function: &str, ty: &str) -> Self {
        self.imports.push_str(&format!("(import \"{module}\" \"{function}\" (func {ty}))\n"));
        self
    }

    /// Adds definitions to the module: functions, tables, a start function, custom sections.
    #[must_use]
    pub fn also(mut self, text: impl AsRef<str>) -> Self {
        self.also.push_str(text.as_ref());
        self.also.push('\n');
        self
    }

    /// Replaces the memory.
    #[must_use]
    pub fn memory(self, memory: &str) -> Self {
        Self { memory: memory.to_owned(), ..self }
    }

    /// Replaces the body of the allocator.
    #[must_use]
    pub fn realloc(self, body: &str) -> Self {
        Self { realloc: body.to_owned(), ..self }
    }

    /// Replaces the body of an export.
    #[must_use]
    pub fn body(mut self, export: &'static str, body: impl Into<String>) -> Self {
        self.bodies.push((export, body.into()));
        self
    }

    /// Adds code for the end of an export, after its return.
    #[must_use]
    pub fn post(mut self, export: &'static str, body: impl Into<String>) -> Self {
        self.posts.push((export, body.into()));
        self
    }

    fn text(&self) -> String {
        let mut text = format!(
            "(module {PROGRESS}\n{}\n{}\n(global $top (mut i32) (i32.const 65536))\n{DATA}\n\
             {SUCCEED}\n(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32)\n{})\n",
            self.imports, self.memory, self.realloc,
        );
        for (export, ty, good) in EXPORTS {
            let replaced = self.bodies.iter().find(|(name, _)| *name == export);
            let body = replaced.map_or(good, |(_, body)| body);
            text.push_str(&format!("(func (export \"{INTERFACE}#{export}\") {ty}\n{body})\n"));
        }
        for (export, body) in &self.posts {
            text.push_str(&format!(
                "(func (export \"cabi_post_{INTERFACE}#{export}\") (param i32)\n{body})\n"
            ));
        }
        text.push_str(&self.also);
        text.push(')');
        text
    }

    /// Builds the component.
    ///
    /// # Errors
    /// Returns an error if the text is not a module of the world.
    pub fn component(&self) -> Result<Vec<u8>> {
        let mut module = wat::parse_str(self.text())?;
        let mut resolve = Resolve::default();
        let (package, _sources) = resolve.push_dir(crate::workspace().join("wit"))?;
        let world = resolve.select_world(&[package], Some("plugin"))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        // The host must validate it itself.
        ComponentEncoder::default().validate(false).module(&module)?.encode()
    }
}

//! The reference of the contract, a Markdown page that is generated from the WIT.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the contract has only some of the kinds of types and functions"
)]

mod types;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use wit_component::WitPrinter;
use wit_parser::{
    Docs, Function, FunctionKind, InterfaceId, PackageId, Resolve, Stability, TypeDefKind, TypeId,
    WorldId, WorldKey,
};

/// The reference of the package in `wit_dir`, as Markdown. The same WIT gives the same text.
///
/// # Errors
/// The WIT does not parse.
pub fn reference(wit_dir: &Path) -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _sources) = resolve.push_dir(wit_dir)?;
    let mut page = Page { resolve: &resolve, package, text: String::new() };
    page.package()?;
    Ok(page.text)
}

struct Page<'a> {
    resolve: &'a Resolve,
    package: PackageId,
    text: String,
}

/// The declarations of an interface. The parser separates types and functions; they are merged
/// here, so that the page has the order of the source.
#[derive(Clone, Copy)]
enum Declared<'a> {
    Type(TypeId),
    Function(&'a Function),
}

impl<'a> Page<'a> {
    fn package(&mut self) -> Result<()> {
        let package = &self.resolve.packages[self.package];
        self.text.push_str(
            "Generated from the WIT files in this directory. Do not edit; update it with \
             `BLESS=1 cargo test --test host contract`.\n\n",
        );
        writeln!(self.text, "# `{}`\n", package.name)?;
        self.docs(&package.docs);

        self.text.push_str("\n| | |\n|---|---|\n");
        for (name, &id) in &package.worlds {
            let summary = summary(&self.resolve.worlds[id].docs);
            writeln!(self.text, "| world [`{name}`](#world-{name}) | {summary} |")?;
        }
        for (name, &id) in &package.interfaces {
            let summary = summary(&self.resolve.interfaces[id].docs);
            writeln!(self.text, "| interface [`{name}`](#{name}) | {summary} |")?;
        }

        for &id in package.worlds.values() {
            self.world(id)?;
        }
        for (name, &id) in &package.interfaces {
            self.interface(name, id)?;
        }
        Ok(())
    }

    fn world(&mut self, id: WorldId) -> Result<()> {
        let world = &self.resolve.worlds[id];
        self.heading(2, &format!("world-{}", world.name), "World", &world.name)?;
        self.docs(&world.docs);
        self.stability(&world.stability, None)?;
        for (title, items) in [("Imports", &world.imports), ("Exports", &world.exports)] {
            let mut lines = String::new();
            for key in items.keys() {
                match key {
                    WorldKey::Name(name) => writeln!(lines, "- `{name}`")?,
                    WorldKey::Interface(id) => {
                        let interface = &self.resolve.interfaces[*id];
                        let name = interface.name.as_deref().context("an unnamed interface")?;
                        if interface.package == Some(self.package) {
                            writeln!(lines, "- [`{name}`](#{name})")?;
                        }
                    }
                }
            }
            if !lines.is_empty() {
                write!(self.text, "\n{title}:\n\n{lines}")?;
            }
        }
        Ok(())
    }

    fn interface(&mut self, name: &str, id: InterfaceId) -> Result<()> {
        let interface = &self.resolve.interfaces[id];
        self.heading(2, name, "Interface", name)?;
        self.docs(&interface.docs);
        self.stability(&interface.stability, None)?;
        self.uses(id)?;

        let declared = self.declared(id);
        self.text.push_str("\n| | |\n|---|---|\n");
        for &item in &declared {
            let (kind, item_name, docs) = match item {
                Declared::Type(id) => {
                    let ty = &self.resolve.types[id];
                    (self.kind(id), self.type_name(id)?, &ty.docs)
                }
                Declared::Function(function) => ("function", function.item_name(), &function.docs),
            };
            let summary = summary(docs);
            writeln!(self.text, "| {kind} [`{item_name}`](#{name}.{item_name}) | {summary} |")?;
        }

        for item in declared {
            match item {
                Declared::Type(ty) => self.type_(name, id, ty, &interface.stability)?,
                Declared::Function(function) => {
                    let item_name = function.item_name();
                    self.heading(3, &format!("{name}.{item_name}"), "Function", item_name)?;
                    self.function(id, None, function, &interface.stability)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the declarations of the interface itself, in the order of the source.
    fn declared(&self, id: InterfaceId) -> Vec<Declared<'a>> {
        let interface = &self.resolve.interfaces[id];
        let types = interface.types.values().filter(|&&ty| self.used_from(ty).is_none());
        let functions = interface.functions.values().filter(|f| f.kind.resource().is_none());
        let mut declared: Vec<_> = types
            .map(|&ty| (self.resolve.types[ty].span, Declared::Type(ty)))
            .chain(functions.map(|function| (function.span, Declared::Function(function))))
            .collect();
        // An interface is in one file, so its spans have an order.
        declared.sort_by_key(|(span, _)| span.is_known().then(|| span.start()));
        declared.into_iter().map(|(_, item)| item).collect()
    }

    /// The types that the interface has by `use`, by the interface they come from.
    fn uses(&mut self, id: InterfaceId) -> Result<()> {
        let mut groups: Vec<(InterfaceId, Vec<String>)> = Vec::new();
        for &ty in self.resolve.interfaces[id].types.values() {
            let Some((origin, from)) = self.used_from(ty) else {
                continue;
            };
            let link = self.link(origin, &format!("`{}`", self.type_name(ty)?))?;
            match groups.iter_mut().find(|(group, _)| *group == from) {
                Some((_, links)) => links.push(link),
                None => groups.push((from, vec![link])),
            }
        }
        if groups.is_empty() {
            return Ok(());
        }
        self.text.push_str("\nUses:\n\n");
        for (from, links) in groups {
            let interface = &self.resolve.interfaces[from];
            let name = interface.name.as_deref().context("an interface without a name")?;
            let from = if interface.package == Some(self.package) {
                format!("[`{name}`](#{name})")
            } else {
                format!("`{}`", self.resolve.id_of(from).context("an interface without an id")?)
            };
            writeln!(self.text, "- {} of {from}", links.join(", "))?;
        }
        Ok(())
    }

    fn type_(
        &mut self,
        interface: &str,
        owner: InterfaceId,
        id: TypeId,
        outer: &Stability,
    ) -> Result<()> {
        let ty = &self.resolve.types[id];
        let name = self.type_name(id)?;
        let mut kind = self.kind(id).to_owned();
        kind[..1].make_ascii_uppercase();
        self.heading(3, &format!("{interface}.{name}"), &kind, name)?;
        if let Some(alias) = self.declaration(owner, None, &format!("type {name}"))? {
            write!(self.text, "```wit\n{alias}\n```\n\n")?;
        }
        self.docs(&ty.docs);
        self.stability(&ty.stability, Some(outer))?;
        match &ty.kind {
            TypeDefKind::Record(record) => {
                self.text.push_str("\n| field | type | meaning |\n|---|---|---|\n");
                for field in &record.fields {
                    let (name, ty) = (&field.name, self.linked_type(&field.ty)?);
                    writeln!(self.text, "| `{name}` | {ty} | {} |", cell(&field.docs))?;
                }
            }
            TypeDefKind::Variant(variant) => {
                self.text.push_str("\n| case | value | meaning |\n|---|---|---|\n");
                for case in &variant.cases {
                    let ty = match &case.ty {
                        Some(ty) => self.linked_type(ty)?,
                        None => String::new(),
                    };
                    writeln!(self.text, "| `{}` | {ty} | {} |", case.name, cell(&case.docs))?;
                }
            }
            TypeDefKind::Enum(enumeration) => {
                self.text.push_str("\n| case | meaning |\n|---|---|\n");
                for case in &enumeration.cases {
                    writeln!(self.text, "| `{}` | {} |", case.name, cell(&case.docs))?;
                }
            }
            TypeDefKind::Flags(flags) => {
                self.text.push_str("\n| flag | meaning |\n|---|---|\n");
                for flag in &flags.flags {
                    writeln!(self.text, "| `{}` | {} |", flag.name, cell(&flag.docs))?;
                }
            }
            TypeDefKind::Resource => self.methods(interface, owner, id, name)?,
            kind => self.types_line(&self.named_in_kind(kind))?,
        }
        Ok(())
    }

    fn methods(
        &mut self,
        interface: &str,
        owner: InterfaceId,
        id: TypeId,
        resource: &str,
    ) -> Result<()> {
        let stability = &self.resolve.types[id].stability;
        let functions = self.resolve.interfaces[owner].functions.values();
        for function in functions.filter(|function| function.kind.resource() == Some(id)) {
            let name = function.item_name();
            let kind = match function.kind {
                FunctionKind::Constructor(_) => "Constructor",
                FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => "Static function",
                _ => "Method",
            };
            let anchor = format!("{interface}.{resource}.{name}");
            self.heading(4, &anchor, kind, &format!("{resource}.{name}"))?;
            self.function(owner, Some(resource), function, stability)?;
        }
        Ok(())
    }

    fn function(
        &mut self,
        interface: InterfaceId,
        resource: Option<&str>,
        function: &Function,
        outer: &Stability,
    ) -> Result<()> {
        let declared = self.declaration(interface, resource, function.item_name())?;
        write!(self.text, "```wit\n{}\n```\n\n", declared.context("an undeclared function")?)?;
        self.docs(&function.docs);
        self.stability(&function.stability, Some(outer))?;
        let mut named = Vec::new();
        // A declaration omits the receiver.
        let is_method =
            matches!(function.kind, FunctionKind::Method(_) | FunctionKind::AsyncMethod(_));
        let params = function.params.iter().skip(usize::from(is_method));
        for ty in params.map(|param| &param.ty).chain(&function.result) {
            self.named_in(ty, &mut named);
        }
        self.types_line(&named)
    }

    /// Returns the line that declares a function, or a type that fits on a line, of an interface or
    /// of a resource in it.
    fn declaration(
        &self,
        interface: InterfaceId,
        resource: Option<&str>,
        name: &str,
    ) -> Result<Option<String>> {
        let mut printer = WitPrinter::default();
        printer.emit_docs(false).print_interface(self.resolve, interface)?;
        let text = printer.output.to_string();
        let (block, indent) = match resource {
            None => (text.as_str(), ""),
            Some(name) => {
                let start = format!("resource {name} {{");
                (text.split_once(&start).context("an undeclared resource")?.1, "  ")
            }
        };
        let mut lines = block.lines().filter_map(|line| line.strip_prefix(indent));
        // A `%` marks a name that is a keyword.
        let declares = |line: &&str| {
            let line = line.replace('%', "");
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '(', ' ']))
        };
        Ok(lines.find(declares).map(str::to_owned))
    }

    /// The anchor is explicit, because renderers give duplicate names no stable one.
    fn heading(&mut self, level: usize, anchor: &str, kind: &str, name: &str) -> Result<()> {
        let marks = "#".repeat(level);
        write!(self.text, "\n{marks} <a id=\"{anchor}\"></a>{kind} `{name}`\n\n")?;
        Ok(())
    }

    fn docs(&mut self, docs: &Docs) {
        if let Some(contents) = &docs.contents {
            self.text.push_str(contents.trim());
            self.text.push('\n');
        }
    }

    /// Writes the version only if it differs from that of the parent.
    fn stability(&mut self, stability: &Stability, outer: Option<&Stability>) -> Result<()> {
        if outer == Some(stability) {
            return Ok(());
        }
        let deprecated = match stability {
            Stability::Unknown => return Ok(()),
            Stability::Stable { since, deprecated } => {
                write!(self.text, "\nSince {since}.")?;
                deprecated
            }
            Stability::Unstable { feature, deprecated } => {
                write!(self.text, "\nUnstable, with the feature `{feature}`.")?;
                deprecated
            }
        };
        if let Some(version) = deprecated {
            write!(self.text, " Deprecated since {version}.")?;
        }
        self.text.push('\n');
        Ok(())
    }
}

/// Returns the first sentence, for a table.
fn summary(docs: &Docs) -> String {
    let text = cell(docs);
    let paragraph = text.split("<br>").next().unwrap_or_default();
    match paragraph.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => paragraph.to_owned(),
    }
}

/// Returns the whole text on one line, for a table.
fn cell(docs: &Docs) -> String {
    let mut text = String::new();
    for line in docs.contents.as_deref().unwrap_or_default().trim().lines() {
        let line = line.trim();
        if line.is_empty() {
            text.push_str("<br><br>");
            continue;
        }
        if !text.is_empty() && !text.ends_with("<br>") {
            text.push_str(if line.starts_with("- ") { "<br>" } else { " " });
        }
        text.push_str(line);
    }
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests;

//! The types in declarations, and links to them.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use wit_component::WitPrinter;
use wit_parser::{Handle, InterfaceId, Result_, Type, TypeDefKind, TypeId, TypeOwner};

use super::Page;

impl<'a> Page<'a> {
    /// Returns links to the types in a declaration, since a code block cannot contain links.
    pub(super) fn types_line(&mut self, named: &[TypeId]) -> Result<()> {
        let mut links = Vec::new();
        for &id in named {
            let link = self.link(id, &format!("`{}`", self.type_name(id)?))?;
            // Types of other packages are not on this page.
            if link.starts_with('[') {
                links.push(link);
            }
        }
        if !links.is_empty() {
            writeln!(self.text, "\nTypes: {}", links.join(", "))?;
        }
        Ok(())
    }

    /// Returns the type for a table, with a link if it names exactly one type of the package.
    pub(super) fn linked_type(&self, ty: &Type) -> Result<String> {
        let code = format!("`{}`", self.type_text(ty)?);
        let mut named = Vec::new();
        self.named_in(ty, &mut named);
        match named[..] {
            [] => Ok(code),
            [only] => self.link(only, &code),
            [..] => {
                let mut links = Vec::new();
                for id in named {
                    links.push(self.link(id, &format!("`{}`", self.type_name(id)?))?);
                }
                Ok(format!("{code} ({})", links.join(", ")))
            }
        }
    }

    /// Returns `code` with a link to the declaration of the type if that is on this page.
    pub(super) fn link(&self, id: TypeId, code: &str) -> Result<String> {
        let origin = self.used_from(id).map_or(id, |(origin, _)| origin);
        let ty = &self.resolve.types[origin];
        let TypeOwner::Interface(owner) = ty.owner else {
            return Ok(code.to_owned());
        };
        let interface = &self.resolve.interfaces[owner];
        let name = interface.name.as_deref().context("an interface without a name")?;
        if interface.package != Some(self.package) {
            return Ok(code.to_owned());
        }
        Ok(format!("[{code}](#{name}.{})", self.type_name(origin)?))
    }

    /// Returns the origin of a type that is here by `use`; `None` if it is declared here.
    pub(super) fn used_from(&self, id: TypeId) -> Option<(TypeId, InterfaceId)> {
        let ty = &self.resolve.types[id];
        let TypeDefKind::Type(Type::Id(other)) = ty.kind else {
            return None;
        };
        match self.resolve.types[other].owner {
            TypeOwner::Interface(owner) if ty.owner != TypeOwner::Interface(owner) => {
                Some(self.used_from(other).unwrap_or((other, owner)))
            }
            TypeOwner::Interface(_) | TypeOwner::World(_) | TypeOwner::None => None,
        }
    }

    pub(super) fn kind(&self, id: TypeId) -> &'static str {
        match self.resolve.types[id].kind {
            TypeDefKind::Record(_) => "record",
            TypeDefKind::Resource => "resource",
            TypeDefKind::Flags(_) => "flags",
            TypeDefKind::Variant(_) => "variant",
            TypeDefKind::Enum(_) => "enum",
            _ => "type",
        }
    }

    pub(super) fn type_name(&self, id: TypeId) -> Result<&'a str> {
        self.resolve.types[id].name.as_deref().context("a type without a name")
    }

    fn type_text(&self, ty: &Type) -> Result<String> {
        let mut printer = WitPrinter::default();
        printer.print_type_name(self.resolve, ty)?;
        Ok(printer.output.to_string())
    }

    /// Returns the named types in a type expression, each once, in order.
    pub(super) fn named_in(&self, ty: &Type, named: &mut Vec<TypeId>) {
        let Type::Id(id) = ty else { return };
        if self.resolve.types[*id].name.is_none() {
            for inner in self.named_in_kind(&self.resolve.types[*id].kind) {
                if !named.contains(&inner) {
                    named.push(inner);
                }
            }
        } else if !named.contains(id) {
            named.push(*id);
        }
    }

    pub(super) fn named_in_kind(&self, kind: &TypeDefKind) -> Vec<TypeId> {
        let mut named = Vec::new();
        let parts: Vec<Type> = match kind {
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => vec![Type::Id(*id)],
            TypeDefKind::Tuple(tuple) => tuple.types.clone(),
            TypeDefKind::Option(ty)
            | TypeDefKind::List(ty)
            | TypeDefKind::FixedLengthList(ty, _)
            | TypeDefKind::Type(ty) => vec![*ty],
            TypeDefKind::Map(key, value) => vec![*key, *value],
            TypeDefKind::Result(Result_ { ok, err }) => ok.iter().chain(err).copied().collect(),
            TypeDefKind::Future(ty) | TypeDefKind::Stream(ty) => ty.iter().copied().collect(),
            _ => Vec::new(),
        };
        for ty in parts {
            self.named_in(&ty, &mut named);
        }
        named
    }
}

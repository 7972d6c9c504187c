//! Conversion of the properties of a handler or an item.

use std::collections::HashSet;

use super::{LABEL_BYTES, Refusal, TEXT_BYTES, cut, index, seen};
use crate::bindings::exports;
use crate::redact::Secrets;
use crate::types::{PropertiesOutcome, Property, PropertyField, PropertyValue};

const MAX_PROPERTIES: usize = 256;
const MAX_OPTIONS: usize = 256;

pub(crate) fn properties(
    properties: Vec<exports::Property>,
    secrets: &Secrets,
) -> Result<Vec<Property>, Refusal> {
    if properties.len() > MAX_PROPERTIES {
        return Err(format!("there are at most {MAX_PROPERTIES} properties"));
    }
    let mut seen = HashSet::new();
    properties
        .into_iter()
        .map(|one| {
            let property = property(one, secrets)?;
            match seen.insert(property.name.clone()) {
                true => Ok(property),
                false => Err(format!("duplicate property {}", property.name)),
            }
        })
        .collect()
}

fn property(property: exports::Property, secrets: &Secrets) -> Result<Property, Refusal> {
    let name = secrets.redact(property.name);
    let nameable = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !nameable {
        return Err(format!("{:?} cannot be the name of a property", cut(name, 64)));
    }
    let field = match property.field {
        exports::PropertyField::Boolean(value) => PropertyField::Boolean(value),
        exports::PropertyField::Integer(value) => PropertyField::Integer(value),
        exports::PropertyField::Text(value) => {
            PropertyField::Text(seen(value, TEXT_BYTES, secrets))
        }
        exports::PropertyField::Choice(choice) => {
            let count = choice.options.len();
            if !(1..=MAX_OPTIONS).contains(&count) {
                return Err(format!("the property {name} has {count} options"));
            }
            let Some(selected) = index(choice.selected, count) else {
                return Err(format!("the property {name} selects none of its options"));
            };
            let options =
                choice.options.into_iter().map(|text| seen(text, LABEL_BYTES, secrets)).collect();
            PropertyField::Choice { options, selected }
        }
    };
    Ok(Property {
        name,
        label: seen(property.label, LABEL_BYTES, secrets),
        description: property.description.map(|text| seen(text, TEXT_BYTES, secrets)),
        field,
        read_only: property.read_only,
    })
}

pub(crate) fn property_change(name: &str, value: &PropertyValue) -> exports::PropertyChange {
    let value = match value {
        PropertyValue::Boolean(value) => exports::PropertyValue::Boolean(*value),
        PropertyValue::Integer(value) => exports::PropertyValue::Integer(*value),
        PropertyValue::Text(value) => exports::PropertyValue::Text(value.clone()),
        PropertyValue::Choice(value) => exports::PropertyValue::Choice(*value),
    };
    exports::PropertyChange { name: name.to_owned(), value }
}

pub(crate) const fn properties_outcome(outcome: exports::PropertiesOutcome) -> PropertiesOutcome {
    match outcome {
        exports::PropertiesOutcome::Applied => PropertiesOutcome::Applied,
        exports::PropertiesOutcome::ItemDeleted => PropertiesOutcome::ItemDeleted,
        exports::PropertiesOutcome::EnumItems => PropertiesOutcome::EnumItems,
    }
}

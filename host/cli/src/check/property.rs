use serde::{Deserialize, Serialize};
use syncmgr_host::{Property, PropertyField, PropertyValue};

/// A property as JSON. Names are those of the WIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PropertyData {
    name: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    field: FieldData,
    read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum FieldData {
    Boolean(bool),
    Integer(i64),
    Text(String),
    Choice { options: Vec<String>, selected: usize },
}

impl From<Property> for PropertyData {
    fn from(property: Property) -> Self {
        let Property { name, label, description, field, read_only } = property;
        let field = match field {
            PropertyField::Boolean(value) => FieldData::Boolean(value),
            PropertyField::Integer(value) => FieldData::Integer(value),
            PropertyField::Text(value) => FieldData::Text(value),
            PropertyField::Choice { options, selected } => FieldData::Choice { options, selected },
        };
        Self { name, label, description, field, read_only }
    }
}

/// A change of a property.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ChangeData {
    pub(crate) name: String,
    pub(crate) value: ValueData,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValueData {
    Boolean(bool),
    Integer(i64),
    Text(String),
    Choice(u32),
}

impl From<ValueData> for PropertyValue {
    fn from(value: ValueData) -> Self {
        match value {
            ValueData::Boolean(value) => Self::Boolean(value),
            ValueData::Integer(value) => Self::Integer(value),
            ValueData::Text(value) => Self::Text(value),
            ValueData::Choice(value) => Self::Choice(value),
        }
    }
}

/// Returns the current value of a property.
pub(crate) fn current(property: &Property) -> PropertyValue {
    match &property.field {
        PropertyField::Boolean(value) => PropertyValue::Boolean(*value),
        PropertyField::Integer(value) => PropertyValue::Integer(*value),
        PropertyField::Text(value) => PropertyValue::Text(value.clone()),
        PropertyField::Choice { selected, .. } => {
            PropertyValue::Choice(u32::try_from(*selected).unwrap_or(u32::MAX))
        }
    }
}

//! Queries with only the conditions that apply.

use rusqlite::{Connection, Statement, ToSql};

/// A condition, and its parameter. Conditions that do not apply are left out of a query, so that an
/// index serves the others.
pub(super) struct Condition<'a> {
    applies: bool,
    text: String,
    parameter: Option<(&'static str, &'a dyn ToSql)>,
}

impl<'a> Condition<'a> {
    pub(super) fn new(name: &'static str, value: &'a Option<impl ToSql>, text: &str) -> Self {
        let parameter = value.as_ref().map(|value| (name, value as &dyn ToSql));
        Self { applies: value.is_some(), text: text.to_owned(), parameter }
    }

    pub(super) fn flag(applies: bool, text: &str) -> Self {
        Self { applies, text: text.to_owned(), parameter: None }
    }

    /// Returns the text of a `WHERE` clause and its parameters.
    pub(super) fn join(conditions: Vec<Self>) -> (String, Vec<(&'static str, &'a dyn ToSql)>) {
        let conditions = conditions.into_iter().filter(|condition| condition.applies);
        let (mut text, mut parameters) = ("WHERE TRUE".to_owned(), Vec::new());
        for condition in conditions {
            text.push_str(" AND ");
            text.push_str(&condition.text);
            parameters.extend(condition.parameter);
        }
        (text, parameters)
    }
}

/// Prepares a query. Tests look at the plan of each.
pub(super) fn prepare<'a>(
    connection: &'a Connection,
    query: &str,
) -> rusqlite::Result<Statement<'a>> {
    #[cfg(test)]
    super::plans::note(connection, query)?;
    connection.prepare(query)
}

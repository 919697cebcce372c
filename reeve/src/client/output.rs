//! Printing answers: tables for people, protobuf JSON for programs.

use std::io::Write;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use comfy_table::{Cell, Table, presets};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value as Json;

/// How to print answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// One JSON object, as protobuf writes JSON.
    Json,
}

/// Every contract, for JSON by name.
pub static CONTRACTS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(reeve_contracts::FILE_DESCRIPTOR_SET)
        .expect("the descriptor set was made together with this program")
});

/// A message as protobuf's JSON: fields in camelCase, enum values by name.
pub fn json<M: Message + Name>(message: &M) -> Result<Json> {
    let descriptor = CONTRACTS
        .get_message_by_name(&M::full_name())
        .with_context(|| format!("{} is in no contract", M::full_name()))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let options = SerializeOptions::new().skip_default_fields(false);
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// A column of a table: its head and the path of its field in the JSON, dots between.
pub type Column = (&'static str, &'static str);

/// Prints a message as JSON, or the list at `rows` (the message itself when empty) as a table.
pub fn print<M: Message + Name>(
    out: &mut impl Write,
    format: Format,
    message: &M,
    rows: &str,
    columns: &[Column],
) -> Result<()> {
    let json = json(message)?;
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&json)?)?;
        return Ok(());
    }
    let rows = match (rows, field(&json, rows)) {
        ("", _) => vec![&json],
        (_, Some(Json::Array(rows))) => rows.iter().collect(),
        (_, Some(row)) => vec![row],
        (_, None) => Vec::new(),
    };
    writeln!(out, "{}", table(&rows, columns))?;
    if let Some(Json::String(token)) = json.get("nextPageToken")
        && !token.is_empty()
    {
        writeln!(out, "more: --page-token {token}")?;
    }
    Ok(())
}

/// Rows under heads, aligned, without frames that hinder copying.
pub fn table(rows: &[&Json], columns: &[Column]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(columns.iter().map(|(head, _)| *head));
    for row in rows {
        table.add_row(
            columns
                .iter()
                .map(|(_, path)| Cell::new(text(field(row, path)))),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn field<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(json, |json, key| json.get(key))
}

fn text(json: Option<&Json>) -> String {
    match json {
        None | Some(Json::Null) => "-".to_owned(),
        Some(Json::String(text)) => plain(text),
        Some(Json::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| text(Some(name_of(item)))).collect();
            items.join(",")
        }
        // Money reads as people write it.
        Some(Json::Object(map)) if map.contains_key("currencyCode") => {
            format!(
                "{} {}",
                text(map.get("amount")),
                text(map.get("currencyCode"))
            )
        }
        Some(other) => other.to_string(),
    }
}

fn name_of(item: &Json) -> &Json {
    item.get("name").unwrap_or(item)
}

/// Enum values lose the prefix that protobuf's naming asks for; empty texts show as a dash.
fn plain(text: &str) -> String {
    const PREFIXES: [&str; 14] = [
        "AGENT_STATE_",
        "AGENT_AVAILABILITY_",
        "TASK_STATE_",
        "PENDING_REASON_",
        "TASK_PRIORITY_",
        "EXECUTION_STATE_",
        "EXECUTION_PHASE_",
        "STEP_STATE_",
        "APPROVAL_STATE_",
        "INVOICE_STATUS_",
        "PAYMENT_STATUS_",
        "INCIDENT_STATUS_",
        "INCIDENT_SEVERITY_",
        "API_KEY_STATE_",
    ];
    if text.is_empty() {
        return "-".to_owned();
    }
    let stripped = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
    match stripped {
        Some("UNSPECIFIED") => "-".to_owned(),
        stripped => stripped.unwrap_or(text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_contracts::r#type::v1::Money;

    #[test]
    fn a_message_prints_as_protobuf_json() {
        let money = Money {
            amount: "1.20".into(),
            currency_code: "EUR".into(),
        };
        let json = json(&money).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"amount": "1.20", "currencyCode": "EUR"})
        );
    }

    #[test]
    fn a_table_reads_as_people_write() {
        let row = serde_json::json!({
            "state": "TASK_STATE_PENDING", "cost": {"amount": "1.20", "currencyCode": "EUR"},
            "capabilities": [{"name": "lint"}, {"name": "test"}], "agent": "",
        });
        let columns = [
            ("STATE", "state"),
            ("COST", "cost"),
            ("CAN", "capabilities"),
            ("BY", "agent"),
            ("AT", "time"),
        ];
        let printed = table(&[&row], &columns).to_string();
        let cells: Vec<_> = printed.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(cells, ["PENDING", "1.20", "EUR", "lint,test", "-", "-"]);
    }
}

//! Printing answers: tables for people, protobuf JSON for programs.

use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use comfy_table::{Cell, Table, presets};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value as Json;

use super::text::{visible, visible_json};

/// How to print answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// JSON as protobuf writes it: one object; for what is followed, one object in each line.
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
        return print_json(out, &json);
    }
    writeln!(out, "{}", table(&rows_at(&json, rows), columns).trim_fmt())?;
    if let Some(Json::String(token)) = json.get("nextPageToken")
        && !token.is_empty()
    {
        // For people alone: it is no row.
        writeln!(std::io::stderr(), "more: --page-token {}", visible(token))?;
    }
    Ok(())
}

/// Prints JSON over several lines.
pub fn print_json(out: &mut impl Write, json: &Json) -> Result<()> {
    let text = serde_json::to_string_pretty(json)?;
    Ok(writeln!(out, "{}", visible_json(&text))?)
}

fn rows_at<'a>(json: &'a Json, rows: &str) -> Vec<&'a Json> {
    match (rows, field(json, rows)) {
        ("", _) => vec![json],
        (_, Some(Json::Array(rows))) => rows.iter().collect(),
        (_, None | Some(Json::Null)) => Vec::new(),
        (_, Some(row)) => vec![row],
    }
}

/// Prints what is followed: the heads once, then a row for each change, or JSON, one object a line.
pub struct Rows<'a> {
    format: Format,
    columns: &'a [Column],
    widths: Vec<usize>,
}

impl<'a> Rows<'a> {
    /// Nothing printed yet.
    pub fn new(format: Format, columns: &'a [Column]) -> Self {
        let widths = Vec::new();
        Self {
            format,
            columns,
            widths,
        }
    }

    /// Prints the rows of a message; nothing for one without rows, such as a bookmark.
    pub fn print<M: Message + Name>(
        &mut self,
        out: &mut impl Write,
        message: &M,
        rows: &str,
    ) -> Result<()> {
        let json = json(message)?;
        let rows = rows_at(&json, rows);
        if rows.is_empty() {
            return Ok(());
        }
        if self.format == Format::Json {
            return Ok(writeln!(out, "{}", visible_json(&json.to_string()))?);
        }
        let cells: Vec<Vec<_>> = rows.iter().map(|row| self.cells(row)).collect();
        let is_first = self.widths.is_empty();
        let heads = self.columns.iter().map(|(head, _)| (*head).to_owned());
        let heads: Vec<_> = heads.collect();
        self.widths.resize(self.columns.len(), 0);
        for line in cells.iter().chain(is_first.then_some(&heads)) {
            for (width, cell) in self.widths.iter_mut().zip(line) {
                // A column never becomes narrower, so that lines stay aligned.
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in is_first.then_some(&heads).into_iter().chain(&cells) {
            let padded = line.iter().zip(&self.widths);
            let padded = padded.map(|(cell, width)| format!("{cell:width$}"));
            let padded: Vec<_> = padded.collect();
            writeln!(out, "{}", padded.join("  ").trim_end())?;
        }
        Ok(())
    }

    fn cells(&self, row: &Json) -> Vec<String> {
        let cells = self.columns.iter();
        cells.map(|(_, path)| text(field(row, path))).collect()
    }
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
        Some(Json::Array(items)) if items.is_empty() => "-".to_owned(),
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
        Some(other) => visible_json(&other.to_string()),
    }
}

fn name_of(item: &Json) -> &Json {
    item.get("name").unwrap_or(item)
}

/// What people call each value of each enum: its name without the prefix that protobuf's naming
/// asks for.
static SHORT: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut short = HashMap::new();
    for kind in CONTRACTS.all_enums() {
        let names: Vec<_> = kind.values().map(|value| value.name().to_owned()).collect();
        let unset = names
            .iter()
            .find_map(|name| name.strip_suffix("UNSPECIFIED"));
        let Some(prefix) = unset.map(str::to_owned) else {
            continue;
        };
        for name in names {
            let rest = name.strip_prefix(&prefix).unwrap_or(&name);
            let rest = if rest == "UNSPECIFIED" { "-" } else { rest };
            short.insert(name.clone(), rest.to_owned());
        }
    }
    short
});

/// What people call an enum's value; any other text as it is.
pub fn short(text: &str) -> &str {
    SHORT.get(text).map_or(text, String::as_str)
}

/// A text as a cell; an empty one shows as a dash.
fn plain(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    visible(short(text))
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
            "capabilities": [{"name": "lint"}, {"name": "test"}], "agent": "", "labels": [],
        });
        let columns = [
            ("STATE", "state"),
            ("COST", "cost"),
            ("CAN", "capabilities"),
            ("BY", "agent"),
            ("AT", "time"),
            ("LABELS", "labels"),
        ];
        let printed = table(&[&row], &columns).to_string();
        let cells: Vec<_> = printed.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            cells,
            ["PENDING", "1.20", "EUR", "lint,test", "-", "-", "-"]
        );
    }

    #[test]
    fn a_cell_is_one_line_and_tells_the_terminal_nothing() {
        let row = serde_json::json!({"title": "\u{1b}[2Ka\nb", "unset": "TASK_STATE_UNSPECIFIED"});
        let columns = [("TITLE", "title"), ("STATE", "unset")];
        let printed = table(&[&row], &columns).to_string();
        assert_eq!(printed.lines().count(), 2, "{printed}");
        assert!(printed.contains(r"\u{1b}[2Ka\nb"), "{printed}");
        assert!(!printed.contains('\u{1b}'));
    }

    #[test]
    fn what_is_followed_has_its_heads_once() {
        use reeve_contracts::task::v1::{Task, WatchTasksResponse};
        let change = |id: &str| WatchTasksResponse {
            task: (!id.is_empty()).then(|| Task {
                id: id.to_owned(),
                ..Task::default()
            }),
            ..WatchTasksResponse::default()
        };
        let columns = [("ID", "id"), ("STATE", "state")];
        let mut rows = Rows::new(Format::Table, &columns);
        let mut printed = Vec::new();
        for id in ["a", "", "longer", "b"] {
            rows.print(&mut printed, &change(id), "task").unwrap();
        }
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed, "ID  STATE\na   -\nlonger  -\nb       -\n");

        let mut rows = Rows::new(Format::Json, &columns);
        let mut printed = Vec::new();
        rows.print(&mut printed, &change("a"), "task").unwrap();
        rows.print(&mut printed, &change("b"), "task").unwrap();
        assert_eq!(String::from_utf8(printed).unwrap().lines().count(), 2);
    }
}

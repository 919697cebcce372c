//! Reading fields. Every violation of a request is collected before the first is reported.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::{Duration, Struct, Timestamp};
use reeve_contracts::r#type::v1 as types;
use reeve_money::{Cost, Currency, Decimal, Money, parse_decimal};
use reeve_postgres::page;
use reeve_status::{Fault, Violations};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::domain::GREATEST;
use crate::operations::read::Page;

/// How far ahead a client's clock may be.
const AHEAD: TimeDelta = TimeDelta::minutes(5);
/// The greatest free-form map, as JSON.
const MOST_JSON: usize = 16 * 1024;

/// A text of some characters.
pub fn text(v: &mut Violations, field: &str, value: &str, (least, most): (usize, usize)) -> String {
    let characters = value.chars().count();
    if least == 0 {
        v.check(
            characters <= most,
            field,
            format!("must have at most {most} characters"),
        );
    } else {
        v.check(
            (least..=most).contains(&characters),
            field,
            format!("must have {least} to {most} characters"),
        );
    }
    v.check(
        !value
            .chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t'),
        field,
        "must have no control characters but line feeds and tabs",
    );
    value.to_owned()
}

/// A request id that may be left out.
pub fn request_id(v: &mut Violations, value: &str) {
    text(v, "request_id", value, (0, 128));
}

/// A request id that must be there.
pub fn needed_request_id(v: &mut Violations, value: &str) {
    text(v, "request_id", value, (1, 128));
}

/// An id that must be there.
pub fn id<T: FromStr>(v: &mut Violations, field: &str, value: &str) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    v.take(field, value.parse())
}

/// An id that may be left out.
pub fn optional_id<T: FromStr>(v: &mut Violations, field: &str, value: &str) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    if value.is_empty() {
        None
    } else {
        id(v, field, value)
    }
}

/// A currency in use.
pub fn currency(v: &mut Violations, field: &str, code: &str) -> Option<Currency> {
    v.take(field, code.parse())
}

/// A resource's name.
pub fn resource_name(v: &mut Violations, field: &str, name: &str) -> String {
    let letters = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    v.check(
        letters && begins && name.len() <= 63,
        field,
        "must match [a-z][a-z0-9_]{0,62}",
    );
    name.to_owned()
}

/// A plain decimal that is neither negative nor too great to be true.
pub fn amount(v: &mut Violations, field: &str, value: &str) -> Option<Decimal> {
    let amount = v.take(field, parse_decimal(value))?;
    within_reason(v, field, amount);
    Some(amount)
}

fn within_reason(v: &mut Violations, field: &str, amount: Decimal) {
    let right = (Decimal::ZERO..=Decimal::from(GREATEST)).contains(&amount);
    v.check(right, field, format!("must be from 0 to {GREATEST}"));
}

/// A plain decimal within bounds and with at most some places; nothing said is zero.
pub fn bounded(
    v: &mut Violations,
    field: &str,
    value: &str,
    most: i64,
    places: u32,
) -> Option<Decimal> {
    if value.is_empty() {
        return Some(Decimal::ZERO);
    }
    let amount = amount(v, field, value)?;
    let right = amount <= Decimal::from(most) && amount.normalize().scale() <= places;
    v.check(
        right,
        field,
        format!("must be at most {most}, with at most {places} decimals"),
    );
    Some(amount)
}

/// An amount with at most ten decimals that is neither negative nor too great to be true.
pub fn cost(v: &mut Violations, field: &str, money: Option<&types::Money>) -> Option<Cost> {
    let (amount, currency) = money_parts(v, field, money)?;
    let cost = v.take(format!("{field}.amount"), Cost::parse(&amount, currency))?;
    within_reason(v, &format!("{field}.amount"), cost.decimal());
    Some(cost)
}

/// An amount with at most the currency's minor digits that is not negative.
pub fn money(v: &mut Violations, field: &str, money: Option<&types::Money>) -> Option<Money> {
    let (amount, currency) = money_parts(v, field, money)?;
    let money = v.take(format!("{field}.amount"), Money::parse(&amount, currency))?;
    v.check(
        money.minor() >= 0,
        format!("{field}.amount"),
        "must not be negative",
    );
    Some(money)
}

fn money_parts(
    v: &mut Violations,
    field: &str,
    money: Option<&types::Money>,
) -> Option<(String, Currency)> {
    let Some(money) = money else {
        v.add(field, "is required");
        return None;
    };
    let currency = currency(v, &format!("{field}.currency_code"), &money.currency_code);
    if currency.is_none() {
        // The amount is read all the same, for its own violation.
        v.take(format!("{field}.amount"), parse_decimal(&money.amount));
    }
    Some((money.amount.clone(), currency?))
}

/// A moment that may be left out.
pub fn time(v: &mut Violations, field: &str, value: Option<&Timestamp>) -> Option<DateTime<Utc>> {
    let value = value?;
    let time = reeve_wellknown::datetime(value);
    // PostgreSQL and RFC 3339 both end before the year 10000.
    let end = DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let time = time.filter(|time| (DateTime::UNIX_EPOCH..=end).contains(time));
    if time.is_none() {
        v.add(field, "must be a time from 1970 to 9999");
    }
    time.map(reeve_clock::to_microseconds)
}

/// A moment that has passed, or nearly.
pub fn past_time(
    v: &mut Violations,
    field: &str,
    value: Option<&Timestamp>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let time = time(v, field, value)?;
    v.check(
        time <= now + AHEAD,
        field,
        "must not be more than 5 minutes ahead",
    );
    Some(time)
}

/// A span of time.
pub fn span(
    v: &mut Violations,
    field: &str,
    value: &Duration,
    (least, most): (TimeDelta, TimeDelta),
) -> Option<TimeDelta> {
    let span = reeve_wellknown::timedelta(value).filter(|span| (least..=most).contains(span));
    if span.is_none() {
        let (least, most) = (least.num_seconds(), most.num_seconds());
        v.add(field, format!("must be from {least}s to {most}s"));
    }
    span
}

/// A free-form map.
pub fn json(v: &mut Violations, field: &str, value: Option<Struct>) -> Json {
    let json = value.map_or_else(
        || Json::Object(serde_json::Map::new()),
        reeve_wellknown::json_from_struct,
    );
    v.check(
        json.to_string().len() <= MOST_JSON,
        field,
        "must have at most 16 KiB as JSON",
    );
    v.check(
        !json.to_string().contains("\\u0000"),
        field,
        "must hold no NUL characters",
    );
    json
}

/// The word of an enum's value in the database: the name without its prefix.
pub fn word(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// A filter by an enum, as a word; empty for its zero.
pub fn filter_word(
    v: &mut Violations,
    field: &str,
    name: Result<&'static str, prost::UnknownEnumValue>,
    prefix: &str,
) -> &'static str {
    let name = v.take(
        field,
        name.map_err(|_| "must be one of the values of the enum"),
    );
    match name.map(|name| word(name, prefix)) {
        None | Some("UNSPECIFIED") => "",
        Some(word) => word,
    }
}

/// A value of an enum that must be there, by the word of the domain.
pub fn needed_word<T>(
    v: &mut Violations,
    field: &str,
    name: Result<&'static str, prost::UnknownEnumValue>,
    prefix: &str,
    parse: fn(&str) -> Option<T>,
) -> Option<T> {
    let value = name.ok().and_then(|name| parse(word(name, prefix)));
    if value.is_none() {
        v.add(
            field,
            "must be one of the values of the enum, other than its zero",
        );
    }
    value
}

/// A page: the key of its token, and one row more than it holds.
pub fn page<Key: DeserializeOwned>(
    size: i32,
    token: &str,
    filter: &impl Serialize,
) -> Result<(Page<Key>, i64), Fault> {
    let size = page::size(size)?;
    let after = page::decode(token, filter)?;
    Ok((
        Page {
            after,
            limit: size + 1,
        },
        size,
    ))
}

/// The version that an etag names; nothing for an empty one.
pub fn etag(v: &mut Violations, etag: &str) -> Option<i64> {
    if etag.is_empty() {
        return None;
    }
    let version = etag
        .strip_prefix('v')
        .and_then(|number| number.parse().ok());
    if version.is_none() {
        v.add("etag", "must be the etag of what was read, or empty");
    }
    version
}

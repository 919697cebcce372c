//! When a cron line is due, by the clock of a time zone.
//!
//! croner searches; what it is asked is checked here before, since it would search for minutes for a
//! line with an empty field, and reads some words that nobody means.

use std::fmt;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, CronPattern, Weekday};

/// Days ahead among which one must be due.
const DAYS: i64 = 50 * 366;
/// The longest line, in bytes.
const LONGEST: usize = 256;

const NICKNAMES: [&str; 6] = [
    "@YEARLY",
    "@ANNUALLY",
    "@MONTHLY",
    "@WEEKLY",
    "@DAILY",
    "@HOURLY",
];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Why a line or a zone is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A cron line that was read.
#[derive(Debug, Clone)]
pub struct CronLine {
    cron: Cron,
    has_seconds: bool,
}

/// The zone of that name.
///
/// # Errors
/// When the database of zones has none.
pub fn zone(name: &str) -> Result<Tz, Unreadable> {
    let unknown = |_| "must be the name of a time zone of the IANA database, like Europe/Berlin";
    name.parse()
        .map_err(|error| Unreadable(unknown(error).to_owned()))
}

impl CronLine {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &str) -> Result<Self, Unreadable> {
        let upper = line.trim().to_ascii_uppercase();
        let fields: Vec<_> = upper.split_ascii_whitespace().collect();
        check(&upper, &fields)?;
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(&upper)
            .map_err(|error| Unreadable(format!("is not a cron line: {error}")))?;
        // What has no value in one of these is searched for second by second, for ever.
        let CronPattern {
            seconds,
            minutes,
            hours,
            months,
            ..
        } = &cron.pattern;
        let fields_of_values = [seconds, minutes, hours, months];
        if fields_of_values.iter().any(|one| one.values().is_empty()) {
            return Err(Unreadable("is not a cron line: a field is empty".into()));
        }
        let has_seconds = fields.len() == 6;
        Ok(Self { cron, has_seconds })
    }

    /// Whether it names seconds.
    pub fn has_seconds(&self) -> bool {
        self.has_seconds
    }

    /// Whether one of the days in the 50 years after a time is due.
    pub fn ever_fires(&self, after: DateTime<Utc>) -> bool {
        let first = after.date_naive() - TimeDelta::days(1);
        let days = first.iter_days().take(usize::try_from(DAYS).unwrap_or(0));
        days.into_iter().any(|day| {
            let weekday = Weekday::from_days_from_sunday(day.weekday().num_days_from_sunday());
            names_day(&self.cron.pattern, day, weekday)
        })
    }

    /// The first due time after a time; none when it never fires again.
    pub fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // croner goes on from the second in which a time lies, which may be due itself.
        let found = self
            .cron
            .find_next_occurrence(&after.with_timezone(&zone), false);
        let found = found.ok()?.with_timezone(&Utc);
        let whole = found - TimeDelta::nanoseconds(i64::from(found.timestamp_subsec_nanos()));
        (whole > after).then_some(whole)
    }

    /// The last due time at or before a time; none when there was none.
    pub fn last(&self, zone: Tz, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = until.with_timezone(&zone);
        let found = self.cron.find_previous_occurrence(&until, true);
        let found = found.ok()?.with_timezone(&Utc);
        Some(found - TimeDelta::nanoseconds(i64::from(found.timestamp_subsec_nanos())))
    }
}

fn names_day(pattern: &CronPattern, day: chrono::NaiveDate, weekday: Weekday) -> bool {
    let in_month = pattern.month_match(day.month()).unwrap_or(false);
    in_month
        && pattern
            .day_match(day.year(), day.month(), day.day(), weekday)
            .unwrap_or(false)
}

/// Refuses what croner would read otherwise than it is meant, or never finish with.
fn check(line: &str, fields: &[&str]) -> Result<(), Unreadable> {
    let wrong = |why: &str| Err(Unreadable(format!("is not a cron line: {why}")));
    if line.len() > LONGEST {
        return wrong("it has more than 256 characters");
    }
    if line.starts_with('@') {
        return if NICKNAMES.contains(&line) {
            Ok(())
        } else {
            wrong("it is none of @yearly, @annually, @monthly, @weekly, @daily and @hourly")
        };
    }
    let skipped = match fields.len() {
        5 => 1,
        6 => 0,
        _ => return wrong("it must have five fields, or six with seconds"),
    };
    for (at, field) in fields.iter().enumerate() {
        let kind = FieldKind::ALL[at + skipped];
        for item in kind.items(field) {
            if !kind.allows(item) {
                return wrong(&format!("{item:?} has no meaning as {}", kind.name()));
            }
        }
        // croner takes L for LW beside another W.
        let last = kind.items(field).any(|item| item == "L");
        if kind == FieldKind::Day && last && field.contains('W') {
            return wrong("L does not go together with W in a list");
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
}

impl FieldKind {
    const ALL: [Self; 6] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Weekday,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Second => "a second",
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day of the month",
            Self::Month => "a month",
            Self::Weekday => "a day of the week",
        }
    }

    fn items(self, field: &str) -> impl Iterator<Item = &str> {
        let field = match self {
            Self::Weekday => field.strip_prefix('+').unwrap_or(field),
            _ => field,
        };
        field.split(',')
    }

    /// Whether an item of a list has a form of this field. Bounds are for croner to check.
    fn allows(self, item: &str) -> bool {
        let any = item == "*" || (item == "?" && matches!(self, Self::Day | Self::Weekday));
        if any || self.is_value(item) {
            return true;
        }
        if let Some((base, step)) = item.split_once('/') {
            return is_number(step) && (base == "*" || self.is_range(base));
        }
        let special = match self {
            Self::Day => {
                item == "L" || item == "LW" || item.strip_suffix('W').is_some_and(is_number)
            }
            Self::Weekday => {
                let nth = item.split_once('#');
                let nth = nth.is_some_and(|(day, nth)| self.is_value(day) && is_number(nth));
                nth || item.strip_suffix('L').is_some_and(|day| self.is_value(day))
            }
            _ => false,
        };
        special || self.is_range(item)
    }

    fn is_range(self, item: &str) -> bool {
        let ends = item.split_once('-');
        ends.is_some_and(|(first, last)| self.is_value(first) && self.is_value(last))
    }

    fn is_value(self, item: &str) -> bool {
        let names: &[&str] = match self {
            Self::Month => &MONTHS,
            Self::Weekday => &WEEKDAYS,
            _ => &[],
        };
        is_number(item) || names.contains(&item)
    }
}

fn is_number(text: &str) -> bool {
    (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[path = "cron_tests.rs"]
pub mod tests;

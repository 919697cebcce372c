//! For tests: cron lines without cleverness. Looks at every minute and asks the clock on the wall.

use std::fmt;

use chrono::{DateTime, Datelike as _, MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta};
use chrono::{TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;

/// Zones whose clocks change by an hour, by half an hour, at midnight, on the southern side, at
/// odd times, and never.
pub const ZONES: [Tz; 9] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::America__Santiago,
    Tz::America__Nuuk,
    Tz::Africa__Casablanca,
    Tz::Asia__Beirut,
    Tz::Asia__Kathmandu,
    Tz::UTC,
];

/// A line of lists; an empty one stands for all.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pub minutes: Vec<u32>,
    pub hours: Vec<u32>,
    pub days: Vec<u32>,
    /// 0 is Sunday.
    pub weekdays: Vec<u32>,
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |list: &[u32]| match list {
            [] => "*".to_owned(),
            list => list
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(","),
        };
        let (minutes, hours) = (field(&self.minutes), field(&self.hours));
        let (days, weekdays) = (field(&self.days), field(&self.weekdays));
        write!(formatter, "{minutes} {hours} {days} * {weekdays}")
    }
}

impl Line {
    /// Whether it names one moment of a day.
    fn is_fixed(&self) -> bool {
        self.minutes.len() == 1 && self.hours.len() == 1
    }

    fn names_day(&self, local: NaiveDateTime) -> bool {
        let day = self.days.contains(&local.day());
        let weekday = self
            .weekdays
            .contains(&local.weekday().num_days_from_sunday());
        match (self.days.is_empty(), self.weekdays.is_empty()) {
            (true, true) => true,
            (false, true) => day,
            (true, false) => weekday,
            (false, false) => day || weekday,
        }
    }

    fn names(&self, local: NaiveDateTime) -> bool {
        let minute = self.minutes.is_empty() || self.minutes.contains(&local.minute());
        let hour = self.hours.is_empty() || self.hours.contains(&local.hour());
        minute && hour && self.names_day(local)
    }

    fn is_due(&self, zone: Tz, minute: DateTime<Utc>) -> bool {
        let local = minute.with_timezone(&zone);
        let shown = local.naive_local();
        if !self.is_fixed() {
            return self.names(shown);
        }
        let is_first = match zone.from_local_datetime(&shown) {
            MappedLocalTime::Ambiguous(first, _) => first == local,
            _ => true,
        };
        if self.names(shown) && is_first {
            return true;
        }
        let before = (minute - TimeDelta::minutes(1)).with_timezone(&zone);
        let jump = local.offset().fix().local_minus_utc() - before.offset().fix().local_minus_utc();
        let gap = 1..=i64::from(jump / 60);
        let mut gap = gap.map(|ago| shown - TimeDelta::minutes(ago));
        jump > 0 && self.names_day(shown) && gap.any(|skipped| self.names(skipped))
    }

    /// The due times after one time until another.
    pub fn due(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let first = after.timestamp().div_euclid(60) + 1;
        let minutes = first..=until.timestamp().div_euclid(60);
        minutes
            .filter_map(|minute| DateTime::from_timestamp(minute * 60, 0))
            .filter(|minute| self.is_due(zone, *minute))
            .collect()
    }
}

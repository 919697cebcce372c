//! From messages to the domain, with every fault of a request at once.

pub mod filters;
pub mod incidents;
pub mod parts;
pub mod rules;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use reeve_postgres::page;
use reeve_status::{Fault, Violations};

use super::words::OnWire;
use crate::domain::canonical;
use crate::operations::RequestKey as Key;

const UNKNOWN: &str = "must be one of the contract's values";

/// Collects what is wrong with a request while it reads it.
#[derive(Debug)]
pub struct Reader {
    violations: Violations,
    now: DateTime<Utc>,
}

impl Reader {
    /// A reader of a request that came at a time.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            violations: Violations::new(),
            now,
        }
    }

    /// Nothing, if nothing is wrong.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with everything that is.
    pub fn finish(self) -> Result<(), Fault> {
        self.violations.finish()
    }

    /// Records something wrong.
    pub fn wrong(&mut self, field: impl Display, description: impl Into<String>) {
        self.violations.add(field, description);
    }

    /// Records something wrong unless it is right.
    pub fn check(&mut self, right: bool, field: impl Display, description: &str) {
        self.violations.check(right, field, description);
    }

    /// Reads below a field.
    pub fn within<T>(&mut self, field: impl Display, read: impl FnOnce(&mut Self) -> T) -> T {
        let now = self.now;
        self.violations.within(field, |violations| {
            let inner = std::mem::take(violations);
            let mut reader = Self {
                violations: inner,
                now,
            };
            let value = read(&mut reader);
            *violations = reader.violations;
            value
        })
    }

    /// A text that must be there.
    pub fn text(&mut self, field: impl Display, text: &str, longest: usize) -> String {
        if text.trim().is_empty() {
            self.wrong(
                field,
                format!("is required, with at most {longest} characters"),
            );
            return String::new();
        }
        self.optional_text(field, text, longest)
    }

    /// A text that may be empty.
    pub fn optional_text(&mut self, field: impl Display, text: &str, longest: usize) -> String {
        let fits = text.chars().nth(longest).is_none() && !text.contains('\0');
        if !fits {
            self.wrong(
                field,
                format!("must have at most {longest} characters, and no NUL"),
            );
        }
        text.to_owned()
    }

    /// A list of texts that must not be empty.
    pub fn texts(
        &mut self,
        field: &str,
        texts: &[String],
        most: usize,
        longest: usize,
    ) -> Vec<String> {
        self.check(
            texts.len() <= most,
            field,
            &format!("must have at most {most} items"),
        );
        let texts = texts.iter().take(most).enumerate();
        texts
            .map(|(index, text)| self.text(format!("{field}[{index}]"), text, longest))
            .collect()
    }

    /// An id that must be there.
    pub fn id<T: FromStr<Err: Display>>(&mut self, field: impl Display, text: &str) -> Option<T> {
        self.violations.take(field, text.parse::<T>())
    }

    /// An id that may be empty.
    pub fn optional_id<T: FromStr<Err: Display>>(
        &mut self,
        field: impl Display,
        text: &str,
    ) -> Option<T> {
        if text.is_empty() {
            None
        } else {
            self.id(field, text)
        }
    }

    /// A word that must be there.
    pub fn word<T: OnWire>(&mut self, field: impl Display, number: i32) -> Option<T> {
        match T::read(number) {
            Ok(Some(word)) => Some(word),
            Ok(None) => {
                self.wrong(field, "is required");
                None
            }
            Err(_) => {
                self.wrong(field, UNKNOWN);
                None
            }
        }
    }

    /// A word that may be unspecified.
    pub fn optional_word<T: OnWire>(&mut self, field: impl Display, number: i32) -> Option<T> {
        if number == 0 {
            None
        } else {
            self.word(field, number)
        }
    }

    /// Words of a filter, as they are stored.
    pub fn words<T: OnWire>(&mut self, field: &str, numbers: &[i32]) -> Vec<String> {
        self.check(numbers.len() <= 50, field, "must have at most 50 items");
        let read = numbers
            .iter()
            .take(50)
            .enumerate()
            .filter_map(|(index, number)| self.word::<T>(format!("{field}[{index}]"), *number));
        read.map(|word| word.stored().to_owned()).collect()
    }

    /// A time that may be unset.
    pub fn time(
        &mut self,
        field: impl Display,
        time: Option<&prost_types::Timestamp>,
    ) -> Option<DateTime<Utc>> {
        let time = time?;
        // What the contract's Timestamp can say: the years 1 to 9999.
        let said = -62_135_596_800..253_402_300_800;
        let read = reeve_wellknown::datetime(time).filter(|time| said.contains(&time.timestamp()));
        if read.is_none() {
            self.wrong(field, "must be a time from the year 1 to the year 9999");
        }
        read.map(reeve_clock::to_microseconds)
    }

    /// A time that may be unset and must not lie in the future.
    pub fn past_time(
        &mut self,
        field: impl Display + Copy,
        time: Option<&prost_types::Timestamp>,
    ) -> Option<DateTime<Utc>> {
        let time = self.time(field, time)?;
        self.check(time <= self.now, field, "must not be in the future");
        Some(time)
    }

    /// Two times between which a filter selects.
    pub fn span(
        &mut self,
        (from, min): (&str, Option<&prost_types::Timestamp>),
        (to, max): (&str, Option<&prost_types::Timestamp>),
    ) -> (Option<i64>, Option<i64>) {
        let (min, max) = (self.time(from, min), self.time(to, max));
        if let (Some(min), Some(max)) = (min, max) {
            self.check(min < max, to, &format!("must be later than {from}"));
        }
        let micros = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_micros());
        (micros(min), micros(max))
    }

    /// Labels.
    pub fn labels<'a>(
        &mut self,
        field: &str,
        labels: impl IntoIterator<Item = (&'a String, &'a String)>,
        most: usize,
    ) -> BTreeMap<String, String> {
        let labels: BTreeMap<_, _> = labels
            .into_iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        self.check(
            labels.len() <= most,
            field,
            &format!("must have at most {most} entries"),
        );
        let right = labels.iter().all(|(key, value)| {
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._/-".contains(&byte)
            };
            (1..=63).contains(&key.len())
                && key.bytes().all(plain)
                && value.chars().count() <= 255
                && !value.contains('\0')
        });
        let form = "keys must have 1 to 63 characters of [a-z0-9._/-], values at most 255";
        self.check(right, field, form);
        labels
    }

    /// An etag; nothing when any will do.
    pub fn etag(&mut self, etag: &str) -> Option<i64> {
        if etag.is_empty() {
            return None;
        }
        let version = etag.parse().ok().filter(|version| *version > 0);
        self.check(
            version.is_some(),
            "etag",
            "must be an etag that was read, or empty",
        );
        version
    }

    /// A request's id with the digest of its body; nothing when it may not be repeated.
    pub fn request(&mut self, method: &'static str, id: &str, body: &[u8]) -> Option<Key> {
        let right = id.chars().count() <= 128 && !id.contains('\0');
        self.check(right, "request_id", "must have at most 128 characters");
        let digest = canonical::Hasher::new(method).bytes(body).finish();
        (!id.is_empty()).then(|| Key {
            method,
            request_id: id.to_owned(),
            digest,
        })
    }

    /// A page's size.
    pub fn page_size(&mut self, size: i32) -> i64 {
        page::size(size).unwrap_or_else(|_| {
            self.wrong("page_size", "must be from 0 to 1000");
            0
        })
    }

    /// The paths of an update mask, each of which must be known.
    pub fn mask<'a>(
        &mut self,
        mask: Option<&'a prost_types::FieldMask>,
        known: &[&str],
    ) -> Vec<&'a str> {
        let paths: Vec<&str> = mask
            .iter()
            .flat_map(|mask| mask.paths.iter().map(String::as_str))
            .collect();
        self.check(!paths.is_empty(), "update_mask", "is required");
        let wrong: Vec<_> = paths
            .iter()
            .filter(|path| !known.contains(path))
            .copied()
            .collect();
        if !wrong.is_empty() {
            let known = known.join(", ");
            self.wrong(
                "update_mask",
                format!("names {}; known are {known}", wrong.join(", ")),
            );
        }
        paths
    }

    /// A cursor of a stream; nothing when it is empty.
    pub fn cursor(&mut self, cursor: &str) -> Option<i64> {
        if cursor.is_empty() {
            return None;
        }
        let position = cursor.parse().ok().filter(|position| *position >= 0);
        self.check(
            position.is_some(),
            "cursor",
            "must be a cursor that a stream gave, or empty",
        );
        position
    }
}

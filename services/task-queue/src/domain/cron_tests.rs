use chrono::TimeZone as _;
use proptest::prelude::*;

use super::super::cron_model::{Line, ZONES};
use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
    Utc.from_utc_datetime(&time.unwrap())
}

fn line(text: &str) -> CronLine {
    CronLine::read(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

/// The next due times by the clock of the zone.
fn local(text: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
    let line = line(text);
    let mut due = utc(after);
    let each = std::iter::repeat_with(|| {
        due = line.next(zone, due).expect("it goes on");
        due.with_timezone(&zone)
            .format("%m-%d %H:%M:%S %z")
            .to_string()
    });
    each.take(count).collect()
}

#[test]
fn lines_are_read_as_the_contract_says() {
    for (text, next) in [
        ("* * * * *", "2026-12-01 10:31:00"),
        ("*/20 * * * *", "2026-12-01 10:40:00"),
        ("5-10/2,50 * * * *", "2026-12-01 10:50:00"),
        ("  0 12 * * *  ", "2026-12-01 12:00:00"),
        ("15 30 10 * * *", "2026-12-01 10:30:15"),
        ("0 0 1 jan ?", "2027-01-01 00:00:00"),
        ("0 0 L * *", "2026-12-31 00:00:00"),
        ("0 0 LW 2 *", "2027-02-26 00:00:00"),
        ("0 0 15W 5 *", "2027-05-14 00:00:00"),
        ("0 0 * * Fri#2", "2026-12-11 00:00:00"),
        ("0 0 * * 5L", "2026-12-25 00:00:00"),
        ("0 0 * * 7", "2026-12-06 00:00:00"),
        ("0 0 * * MON-WED", "2026-12-02 00:00:00"),
        ("0 0 13 * FRI", "2026-12-04 00:00:00"),
        ("0 0 13 * +FRI", "2027-08-13 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("@annually", "2027-01-01 00:00:00"),
        ("@Monthly", "2027-01-01 00:00:00"),
        ("@weekly", "2026-12-06 00:00:00"),
        ("@daily", "2026-12-02 00:00:00"),
        ("@hourly", "2026-12-01 11:00:00"),
        ("0 0 29 2 +MON", "2044-02-29 00:00:00"),
    ] {
        let found = line(text).next(Tz::UTC, utc("2026-12-01 10:30:10"));
        assert_eq!(found, Some(utc(next)), "{text}");
    }
    assert!(line("0 0 12 * * *").has_seconds() && !line("0 12 * * *").has_seconds());
}

#[test]
fn what_is_no_line_is_refused() {
    for text in [
        "",
        "* * * *",
        "* * * * * * *",
        "@reboot",
        "@every 5m",
        "@daily *",
        "TZ=UTC * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        ", * * * *",
        "1,,2 * * * *",
        "1, * * * *",
        "* * , * *",
        "+ * * * *",
        "* * * * +",
        "*/0 * * * *",
        "*/x * * * *",
        "5/15 * * * *",
        "/5 * * * *",
        "10-5 * * * *",
        "1-2-3 * * * *",
        "-1 * * * *",
        "? * * * *",
        "L * * * *",
        "* * 5#2 * *",
        "* * L-3 * *",
        "* * W * *",
        "* * L,15W * *",
        "* * * JANFEB *",
        "* * * MON *",
        "* * * * JAN",
        "* * * * 1#6",
        "* * * * 1#0",
        "* * * * L",
        "* * * * FRI-MON",
        "001 * * * *",
        "\u{661} * * * *",
        "*\u{a0}* * * *",
    ] {
        assert!(CronLine::read(text).is_err(), "{text:?}");
    }
    let long = format!("{} * * * *", vec!["1"; 130].join(","));
    assert!(CronLine::read(&long).is_err());
}

#[test]
fn a_line_without_a_day_never_fires() {
    let now = utc("2026-12-01 00:00:00");
    for never in [
        "0 0 30 2 *",
        "* * 31 2,4,6,9,11 *",
        "0 0 31 2 +MON",
        "0 0 1 * +SUN#5",
        "0 0 30W 2 *",
    ] {
        assert!(!line(never).ever_fires(now), "{never}");
    }
    for some_day in ["0 0 29 2 *", "0 0 29 2 +MON", "0 0 31 2 MON", "@daily"] {
        assert!(line(some_day).ever_fires(now), "{some_day}");
    }
}

#[test]
fn a_time_that_does_not_exist_is_due_after_the_gap_or_not_at_all() {
    // 2027-03-28, 02:00 becomes 03:00.
    let (berlin, before) = (Tz::Europe__Berlin, "2027-03-27 12:00:00");
    let fixed = local("30 2 * * *", berlin, before, 2);
    assert_eq!(fixed, ["03-28 03:00:00 +0200", "03-29 02:30:00 +0200"]);
    let fixed = local("30 2 * * SUN", berlin, before, 2);
    assert_eq!(fixed, ["03-28 03:00:00 +0200", "04-04 02:30:00 +0200"]);
    let other = local("30 2,4 * * *", berlin, before, 2);
    assert_eq!(other, ["03-28 04:30:00 +0200", "03-29 02:30:00 +0200"]);
    let other = local("30 * * * *", berlin, "2027-03-28 00:00:00", 2);
    assert_eq!(other, ["03-28 01:30:00 +0100", "03-28 03:30:00 +0200"]);
    // By half an hour: 2026-10-04, 02:00 becomes 02:30.
    let howe = local(
        "15 2 * * *",
        Tz::Australia__Lord_Howe,
        "2026-10-03 12:00:00",
        1,
    );
    assert_eq!(howe, ["10-04 02:30:00 +1100"]);
    // On Saturday, 2027-03-27, 23:00 becomes midnight of Sunday, which the line does not name.
    let nuuk = local("30 23 * * SAT", Tz::America__Nuuk, "2027-03-27 12:00:00", 1);
    assert_eq!(nuuk, ["04-03 23:30:00 -0100"]);
}

#[test]
fn a_time_that_exists_twice_is_due_once_or_follows_the_clock() {
    // 2027-10-31, 03:00 becomes 02:00.
    let (berlin, before) = (Tz::Europe__Berlin, "2027-10-30 12:00:00");
    let fixed = local("30 2 * * *", berlin, before, 2);
    assert_eq!(fixed, ["10-31 02:30:00 +0200", "11-01 02:30:00 +0100"]);
    let other = local("30 * * * *", berlin, "2027-10-30 23:45:00", 3);
    let twice = [
        "10-31 02:30:00 +0200",
        "10-31 02:30:00 +0100",
        "10-31 03:30:00 +0100",
    ];
    assert_eq!(other, twice);
    let other = local("0,30 2 * * *", berlin, before, 4);
    let twice = [
        "10-31 02:00:00 +0200",
        "10-31 02:30:00 +0200",
        "10-31 02:00:00 +0100",
        "10-31 02:30:00 +0100",
    ];
    assert_eq!(other, twice);
}

#[test]
fn only_names_of_the_database_are_zones() {
    for name in [
        "UTC",
        "Europe/Berlin",
        "America/Argentina/Buenos_Aires",
        "Etc/GMT+5",
    ] {
        assert!(zone(name).is_ok(), "{name}");
    }
    for name in [
        "",
        "europe/berlin",
        "Berlin",
        "+02:00",
        "Mars/Base",
        "Europe/Berlin ",
    ] {
        assert!(zone(name).is_err(), "{name}");
    }
}

pub fn lines() -> impl Strategy<Value = Line> {
    let list = |range: std::ops::RangeInclusive<u32>, most: usize| {
        prop::collection::btree_set(range, 0..=most)
            .prop_map(|set| set.into_iter().collect::<Vec<_>>())
    };
    (
        list(0..=59, 3),
        list(0..=23, 2),
        list(1..=31, 2),
        list(0..=6, 2),
    )
        .prop_map(|(minutes, hours, days, weekdays)| Line {
            minutes,
            hours,
            days,
            weekdays,
        })
}

/// Moments in 2026 and 2027, often near a change of the clock in spring or autumn.
pub fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    let near = prop::sample::select(vec![
        "2026-03-08",
        "2026-03-22",
        "2026-03-28",
        "2026-04-04",
        "2026-09-05",
        "2026-10-03",
        "2026-10-24",
        "2026-11-01",
        "2027-02-07",
        "2027-03-13",
    ]);
    (near, 0_i64..2 * 86_400)
        .prop_map(|(day, second)| utc(&format!("{day} 00:00:00")) + TimeDelta::seconds(second))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn due_times_are_those_that_the_clock_on_the_wall_shows(
        model in lines(), zone in prop::sample::select(ZONES.to_vec()), start in moments(),
    ) {
        let until = start + TimeDelta::days(4);
        let expected = model.due(zone, start, until);
        let line = line(&model.to_string());
        let next = |after| line.next(zone, after).filter(|due| *due <= until);
        let found: Vec<_> = std::iter::successors(next(start), |due| next(*due)).collect();
        prop_assert_eq!(&found, &expected, "{} in {}", model, zone);
        let last = |until| line.last(zone, until).filter(|due| *due > start);
        let before = |due: &DateTime<Utc>| last(*due - TimeDelta::microseconds(1));
        let mut back: Vec<_> = std::iter::successors(last(until), before).collect();
        back.reverse();
        prop_assert_eq!(&back, &expected, "{} in {}, backwards", model, zone);
    }

    #[test]
    fn no_text_makes_the_search_fail_or_hang(
        text in "[0-9*/,\\-#?+LWSUNMOJA ]{0,24}", fields in prop::collection::vec("[0-9*/,\\-#LW?+]{1,5}", 5..=6),
    ) {
        let now = utc("2026-12-01 00:00:00");
        for text in [text, fields.join(" ")] {
            let Ok(line) = CronLine::read(&text) else { continue };
            if line.ever_fires(now) {
                let due = line.next(Tz::Europe__Berlin, now);
                prop_assert!(due.is_some_and(|due| due > now), "{}: {:?}", text, due);
            }
        }
    }
}

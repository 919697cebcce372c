//! The one spelling of a decimal: `-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,10})?`, without "-0".

use std::fmt::Write as _;

use rust_decimal::Decimal;

use crate::MoneyError;

/// Reads a plain decimal.
///
/// # Errors
/// [`MoneyError::Grammar`] for every other spelling, also for "-0" and "-0.00".
pub fn parse_decimal(text: &str) -> Result<Decimal, MoneyError> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let spelled = digits(whole, 18)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(|fraction| digits(fraction, 10));
    if !spelled {
        return Err(MoneyError::Grammar);
    }
    let value: Decimal = text.parse().map_err(|_| MoneyError::Grammar)?;
    if value.is_zero() && text.starts_with('-') {
        return Err(MoneyError::Grammar);
    }
    Ok(value)
}

/// Writes a decimal with at least `places` digits after the point and no further trailing zeros.
pub fn format_decimal(value: Decimal, places: u32) -> String {
    let value = value.normalize();
    let mut text = value.to_string();
    let missing = places.saturating_sub(value.scale());
    if missing > 0 {
        if value.scale() == 0 {
            text.push('.');
        }
        let width = usize::try_from(missing).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(text, "{:0<width$}", "");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_plain_decimals() {
        for text in [
            "0",
            "-1",
            "0.5",
            "12.50",
            "-0.0000000001",
            "999999999999999999.9999999999",
        ] {
            assert!(parse_decimal(text).is_ok(), "{text:?}");
        }
        assert_eq!(parse_decimal("12.50").unwrap(), Decimal::new(1250, 2));
    }

    #[test]
    fn refuses_every_other_spelling() {
        let wrong = [
            "",
            "-",
            "+1",
            "-0",
            "-0.0",
            "00",
            "01",
            ".5",
            "5.",
            "1e3",
            "1E3",
            "1,5",
            "1_000",
            " 1",
            "1 ",
            "0x1",
            "1000000000000000000",
            "0.12345678901",
            "1.2.3",
            "--1",
            "NaN",
            "inf",
            "١",
        ];
        for text in wrong {
            assert_eq!(parse_decimal(text), Err(MoneyError::Grammar), "{text:?}");
        }
    }

    #[test]
    fn pads_to_the_places_asked_for() {
        for (text, places, written) in [
            ("1", 2, "1.00"),
            ("1.5", 2, "1.50"),
            ("1.505", 2, "1.505"),
            ("1.500", 0, "1.5"),
            ("0", 0, "0"),
            ("0", 3, "0.000"),
            ("-1.1", 2, "-1.10"),
        ] {
            assert_eq!(format_decimal(text.parse().unwrap(), places), written);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(mantissa in any::<i64>(), scale in 0_u32..=10) {
            let value = Decimal::new(mantissa % 1_000_000_000_000_000_000, scale);
            for places in 0..=10 {
                prop_assert_eq!(parse_decimal(&format_decimal(value, places)), Ok(value));
            }
        }

        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = parse_decimal(&text);
        }
    }
}

//! How amounts, times and labels are written.

use chrono::{DateTime, Utc};
use reeve_money::{Decimal, Money, format_decimal};

use crate::domain::invoice::Address;
use crate::domain::rate_card::UnitPrice;
use crate::domain::totals::{Line, LineKind, TaxCategory, TaxSubtotal};

/// A plain decimal with a comma at the thousands.
pub fn grouped(plain: &str) -> String {
    let (sign, unsigned) = plain
        .strip_prefix('-')
        .map_or(("", plain), |rest| ("-", rest));
    let (whole, fraction) = unsigned
        .split_once('.')
        .map_or((unsigned, None), |(w, f)| (w, Some(f)));
    let mut written = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            written.push(',');
        }
        written.push(digit);
    }
    if let Some(fraction) = fraction {
        written.push('.');
        written.push_str(fraction);
    }
    written
}

/// An amount, without its currency.
pub fn amount(money: Money) -> String {
    grouped(&money.amount())
}

/// A quantity, with its unit where the description does not say it.
pub fn quantity(line: &Line) -> String {
    let number = grouped(&format_decimal(line.quantity, 0));
    match line.kind {
        LineKind::Time | LineKind::Custom if !line.unit.is_empty() => {
            format!("{number} {}", line.unit)
        }
        _ => number,
    }
}

/// A price, for one unit or for many.
pub fn price(price: UnitPrice, exponent: u32) -> String {
    let amount = grouped(&format_decimal(price.amount, exponent));
    if price.per_units == 1 {
        return amount;
    }
    format!("{amount} / {}", grouped(&price.per_units.to_string()))
}

/// A rate.
pub fn percent(rate: Decimal) -> String {
    format!("{} %", format_decimal(rate, 0))
}

/// A day.
pub fn day(time: DateTime<Utc>) -> String {
    time.format("%-d %B %Y").to_string()
}

/// What a tax is called, and why there is none.
pub fn tax_label(tax: &TaxSubtotal) -> String {
    match tax.category {
        TaxCategory::Standard => {
            format!("Tax {} on {}", percent(tax.percent), amount(tax.taxable))
        }
        TaxCategory::ZeroRated => "Tax, zero rated".to_owned(),
        TaxCategory::Exempt => "Exempt from tax".to_owned(),
        TaxCategory::ReverseCharge => "Reverse charge".to_owned(),
        TaxCategory::Export => "Export, no tax".to_owned(),
        TaxCategory::OutsideScope => "Not subject to tax".to_owned(),
    }
}

/// The lines of an address.
pub fn address(address: &Address) -> Vec<String> {
    let town = [&address.postal_code, &address.city]
        .into_iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join(" ");
    let country = &address.country_code;
    address
        .lines
        .iter()
        .chain([&town, &address.region, country])
        .filter(|line| !line.is_empty())
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        for (plain, written) in [
            ("0", "0"),
            ("999.50", "999.50"),
            ("1000", "1,000"),
            ("-1234567.89", "-1,234,567.89"),
            ("0.0000375", "0.0000375"),
        ] {
            assert_eq!(grouped(plain), written);
        }
    }
}

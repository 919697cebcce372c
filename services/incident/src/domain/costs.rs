//! Adding up what other services say things cost.

use std::collections::BTreeMap;

use reeve_money::{Decimal, parse_decimal};

/// The sum of amounts by currency, as plain decimals. An amount that is not a decimal is left out:
/// a report is not the place to fail for it.
pub fn sum(amounts: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut totals: BTreeMap<String, Decimal> = BTreeMap::new();
    for (amount, currency) in amounts {
        let Ok(amount) = parse_decimal(&amount) else {
            continue;
        };
        let total = totals.entry(currency).or_default();
        *total = total.checked_add(amount).unwrap_or(*total);
    }
    totals
        .into_iter()
        .map(|(currency, total)| (currency, total.normalize().to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_kept_apart_and_amounts_are_exact() {
        let amounts = [("0.1", "EUR"), ("0.2", "EUR"), ("1", "USD"), ("x", "USD")];
        let totals = sum(amounts
            .into_iter()
            .map(|(a, c)| (a.to_owned(), c.to_owned())));
        assert_eq!(totals["EUR"], "0.3");
        assert_eq!(totals["USD"], "1");
    }
}

//! Splitting money so that the parts add up to the whole.

use rust_decimal::Decimal;

use crate::{Money, MoneyError};

/// Splits `total` in proportion to `weights` by largest remainder: each part is its exact share
/// rounded down or up by less than one minor unit, and the parts add up to `total`. The units
/// that rounding down leaves go to the largest remainders; the earlier of equal ones comes first.
/// When all weights are zero, the whole goes to the first part.
///
/// # Errors
/// [`MoneyError::OutOfRange`] for a negative weight, for no weights with a total that is not
/// zero, or when a share cannot be computed exactly enough.
pub fn allocate(total: Money, weights: &[Decimal]) -> Result<Vec<Money>, MoneyError> {
    if weights.is_empty() {
        return if total.minor() == 0 {
            Ok(Vec::new())
        } else {
            Err(MoneyError::OutOfRange)
        };
    }
    if weights
        .iter()
        .any(|weight| weight.is_sign_negative() && !weight.is_zero())
    {
        return Err(MoneyError::OutOfRange);
    }
    let currency = total.currency();
    let sum = weights
        .iter()
        .try_fold(Decimal::ZERO, |sum, weight| sum.checked_add(*weight))
        .ok_or(MoneyError::OutOfRange)?;
    if sum.is_zero() {
        let mut parts = vec![Money::zero(currency); weights.len()];
        parts[0] = total;
        return Ok(parts);
    }
    let whole = Decimal::from(total.minor());
    // Dividing first keeps the product within the decimal's 28 digits.
    let shares: Vec<Decimal> = weights
        .iter()
        .map(|weight| whole * (*weight / sum))
        .collect();
    let mut units: Vec<i64> = Vec::with_capacity(shares.len());
    for share in &shares {
        units.push(i64::try_from(share.trunc()).map_err(|_| MoneyError::OutOfRange)?);
    }
    let mut left = total.minor() - units.iter().sum::<i64>();
    let mut order: Vec<usize> = (0..shares.len())
        .filter(|at| !weights[*at].is_zero())
        .collect();
    order.sort_by_key(|at| std::cmp::Reverse(shares[*at].fract().abs()));
    for at in order.into_iter().cycle() {
        if left == 0 {
            break;
        }
        units[at] += left.signum();
        left -= left.signum();
    }
    units
        .into_iter()
        .map(|minor| Money::from_minor(minor, currency))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(total: i64, weights: &[i64]) -> Vec<i64> {
        let total = Money::from_minor(total, "EUR".parse().unwrap()).unwrap();
        let weights: Vec<_> = weights
            .iter()
            .map(|weight| Decimal::from(*weight))
            .collect();
        allocate(total, &weights)
            .unwrap()
            .into_iter()
            .map(Money::minor)
            .collect()
    }

    #[test]
    fn gives_what_is_left_to_the_largest_remainders() {
        assert_eq!(parts(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(parts(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(parts(10, &[1, 2, 1]), [3, 5, 2]);
        assert_eq!(parts(1, &[0, 5, 0]), [0, 1, 0]);
        assert_eq!(parts(7, &[0, 0]), [7, 0]);
        assert_eq!(parts(0, &[]), [0; 0]);
    }

    #[test]
    fn refuses_what_has_no_meaning() {
        let total = Money::from_minor(1, "EUR".parse().unwrap()).unwrap();
        assert!(allocate(total, &[]).is_err());
        assert!(allocate(total, &[Decimal::NEGATIVE_ONE]).is_err());
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole_and_fair(
            total in -1_000_000_000_000_i64..1_000_000_000_000,
            weights in prop::collection::vec(0_i64..1_000_000_000, 1..40),
        ) {
            let split = parts(total, &weights);
            prop_assert_eq!(split.iter().sum::<i64>(), total);
            let sum: i64 = weights.iter().sum();
            if sum > 0 {
                for (part, weight) in split.iter().zip(&weights) {
                    let exact = i128::from(total) * i128::from(*weight);
                    let off = i128::from(*part) * i128::from(sum) - exact;
                    prop_assert!(off.abs() < i128::from(sum), "{} of {}", part, weight);
                }
            }
        }
    }
}

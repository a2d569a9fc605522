//! Multiples of a number, by decimal digits: what is written is one by its digits, and so is what
//! the library lets pass.

/// Digits after the point.
const MOST_PLACES: u32 = 15;

/// So many times a power of a tenth.
#[derive(Clone, Copy)]
pub struct Step {
    digits: u32,
    places: u32,
}

/// The same, of any number.
struct Decimal {
    digits: i128,
    places: u32,
}

impl Decimal {
    fn of(number: f64) -> Option<Decimal> {
        let text = number.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Decimal { digits, places: fraction.len() as u32 })
    }
}

impl Step {
    /// Nothing where it has more digits than the library counts.
    pub fn of(number: f64) -> Option<Step> {
        let Decimal { digits, places } = Decimal::of(number)?;
        let digits = u32::try_from(digits).ok().filter(|_| places <= MOST_PLACES)?;
        // The library's way to them, which may lose itself in digits that come of rounding.
        let mut found = number;
        while found.fract() != 0.0 {
            found *= 10.0;
        }
        (found == f64::from(digits)).then_some(Step { digits, places })
    }

    /// What is a multiple of both is a multiple of this, and only that.
    pub fn with(self, other: Step) -> Option<Step> {
        let places = self.places.max(other.places);
        let scaled = |step: Step| {
            u64::from(step.digits).checked_mul(10u64.checked_pow(places - step.places)?)
        };
        let (one, two) = (scaled(self)?, scaled(other)?);
        let digits = (one / common_divisor(one, two)).checked_mul(two)?;
        Step::of(Step { digits: u32::try_from(digits).ok()?, places }.number())
    }

    pub fn number(self) -> f64 {
        f64::from(self.digits) / 10f64.powi(self.places as i32)
    }

    /// Whether a multiple lies between two numbers, or is one of them.
    pub fn is_within(self, low: f64, high: f64) -> bool {
        self.below(high).zip(self.below(-low)).is_some_and(|(up, down)| up + down >= 0)
    }

    /// How often it is in a number.
    fn below(self, number: f64) -> Option<i128> {
        let Decimal { digits, places } = Decimal::of(number)?;
        let number = digits.checked_mul(10i128.checked_pow(self.places)?)?;
        // What is as small as that is in no step once.
        let step = 10i128.checked_pow(places).and_then(|one| one.checked_mul(self.digits.into()));
        Some(number.div_euclid(step.unwrap_or(i128::MAX)))
    }
}

fn common_divisor(one: u64, two: u64) -> u64 {
    if two == 0 { one } else { common_divisor(two, one % two) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn multiples_are_those_of_digits() {
        for (number, is_counted) in [
            (1.0, true),
            (0.1, true),
            (1e-8, true),
            (4e9, true),
            (5e9, false),
            (0.123456789, false),
            (3.9999999999999996, false),
            (1e-300, false),
        ] {
            assert_eq!(Step::of(number).is_some(), is_counted, "{number}");
        }
        let step = |number| Step::of(number).unwrap();
        for (one, two, both) in [
            (4.0, 6.0, Some(12.0)),
            (0.25, 0.1, Some(0.5)),
            (1.0, 0.3, Some(3.0)),
            (100_000.0, 99_999.0, None),
        ] {
            assert_eq!(step(one).with(step(two)).map(Step::number), both, "{one} {two}");
        }
        for (of, low, high, is_within) in [
            (10.0, 11.0, 19.0, false),
            (10.0, 11.0, 20.0, true),
            (10.0, -9.5, 0.0, true),
            (10.0, -19.0, -11.0, false),
            (0.1, 0.300_000_000_000_001, 0.35, false),
            (0.1, 0.3, 0.35, true),
            (0.5, 1e-40, 0.4, false),
            (0.5, -0.4, -1e-40, false),
            (0.5, -1e-40, 1e-40, true),
        ] {
            assert_eq!(step(of).is_within(low, high), is_within, "{of}: {low} to {high}");
        }
    }
}

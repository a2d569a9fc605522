//! Numbers and moments beyond a bound, as regular expressions of how they are spelt.

use std::fmt::Write;

use super::pattern::escaped;

/// Numbers without a sign.
const UNSIGNED: &str = r"[0-9]+(?:\.[0-9]+)?";

/// On which side of a bound values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    AtLeast,
    MoreThan,
    AtMost,
    LessThan,
}

impl Side {
    pub fn named(facet: &str) -> Option<Side> {
        Some(match facet {
            "minInclusive" => Side::AtLeast,
            "minExclusive" => Side::MoreThan,
            "maxInclusive" => Side::AtMost,
            "maxExclusive" => Side::LessThan,
            _ => return None,
        })
    }

    fn is_above(self) -> bool {
        matches!(self, Side::AtLeast | Side::MoreThan)
    }

    pub fn has_bound(self) -> bool {
        matches!(self, Side::AtLeast | Side::AtMost)
    }
}

/// A decimal number: its digits before the point, without zeros that say nothing, and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    pub fn parse(text: &str) -> Option<Decimal> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
            return None;
        }
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Decimal { is_negative: text.starts_with('-') && !is_zero, whole, fraction })
    }

    /// Digits that say something.
    pub fn digits(&self) -> u32 {
        (self.whole.len() + self.fraction.len()) as u32
    }

    /// Whether there are plainly written numbers on either side of it.
    pub fn is_plain(&self) -> bool {
        self.whole.len() <= 11 && self.fraction.len() <= 5
    }

    /// A terminal's expression for the numbers on this side of it, with zeros that say nothing or
    /// without.
    pub fn beyond(&self, side: Side) -> String {
        // Below zero is nothing but what has a sign, and that not of a zero.
        let is_negative = self.is_negative || self.digits() == 0 && side == Side::LessThan;
        let mut larger = format!("/{}/", self.larger());
        if side.has_bound() == (side.is_above() != is_negative) {
            // Of a bound that counts, the larger ones with it, or all but the larger ones.
            larger = format!("({larger} | /{}/)", self.equal());
        }
        let smaller = format!("(/{UNSIGNED}/ & ~{larger})");
        match (side.is_above(), is_negative) {
            (true, false) => format!("\"+\"? {larger}"),
            (true, true) => format!("/\\+?{UNSIGNED}/ | \"-\" {smaller}"),
            (false, false) => format!("/-{UNSIGNED}/ | \"+\"? {smaller}"),
            (false, true) => format!("\"-\" {larger}"),
        }
    }

    fn equal(&self) -> String {
        match (self.whole.as_str(), self.fraction.as_str()) {
            ("", "") => r"0+(?:\.0+)?".to_owned(),
            (whole, "") => format!(r"0*{whole}(?:\.0+)?"),
            ("", fraction) => format!(r"0+\.{fraction}0*"),
            (whole, fraction) => format!(r"0*{whole}\.{fraction}0*"),
        }
    }

    /// Numbers without a sign that are larger.
    fn larger(&self) -> String {
        let rest = r"(?:\.[0-9]+)?";
        let whole = &self.whole;
        let mut all = format!("0*[1-9][0-9]{{{},}}{rest}", whole.len());
        for (at, digit) in whole.char_indices().filter(|(_, digit)| *digit < '9') {
            let next = char::from(digit as u8 + 1);
            let left = whole.len() - at - 1;
            let _ = write!(all, "|0*{}[{next}-9][0-9]{{{left}}}{rest}", &whole[..at]);
        }
        let before = if whole.is_empty() { "0+".to_owned() } else { format!("0*{whole}") };
        let fraction = &self.fraction;
        for (at, digit) in fraction.char_indices().filter(|(_, digit)| *digit < '9') {
            let next = char::from(digit as u8 + 1);
            let _ = write!(all, "|{before}\\.{}[{next}-9][0-9]*", &fraction[..at]);
        }
        let _ = write!(all, "|{before}\\.{fraction}0*[1-9][0-9]*");
        all
    }
}

/// Digits that every processor reads.
const MOST_DIGITS: u32 = 24;

/// Numbers with at most so many digits.
pub(super) fn digits(total: u32) -> String {
    format!(r"/[+-]?(?:[0-9]\.?){{1,{}}}/", total.min(MOST_DIGITS))
}

/// Numbers with at most so many digits after the point.
pub(super) fn fraction_digits(most: u32) -> String {
    match most {
        0 => "/[+-]?[0-9]+/".to_owned(),
        _ => format!(r"/[+-]?[0-9]+(?:\.[0-9]{{1,{}}})?/", most.min(MOST_DIGITS)),
    }
}

/// Moments on this side of one, spelt as it is: `shape` has a 0 where a digit is. A bound in no
/// time zone says nothing of moments in one, nor the other way round.
pub(super) fn moments(bound: &str, shape: &str, side: Side) -> Option<String> {
    let (moment, zone) = match bound.strip_suffix('Z') {
        Some(moment) => (moment, "Z"),
        None => (bound, ""),
    };
    let is_so = |(c, of): (char, char)| if of == '0' { c.is_ascii_digit() } else { c == of };
    if moment.len() != shape.len() || !moment.chars().zip(shape.chars()).all(is_so) {
        return None;
    }
    let any = |shape: &str| shape.chars().map(any_of).collect::<String>();
    let mut ways = Vec::new();
    for (at, digit) in moment.char_indices().filter(|&(at, _)| shape[at..].starts_with('0')) {
        let (first, last) = match (side.is_above(), digit) {
            (true, '9') | (false, '0') => continue,
            (true, digit) => (char::from(digit as u8 + 1), '9'),
            (false, digit) => ('0', char::from(digit as u8 - 1)),
        };
        let before: String = moment[..at].chars().map(escaped).collect();
        ways.push(format!("{before}[{first}-{last}]{}", any(&shape[at + 1..])));
    }
    if side.has_bound() {
        ways.push(moment.chars().map(escaped).collect());
    }
    match ways.is_empty() {
        true => None,
        false => Some(format!("/(?:{}){zone}/", ways.join("|"))),
    }
}

fn any_of(shape: char) -> String {
    if shape == '0' { "[0-9]".to_owned() } else { escaped(shape) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn decimals_are_read_without_what_says_nothing() {
        let rows = [
            ("007.50", Some((false, "7", "5"))),
            ("-0.0", Some((false, "", ""))),
            ("+.5", Some((false, "", "5"))),
            ("-12.", Some((true, "12", ""))),
            ("", None),
            (".", None),
            ("1e3", None),
            ("--1", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|(is_negative, whole, fraction)| Decimal {
                is_negative,
                whole: whole.to_owned(),
                fraction: fraction.to_owned(),
            });
            assert_eq!(Decimal::parse(text), expected, "{text:?}");
        }
    }

    /// Regular expressions alone, of the terminals that need no more.
    #[test]
    fn bounds_are_those_of_arithmetic() {
        let numbers = (-250..=250).flat_map(|n: i32| {
            let (sign, size) = (if n < 0 { "-" } else { "" }, n.abs());
            [
                format!("{sign}{}", size),
                format!("{sign}00{size}.0"),
                format!("{sign}{}.{:02}", size / 100, size % 100),
            ]
        });
        let numbers: Vec<String> = numbers.collect();
        for bound in ["0", "7", "99", "100", "0.5", "1.05", "1.99", "-0.1", "-1", "-2.3", "-99"] {
            let decimal = Decimal::parse(bound).unwrap();
            let (larger, equal) = (whole(&decimal.larger()), whole(&decimal.equal()));
            let size: f64 = bound.trim_start_matches('-').parse().unwrap();
            for number in numbers.iter().filter(|number| !number.starts_with('-')) {
                let value: f64 = number.parse().unwrap();
                assert_eq!(larger.is_match(number), value > size, "{number} > {size}");
                assert_eq!(equal.is_match(number), value == size, "{number} = {size}");
            }
        }
    }

    #[test]
    fn moments_are_compared_as_they_are_spelt() {
        let rows = [
            ("2020-02-29", "2020-03-01", true, false),
            ("2020-02-29", "2020-02-29", true, true),
            ("2020-02-29", "2019-12-31", false, true),
            ("2020-02-29", "2021-01-01Z", false, false),
            ("2020-02-29Z", "2021-01-01Z", true, false),
        ];
        for (bound, moment, is_least, is_most) in rows {
            let matches = |side| {
                let terminal = moments(bound, "0000-00-00", side).unwrap();
                whole(&terminal[1..terminal.len() - 1]).is_match(moment)
            };
            assert_eq!(
                (matches(Side::AtLeast), matches(Side::AtMost)),
                (is_least, is_most),
                "{bound} {moment}"
            );
        }
        assert_eq!(moments("2020-02", "0000-00-00", Side::AtLeast), None);
        assert_eq!(moments("0000", "0000", Side::LessThan), None);
    }

    fn whole(pattern: &str) -> regex::Regex {
        regex::Regex::new(&format!("^(?:{pattern})$")).unwrap()
    }
}

//! What facets ask of a type, each as a terminal.

use super::Place;
use super::bounds::{self, Decimal, Side};
use super::built_in::built_in;
use super::lark::Lark;
use super::pattern::{self, literal};
use super::simple::{Blanks, Family, SPELT, Simple};
use crate::error::Result;

/// One that Unicode had when XML Schema came, and that is of the same category ever since: so a
/// category has the same of these for everybody. `unicodedata.ucd_3_2_0` of Python tells.
const OLD: &str = concat!(
    r"(?:[\t\n]|[\p{age:3.1}--&<>\p{C}",
    r"\x{a7}\x{aa}\x{ad}\x{b6}\x{ba}\x{294}\x{2b9}-\x{2ba}\x{2c6}-\x{2cf}\x{2ec}\x{374}",
    r"\x{5be}\x{6de}\x{f14}\x{10d0}-\x{10f8}\x{1369}-\x{1371}\x{13a0}-\x{13f4}\x{166d}",
    r"\x{1734}\x{17b4}-\x{17b5}\x{1885}-\x{1886}\x{200b}\x{2071}\x{207f}\x{2118}\x{2132}",
    r"\x{2183}\x{2308}-\x{230b}\x{23b4}-\x{23b6}\x{302e}-\x{302f}\x{30fb}\x{a015}",
    r"\x{fd3e}-\x{fd3f}\x{ff65}\x{10341}",
    "]|&(?:amp|lt|gt|quot|apos);)"
);
/// Characters, bytes or words that a value can be asked to have.
const LONGEST: u32 = 100_000;

/// A facet: its name, its value and where it stands.
pub(super) struct Facet<'p> {
    pub name: &'p str,
    pub value: &'p str,
    pub place: Place<'p>,
}

impl Simple {
    /// The type as facets narrow it.
    pub fn restricted(&self, facets: &[Facet], lark: &mut Lark) -> Result<Simple> {
        let mut all: Vec<String> = Vec::new();
        let (mut patterns, mut values) = (Vec::new(), Vec::new());
        let mut blanks = self.blanks;
        let (mut least, mut most) = (0, None);
        for facet in facets {
            let Facet { name, value, place } = facet;
            match (*name, self.family) {
                ("pattern", _) => {
                    let pattern = pattern::translate(value, place)?;
                    if pattern.has_categories {
                        all.push(format!("/{OLD}*/"));
                    }
                    patterns.push(pattern.text);
                }
                ("enumeration", _) => values.push(literal(&self.normalized(value))),
                ("whiteSpace", _) => blanks = self.with_blanks(value, place)?,
                ("length", _) => {
                    let length = self.least_length(facet)?;
                    least = length.max(least);
                    most = Some(most.unwrap_or(length).min(length));
                }
                ("minLength", _) => least = self.least_length(facet)?.max(least),
                ("maxLength", _) => {
                    let length = self.length(facet)?;
                    most = Some(most.unwrap_or(length).min(length));
                }
                ("totalDigits", Family::Decimal) => all.push(bounds::digits(size(facet)?.max(1))),
                ("fractionDigits", Family::Decimal) => {
                    all.push(bounds::fraction_digits(size(facet)?))
                }
                _ => all.push(self.bound(facet)?),
            }
        }
        if least > 0 || most.is_some() {
            all.push(self.lengths(least, most, &facets[0].place, lark)?);
        }
        if blanks != self.blanks {
            all.push(
                match blanks {
                    Blanks::Collapsed => built_in("token", lark),
                    _ => built_in("normalizedString", lark),
                }
                .map_err(|why| facets[0].place.refuse(why))?
                .any,
            );
        }
        let is_chosen = !patterns.is_empty()
            || !values.is_empty()
            || facets.iter().any(|facet| self.is_beyond_plain(facet));
        for ways in [patterns, values].iter().filter(|ways| !ways.is_empty()) {
            all.push(format!("/(?:{})/", ways.join("|")));
        }
        let mut with = |base: &str| {
            let parts = all.iter().map(|one| lark.terminal(one));
            let parts: Vec<String> = parts.collect();
            lark.terminal(&[vec![base.to_owned()], parts].concat().join(" & "))
        };
        let any = with(&self.any);
        let plain = if is_chosen { any.clone() } else { with(&self.plain) };
        if let Some(of) = facets.first().and_then(|facet| facet.place.parent()) {
            lark.require(&plain, &of, "no value has all that its facets ask for: loosen one");
        }
        Ok(Simple { blanks, plain, any, ..*self })
    }

    /// Whether a bound has more digits than numbers that are written plainly.
    fn is_beyond_plain(&self, facet: &Facet) -> bool {
        let number = Decimal::parse(facet.value.trim()).filter(|_| self.family == Family::Decimal);
        Side::named(facet.name).is_some() && number.is_some_and(|number| !number.is_plain())
    }

    fn bound(&self, facet: &Facet) -> Result<String> {
        let Facet { name, value, place } = facet;
        let Some(side) = Side::named(name) else {
            return Err(place.refuse(&format!("the facet {name} is not one of this type")));
        };
        let value = value.trim();
        let number = || {
            Decimal::parse(value).ok_or_else(|| {
                place.refuse(&format!("{name} {value:?} is no decimal number: give one"))
            })
        };
        match self.family {
            Family::Decimal => Ok(number()?.beyond(side)),
            Family::Float(digits) => {
                let number = number()?;
                if side.has_bound() {
                    return Ok(number.beyond(side));
                }
                // With no more digits than that, two numbers are two numbers when rounded, too.
                if number.digits() > digits {
                    return Err(place.refuse(&format!(
                        "{name} {value:?} has more than the {digits} digits that are exact in this \
                            type: use xs:decimal"
                    )));
                }
                Ok(format!("({}) & {}", number.beyond(side), bounds::digits(digits)))
            }
            Family::Moment(shape) => bounds::moments(value, shape, side).ok_or_else(|| {
                place.refuse(&format!(
                    "{name} {value:?} is no bound that is known here: give it in the shape \
                        {shape}, in no time zone or with Z, with something beyond it"
                ))
            }),
            _ => Err(place.refuse(&format!("{name} is not enforced of this type: leave it out"))),
        }
    }

    fn length(&self, facet: &Facet) -> Result<u32> {
        match self.family {
            Family::Text | Family::Hex | Family::List => size(facet),
            _ => Err(facet.place.refuse(&format!(
                "{} is not enforced of this type: leave it out, or use a pattern",
                facet.name
            ))),
        }
    }

    fn least_length(&self, facet: &Facet) -> Result<u32> {
        match self.length(facet)? {
            length if length <= LONGEST => Ok(length),
            length => Err(facet
                .place
                .refuse(&format!("{} is {length}: it must be {LONGEST} at the most", facet.name))),
        }
    }

    fn lengths(
        &self,
        least: u32,
        most: Option<u32>,
        place: &Place,
        lark: &mut Lark,
    ) -> Result<String> {
        if most.is_some_and(|most| most < least) {
            return Err(place.refuse("the longest length is below the shortest: raise it"));
        }
        let times = |least: u32, most: Option<u32>| match most {
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        Ok(match (self.family, most) {
            (_, Some(0)) => "\"\"".to_owned(),
            (Family::Hex, _) => format!("/(?:..){}/", times(least, most)),
            (Family::List, _) => {
                let after = times(least.saturating_sub(1), most.map(|most| most - 1));
                let optional = if least == 0 { "?" } else { "" };
                format!("/(?:[^ ]+(?: [^ ]+){after}){optional}/")
            }
            _ => lark.terminal(&format!("/{SPELT}/")) + &times(least, most),
        })
    }

    fn with_blanks(&self, value: &str, place: &Place) -> Result<Blanks> {
        let wanted = match value {
            "preserve" => Blanks::Preserved,
            "replace" => Blanks::Replaced,
            "collapse" => Blanks::Collapsed,
            _ => {
                return Err(place.refuse(&format!(
                    "whiteSpace is {value:?}: it must be preserve, replace or collapse"
                )));
            }
        };
        let is_looser = (wanted as u8) < self.blanks as u8;
        match is_looser {
            true => Err(place.refuse("whiteSpace is looser than that of the type it is made from")),
            false => Ok(wanted),
        }
    }
}

fn size(facet: &Facet) -> Result<u32> {
    let Facet { name, value, place } = facet;
    let value = value.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(size) if is_number => Ok(size),
        _ => Err(place.refuse(&format!("{name} is {value:?}: it must be a whole number"))),
    }
}

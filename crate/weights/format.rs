//! How weights are held: which kind each matrix of a model gets.

use std::ops::RangeInclusive;

use super::spec::{self, Role};
use crate::layout::Kind;
use crate::layout::element_type::ElementType;

/// How many bits a weight that comes unquantised is held in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Bits {
    /// Symmetric groups of 4 bits: 4.5 bits a weight.
    #[default]
    Four,
    /// As `Four`, but 8 in the projections of queries, keys and values, and an offset in the down
    /// projections, which bear rounding worst: about 5 bits a weight.
    Five,
    /// Groups of 8 bits: 8.5 bits a weight.
    Eight,
    /// Half precision.
    Sixteen,
    /// As they are.
    ThirtyTwo,
    /// So many hundredths of a bit on average, scales and all: a kind for each matrix, as
    /// [`super::mix`] tells.
    Average(u16),
}

impl Bits {
    /// Those that have a name of their own.
    pub const ALL: [Bits; 5] =
        [Bits::Four, Bits::Five, Bits::Eight, Bits::Sixteen, Bits::ThirtyTwo];
    /// What may be asked for, in words.
    pub const WANTED: &str = "4, 5, 8, 16, 32 or an average from 2.5 to 8, like 3.5 or 5.25";
    /// The averages, in hundredths of a bit.
    const AVERAGES: RangeInclusive<u16> = 250..=800;

    /// All that there are.
    pub fn all() -> impl Iterator<Item = Bits> {
        Bits::ALL.into_iter().chain(Bits::AVERAGES.map(Bits::Average))
    }

    /// What users call so: 4, 5, 8, 16 or 32, or an average of at most two decimals.
    pub fn of(number: f64) -> Option<Bits> {
        let hundredths = (number * 100.0).round();
        let is_average = Bits::AVERAGES.contains(&(hundredths as u16))
            && (number * 100.0 - hundredths).abs() < 1e-6;
        let named = Bits::ALL.into_iter().find(|bits| bits.number() == number);
        named.or(is_average.then_some(Bits::Average(hundredths as u16)))
    }

    /// The same as text.
    pub fn parse(text: &str) -> Option<Bits> {
        text.parse().ok().and_then(Bits::of)
    }

    /// What users call it.
    pub fn number(self) -> f64 {
        match self {
            Bits::Four => 4.0,
            Bits::Five => 5.0,
            Bits::Eight => 8.0,
            Bits::Sixteen => 16.0,
            Bits::ThirtyTwo => 32.0,
            Bits::Average(hundredths) => f64::from(hundredths) / 100.0,
        }
    }
}

/// How weights are to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WeightFormat {
    /// The kind of those that come unquantised.
    pub floats: Kind,
    /// The kind of the fused projections of queries, keys and values that come so.
    pub qkv: Kind,
    /// The kind of the projections down from the MLP's inner width that come so.
    pub down: Kind,
    /// In place of these three: hundredths of a bit that those which come so have on average.
    pub average: Option<u16>,
    /// The kind of those that come quantised or converted, or `None` to hold each as
    /// [`crate::layout::blocks`] says.
    pub quantised: Option<Kind>,
    /// Quantised ones in the kinds that the first version had: for halves of downloads that it
    /// left.
    pub as_first: bool,
}

impl WeightFormat {
    /// Everything as f32, whatever it was: for checking other kinds against.
    pub const EXACT: WeightFormat = WeightFormat {
        floats: Kind::F32,
        qkv: Kind::F32,
        down: Kind::F32,
        average: None,
        quantised: Some(Kind::F32),
        as_first: false,
    };

    /// Part of the names under which models, and halves of downloads, are stored: what it was in
    /// the first version is in people's browsers.
    pub fn stored_name(self) -> String {
        let WeightFormat { floats, qkv, down, average, quantised, as_first: _ } = self;
        if let Some(average) = average {
            return format!("Hold {{ average: {average}, quantised: {quantised:?} }}");
        }
        let first = [("floats", floats), ("qkv", qkv), ("down", down)]
            .map(|(name, kind)| format!("{name}: {kind:?}"));
        format!("Hold {{ {}, quantised: {quantised:?} }}", first.join(", "))
    }

    /// The kind of what comes in a quantised type.
    pub(super) fn quantised_of(self, stored: &ElementType) -> Option<Kind> {
        let own = stored.quantised_kind()?;
        Some(self.quantised.unwrap_or(match (self.as_first, stored) {
            (false, _) => own,
            (true, ElementType::Q4_0) => Kind::Q4,
            (true, ElementType::Q4_1 | ElementType::Q4K) => Kind::Q4Min,
            (true, _) => Kind::Q8,
        }))
    }

    /// The kind of a canonical matrix that comes unquantised, where that is told by its role.
    pub(super) fn floats_of(self, name: &str) -> Kind {
        match spec::role(name) {
            Some(Role::Qkv) => self.qkv,
            Some(Role::Down) => self.down,
            _ => self.floats,
        }
    }
}

impl From<Kind> for WeightFormat {
    /// Unquantised weights as `kind`, quantised ones as they come.
    fn from(kind: Kind) -> WeightFormat {
        WeightFormat {
            floats: kind,
            qkv: kind,
            down: kind,
            average: None,
            quantised: None,
            as_first: false,
        }
    }
}

impl From<Bits> for WeightFormat {
    fn from(bits: Bits) -> WeightFormat {
        match bits {
            Bits::Four => Kind::Q4.into(),
            Bits::Five => WeightFormat { qkv: Kind::Q8, down: Kind::Q4Min, ..Kind::Q4.into() },
            Bits::Eight => Kind::Q8.into(),
            Bits::Sixteen => Kind::F16.into(),
            Bits::ThirtyTwo => Kind::F32.into(),
            Bits::Average(average) => WeightFormat { average: Some(average), ..Kind::Q4.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_stored_keeps_its_name() {
        assert_eq!(
            WeightFormat::from(Bits::Five).stored_name(),
            "Hold { floats: Q4, qkv: Q8, down: Q4Min, quantised: None }"
        );
        let others: BTreeSet<_> =
            Bits::all().map(|bits| WeightFormat::from(bits).stored_name()).collect();
        assert_eq!(others.len(), Bits::all().count());
    }

    #[test]
    fn bits_are_a_name_or_an_average() {
        for bits in Bits::all() {
            let number = bits.number();
            // Nothing but the five names means more or less than it says.
            let named = Bits::of(number).unwrap();
            assert!(named == bits || Bits::ALL.contains(&named) && named.number() == number);
            assert_eq!(Bits::parse(&number.to_string()), Some(named));
        }
        assert_eq!(Bits::parse("3.5"), Some(Bits::Average(350)));
        for wrong in ["2.49", "8.01", "4.505", "-4", "9", "0", "x", "", "NaN", "inf", "64"] {
            assert_eq!(Bits::parse(wrong), None, "{wrong}");
        }
    }
}

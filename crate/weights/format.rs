//! How weights are held: which kind each matrix of a model gets.

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
}

impl Bits {
    /// All of them.
    pub const ALL: [Bits; 5] =
        [Bits::Four, Bits::Five, Bits::Eight, Bits::Sixteen, Bits::ThirtyTwo];

    /// `4`, `5`, `8`, `16` or `32`.
    pub fn parse(text: &str) -> Option<Bits> {
        Bits::ALL.into_iter().find(|bits| text.parse() == Ok(bits.number()))
    }

    /// What users call it.
    pub fn number(self) -> u32 {
        match self {
            Bits::Four => 4,
            Bits::Five => 5,
            Bits::Eight => 8,
            Bits::Sixteen => 16,
            Bits::ThirtyTwo => 32,
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
        quantised: Some(Kind::F32),
        as_first: false,
    };

    /// Part of the names under which models, and halves of downloads, are stored: what it was in
    /// the first version is in people's browsers.
    pub(crate) fn stored_name(self) -> String {
        let WeightFormat { floats, qkv, down, quantised, as_first: _ } = self;
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

    /// The kind of a canonical matrix that comes unquantised.
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
        WeightFormat { floats: kind, qkv: kind, down: kind, quantised: None, as_first: false }
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_keeps_its_name() {
        assert_eq!(
            WeightFormat::from(Bits::Five).stored_name(),
            "Hold { floats: Q4, qkv: Q8, down: Q4Min, quantised: None }"
        );
    }
}

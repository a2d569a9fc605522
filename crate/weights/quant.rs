//! From floats to groups of 32 codes.

use half::f16;

use super::layout::{GROUP, Kind};
use super::panel::Group;
use crate::error::Result;

/// Chooses codes, scale and offset of 32 weights.
pub fn quantise(values: &[f32], kind: Kind) -> Result<Group> {
    let (low, high) = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    let (scale, min) = match kind {
        Kind::Q4Min => ((high - low) / 15.0, low),
        Kind::Q4 => (low.abs().max(high.abs()) / 7.0, 0.0),
        _ => (low.abs().max(high.abs()) / 127.0, 0.0),
    };
    let (scale, min) = (f16::from_f32(scale), f16::from_f32(min));
    let code = |v: f32| match kind {
        Kind::Q4Min => ((v - min.to_f32()) / scale.to_f32()).round().clamp(0.0, 15.0) as u8,
        Kind::Q4 => ((v / scale.to_f32()).round() + 8.0).clamp(0.0, 15.0) as u8,
        _ => (v / scale.to_f32()).round().clamp(-127.0, 127.0) as i8 as u8,
    };
    let codes: [u8; GROUP] = std::array::from_fn(|i| {
        if scale > f16::ZERO {
            code(values[i])
        } else if kind == Kind::Q4 {
            8
        } else {
            0
        }
    });
    Ok(Group { codes, scale, min })
}

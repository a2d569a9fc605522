//! What the bytes of a stored row mean, and how they become rows of the packed layout.
//!
//! | stored | becomes by itself | error of a weight |
//! |---|---|---|
//! | `Q4_0`, `Q5_0`, `Q8_0` | `Q4`, `Q5`, `Q8` | none |
//! | `Q4_1`, `Q5_1` | `Q4Min`, `Q5Min` | none |
//! | `Q2_K` to `Q6_K` | `Q2K` to `Q6K` | none |
//! | `IQ4_NL`, `IQ4_XS` | `IQ4NL`, `IQ4XS` | none |
//! | `TQ1_0`, `TQ2_0` | `Q2K` | none |
//! | `MXFP4` | `FP4` | none; a scale that f16 does not hold is refused |
//! | `F32`, `F16`, `BF16` | as asked | the quantiser's, or f16 rounding, or none |
//!
//! `Q4_0` fits `Q4Min` and `Q8` without error too, and `Q5_0` `Q8`: halves of downloads that the
//! first version left take them, and `Q8` for what it had no kind for, which moves a weight by at
//! most 1/253 of the largest of its group of 32. Any other pair goes by way of floats.

use half::{bf16, f16};

use super::bits::{
    block, f16_at, fives, half_at, iq4xs_codes, iq4xs_scale, nibbles, pairs, power_of_two,
    q3k_codes, q3k_scales, q4k_codes, q5k_codes, q6k_codes, scale_min, step_and_min, tq1_0_code,
};
use super::element_type::ElementType;
use super::quant::{KINDS, NOT_FINITE, OTHERS, QuantError, SCALE_NOT_FINITE, quantise};
use super::steps::quantise_block;
use crate::error::{Code, Result, fail};
use crate::layout::panel::{Block, Group, Panel};
use crate::layout::{BLOCK, GROUP, Kind};

/// The values of stored bytes: whole blocks, as many as there are.
///
/// # Errors
/// `unsupported-tensor` for a type without weights.
pub fn values(stored: &ElementType, bytes: &[u8]) -> Result<Vec<f32>> {
    let Some((elements, size)) = stored.block() else {
        fail!(
            Code::UnsupportedTensor,
            "the element type {} is not one that we read",
            stored.name()
        );
    };
    let blocks = bytes.chunks_exact(size);
    let mut values = Vec::with_capacity(blocks.len() * elements);
    match stored {
        ElementType::F32 => values.extend(
            blocks.map(|block| f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
        ),
        ElementType::F16 => values.extend(blocks.map(|block| half_at(block, 0))),
        ElementType::BF16 => {
            values.extend(blocks.map(|block| bf16::from_le_bytes([block[0], block[1]]).to_f32()))
        }
        _ => {
            let Some(kind) = stored.quantised_kind() else {
                fail!(
                    Code::UnsupportedTensor,
                    "the element type {} holds no weights",
                    stored.name()
                );
            };
            let count = blocks.len();
            if let Some(exact) = exact_block(stored, kind) {
                (0..count).for_each(|at| values.extend(exact(bytes, at).values(kind)));
            } else if let Some(exact) = exact_group(stored, kind) {
                (0..count).for_each(|at| values.extend(exact(bytes, at).values(kind)));
            }
        }
    }
    Ok(values)
}

/// Sets a row of a panel from a stored row, exactly where the table above says so. Returns what the
/// others lose.
///
/// # Errors
/// `unsupported-tensor` for a type without weights, `malformed` for weights or scales that are NaN
/// or infinite, `bad-option` for weights beyond f16 that shall be held in it.
pub fn pack_row(
    stored: &ElementType,
    bytes: &[u8],
    panel: &mut Panel,
    row: usize,
) -> Result<QuantError> {
    if let Some(exact) = exact_block(stored, panel.kind) {
        for block in 0..panel.cols / GROUP / BLOCK {
            let held = exact(bytes, block);
            if !held.factors.iter().all(|factor| factor.is_finite()) {
                fail!(Code::Malformed, "{SCALE_NOT_FINITE}");
            }
            panel.set_block(row, block, &held);
        }
        return Ok(QuantError::default());
    }
    if let Some(exact) = exact_group(stored, panel.kind) {
        for group in 0..panel.cols / GROUP {
            let held = exact(bytes, group);
            finite(&held)?;
            panel.set_group(row, group, &held);
        }
        return Ok(QuantError::default());
    }
    let (values, mut error) = (values(stored, bytes)?, QuantError::default());
    if values.iter().any(|value| !value.is_finite()) {
        fail!(Code::Malformed, "{}", if stored.is_float() { NOT_FINITE } else { SCALE_NOT_FINITE });
    }
    if !panel.kind.has_scales() {
        panel.set_row(row, &values);
        if panel.kind == Kind::F16 {
            values.iter().for_each(|&value| error.add(&[value], &[f16::from_f32(value).to_f32()]));
            if !error.error.is_finite() {
                fail!(
                    Code::BadOption,
                    "a weight is too large for 16 bits; hold the model in 32, 8 or 4"
                );
            }
        }
        return Ok(error);
    }
    if !KINDS.contains(&panel.kind) && !OTHERS.contains(&panel.kind) {
        fail!(Code::Internal, "weights of type {} as {:?}", stored.name(), panel.kind);
    }
    if panel.kind.has_blocks() {
        for (block, values) in values.chunks_exact(panel.kind.unit()).enumerate() {
            let held = quantise_block(values, panel.kind)?;
            error.add(values, &held.values(panel.kind));
            panel.set_block(row, block, &held);
        }
        return Ok(error);
    }
    for (group, values) in values.chunks_exact(GROUP).enumerate() {
        // What was quantised once is only rounded: the quantiser's search would gain nothing, and
        // the bound is a clear one.
        let rounded = panel.kind == Kind::Q8 && !stored.is_float();
        let held = if rounded { round_to_q8(values) } else { quantise(values, panel.kind)? };
        finite(&held)?;
        error.add(values, &held.values(panel.kind));
        panel.set_group(row, group, &held);
    }
    Ok(error)
}

/// What a group's codes are multiplied with is a number: kernels rely on it.
fn finite(group: &Group) -> Result<()> {
    if !(group.scale.is_finite() && group.min.is_finite()) {
        fail!(Code::Malformed, "{SCALE_NOT_FINITE}");
    }
    Ok(())
}

/// How to take a group of a row as it is, where the kind can hold it.
fn exact_group(stored: &ElementType, kind: Kind) -> Option<fn(&[u8], usize) -> Group> {
    let exact: fn(&[u8], usize) -> Group = match (stored, kind) {
        (ElementType::Q4_0, Kind::Q4) => q4_0,
        (ElementType::Q4_0, Kind::Q4Min) => |row, at| {
            // A minimum in place of a zero, a power of two: their product is exact.
            let group = q4_0(row, at);
            Group { min: f16::from_f32(-8.0 * group.scale.to_f32()), ..group }
        },
        (ElementType::Q4_0, Kind::Q8) => |row, at| moved(q4_0(row, at), -8),
        (ElementType::Q4_1, Kind::Q4Min) => |row, at| {
            let block = block(row, at, 20);
            Group { codes: nibbles(&block[4..]), scale: f16_at(block, 0), min: f16_at(block, 2) }
        },
        // Scale and minimum round to f16: the first version held it so.
        (ElementType::Q4K, Kind::Q4Min) => |row, at| {
            let block = block(row, at / BLOCK, 144);
            let (step, min) = step_and_min(block, at % BLOCK);
            let codes = q4k_codes(block, at % BLOCK);
            Group { codes, scale: f16::from_f32(step), min: f16::from_f32(-min) }
        },
        (ElementType::Q5_0, Kind::Q5) => q5_0,
        (ElementType::Q5_0, Kind::Q8) => |row, at| moved(q5_0(row, at), -16),
        (ElementType::Q5_1, Kind::Q5Min) => |row, at| {
            let block = block(row, at, 24);
            Group { codes: fives(&block[4..]), scale: f16_at(block, 0), min: f16_at(block, 2) }
        },
        (ElementType::IQ4NL, Kind::IQ4NL) => q4_0,
        (ElementType::MXFP4, Kind::FP4) => |row, at| {
            let block = block(row, at, 17);
            let codes = nibbles(&block[1..]);
            Group { codes, scale: power_of_two(block[0], &codes), min: f16::ZERO }
        },
        (ElementType::Q8_0, Kind::Q8) => |row, at| {
            let block = block(row, at, 34);
            let codes = std::array::from_fn(|i| block[2 + i]);
            Group { codes, scale: f16_at(block, 0), min: f16::ZERO }
        },
        _ => return None,
    };
    Some(exact)
}

/// `IQ4_NL` lies so, too.
fn q4_0(row: &[u8], at: usize) -> Group {
    let block = block(row, at, 18);
    Group { codes: nibbles(&block[2..]), scale: f16_at(block, 0), min: f16::ZERO }
}

fn q5_0(row: &[u8], at: usize) -> Group {
    let block = block(row, at, 22);
    Group { codes: fives(&block[2..]), scale: f16_at(block, 0), min: f16::ZERO }
}

/// The group with other codes for the same values.
fn moved(group: Group, by: i8) -> Group {
    Group { codes: group.codes.map(|code| code.wrapping_add_signed(by)), ..group }
}

/// How to take a block of a row as it is, where the kind can hold it.
fn exact_block(stored: &ElementType, kind: Kind) -> Option<fn(&[u8], usize) -> Block> {
    let exact: fn(&[u8], usize) -> Block = match (stored, kind) {
        (ElementType::Q2K, Kind::Q2K) => |row, at| {
            let block = block(row, at, 84);
            Block {
                codes: std::array::from_fn(|group| pairs(&block[16..], group)),
                scales: std::array::from_fn(|group| [0, 1].map(|i| block[2 * group + i])),
                factors: [f16_at(block, 80), f16_at(block, 82)],
            }
        },
        (ElementType::Q3K, Kind::Q3K) => |row, at| {
            let block = block(row, at, 110);
            Block {
                codes: std::array::from_fn(|group| q3k_codes(block, group)),
                scales: std::array::from_fn(|group| q3k_scales(block, group).map(|x| x as u8)),
                factors: [f16_at(block, 108), f16::ZERO],
            }
        },
        (ElementType::Q4K, Kind::Q4K) => |row, at| {
            let block = block(row, at, 144);
            Block {
                codes: std::array::from_fn(|group| q4k_codes(block, group)),
                scales: std::array::from_fn(|group| scale_min(block, group)),
                factors: [f16_at(block, 0), f16_at(block, 2)],
            }
        },
        (ElementType::Q5K, Kind::Q5K) => |row, at| {
            let block = block(row, at, 176);
            Block {
                codes: std::array::from_fn(|group| q5k_codes(block, group)),
                scales: std::array::from_fn(|group| scale_min(block, group)),
                factors: [f16_at(block, 0), f16_at(block, 2)],
            }
        },
        (ElementType::Q6K, Kind::Q6K) => |row, at| {
            let block = block(row, at, 210);
            Block {
                codes: std::array::from_fn(|group| q6k_codes(block, group)),
                scales: std::array::from_fn(|group| [0, 1].map(|i| block[192 + 2 * group + i])),
                factors: [f16_at(block, 208), f16::ZERO],
            }
        },
        (ElementType::IQ4XS, Kind::IQ4XS) => |row, at| {
            let block = block(row, at, 136);
            Block {
                codes: std::array::from_fn(|group| iq4xs_codes(block, group)),
                scales: std::array::from_fn(|group| [iq4xs_scale(block, group) as u8, 0]),
                factors: [f16_at(block, 0), f16::ZERO],
            }
        },
        (ElementType::TQ1_0, Kind::Q2K) => |row, at| {
            let block = block(row, at, 54);
            let codes = |group| std::array::from_fn(|i| tq1_0_code(block, group * GROUP + i));
            ternary(f16_at(block, 52), std::array::from_fn(codes))
        },
        (ElementType::TQ2_0, Kind::Q2K) => |row, at| {
            let block = block(row, at, 66);
            ternary(f16_at(block, 64), std::array::from_fn(|group| pairs(block, group)))
        },
        _ => return None,
    };
    Some(exact)
}

/// Codes of -1, 0 and 1, one more than they are: every group has one step and a minimum of one.
fn ternary(step: f16, codes: [[u8; GROUP]; BLOCK]) -> Block {
    Block { codes, scales: [[0x11; 2]; BLOCK], factors: [step; 2] }
}

/// The nearest `Q8` group: within half a step of 1/127 of the largest weight, a little more for
/// rounding the scale to f16.
fn round_to_q8(values: &[f32]) -> Group {
    let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let scale = f16::from_f32(largest / 127.0);
    let step = scale.to_f32();
    let steps = if step > 0.0 { 1.0 / step } else { 0.0 };
    // Half away from zero; f32::round would be a call for each weight.
    let code =
        |value: f32| ((value * steps).clamp(-127.0, 127.0) + 0.5f32.copysign(value)) as i8 as u8;
    Group { codes: std::array::from_fn(|i| code(values[i])), scale, min: f16::ZERO }
}

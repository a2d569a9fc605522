//! What the bytes of a stored row mean, and how they become rows of the packed layout.
//!
//! | stored | becomes by itself | error of a weight |
//! |---|---|---|
//! | `Q4_0` | `Q4` | none |
//! | `Q4_1` | `Q4Min` | none |
//! | `Q4_K` | `Q4Min` | scale and minimum of each group round to f16: at most 2⁻¹¹ (15 scale + minimum) |
//! | `Q5_0`, `Q8_0` | `Q8` | none |
//! | `Q5_1`, `Q5_K`, `Q6_K` | `Q8` | at most 1/253 of the largest weight of its group of 32 |
//! | `F32`, `F16`, `BF16` | as asked | the quantiser's, or f16 rounding, or none |
//!
//! `Q4_0` fits `Q4Min` and `Q8` without error too, which matters where fused projections are stored
//! in several types. Any other pair goes by way of floats. (f16 has no steps below 2⁻²⁴; scales
//! that small lose more than the table says.)

use half::{bf16, f16};

use super::element_type::ElementType;
use super::quant::{NOT_FINITE, QuantError, SCALE_NOT_FINITE, dequantise, quantise};
use crate::error::{Code, Result, fail};
use crate::layout::panel::{Group, Panel};
use crate::layout::{GROUP, Kind};

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
        ElementType::Q4_0
        | ElementType::Q4_1
        | ElementType::Q5_0
        | ElementType::Q5_1
        | ElementType::Q8_0 => {
            blocks.for_each(|block| small_block(stored, block, &mut values));
        }
        ElementType::Q4K => {
            blocks.for_each(|block| (0..8).for_each(|group| q4k_group(block, group, &mut values)))
        }
        ElementType::Q5K => {
            blocks.for_each(|block| (0..8).for_each(|group| q5k_group(block, group, &mut values)))
        }
        ElementType::Q6K => blocks.for_each(|block| q6k_block(block, &mut values)),
        ElementType::U8 | ElementType::Other(_) => {
            fail!(Code::UnsupportedTensor, "the element type {} holds no weights", stored.name())
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
    for (group, values) in values.chunks_exact(GROUP).enumerate() {
        // What was quantised once is only rounded: the quantiser's search would gain nothing, and
        // the bound is a clear one.
        let rounded = panel.kind == Kind::Q8 && !stored.is_float();
        let held = if rounded { round_to_q8(values) } else { quantise(values, panel.kind)? };
        finite(&held)?;
        error.add(values, &dequantise(&held, panel.kind));
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
    Some(match (stored, kind) {
        (ElementType::Q4_0, Kind::Q4) => |row, at| {
            let block = block(row, at, 18);
            Group { codes: nibbles(&block[2..]), scale: f16_at(block, 0), min: f16::ZERO }
        },
        (ElementType::Q4_0, Kind::Q4Min) => |row, at| {
            let block = block(row, at, 18);
            // Eight is a power of two: the product is exact.
            Group {
                codes: nibbles(&block[2..]),
                scale: f16_at(block, 0),
                min: f16::from_f32(-8.0 * half_at(block, 0)),
            }
        },
        (ElementType::Q4_0, Kind::Q8) => |row, at| {
            let block = block(row, at, 18);
            Group {
                codes: nibbles(&block[2..]).map(|code| code.wrapping_sub(8)),
                scale: f16_at(block, 0),
                min: f16::ZERO,
            }
        },
        (ElementType::Q4_1, Kind::Q4Min) => |row, at| {
            let block = block(row, at, 20);
            Group { codes: nibbles(&block[4..]), scale: f16_at(block, 0), min: f16_at(block, 2) }
        },
        (ElementType::Q4K, Kind::Q4Min) => |row, at| {
            let block = block(row, at / 8, 144);
            let (scale, min) = scale_min(block, at % 8);
            Group {
                codes: q4k_codes(block, at % 8),
                scale: f16::from_f32(scale),
                min: f16::from_f32(-min),
            }
        },
        (ElementType::Q5_0, Kind::Q8) => |row, at| {
            let block = block(row, at, 22);
            Group {
                codes: fives(&block[2..]).map(|code| code.wrapping_sub(16)),
                scale: f16_at(block, 0),
                min: f16::ZERO,
            }
        },
        (ElementType::Q8_0, Kind::Q8) => |row, at| {
            let block = block(row, at, 34);
            Group {
                codes: std::array::from_fn(|i| block[2 + i]),
                scale: f16_at(block, 0),
                min: f16::ZERO,
            }
        },
        _ => return None,
    })
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

/// Blocks of 32.
fn small_block(stored: &ElementType, block: &[u8], values: &mut Vec<f32>) {
    let scale = half_at(block, 0);
    match stored {
        ElementType::Q4_0 => {
            values.extend(nibbles(&block[2..]).map(|code| scale * (f32::from(code) - 8.0)))
        }
        ElementType::Q4_1 => values
            .extend(nibbles(&block[4..]).map(|code| scale * f32::from(code) + half_at(block, 2))),
        ElementType::Q5_0 => {
            values.extend(fives(&block[2..]).map(|code| scale * (f32::from(code) - 16.0)))
        }
        ElementType::Q5_1 => values
            .extend(fives(&block[4..]).map(|code| scale * f32::from(code) + half_at(block, 2))),
        _ => values.extend(block[2..34].iter().map(|&code| scale * f32::from(code as i8))),
    }
}

/// 16 bytes: columns 0..16 in the low nibbles, 16..32 in the high ones.
fn nibbles(bytes: &[u8]) -> [u8; GROUP] {
    let mut codes = [0; GROUP];
    // In two halves, each of which is one instruction: a choice for each byte is not seen to be
    // that.
    let (low, high) = codes.split_at_mut(GROUP / 2);
    for ((low, high), byte) in low.iter_mut().zip(high).zip(&bytes[..GROUP / 2]) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
    codes
}

/// Four bytes of fifth bits, one for each column, then the nibbles.
fn fives(bytes: &[u8]) -> [u8; GROUP] {
    let low = nibbles(&bytes[4..]);
    std::array::from_fn(|i| low[i] | (bytes[i / 8] >> (i % 8) & 1) << 4)
}

/// Group `group` of 8 of a `Q4_K` or `Q5_K` block: what a step is worth, and what is subtracted.
fn scale_min(block: &[u8], group: usize) -> (f32, f32) {
    let packed = &block[4..16];
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        // The upper four groups keep their two upper bits above those of the lower four.
        (
            packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
            packed[group + 4] >> 4 | packed[group] >> 6 << 4,
        )
    };
    (half_at(block, 0) * f32::from(scale), half_at(block, 2) * f32::from(min))
}

/// Groups lie in pairs of 32 bytes: the even one in the low nibbles, the odd one in the high ones.
fn paired_nibbles(bytes: &[u8], group: usize) -> [u8; GROUP] {
    let bytes = &bytes[group / 2 * 32..][..32];
    std::array::from_fn(|i| if group.is_multiple_of(2) { bytes[i] & 15 } else { bytes[i] >> 4 })
}

fn q4k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    paired_nibbles(&block[16..], group)
}

fn q4k_group(block: &[u8], group: usize, values: &mut Vec<f32>) {
    let (scale, min) = scale_min(block, group);
    values.extend(q4k_codes(block, group).map(|code| scale * f32::from(code) - min));
}

/// The fifth bits come first: bit g of byte i belongs to column i of group g.
fn q5k_group(block: &[u8], group: usize, values: &mut Vec<f32>) {
    let (scale, min) = scale_min(block, group);
    let (fifth, low) = (&block[16..48], paired_nibbles(&block[48..], group));
    values
        .extend((0..GROUP).map(|i| scale * f32::from(low[i] | (fifth[i] >> group & 1) << 4) - min));
}

/// Two halves of 128: 64 bytes of low nibbles and 32 bytes of upper pairs each, a scale for every
/// 16 columns, then the block's.
fn q6k_block(block: &[u8], values: &mut Vec<f32>) {
    let (low, high, scales, d) =
        (&block[..128], &block[128..192], &block[192..208], half_at(block, 208));
    for i in 0..256 {
        let (half, quarter, column) = (i / 128, i % 128 / 32, i % 32);
        let byte = low[64 * half + quarter % 2 * 32 + column];
        let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
        let code = nibble | (high[32 * half + column] >> (2 * quarter) & 3) << 4;
        values.push(d * f32::from(scales[i / 16] as i8) * (f32::from(code) - 32.0));
    }
}

fn block(row: &[u8], at: usize, size: usize) -> &[u8] {
    &row[at * size..][..size]
}

fn f16_at(block: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([block[at], block[at + 1]])
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16_at(block, at).to_f32()
}

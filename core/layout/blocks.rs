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

/// A byte is a fraction of 256 whose first five digits to the base of three are codes, and four in
/// the last four bytes. Digits of as many bytes lie together: 32, then 16, then 4.
fn tq1_0_code(block: &[u8], column: usize) -> u8 {
    let (first, bytes, column) = match column {
        0..160 => (0, 32, column),
        160..240 => (32, 16, column - 160),
        _ => (48, 4, column - 240),
    };
    let digit = 3u8.pow((column / bytes) as u32);
    let rest = block[first + column % bytes].wrapping_mul(digit);
    (u16::from(rest) * 3 >> 8) as u8
}

/// 2 to the power of a byte less 128, which f16 holds from -24 to 15. Of zeros none is needed;
/// others become no number, which is told.
fn power_of_two(byte: u8, codes: &[u8; GROUP]) -> f16 {
    match i16::from(byte) - 128 {
        exponent @ -14..=15 => f16::from_bits(((exponent + 15) as u16) << 10),
        exponent @ -24..=-15 => f16::from_bits(1 << (exponent + 24)),
        _ if codes.iter().all(|code| code & 7 == 0) => f16::ZERO,
        _ => f16::NAN,
    }
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

/// Groups lie in fours of 32 bytes, two bits of each byte a group.
fn pairs(bytes: &[u8], group: usize) -> [u8; GROUP] {
    let bytes = &bytes[group / 4 * 32..][..32];
    std::array::from_fn(|i| bytes[i] >> (group % 4 * 2) & 3)
}

/// The third bits come first: bit g of byte i belongs to column i of group g.
fn q3k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    let low = pairs(&block[32..], group);
    std::array::from_fn(|i| low[i] | (block[i] >> group & 1) << 2)
}

/// Both halves' scales, of six bits: the lower four of 16 scales lie in 8 bytes, the upper two in
/// the 4 after them.
fn q3k_scales(block: &[u8], group: usize) -> [i8; 2] {
    let packed = &block[96..108];
    [2 * group, 2 * group + 1].map(|i| {
        let low = packed[i % 8] >> (i / 8 * 4) & 15;
        (low | (packed[8 + i % 4] >> (i / 4 * 2) & 3) << 4) as i8 - 32
    })
}

/// Group `group` of 8 of a `Q4_K` or `Q5_K` block: its scale and its minimum.
fn scale_min(block: &[u8], group: usize) -> [u8; 2] {
    let packed = &block[4..16];
    if group < 4 {
        return [packed[group] & 63, packed[group + 4] & 63];
    }
    // The upper four groups keep their two upper bits above those of the lower four.
    [
        packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
        packed[group + 4] >> 4 | packed[group] >> 6 << 4,
    ]
}

/// Of such a block: what a step of the group is worth, and what is subtracted.
fn step_and_min(block: &[u8], group: usize) -> (f32, f32) {
    let [scale, min] = scale_min(block, group).map(f32::from);
    (half_at(block, 0) * scale, half_at(block, 2) * min)
}

/// Groups lie in pairs of 32 bytes: the even one in the low nibbles, the odd one in the high ones.
fn paired_nibbles(bytes: &[u8], group: usize) -> [u8; GROUP] {
    let bytes = &bytes[group / 2 * 32..][..32];
    std::array::from_fn(|i| if group.is_multiple_of(2) { bytes[i] & 15 } else { bytes[i] >> 4 })
}

fn q4k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    paired_nibbles(&block[16..], group)
}

/// The fifth bits come first: bit g of byte i belongs to column i of group g.
fn q5k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    let (fifth, low) = (&block[16..48], paired_nibbles(&block[48..], group));
    std::array::from_fn(|i| low[i] | (fifth[i] >> group & 1) << 4)
}

/// Two halves of four groups: 64 bytes of low nibbles and 32 bytes of upper pairs each, a scale for
/// every 16 columns, then the block's.
fn q6k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    let (half, quarter) = (group / 4, group % 4);
    std::array::from_fn(|column| {
        let byte = block[64 * half + quarter % 2 * 32 + column];
        let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
        nibble | (block[128 + 32 * half + column] >> (2 * quarter) & 3) << 4
    })
}

/// Of a scale's six bits the upper two come first, in two bytes for all groups, then the lower four
/// in four bytes.
fn iq4xs_scale(block: &[u8], group: usize) -> i8 {
    let upper = u16::from_le_bytes([block[2], block[3]]) >> (2 * group) & 3;
    let lower = block[4 + group / 2] >> (group % 2 * 4) & 15;
    (lower | (upper as u8) << 4) as i8 - 32
}

fn iq4xs_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    nibbles(&block[8 + 16 * group..])
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

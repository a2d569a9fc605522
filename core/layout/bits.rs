//! The bits of GGUF's blocks: where each has its codes and its scales.

use half::f16;

use crate::layout::GROUP;

/// 16 bytes: columns 0..16 in the low nibbles, 16..32 in the high ones.
pub fn nibbles(bytes: &[u8]) -> [u8; GROUP] {
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
pub fn fives(bytes: &[u8]) -> [u8; GROUP] {
    let low = nibbles(&bytes[4..]);
    std::array::from_fn(|i| low[i] | (bytes[i / 8] >> (i % 8) & 1) << 4)
}

/// Groups lie in fours of 32 bytes, two bits of each byte a group.
pub fn pairs(bytes: &[u8], group: usize) -> [u8; GROUP] {
    let bytes = &bytes[group / 4 * 32..][..32];
    std::array::from_fn(|i| bytes[i] >> (group % 4 * 2) & 3)
}

/// The third bits come first: bit g of byte i belongs to column i of group g.
pub fn q3k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    let low = pairs(&block[32..], group);
    std::array::from_fn(|i| low[i] | (block[i] >> group & 1) << 2)
}

/// Both halves' scales, of six bits: the lower four of 16 scales lie in 8 bytes, the upper two in
/// the 4 after them.
pub fn q3k_scales(block: &[u8], group: usize) -> [i8; 2] {
    let packed = &block[96..108];
    [2 * group, 2 * group + 1].map(|i| {
        let low = packed[i % 8] >> (i / 8 * 4) & 15;
        (low | (packed[8 + i % 4] >> (i / 4 * 2) & 3) << 4) as i8 - 32
    })
}

/// Group `group` of 8 of a `Q4_K` or `Q5_K` block: its scale and its minimum.
pub fn scale_min(block: &[u8], group: usize) -> [u8; 2] {
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
pub fn step_and_min(block: &[u8], group: usize) -> (f32, f32) {
    let [scale, min] = scale_min(block, group).map(f32::from);
    (half_at(block, 0) * scale, half_at(block, 2) * min)
}

/// Groups lie in pairs of 32 bytes: the even one in the low nibbles, the odd one in the high ones.
fn paired_nibbles(bytes: &[u8], group: usize) -> [u8; GROUP] {
    let bytes = &bytes[group / 2 * 32..][..32];
    std::array::from_fn(|i| if group.is_multiple_of(2) { bytes[i] & 15 } else { bytes[i] >> 4 })
}

pub fn q4k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    paired_nibbles(&block[16..], group)
}

/// The fifth bits come first: bit g of byte i belongs to column i of group g.
pub fn q5k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    let (fifth, low) = (&block[16..48], paired_nibbles(&block[48..], group));
    std::array::from_fn(|i| low[i] | (fifth[i] >> group & 1) << 4)
}

/// Two halves of four groups: 64 bytes of low nibbles and 32 bytes of upper pairs each, a scale for
/// every 16 columns, then the block's.
pub fn q6k_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    let (half, quarter) = (group / 4, group % 4);
    std::array::from_fn(|column| {
        let byte = block[64 * half + quarter % 2 * 32 + column];
        let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
        nibble | (block[128 + 32 * half + column] >> (2 * quarter) & 3) << 4
    })
}

/// Of a scale's six bits the upper two come first, in two bytes for all groups, then the lower four
/// in four bytes.
pub fn iq4xs_scale(block: &[u8], group: usize) -> i8 {
    let upper = u16::from_le_bytes([block[2], block[3]]) >> (2 * group) & 3;
    let lower = block[4 + group / 2] >> (group % 2 * 4) & 15;
    (lower | (upper as u8) << 4) as i8 - 32
}

pub fn iq4xs_codes(block: &[u8], group: usize) -> [u8; GROUP] {
    nibbles(&block[8 + 16 * group..])
}

pub fn block(row: &[u8], at: usize, size: usize) -> &[u8] {
    &row[at * size..][..size]
}

pub fn f16_at(block: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([block[at], block[at + 1]])
}

pub fn half_at(block: &[u8], at: usize) -> f32 {
    f16_at(block, at).to_f32()
}

/// A byte is a fraction of 256 whose first five digits to the base of three are codes, and four in
/// the last four bytes. Digits of as many bytes lie together: 32, then 16, then 4.
pub fn tq1_0_code(block: &[u8], column: usize) -> u8 {
    let (first, bytes, column) = match column {
        0..160 => (0, 32, column),
        160..240 => (32, 16, column - 160),
        _ => (48, 4, column - 240),
    };
    let digit = 3u8.pow((column / bytes) as u32);
    let rest = block[first + column % bytes].wrapping_mul(digit);
    ((u16::from(rest) * 3) >> 8) as u8
}

/// 2 to the power of a byte less 128, which f16 holds from -24 to 15. Of zeros none is needed;
/// others become no number, which is told.
pub fn power_of_two(byte: u8, codes: &[u8; GROUP]) -> f16 {
    match i16::from(byte) - 128 {
        exponent @ -14..=15 => f16::from_bits(((exponent + 15) as u16) << 10),
        exponent @ -24..=-15 => f16::from_bits(1 << (exponent + 24)),
        _ if codes.iter().all(|code| code & 7 == 0) => f16::ZERO,
        _ => f16::NAN,
    }
}

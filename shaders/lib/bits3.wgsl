// Codes of three bits: the lower two in a line for each half of a group, the upper ones in a line
// after them. Layout: core/layout/mod.rs.

const GROUP_STRIDE: u32 = 3u;

// For each row the codes of a group's four columns from 4 * four on.
fn code_bytes(group: u32, four: u32) -> vec4<u32> {
    let line = codes[group * GROUP_STRIDE + four / 4u];
    let upper = codes[group * GROUP_STRIDE + 2u];
    let low = (line >> vec4<u32>(2u * (four % 4u))) & vec4<u32>(0x03030303u);
    return low | (((upper >> vec4<u32>(four)) & vec4<u32>(0x01010101u)) << vec4<u32>(2u));
}

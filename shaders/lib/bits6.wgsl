// Codes of six bits: the upper two of each half lie in a line after the nibbles. Layout:
// core/layout/mod.rs.

const GROUP_STRIDE: u32 = 6u;

// For each row the codes of a group's four columns from 4 * four on.
fn code_bytes(group: u32, four: u32) -> vec4<u32> {
    let line = codes[group * GROUP_STRIDE + four % 4u];
    let upper = codes[group * GROUP_STRIDE + 4u + four / 4u];
    let low = (line >> vec4<u32>(four & 4u)) & vec4<u32>(0x0f0f0f0fu);
    let places = vec4<u32>(2u * (four % 4u));
    return low | (((upper >> places) & vec4<u32>(0x03030303u)) << vec4<u32>(4u));
}

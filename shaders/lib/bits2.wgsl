// Codes of two bits, a line for each half of a group. Layout: core/layout/mod.rs.

const GROUP_STRIDE: u32 = 2u;

// For each row the codes of a group's four columns from 4 * four on.
fn code_bytes(group: u32, four: u32) -> vec4<u32> {
    let line = codes[group * GROUP_STRIDE + four / 4u];
    return (line >> vec4<u32>(2u * (four % 4u))) & vec4<u32>(0x03030303u);
}

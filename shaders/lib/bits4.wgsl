// Codes of four bits. Layout: core/layout/mod.rs.

const GROUP_STRIDE: u32 = 4u;

// For each row the codes of a group's four columns from 4 * four on.
fn code_bytes(group: u32, four: u32) -> vec4<u32> {
    let line = codes[group * GROUP_STRIDE + four % 4u];
    return (line >> vec4<u32>(four & 4u)) & vec4<u32>(0x0f0f0f0fu);
}

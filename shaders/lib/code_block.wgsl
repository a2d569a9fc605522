// The block of the same columns as `block` has, as code - ZERO in bytes: for each row those of four
// columns.
fn code_block(quad: u32, column4: u32) -> vec4<u32> {
    let bytes = code_bytes(quad * GROUPS + column4 / 8u, column4 % 8u);
    // With its upper bit set no byte borrows from the next.
    let upper = vec4<u32>(0x80808080u);
    return ((bytes | upper) - vec4<u32>(u32(ZERO) * 0x01010101u)) ^ upper;
}

// Codes that are places in a table of signed bytes. Layout: core/layout/mod.rs.

const GROUP_STRIDE: u32 = 4u;

// The bytes of the table at the places in the lower bytes of four rows, 128 more than they are.
fn looked_up(places: vec4<u32>) -> vec4<u32> {
    let odd = (places & vec4<u32>(4u)) != vec4<u32>();
    let low = select(vec4<u32>(TABLE.x), vec4<u32>(TABLE.y), odd);
    let high = select(vec4<u32>(TABLE.z), vec4<u32>(TABLE.w), odd);
    let four = select(low, high, (places & vec4<u32>(8u)) != vec4<u32>());
    return (four >> (8u * (places & vec4<u32>(3u)))) & vec4<u32>(255u);
}

// For each row what the codes of a group's four columns from 4 * four on stand for, 128 more.
fn code_bytes(group: u32, four: u32) -> vec4<u32> {
    let line = codes[group * GROUP_STRIDE + four % 4u] >> vec4<u32>(four & 4u);
    let first = looked_up(line);
    let second = looked_up(line >> vec4<u32>(8u));
    let third = looked_up(line >> vec4<u32>(16u));
    let fourth = looked_up(line >> vec4<u32>(24u));
    let upper = (third << vec4<u32>(16u)) | (fourth << vec4<u32>(24u));
    return first | (second << vec4<u32>(8u)) | upper;
}

// The block of the same columns as `block` has, as what codes stand for in bytes: for each row
// those of four columns.
fn code_block(quad: u32, column4: u32) -> vec4<u32> {
    return code_bytes(quad * GROUPS + column4 / 8u, column4 % 8u) ^ vec4<u32>(0x80808080u);
}

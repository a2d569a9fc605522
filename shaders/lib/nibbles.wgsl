// What the two 4-bit kinds share. Layout: core/layout/mod.rs.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>; // lines: [quads, GROUPS, 4]
@group(0) @binding(2) var<storage, read> scales: array<vec2<u32>>; // f16: [quads, GROUPS, 4]

// 16-byte lines of a group, each with 8 columns of the quad's four rows.
const GROUP_LINES: u32 = 4u;
// Lines that name the same four columns: each names two fours.
const LINES_OF_FOUR: f32 = 0.5;

// The columns of a line, in fours: the low nibbles' and the high ones'.
fn line_columns(line: u32) -> vec2<u32> {
    let low = line / GROUP_LINES * 8u + line % GROUP_LINES;
    return vec2<u32>(low, low + 4u);
}

// Four columns of a line as (code - 8) / 16, exact in half precision too: bytes' low nibbles for
// shift 0, high ones for shift 4.
fn nibbles(line: vec4<u32>, shift: u32) -> mat4x4<Real> {
    let half = vec4<Real>(0.5);
    let mask = vec4<u32>(15u);
    let unit = Real(0.0625);
    let moved = line >> vec4<u32>(shift);
    return mat4x4<Real>(
        vec4<Real>(moved & mask) * unit - half,
        vec4<Real>((moved >> vec4<u32>(8u)) & mask) * unit - half,
        vec4<Real>((moved >> vec4<u32>(16u)) & mask) * unit - half,
        vec4<Real>((moved >> vec4<u32>(24u)) & mask) * unit - half,
    );
}

// The scales of a quad's rows, as the factors of what `nibbles` gives.
fn scales_at(at: u32) -> vec4<f32> {
    let pair = scales[at];
    return 16.0 * vec4<f32>(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

// The block of the same columns as `block` has, as code - 8 in bytes: for each row those of four
// columns.
fn code_block(quad: u32, column4: u32) -> vec4<u32> {
    let line = codes[(quad * GROUPS + column4 / 8u) * GROUP_LINES + column4 % 4u];
    let nibbles = (line >> vec4<u32>(column4 & 4u)) & vec4<u32>(0x0f0f0f0fu);
    // With its upper bit set no byte borrows from the next.
    let upper = vec4<u32>(0x80808080u);
    return ((nibbles | upper) - vec4<u32>(0x08080808u)) ^ upper;
}

// Weights in symmetric 8-bit groups: scale * code, codes in two's complement. Layout:
// core/layout/mod.rs.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>; // lines: [quads, GROUPS, 8]
@group(0) @binding(2) var<storage, read> scales: array<vec2<u32>>; // f16: [quads, GROUPS, 4]

// 16-byte lines of a group, each with 4 columns of the quad's four rows.
const GROUP_LINES: u32 = 8u;
// Lines that name the same four columns.
const LINES_OF_FOUR: f32 = 1.0;

// The four columns of a line as code / 128, exact in half precision too.
fn bytes(line: vec4<u32>) -> mat4x4<Real> {
    let unit = Real(0.0078125);
    let signed = bitcast<vec4<i32>>(line);
    let low = vec4<u32>(24u);
    return mat4x4<Real>(
        vec4<Real>((signed << low) >> low) * unit,
        vec4<Real>((signed << vec4<u32>(16u)) >> low) * unit,
        vec4<Real>((signed << vec4<u32>(8u)) >> low) * unit,
        vec4<Real>(signed >> low) * unit,
    );
}

// The scales of a quad's rows, as the factors of what `bytes` gives.
fn scales_at(at: u32) -> vec4<f32> {
    let pair = scales[at];
    return 128.0 * vec4<f32>(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

// The columns of a line, in fours; there is but one four.
fn line_columns(line: u32) -> vec2<u32> {
    return vec2<u32>(line);
}

struct Line {
    columns: mat4x4<Real>,
    scales: vec4<f32>,
}

fn line_of(quad: u32, line: u32) -> Line {
    let code = codes[quad * GROUPS * GROUP_LINES + line];
    return Line(bytes(code), scales_at(quad * GROUPS + line / GROUP_LINES));
}

// What a line adds to the products of its quad's four rows with an input, of which x0 and x1 are
// the columns that `line_columns` names.
fn line_dot(w: Line, x0: vec4<Real>, x1: vec4<Real>) -> vec4<f32> {
    return w.scales * vec4<f32>(w.columns * x0);
}

// The weights of a quad's rows in columns 4 * column4 and the three after it, a vector of four rows
// for each column.
fn block(quad: u32, column4: u32) -> mat4x4<Real> {
    let w = bytes(codes[quad * GROUPS * GROUP_LINES + column4]);
    let scale = real4(scales_at(quad * GROUPS + column4 / GROUP_LINES));
    return mat4x4<Real>(w[0] * scale, w[1] * scale, w[2] * scale, w[3] * scale);
}

// The block of the same columns as codes in bytes: for each row those of four columns.
fn code_block(quad: u32, column4: u32) -> vec4<u32> {
    return codes[quad * GROUPS * GROUP_LINES + column4];
}

// What one in a `code_block` is of what `scales_at` gives.
const CODE: f32 = 0.0078125;

// Weights in single precision. Layout: core/layout/mod.rs.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>; // lines: [quads, GROUPS, 32]

// 16-byte lines of a group, each with one column of the quad's four rows.
const GROUP_LINES: u32 = 32u;
// Lines that name the same four columns.
const LINES_OF_FOUR: f32 = 4.0;

// The column of a line is one of this four.
fn line_columns(line: u32) -> vec2<u32> {
    return vec2<u32>(line / 4u);
}

struct Line {
    column: vec4<f32>,
    at: u32, // of the four
}

fn line_of(quad: u32, line: u32) -> Line {
    return Line(bitcast<vec4<f32>>(codes[quad * GROUPS * GROUP_LINES + line]), line % 4u);
}

// What a line adds to the products of its quad's four rows with an input, of which x0 and x1 are
// the columns that `line_columns` names.
fn line_dot(w: Line, x0: vec4<Real>, x1: vec4<Real>) -> vec4<f32> {
    return w.column * x0[w.at];
}

// The weights of a quad's rows in columns 4 * column4 and the three after it, a vector of four rows
// for each column.
fn block(quad: u32, column4: u32) -> mat4x4<Real> {
    let at = quad * GROUPS * GROUP_LINES + 4u * column4;
    return mat4x4<Real>(
        bitcast<vec4<f32>>(codes[at]),
        bitcast<vec4<f32>>(codes[at + 1u]),
        bitcast<vec4<f32>>(codes[at + 2u]),
        bitcast<vec4<f32>>(codes[at + 3u]),
    );
}

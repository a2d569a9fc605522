// Weights in half precision, packed in pairs. Layout: core/layout/mod.rs.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>; // lines: [quads, GROUPS, 16]

// 16-byte lines of a group, each with 2 columns of the quad's four rows.
const GROUP_LINES: u32 = 16u;
// Lines that name the same four columns.
const LINES_OF_FOUR: f32 = 2.0;

// The two columns of a line: for each of the quad's rows both.
fn pairs(line: vec4<u32>) -> mat2x4<Real> {
    let rows = mat4x2<f32>(
        unpack2x16float(line.x),
        unpack2x16float(line.y),
        unpack2x16float(line.z),
        unpack2x16float(line.w),
    );
    let columns = transpose(rows);
    return mat2x4<Real>(real4(columns[0]), real4(columns[1]));
}

// The columns of a line are half of this four.
fn line_columns(line: u32) -> vec2<u32> {
    return vec2<u32>(line / 2u);
}

struct Line {
    columns: mat2x4<Real>,
    upper: bool, // the second half of the four
}

fn line_of(quad: u32, line: u32) -> Line {
    return Line(pairs(codes[quad * GROUPS * GROUP_LINES + line]), (line & 1u) == 1u);
}

// What a line adds to the products of its quad's four rows with an input, of which x0 and x1 are
// the columns that `line_columns` names.
fn line_dot(w: Line, x0: vec4<Real>, x1: vec4<Real>) -> vec4<f32> {
    return vec4<f32>(w.columns * select(x0.xy, x0.zw, w.upper));
}

// The weights of a quad's rows in columns 4 * column4 and the three after it, a vector of four rows
// for each column.
fn block(quad: u32, column4: u32) -> mat4x4<Real> {
    let at = quad * GROUPS * GROUP_LINES + 2u * column4;
    let first = pairs(codes[at]);
    let second = pairs(codes[at + 1u]);
    return mat4x4<Real>(first[0], first[1], second[0], second[1]);
}

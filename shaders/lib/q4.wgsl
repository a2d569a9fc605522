// Weights in symmetric 4-bit groups: scale * (code - 8). After nibbles.wgsl.

struct Line {
    low: mat4x4<Real>,
    high: mat4x4<Real>,
    scales: vec4<f32>,
}

fn line_of(quad: u32, line: u32) -> Line {
    let code = codes[quad * GROUPS * GROUP_LINES + line];
    let scales = scales_at(quad * GROUPS + line / GROUP_LINES);
    return Line(nibbles(code, 0u), nibbles(code, 4u), scales);
}

// What a line adds to the products of its quad's four rows with an input, of which x0 and x1 are
// the columns that `line_columns` names.
fn line_dot(w: Line, x0: vec4<Real>, x1: vec4<Real>) -> vec4<f32> {
    return w.scales * (vec4<f32>(w.low * x0) + vec4<f32>(w.high * x1));
}

// The weights of a quad's rows in columns 4 * column4 and the three after it, a vector of four rows
// for each column.
fn block(quad: u32, column4: u32) -> mat4x4<Real> {
    let group = column4 / 8u;
    let code = codes[(quad * GROUPS + group) * GROUP_LINES + column4 % 4u];
    let w = nibbles(code, column4 & 4u);
    let scale = real4(scales_at(quad * GROUPS + group));
    return mat4x4<Real>(w[0] * scale, w[1] * scale, w[2] * scale, w[3] * scale);
}

// What one in a `code_block` is of what `scales_at` gives.
const CODE: f32 = 0.0625;

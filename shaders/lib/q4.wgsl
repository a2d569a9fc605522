// Weights in symmetric 4-bit groups: scale * (code - 8). After nibbles.wgsl.

struct Line {
    low: mat4x4<Real>,
    high: mat4x4<Real>,
    sizes: vec4<f32>,
}

fn line_of(quad: u32, line: u32) -> Line {
    let code = codes[quad * GROUPS * GROUP_LINES + line];
    return Line(nibbles(code, 0u), nibbles(code, 4u), step_sizes(quad * GROUPS + line / GROUP_LINES));
}

// What a line adds to the products of its quad's four rows with an input, of which x0 and x1 are the columns that `line_columns` names.
fn line_dot(w: Line, x0: vec4<Real>, x1: vec4<Real>) -> vec4<f32> {
    return w.sizes * (vec4<f32>(w.low * x0) + vec4<f32>(w.high * x1));
}

// The weights of a quad's rows in columns 4 * column4 and the three after it, a vector of four rows for each column.
fn block(quad: u32, column4: u32) -> mat4x4<Real> {
    let group = column4 / 8u;
    let code = codes[(quad * GROUPS + group) * GROUP_LINES + column4 % 4u];
    let w = nibbles(code, column4 & 4u);
    let size = real4(step_sizes(quad * GROUPS + group));
    return mat4x4<Real>(w[0] * size, w[1] * size, w[2] * size, w[3] * size);
}

// What one in a `whole_block` is of a step.
const WHOLE: f32 = 0.0625;

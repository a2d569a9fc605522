// Weights in 4-bit groups with a minimum: scale * code + min. After nibbles.wgsl.

@group(0) @binding(3) var<storage, read> mins: array<vec2<u32>>; // f16: [quads, GROUPS, 4]

// What code 8 stands for, which is where `nibbles` has its zero.
fn zeros_at(at: u32) -> vec4<f32> {
    let pair = mins[at];
    return vec4<f32>(unpack2x16float(pair.x), unpack2x16float(pair.y)) + 0.5 * scales_at(at);
}

struct Line {
    low: mat4x4<Real>,
    high: mat4x4<Real>,
    scales: vec4<f32>,
    zeros: vec4<f32>,
}

fn line_of(quad: u32, line: u32) -> Line {
    let at = quad * GROUPS + line / GROUP_LINES;
    let code = codes[quad * GROUPS * GROUP_LINES + line];
    return Line(nibbles(code, 0u), nibbles(code, 4u), scales_at(at), zeros_at(at));
}

// What a line adds to the products of its quad's four rows with an input, of which x0 and x1 are
// the columns that `line_columns` names.
fn line_dot(w: Line, x0: vec4<Real>, x1: vec4<Real>) -> vec4<f32> {
    let sum = vec4<f32>(w.low * x0) + vec4<f32>(w.high * x1);
    let inputs = dot(vec4<f32>(x0) + vec4<f32>(x1), vec4<f32>(1.0));
    return w.scales * sum + w.zeros * inputs;
}

// The weights of a quad's rows in columns 4 * column4 and the three after it, a vector of four rows
// for each column.
fn block(quad: u32, column4: u32) -> mat4x4<Real> {
    let at = quad * GROUPS + column4 / 8u;
    let w = nibbles(codes[at * GROUP_LINES + column4 % 4u], column4 & 4u);
    let scale = scales_at(at);
    let zero = zeros_at(at);
    return mat4x4<Real>(
        real4(vec4<f32>(w[0]) * scale + zero),
        real4(vec4<f32>(w[1]) * scale + zero),
        real4(vec4<f32>(w[2]) * scale + zero),
        real4(vec4<f32>(w[3]) * scale + zero),
    );
}

// What turns dots of codes into floats, in the four rows at `at`.
struct Dequantiser {
    scales: vec4<f32>,
    zeros: vec4<f32>,
}

fn dequantiser_of(at: u32) -> Dequantiser {
    return Dequantiser(0.0625 * scales_at(at), zeros_at(at));
}

// What a group adds to a product, of whose inputs these are the dots with `code_block`s, and the
// sum.
fn dequantise(dequantiser: Dequantiser, dots: vec4<f32>, sum: f32) -> vec4<f32> {
    return dequantiser.scales * dots + dequantiser.zeros * sum;
}

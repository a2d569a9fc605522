// Weights whose codes are put together from nibbles and further bits, and whose scales are those of
// files. With one of bits2.wgsl to bits6.wgsl, and code_block.wgsl, or table.wgsl, and one of
// scales_*.wgsl.

// lines: [quads, GROUPS, GROUP_STRIDE]
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;

// What codes are multiplied with in columns 0 to 15 of a group and in 16 to 31, and what is added
// there: what the code ZERO stands for.
struct Factors {
    low: vec4<f32>,
    high: vec4<f32>,
    low_zeros: vec4<f32>,
    high_zeros: vec4<f32>,
}

// What is read of a group at once: 8 columns of the quad's four rows, as a 16-byte line of nibbles
// has them.
const GROUP_LINES: u32 = 4u;
// Lines that name the same four columns: each names two fours.
const LINES_OF_FOUR: f32 = 0.5;

// The columns of a line, in fours: the low nibbles' and the high ones'.
fn line_columns(line: u32) -> vec2<u32> {
    let low = line / GROUP_LINES * 8u + line % GROUP_LINES;
    return vec2<u32>(low, low + 4u);
}

// Four columns as (code - ZERO) / (2 * ZERO), exact in half precision too.
fn columns(bytes: vec4<u32>) -> mat4x4<Real> {
    let half = vec4<Real>(0.5);
    let mask = vec4<u32>(255u);
    let unit = Real(0.5 / ZERO);
    return mat4x4<Real>(
        vec4<Real>(bytes & mask) * unit - half,
        vec4<Real>((bytes >> vec4<u32>(8u)) & mask) * unit - half,
        vec4<Real>((bytes >> vec4<u32>(16u)) & mask) * unit - half,
        vec4<Real>(bytes >> vec4<u32>(24u)) * unit - half,
    );
}

struct Line {
    low: mat4x4<Real>,
    high: mat4x4<Real>,
    factors: Factors,
}

fn line_of(quad: u32, line: u32) -> Line {
    let group = quad * GROUPS + line / GROUP_LINES;
    let low = line % GROUP_LINES;
    return Line(
        columns(code_bytes(group, low)),
        columns(code_bytes(group, low + 4u)),
        factors_at(group),
    );
}

// What a line adds to the products of its quad's four rows with an input, of which x0 and x1 are
// the columns that `line_columns` names.
fn line_dot(w: Line, x0: vec4<Real>, x1: vec4<Real>) -> vec4<f32> {
    let low = w.factors.low * vec4<f32>(w.low * x0);
    let high = w.factors.high * vec4<f32>(w.high * x1);
    let low_inputs = dot(vec4<f32>(x0), vec4<f32>(1.0));
    let high_inputs = dot(vec4<f32>(x1), vec4<f32>(1.0));
    let zeros = w.factors.low_zeros * low_inputs + w.factors.high_zeros * high_inputs;
    return 2.0 * ZERO * (low + high) + zeros;
}

// The weights of a quad's rows in columns 4 * column4 and the three after it, a vector of four rows
// for each column.
fn block(quad: u32, column4: u32) -> mat4x4<Real> {
    let group = quad * GROUPS + column4 / 8u;
    let w = columns(code_bytes(group, column4 % 8u));
    let factors = factors_at(group);
    let is_high = column4 % 8u >= 4u;
    let scale = 2.0 * ZERO * select(factors.low, factors.high, is_high);
    let zeros = select(factors.low_zeros, factors.high_zeros, is_high);
    return mat4x4<Real>(
        real4(vec4<f32>(w[0]) * scale + zeros),
        real4(vec4<f32>(w[1]) * scale + zeros),
        real4(vec4<f32>(w[2]) * scale + zeros),
        real4(vec4<f32>(w[3]) * scale + zeros),
    );
}

// What turns dots of codes into floats, in the four rows at `at`, where both halves have one scale.
struct Dequantiser {
    scales: vec4<f32>,
    zeros: vec4<f32>,
}

fn dequantiser_of(at: u32) -> Dequantiser {
    let factors = factors_at(at);
    return Dequantiser(factors.low, factors.low_zeros);
}

// What a group adds to a product, of whose inputs these are the dots with `code_block`s, and the
// sum.
fn dequantise(dequantiser: Dequantiser, dots: vec4<f32>, sum: f32) -> vec4<f32> {
    return dequantiser.scales * dots + dequantiser.zeros * sum;
}

// Inputs that an RMS norm with weights gamma goes before.
// w · (x / rms(x) * gamma) is w · (x * gamma) / rms(x), so the squares are summed beside the
// products, and the norm costs no pass over x of its own.

@group(0) @binding(5) var<storage, read> gamma: array<vec4<f32>>; // [8 * GROUPS]

// What is not divided by its size yet may be large: this keeps it within half precision, and costs
// single precision nothing.
const SMALLER: f32 = 0.015625;

// Every four columns are seen by LINES_OF_FOUR lines, twice by each.
fn power(v: vec4<f32>) -> f32 {
    return dot(v, v) / (2.0 * LINES_OF_FOUR);
}

fn weighed(v: vec4<f32>, column4: u32) -> vec4<f32> {
    return v * gamma[column4] * SMALLER;
}

// What products are multiplied by afterwards.
fn size_of(power: f32, lane: Lane) -> f32 {
    let mean = workgroup_sum(power, lane) / f32(32u * GROUPS);
    return 1.0 / (sqrt(mean + params.eps) * SMALLER);
}

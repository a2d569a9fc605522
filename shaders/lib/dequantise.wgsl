// Dequantising, for weights that have scales and nothing else.

// What turns dots of codes into floats, in the four rows at `at`.
struct Dequantiser {
    scales: vec4<f32>,
}

fn dequantiser_of(at: u32) -> Dequantiser {
    return Dequantiser(CODE * scales_at(at));
}

// What a group adds to a product, of whose inputs these are the dots with `code_block`s, and the
// sum.
fn dequantise(dequantiser: Dequantiser, dots: vec4<f32>, sum: f32) -> vec4<f32> {
    return dequantiser.scales * dots;
}

// Whole numbers of weights that have steps and nothing else.

// What whole numbers are worth in the four rows at `at`.
struct Worth {
    scales: vec4<f32>,
}

fn worth_of(at: u32) -> Worth {
    return Worth(WHOLE * step_sizes(at));
}

// What a group adds to a product, of whose inputs these are the dots with `whole_block`s, and the sum.
fn worth_times(worth: Worth, dots: vec4<f32>, sum: f32) -> vec4<f32> {
    return worth.scales * dots;
}

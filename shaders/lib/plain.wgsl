// Inputs as they are.

fn power(v: vec4<f32>) -> f32 {
    return 0.0;
}

fn weighed(v: vec4<f32>, column4: u32) -> vec4<f32> {
    return v;
}

fn size_of(power: f32, lane: Lane) -> f32 {
    return 1.0;
}

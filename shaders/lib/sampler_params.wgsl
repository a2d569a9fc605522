// How a token is drawn, and what its logit weighs.

struct SamplerParams {
    temperature: f32, // 0 is greedy
    top_k: u32, // 0 for all
    top_p: f32, // 1 for all
    min_p: f32, // 0 for all
    repetition_penalty: f32,
    presence_penalty: f32,
    frequency_penalty: f32,
    uniform: f32, // from 0 to 1
}

@group(0) @binding(1) var<storage, read> sampling: SamplerParams;

// A run of logits: the key of the largest and its place, and the weight of all relative to it.
struct Run {
    key: u32,
    place: u32,
    weight: f32,
}

// MOST, which comes with the module, is beyond any logit, and so far from what a float holds that
// sums of two stay floats.
const IMPOSSIBLE: f32 = -MOST;
// Chosen only where all are.
const FORBIDDEN: f32 = -3e38;

// The float that a key orders.
fn value_of(key: u32) -> f32 {
    let bits = select(~key, key & 0x7fffffffu, key >= 0x80000000u);
    return select(bitcast<f32>(bits), FORBIDDEN, key == 0u);
}

// The largest weighs 1, and what is too little for a float nothing.
fn weight_of(logit: f32, largest: f32) -> f32 {
    let exponent = (logit - largest) / max(sampling.temperature, 1e-37);
    return select(0.0, exp(max(exponent, -87.0)), exponent > -87.0 && logit > IMPOSSIBLE);
}

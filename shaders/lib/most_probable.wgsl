// Logits in the order of their probability, and what they weigh. What is no finite number comes
// last and weighs nothing: a shader may take it that there is none, so it must see to that.

// Before all.
const FIRST: vec2<u32> = vec2<u32>(0xffffffffu, 0u);

fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

fn order_of(bits: u32, place: u32) -> vec2<u32> {
    return vec2<u32>(select(1u, key(bits), is_finite(bits)), place);
}

fn is_after(candidate: vec2<u32>, last: vec2<u32>) -> bool {
    return candidate.x < last.x || (candidate.x == last.x && candidate.y > last.y);
}

// Beside the largest, which weighs 1.
fn weight_of(bits: u32, largest: f32) -> f32 {
    if !is_finite(bits) {
        return 0.0;
    }
    return exp(max(bitcast<f32>(bits), largest - 87.0) - largest);
}

// A scale and a minimum for either half of each group, in nibbles, and what they are of for each
// block of eight groups.

@group(0) @binding(2) var<storage, read> scales: array<vec2<u32>>; // bytes: [quads, GROUPS, 2, 4]
// f16: [quads, GROUPS / 8, 2, 4]
@group(0) @binding(3) var<storage, read> block_factors: array<vec4<u32>>;

// The nibbles of four bytes, the low ones for shift 0, the high ones for shift 4.
fn four_nibbles(word: u32, shift: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word >> shift) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u));
}

fn factors_at(at: u32) -> Factors {
    let pair = scales[at];
    let step = block_factors[at / 8u];
    let d = vec4<f32>(unpack2x16float(step.x), unpack2x16float(step.y));
    let dmin = vec4<f32>(unpack2x16float(step.z), unpack2x16float(step.w));
    let low = d * four_nibbles(pair.x, 0u);
    let high = d * four_nibbles(pair.y, 0u);
    let low_zeros = ZERO * low - dmin * four_nibbles(pair.x, 4u);
    return Factors(low, high, low_zeros, ZERO * high - dmin * four_nibbles(pair.y, 4u));
}

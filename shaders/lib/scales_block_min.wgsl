// A scale and a minimum for each group, in bytes, and what they are of for each block of eight.

@group(0) @binding(2) var<storage, read> scales: array<vec2<u32>>; // bytes: [quads, GROUPS, 2, 4]
// f16: [quads, GROUPS / 8, 2, 4]
@group(0) @binding(3) var<storage, read> block_factors: array<vec4<u32>>;

fn four_bytes(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

fn factors_at(at: u32) -> Factors {
    let pair = scales[at];
    let step = block_factors[at / 8u];
    let d = vec4<f32>(unpack2x16float(step.x), unpack2x16float(step.y));
    let dmin = vec4<f32>(unpack2x16float(step.z), unpack2x16float(step.w));
    let scale = d * four_bytes(pair.x);
    let zeros = ZERO * scale - dmin * four_bytes(pair.y);
    return Factors(scale, scale, zeros, zeros);
}

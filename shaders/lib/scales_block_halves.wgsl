// Scales for either half of each group, in signed bytes, and what they are of for each block of
// eight groups.

@group(0) @binding(2) var<storage, read> scales: array<vec2<u32>>; // bytes: [quads, GROUPS, 2, 4]
// f16: [quads, GROUPS / 8, 4]
@group(0) @binding(3) var<storage, read> block_factors: array<vec2<u32>>;

fn four_bytes(word: u32) -> vec4<f32> {
    let signed = bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u));
    return vec4<f32>(signed >> vec4<u32>(24u));
}

fn factors_at(at: u32) -> Factors {
    let pair = scales[at];
    let step = block_factors[at / 8u];
    let d = vec4<f32>(unpack2x16float(step.x), unpack2x16float(step.y));
    return Factors(d * four_bytes(pair.x), d * four_bytes(pair.y), vec4<f32>(), vec4<f32>());
}

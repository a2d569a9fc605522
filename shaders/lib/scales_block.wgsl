// A signed scale for each group, in a byte, and what it is of for each block of eight.

@group(0) @binding(2) var<storage, read> scales: array<u32>; // bytes: [quads, GROUPS, 4]
// f16: [quads, GROUPS / 8, 4]
@group(0) @binding(3) var<storage, read> block_factors: array<vec2<u32>>;

fn factors_at(at: u32) -> Factors {
    let signed = bitcast<vec4<i32>>(vec4<u32>(scales[at]) << vec4<u32>(24u, 16u, 8u, 0u));
    let step = block_factors[at / 8u];
    let d = vec4<f32>(unpack2x16float(step.x), unpack2x16float(step.y));
    let scale = d * vec4<f32>(signed >> vec4<u32>(24u));
    return Factors(scale, scale, vec4<f32>(), vec4<f32>());
}

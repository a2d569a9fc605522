// A scale and a minimum for each group.

@group(0) @binding(2) var<storage, read> scales: array<vec2<u32>>; // f16: [quads, GROUPS, 4]
@group(0) @binding(3) var<storage, read> mins: array<vec2<u32>>; // f16: [quads, GROUPS, 4]

fn factors_at(at: u32) -> Factors {
    let pair = scales[at];
    let scale = vec4<f32>(unpack2x16float(pair.x), unpack2x16float(pair.y));
    let min = vec4<f32>(unpack2x16float(mins[at].x), unpack2x16float(mins[at].y));
    let zeros = min + ZERO * scale;
    return Factors(scale, scale, zeros, zeros);
}

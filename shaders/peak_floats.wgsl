// How fast floats are multiplied and added: sixteen chains for each invocation, so that no step
// waits for the one before it.

override WG: u32 = 64u;

struct Params {
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>; // [1]

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // Every chain nears 1, far from numbers that are slow.
    let shrink = vec4<f32>(0.75);
    let grow = vec4<f32>(0.25);
    var a = vec4<f32>(vec4<u32>(id.x) + vec4<u32>(0u, 1u, 2u, 3u));
    var b = a + 4.0;
    var c = a + 8.0;
    var d = a + 12.0;
    for (var round = 0u; round < params.rounds; round++) {
        a = fma(a, shrink, grow);
        b = fma(b, shrink, grow);
        c = fma(c, shrink, grow);
        d = fma(d, shrink, grow);
    }
    // So that no compiler leaves the loop out; it is never true.
    if dot(a + b + c + d, vec4<f32>(1.0)) < 0.0 {
        out[0] = 1u;
    }
}

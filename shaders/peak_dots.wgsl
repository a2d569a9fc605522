// How fast dots of four bytes are added up: sixteen chains for each invocation, so that no step
// waits for the one before it.

override WG: u32 = 64u;

struct Params {
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<u32>; // [1]

fn step4(v: vec4<i32>) -> vec4<i32> {
    let bytes = bitcast<vec4<u32>>(v);
    let dots = vec4<i32>(
        dot4I8Packed(bytes.x, 0x01020304u),
        dot4I8Packed(bytes.y, 0x01020304u),
        dot4I8Packed(bytes.z, 0x01020304u),
        dot4I8Packed(bytes.w, 0x01020304u),
    );
    return v + dots;
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var a = vec4<i32>(vec4<u32>(id.x) + vec4<u32>(0u, 1u, 2u, 3u));
    var b = a + 4;
    var c = a + 8;
    var d = a + 12;
    for (var round = 0u; round < params.rounds; round++) {
        a = step4(a);
        b = step4(b);
        c = step4(c);
        d = step4(d);
    }
    // So that no compiler leaves the loop out.
    let mixed = a ^ b ^ c ^ d;
    if (mixed.x ^ mixed.y ^ mixed.z ^ mixed.w) == 1 {
        out[0] = 1u;
    }
}

// How fast memory is read: all of a buffer, in steps as wide as the grid.

override WG: u32 = 64u;

struct Params {
    rounds: u32, // of four vectors for each invocation
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<vec4<u32>>; // [rounds, 4, workgroups * WG]
@group(0) @binding(2) var<storage, read_write> out: array<u32>; // [1]

@compute @workgroup_size(WG)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
) {
    let step = workgroups.x * WG;
    var at = id.x;
    var mixed = vec4<u32>();
    for (var round = 0u; round < params.rounds; round++) {
        mixed ^= data[at] ^ data[at + step] ^ data[at + 2u * step] ^ data[at + 3u * step];
        at += 4u * step;
    }
    // So that no compiler leaves the reading out; it is never true of zeros.
    if mixed.x + mixed.y + mixed.z + mixed.w == 1u {
        out[0] = 1u;
    }
}

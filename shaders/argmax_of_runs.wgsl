// The largest of what argmax.wgsl found of RUNS runs: one workgroup.

override RUNS: u32 = 1u;

struct Params {
    width: u32, // of what the runs are of
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec2<u32>>; // [RUNS]: key and place
@group(0) @binding(2) var<storage, read_write> out: array<u32>; // [1]

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
    var best = NONE;
    for (var i = lane; i < RUNS; i += WG) {
        best = better(best, partials[i]);
    }
    let found = best_of_workgroup(best, lane);
    if lane == 0u {
        // Where nothing is allowed the place is beyond the end.
        out[0] = select(0u, found.y, found.y < params.width);
    }
}

// The largest of an allowed element of x, in each of RUNS runs: a workgroup for each. What is left
// is for argmax_of_runs.wgsl.

override RUNS: u32 = 1u;

struct Params {
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [width]: floats, whose bits are looked at
@group(0) @binding(2) var<storage, read> allowed: array<u32>; // [width / 32]
@group(0) @binding(3) var<storage, read_write> partials: array<vec2<u32>>; // [RUNS]: key and place

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) id: vec3<u32>) {
    let each = (params.width + RUNS - 1u) / RUNS;
    let end = min((id.x + 1u) * each, params.width);
    var best = NONE;
    for (var i = id.x * each + lane; i < end; i += WG) {
        if ((allowed[i / 32u] >> (i % 32u)) & 1u) == 1u {
            best = better(best, vec2<u32>(key(x[i]), i));
        }
    }
    let found = best_of_workgroup(best, lane);
    if lane == 0u {
        partials[id.x] = found;
    }
}

// What log_probs.wgsl found of RUNS runs, put together, and the logits of the tokens that are asked
// for: a workgroup for each row.

override RUNS: u32 = 1u;

struct Params {
    width: u32, // of what the runs are of
    asked: u32,
    top: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [rows, width]: floats, whose bits are looked at
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>; // [rows, asked]
// [rows, RUNS, 1 + max(top, 1)]: the weight, then keys and places
@group(0) @binding(3) var<storage, read> partials: array<vec2<u32>>;
// [rows, 2 + 2 * (asked + top)]: floats, the largest logit, the weight, then ids and their logits
@group(0) @binding(4) var<storage, read_write> out: array<u32>;

fn tell(at: u32, row: u32, id: u32) {
    out[at] = bitcast<u32>(f32(id));
    out[at + 1u] = logits[row * params.width + id];
}

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>) {
    let row = id.x;
    let count = max(params.top, 1u);
    let own = row * (2u + 2u * (params.asked + params.top));
    let top = own + 2u + 2u * params.asked;
    var largest = 0.0;
    var last = FIRST;
    for (var rank = 0u; rank < count; rank++) {
        var best = NONE;
        for (var i = lane.index; i < RUNS * count; i += WG) {
            let run = row * RUNS + i / count;
            let candidate = partials[run * (1u + count) + 1u + i % count];
            if is_after(candidate, last) {
                best = better(best, candidate);
            }
        }
        last = best_of_workgroup(best, lane.index);
        workgroupBarrier(); // Until all have read it, nobody may look for the next.
        if rank == 0u && last.x > 1u {
            largest = bitcast<f32>(logits[row * params.width + last.y]);
        }
        if lane.index == 0u && rank < params.top {
            tell(top + 2u * rank, row, last.y);
        }
    }
    var weight = 0.0;
    for (var i = lane.index; i < RUNS; i += WG) {
        let run = (row * RUNS + i) * (1u + count);
        let best = partials[run + 1u];
        if best.x > 1u {
            let beside = weight_of(logits[row * params.width + best.y], largest);
            weight += bitcast<f32>(partials[run].x) * beside;
        }
    }
    let total = workgroup_sum(weight, lane);
    if lane.index == 0u {
        out[own] = bitcast<u32>(largest);
        out[own + 1u] = bitcast<u32>(total);
    }
    for (var i = lane.index; i < params.asked; i += WG) {
        tell(own + 2u + 2u * i, row, ids[row * params.asked + i]);
    }
}

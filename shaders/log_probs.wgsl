// Of rows of logits, in each of RUNS runs: the most probable ones in order, and what all weigh
// beside the first of them. A workgroup for each run of a row. What is left is for
// log_probs_of_runs.wgsl.

override RUNS: u32 = 1u;

struct Params {
    width: u32,
    asked: u32,
    top: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [rows, width]: floats, whose bits are looked at
@group(0) @binding(1) var<storage, read> logits: array<u32>;
// [rows, RUNS, 1 + max(top, 1)]: the weight, then keys and places
@group(0) @binding(2) var<storage, read_write> partials: array<vec2<u32>>;

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>) {
    let row = id.y * params.width;
    let each = (params.width + RUNS - 1u) / RUNS;
    let end = min((id.x + 1u) * each, params.width);
    let count = max(params.top, 1u);
    let own = (id.y * RUNS + id.x) * (1u + count);
    var largest = 0.0;
    var last = FIRST;
    for (var rank = 0u; rank < count; rank++) {
        var best = NONE;
        for (var i = id.x * each + lane.index; i < end; i += WG) {
            let candidate = order_of(logits[row + i], i);
            if is_after(candidate, last) {
                best = better(best, candidate);
            }
        }
        last = best_of_workgroup(best, lane.index);
        workgroupBarrier(); // Until all have read it, nobody may look for the next.
        if rank == 0u && last.x > 1u {
            largest = bitcast<f32>(logits[row + last.y]);
        }
        if lane.index == 0u {
            partials[own + 1u + rank] = last;
        }
    }
    var weight = 0.0;
    for (var i = id.x * each + lane.index; i < end; i += WG) {
        weight += weight_of(logits[row + i], largest);
    }
    let total = workgroup_sum(weight, lane);
    if lane.index == 0u {
        partials[own] = vec2<u32>(bitcast<u32>(total), 0u);
    }
}

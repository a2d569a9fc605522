// What a token is drawn from: logits with their biases and penalties, and for each of RUNS runs the
// largest of them and the weight of all. A workgroup for each run. The draw is for sample.wgsl.

override RUNS: u32 = 1u;

struct Params {
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> allowed: array<u32>; // [width / 32]
// [width]: 0, or SEEN and how often a token was generated
@group(0) @binding(3) var<storage, read> seen: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>; // [width]
@group(0) @binding(5) var<storage, read> logits: array<f32>; // [width]
@group(0) @binding(6) var<storage, read_write> processed: array<f32>; // [width]
@group(0) @binding(7) var<storage, read_write> runs: array<Run>; // [RUNS]

// What a token's logit comes to.
fn process(i: u32) -> f32 {
    if ((allowed[i / 32u] >> (i % 32u)) & 1u) == 0u {
        return FORBIDDEN;
    }
    // A shader may take it that there are no infinities and that everything is a number, so it must
    // see to that.
    let bits = bitcast<u32>(logits[i]);
    if (bits & 0x7f800000u) == 0x7f800000u {
        return select(IMPOSSIBLE, MOST, bits == 0x7f800000u);
    }
    var logit = clamp(logits[i], IMPOSSIBLE, MOST) + bias[i];
    let times = seen[i];
    if times != 0u {
        let penalty = sampling.repetition_penalty;
        logit = select(logit * penalty, logit / penalty, logit > 0.0);
        let generated = times & ~SEEN;
        if generated > 0u {
            logit -= sampling.presence_penalty + sampling.frequency_penalty * f32(generated);
        }
    }
    return clamp(logit, IMPOSSIBLE, MOST);
}

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>) {
    let each = (params.width + RUNS - 1u) / RUNS;
    let end = min((id.x + 1u) * each, params.width);
    var best = NONE;
    for (var i = id.x * each + lane.index; i < end; i += WG) {
        let logit = process(i);
        processed[i] = logit;
        best = better(best, vec2<u32>(key(bitcast<u32>(logit)), i));
    }
    let found = best_of_workgroup(best, lane.index);
    let largest = value_of(found.x);
    var weight = 0.0;
    for (var i = id.x * each + lane.index; i < end; i += WG) {
        weight += weight_of(processed[i], largest);
    }
    let total = workgroup_sum(weight, lane);
    if lane.index == 0u {
        runs[id.x] = Run(found.x, found.y, total);
    }
}

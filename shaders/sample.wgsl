// Draws a token from what sample_prepare.wgsl left: one workgroup. First what cannot be drawn is
// left out, so that few candidates remain. Then top-k and top-p each move a border through their
// order, from likely to unlikely and among equals from low to high ids, and the draw moves one
// through their ids. A border is found bit by bit, with a sum over the candidates for each bit.

override RUNS: u32 = 1u;

struct Params {
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [width]
@group(0) @binding(3) var<storage, read> runs: array<Run>; // [RUNS]
// [width]: 0, or SEEN and how often a token was generated
@group(0) @binding(4) var<storage, read_write> seen: array<u32>;
// [WG, width / WG], rounded up: ids
@group(0) @binding(5) var<storage, read_write> candidates: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<u32>; // [1]

const LAST: u32 = 0xffffffffu;

var<workgroup> kth_key: u32;
var<private> first_own: u32; // of this invocation's candidates
var<private> count_own: u32;
var<private> largest: f32;
// The last place that is kept: a key, and an id among equals.
var<private> border: vec2<u32> = vec2<u32>(0u, LAST);

// All ones, and no id is above it.
fn highest_id() -> u32 {
    return (2u << firstLeadingBit(params.width)) - 1u;
}

// Takes the logits of a range that are large enough for candidates.
fn gather(first: u32, end: u32, least: f32, lane: Lane) {
    for (var i = first + lane.index; i < end; i += WG) {
        if logits[i] >= least && logits[i] > IMPOSSIBLE {
            candidates[first_own + count_own] = i;
            count_own++;
        }
    }
}

fn drop_candidate(i: u32) {
    count_own--;
    candidates[first_own + i] = candidates[first_own + count_own];
}

fn is_up_to(place: vec2<u32>, key: u32, id: u32) -> bool {
    return key > place.x || (key == place.x && id <= place.y);
}

// What the candidates up to a place weigh, or how many they are. On the way those beyond the border
// are dropped.
fn sum_up_to(place: vec2<u32>, counted: bool, lane: Lane) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < count_own;) {
        let id = candidates[first_own + i];
        let key = key(bitcast<u32>(logits[id]));
        if !is_up_to(border, key, id) {
            drop_candidate(i);
            continue;
        }
        if is_up_to(place, key, id) {
            sum += select(weight_of(logits[id], largest), 1.0, counted);
        }
        i++;
    }
    return workgroup_sum(sum, lane);
}

// Moves the border to where the fewest of the largest logits are enough.
fn keep(enough: f32, counted: bool, lane: Lane) {
    var place = vec2<u32>(0u, LAST);
    for (var bit = 1u << 31u; bit > 0u; bit >>= 1u) {
        if sum_up_to(vec2<u32>(place.x | bit, LAST), counted, lane) >= enough {
            place.x |= bit;
            if place.x > border.x {
                border = place;
            }
        }
    }
    // Browsers must see that all invocations go round equally often: `place` comes from sums.
    let last = highest_id();
    place.y = last;
    for (var bit = last - last / 2u; bit > 0u; bit >>= 1u) {
        if sum_up_to(vec2<u32>(place.x, place.y ^ bit), counted, lane) >= enough {
            place.y ^= bit;
        }
    }
    if place.x > border.x || (place.x == border.x && place.y < border.y) {
        border = place;
    }
}

// Drops what min-p leaves out, and answers what is left weighs.
fn weight_of_likely(lane: Lane) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < count_own;) {
        let id = candidates[first_own + i];
        let weight = weight_of(logits[id], largest);
        if weight < sampling.min_p || !is_up_to(border, key(bitcast<u32>(logits[id])), id) {
            drop_candidate(i);
            continue;
        }
        sum += weight;
        i++;
    }
    return workgroup_sum(sum, lane);
}

// The first id up to which the candidates weigh more than this, if any. On the way those are
// dropped of which that is certain.
fn draw(weight: f32, lane: Lane) -> u32 {
    var last = highest_id();
    var first = 0u;
    var before = 0.0; // what this invocation had before the first
    for (var bit = last - last / 2u; bit > 0u; bit >>= 1u) {
        var sum = 0.0;
        for (var i = 0u; i < count_own;) {
            let id = candidates[first_own + i];
            if id < first || id > last {
                before += select(0.0, weight_of(logits[id], largest), id < first);
                drop_candidate(i);
                continue;
            }
            sum += select(0.0, weight_of(logits[id], largest), id <= last - bit);
            i++;
        }
        if workgroup_sum(before + sum, lane) > weight {
            last -= bit;
        } else {
            first = last - bit + 1u;
        }
    }
    return last;
}

// The k-th largest of the runs' largest logits: no smaller one can be among the top k.
fn least_of_top_k(lane: Lane) -> f32 {
    if lane.index == 0u {
        kth_key = 0u; // Where all are among the top k.
    }
    workgroupBarrier();
    for (var run = lane.index; run < RUNS; run += WG) {
        var larger = 0u;
        for (var other = 0u; other < RUNS; other++) {
            let key = runs[other].key;
            larger += u32(key > runs[run].key || (key == runs[run].key && other < run));
        }
        if larger + 1u == sampling.top_k {
            kth_key = runs[run].key;
        }
    }
    workgroupBarrier();
    return value_of(kth_key);
}

fn draw_filtered(total: f32, lane: Lane) -> u32 {
    var kept = total;
    if sampling.top_k > 0u && sampling.top_k < params.width {
        gather(0u, params.width, least_of_top_k(lane), lane);
        keep(f32(sampling.top_k), true, lane);
        kept = sum_up_to(vec2<u32>(0u, LAST), false, lane);
    } else {
        // What weighs less than its share of what may be left out is left out.
        let share = max(sampling.min_p, (1.0 - sampling.top_p) * total / f32(params.width)) * 0.999;
        gather(0u, params.width, largest + sampling.temperature * log(share), lane);
    }
    if sampling.top_p < 1.0 {
        keep(sampling.top_p * kept, false, lane);
    }
    return draw(sampling.uniform * weight_of_likely(lane), lane);
}

// Where all may be drawn, the run is known before its candidates.
fn draw_of_all(total: f32, lane: Lane) -> u32 {
    let weight = sampling.uniform * total;
    let each = (params.width + RUNS - 1u) / RUNS;
    var run = 0u;
    var before = 0.0;
    for (; run + 1u < RUNS; run++) {
        let after = before + weight_of_run(run);
        if after > weight {
            break;
        }
        before = after;
    }
    gather(run * each, min((run + 1u) * each, params.width), IMPOSSIBLE, lane);
    return draw(weight - before, lane);
}

fn weight_of_run(run: u32) -> f32 {
    return runs[run].weight * weight_of(value_of(runs[run].key), largest);
}

@compute @workgroup_size(WG)
fn main(lane: Lane) {
    var best = NONE;
    for (var run = 0u; run < RUNS; run++) {
        best = better(best, vec2<u32>(runs[run].key, runs[run].place));
    }
    largest = value_of(best.x);
    first_own = lane.index * ((params.width + WG - 1u) / WG);
    var id = best.y;
    if sampling.temperature > 0.0 {
        var total = 0.0;
        for (var run = 0u; run < RUNS; run++) {
            total += weight_of_run(run);
        }
        var drawn = 0u;
        let all = sampling.top_k == 0u || sampling.top_k >= params.width;
        if all && sampling.top_p == 1.0 && sampling.min_p == 0.0 {
            drawn = draw_of_all(total, lane);
        } else {
            drawn = draw_filtered(total, lane);
        }
        // Rounding may let none weigh enough, and beside what is infinite nothing weighs.
        id = select(id, drawn, drawn < params.width && largest < MOST);
    }
    if lane.index == 0u {
        id = select(0u, id, id < params.width);
        out[0] = id;
        seen[id] = (seen[id] | SEEN) + 1u;
    }
}

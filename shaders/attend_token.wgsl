// Rope and attention for one token: a workgroup for each KV head of this cache part and each of
// SPLITS runs of its positions. Of the heads that share the KV head, each QUERIES read its keys and
// values together, which lie close by for those after them. Whoever has the token's own position
// appends its key and value first. What is left is for merge.wgsl. Goes through its positions as
// attend.wgsl does.

override WG: u32 = 64u;
override FOURS: u32 = 16u; // head_dim / 4, at most WG
override SLICES: u32 = WG / FOURS;
override SPLITS: u32 = 1u;

struct Params {
    n_heads: u32,
    n_kv_heads: u32,
    rotary_dim: u32,
    first_head: u32, // first KV head of the part
    heads: u32, // KV heads of the part
    window: u32,
    scale: f32, // 1 / sqrt(head_dim)
    first_row: u32, // 0
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> angles: array<f32>; // [1, rotary_dim]: cosines, then sines
@group(0) @binding(2) var<storage, read> sequence: Sequence;
// [1, (n_heads + 2 * n_kv_heads) * head_dim]
@group(0) @binding(3) var<storage, read> qkv: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<Kv4>; // [pages, heads, PAGE, FOURS]
@group(0) @binding(5) var<storage, read_write> values: array<Kv4>; // the same
// [queries of these heads, SPLITS, FOURS + 1]: a sum of values, weighed relative to the run's
// largest score; then that score and the weights' sum
@group(0) @binding(6) var<storage, read_write> partials: array<vec4<f32>>;

// Below every score, yet far enough from the smallest float that differences stay finite.
const LOWEST: f32 = -1e30;

var<workgroup> query: array<vec4<f32>, QUERIES * FOURS>;
// of the block's positions for each query, relative to its largest score so far
var<workgroup> probabilities: array<vec4<f32>, WG>;
var<workgroup> gathered: array<vec4<f32>, WG>; // [SLICES, FOURS]

// The run of positions that a workgroup goes through.
struct Run {
    kv_head: u32, // of the part
    split: u32,
    first: u32,
    end: u32,
}

fn queries_of_kv_head() -> u32 {
    return params.n_heads / params.n_kv_heads;
}

// Appends the token's key and value.
fn append(kv_head: u32, lane: u32) {
    let key = (params.n_heads + params.first_head + kv_head) * 4u * FOURS;
    let value = key + params.n_kv_heads * 4u * FOURS;
    for (var i = lane; i < FOURS; i += WG) {
        let row = cached_row(kv_head, sequence.position, FOURS);
        keep_key4(row, i, rotated4(key, 4u * i, 0u));
        let own = value + 4u * i;
        let four = vec4<f32>(qkv[own], qkv[own + 1u], qkv[own + 2u], qkv[own + 3u]);
        keep_value4(row, i, four);
    }
}

// Brings the queries from `first` on here. Beyond the KV head's own the last one is brought again.
fn load_queries(kv_head: u32, first: u32, lane: u32) {
    for (var i = lane; i < QUERIES * FOURS; i += WG) {
        let own = min(first + i / FOURS, queries_of_kv_head() - 1u);
        let head = (params.first_head + kv_head) * queries_of_kv_head() + own;
        query[i] = params.scale * rotated4(head * 4u * FOURS, 4u * (i % FOURS), 0u);
    }
}

// Attends with the KV head's queries from `first_query` on.
fn attend(run: Run, first_query: u32, lane: Lane) {
    let four = lane.index % FOURS;
    let slice = lane.index / FOURS; // SLICES and above have nothing to gather
    var sums: array<vec4<f32>, QUERIES>;
    var l = vec4<f32>(); // of each query, as all that follow
    var m = vec4<f32>(LOWEST);
    for (var block = run.first; block < run.end; block += WG) {
        let mine = block + lane.index;
        var score = vec4<f32>(LOWEST);
        if mine < run.end {
            score = vec4<f32>();
            let row = cached_row(run.kv_head, mine, FOURS);
            for (var i = 0u; i < FOURS; i++) {
                let key = key4(row, i, FOURS);
                for (var q = 0u; q < QUERIES; q++) {
                    score[q] += dot(query[q * FOURS + i], key);
                }
            }
        }
        let before = m;
        m = max(before, workgroup_max4(score, lane));
        let p = select(vec4<f32>(), exp(score - m), mine < run.end);
        probabilities[lane.index] = p;
        let alpha = exp(before - m);
        l = l * alpha + workgroup_sum4(p, lane); // its barriers also show everybody's share

        for (var q = 0u; q < QUERIES; q++) {
            sums[q] *= alpha[q];
        }
        if slice < SLICES {
            for (var i = slice; i < min(WG, run.end - block); i += SLICES) {
                let row = cached_row(run.kv_head, block + i, FOURS);
                let value = value4(row, four, FOURS);
                for (var q = 0u; q < QUERIES; q++) {
                    sums[q] += probabilities[i][q] * value;
                }
            }
        }
        workgroupBarrier(); // before the next block's probabilities
    }

    for (var q = 0u; q < QUERIES; q++) {
        gathered[lane.index] = sums[q];
        workgroupBarrier();
        let own = first_query + q;
        let at = ((run.kv_head * queries_of_kv_head() + own) * SPLITS + run.split) * (FOURS + 1u);
        if own < queries_of_kv_head() && lane.index < FOURS {
            var sum = sums[q];
            for (var i = 1u; i < SLICES; i++) {
                sum += gathered[i * FOURS + four];
            }
            partials[at + four] = sum;
        }
        if own < queries_of_kv_head() && lane.index == 0u {
            partials[at + FOURS] = vec4<f32>(m[q], l[q], 0.0, 0.0);
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>) {
    let position = sequence.position;
    let seen = min(params.window, position + 1u);
    // positions of a run, in whole blocks
    let each = (seen + SPLITS * WG - 1u) / (SPLITS * WG) * WG;
    let first = position + 1u - seen + id.y * each;
    let end = min(first + each, position + 1u);
    if first <= position && position < end {
        append(id.x, lane.index);
    }
    for (var first_query = 0u; first_query < queries_of_kv_head(); first_query += QUERIES) {
        load_queries(id.x, first_query, lane.index);
        storageBarrier();
        workgroupBarrier();
        attend(Run(id.x, id.y, first, end), first_query, lane);
    }
}

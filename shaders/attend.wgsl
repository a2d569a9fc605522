// Causal attention over the cache: a workgroup for each query head of this cache part and each row. It goes through the
// positions in blocks of WG: an invocation scores one position, then gathers values for four elements of the output over
// every SLICES-th position of the block. What was gathered is scaled down whenever a later block has a larger score.

override WG: u32 = 64u;
override FOURS: u32 = 16u; // head_dim / 4, at most WG
override SLICES: u32 = WG / FOURS;

struct Params {
    n_heads: u32,
    n_kv_heads: u32,
    first_head: u32, // first KV head of the part
    ctx_len: u32,
    window: u32,
    scale: f32, // 1 / sqrt(head_dim)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>; // [rows, (n_heads + 2 * n_kv_heads) * FOURS], queries rotated
@group(0) @binding(2) var<storage, read> start: array<u32>; // [1]: the position of row 0
@group(0) @binding(3) var<storage, read> keys: array<Kv4>; // [heads, ctx_len, FOURS]
@group(0) @binding(4) var<storage, read> values: array<Kv4>; // the same
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>; // [rows, n_heads * FOURS]

// Below every score, yet far enough from the smallest float that differences stay finite.
const LOWEST: f32 = -1e30;

var<workgroup> query: array<vec4<f32>, FOURS>;
var<workgroup> shares: array<f32, WG>; // of the block's positions, relative to the largest score so far
var<workgroup> gathered: array<vec4<f32>, WG>; // [SLICES, FOURS]

@compute @workgroup_size(WG)
fn main(lane: Lane, @builtin(workgroup_id) id: vec3<u32>) {
    let queries = params.n_heads / params.n_kv_heads; // that share a KV head
    let head = params.first_head * queries + id.x;
    let cached = id.x / queries * params.ctx_len; // where the KV head's positions begin
    let position = start[0] + id.y;
    let first = position + 1u - min(params.window, position + 1u);

    for (var i = lane.index; i < FOURS; i += WG) {
        query[i] = params.scale * qkv[(id.y * (params.n_heads + 2u * params.n_kv_heads) + head) * FOURS + i];
    }
    workgroupBarrier();

    let four = lane.index % FOURS;
    let slice = lane.index / FOURS; // SLICES and above have nothing to gather
    var sum = vec4<f32>();
    var total = 0.0;
    var largest = LOWEST;
    for (var block = first; block <= position; block += WG) {
        let mine = block + lane.index;
        var score = LOWEST;
        if mine <= position {
            var products = vec4<f32>();
            for (var i = 0u; i < FOURS; i++) {
                products += query[i] * kv_unpack(keys[(cached + mine) * FOURS + i]);
            }
            score = dot(products, vec4<f32>(1.0));
        }
        let before = largest;
        largest = max(before, workgroup_max4(vec4<f32>(score), lane).x);
        let share = select(0.0, exp(score - largest), mine <= position);
        shares[lane.index] = share;
        let kept = exp(before - largest);
        total = total * kept + workgroup_sum(share, lane); // its barriers also show everybody's share

        sum *= kept;
        let end = min(WG, position + 1u - block);
        if slice < SLICES {
            for (var i = slice; i < end; i += SLICES) {
                sum += shares[i] * kv_unpack(values[(cached + block + i) * FOURS + four]);
            }
        }
        workgroupBarrier(); // before the next block's shares
    }

    gathered[lane.index] = sum;
    workgroupBarrier();
    if lane.index < FOURS {
        for (var i = 1u; i < SLICES; i++) {
            sum += gathered[i * FOURS + four];
        }
        out[(id.y * params.n_heads + head) * FOURS + four] = sum / total;
    }
}

// Causal attention over the cache, for many tokens: a workgroup for each KV head of this cache part
// and each tile of QUERIES * TEAMS queries, which are those of all heads that share the KV head,
// token after token. It goes through the positions that they see in blocks of FOURS. An invocation
// scores one position of the block for its team's queries, a few elements of the head at a time,
// then gathers four elements of the block's values for the same queries. What was gathered is
// scaled down whenever a later block has a larger score.

override FOURS: u32 = 16u; // head_dim / 4
override TEAMS: u32 = 4u;

// QUERIES, of a team, comes with the module.
const BUNDLES: u32 = QUERIES / 4u; // four queries each, which are the components of a vector
const PIECE: u32 = 8u; // fours of the head's elements in workgroup memory at a time

struct Params {
    n_heads: u32,
    n_kv_heads: u32,
    first_head: u32, // first KV head of the part
    heads: u32, // KV heads of the part
    window: u32,
    scale: f32, // 1 / sqrt(head_dim)
    first_row: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [rows, (n_heads + 2 * n_kv_heads) * FOURS], queries rotated
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sequence: Sequence;
@group(0) @binding(3) var<storage, read> keys: array<Kv4>; // [pages, heads, PAGE, FOURS]
@group(0) @binding(4) var<storage, read> values: array<Kv4>; // the same
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>; // [rows, n_heads * FOURS]

// Below every score, yet far enough from the smallest float that differences stay finite.
const LOWEST: f32 = -1e30;

// [four, team, bundle]: for each element those of four queries
var<workgroup> query_piece: array<mat4x4<f32>, PIECE * BUNDLES * TEAMS>;
var<workgroup> key_piece: array<vec4<f32>, PIECE * FOURS>; // [four, position]
// [team, position, bundle]; before they are that, scores
var<workgroup> probabilities: array<vec4<f32>, BUNDLES * FOURS * TEAMS>;

// What an invocation has to do with.
struct Own {
    kv_head: u32, // of the part
    tile: u32, // the first query of the tile
    team: u32,
    at: u32, // position of a block, and four of the head
    lane: u32, // of the workgroup
    positions: array<vec4<u32>, BUNDLES>, // of its team's queries
}

// What it has found of the blocks so far, for its team's queries.
struct Found {
    m: array<vec4<f32>, BUNDLES>, // the largest score; names are those of FlashAttention
    l: array<vec4<f32>, BUNDLES>, // of its positions' probabilities, relative to that score
    sums: array<vec4<f32>, QUERIES>, // of values by probabilities
}

fn queries_of_kv_head() -> u32 {
    return params.n_heads / params.n_kv_heads;
}

// The row of a query. Beyond the end they belong to the last row again, and are not stored.
fn row_of(query: u32) -> u32 {
    return params.first_row + min(query / queries_of_kv_head(), params.rows - 1u);
}

fn head_of(kv_head: u32, query: u32) -> u32 {
    return (params.first_head + kv_head) * queries_of_kv_head() + query % queries_of_kv_head();
}

fn query4(own: Own, query: u32, four: u32) -> vec4<f32> {
    let row = row_of(query) * (params.n_heads + 2u * params.n_kv_heads);
    return params.scale * qkv[(row + head_of(own.kv_head, query)) * FOURS + four];
}

// Brings a piece of the queries and of a block's keys. Beyond the edges the last ones are brought
// again.
fn load(own: Own, block: u32, end: u32, piece: u32) {
    for (var i = own.lane; i < PIECE * BUNDLES * TEAMS; i += FOURS * TEAMS) {
        let query = own.tile + 4u * (i / PIECE);
        let four = min(piece + i % PIECE, FOURS - 1u);
        let queries = mat4x4<f32>(
            query4(own, query, four),
            query4(own, query + 1u, four),
            query4(own, query + 2u, four),
            query4(own, query + 3u, four),
        );
        query_piece[i % PIECE * BUNDLES * TEAMS + i / PIECE] = transpose(queries);
    }
    for (var i = own.lane; i < PIECE * FOURS; i += FOURS * TEAMS) {
        let position = min(block + i / PIECE, end - 1u);
        let four = min(piece + i % PIECE, FOURS - 1u);
        let row = cached_row(own.kv_head, position, FOURS);
        key_piece[i % PIECE * FOURS + i / PIECE] = key4(row, four, FOURS);
    }
}

// How the team's queries match the invocation's position of a block: LOWEST where they do not see
// it.
fn scores_of(own: Own, block: u32, end: u32) -> array<vec4<f32>, BUNDLES> {
    var scores: array<vec4<f32>, BUNDLES>;
    for (var piece = 0u; piece < FOURS; piece += PIECE) {
        load(own, block, end, piece);
        workgroupBarrier();
        for (var four = 0u; four < min(PIECE, FOURS - piece); four++) {
            let key = key_piece[four * FOURS + own.at];
            for (var i = 0u; i < BUNDLES; i++) {
                scores[i] += query_piece[(four * TEAMS + own.team) * BUNDLES + i] * key;
            }
        }
        workgroupBarrier();
    }
    let position = vec4<u32>(block + own.at);
    for (var i = 0u; i < BUNDLES; i++) {
        let last = own.positions[i];
        let seen = min(vec4<u32>(params.window), last + 1u);
        let is_seen = (position <= last) & (position + seen > last);
        scores[i] = select(vec4<f32>(LOWEST), scores[i], is_seen);
    }
    return scores;
}

// Turns the block's scores into probabilities, and makes what was found before relative to the
// largest score so far.
fn softmax_step(own: Own, scores: array<vec4<f32>, BUNDLES>, found: ptr<function, Found>) {
    var score = scores;
    for (var i = 0u; i < BUNDLES; i++) {
        probabilities[own.lane * BUNDLES + i] = score[i];
    }
    workgroupBarrier();
    var m = (*found).m;
    for (var i = 0u; i < FOURS * BUNDLES; i++) {
        m[i % BUNDLES] = max(m[i % BUNDLES], probabilities[own.team * FOURS * BUNDLES + i]);
    }
    workgroupBarrier();
    for (var i = 0u; i < BUNDLES; i++) {
        let p = select(vec4<f32>(), exp(score[i] - m[i]), score[i] > vec4<f32>(LOWEST));
        let alpha = exp((*found).m[i] - m[i]);
        probabilities[own.lane * BUNDLES + i] = p;
        (*found).l[i] = (*found).l[i] * alpha + p;
        for (var q = 0u; q < 4u; q++) {
            (*found).sums[4u * i + q] *= alpha[q];
        }
    }
    (*found).m = m;
    workgroupBarrier();
}

// Adds the block's values. The teams read the same ones at the same time, so that memory gives them
// once.
fn gather(own: Own, block: u32, end: u32, found: ptr<function, Found>) {
    for (var position = 0u; position < min(FOURS, end - block); position++) {
        let value = value4(cached_row(own.kv_head, block + position, FOURS), own.at, FOURS);
        for (var i = 0u; i < BUNDLES; i++) {
            let p = probabilities[(own.team * FOURS + position) * BUNDLES + i];
            for (var q = 0u; q < 4u; q++) {
                (*found).sums[4u * i + q] += p[q] * value;
            }
        }
    }
}

// Divides what was found by all probabilities of the team's positions.
fn store(own: Own, found: ptr<function, Found>) {
    workgroupBarrier(); // before the last block's probabilities are overwritten
    for (var i = 0u; i < BUNDLES; i++) {
        probabilities[own.lane * BUNDLES + i] = (*found).l[i];
    }
    workgroupBarrier();
    var l: array<vec4<f32>, BUNDLES>;
    for (var i = 0u; i < FOURS * BUNDLES; i++) {
        l[i % BUNDLES] += probabilities[own.team * FOURS * BUNDLES + i];
    }
    for (var q = 0u; q < QUERIES; q++) {
        let query = own.tile + own.team * QUERIES + q;
        if query < params.rows * queries_of_kv_head() {
            let head = row_of(query) * params.n_heads + head_of(own.kv_head, query);
            out[head * FOURS + own.at] = (*found).sums[q] / l[q / 4u][q % 4u];
        }
    }
}

@compute @workgroup_size(FOURS, TEAMS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>) {
    let tile = id.y * QUERIES * TEAMS;
    var own = Own(id.x, tile, at.y, at.x, at.y * FOURS + at.x, array<vec4<u32>, BUNDLES>());
    var found: Found;
    for (var q = 0u; q < QUERIES; q++) {
        own.positions[q / 4u][q % 4u] = sequence.position + row_of(tile + at.y * QUERIES + q);
    }
    for (var i = 0u; i < BUNDLES; i++) {
        found.m[i] = vec4<f32>(LOWEST);
    }
    let position = sequence.position + row_of(tile);
    let first = position + 1u - min(params.window, position + 1u);
    let end = sequence.position + row_of(tile + QUERIES * TEAMS - 1u) + 1u;
    for (var block = first; block < end; block += FOURS) {
        softmax_step(own, scores_of(own, block, end), &found);
        gather(own, block, end, &found);
    }
    store(own, &found);
}

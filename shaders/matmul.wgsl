// out[r] = w · x[r], or out[r] += w · x[r], for many tokens: a workgroup for each tile of 4 * QUADS rows and TOKENS * TEAMS tokens,
// an invocation for 4 rows and TOKENS tokens. Each group of 32 columns is decoded once and then serves all the tile's tokens.

override QUADS: u32 = 16u;
override TEAMS: u32 = 8u;
override GROUPS: u32 = 1u; // of 32 columns

const TOKENS: u32 = 8u; // of an invocation

struct Params {
    rows: u32, // of the whole matrix: the width of out
    first_row: u32, // of the part
    part_rows: u32,
    tokens: u32,
    add: u32, // 1 to add to what out holds
}

@group(0) @binding(0) var<uniform> params: Params;
// Bindings 1 to 3, the weights, come with their kind.
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>; // [tokens, 8 * GROUPS]
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [tokens, rows]

var<workgroup> weights: array<mat4x4<Real>, 8u * QUADS>; // [column4, quad]
var<workgroup> inputs: array<vec4<Real>, 8u * TOKENS * TEAMS>; // [column4, token]

fn input4(token: u32, column4: u32) -> vec4<Real> {
    return real4(x[token * 8u * GROUPS + column4]);
}

fn load(group: u32, first_quad: u32, first_token: u32, lane: u32) {
    // Beyond the edges the last quad and token are loaded again, and their products not stored.
    let last_quad = (params.part_rows - 1u) / 4u;
    for (var i = lane; i < 8u * QUADS; i += QUADS * TEAMS) {
        let quad = min(first_quad + i / 8u, last_quad);
        weights[i % 8u * QUADS + i / 8u] = block(quad, group * 8u + i % 8u);
    }
    for (var i = lane; i < 8u * TOKENS * TEAMS; i += QUADS * TEAMS) {
        let token = min(first_token + i / 8u, params.tokens - 1u);
        inputs[i % 8u * TOKENS * TEAMS + i / 8u] = input4(token, group * 8u + i % 8u);
    }
}

fn store(row: u32, token: u32, sums: vec4<f32>) {
    if token >= params.tokens {
        return;
    }
    for (var i = 0u; i < 4u; i++) {
        if row + i < params.part_rows {
            let at = token * params.rows + params.first_row + row + i;
            out[at] = sums[i] + select(0.0, out[at], params.add == 1u);
        }
    }
}

@compute @workgroup_size(QUADS, TEAMS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>) {
    let first_quad = id.x * QUADS;
    let first_token = id.y * TOKENS * TEAMS;
    var sums: array<vec4<f32>, TOKENS>;
    for (var group = 0u; group < GROUPS; group++) {
        load(group, first_quad, first_token, at.y * QUADS + at.x);
        workgroupBarrier();
        for (var column4 = 0u; column4 < 8u; column4++) {
            let w = weights[column4 * QUADS + at.x];
            let own = (column4 * TEAMS + at.y) * TOKENS;
            for (var i = 0u; i < TOKENS; i++) {
                sums[i] += vec4<f32>(w * inputs[own + i]);
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < TOKENS; i++) {
        store(4u * (first_quad + at.x), first_token + TOKENS * at.y + i, sums[i]);
    }
}

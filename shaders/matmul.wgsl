// out[r] = w · x[r], or out[r] += w · x[r], for many tokens: a workgroup for each tile of 4 * QUADS
// rows and TOKENS * TEAMS tokens, an invocation for 4 rows and TOKENS tokens. Each group of 32
// columns is decoded once and then serves all the tile's tokens. What it is decoded to and how that
// is multiplied comes with the variant.

override QUADS: u32 = 16u;
override TEAMS: u32 = 8u;
override GROUPS: u32 = 1u; // of 32 columns

// TOKENS, of an invocation, comes with the module.

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

struct Tile {
    quad: u32, // its first
    token: u32, // its first
    own: vec2<u32>, // which of its quads, and of its teams, is this invocation's
}

// Beyond the edges the last quad and token are loaded again, and their products not stored.
fn quad_of(tile: Tile, i: u32) -> u32 {
    return min(tile.quad + i, (params.part_rows - 1u) / 4u);
}

fn token_of(tile: Tile, i: u32) -> u32 {
    return min(tile.token + i, params.tokens - 1u);
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
    let tile = Tile(id.x * QUADS, id.y * TOKENS * TEAMS, at.xy);
    var sums: array<vec4<f32>, TOKENS>;
    for (var group = 0u; group < GROUPS; group++) {
        load(tile, group, at.y * QUADS + at.x);
        workgroupBarrier();
        add_products(tile, group, &sums);
        workgroupBarrier();
    }
    for (var i = 0u; i < TOKENS; i++) {
        store(4u * (tile.quad + at.x), tile.token + TOKENS * at.y + i, sums[i]);
    }
}

// Tiles of a matmul in floats, for every kind of weights.

var<workgroup> weights: array<mat4x4<Real>, 8u * QUADS>; // [column4, quad]
var<workgroup> inputs: array<vec4<Real>, 8u * TOKENS * TEAMS>; // [column4, token]

fn load(tile: Tile, group: u32, lane: u32) {
    for (var i = lane; i < 8u * QUADS; i += QUADS * TEAMS) {
        weights[i % 8u * QUADS + i / 8u] = block(quad_of(tile, i / 8u), group * 8u + i % 8u);
    }
    for (var i = lane; i < 8u * TOKENS * TEAMS; i += QUADS * TEAMS) {
        let first = (token_of(tile, i / 8u) * GROUPS + group) * 8u;
        inputs[i % 8u * TOKENS * TEAMS + i / 8u] = real4(x[first + i % 8u]);
    }
}

fn add_products(tile: Tile, group: u32, sums: ptr<function, array<vec4<f32>, TOKENS>>) {
    for (var column4 = 0u; column4 < 8u; column4++) {
        let w = weights[column4 * QUADS + tile.own.x];
        let own = (column4 * TEAMS + tile.own.y) * TOKENS;
        for (var i = 0u; i < TOKENS; i++) {
            (*sums)[i] += vec4<f32>(w * inputs[own + i]);
        }
    }
}

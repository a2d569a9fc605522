// Tiles of a matmul in int15, for weights that have codes: the activations of each group of 32
// columns are rounded together. After int15.wgsl.

// [column4, quad]: for each row the codes of four columns
var<workgroup> weights: array<vec4<u32>, 8u * QUADS>;
// [token, column4]: the upper bytes of four columns, then the lower
var<workgroup> inputs: array<vec2<u32>, 8u * TOKENS * TEAMS>;
// what one in a token's int15 stands for, and the sum of all
var<workgroup> steps: array<vec2<f32>, TOKENS * TEAMS>;

fn load(tile: Tile, group: u32, lane: u32) {
    for (var i = lane; i < 8u * QUADS; i += QUADS * TEAMS) {
        weights[i % 8u * QUADS + i / 8u] = code_block(quad_of(tile, i / 8u), group * 8u + i % 8u);
    }
    for (var i = lane; i < TOKENS * TEAMS; i += QUADS * TEAMS) {
        quantise_token(i, (token_of(tile, i) * GROUPS + group) * 8u);
    }
}

// Rounds the activations of a token of the tile that begin in x at `first`.
fn quantise_token(token: u32, first: u32) {
    var magnitudes = vec4<f32>();
    for (var i = 0u; i < 8u; i++) {
        magnitudes = max(magnitudes, abs(x[first + i]));
    }
    let largest = largest_of(magnitudes);
    let inverse = inverse_step(largest);
    var sum = vec4<i32>();
    for (var i = 0u; i < 8u; i++) {
        let rounded = vec4<i32>(round(x[first + i] * inverse));
        inputs[8u * token + i] = in_bytes(rounded);
        sum += rounded;
    }
    let step = largest / LARGEST;
    steps[token] = vec2<f32>(step, step * sum_of(sum));
}

fn add_products(tile: Tile, group: u32, sums: ptr<function, array<vec4<f32>, TOKENS>>) {
    let dequantiser = dequantiser_of(quad_of(tile, tile.own.x) * GROUPS + group);
    var w: array<vec4<u32>, 8>;
    for (var i = 0u; i < 8u; i++) {
        w[i] = weights[i * QUADS + tile.own.x];
    }
    for (var i = 0u; i < TOKENS; i++) {
        let token = tile.own.y * TOKENS + i;
        var upper = vec4<i32>();
        var lower = vec4<i32>();
        for (var column4 = 0u; column4 < 8u; column4++) {
            let x4 = inputs[8u * token + column4];
            upper += dots(w[column4], x4.x);
            lower += dots(w[column4], x4.y);
        }
        let step = steps[token];
        (*sums)[i] += dequantise(dequantiser, step.x * vec4<f32>(128 * upper + lower), step.y);
    }
}

// Tiles of a matmul in whole numbers, for weights whose codes are: dots of bytes, which devices do four products at a time. Activations
// become whole numbers of 15 bits, each two bytes: 128 * upper + lower. (8 bits change what small models say: docs/speed.md.) So in each
// group of 32 columns they move by at most half of 1 / LARGEST of the group's largest magnitude, about 2^-15 of it, as on the CPU; what is
// computed with them is exact until a group's sum becomes a float.

// 127 in the upper byte, and nothing in the seven bits below.
const LARGEST: f32 = 16256.0;
// Groups all of whose activations are below it count as zeros: 1 / step would be no float.
const NEGLIGIBLE: f32 = 1e-30;

var<workgroup> weights: array<vec4<u32>, 8u * QUADS>; // [column4, quad]: for each row the codes of four columns
var<workgroup> inputs: array<vec2<u32>, 8u * TOKENS * TEAMS>; // [token, column4]: the upper bytes of four columns, then the lower
var<workgroup> steps: array<vec2<f32>, TOKENS * TEAMS>; // what one in a token's whole numbers is worth, and the sum of all

fn load(tile: Tile, group: u32, lane: u32) {
    for (var i = lane; i < 8u * QUADS; i += QUADS * TEAMS) {
        weights[i % 8u * QUADS + i / 8u] = whole_block(quad_of(tile, i / 8u), group * 8u + i % 8u);
    }
    for (var i = lane; i < TOKENS * TEAMS; i += QUADS * TEAMS) {
        make_whole(i, (token_of(tile, i) * GROUPS + group) * 8u);
    }
}

// Rounds the activations of a token of the tile that begin in x at `first`.
fn make_whole(token: u32, first: u32) {
    var magnitudes = vec4<f32>();
    for (var i = 0u; i < 8u; i++) {
        magnitudes = max(magnitudes, abs(x[first + i]));
    }
    let largest = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
    let inverse = select(0.0, LARGEST / largest, largest > NEGLIGIBLE);
    var sum = vec4<i32>();
    for (var i = 0u; i < 8u; i++) {
        let whole = vec4<i32>(round(x[first + i] * inverse));
        let upper = (whole + vec4<i32>(64)) >> vec4<u32>(7u);
        inputs[8u * token + i] = vec2<u32>(pack4xI8(upper), pack4xI8(whole - 128 * upper));
        sum += whole;
    }
    let step = largest / LARGEST;
    steps[token] = vec2<f32>(step, step * f32(sum.x + sum.y + sum.z + sum.w));
}

fn dots(w: vec4<u32>, x4: u32) -> vec4<i32> {
    return vec4<i32>(dot4I8Packed(w.x, x4), dot4I8Packed(w.y, x4), dot4I8Packed(w.z, x4), dot4I8Packed(w.w, x4));
}

fn add_products(tile: Tile, group: u32, sums: ptr<function, array<vec4<f32>, TOKENS>>) {
    let worth = worth_of(quad_of(tile, tile.own.x) * GROUPS + group);
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
        (*sums)[i] += worth_times(worth, step.x * vec4<f32>(128 * upper + lower), step.y);
    }
}

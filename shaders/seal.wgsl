// Seals the page that the rows are in, if they fill it and it is not the sequence's first: the open
// page's halves become codes of BITS bits, four or eight to a word, and a scale and a minimum to a
// word. A workgroup for the keys of each KV head of this cache part, and one for its values.

override WG: u32 = 64u;

struct Params {
    heads: u32, // KV heads of the part
    fours: u32, // head_dim / 4
    first_row: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sequence: Sequence;
@group(0) @binding(2) var<storage, read_write> keys: array<Kv4>; // [pages, heads, words]
@group(0) @binding(3) var<storage, read_write> values: array<Kv4>; // the same

// Four fours of codes are one of a byte or of half a byte each.
const PARTS: u32 = 8u / BITS;

struct Range {
    least: vec4<f32>,
    most: vec4<f32>,
}

fn wider(range: Range, four: vec4<f32>) -> Range {
    return Range(min(range.least, four), max(range.most, four));
}

const NONE: Range = Range(vec4<f32>(3.0e38), vec4<f32>(-3.0e38));

// A scale, as a half, and a minimum, which is one, in a word.
fn scale_word(least: f32, most: f32) -> u32 {
    return pack2x16float(vec2<f32>((most - least) / f32((1u << BITS) - 1u), least));
}

// A code for each.
fn codes_of(four: vec4<f32>, scale: vec4<f32>, least: vec4<f32>) -> vec4<u32> {
    let inverse = select(vec4<f32>(), 1.0 / scale, scale > vec4<f32>());
    let largest = vec4<f32>(f32((1u << BITS) - 1u));
    return vec4<u32>(clamp(round((four - least) * inverse), vec4<f32>(), largest));
}

fn word_of(codes: vec4<u32>) -> u32 {
    return codes.x | (codes.y << 8u) | (codes.z << 16u) | (codes.w << 24u);
}

fn seal_keys(head: u32, page: u32, lane: u32) {
    let to = (sequence.pages[2u * EXACT + page] * params.heads + head) * key_words(params.fours);
    let words = code_words(params.fours);
    for (var word = lane; word < words; word += WG) {
        var ranges: array<Range, PARTS>;
        for (var part = 0u; part < PARTS; part++) {
            ranges[part] = NONE;
            for (var i = 0u; i < PAGE; i++) {
                let row = cached_row(head, page * PAGE + i, params.fours);
                let four = key4(row, word + part * words, params.fours);
                ranges[part] = wider(ranges[part], four);
            }
            let at = to + PAGE * words + 4u * (word + part * words);
            for (var i = 0u; i < 4u; i++) {
                keys[at + i] = scale_word(ranges[part].least[i], ranges[part].most[i]);
            }
        }
        for (var i = 0u; i < PAGE; i++) {
            let row = cached_row(head, page * PAGE + i, params.fours);
            var codes = vec4<u32>();
            for (var part = 0u; part < PARTS; part++) {
                let at = to + PAGE * words + 4u * (word + part * words);
                let low = halves4(keys[at], keys[at + 1u]);
                let high = halves4(keys[at + 2u], keys[at + 3u]);
                let four = key4(row, word + part * words, params.fours);
                let scale = vec4<f32>(low.xz, high.xz);
                let own = codes_of(four, scale, vec4<f32>(low.yw, high.yw));
                codes |= own << vec4<u32>(part * BITS);
            }
            keys[to + i * words + word] = word_of(codes);
        }
    }
}

fn seal_values(head: u32, page: u32, lane: u32) {
    let to = (sequence.pages[2u * EXACT + page] * params.heads + head) * value_words(params.fours);
    let words = code_words(params.fours);
    for (var i = lane; i < PAGE; i += WG) {
        let row = cached_row(head, page * PAGE + i, params.fours);
        var scales: array<vec2<f32>, PARTS>;
        for (var part = 0u; part < PARTS; part++) {
            var range = NONE;
            for (var word = 0u; word < words; word++) {
                range = wider(range, value4(row, word + part * words, params.fours));
            }
            let least = min(min(range.least.x, range.least.y), min(range.least.z, range.least.w));
            let most = max(max(range.most.x, range.most.y), max(range.most.z, range.most.w));
            let scale = scale_word(least, most);
            values[to + PAGE * words + i * PARTS + part] = scale;
            scales[part] = unpack2x16float(scale);
        }
        for (var word = 0u; word < words; word++) {
            var codes = vec4<u32>();
            for (var part = 0u; part < PARTS; part++) {
                let four = value4(row, word + part * words, params.fours);
                let scale = vec4<f32>(scales[part].x);
                codes |= codes_of(four, scale, vec4<f32>(scales[part].y)) << vec4<u32>(part * BITS);
            }
            values[to + i * words + word] = word_of(codes);
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = sequence.position + params.first_row;
    let page = first / PAGE;
    if page == 0u || (first + params.rows) % PAGE != 0u {
        return;
    }
    if id.y == 0u {
        seal_keys(id.x, page, lane);
    } else {
        seal_values(id.x, page, lane);
    }
}

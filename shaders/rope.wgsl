// Rotates the queries of this cache part's KV heads in place, and appends their rotated keys and
// their values to the cache: an invocation for each pair of query elements that rotate together,
// and for each four elements of keys and of values.

override WG: u32 = 64u;

struct Params {
    n_heads: u32,
    n_kv_heads: u32,
    head_dim: u32,
    rotary_dim: u32,
    first_head: u32, // first KV head of the part
    heads: u32, // KV heads of the part
    first_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [rows, rotary_dim]: cosines, then sines
@group(0) @binding(1) var<storage, read> angles: array<f32>;
@group(0) @binding(2) var<storage, read> sequence: Sequence;
// [rows, (n_heads + 2 * n_kv_heads) * head_dim]
@group(0) @binding(3) var<storage, read_write> qkv: array<f32>;
// [pages, heads, PAGE, head_dim / 4]
@group(0) @binding(4) var<storage, read_write> keys: array<Kv4>;
@group(0) @binding(5) var<storage, read_write> values: array<Kv4>; // the same

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = params.first_row + id.y;
    let row_start = row * (params.n_heads + 2u * params.n_kv_heads) * params.head_dim;
    let half = params.rotary_dim / 2u;
    let queries = params.n_heads / params.n_kv_heads * params.heads;
    let fours = params.head_dim / 4u;

    var i = id.x;
    if i < queries * half {
        let first_query = params.first_head * (params.n_heads / params.n_kv_heads);
        let head = row_start + (first_query + i / half) * params.head_dim;
        let first = rotated(head, i % half, row);
        let second = rotated(head, i % half + half, row);
        qkv[head + i % half] = first;
        qkv[head + i % half + half] = second;
        return;
    }
    i -= queries * half;
    if i >= 2u * params.heads * fours {
        return;
    }
    let is_value = i >= params.heads * fours;
    i %= params.heads * fours;
    let kv_head = i / fours;
    let at = cached_row(kv_head, sequence.position + row, fours);
    let first = 4u * (i % fours);
    let key_head = row_start + (params.n_heads + params.first_head + kv_head) * params.head_dim;
    if is_value {
        let value = key_head + params.n_kv_heads * params.head_dim + first;
        let four = vec4<f32>(qkv[value], qkv[value + 1u], qkv[value + 2u], qkv[value + 3u]);
        keep_value4(at, i % fours, four);
    } else {
        keep_key4(at, i % fours, rotated4(key_head, first, row));
    }
}

// out[r] = w · x[r], or out[r] += w · x[r], for TOKENS tokens: a workgroup for each QUADS quads of
// four rows. The normed variant takes the RMS norms of x's rows instead.

override WG: u32 = 64u;

struct Params {
    rows: u32, // of the whole matrix: the width of out
    first_row: u32, // of the part
    part_rows: u32,
    add: u32, // 1 to add to what out holds
    x_row: u32, // of x, where the tokens begin
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Bindings 1 to 3, the weights, come with their kind; 4 and 5 are the input and the norm's weights.
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [TOKENS, rows]

@compute @workgroup_size(WG)
fn main(
    lane: Lane,
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
) {
    let first = (id.y * grid.x + id.x) * QUADS;
    let past = (params.part_rows + 3u) / 4u;
    if first >= past {
        return;
    }
    var quads: array<u32, QUADS>;
    for (var q = 0u; q < QUADS; q++) {
        quads[q] = min(first + q, past - 1u); // Those beyond the end are computed in vain.
    }
    var totals = products(quads, lane);
    for (var i = lane.index; i < 4u * QUADS * TOKENS; i += WG) {
        let row = 4u * (first + i / (4u * TOKENS)) + i % 4u;
        if row < params.part_rows {
            let at = i / 4u % TOKENS * params.rows + params.first_row + row;
            out[at] = totals[i / 4u][i % 4u] + select(0.0, out[at], params.add == 1u);
        }
    }
}

// out[r] = silu(gate · x[r]) * (up · x[r]) for TOKENS tokens: a workgroup for each QUADS / 2 quads
// of four rows of gate, and as many of up, which lie in one matrix, gate's first. x's rows are as
// they are, or their RMS norms.

override WG: u32 = 64u;

const PAIRS: u32 = QUADS / 2u;

struct Params {
    width: u32, // rows of gate, and of up: a multiple of 4
    x_row: u32, // of x, where the tokens begin
    eps: f32, // of the norm
}

@group(0) @binding(0) var<uniform> params: Params;
// Bindings 1 to 3, the weights, come with their kind; 4 is the input, 5 a norm's weights.
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [TOKENS, width]

@compute @workgroup_size(WG)
fn main(
    lane: Lane,
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
) {
    let first = (id.y * grid.x + id.x) * PAIRS;
    let past = params.width / 4u;
    if first >= past {
        return;
    }
    var quads: array<u32, QUADS>; // gate's, then up's
    for (var q = 0u; q < PAIRS; q++) {
        let quad = min(first + q, past - 1u); // Those beyond the end are computed in vain.
        quads[q] = quad;
        quads[PAIRS + q] = past + quad;
    }
    var totals = products(quads, lane);
    for (var i = lane.index; i < 4u * PAIRS * TOKENS; i += WG) {
        let row = 4u * (first + i / (4u * TOKENS)) + i % 4u;
        if row < params.width {
            let gate = totals[i / 4u][i % 4u];
            let up = totals[PAIRS * TOKENS + i / 4u][i % 4u];
            out[i / 4u % TOKENS * params.width + row] = silu(gate) * up;
        }
    }
}

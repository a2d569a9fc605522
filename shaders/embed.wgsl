// out[r] = table[ids[r]] for the ids whose rows lie in this part of the table: an invocation for
// each four columns.

override WG: u32 = 64u;
override GROUPS: u32 = 1u; // of 32 columns

struct Params {
    first_row: u32, // of the part
    part_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Bindings 1 to 3, the table, come with its kind.
@group(0) @binding(4) var<storage, read> ids: array<u32>; // [rows]
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>; // [rows, 8 * GROUPS]

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let wanted = ids[id.y];
    // Below first_row the difference wraps round to a large number.
    let row = wanted - params.first_row;
    if id.x >= 8u * GROUPS || row >= params.part_rows {
        return;
    }
    let w = block(row / 4u, id.x);
    let at = row % 4u;
    out[id.y * 8u * GROUPS + id.x] = vec4<f32>(vec4<Real>(w[0][at], w[1][at], w[2][at], w[3][at]));
}

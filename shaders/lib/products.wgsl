// What kernels for few tokens share: the products of a quad of four rows with TOKENS tokens. The weights are read once for all of them.

override GROUPS: u32 = 1u; // of 32 columns

@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>; // [x_row + TOKENS, 8 * GROUPS]

// w · x[x_row + token] for each token. Every invocation must call it, and every one gets the result.
fn products(quad: u32, lane: Lane) -> array<vec4<f32>, TOKENS> {
    var sums: array<vec4<f32>, TOKENS>;
    var powers: array<f32, TOKENS>;
    for (var line = lane.index; line < GROUPS * GROUP_LINES; line += WG) {
        let columns = line_columns(line);
        let w = line_of(quad, line);
        for (var token = 0u; token < TOKENS; token++) {
            let row = (params.x_row + token) * 8u * GROUPS;
            let x0 = x[row + columns.x];
            let x1 = x[row + columns.y];
            powers[token] += power(x0) + power(x1);
            sums[token] += line_dot(w, real4(weighed(x0, columns.x)), real4(weighed(x1, columns.y)));
        }
    }
    for (var token = 0u; token < TOKENS; token++) {
        sums[token] = rescaled(workgroup_sum4(sums[token], lane), powers[token], lane);
    }
    return sums;
}

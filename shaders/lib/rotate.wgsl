// Element `i` of the head that begins at `head` in qkv, rotated by a row's angles.
fn rotated(head: u32, i: u32, row: u32) -> f32 {
    let half = params.rotary_dim / 2u;
    let own = qkv[head + i];
    if i >= 2u * half {
        return own;
    }
    let pair = i % half;
    let cosine = angles[row * params.rotary_dim + pair];
    let sine = angles[row * params.rotary_dim + half + pair];
    if i < half {
        return own * cosine - qkv[head + i + half] * sine;
    }
    return own * cosine + qkv[head + i - half] * sine;
}

// Elements `i` to `i + 3`.
fn rotated4(head: u32, i: u32, row: u32) -> vec4<f32> {
    return vec4<f32>(
        rotated(head, i, row),
        rotated(head, i + 1u, row),
        rotated(head, i + 2u, row),
        rotated(head, i + 3u, row),
    );
}

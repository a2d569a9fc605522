// int15 activations: whole numbers of 15 bits, each two bytes, 128 * upper + lower, beside codes in
// bytes: dots of bytes, which devices do four products at a time. (8 bits change what small models
// say: docs/speed.md.) Activations that are rounded together move by at most half of 1 / LARGEST of
// the largest magnitude among them, about 2^-15 of it, as on the CPU; what is computed with them is
// exact until a sum of theirs becomes a float.

// 127 in the upper byte, and nothing in the seven bits below.
const LARGEST: f32 = 16256.0;
// Activations all of which are below it count as zeros: 1 / step would be no float.
const NEGLIGIBLE: f32 = 1e-30;

// What activations are multiplied by of which these are the largest magnitude.
fn inverse_step(largest: f32) -> f32 {
    return select(0.0, LARGEST / largest, largest > NEGLIGIBLE);
}

fn largest_of(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

fn sum_of(v: vec4<i32>) -> f32 {
    return f32(v.x + v.y + v.z + v.w);
}

// The upper bytes of four, then the lower.
fn in_bytes(v: vec4<i32>) -> vec2<u32> {
    let upper = (v + vec4<i32>(64)) >> vec4<u32>(7u);
    return vec2<u32>(pack4xI8(upper), pack4xI8(v - 128 * upper));
}

fn dots(w: vec4<u32>, x4: u32) -> vec4<i32> {
    return vec4<i32>(
        dot4I8Packed(w.x, x4),
        dot4I8Packed(w.y, x4),
        dot4I8Packed(w.z, x4),
        dot4I8Packed(w.w, x4),
    );
}

// Cached keys and values in single precision.

alias Kv4 = vec4<f32>;

fn kv_unpack(held: Kv4) -> vec4<f32> {
    return held;
}

fn kv_pack(v: vec4<f32>) -> Kv4 {
    return v;
}

// Cached keys and values in half precision, two to a u32.

alias Kv4 = vec2<u32>;

fn kv_unpack(held: Kv4) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(held.x), unpack2x16float(held.y));
}

fn kv_pack(v: vec4<f32>) -> Kv4 {
    return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
}

// Puts keys and values into the cache.

fn keep_key4(row: Row, four: u32, key: vec4<f32>) {
    keys[row + four] = kv_pack(key);
}

fn keep_value4(row: Row, four: u32, value: vec4<f32>) {
    values[row + four] = kv_pack(value);
}

// Puts keys and values into the cache: their page is not sealed.

fn keep_key4(row: Row, four: u32, key: vec4<f32>) {
    keys[row.keys + 2u * four] = pack2x16float(key.xy);
    keys[row.keys + 2u * four + 1u] = pack2x16float(key.zw);
}

fn keep_value4(row: Row, four: u32, value: vec4<f32>) {
    values[row.values + 2u * four] = pack2x16float(value.xy);
    values[row.values + 2u * four + 1u] = pack2x16float(value.zw);
}

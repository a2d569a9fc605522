// Cached keys and values as they were computed.

// Where a position of one of the cache part's KV heads begins, of keys and of values.
alias Row = u32;

fn cached_row(kv_head: u32, position: u32, fours: u32) -> Row {
    let page = sequence.pages[position / PAGE];
    return ((page * params.heads + kv_head) * PAGE + position % PAGE) * fours;
}

fn key4(row: Row, four: u32, fours: u32) -> vec4<f32> {
    return kv_unpack(keys[row + four]);
}

fn value4(row: Row, four: u32, fours: u32) -> vec4<f32> {
    return kv_unpack(values[row + four]);
}

// Cached keys and values in pages that are sealed: codes of BITS bits, four or eight to a word,
// then a scale and a minimum to a word. The first page, and the one that the op's rows are in, have
// halves.

alias Kv4 = u32;

// Where a position of one of the cache part's KV heads lies, in words.
struct Row {
    is_exact: bool,
    keys: u32,
    values: u32,
    // of sealed pages
    key_scales: u32,
    value_scales: u32,
}

// Words of a position's codes.
fn code_words(fours: u32) -> u32 {
    return fours * BITS / 8u;
}

fn key_words(fours: u32) -> u32 {
    return PAGE * code_words(fours) + 4u * fours;
}

fn value_words(fours: u32) -> u32 {
    return PAGE * (code_words(fours) + VALUE_GROUPS);
}

fn cached_row(kv_head: u32, position: u32, fours: u32) -> Row {
    let page = position / PAGE;
    let in_page = position % PAGE;
    let own = (sequence.position + params.first_row) / PAGE;
    if page == 0u || page == own {
        let each = PAGE / EXACT;
        let place = sequence.pages[select(EXACT, 0u, page == 0u) + in_page / each] * params.heads;
        let row = (kv_head * each + in_page % each) * 2u * fours;
        return Row(true, place * key_words(fours) + row, place * value_words(fours) + row, 0u, 0u);
    }
    let place = sequence.pages[2u * EXACT + page] * params.heads + kv_head;
    let first = vec2<u32>(place * key_words(fours), place * value_words(fours));
    let row = first + in_page * code_words(fours);
    let scales = first + PAGE * code_words(fours);
    return Row(false, row.x, row.y, scales.x, scales.y + in_page * VALUE_GROUPS);
}

fn halves4(low: u32, high: u32) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(low), unpack2x16float(high));
}

// Four codes of a position whose codes begin there, as numbers.
fn codes4(words: vec2<u32>) -> vec4<f32> {
    let bytes = vec4<u32>(words.x) >> (vec4<u32>(0u, 8u, 16u, 24u) + words.y);
    return vec4<f32>(bytes & vec4<u32>((1u << BITS) - 1u));
}

// Which of a position's words has four codes, and how far up in its bytes they are.
fn code_place(four: u32, fours: u32) -> vec2<u32> {
    let words = code_words(fours);
    return vec2<u32>(four % words, four / words * BITS);
}

fn key4(row: Row, four: u32, fours: u32) -> vec4<f32> {
    if row.is_exact {
        let at = row.keys + 2u * four;
        return halves4(keys[at], keys[at + 1u]);
    }
    let place = code_place(four, fours);
    let codes = codes4(vec2<u32>(keys[row.keys + place.x], place.y));
    let at = row.key_scales + 4u * four;
    let low = halves4(keys[at], keys[at + 1u]);
    let high = halves4(keys[at + 2u], keys[at + 3u]);
    let scale = vec4<f32>(low.xz, high.xz);
    return codes * scale + vec4<f32>(low.yw, high.yw);
}

fn value4(row: Row, four: u32, fours: u32) -> vec4<f32> {
    if row.is_exact {
        let at = row.values + 2u * four;
        return halves4(values[at], values[at + 1u]);
    }
    let place = code_place(four, fours);
    let codes = codes4(vec2<u32>(values[row.values + place.x], place.y));
    let scale = unpack2x16float(values[row.value_scales + place.y / BITS]);
    return codes * scale.x + scale.y;
}

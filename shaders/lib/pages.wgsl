// Where the positions of a sequence lie in the cache: PAGE of them, which follow one another, to a
// page.

struct Sequence {
    position: u32, // of row 0
    pages: array<u32>, // in the order of their positions
}

// A position of one of the cache part's KV heads, of which there are so many.
fn place(heads: u32, kv_head: u32, position: u32) -> u32 {
    return (sequence.pages[position / PAGE] * heads + kv_head) * PAGE + position % PAGE;
}

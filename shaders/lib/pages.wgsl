// Where the positions of a sequence lie in the cache: PAGE of them, which follow one another, to a
// page.

struct Sequence {
    position: u32, // of row 0
    // Where pages are sealed EXACT that make up the first one, and EXACT of that which rows are in;
    // then those of the positions, in their order.
    pages: array<u32>,
}

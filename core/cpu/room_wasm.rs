//! How much memory there is. A module's grows as far as its host allows, and how far that is shows
//! only when it is asked for.

use super::memory::Bytes;

/// Bytes of a piece: an address space of 4 GiB takes no more of them than [`MOST`], with the
/// smaller ones at its end.
const LARGEST: u64 = 256 << 20;
/// Nothing depends on less.
const SMALLEST: u64 = 64 << 10;
const MOST: usize = 64;

/// Of so many bytes, those that can be had now. They are not touched, so that none is really taken,
/// and given back at once.
pub fn of(bytes: u64) -> u64 {
    let mut pieces = [const { None }; MOST];
    let (mut had, mut size) = (0, LARGEST);
    for piece in &mut pieces {
        loop {
            let wanted = size.min(bytes - had);
            *piece = Bytes::untouched(wanted as usize);
            if piece.is_some() {
                had += wanted;
                break;
            }
            size /= 2;
            if size < SMALLEST || wanted == 0 {
                return had;
            }
        }
    }
    had
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_had_is_had_afterwards_and_no_more_than_there_is() {
        assert_eq!(of(0), 0);
        assert_eq!(of(100_000), 100_000);
        let all = of(8 << 30);
        assert!((256 << 20..4 << 30).contains(&all), "{all}");
        // It was given back.
        assert!(of(all) + 2 * SMALLEST >= all);
        assert!(Bytes::untouched(LARGEST as usize).is_some());
    }
}

//! Which pages of the cache hold what.
//!
//! Pages are counted by who holds them: the sequences that look into them, and a tree of what was
//! computed before, by which a sequence finds what it has in common with others. What only the tree
//! holds is given up when somebody needs a page, the least recently used first.

mod prefixes;

use std::sync::{Arc, Weak};

use crate::error::{Code, Result, fail};
use crate::model::kv;
use crate::model::rope::Factors;
use crate::op::{KvKind, PAGE};
pub use prefixes::Found;
use prefixes::Prefixes;

/// A page, for as long as somebody holds it: its place in the cache. What a device still has to do
/// for one who held it comes before whatever is asked for whoever gets it next.
pub type Page = Arc<u32>;

/// What holds some positions: a page, or several that make up one which is not sealed.
pub type Held = Vec<Page>;

/// Whether nobody else holds any of them.
pub fn is_held_once(pages: &Held) -> bool {
    pages.iter().all(|page| Arc::strong_count(page) == 1)
}

/// The pages that a sequence may come to need, of which nobody can deprive it. Each is one
/// sequence's, and tells it from all others.
#[derive(Debug)]
pub struct Reservation {
    /// The most positions.
    pub positions: usize,
}

/// All pages of a cache.
#[derive(Debug)]
pub struct Pages {
    /// Who holds each.
    held: Vec<Weak<u32>>,
    reservations: Vec<Weak<Reservation>>,
    prefixes: Prefixes,
    kind: KvKind,
}

impl Pages {
    /// For so many positions, none of which anybody holds.
    pub fn new(kind: KvKind, positions: usize) -> Pages {
        let pages = kv::pages(kind, positions);
        Pages {
            held: (0..pages).map(|_| Weak::new()).collect(),
            reservations: Vec::new(),
            prefixes: Prefixes::new(pages, kind.exact_pages() as usize),
            kind,
        }
    }

    /// Reserves what so many positions take.
    ///
    /// # Errors
    /// `out-of-memory`, with the most that there are.
    pub fn reserve(&mut self, positions: usize) -> Result<Arc<Reservation>> {
        self.reservations.retain(|reservation| reservation.strong_count() > 0);
        let reserved: usize = self
            .reservations
            .iter()
            .filter_map(Weak::upgrade)
            .map(|reservation| kv::pages(self.kind, reservation.positions))
            .sum();
        let free = self.held.len().saturating_sub(reserved);
        if kv::pages(self.kind, positions) > free {
            fail!(
                Code::OutOfMemory,
                "a sequence of {positions} tokens was asked for, and of {} positions {} are free",
                self.held.len() * PAGE as usize,
                free * PAGE as usize;
                "drop another one, or load with a longer context"
            );
        }
        let reservation = Arc::new(Reservation { positions });
        self.reservations.push(Arc::downgrade(&reservation));
        Ok(reservation)
    }

    /// Whether a reservation is one of these pages.
    pub fn has(&self, reservation: &Arc<Reservation>) -> bool {
        self.reservations.iter().any(|one| one.as_ptr() == Arc::as_ptr(reservation))
    }

    /// A page that nobody else holds.
    ///
    /// # Errors
    /// `out-of-memory` where sequences hold all of them.
    pub fn take(&mut self) -> Result<Page> {
        let free = self.held.iter().position(|page| page.strong_count() == 0);
        let Some(place) = free.or_else(|| self.prefixes.give_up()) else {
            fail!(
                Code::OutOfMemory,
                "sequences hold all {} positions of the cache",
                self.held.len() * PAGE as usize;
                "drop one, or load with a longer context"
            );
        };
        let page = Arc::new(place as u32);
        self.held[place] = Arc::downgrade(&page);
        Ok(page)
    }

    /// What a sequence's positions in a page are held in until it is sealed, if it ever is.
    ///
    /// # Errors
    /// As [`Pages::take`].
    pub fn take_open(&mut self) -> Result<Held> {
        (0..self.kind.exact_pages().max(1)).map(|_| self.take()).collect()
    }

    /// The pages that begin with what these tokens begin with.
    pub fn find(&mut self, factors: Factors, tokens: &[u32]) -> Found {
        self.prefixes.find(factors, tokens)
    }

    /// Takes note that these pages hold these tokens. From now on they stay as they are.
    pub fn remember(&mut self, factors: Factors, tokens: &[u32], pages: &[Held]) {
        self.prefixes.insert(factors, tokens, pages);
    }

    /// Takes no more note of any page.
    pub fn forget_all(&mut self) {
        self.prefixes = Prefixes::new(self.held.len(), self.kind.exact_pages() as usize);
    }

    /// Takes no more note of a page, and of what follows it.
    pub fn forget(&mut self, pages: &Held) {
        if let Some(page) = pages.first() {
            self.prefixes.remove_all(**page as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LONG: usize = PAGE as usize;
    const SHORT: Factors = Factors::Short;

    /// So many tokens, which begin as all of the same kind do.
    fn tokens(kind: u32, count: usize) -> Vec<u32> {
        (0..count as u32).map(|at| 1000 * kind + at).collect()
    }

    /// So many pages, which are never sealed.
    fn all_of(pages: usize) -> Pages {
        Pages::new(KvKind::F16, pages * LONG)
    }

    fn places(held: &[Held]) -> Vec<u32> {
        held.iter().map(|pages| *pages[0]).collect()
    }

    /// Pages for so many tokens, of which note is taken.
    fn remembered(pages: &mut Pages, factors: Factors, tokens: &[u32]) -> Vec<u32> {
        let taken: Vec<Held> = tokens.chunks(LONG).map(|_| vec![pages.take().unwrap()]).collect();
        pages.remember(factors, tokens, &taken);
        places(&taken)
    }

    fn found(pages: &mut Pages, factors: Factors, tokens: &[u32]) -> (Vec<u32>, usize) {
        let found = pages.find(factors, tokens);
        (places(&found.pages), found.tokens)
    }

    #[test]
    fn what_was_computed_is_found_as_far_as_it_is_the_same() {
        let mut pages = all_of(8);
        let all = tokens(1, 3 * LONG + 10);
        let taken = remembered(&mut pages, SHORT, &all);
        assert_eq!(found(&mut pages, SHORT, &all), (taken.clone(), all.len()));
        assert_eq!(found(&mut pages, SHORT, &all[..LONG + 5]), (taken[..2].to_vec(), LONG + 5));
        let mut other = all.clone();
        other[2 * LONG + 3] = 9;
        assert_eq!(found(&mut pages, SHORT, &other), (taken[..3].to_vec(), 2 * LONG + 3));
        assert_eq!(found(&mut pages, SHORT, &tokens(2, 70)), (vec![], 0));
        assert_eq!(found(&mut pages, Factors::Long, &all), (vec![], 0), "other factors");
        let longer = [all.clone(), tokens(7, 9)].concat();
        assert_eq!(found(&mut pages, SHORT, &longer), (taken, all.len()));
    }

    #[test]
    fn branches_share_what_comes_before_them() {
        let mut pages = all_of(8);
        let stem = tokens(1, LONG);
        let first = [stem.clone(), tokens(2, LONG)].concat();
        let second = [stem.clone(), tokens(3, 20)].concat();
        let of_first = remembered(&mut pages, SHORT, &first);
        let of_second = remembered(&mut pages, SHORT, &second);
        // The second's own page of the stem is nobody's any more.
        let expected = vec![of_first[0], of_second[1]];
        assert_eq!(found(&mut pages, SHORT, &second), (expected, second.len()));
        let held: Vec<Page> = (0..6).map_while(|_| pages.take().ok()).collect();
        assert_eq!(held.len(), 6);
        assert_eq!(found(&mut pages, SHORT, &second), (vec![of_first[0], of_second[1]], LONG + 20));
    }

    #[test]
    fn an_open_page_that_went_on_takes_its_own_place() {
        let mut pages = all_of(4);
        remembered(&mut pages, SHORT, &tokens(1, 10));
        let longer = remembered(&mut pages, SHORT, &tokens(1, 30));
        assert_eq!(found(&mut pages, SHORT, &tokens(1, 40)), (longer.clone(), 30));
        // A shorter one is there already.
        remembered(&mut pages, SHORT, &tokens(1, 20));
        assert_eq!(found(&mut pages, SHORT, &tokens(1, 40)), (longer, 30));
        let held: Vec<Page> = (0..4).map_while(|_| pages.take().ok()).collect();
        assert_eq!(held.len(), 4, "one page was remembered, and is given up");
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_ends_before_beginnings() {
        let mut pages = all_of(4);
        let (old, new) = (tokens(1, 2 * LONG), tokens(2, 2 * LONG));
        remembered(&mut pages, SHORT, &old);
        remembered(&mut pages, SHORT, &new);
        found(&mut pages, SHORT, &old);
        let mut held = vec![pages.take().unwrap()];
        assert_eq!(found(&mut pages, SHORT, &new).1, LONG);
        assert_eq!(found(&mut pages, SHORT, &old).1, 2 * LONG);
        held.push(pages.take().unwrap());
        assert_eq!(found(&mut pages, SHORT, &new).1, 0);
        held.push(pages.take().unwrap());
        assert_eq!(found(&mut pages, SHORT, &old).1, LONG);
        held.push(pages.take().unwrap());
        assert_eq!(pages.take().unwrap_err().code, Code::OutOfMemory);
        held.pop();
        pages.take().unwrap();
    }

    #[test]
    fn what_a_sequence_holds_stays() {
        let mut pages = all_of(3);
        let all = tokens(1, 2 * LONG);
        remembered(&mut pages, SHORT, &all);
        let held = pages.find(SHORT, &all).pages;
        let last = pages.take().unwrap();
        assert!(pages.take().is_err());
        assert_eq!(found(&mut pages, SHORT, &all).1, 2 * LONG);
        pages.forget(&held[0]);
        assert_eq!(found(&mut pages, SHORT, &all).1, 0, "and what follows is forgotten, too");
        assert!(pages.take().is_err(), "yet still held");
        drop((held, last));
        assert_eq!((0..4).map_while(|_| pages.take().ok()).collect::<Vec<_>>().len(), 3);
    }

    #[test]
    fn long_chains_take_no_recursion() {
        let count = 4096;
        let mut pages = all_of(count);
        let all = tokens(0, count * LONG);
        remembered(&mut pages, SHORT, &all);
        let Found { pages: held, tokens } = pages.find(SHORT, &all);
        assert_eq!((held.len(), tokens), (count, all.len()));
        pages.forget(&held[1]);
        assert_eq!(pages.find(SHORT, &all).tokens, LONG);
    }

    #[test]
    fn reservations_are_kept() {
        let mut pages = all_of(4);
        let one = pages.reserve(LONG + 1).unwrap();
        let other = pages.reserve(2 * LONG).unwrap();
        assert!(pages.has(&one) && pages.has(&other) && !all_of(4).has(&one));
        let error = pages.reserve(1).unwrap_err();
        assert!(error.code == Code::OutOfMemory && error.message.contains("0 are free"), "{error}");
        drop(one);
        pages.reserve(2 * LONG).unwrap();
    }

    #[test]
    fn in_the_middle_of_a_sealed_page_there_is_no_going_on() {
        let mut pages = Pages::new(KvKind::Int8, 6 * LONG);
        let all = tokens(1, 3 * LONG);
        let first = pages.take_open().unwrap();
        assert_eq!(first.len(), 2);
        let sealed: Vec<Held> = (0..2).map(|_| vec![pages.take().unwrap()]).collect();
        let mut held = vec![first, sealed[0].clone(), sealed[1].clone()];
        pages.remember(SHORT, &all, &held);
        assert_eq!(found(&mut pages, SHORT, &all[..40]).1, 40, "the first page never is sealed");
        assert_eq!(found(&mut pages, SHORT, &all[..LONG + 40]).1, LONG);
        assert_eq!(found(&mut pages, SHORT, &all).1, 3 * LONG);
        // What a page was before can be gone on from, and stays beside it.
        let open = pages.take_open().unwrap();
        held.truncate(1);
        held.push(open.clone());
        pages.remember(SHORT, &all[..LONG + 40], &held);
        let there = pages.find(SHORT, &all[..LONG + 50]);
        assert_eq!((there.tokens, there.pages[1].len()), (LONG + 40, 2));
        assert_eq!(found(&mut pages, SHORT, &all).1, 3 * LONG);
    }
}

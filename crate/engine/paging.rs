//! Where a sequence lies in the cache: what it takes up of what was computed before, the pages that
//! it may write to, and what it leaves to others.

use super::Engine;
use super::sequence::Sequence;
use crate::backend::Backend;
use crate::error::Result;
use crate::model::kv::{self, Placed};
use crate::model::pages::{Held, is_held_once};
use crate::op::{KvKind, PAGE};

/// Tokens whose keys and values are not worth a page: to compute them again takes no longer than to
/// give up something else.
const FEW: usize = 8;

impl Sequence {
    /// Goes back to where the cache has the first so many tokens, or to where their page begins.
    pub(super) fn go_back(&mut self, kind: KvKind, cached: usize) {
        self.cached = self.reachable(kind, cached);
    }

    fn reachable(&self, kind: KvKind, cached: usize) -> usize {
        reachable(kind, &self.open, cached)
    }

    /// Where it is, as a step tells it.
    pub(super) fn placed(&self) -> Placed {
        let places = |held: &Held| held.iter().map(|page| **page).collect::<Vec<_>>();
        let first = |held: &Held| held.first().map_or(0, |page| **page);
        let pages = self.pages.iter().map(first).collect();
        let exact = self.pages.first().filter(|held| held.len() > 1).map(places);
        let exact = exact.unwrap_or_default();
        let open = self.open.as_ref().map_or_else(|| exact.clone(), |(_, open)| places(open));
        Placed { first: exact, open, pages }
    }

    /// Its pages, of which the open one as it is before it is sealed.
    fn as_they_are(&self, kind: KvKind) -> Vec<Held> {
        let full = self.cached / PAGE as usize;
        match &self.open {
            Some((at, open)) if kind.code_bits().is_some() && *at == full => {
                self.pages[..full].iter().cloned().chain([open.clone()]).collect()
            }
            _ if kind.code_bits().is_some() && full > 0 => self.pages[..full].to_vec(),
            _ => self.pages.clone(),
        }
    }

    /// Pages that were found, and the open one among them.
    fn pages_of(kind: KvKind, mut found: Vec<Held>) -> (Vec<Held>, Option<(usize, Held)>) {
        let at = found.len().saturating_sub(1);
        let is_open = |held: &mut Held| kind.code_bits().is_some() && at > 0 && held.len() > 1;
        let open = found.pop_if(is_open).map(|open| (at, open));
        (found, open)
    }
}

/// How many of the first so many tokens can be gone on from: in the middle of a page that was
/// sealed there is no going on.
fn reachable(kind: KvKind, open: &Option<(usize, Held)>, cached: usize) -> usize {
    let (page, in_page) = (cached / PAGE as usize, cached % PAGE as usize);
    let is_open = open.as_ref().is_some_and(|(at, _)| *at == page);
    if kind.code_bits().is_none() || page == 0 || in_page == 0 || is_open {
        cached
    } else {
        cached - in_page
    }
}

impl<B: Backend> Engine<B> {
    /// Has a sequence hold what the cache has of the beginning of these tokens.
    pub(super) fn take_up_cached(&mut self, sequence: &mut Sequence, tokens: &[u32]) {
        let factors = self.rope.factors(tokens.len());
        let cached = &sequence.planned[..sequence.cached];
        let own = if factors == sequence.factors {
            cached.iter().zip(tokens).take_while(|(a, b)| a == b).count()
        } else {
            0
        };
        if sequence.cached - own > FEW {
            self.pages.remember(sequence.factors, cached, &sequence.as_they_are(self.kind));
        }
        let found = self.pages.find(factors, tokens);
        // The last token always runs again: its hidden state is what the logits come from.
        let most = tokens.len() - 1;
        let own = sequence.reachable(self.kind, own.min(most));
        let mut other = Sequence::pages_of(self.kind, found.pages);
        let reached = reachable(self.kind, &other.1, found.tokens.min(most));
        if reached > own {
            (sequence.pages, sequence.open) = std::mem::take(&mut other);
            self.latest = None;
        }
        sequence.cached = own.max(reached);
        sequence.factors = factors;
    }

    /// Sees to it that a sequence has pages of its own for some rows from a position on, whatever
    /// they held after it, and those before it.
    pub(super) fn make_writable(
        &mut self,
        sequence: &mut Sequence,
        position: usize,
        rows: usize,
    ) -> Result<()> {
        let (page, exact) = (PAGE as usize, self.kind.exact_pages() as usize);
        let (own, in_page) = (position / page, position % page);
        // A page that is to be sealed has no tokens of its own yet.
        let kept = if exact > 0 && own > 0 { own } else { position.div_ceil(page) };
        sequence.pages.truncate(kept);
        if in_page > 0 {
            match &mut sequence.open {
                Some((_, open)) if exact > 0 && own > 0 => self.make_own(open)?,
                _ => {
                    if let Some(last) = sequence.pages.last_mut() {
                        self.make_own(last)?;
                    }
                }
            }
        }
        let last = (position + rows).div_ceil(page);
        while sequence.pages.len() < last {
            let is_first = sequence.pages.is_empty();
            let held = if is_first { self.pages.take_open()? } else { vec![self.pages.take()?] };
            sequence.pages.push(held);
        }
        if exact > 0 && last > 1 {
            let open = match sequence.open.take() {
                Some((_, open)) if in_page > 0 && own > 0 || is_held_once(&open) => open,
                _ => self.pages.take_open()?,
            };
            sequence.open = Some((last - 1, open));
        }
        Ok(())
    }

    /// Copies pages that others may look into.
    fn make_own(&mut self, held: &mut Held) -> Result<()> {
        if is_held_once(held) {
            return Ok(());
        }
        match held.iter().map(|_| self.pages.take()).collect::<Result<Held>>() {
            Ok(own) => {
                for (from, to) in held.iter().zip(&own) {
                    let from_to = [**from, **to];
                    kv::copy_page(&mut self.backend, &self.model.config, &self.cache, from_to)?;
                }
                *held = own;
            }
            // With no others to be had, what was remembered gives way.
            Err(full) => {
                self.pages.forget(held);
                if !is_held_once(held) {
                    return Err(full);
                }
            }
        }
        Ok(())
    }

    /// Takes note that so many more planned tokens are cached. Pages that are full now others may
    /// find; and where a page is sealed in which the plan ended, what it was there.
    pub(super) fn note_cached(&mut self, sequence: &mut Sequence, rows: usize) {
        let (page, before) = (PAGE as usize, sequence.cached);
        sequence.cached += rows;
        let full = sequence.cached / page * page;
        if full <= before / page * page {
            return;
        }
        let asked = sequence.asked;
        if let Some((at, _)) = &sequence.open
            && asked / page == *at
            && !asked.is_multiple_of(page)
            && full == (*at + 1) * page
            && let Some((at, open)) = sequence.open.take()
        {
            let mut pages = sequence.pages[..at].to_vec();
            pages.push(open);
            self.pages.remember(sequence.factors, &sequence.planned[..asked], &pages);
        }
        self.pages.remember(sequence.factors, &sequence.planned[..full], &sequence.pages);
    }

    /// Has so many of the planned tokens count as read, whatever their pages have: for benchmarks,
    /// which ask nobody what it means.
    ///
    /// # Errors
    /// `out-of-memory` where other sequences have the pages.
    pub fn assume_read(&mut self, sequence: &mut Sequence, tokens: usize) -> Result<()> {
        if tokens > sequence.cached {
            self.make_writable(sequence, 0, tokens)?;
            sequence.cached = tokens;
            self.latest = None;
        }
        Ok(())
    }

    /// Takes no more note of what sequences have left in the cache: none will find it.
    pub fn forget(&mut self) {
        self.pages.forget_all();
    }
}

//! The tree of what pages hold. A node is a page with its tokens; the way to it from the beginning
//! has the tokens before them, on which its keys and values depend as well. Nodes are kept by their
//! pages' places, so that no chain of them, however long, takes recursion.

use super::{Held, is_held_once};
use crate::model::rope::Factors;
use crate::op::PAGE;

#[derive(Debug)]
struct Node {
    /// One, or those that make up one which is not sealed.
    pages: Held,
    /// At most a page's; fewer only where nothing follows.
    tokens: Vec<u32>,
    factors: Factors,
    before: Option<usize>,
    /// When it was last looked for.
    used: u64,
}

#[derive(Debug)]
pub struct Prefixes {
    nodes: Vec<Option<Node>>,
    /// What follows each.
    after: Vec<Vec<usize>>,
    /// Nodes with nothing before them, of either factors.
    first: [Vec<usize>; 2],
    clock: u64,
    /// How many pages make up one that is not sealed, where pages are.
    exact: usize,
}

/// What was found of some tokens.
#[derive(Debug, Default)]
pub struct Found {
    /// The pages, of which the last one perhaps does not hold all of its tokens: then it can be
    /// gone on with.
    pub pages: Vec<Held>,
    /// How many of the tokens they hold.
    pub tokens: usize,
}

impl Prefixes {
    pub fn new(pages: usize, exact: usize) -> Prefixes {
        Prefixes {
            nodes: (0..pages).map(|_| None).collect(),
            after: vec![Vec::new(); pages],
            first: [Vec::new(), Vec::new()],
            clock: 0,
            exact,
        }
    }

    /// The pages of the longest beginning of these tokens that can be gone on from.
    pub fn find(&mut self, factors: Factors, tokens: &[u32]) -> Found {
        self.clock += 1;
        let (mut found, mut at) = (Found::default(), None);
        while let Some((place, common)) = self.nearest(factors, at, &tokens[found.tokens..]) {
            if let Some(node) = &mut self.nodes[place] {
                node.used = self.clock;
                found.pages.push(node.pages.clone());
            }
            found.tokens += common;
            at = Some(place);
            if common < PAGE as usize {
                break;
            }
        }
        found
    }

    /// Adds what is not there yet of these pages, which hold these tokens.
    pub fn insert(&mut self, factors: Factors, tokens: &[u32], pages: &[Held]) {
        self.clock += 1;
        let mut at = None;
        for (tokens, pages) in tokens.chunks(PAGE as usize).zip(pages) {
            let known = self
                .after(factors, at)
                .iter()
                .copied()
                .find(|&place| self.serves(place, tokens) == tokens.len());
            at = match known {
                Some(place) => Some(place),
                None => self.add(factors, at, tokens, pages),
            };
            match at.and_then(|place| self.nodes[place].as_mut()) {
                Some(node) => node.used = self.clock,
                None => return,
            }
        }
    }

    /// Removes a node that only the tree holds: one that nothing follows, if there is one, and of
    /// those the one that was not used for longest. The place of its first page.
    pub fn give_up(&mut self) -> Option<usize> {
        let idle = |(place, node): (usize, &Option<Node>)| {
            let node = node.as_ref().filter(|node| is_held_once(&node.pages))?;
            Some((!self.after[place].is_empty(), node.used, place))
        };
        let (.., place) = self.nodes.iter().enumerate().filter_map(idle).min()?;
        self.remove_all(place);
        Some(place)
    }

    /// Removes the node of a page, if there is one, and all that follow it.
    pub fn remove_all(&mut self, place: usize) {
        if let Some(node) = &self.nodes[place] {
            let (factors, before) = (node.factors, node.before);
            self.after_mut(factors, before).retain(|&one| one != place);
        }
        let mut rest = vec![place];
        while let Some(place) = rest.pop() {
            self.nodes[place] = None;
            rest.append(&mut self.after[place]);
        }
    }

    fn add(
        &mut self,
        factors: Factors,
        before: Option<usize>,
        tokens: &[u32],
        pages: &Held,
    ) -> Option<usize> {
        let place = **pages.first()? as usize;
        if self.nodes[place].is_some() {
            return None;
        }
        // An open page that has gone on since stands here itself.
        let is_outgrown = |&place: &usize| {
            tokens.starts_with(self.tokens(place))
                && self.nodes[place].as_ref().is_some_and(|node| is_held_once(&node.pages))
        };
        // One that is sealed can be gone on from at its end alone.
        let is_open = self.is_open(pages);
        let outgrown: Vec<usize> = self
            .after(factors, before)
            .iter()
            .copied()
            .filter(|place| is_open && is_outgrown(place))
            .collect();
        outgrown.into_iter().for_each(|place| self.remove_all(place));
        let (pages, tokens) = (pages.clone(), tokens.to_vec());
        let used = self.clock;
        self.nodes[place] = Some(Node { pages, tokens, factors, before, used });
        self.after_mut(factors, before).push(place);
        Some(place)
    }

    /// Of what follows a node the one that has the most in common with these tokens, if any has.
    fn nearest(
        &self,
        factors: Factors,
        at: Option<usize>,
        tokens: &[u32],
    ) -> Option<(usize, usize)> {
        let common = |&place: &usize| {
            let same = self.serves(place, tokens);
            (same > 0).then_some((place, same))
        };
        self.after(factors, at).iter().filter_map(common).max_by_key(|&(_, same)| same)
    }

    /// How many of these tokens can be had of a node.
    fn serves(&self, place: usize, tokens: &[u32]) -> usize {
        let Some(node) = &self.nodes[place] else { return 0 };
        let same = node.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        if same == PAGE as usize || self.is_open(&node.pages) { same } else { 0 }
    }

    /// Whether pages can be gone on from anywhere in them.
    fn is_open(&self, pages: &Held) -> bool {
        self.exact == 0 || pages.len() == self.exact
    }

    fn tokens(&self, place: usize) -> &[u32] {
        self.nodes[place].as_ref().map_or(&[], |node| &node.tokens)
    }

    /// What follows a node, or the beginning.
    fn after(&self, factors: Factors, at: Option<usize>) -> &[usize] {
        match at {
            Some(place) => &self.after[place],
            None => &self.first[factors as usize],
        }
    }

    fn after_mut(&mut self, factors: Factors, at: Option<usize>) -> &mut Vec<usize> {
        match at {
            Some(place) => &mut self.after[place],
            None => &mut self.first[factors as usize],
        }
    }
}

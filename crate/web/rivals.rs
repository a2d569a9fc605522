//! What a page knows of which is faster, its GPU or its CPU.

use std::cell::{Cell, RefCell};

use super::helpers;
use crate::cpu::Simd;
use crate::gpu::Gpu;
use crate::session::Rivals;

/// What was kept, and what came since.
pub struct Known {
    text: RefCell<String>,
    /// Whether the page has not heard of it yet.
    is_news: Cell<bool>,
    /// Whether to measure again.
    anew: Cell<bool>,
}

impl Known {
    /// What the page kept; `anew` measures again.
    pub fn new(text: String, anew: bool) -> Known {
        Known { text: RefCell::new(text), is_news: Cell::new(false), anew: Cell::new(anew) }
    }

    /// The GPU in some place, and as many threads with this module's instructions.
    pub async fn of(&self, hardware_only: bool, place: &str, threads: usize) -> Option<Rivals> {
        let gpu = Gpu::identify(hardware_only, place).await.ok()?;
        let (simd, threads) = (Simd::available(), helpers::wanted(threads));
        let names = format!("{gpu}; {:?}, {threads} threads", simd.last());
        Some(Rivals { names, known: self.text.borrow().clone(), anew: self.anew.get() })
    }

    /// Takes what is known now.
    pub fn learn(&self, text: String) {
        self.text.replace(text);
        self.is_news.set(true);
        self.anew.set(false);
    }

    /// What the page has not kept yet.
    pub fn news(&self) -> Option<String> {
        self.is_news.take().then(|| self.text.borrow().clone())
    }
}

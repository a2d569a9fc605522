//! Hidden states of a text on their way through a model.

use crate::layout::panel::Panel;

/// What the half of a layer that is next takes, window by window.
pub(super) struct States {
    /// Tokens of all windows, which have one length.
    ids: Vec<u32>,
    /// Windows.
    pub count: usize,
    pub hidden_size: usize,
    rounded: Vec<f32>, // [ids, hidden_size]
    exact: Vec<f32>,   // [ids, hidden_size]
}

/// Whose states.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// The model's as far as it is rounded.
    Rounded,
    /// The model's as it was.
    Exact,
}

impl States {
    /// Of windows of one length.
    pub fn new(windows: &[Vec<u32>], hidden_size: usize) -> States {
        let (ids, count) = (windows.concat(), windows.len());
        let zeros = || vec![0.0; ids.len() * hidden_size];
        let (rounded, exact) = (zeros(), zeros());
        States { ids, count, hidden_size, rounded, exact }
    }

    fn all(&mut self, of: Of) -> &mut [f32] {
        match of {
            Of::Rounded => &mut self.rounded,
            Of::Exact => &mut self.exact,
        }
    }

    /// A window's.
    pub fn window(&mut self, of: Of, window: usize) -> &mut [f32] {
        let size = self.rounded.len() / self.count;
        &mut self.all(of)[window * size..][..size]
    }

    /// Room for so many numbers of each of a window's tokens.
    pub fn rows(&self, width: usize) -> Vec<f32> {
        vec![0.0; self.ids.len() / self.count * width]
    }

    /// Takes from some rows of the embedding those of the text.
    pub fn look_up(&mut self, of: Of, first_row: usize, panel: &Panel) {
        let (ids, hidden_size) = (std::mem::take(&mut self.ids), self.hidden_size);
        for (state, &id) in self.all(of).chunks_exact_mut(hidden_size).zip(&ids) {
            if let Some(row) = (id as usize).checked_sub(first_row).filter(|&row| row < panel.rows)
            {
                state.copy_from_slice(&panel.row(row));
            }
        }
        self.ids = ids;
    }
}

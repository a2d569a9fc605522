//! What a model is made of, and where its bytes come from.

pub mod layout;
pub mod panel;

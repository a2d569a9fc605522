//! Bars on long work, on standard error, and only where somebody looks.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use phi_wasm::Result;
use phi_wasm::backend::Backend;
use phi_wasm::session::Session;

use super::options::ModelArgs;

/// A bar that counts bytes.
pub fn bytes(what: &'static str) -> ProgressBar {
    styled(what, "{msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
}

/// A bar that counts tokens.
pub fn tokens(what: &'static str, total: usize) -> ProgressBar {
    let bar = styled(what, TOKENS);
    bar.set_length(total as u64);
    bar
}

/// A bar that counts a test's items.
pub fn items(what: &'static str, total: usize) -> ProgressBar {
    let bar = styled(what, "{msg} {bar:30} {pos} of {len} items, {eta} left");
    bar.set_length(total as u64);
    bar
}

const TOKENS: &str = "{msg} {bar:30} {pos} of {len} tokens, {eta} left";

fn styled(what: &'static str, template: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(what).with_finish(ProgressFinish::AndClear)
}

/// Opens a session while a bar tells how far loading is.
pub async fn open<B: Backend>(
    args: &ModelArgs,
    backend: B,
    ctx: Option<usize>,
) -> Result<Session<B>> {
    let bar = bytes("loading");
    let session =
        Session::open(args.source()?, backend, &args.load_options(ctx), &mut |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        })
        .await;
    bar.finish_and_clear();
    session
}

/// The bar of a prompt that is being read.
#[derive(Debug)]
pub struct Prefill(ProgressBar);

impl Prefill {
    /// Not shown yet.
    pub fn new() -> Prefill {
        Prefill(styled("reading", TOKENS)) // Its length would show it.
    }

    /// Tells how far it is.
    pub fn show(&self, done: usize, total: usize) {
        if done < total {
            self.0.set_length(total as u64);
            self.0.set_position(done as u64);
        } else {
            self.hide();
        }
    }

    /// Takes the bar away.
    pub fn hide(&self) {
        self.0.finish_and_clear();
    }
}

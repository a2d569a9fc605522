//! The `phi` command. Compiled for wasm32-wasip1 it is the WASI module.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match pollster::block_on(cli::run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let sentence = cli::output::printable(&error.to_string());
            cli::output::note(format_args!("phi: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

//! The `phi` command. Compiled for wasm32-wasip1 it is the WASI module.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match pollster::block_on(cli::run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phi: {error}");
            ExitCode::FAILURE
        }
    }
}

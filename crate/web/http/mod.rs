//! A model on a server, read by ranges.
//!
//! Bytes that are asked for one after another come out of one response as they arrive. A few
//! responses stay open, since loaders read a tensor's planes in turn. One that breaks off is taken
//! up again where it ended, so a cut connection costs no byte twice. Once a file is read on and on,
//! the next few blocks of it are fetched beside each other: one connection rarely has all of the
//! line.

mod body;
mod run;

use std::cell::RefCell;
use std::collections::HashMap;

use web_sys::Url;

use self::body::{Attempt, Body, Failure, State, not_found};
use self::run::Run;
use super::js;
use crate::error::{Code, Error, Result, fail};
use crate::weights::source::{self, Source};

/// How often in a row something may come to nothing before it is an error.
const RETRIES: u32 = 3;
/// The pause before the first new try; each later one is twice as long.
const FIRST_PAUSE: i32 = 400;
/// The least that a response is asked for, and the most. Each response that is read to its end
/// doubles the next; after the largest, blocks of that size come.
const WINDOW: (u64, u64) = (1 << 20, 2 << 20);
/// Files, or places in one, that are read on and on at the same time.
const RUNS: usize = 2;
/// Responses kept open at once; browsers allow a server six.
const OPEN: usize = 4;

/// A file, or a directory of files, behind an address.
#[derive(Debug)]
pub struct HttpSource {
    address: Url,
    entry: Option<String>,
    states: RefCell<HashMap<String, Option<State>>>,
    /// The latest last.
    open: RefCell<Vec<Body>>,
    /// The latest last.
    runs: RefCell<Vec<Run>>,
}

impl HttpSource {
    /// An address that ends in a file's name stands for that file, any other for a directory.
    /// Relative ones count from the script's own.
    ///
    /// # Errors
    /// `bad-option` when it is no address.
    pub fn new(address: &str) -> Result<HttpSource> {
        let parsed = Url::new_with_base(address, &js::script_address()).map_err(|_| {
            Error::new(
                Code::BadOption,
                format!("{address} is not a web address: give one such as https://host/model.gguf"),
            )
        })?;
        let path = parsed.pathname();
        let last = path.rsplit('/').next().unwrap_or_default();
        let entry = is_model_file(last).then(|| last.to_owned());
        if entry.is_none() && !path.ends_with('/') {
            parsed.set_pathname(&format!("{path}/"));
        }
        Ok(HttpSource {
            address: parsed,
            entry,
            states: RefCell::default(),
            open: RefCell::default(),
            runs: RefCell::default(),
        })
    }

    /// The address of one of the files. Only the named one keeps the query.
    fn address_of(&self, file: &str) -> Result<String> {
        if self.entry.as_deref() == Some(file) {
            return Ok(self.address.href());
        }
        let joined = Url::new_with_base(file, &self.address.href());
        joined.map(|url| url.href()).map_err(|_| {
            Error::new(
                Code::Malformed,
                format!("{file} is not a file name that an address can hold"),
            )
        })
    }

    /// What the server says about a file: its first response. It has an end, for browsers take in
    /// what nobody reads; only where that hides how long the file is, it has none.
    async fn ask(&self, file: &str) -> Result<Body> {
        let address = self.address_of(file)?;
        let (mut failures, mut end) = (0, Some(WINDOW.0));
        loop {
            match Body::open(file, &address, 0, end).await {
                Ok(body) if body.total.is_none() && end.is_some() => end = None,
                Ok(body) => return Ok(body),
                Err(failure) => retry(&mut failures, failure).await?,
            }
        }
    }

    /// A response that can serve `at`: one that is open, or a new one.
    async fn body_at(&self, file: &str, at: u64, needed: u64, state: &State) -> Attempt<Body> {
        let window =
            match self.take(|body| body.file == file && (body.reaches(at) || body.ends_at(at))) {
                Some(body) if body.reaches(at) => return Ok(body),
                Some(ended) => (ended.window * 2).min(WINDOW.1),
                None => WINDOW.0,
            };
        let end = at.saturating_add(needed.max(window)).min(state.size);
        let address = self.address_of(file).map_err(Failure::Final)?;
        let mut body = Body::open(file, &address, at, Some(end)).await?;
        body.agree(state)?;
        body.window = window;
        Ok(body)
    }

    /// Copies what comes next from `at` on: at least a byte.
    async fn read_some(
        &self,
        file: &str,
        at: u64,
        state: &State,
        into: &mut [u8],
    ) -> Attempt<usize> {
        if let Some(mut run) = self.run_at(file, at, state) {
            let bytes = run.read(at, into).await?;
            // At the file's end its arrays are needed no more.
            if at + (bytes as u64) < state.size {
                self.runs.borrow_mut().push(run);
            }
            return Ok(bytes);
        }
        let mut body = self.body_at(file, at, into.len() as u64, state).await?;
        let bytes = body.read(at, into).await.map_err(Failure::Passing)?;
        let next = at + bytes as u64;
        if body.window == WINDOW.1 && body.ends_at(next) && next < state.size {
            let address = self.address_of(file).map_err(Failure::Final)?;
            let mut runs = self.runs.borrow_mut();
            if runs.len() == RUNS {
                runs.remove(0);
            }
            runs.push(Run::new(file, address, state.clone(), next));
        } else {
            self.keep(body);
        }
        Ok(bytes)
    }

    /// The run that reaches a place.
    fn run_at(&self, file: &str, at: u64, state: &State) -> Option<Run> {
        let mut runs = self.runs.borrow_mut();
        let index = runs.iter().position(|run| run.reaches(file, state, at))?;
        Some(runs.remove(index))
    }

    /// What the server says of a file, `None` where it has none.
    async fn state(&self, file: &str) -> Result<Option<State>> {
        if let Some(known) = self.states.borrow().get(file) {
            return Ok(known.clone());
        }
        let state = match self.ask(file).await {
            Ok(body) => {
                let Some(size) = body.total else {
                    fail!(
                        Code::Network,
                        "the server does not say how long {} is; serve it as a plain file",
                        self.address_of(file)?
                    );
                };
                let state = State { size, tag: body.tag.clone() };
                self.keep(body);
                Some(state)
            }
            // Whether other files are there is a question; the named one must be.
            Err(error) if error.code == Code::NotFound && self.entry.as_deref() != Some(file) => {
                None
            }
            Err(error) => return Err(error),
        };
        self.states.borrow_mut().insert(file.to_owned(), state.clone());
        Ok(state)
    }

    fn take(&self, wanted: impl Fn(&Body) -> bool) -> Option<Body> {
        let mut open = self.open.borrow_mut();
        let index = open.iter().position(wanted)?;
        Some(open.remove(index))
    }

    fn keep(&self, body: Body) {
        let mut open = self.open.borrow_mut();
        if open.len() == OPEN {
            open.remove(0);
        }
        open.push(body);
    }
}

impl Source for HttpSource {
    fn name(&self) -> String {
        self.address.href()
    }

    fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    async fn size(&self, file: &str) -> Result<Option<u64>> {
        Ok(self.state(file).await?.map(|state| state.size))
    }

    async fn version(&self, file: &str) -> Result<String> {
        Ok(format!("{:?}", self.state(file).await?))
    }

    async fn read(&self, file: &str, offset: u64, into: &mut [u8]) -> Result<()> {
        let Some(state) = self.state(file).await? else {
            return Err(not_found(&self.address_of(file)?, 404));
        };
        let end = offset.saturating_add(into.len() as u64);
        if end > state.size {
            return Err(source::truncated(file, &self.name(), state.size, end));
        }
        let (mut filled, mut failures) = (0, 0);
        while filled < into.len() {
            let at = offset + filled as u64;
            match self.read_some(file, at, &state, &mut into[filled..]).await {
                Ok(bytes) => {
                    filled += bytes;
                    failures = 0;
                }
                Err(failure) => retry(&mut failures, failure).await?,
            }
        }
        Ok(())
    }
}

/// Waits before another try, or gives up with the latest error.
async fn retry(failures: &mut u32, failure: Failure) -> Result<()> {
    match failure {
        Failure::Passing(_) if *failures < RETRIES => {}
        Failure::Passing(error) | Failure::Final(error) => return Err(error),
    }
    js::sleep(FIRST_PAUSE << *failures).await;
    *failures += 1;
    Ok(())
}

fn is_model_file(name: &str) -> bool {
    [".gguf", ".safetensors", ".json"]
        .iter()
        .any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

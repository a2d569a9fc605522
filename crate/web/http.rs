//! A model on a server, read by ranges.
//!
//! Bytes that are asked for one after another come out of one response as they arrive. A few responses stay open, since loaders
//! read a tensor's planes in turn. One that breaks off is taken up again where it ended, so a cut connection costs no byte twice.
//! Once a file is read on and on, the next few blocks of it are fetched beside each other: one connection rarely has all of the line.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{AbortController, Headers, ReadableStreamDefaultReader, Request, RequestCache, RequestInit, Response, Url};

use super::js;
use crate::error::{Code, Error, Result, fail};
use crate::weights::source::{self, Source};

/// How often in a row something may come to nothing before it is an error.
const RETRIES: u32 = 3;
/// The pause before the first new try; each later one is twice as long.
const FIRST_PAUSE: i32 = 400;
/// Milliseconds without a byte after which a connection counts as dead.
const PATIENCE: i32 = 30_000;
/// The least that a response is asked for, and the most. Each response that is read to its end doubles the next; after the largest,
/// blocks of that size come.
const WINDOW: (u64, u64) = (1 << 20, 2 << 20);
/// Blocks that are fetched beside each other: a chunk of what is kept, so that a kill costs no more.
const BESIDE: usize = 4;
/// Files, or places in one, that are read on and on at the same time.
const RUNS: usize = 2;
/// Gaps up to this size are read and thrown away: cheaper than a new request.
const GAP: u64 = 1 << 16;
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

/// What a server says of a file.
#[derive(Clone, Debug, PartialEq)]
struct State {
    size: u64,
    /// Its `ETag`, or else when it was changed; nothing where the server does not let us know.
    tag: Option<String>,
}

type Attempt<T> = std::result::Result<T, Failure>;

/// Why an attempt failed, and whether another makes sense.
#[derive(Debug)]
enum Failure {
    Final(Error),
    Passing(Error),
}

impl HttpSource {
    /// An address that ends in a file's name stands for that file, any other for a directory. Relative ones count from the
    /// script's own.
    ///
    /// # Errors
    /// `bad-option` when it is no address.
    pub fn new(address: &str) -> Result<HttpSource> {
        let parsed = Url::new_with_base(address, &js::script_address()).map_err(|_| {
            Error::new(Code::BadOption, format!("{address} is not a web address: give one such as https://host/model.gguf"))
        })?;
        let path = parsed.pathname();
        let last = path.rsplit('/').next().unwrap_or_default();
        let entry = is_model_file(last).then(|| last.to_owned());
        if entry.is_none() && !path.ends_with('/') {
            parsed.set_pathname(&format!("{path}/"));
        }
        Ok(HttpSource { address: parsed, entry, states: RefCell::default(), open: RefCell::default(), runs: RefCell::default() })
    }

    /// The address of one of the files. Only the named one keeps the query.
    fn address_of(&self, file: &str) -> Result<String> {
        if self.entry.as_deref() == Some(file) {
            return Ok(self.address.href());
        }
        let joined = Url::new_with_base(file, &self.address.href());
        joined.map(|url| url.href()).map_err(|_| Error::new(Code::Malformed, format!("{file} is not a file name that an address can hold")))
    }

    /// What the server says about a file: its first response. It has an end, for browsers take in what nobody reads; only where that hides
    /// how long the file is, it has none.
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
        let window = match self.take(|body| body.file == file && (body.reaches(at) || body.ends_at(at))) {
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
    async fn read_some(&self, file: &str, at: u64, state: &State, into: &mut [u8]) -> Attempt<usize> {
        if let Some(mut run) = self.run_at(file, at, state) {
            let bytes = run.read(at, into).await?;
            self.runs.borrow_mut().push(run);
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
            runs.push(Run { file: file.to_owned(), address, state: state.clone(), next, blocks: VecDeque::new() });
        } else {
            self.keep(body);
        }
        Ok(bytes)
    }

    /// The run that reaches a place.
    fn run_at(&self, file: &str, at: u64, state: &State) -> Option<Run> {
        let mut runs = self.runs.borrow_mut();
        let index = runs.iter().position(|run| run.file == file && run.state == *state && run.reaches(at))?;
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
                    fail!(Code::Network, "the server does not say how long {} is; serve it as a plain file", self.address_of(file)?);
                };
                let state = State { size, tag: body.tag.clone() };
                self.keep(body);
                Some(state)
            }
            // Whether other files are there is a question; the named one must be.
            Err(error) if error.code == Code::NotFound && self.entry.as_deref() != Some(file) => None,
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

/// A file that is read on and on: its next blocks, which come beside each other.
#[derive(Debug)]
struct Run {
    file: String,
    address: String,
    state: State,
    /// Where the block after those that were asked for begins.
    next: u64,
    blocks: VecDeque<Block>,
}

impl Run {
    /// Whether a place is in a block that was asked for, or begins the next one.
    fn reaches(&self, at: u64) -> bool {
        self.blocks.front().map_or(self.next, |block| block.start) <= at && at <= self.next && at < self.state.size
    }

    /// Copies the bytes from `at` on, as many as one block holds: at least one. A run that fails is given up.
    async fn read(&mut self, at: u64, into: &mut [u8]) -> Attempt<usize> {
        while self.blocks.front().is_some_and(|block| block.end <= at) {
            self.blocks.pop_front();
        }
        while self.blocks.len() < BESIDE && self.next < self.state.size {
            let end = (self.next + WINDOW.1).min(self.state.size);
            self.blocks.push_back(Block::fetch(&self.file, &self.address, self.next, end, &self.state));
            self.next = end;
        }
        let Some(block) = self.blocks.front() else {
            return Err(Failure::Final(Error::new(Code::Internal, "a run was read beyond its end")));
        };
        let bytes = JsFuture::from(block.bytes.clone()).await.ok();
        let Some(bytes) = bytes.and_then(|bytes| bytes.dyn_into::<Uint8Array>().ok()) else {
            return Err(block.failure.borrow_mut().take().unwrap_or_else(|| Failure::Passing(senseless(&self.address, "nothing"))));
        };
        let count = into.len().min((block.end - at) as usize);
        let from = (at - block.start) as u32;
        bytes.subarray(from, from + count as u32).copy_to(&mut into[..count]);
        Ok(count)
    }
}

/// Some bytes of a file on their way.
#[derive(Debug)]
struct Block {
    start: u64,
    end: u64,
    /// Of an array of all of them, or of null.
    bytes: Promise,
    /// Why it is null.
    failure: Rc<RefCell<Option<Failure>>>,
    /// Ends the download when the block is dropped.
    _wanted: Rc<()>,
}

impl Block {
    fn fetch(file: &str, address: &str, start: u64, end: u64, state: &State) -> Block {
        let (failure, wanted) = (Rc::default(), Rc::new(()));
        let (file, address, state) = (file.to_owned(), address.to_owned(), state.clone());
        let (why, still): (Rc<RefCell<Option<Failure>>>, _) = (Rc::clone(&failure), Rc::downgrade(&wanted));
        let bytes = future_to_promise(async move {
            let all = Uint8Array::new_with_length((end - start) as u32);
            // Never rejected: nobody may be waiting for it any more.
            Ok(match fill(&file, &address, start, &all, &state, &still).await {
                Ok(()) => all.into(),
                Err(failure) => {
                    why.replace(Some(failure));
                    JsValue::NULL
                }
            })
        });
        Block { start, end, bytes, failure, _wanted: wanted }
    }
}

/// Fills an array with a file's bytes from `start` on, as long as somebody wants them.
async fn fill(file: &str, address: &str, start: u64, all: &Uint8Array, state: &State, still: &Weak<()>) -> Attempt<()> {
    let (mut filled, mut failures, end) = (0, 0, start + u64::from(all.length()));
    while filled < all.length() {
        let at = start + u64::from(filled);
        let some = async {
            let mut body = Body::open(file, address, at, Some(end)).await?;
            body.agree(state)?;
            if body.end != end {
                return Err(Failure::Final(senseless(address, "another part than the one asked for")));
            }
            while !body.ends_at(end) && still.strong_count() > 0 {
                let piece = body.next_piece().await.map_err(Failure::Passing)?;
                all.set(&piece, filled);
                filled += piece.length();
                body.position += u64::from(piece.length());
            }
            Ok(())
        };
        match some.await {
            Ok(()) if still.strong_count() == 0 => return Err(Failure::Final(Error::new(Code::Cancelled, "nobody waits for it"))),
            Ok(()) => failures = 0,
            Err(failure) => {
                retry(&mut failures, failure).await.map_err(Failure::Final)?;
            }
        }
    }
    Ok(())
}

/// One response, read piece by piece; dropping it ends the download.
#[derive(Debug)]
struct Body {
    file: String,
    address: String,
    /// Where the next byte belongs, and where the response ends.
    position: u64,
    end: u64,
    /// Bytes of the whole file, where the server lets us know.
    total: Option<u64>,
    /// Which state of the file it is, likewise.
    tag: Option<String>,
    reader: ReadableStreamDefaultReader,
    abort: AbortController,
    /// Bytes that have arrived; `position` is where they begin.
    piece: Uint8Array,
    /// What it was asked for at the least.
    window: u64,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

impl Body {
    /// Asks for `start..end`, to the file's end without an `end`.
    async fn open(file: &str, address: &str, start: u64, end: Option<u64>) -> Attempt<Body> {
        let abort = AbortController::new().map_err(|e| broken(address, &e))?;
        let response = request(address, start, end, &abort).await?;
        let headers = response.headers();
        let length = header(&headers, "content-length").and_then(|text| text.parse::<u64>().ok());
        let range = header(&headers, "content-range").and_then(|text| ContentRange::parse(&text));
        let (end, total) = match (response.status(), range) {
            (206, Some(range)) if range.first == start => (range.last + 1, range.total),
            // From another origin the range may be hidden; without an end, the length says the same.
            (206, None) => match length {
                Some(length) => (start + length, end.is_none().then_some(start + length)),
                None => return Err(Failure::Final(senseless(address, "a part of unknown length"))),
            },
            (206, Some(_)) => return Err(Failure::Final(senseless(address, "another part than the one asked for"))),
            (200, _) if start == 0 => (length.unwrap_or(u64::MAX), length),
            // An empty file has no first byte to ask for.
            (416, _) if start == 0 => (0, Some(0)),
            (200, _) => return Err(Failure::Final(senseless(address, "the whole file (it ignores Range requests, which loading needs)"))),
            (status, _) => return Err(refusal(address, status)),
        };
        let Some(stream) = response.body() else { return Err(Failure::Final(senseless(address, "no body"))) };
        let reader = stream.get_reader().unchecked_into();
        Ok(Body {
            file: file.to_owned(),
            address: address.to_owned(),
            position: start,
            end,
            total,
            tag: header(&headers, "etag").or_else(|| header(&headers, "last-modified")),
            reader,
            abort,
            piece: Uint8Array::new_with_length(0),
            window: WINDOW.0,
        })
    }

    /// An error when it is of another state of the file.
    fn agree(&self, state: &State) -> Attempt<()> {
        let other_size = self.total.is_some_and(|total| total != state.size);
        let other_tag = self.tag.as_ref().zip(state.tag.as_ref()).is_some_and(|(one, other)| one != other);
        if other_size || other_tag {
            let message = format!("{} changed on the server while it was read; load again", self.address);
            return Err(Failure::Final(Error::new(Code::Network, message)));
        }
        Ok(())
    }

    /// Whether all of it was read and `at` comes next.
    fn ends_at(&self, at: u64) -> bool {
        self.position == at && self.end == at
    }

    /// Whether `at` is among the bytes to come, and near.
    fn reaches(&self, at: u64) -> bool {
        let near = GAP.max(u64::from(self.piece.length()));
        self.position <= at && at < self.end && at - self.position <= near
    }

    /// Copies the bytes from `at` on, as many as one piece holds: at least one.
    async fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize> {
        loop {
            let held = u64::from(self.piece.length());
            let skip = (at - self.position).min(held);
            self.consume(skip as u32);
            let bytes = into.len().min(self.piece.length() as usize);
            if bytes > 0 && self.position == at {
                self.piece.subarray(0, bytes as u32).copy_to(&mut into[..bytes]);
                self.consume(bytes as u32);
                return Ok(bytes);
            }
            self.piece = self.next_piece().await?;
        }
    }

    fn consume(&mut self, bytes: u32) {
        self.piece = self.piece.subarray(bytes, self.piece.length());
        self.position += u64::from(bytes);
    }

    /// What arrives next; an error when the connection ends before the response does, or nothing comes.
    async fn next_piece(&mut self) -> Result<Uint8Array> {
        let patience = js::Timer::start(&self.abort, PATIENCE);
        let result = JsFuture::from(self.reader.read()).await;
        drop(patience);
        let piece = result.ok().and_then(|result| js::get(&result, "value").dyn_into::<Uint8Array>().ok());
        let room = self.end - self.position;
        match piece {
            Some(piece) if u64::from(piece.length()) <= room => Ok(piece),
            Some(_) => Err(senseless(&self.address, "more bytes than it announced")),
            None => fail!(
                Code::Network,
                "the connection was cut with {room} bytes of {} to come; check the network and load again",
                self.address
            ),
        }
    }
}

/// Sends one request and waits for its headers.
async fn request(address: &str, start: u64, end: Option<u64>, abort: &AbortController) -> Attempt<Response> {
    let init = RequestInit::new();
    // Browsers keep partial answers badly: Firefox refuses large entries, Chrome has mixed ranges up.
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&abort.signal()));
    let request = Request::new_with_str_and_init(address, &init).map_err(|e| broken(address, &e))?;
    let last = end.map(|end| (end - 1).to_string()).unwrap_or_default();
    request.headers().set("range", &format!("bytes={start}-{last}")).map_err(|e| broken(address, &e))?;
    let patience = js::Timer::start(abort, PATIENCE);
    let answer = JsFuture::from(js::fetch(&request)).await;
    drop(patience);
    answer.map(JsCast::unchecked_into).map_err(|error| {
        let why = js::message_of(&error);
        Failure::Passing(Error::new(Code::Network, format!("{address} cannot be reached ({why}); check the address and the network")))
    })
}

/// The parts of a `Content-Range` header.
struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<ContentRange> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        Some(ContentRange { first: first.parse().ok()?, last: last.parse().ok()?, total: total.parse().ok() })
    }
}

fn is_model_file(name: &str) -> bool {
    [".gguf", ".safetensors", ".json"].iter().any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

fn not_found(address: &str, status: u16) -> Error {
    Error::new(Code::NotFound, format!("{address} is not there: the server answers {status}; check the address"))
}

fn refusal(address: &str, status: u16) -> Failure {
    let said = |what| Error::new(Code::Network, format!("{address}: the server answers {status}; {what}"));
    match status {
        404 | 410 => Failure::Final(not_found(address, status)),
        401 | 403 => Failure::Final(said("it does not give this file to everyone, so use one that it does")),
        408 | 429 | 500.. => Failure::Passing(said("try again later")),
        _ => Failure::Final(said("check the address")),
    }
}

fn senseless(address: &str, what: &str) -> Error {
    Error::new(Code::Network, format!("{address}: the server sent {what}; put the model on another server or pick its file from disk"))
}

fn broken(address: &str, error: &JsValue) -> Failure {
    Failure::Final(Error::new(Code::Network, format!("{address} cannot be asked for ({})", js::message_of(error))))
}

//! One response of a server.

use js_sys::{Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, ReadableStream, Request, RequestCache, RequestInit,
    Response,
};

use super::WINDOW;
use crate::error::{Code, Error, Result};
use crate::web::js;

/// Milliseconds without a byte after which a connection counts as dead.
const PATIENCE: i32 = 30_000;
/// Gaps up to this size are read and thrown away: cheaper than a new request.
const GAP: u64 = 1 << 16;

#[wasm_bindgen(module = "/crate/web/http/body.js")]
extern "C" {
    /// What gives a promise of a body's next piece at each call, in place of the one before.
    #[wasm_bindgen(js_name = piecesOf)]
    fn pieces_of(body: &ReadableStream, signal: &AbortSignal) -> Function;
}

/// What a server says of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub size: u64,
    /// Its `ETag`, or else when it was changed; nothing where the server does not let us know.
    pub tag: Option<String>,
}

pub type Attempt<T> = std::result::Result<T, Failure>;

/// Why an attempt failed, and whether another makes sense.
#[derive(Debug)]
pub enum Failure {
    Final(Error),
    Passing(Error),
}

/// One response, read piece by piece; dropping it ends the download.
#[derive(Debug)]
pub struct Body {
    pub file: String,
    address: String,
    /// Where the next byte belongs, and where the response ends.
    pub position: u64,
    pub end: u64,
    /// Bytes of the whole file, where the server lets us know.
    pub total: Option<u64>,
    /// Which state of the file it is, likewise.
    pub tag: Option<String>,
    pieces: Function,
    abort: AbortController,
    /// Bytes that have arrived; `position` is where they begin.
    piece: Uint8Array,
    /// What it was asked for at the least.
    pub window: u64,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

impl Body {
    /// Asks for `start..end`, to the file's end without an `end`.
    pub async fn open(file: &str, address: &str, start: u64, end: Option<u64>) -> Attempt<Body> {
        let abort = AbortController::new().map_err(|e| broken(address, &e))?;
        let response = request(address, start, end, &abort).await?;
        let headers = response.headers();
        let length = header(&headers, "content-length").and_then(|text| text.parse::<u64>().ok());
        let range = header(&headers, "content-range").and_then(|text| ContentRange::parse(&text));
        let (end, total) = match (response.status(), range) {
            (206, Some(range)) if range.first == start => (range.last + 1, range.total),
            // From another origin the range may be hidden; without an end, the length says the
            // same.
            (206, None) => match length {
                Some(length) => (start + length, end.is_none().then_some(start + length)),
                None => return Err(Failure::Final(senseless(address, "a part of unknown length"))),
            },
            (206, Some(_)) => {
                return Err(Failure::Final(senseless(
                    address,
                    "another part than the one asked for",
                )));
            }
            (200, _) if start == 0 => (length.unwrap_or(u64::MAX), length),
            // An empty file has no first byte to ask for.
            (416, _) if start == 0 => (0, Some(0)),
            (200, _) => {
                return Err(Failure::Final(senseless(
                    address,
                    "the whole file (it ignores Range requests, which loading needs)",
                )));
            }
            (status, _) => return Err(refusal(address, status)),
        };
        let Some(stream) = response.body() else {
            return Err(Failure::Final(senseless(address, "no body")));
        };
        Ok(Body {
            file: file.to_owned(),
            address: address.to_owned(),
            position: start,
            end,
            total,
            tag: header(&headers, "etag").or_else(|| header(&headers, "last-modified")),
            pieces: pieces_of(&stream, &abort.signal()),
            abort,
            piece: Uint8Array::new_with_length(0),
            window: WINDOW.0,
        })
    }

    /// An error when it is of another state of the file.
    pub fn agree(&self, state: &State) -> Attempt<()> {
        let other_size = self.total.is_some_and(|total| total != state.size);
        let other_tag =
            self.tag.as_ref().zip(state.tag.as_ref()).is_some_and(|(one, other)| one != other);
        if other_size || other_tag {
            let message =
                format!("{} changed on the server while it was read; load again", self.address);
            return Err(Failure::Final(Error::new(Code::Network, message)));
        }
        Ok(())
    }

    /// Whether all of it was read and `at` comes next.
    pub fn ends_at(&self, at: u64) -> bool {
        self.position == at && self.end == at
    }

    /// Whether `at` is among the bytes to come, and near.
    pub fn reaches(&self, at: u64) -> bool {
        let near = GAP.max(u64::from(self.piece.length()));
        self.position <= at && at < self.end && at - self.position <= near
    }

    /// Copies the bytes from `at` on, as many as one piece holds: at least one.
    pub async fn read(&mut self, at: u64, into: &mut [u8]) -> Result<usize> {
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

    /// What arrives next, in place of what came before; an error when the connection ends before
    /// the response does, or nothing comes.
    pub async fn next_piece(&mut self) -> Result<Uint8Array> {
        let patience = js::Timer::start(&self.abort, PATIENCE);
        let piece = match self.pieces.call0(&JsValue::UNDEFINED) {
            Ok(promise) => JsFuture::from(promise.unchecked_into::<Promise>()).await,
            Err(thrown) => Err(thrown),
        };
        drop(patience);
        let room = self.end - self.position;
        let cut = |_| {
            let message = format!(
                "the connection was cut with {room} bytes of {} to come; check the network and \
                    load again",
                self.address
            );
            Error::new(Code::Network, message)
        };
        let piece = piece.map_err(|thrown| js::failure(&thrown, cut))?;
        match piece.dyn_into::<Uint8Array>() {
            Ok(piece) if u64::from(piece.length()) <= room => Ok(piece),
            Ok(_) => Err(senseless(&self.address, "more bytes than it announced")),
            Err(_) => Err(cut(String::new())),
        }
    }
}

/// Sends one request and waits for its headers.
async fn request(
    address: &str,
    start: u64,
    end: Option<u64>,
    abort: &AbortController,
) -> Attempt<Response> {
    let init = RequestInit::new();
    // Browsers keep partial answers badly: Firefox refuses large entries, Chrome has mixed ranges
    // up.
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&abort.signal()));
    let request =
        Request::new_with_str_and_init(address, &init).map_err(|e| broken(address, &e))?;
    let last = end.map(|end| (end - 1).to_string()).unwrap_or_default();
    request
        .headers()
        .set("range", &format!("bytes={start}-{last}"))
        .map_err(|e| broken(address, &e))?;
    let patience = js::Timer::start(abort, PATIENCE);
    let answer = JsFuture::from(js::fetch(&request)).await;
    drop(patience);
    answer.map(JsCast::unchecked_into).map_err(|error| {
        let why = js::message_of(&error);
        Failure::Passing(Error::new(
            Code::Network,
            format!("{address} cannot be reached ({why}); check the address and the network"),
        ))
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
        Some(ContentRange {
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            total: total.parse().ok(),
        })
    }
}

fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

pub fn not_found(address: &str, status: u16) -> Error {
    Error::new(
        Code::NotFound,
        format!("{address} is not there: the server answers {status}; check the address"),
    )
}

fn refusal(address: &str, status: u16) -> Failure {
    let said =
        |what| Error::new(Code::Network, format!("{address}: the server answers {status}; {what}"));
    match status {
        404 | 410 => Failure::Final(not_found(address, status)),
        401 | 403 => Failure::Final(said(
            "it does not give this file to everyone: say who asks, by `token` or `headers`",
        )),
        408 | 429 | 500.. => Failure::Passing(said("try again later")),
        _ => Failure::Final(said("check the address")),
    }
}

pub fn senseless(address: &str, what: &str) -> Error {
    Error::new(
        Code::Network,
        format!(
            "{address}: the server sent {what}; put the model on another server or pick its file \
                from disk"
        ),
    )
}

fn broken(address: &str, error: &JsValue) -> Failure {
    Failure::Final(Error::new(
        Code::Network,
        format!("{address} cannot be asked for ({})", js::message_of(error)),
    ))
}

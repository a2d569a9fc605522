//! From token ids to pieces of text that may be shown at once.
//!
//! A token is bytes, not characters: the end of a character may come with the next token, and the
//! end of a stop string too. A [`TextStream`] holds back what is not certain yet, and no more. The
//! pieces, joined, are the decoded text up to the first stop string, however the bytes were cut
//! into tokens.

use super::Tokenizer;

/// Turns a stream of ids into text.
#[derive(Clone, Debug)]
pub struct TextStream {
    stops: Vec<String>,
    /// Control tokens that are text here.
    shown: Vec<u32>,
    /// The beginning of a character whose end has not come.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
    /// The next space, if it comes first, stands for nothing.
    at_start: bool,
    stopped: Option<usize>,
}

impl TextStream {
    /// A stream whose first token begins a text: a leading space that stands for nothing is
    /// dropped, where this tokenizer has one. Empty stop strings are passed over.
    pub fn new(tokenizer: &Tokenizer, stops: &[String]) -> TextStream {
        TextStream { at_start: tokenizer.strips_leading_space(), ..TextStream::continuing(stops) }
    }

    /// A stream that goes on with a text that was begun: a leading space is a space.
    pub fn continuing(stops: &[String]) -> TextStream {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        TextStream {
            stops,
            shown: Vec::new(),
            bytes: Vec::new(),
            held: String::new(),
            at_start: false,
            stopped: None,
        }
    }

    /// Takes these control tokens for the text that their names are.
    pub fn show(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.shown.extend(ids);
    }

    /// Takes the next token and returns the text that has become certain, often none. Special
    /// tokens, and ids that have no token, are not text.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        match tokenizer.token_bytes(id) {
            Some(bytes) if !tokenizer.is_special(id) || self.shown.contains(&id) => {
                self.push_bytes(bytes)
            }
            _ => String::new(),
        }
    }

    /// Takes the next bytes; see [`TextStream::push`].
    pub fn push_bytes(&mut self, mut bytes: &[u8]) -> String {
        if self.stopped.is_some() || bytes.is_empty() {
            return String::new();
        }
        if std::mem::take(&mut self.at_start) {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.bytes.extend_from_slice(bytes);
        let text = self.take_characters();
        self.certain(&text)
    }

    /// What has come and was not returned; `None` where that ends within a character.
    pub fn held(&self) -> Option<&str> {
        self.bytes.is_empty().then_some(&self.held)
    }

    /// Whether a stop string has come. What is pushed after it is not text.
    pub fn stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// The stop string that has come.
    pub fn stop(&self) -> Option<&str> {
        self.stopped.map(|i| self.stops[i].as_str())
    }

    /// Ends the stream and returns the text that was held back: no stop string can come any more,
    /// and a character that is not whole is U+FFFD.
    pub fn finish(&mut self) -> String {
        if self.stopped.is_some() {
            return String::new();
        }
        let tail = String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).into_owned();
        let mut rest = self.certain(&tail);
        rest.push_str(&std::mem::take(&mut self.held));
        rest
    }

    /// Takes what is whole characters, or can never become one, out of the bytes.
    fn take_characters(&mut self) -> String {
        let mut text = String::new();
        let mut used = 0;
        loop {
            match std::str::from_utf8(&self.bytes[used..]) {
                Ok(rest) => {
                    text.push_str(rest);
                    used = self.bytes.len();
                    break;
                }
                Err(error) => {
                    let valid = used + error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.bytes[used..valid]));
                    used = valid;
                    let Some(invalid) = error.error_len() else { break };
                    text.push('\u{FFFD}');
                    used += invalid;
                }
            }
        }
        self.bytes.drain(..used);
        text
    }

    /// Adds characters to what is held, and returns what no stop string can begin in any more.
    ///
    /// The stop string that is complete first counts, and of those that end together the longest:
    /// so it does not matter how the text was cut.
    fn certain(&mut self, text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            self.held.push(c);
            let complete = (0..self.stops.len())
                .filter(|&i| self.held.ends_with(&self.stops[i]))
                .max_by_key(|&i| self.stops[i].len());
            if let Some(i) = complete {
                self.held.truncate(self.held.len() - self.stops[i].len());
                out.push_str(&std::mem::take(&mut self.held));
                self.stopped = Some(i);
                break;
            }
            let keep = self.longest_beginning();
            out.extend(self.held.drain(..self.held.len() - keep));
        }
        out
    }

    /// How many bytes at the end of what is held are the beginning of a stop string.
    fn longest_beginning(&self) -> usize {
        let begins = |tail: &str| self.stops.iter().any(|stop| stop.starts_with(tail));
        let (start, _) = self
            .held
            .char_indices()
            .find(|(i, _)| begins(&self.held[*i..]))
            .unwrap_or((self.held.len(), ' '));
        self.held.len() - start
    }
}

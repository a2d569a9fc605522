//! What a model says, told apart into text and calls of tools, as it comes.
//!
//! Every form of a call that models are known to write is understood, whichever the model's own is.
//! What is none, or calls what was not offered, stays text. Each character is looked at once and
//! alone, so that it does not matter how the text is cut.

use serde_json::Value;

use super::calls::{Begun, Call, Calls, TAGS, field, is_between};
use super::scan::{Scan, Step};

/// What calls stand after where an answer begins so.
const FUNCTOOLS: &str = "functools[";

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text, not empty.
    Text(String),
    /// A call begins: the `index`-th, of the tool of this name.
    Call {
        /// Calls before it.
        index: usize,
        /// What its answer names it by.
        id: String,
        /// The tool.
        name: String,
    },
    /// The next piece of a call's arguments, which are JSON.
    Arguments {
        /// Which call's.
        index: usize,
        /// The piece, not empty.
        text: String,
    },
}

/// Reads an answer piece by piece.
#[derive(Clone, Debug)]
pub struct CallParser {
    /// The tools that may be called.
    tools: Vec<String>,
    /// What ids begin with.
    id: String,
    /// Those that it is among, up to the closing tag, or to the bracket that closes the list;
    /// nothing in text.
    among: Option<Calls>,
    /// What may be the beginning of a tag.
    held: String,
    /// White space that says nothing where a call comes after it, or nothing.
    blanks: String,
    has_text: bool,
    /// Bytes of text, the next ones, that need not be told.
    known: usize,
    /// Places where calls may have begun.
    places: usize,
    /// Calls that have begun.
    calls: usize,
    /// Calls that have come to an end.
    ended: usize,
    pieces: Vec<Piece>,
}

impl CallParser {
    /// A parser of calls of these tools, whose ids begin so.
    pub fn new(tools: &[&str], id: impl Into<String>) -> CallParser {
        CallParser {
            tools: tools.iter().map(|&name| name.to_owned()).collect(),
            id: id.into(),
            among: None,
            held: String::new(),
            blanks: String::new(),
            has_text: false,
            known: 0,
            places: 0,
            calls: 0,
            ended: 0,
            pieces: Vec::new(),
        }
    }

    /// Calls that have begun.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Calls that have come to an end.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// Calls that have begun and are not over: after a tag at once, elsewhere from where a tool is
    /// named and its arguments begin.
    pub fn begun(&self) -> Option<Begun<'_>> {
        let Some(calls) = &self.among else { return None };
        let dialect = calls.dialect.filter(|_| calls.close.is_some() || calls.has_called)?;
        Some(Begun { place: self.places, dialect, said: &calls.said })
    }

    /// Takes the beginning of an answer that is known to whoever asked: its calls are told, and its
    /// text is not.
    pub fn begin_with(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = self.push(text);
        pieces.retain(|piece| !matches!(piece, Piece::Text(_)));
        let raw = match &self.among {
            Some(calls) if !calls.has_called => calls.raw.len(),
            _ => 0,
        };
        self.known = self.blanks.len() + raw + self.held.len();
        pieces
    }

    /// Takes the next piece of the answer, and gives what has become certain.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        text.chars().for_each(|c| self.character(c));
        std::mem::take(&mut self.pieces)
    }

    /// Ends the answer, and gives what was held back. A call that has begun stays as it is.
    pub fn finish(&mut self) -> Vec<Piece> {
        if let Some(calls) = self.among.take() {
            let is_begun = calls.call.is_some_and(|call| call.index.is_some());
            if !(is_begun || calls.has_called && is_between(&calls.raw)) {
                self.tell(&calls.raw);
            }
        }
        let held = std::mem::take(&mut self.held);
        self.tell(&held);
        if self.calls == 0 {
            let blanks = std::mem::take(&mut self.blanks);
            self.text(&blanks);
        }
        std::mem::take(&mut self.pieces)
    }

    fn character(&mut self, c: char) {
        match self.among.take() {
            None => self.in_text(c),
            Some(mut calls) => {
                calls.said.push(c);
                self.among_calls(calls, c);
            }
        }
    }

    fn calls_begin(&mut self, calls: Calls) {
        self.places += 1;
        self.held.clear();
        self.among = Some(calls);
    }

    fn in_text(&mut self, c: char) {
        self.held.push(c);
        for (tag, (open, _)) in TAGS.into_iter().enumerate() {
            if self.held.ends_with(open) {
                let before = self.held.len() - open.len();
                let held = std::mem::take(&mut self.held);
                self.tell(&held[..before]);
                return self.calls_begin(Calls::tagged(tag));
            }
        }
        if !self.has_text {
            match self.held.as_str() {
                FUNCTOOLS => return self.calls_begin(Calls::listed(FUNCTOOLS)),
                "{" | "[" => {
                    self.calls_begin(Calls::bare(c));
                    return self.character(c);
                }
                _ => {}
            }
        }
        let may_begin = |tail: &str| {
            TAGS.iter().any(|(open, _)| open.starts_with(tail))
                || !self.has_text && FUNCTOOLS.starts_with(tail)
        };
        let keep = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .find(|&at| may_begin(&self.held[at..]))
            .unwrap_or(self.held.len());
        let certain: String = self.held.drain(..keep).collect();
        self.tell(&certain);
    }

    fn among_calls(&mut self, mut calls: Calls, c: char) {
        if let Some(call) = calls.call.take() {
            return self.in_call(calls, call, c);
        }
        calls.raw.push(c);
        if let Some(close) = calls.close.filter(|close| close[calls.closing..].starts_with(c)) {
            calls.closing += c.len_utf8();
            if calls.closing == close.len() {
                return self.calls_end(calls);
            }
            self.among = Some(calls);
            return;
        }
        let is_in_place = match c {
            _ if calls.closing > 0 => false,
            '{' => {
                let begins = calls.raw.len() - 1;
                let mut scan = Scan::default();
                scan.push(c);
                calls.call = Some(Call {
                    scan,
                    begins,
                    index: None,
                    is_in_arguments: false,
                    is_late: false,
                });
                true
            }
            '[' => {
                calls.depth += 1;
                true
            }
            ']' => {
                calls.depth = match calls.depth.checked_sub(1) {
                    Some(0) if calls.close.is_none() => return self.calls_end(calls),
                    Some(depth) => depth,
                    None => return self.no_calls(calls),
                };
                true
            }
            ',' | ';' => true,
            c => c.is_whitespace(),
        };
        match is_in_place {
            true => self.among = Some(calls),
            false => self.no_calls(calls),
        }
    }

    fn in_call(&mut self, mut calls: Calls, mut call: Call, c: char) {
        let step = call.scan.push(c);
        match (step, call.index) {
            (Step::Broken, index) => {
                // Whatever it is, it may be the beginning of the closing tag.
                match index {
                    Some(_) => self.ended += 1,
                    None => return self.broken(calls, c),
                }
                self.among = Some(calls);
                return self.character(c);
            }
            (Step::ArgumentsBegin, None) if !call.is_late => {
                self.begin_with_arguments(&mut calls, &mut call);
            }
            _ => {}
        }
        match call.index {
            Some(index) if call.is_in_arguments => {
                self.arguments(index, c);
                call.is_in_arguments = step != Step::ArgumentsEnd;
            }
            Some(_) => {}
            None => calls.raw.push(c),
        }
        if step != Step::End {
            calls.call = Some(call);
            self.among = Some(calls);
            return;
        }
        let is_call = call.index.is_some() || self.whole(&calls.raw[call.begins..]);
        if is_call {
            self.ended += 1;
            calls.has_called = true;
            calls.raw.clear();
        } else if calls.has_called {
            // What is no call among calls is told by itself.
            let said = calls.raw.split_off(call.begins);
            calls.raw.clear();
            self.tell(&said);
        }
        // An object in no list is all that there is.
        match calls.close.is_none() && calls.depth == 0 {
            true => self.calls_end(calls),
            false => self.among = Some(calls),
        }
    }

    /// Begins a call whose name is known when its arguments come.
    fn begin_with_arguments(&mut self, calls: &mut Calls, call: &mut Call) {
        // The beginning of an object, made whole, is JSON or none.
        let begun = &calls.raw[call.begins..];
        let read = |closed: &str| serde_json::from_str::<Value>(&format!("{begun}{closed}")).ok();
        let object = read("null}").or_else(|| read("null}}")).unwrap_or_default();
        let is_described = !field(&object, "description").is_null();
        let name = field(&object, "name").as_str().filter(|_| !is_described);
        call.index = name.and_then(|name| self.begin(name));
        call.is_late = call.index.is_none();
        if call.index.is_some() {
            calls.has_called = true;
            calls.raw.clear();
            call.begins = 0;
            call.is_in_arguments = true;
        }
    }

    /// Tells a call that is complete, if it is one.
    fn whole(&mut self, text: &str) -> bool {
        let Ok(object) = serde_json::from_str::<Value>(text) else { return false };
        let given = [field(&object, "arguments"), field(&object, "parameters")];
        let arguments = match given.into_iter().find(|given| !given.is_null()) {
            None => "{}".to_owned(),
            Some(Value::Object(given)) => Value::Object(given.clone()).to_string(),
            Some(Value::String(text)) if text.trim().is_empty() => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => return false,
        };
        let is_described = !field(&object, "description").is_null();
        let name = field(&object, "name").as_str().filter(|_| !is_described);
        let Some(index) = name.and_then(|name| self.begin(name)) else { return false };
        arguments.chars().for_each(|c| self.arguments(index, c));
        true
    }

    /// Begins a call of a tool that is offered.
    fn begin(&mut self, name: &str) -> Option<usize> {
        let name = self.tools.iter().find(|offered| *offered == name)?.clone();
        let index = self.calls;
        self.calls += 1;
        self.blanks.clear();
        // What came before means nothing, if it was not told.
        self.known = 0;
        self.pieces.push(Piece::Call { index, id: format!("{}{index}", self.id), name });
        Some(index)
    }

    /// After the closing tag, or the last bracket.
    fn calls_end(&mut self, calls: Calls) {
        if !calls.has_called {
            self.tell(&calls.raw);
        }
    }

    /// What was thought to be calls and is text, up to here.
    fn no_calls(&mut self, mut calls: Calls) {
        let c = calls.raw.pop();
        match calls.has_called && is_between(&calls.raw) {
            true => {}
            false => self.tell(&calls.raw),
        }
        if let Some(c) = c {
            self.in_text(c);
        }
    }

    fn broken(&mut self, mut calls: Calls, c: char) {
        calls.raw.push(c);
        self.no_calls(calls);
    }

    fn arguments(&mut self, index: usize, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Arguments { index: last, text }) if *last == index => text.push(c),
            _ => self.pieces.push(Piece::Arguments { index, text: c.into() }),
        }
    }

    /// Text, whose white space at the end is held back.
    fn tell(&mut self, text: &str) {
        let said = text.trim_end();
        if !said.is_empty() {
            let blanks = std::mem::take(&mut self.blanks);
            self.text(&blanks);
            self.text(said);
            self.has_text = true;
        }
        self.blanks.push_str(&text[said.len()..]);
    }

    fn text(&mut self, text: &str) {
        let known = self.known.min(text.len());
        self.known -= known;
        let text = text.get(known..).unwrap_or_default();
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }
}

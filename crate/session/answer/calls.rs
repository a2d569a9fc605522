//! The calls of tools in an answer: told apart from its text and, from where one begins, held to
//! its tool.

use std::rc::Rc;

use super::Generation;
use crate::error::{Code, Result};
use crate::session::event::{CallDelta, Event};
use crate::text::constraint::{Constraint, Form, Grammars};
use crate::text::tool_calls::{CallParser, Dialect, Piece, Tools};

/// The calls of one answer.
pub(super) struct Calls {
    parser: CallParser,
    tools: Tools,
    /// What keeps a call to its tool, where something does.
    grammars: Option<Rc<dyn Grammars>>,
    /// The place of the answer where a call has last begun.
    place: usize,
}

impl Calls {
    /// Whether there is one.
    pub fn is_any(&self) -> bool {
        self.parser.calls() > 0
    }

    /// Whether the one call that may be is there.
    pub fn is_enough(&self) -> bool {
        self.tools.is_single && self.parser.ended() > 0
    }

    /// What keeps a call that has just begun to its tool: after the text that is `held` and may be
    /// the answer's next. A beginning that is none of the tools' goes on as it likes.
    fn constraint(&mut self, held: Option<&str>) -> Result<Option<Box<dyn Constraint>>> {
        let (Some(grammars), Some(begun), Some(held)) = (&self.grammars, self.parser.begun(), held)
        else {
            return Ok(None);
        };
        if std::mem::replace(&mut self.place, begun.place) == begun.place {
            return Ok(None);
        }
        let Some(mut calls) = self.tools.form(begun.dialect) else { return Ok(None) };
        // Each has a tag of its own.
        calls.is_single |= begun.dialect == Dialect::Hermes;
        let mut constraint = grammars.constraint(&Form::Calls(calls))?;
        match constraint.begin_with(&format!("{}{held}", begun.said)) {
            Ok(()) if !constraint.is_over() => Ok(Some(constraint)),
            Err(error) if error.code != Code::BadConstraint => Err(error),
            _ => Ok(None),
        }
    }
}

impl Generation {
    /// Tells calls of these tools apart from text, in an answer that was begun so, and has each
    /// kept to its tool by what knows how, if something does.
    pub(in crate::session) fn listen_for_calls(
        &mut self,
        tools: &Tools,
        begun: &str,
        grammars: Option<Rc<dyn Grammars>>,
    ) -> Result<()> {
        let names = tools.callable();
        if names.is_empty() {
            return Ok(());
        }
        let mut parser = CallParser::new(&names, format!("call_{:016x}", super::fresh_seed()?));
        let pieces = parser.begin_with(begun);
        self.calls = Some(Calls { parser, tools: tools.clone(), grammars, place: 0 });
        self.tell_pieces(pieces);
        self.hold_call()
    }

    /// Holds a call that has just begun to its tool.
    pub(super) fn hold_call(&mut self) -> Result<()> {
        if let (None, Some(calls)) = (&self.constraint, &mut self.calls) {
            self.constraint = calls.constraint(self.stream.held())?;
            self.is_call_held = self.constraint.is_some();
        }
        Ok(())
    }

    /// Lets the answer go on as it likes after a call that was held to its tool.
    pub(super) fn let_go_of_call(&mut self) {
        if self.is_call_held && self.constraint.as_ref().is_some_and(|held| held.is_over()) {
            self.constraint = None;
            self.is_call_held = false;
        }
    }

    /// Has what was said told, event by event.
    pub(super) fn tell(&mut self, text: String, is_last: bool) {
        let pieces = match &mut self.calls {
            Some(Calls { parser, tools, .. }) => {
                let mut pieces = parser.push(&text);
                if is_last {
                    pieces.extend(parser.finish());
                }
                if tools.must_be_called() {
                    // The beginning of a call that was cut off is no text.
                    pieces.retain(|piece| !matches!(piece, Piece::Text(_)));
                }
                pieces
            }
            None if text.is_empty() => Vec::new(),
            None => vec![Piece::Text(text)],
        };
        self.tell_pieces(pieces);
        if is_last && !self.log_probs.is_empty() {
            let rest = self.text(String::new());
            self.events.push_back(rest);
        }
    }

    fn tell_pieces(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let event = match piece {
                Piece::Text(text) => {
                    self.json.iter_mut().for_each(|json| json.push_str(&text));
                    self.text(text)
                }
                Piece::Call { index, id, name } => {
                    let (id, name, arguments) = (Some(id), Some(name), String::new());
                    Event::Call(CallDelta { index, id, name, arguments })
                }
                Piece::Arguments { index, text } => {
                    Event::Call(CallDelta { index, id: None, name: None, arguments: text })
                }
            };
            self.events.push_back(event);
        }
    }
}

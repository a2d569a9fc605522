//! Forms as grammars of the library `llguidance`, which knows how far a text has come in one and
//! which tokens go on with it.

use std::fmt::Display;
use std::sync::Arc;

use llguidance::api::{GrammarWithLexer, ParserLimits, StopReason, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv,
};
use llguidance::{ParserFactory, TokenParser};
use serde_json::{Value, json};

use super::refusals::{bad, in_words, is_nothing, is_too_much};
use super::{Constraint, Encode, Form, Grammars, Spellings, lark, schema};
use crate::error::{Code, Error, Result, fail};
use crate::text::tool_calls::{CallableTool, CallsForm, first_tag, tags};
use crate::text::{pattern, xml_schema};

/// Bytes of a form as it is written: more than any schema that a model could be told.
const MAX_WRITTEN: usize = 1 << 20;
/// Parts of a schema that are tried alone, to tell which one the library does not take.
const MOST_TRIED: usize = 500;
/// A token that no model has. The library takes it that there is a control token.
const NOBODYS: &[u8] = b"\xff<|nobody's|>";
/// A tag around calls that is a token.
type Tag = (&'static str, TokenId);

/// What makes constraints for a model's tokens. Going through a large vocabulary takes a while:
/// once is enough for a model.
///
/// # Errors
/// `internal` where the library does not take it.
pub fn grammars(spellings: Spellings) -> Result<Box<dyn Grammars + Send>> {
    Ok(Box::new(Guidance::new(spellings)?))
}

/// Refuses a form that no model's answers could be held to, before there is a model.
///
/// # Errors
/// As [`Grammars::constraint`].
pub fn check(form: &Form) -> Result<()> {
    Guidance::of_bytes()?.constraint(form).map(drop)
}

/// What tokens spell, as the library asks for it.
struct Spelt {
    trie: TokTrie,
    encode: Option<Encode>,
}

/// The tree of what tokens spell, by id; what is empty is never chosen.
fn trie(bytes: Vec<Vec<u8>>, stop_tokens: &[u32]) -> TokTrie {
    let info = TokRxInfo::new(bytes.len() as u32, INVALID_TOKEN);
    let trie = TokTrie::from(&info, &bytes);
    if stop_tokens.is_empty() { trie } else { trie.with_eos_tokens(stop_tokens) }
}

impl TokenizerEnv for Spelt {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    /// As the tokenizer would spell it, but where that would take a control token, or spell
    /// something else, as SentencePiece does with a text's beginning.
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| {
            let ids = self.encode.as_ref().and_then(|encode| encode(text));
            ids.filter(|ids| {
                let spelt: Vec<u8> =
                    ids.iter().flat_map(|&id| self.trie.token(id)).copied().collect();
                spelt == text.as_bytes()
            })
            .unwrap_or_else(|| self.trie.greedy_tokenize(text.as_bytes()))
        })
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.encode.is_some()
    }
}

struct Guidance {
    factory: ParserFactory,
    vocab_size: usize,
}

impl Guidance {
    /// For bytes, and nothing that a model has: what tells whether a form can be enforced at all.
    fn of_bytes() -> Result<Guidance> {
        let tokens = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        Guidance::new(Spellings { tokens, stop_tokens: Vec::new(), encode: None })
    }

    fn new(spellings: Spellings) -> Result<Guidance> {
        let Spellings { mut tokens, stop_tokens, encode } = spellings;
        let vocab_size = tokens.len();
        tokens.push(NOBODYS.to_vec());
        // What strings are mostly made of is looked at once, and not at every mask.
        let slices = match encode {
            Some(_) => SlicedBiasComputer::general_slices(),
            None => Vec::new(),
        };
        let tokens: TokEnv = Arc::new(Spelt { trie: trie(tokens, &stop_tokens), encode });
        let mut factory = ParserFactory::new(&tokens, InferenceCapabilities::default(), &slices)
            .map_err(|why| Error::new(Code::Internal, format!("no masks can be made: {why}")))?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
        Ok(Guidance { factory, vocab_size })
    }
}

impl Grammars for Guidance {
    fn constraint(&self, form: &Form) -> Result<Box<dyn Constraint>> {
        let (grammar, tags) = match form {
            Form::Calls(calls) => self.grammar_of_calls(form, calls)?,
            _ => (grammar_of(form)?, Vec::new()),
        };
        let parser = self.parser(grammar).map_err(|why| match form {
            Form::JsonSchema(schema) => {
                let refused = self.not_enforced(schema, &why);
                Error::new(Code::BadConstraint, format!("{} {refused}", form.name()))
            }
            _ => bad(form, why),
        })?;
        Ok(Box::new(self.guided(form.name(), parser, tags)?))
    }
}

impl Guidance {
    fn parser(&self, grammar: GrammarWithLexer) -> std::result::Result<TokenParser, String> {
        let grammar = TopLevelGrammar::from_grammar(grammar);
        let mut parser = self.factory.create_parser(grammar).map_err(|why| why.to_string())?;
        parser.start_without_prompt();
        Ok(parser)
    }

    /// Follows a grammar; one that nothing has is told at once.
    fn guided(&self, name: &'static str, parser: TokenParser, tags: Vec<Tag>) -> Result<Guided> {
        let mut guided = Guided { parser, name, vocab_size: self.vocab_size, tags };
        guided.mask()?;
        Ok(guided)
    }

    fn grammar_of_calls(
        &self,
        form: &Form,
        calls: &CallsForm,
    ) -> Result<(GrammarWithLexer, Vec<Tag>)> {
        check_length(form, calls.tools.iter().map(|tool| tool.parameters.to_string().len()).sum())?;
        let arguments = calls.tools.iter().map(|tool| self.arguments(tool));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let trie = self.factory.tok_env().tok_trie();
        let tags: Vec<Tag> =
            tags().filter_map(|tag| Some((tag, trie.get_special_token(tag)?))).collect();
        let is_token = |tag: &str| tags.iter().any(|(token, _)| *token == tag);
        Ok((GrammarWithLexer::from_lark(calls.grammar(&arguments, is_token)), tags))
    }

    /// The schema of a tool's arguments as the library takes it, which is tried: what is wrong with
    /// one of many is told of that one.
    fn arguments(&self, tool: &CallableTool) -> Result<Value> {
        let told = |why: &str| {
            let place = format!("tools[{}].function.parameters", tool.index);
            Error::new(Code::BadConstraint, format!("{place} {why}"))
                .advise("leave it out, or set the function's strict to false to let it pass")
        };
        let schema = schema::enforced(&tool.parameters).map_err(|why| told(&why.to_string()))?;
        let grammar = GrammarWithLexer::from_json_schema(schema.clone());
        let parser = self
            .parser(grammar)
            .map_err(|why| told(&self.not_enforced(&tool.parameters, &why).to_string()))?;
        match self.guided("json_schema", parser, Vec::new()) {
            Ok(_) => Ok(schema),
            Err(_) => Err(told("at #: no arguments that the model has tokens for are valid by it")),
        }
    }

    /// Why the library does not take a schema: by the part that it does not take alone, one that
    /// has no value last, since others may do without it.
    fn not_enforced(&self, schema: &Value, said: &str) -> schema::Refused {
        let mut found = None;
        for (place, part) in schema::parts(schema).into_iter().take(MOST_TRIED) {
            let Err(why) = self.parser(GrammarWithLexer::from_json_schema(part)) else { continue };
            if !is_nothing(&why) {
                found = Some((place, why));
                break;
            }
            found.get_or_insert((place, why));
        }
        let (place, said) = found.unwrap_or_else(|| (schema::Refused::default(), said.to_owned()));
        schema::Refused { why: format!("is not enforced: {}", in_words(&said)), ..place }
    }

    /// Refuses types without a value, or that ask for too much.
    fn probe(&self, form: &Form, probe: &xml_schema::Probe) -> Result<()> {
        let refused = |why: String| match &probe.begins[..] {
            [(_, one)] if is_too_much(&why) => one.too_much(),
            _ => bad(form, why),
        };
        let parser = self.parser(GrammarWithLexer::from_lark(probe.text.clone()));
        let parser = parser.map_err(refused)?;
        for (byte, required) in &probe.begins {
            let mut parser = parser.deep_clone();
            let next = parser.consume_token((*byte).into()).and_then(|_| parser.compute_mask());
            match (next, parser.stop_reason()) {
                (Ok(_), _) => {}
                (Err(_), StopReason::NoExtension | StopReason::NoExtensionBias) => {
                    return Err(required.refused());
                }
                (Err(why), _) => return Err(refused(why.to_string())),
            }
        }
        Ok(())
    }
}

/// A form that stands alone in the library's words.
fn grammar_of(form: &Form) -> Result<GrammarWithLexer> {
    Ok(match form {
        Form::JsonObject => by_schema(form, &json!({ "type": "object" }))?,
        Form::JsonSchema(schema) => {
            check_length(form, schema.to_string().len())?;
            by_schema(form, schema)?
        }
        Form::XmlSchema(schema) => {
            check_length(form, schema.len())?;
            let grammar = xml_schema::grammar(schema)?;
            probe(form, &grammar)?;
            by_lark(form, grammar.text)?
        }
        Form::Regex(pattern) => {
            check_length(form, pattern.len())?;
            if let Some(what) = pattern::too_much(pattern) {
                fail!(Code::BadConstraint, "regex: it has {what}: lower them");
            }
            GrammarWithLexer::from_regex(pattern)
        }
        Form::Grammar(grammar) => {
            check_length(form, grammar.len())?;
            by_lark(form, grammar.clone())?
        }
        Form::Choice(texts) => {
            check_length(form, texts.iter().map(String::len).sum())?;
            if texts.is_empty() {
                fail!(Code::BadConstraint, "choice is empty: give the texts to choose from");
            }
            if texts.iter().all(String::is_empty) {
                fail!(Code::BadConstraint, "choice has no text but an empty one: give others");
            }
            let patterns: Vec<_> = texts.iter().map(|text| schema::literal(text)).collect();
            GrammarWithLexer::from_regex(&patterns.join("|"))
        }
        Form::Calls(_) => fail!(Code::Internal, "calls of tools have the grammar of a vocabulary"),
    })
}

fn by_schema(form: &Form, schema: &Value) -> Result<GrammarWithLexer> {
    match schema::enforced(schema) {
        Ok(schema) => Ok(GrammarWithLexer::from_json_schema(schema)),
        Err(refused) => {
            fail!(Code::BadConstraint, "{} {refused}", form.name())
        }
    }
}

fn by_lark(form: &Form, grammar: String) -> Result<GrammarWithLexer> {
    match lark::objection(&grammar) {
        Some(why) => fail!(Code::BadConstraint, "{}: {why}", form.name()),
        None => Ok(GrammarWithLexer::from_lark(grammar)),
    }
}

/// Refuses a schema that has a type without values: nobody wants to hear of that in the middle of
/// an answer.
fn probe(form: &Form, grammar: &xml_schema::Grammar) -> Result<()> {
    let bytes = Guidance::of_bytes()?;
    for all in grammar.probes() {
        if bytes.probe(form, &all).is_err() {
            // What is wrong, or too much, with one is told of that one.
            grammar.each(&all).try_for_each(|one| bytes.probe(form, &one))?;
        }
    }
    Ok(())
}

fn check_length(form: &Form, length: usize) -> Result<()> {
    if length > MAX_WRITTEN {
        fail!(
            Code::BadConstraint,
            "{} has {length} bytes, and {MAX_WRITTEN} are the most that answers are held to",
            form.name();
            "shorten it"
        );
    }
    Ok(())
}

/// The last characters of a text, as messages show them.
fn tail(text: &str) -> &str {
    let start = text.char_indices().rev().nth(19).map_or(0, |(at, _)| at);
    &text[start..]
}

/// How far an answer has come in its grammar.
struct Guided {
    parser: TokenParser,
    name: &'static str,
    vocab_size: usize,
    /// The tags that its text may have.
    tags: Vec<Tag>,
}

impl Guided {
    /// A text's tokens, with the bytes that each has in it.
    fn spelt(&self, text: &str) -> Vec<(TokenId, usize)> {
        let tokens = &self.parser.token_env;
        let words = |text: &str| {
            let ids = tokens.tokenize_bytes(text.as_bytes());
            ids.into_iter().map(|id| (id, tokens.tok_trie().token_len(id)))
        };
        let id = |tag: &str| self.tags.iter().find(|(name, _)| *name == tag).map(|(_, id)| *id);
        let (mut spelt, mut rest) = (Vec::new(), text);
        while let Some((at, tag)) = first_tag(rest, |tag| id(tag).is_some()) {
            spelt.extend(words(&rest[..at]));
            spelt.extend(id(tag).map(|id| (id, tag.len())));
            rest = &rest[at + tag.len()..];
        }
        spelt.extend(words(rest));
        spelt
    }

    fn lost(&self, why: impl Display) -> Error {
        let why = in_words(&why.to_string());
        let message = format!("{}: the answer cannot go on by it: {why}", self.name);
        Error::new(Code::BadConstraint, message)
    }
}

impl Constraint for Guided {
    fn mask(&mut self) -> Result<Vec<u32>> {
        let mut mask: Vec<u32> = self.parser.compute_mask().map_err(|why| self.lost(why))?.into();
        // Without the token that nobody has.
        mask.truncate(self.vocab_size.div_ceil(32));
        if let (Some(last), used @ 1..) = (mask.last_mut(), self.vocab_size % 32) {
            *last &= (1 << used) - 1;
        }
        if mask.iter().all(|word| *word == 0) {
            return Err(self.lost("no token of this model spells what may come"));
        }
        Ok(mask)
    }

    fn begin_with(&mut self, text: &str) -> Result<()> {
        let (tokens, lengths): (Vec<_>, Vec<_>) = self.spelt(text).into_iter().unzip();
        let taken = self.parser.validate_tokens_raw(&tokens).map_err(|why| self.lost(why))?;
        let begun: usize = lengths[..taken].iter().sum();
        if begun < text.len() {
            fail!(
                Code::BadConstraint,
                "{}: the text to go on with begins no such text: it would have to end, or go on \
                    otherwise, after {:?}",
                self.name,
                tail(&text[..text.floor_char_boundary(begun)])
            );
        }
        tokens.into_iter().try_for_each(|token| self.accept(token))
    }

    fn accept(&mut self, token: u32) -> Result<()> {
        self.parser.consume_token(token).map_err(|why| self.lost(why))?;
        self.parser.check_stop().map_err(|why| self.lost(why))?;
        Ok(())
    }

    fn take_forced(&mut self, most: usize) -> Result<Vec<u32>> {
        if self.is_over() {
            return Ok(Vec::new());
        }
        let mut forced = self.parser.compute_ff_tokens();
        forced.truncate(most);
        let taken = self.parser.validate_tokens_raw(&forced).map_err(|why| self.lost(why))?;
        forced.truncate(taken);
        for &token in &forced {
            self.accept(token)?;
        }
        Ok(forced)
    }

    fn is_over(&self) -> bool {
        self.parser.stopped()
    }
}

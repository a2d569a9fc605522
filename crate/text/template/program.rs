//! A compiled template, in which what costs more than an instruction is paid for (`prices`).
//!
//! Templates are compiled by minijinja's own parser and compiler. Then those instructions that go
//! through values, or put values into one another, give way to calls of functions, filters and
//! tests that have the values paid for: they take as much from the stack, and their names are none
//! that a template could write. So no value is nested deeply, shares parts with itself more often
//! than it paid for, or is made anew each time that somebody goes through it.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::{
    CodeGenerator, Instruction, Instructions, eval, make_string_output, parse,
};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, Value};

use super::invalid;
use super::prices::{MOST_NAMES, priced};

type Result<T> = std::result::Result<T, Error>;

/// A compiled template.
pub(super) struct Program<'a> {
    instructions: Instructions<'a>,
    blocks: BTreeMap<&'a str, Instructions<'a>>,
}

impl<'a> Program<'a> {
    /// Compiles a text.
    ///
    /// # Errors
    /// What the parser says, and what we do not read.
    pub(super) fn new(
        name: &'a str,
        source: &'a str,
        syntax: &SyntaxConfig,
    ) -> Result<Program<'a>> {
        let parsed = parse(source, name, syntax.clone())?;
        let mut generator = CodeGenerator::new(name, source);
        generator.compile_stmt(&parsed);
        let (instructions, blocks) = generator.finish();
        let blocks = blocks
            .into_iter()
            .map(|(name, block)| Ok((name, with_prices(&block)?)))
            .collect::<Result<_>>()?;
        Ok(Program { instructions: with_prices(&instructions)?, blocks })
    }

    /// The text that comes of it.
    pub(super) fn render<'env: 'a>(
        &'a self,
        environment: &'a Environment<'env>,
        context: Value,
    ) -> Result<String> {
        let mut text = String::new();
        eval(
            environment,
            &self.instructions,
            context,
            &self.blocks,
            &mut make_string_output(&mut text),
            AutoEscape::None,
        )?;
        Ok(text)
    }
}

/// The instructions as they are run: calls stand in for those that have to be paid for, or come
/// before them.
///
/// # Errors
/// What a template has and is not read here.
fn with_prices<'a>(given: &Instructions<'a>) -> Result<Instructions<'a>> {
    check_jumps(given)?;
    check_names(given)?;
    let mut all = Instructions::new(given.name(), given.source());
    // Where each instruction begins now.
    let (mut places, mut end) = (Vec::new(), 0);
    for (at, instruction) in numbered(given) {
        if let Some(what) = unread(instruction) {
            return Err(invalid(&format!("it has {what}, which we do not read")));
        }
        let line = given.get_line(at).unwrap_or(0) as u16;
        let priced = priced(instruction).unwrap_or_else(|| instruction.clone());
        let first = match priced {
            Instruction::PushLoop(_) => {
                Some(all.add_with_line(Instruction::CallFunction("for ", Some(1)), line))
            }
            _ => None,
        };
        let own = all.add_with_line(priced, line);
        places.push(first.unwrap_or(own));
        end = own + 1;
    }
    for at in 0..end {
        if let Some(to) = all.get_mut(at).and_then(target) {
            *to = places.get(*to as usize).copied().unwrap_or(end);
        }
    }
    Ok(all)
}

/// The instructions, each with its place.
fn numbered<'i, 'a>(
    instructions: &'i Instructions<'a>,
) -> impl Iterator<Item = (u32, &'i Instruction<'a>)> {
    (0..).map_while(|at| Some((at, instructions.get(at)?)))
}

/// Where an instruction has another one be the next.
fn target<'i>(instruction: &'i mut Instruction<'_>) -> Option<&'i mut u32> {
    match instruction {
        Instruction::Iterate(to)
        | Instruction::Jump(to)
        | Instruction::JumpIfFalse(to)
        | Instruction::JumpIfFalseOrPop(to)
        | Instruction::JumpIfTrueOrPop(to)
        | Instruction::BuildMacro(_, to, _) => Some(to),
        _ => None,
    }
}

/// What no template in use has, and what would go through values unpaid, or ask for other
/// templates.
fn unread(instruction: &Instruction) -> Option<&'static str> {
    Some(match instruction {
        Instruction::CompareAndPreserve(_) => "values that are compared in a chain, a < b < c",
        Instruction::Include(_) | Instruction::LoadBlocks | Instruction::ExportLocals => {
            "another template in it"
        }
        Instruction::CallBlock(_) | Instruction::FastSuper => "a block with a name",
        Instruction::MergeKwargs(_) => "arguments out of a mapping, **names",
        Instruction::PushLoop(flags) if flags & RECURSIVE != 0 => "a recursive loop",
        _ => return None,
    })
}

/// The flag of a loop that may be called in itself.
const RECURSIVE: u8 = 2;

/// Refuses namespaces of more names than anybody gives them, since to ask whether one is empty goes
/// through all; and loops in values: one that goes through a list with the loop before it, and so
/// on, is freed by calls within calls.
fn check_names(instructions: &Instructions) -> Result<()> {
    let mut loops = BTreeSet::from(["loop"]);
    let mut set = BTreeSet::new();
    for (at, instruction) in numbered(instructions) {
        match (instruction, instructions.get(at + 1)) {
            (Instruction::SetAttr(name), _) => _ = set.insert(*name),
            (Instruction::Lookup(name), Some(Instruction::StoreLocal(other)))
                if loops.contains(name) =>
            {
                _ = loops.insert(other)
            }
            _ => {}
        }
    }
    if set.len() > MOST_NAMES {
        return Err(invalid(&format!(
            "namespaces have {} names, and {MOST_NAMES} are the most that we read",
            set.len()
        )));
    }
    let is_read = |next: Option<&Instruction>| {
        matches!(next, Some(Instruction::GetAttr(_) | Instruction::StoreLocal(_)))
    };
    let is_value = |at, name| loops.contains(name) && !is_read(instructions.get(at + 1));
    match numbered(instructions).any(
        |(at, instruction)| matches!(instruction, Instruction::Lookup(name) if is_value(at, name)),
    ) {
        true => Err(invalid(
            "it has a loop among its values, loop.cycle or loop.changed, which we do not read",
        )),
        false => Ok(()),
    }
}

/// Refuses jumps out of something that is open: minijinja leaves it open when a loop goes on, or
/// ends, in the middle of it.
fn check_jumps(instructions: &Instructions) -> Result<()> {
    let mut open = 0_i32;
    let mut depths = Vec::new();
    for (_, instruction) in numbered(instructions) {
        depths.push(open);
        open += match instruction {
            Instruction::PushWith
            | Instruction::PushLoop(_)
            | Instruction::BeginCapture(_)
            | Instruction::PushAutoEscape => 1,
            Instruction::PopFrame
            | Instruction::PopLoopFrame
            | Instruction::EndCapture
            | Instruction::PopAutoEscape => -1,
            _ => 0,
        };
    }
    for (at, depth) in depths.iter().enumerate() {
        if let Some(Instruction::Jump(to)) = instructions.get(at as u32)
            && depths.get(*to as usize).is_some_and(|there| there != depth)
        {
            return Err(invalid(
                "a loop goes on, or ends, in the middle of with, generation, set or filter, which \
                    we do not read",
            ));
        }
    }
    Ok(())
}

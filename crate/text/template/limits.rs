//! What a template may be, looked at before it is compiled.
//!
//! The compiler goes into what is nested by calling itself, and so do we: a template that is nested
//! deeply enough takes more stack than there is. What it may do when it runs is bounded by its
//! fuel.

use minijinja::{State, Value};

use super::source::{constructs, literal};
use crate::error::{Code, Error, fail};

/// Bytes; the longest in use have twenty thousand.
const LONGEST: usize = 256 * 1024;
/// Words and signs that hang on one another in an expression; half as many are operations.
/// Templates in use have fifty.
const LONGEST_CHAIN: usize = 200;
/// Each is nested in the one before it. Templates in use have twenty-two.
const MOST_ELIFS: usize = 100;
/// Containers within containers that values are written or compared through.
const DEEPEST: usize = 100;
/// Places that a format may ask for; those in use ask for a few.
const WIDEST: u64 = 10_000;
/// Macros within macros: the compiler goes through all that is within each.
const DEEPEST_MACROS: usize = 8;
/// What minijinja makes for the price of one instruction.
pub(super) const BYTES_PER_FUEL: u64 = 64;

/// Refuses a template's text that is too long or nested too deeply.
///
/// # Errors
/// [`Code::BadTemplate`], which says what is too much.
pub(super) fn check(source: &str) -> Result<(), Error> {
    if source.len() > LONGEST {
        fail!(
            Code::BadTemplate,
            "the chat template has {} bytes, and {LONGEST} are the most that we read",
            source.len()
        );
    }
    let (mut elifs, mut macros) = (0, 0_usize);
    for code in constructs(source) {
        if chain(code) > LONGEST_CHAIN {
            let line =
                source[..code.as_ptr() as usize - source.as_ptr() as usize].lines().count().max(1);
            fail!(
                Code::BadTemplate,
                "the chat template is nested too deeply in line {line}; use another template, or \
                    none"
            );
        }
        let is_before = |c: char| c.is_whitespace() || "{%-+".contains(c);
        let statement = code.trim_start_matches(is_before);
        elifs += usize::from(statement.starts_with("elif"));
        match () {
            () if statement.starts_with("macro") || statement.starts_with("call") => macros += 1,
            () if statement.starts_with("endmacro") || statement.starts_with("endcall") => {
                macros = macros.saturating_sub(1)
            }
            () => {}
        }
        if macros > DEEPEST_MACROS {
            fail!(
                Code::BadTemplate,
                "the chat template has more than {DEEPEST_MACROS} macros within one another; use \
                    another template, or none"
            );
        }
    }
    if elifs > MOST_ELIFS {
        fail!(
            Code::BadTemplate,
            "the chat template has {elifs} elif, and {MOST_ELIFS} are the most that we read"
        );
    }
    Ok(())
}

/// How many words and signs of an expression hang on one another, at the most: what is between
/// commas does not.
fn chain(code: &str) -> usize {
    // Of each bracket that is open, the length of the chain before it, and the longest within it.
    let mut open = vec![(0, 0)];
    let mut length = 0;
    let mut at = 0;
    while let Some(&byte) = code.as_bytes().get(at) {
        let rest = &code[at..];
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        at += match byte {
            b'"' | b'\'' => literal(rest, byte),
            _ => word.max(rest.chars().next().map_or(1, char::len_utf8)),
        };
        match byte {
            b' ' | b'\n' | b'\t' | b'\r' => continue,
            b',' => length = open.last().map_or(0, |(before, _)| *before),
            _ => length += 1,
        }
        if let Some((_, longest)) = open.last_mut() {
            *longest = length.max(*longest);
        }
        match byte {
            b'(' | b'[' | b'{' => open.push((length, length)),
            b')' | b']' | b'}' if open.len() > 1 => {
                let (_, within) = open.pop().unwrap_or_default();
                length = within;
                if let Some((_, longest)) = open.last_mut() {
                    *longest = within.max(*longest);
                }
            }
            _ => {}
        }
    }
    open.into_iter().map(|(_, longest)| longest).max().unwrap_or(0)
}

/// Has values pay for each part that writing them goes through: one that holds another many times,
/// which holds a third many times, is small in memory and endless on paper.
pub(super) fn charge<'a>(
    state: &State,
    values: impl IntoIterator<Item = &'a Value>,
) -> Result<(), minijinja::Error> {
    // As minijinja counts: a byte that is written costs a quarter of what an instruction does.
    Meter { state, part: 4 * BYTES_PER_FUEL, byte: BYTES_PER_FUEL / 4, units: 0 }.all(values)
}

/// Has values pay for each part that is held in another value, which takes none of their bytes.
pub(super) fn hold<'a>(
    state: &State,
    values: impl IntoIterator<Item = &'a Value>,
) -> Result<(), minijinja::Error> {
    Meter { state, part: BYTES_PER_FUEL / 8, byte: 0, units: 0 }.all(values)
}

/// Has values pay for each part that is looked at, to compare them, say.
pub(super) fn pay<'a>(
    state: &State,
    values: impl IntoIterator<Item = &'a Value>,
) -> Result<(), minijinja::Error> {
    Meter { state, part: BYTES_PER_FUEL / 8, byte: 1, units: 0 }.all(values)
}

/// Counts what values have in them.
struct Meter<'s, 't, 'e> {
    state: &'s State<'t, 'e>,
    /// What each part of a value costs.
    part: u64,
    /// What each byte of a text costs.
    byte: u64,
    /// What was not paid yet: [`BYTES_PER_FUEL`] are an instruction.
    units: u64,
}

impl Meter<'_, '_, '_> {
    fn all<'a>(
        mut self,
        values: impl IntoIterator<Item = &'a Value>,
    ) -> Result<(), minijinja::Error> {
        values.into_iter().try_for_each(|value| self.within(value, 0))?;
        self.state.consume_fuel(self.units / BYTES_PER_FUEL)
    }

    fn within(&mut self, value: &Value, depth: usize) -> Result<(), minijinja::Error> {
        use minijinja::value::ValueKind::{Iterable, Map, Seq};
        self.units += self.part + self.byte * value.as_str().map_or(0, |text| text.len() as u64);
        if self.units >= 1000 * BYTES_PER_FUEL {
            self.state.consume_fuel(self.units / BYTES_PER_FUEL)?;
            self.units %= BYTES_PER_FUEL;
        }
        if !matches!(value.kind(), Seq | Map | Iterable) {
            return Ok(());
        }
        if depth == DEEPEST {
            return Err(super::invalid("the value is nested too deeply"));
        }
        for item in value.try_iter()? {
            if value.kind() == Map {
                self.within(&value.get_item(&item)?, depth + 1)?;
            }
            self.within(&item, depth + 1)?;
        }
        Ok(())
    }
}

/// The items of a value, each of which costs a little.
pub(super) fn collect(state: &State, value: &Value) -> Result<Vec<Value>, minijinja::Error> {
    let mut items = Vec::new();
    for item in value.try_iter()? {
        if items.len() % 16 == 15 {
            state.consume_fuel(1)?;
        }
        items.push(item);
    }
    Ok(items)
}

/// Refuses to make what could not be paid for once it is there.
pub(super) fn afford(state: &State, bytes: u64) -> Result<(), minijinja::Error> {
    let left = state.fuel_levels().map_or(u64::MAX, |(_, left)| left);
    if bytes / BYTES_PER_FUEL < left { Ok(()) } else { state.consume_fuel(left + 1) }
}

/// Has a text pay for how often its bytes are looked at.
pub(super) fn charge_reading(
    state: &State,
    text: &str,
    times: usize,
) -> Result<(), minijinja::Error> {
    state.consume_fuel((text.len() as u64).saturating_mul(times as u64) / BYTES_PER_FUEL)
}

/// Has a format pay for what it may become: each of its fields may be as long as all values, and is
/// as wide as it says.
pub(super) fn charge_format(
    state: &State,
    format: &str,
    begin: char,
    values: &[Value],
) -> Result<(), minijinja::Error> {
    let fields = || format.split(begin).skip(1);
    let widths =
        fields().flat_map(|field| options(field, begin).split(|c: char| !c.is_ascii_digit()));
    let widths =
        widths.filter(|digits| !digits.is_empty()).map(|digits| digits.parse().unwrap_or(u64::MAX));
    let (sum, widest) = widths.fold((0, 0), |(sum, widest): (u64, u64), width| {
        (sum.saturating_add(width), width.max(widest))
    });
    state.consume_fuel(sum / BYTES_PER_FUEL)?;
    if widest > WIDEST {
        return Err(super::invalid("a format asks for more than 10000 places"));
    }
    for _ in fields() {
        for value in values {
            match value.as_str() {
                Some(text) => charge_reading(state, text, 1)?,
                None => charge(state, [value])?,
            }
        }
    }
    Ok(())
}

/// What a field says of how it is written, or more: `{name:>8}` and `%(name)8s`.
fn options(field: &str, begin: char) -> &str {
    let end_of_name = if begin == '{' {
        field.find(':')
    } else {
        field.starts_with('(').then(|| field.find(')')).flatten()
    };
    let said = end_of_name.map_or(field, |end| &field[end..]);
    match begin {
        // A name in brackets may have any sign in it.
        '{' if field.contains('[') => field,
        '{' if end_of_name.is_none() => "",
        '{' => said.split('}').next().unwrap_or(said),
        _ => &said[..said.find(char::is_alphabetic).unwrap_or(said.len())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_counted() {
        let rows = [
            ("{{ a }}", 5),
            ("{{ [a, b, c, d] }}", 7),
            ("{{ (a, 'b + c') + d }}", 9),
            ("{{ not not x }}", 7),
        ];
        for (code, length) in rows {
            assert_eq!(chain(code), length, "{code}");
        }
    }
}

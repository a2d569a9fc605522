//! Operators, which have the values that they go through paid for: what stands in for minijinja's
//! own.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::invalid;
use super::limits::{afford, charge, charge_reading, collect, pay};

type Result<T> = std::result::Result<T, Error>;

pub(super) fn compares(
    environment: &mut Environment<'static>,
    name: &'static str,
    compare: fn(&Value, &Value) -> bool,
) {
    environment.add_function(name, move |state: &State, a: &Value, b: &Value| {
        match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => charge_reading(state, if a.len() < b.len() { a } else { b }, 1)?,
            _ => pay(state, [a, b])?,
        }
        Ok(compare(a, b))
    });
}

pub(super) fn is_in(state: &State, value: &Value, all: &Value) -> Result<bool> {
    pay(state, [value, all])?;
    check_key(value)?;
    match (all.as_str(), all.kind()) {
        (Some(text), _) => Ok(value
            .as_str()
            .map_or_else(|| text.contains(&value.to_string()), |part| text.contains(part))),
        (_, ValueKind::Undefined) => Ok(false),
        (_, ValueKind::Map) => Ok(!all.get_item(value)?.is_undefined()),
        (_, ValueKind::Seq | ValueKind::Iterable) => Ok(all.try_iter()?.any(|item| item == *value)),
        (_, kind) => Err(invalid(&format!("nothing can be in a value of type {kind}"))),
    }
}

pub(super) fn concat(state: &State, a: &Value, b: &Value) -> Result<String> {
    charge(state, [a, b].into_iter().filter(|part| part.as_str().is_none()))?;
    afford(
        state,
        [a, b].iter().filter_map(|part| part.as_str()).map(|text| text.len() as u64).sum(),
    )?;
    Ok(format!("{a}{b}"))
}

pub(super) fn plus(state: &State, a: &Value, b: &Value) -> Result<Value> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        afford(state, (a.len() + b.len()) as u64)?;
        return Ok([a, b].concat().into());
    }
    if is_list(a) && is_list(b) && is_tuple(a) == is_tuple(b) {
        let mut items = collect(state, a)?;
        items.extend(collect(state, b)?);
        return Ok(alike(a, items));
    }
    calculated("+", [a, b], i128::checked_add, |a, b| a + b)
}

pub(super) fn times(state: &State, a: &Value, b: &Value) -> Result<Value> {
    let is_one = |value: &Value| value.as_str().is_some() || is_list(value);
    let (value, count) = if is_one(b) { (b, a) } else { (a, b) };
    if is_one(value) {
        let count = whole(count)
            .ok_or_else(|| invalid("texts and lists are repeated a whole number of times"))?;
        return repeated(state, value, usize::try_from(count.max(0)).unwrap_or(usize::MAX));
    }
    calculated("*", [a, b], i128::checked_mul, |a, b| a * b)
}

fn calculated(
    name: &str,
    [a, b]: [&Value; 2],
    of_whole: fn(i128, i128) -> Option<i128>,
    of_real: fn(f64, f64) -> f64,
) -> Result<Value> {
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return of_whole(a, b)
            .map(Value::from)
            .ok_or_else(|| invalid(&format!("a {name} b is too large")));
    }
    let real = |value: &Value| f64::try_from(value.clone()).ok();
    match (real(a), real(b)) {
        (Some(a), Some(b)) => Ok(of_real(a, b).into()),
        _ => Err(invalid(&format!("there is no {} {name} {}", a.kind(), b.kind()))),
    }
}

/// Of a number without a fraction, or a truth, which is 0 or 1.
fn whole(value: &Value) -> Option<i128> {
    let is_whole = value.is_integer() || value.kind() == ValueKind::Bool;
    is_whole.then(|| i128::try_from(value.clone()).ok()).flatten()
}

pub(super) fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

pub(super) fn is_tuple(value: &Value) -> bool {
    value.downcast_object_ref::<Tuple>().is_some()
}

fn repeated(state: &State, value: &Value, count: usize) -> Result<Value> {
    if let Some(text) = value.as_str() {
        afford(state, (text.len() as u64).saturating_mul(count as u64))?;
        return Ok(text.repeat(count).into());
    }
    let items = collect(state, value)?;
    // Sixty-four bytes each, with what becomes of them.
    state.consume_fuel((items.len() as u64).saturating_mul(count as u64))?;
    Ok(alike(value, items.iter().cycle().take(items.len() * count).cloned().collect()))
}

/// `value[start:stop:step]`, as Python has it.
pub(super) fn slice(
    state: &State,
    value: &Value,
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
) -> Result<Value> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(invalid("nothing can be sliced in steps of 0"));
    }
    if let Some(text) = value.as_str() {
        charge_reading(state, text, 1)?;
        let length = text.chars().count();
        let (first, count) = places(length, start, stop, step);
        let every = step.unsigned_abs() as usize;
        return Ok(match step {
            1 => text.chars().skip(first).take(count).collect::<String>(),
            2.. => text.chars().skip(first).step_by(every).take(count).collect(),
            _ => text
                .chars()
                .rev()
                .skip(length.saturating_sub(first + 1))
                .step_by(every)
                .take(count)
                .collect(),
        }
        .into());
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Value::from(Vec::<Value>::new())),
        _ if is_list(value) => {
            let items = collect(state, value)?;
            let (first, count) = places(items.len(), start, stop, step);
            Ok(alike(
                value,
                (0..count as i64)
                    .map(|nth| items[(first as i64 + nth * step) as usize].clone())
                    .collect(),
            ))
        }
        kind => Err(invalid(&format!("a value of type {kind} cannot be sliced"))),
    }
}

/// Items as what they come from is: a tuple or a list.
fn alike(value: &Value, items: Vec<Value>) -> Value {
    if is_tuple(value) { Tuple::from(items).into() } else { items.into() }
}

/// The first place of a slice, and how many there are.
fn places(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> (usize, usize) {
    let length = length as i64;
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |place: i64| {
        if place < 0 { place.saturating_add(length).max(lowest) } else { place.min(highest) }
    };
    let (from, to) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (start, stop) = (start.map_or(from, place), stop.map_or(to, place));
    let span = if step > 0 { stop - start } else { start - stop };
    let count = if span > 0 { (span as u64).div_ceil(step.unsigned_abs()) } else { 0 };
    (start.max(0) as usize, count as usize)
}

pub(super) fn item(state: &State, value: &Value, key: &Value) -> Result<Value> {
    check_key(key)?;
    pay(state, [key])?;
    // The letters before it are counted.
    if let Some(text) = value.as_str() {
        charge_reading(state, text, 1)?;
    }
    // Of what is made anew each time, all items before are made, too.
    if value.kind() == ValueKind::Iterable {
        state.consume_fuel(value.len().unwrap_or(0) as u64)?;
    }
    value.get_item(key)
}

/// Refuses large numbers as keys, since all of them share a few places.
pub(super) fn check_key(key: &Value) -> Result<()> {
    match key.is_number()
        && i64::try_from(key.clone()).is_err()
        && i128::try_from(key.clone()).is_ok()
    {
        true => Err(invalid("a key is a number of more than 64 bits")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_pythons() {
        let rows = [
            ((5, None, None, 1), (0, 5)),
            ((5, Some(1), Some(-1), 1), (1, 3)),
            ((5, Some(-9), Some(9), 2), (0, 3)),
            ((5, None, None, -1), (4, 5)),
            ((5, Some(9), Some(0), -2), (4, 2)),
            ((5, Some(3), Some(1), 1), (3, 0)),
            ((0, None, None, -1), (0, 0)),
        ];
        for ((length, start, stop, step), expected) in rows {
            assert_eq!(
                places(length, start, stop, step),
                expected,
                "{length} {start:?} {stop:?} {step}"
            );
        }
    }
}

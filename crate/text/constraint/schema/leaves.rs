//! Numbers and texts as schemas that the library enforces as they are.

use serde_json::{Value, json};

use super::facts::{NumberCase, StringCase};
use super::multiples::Step;
use super::{Refused, Result, pattern, refuse};

/// What the library counts to.
const MOST_CHARACTERS: u64 = u32::MAX as u64 - 1;
/// What is nearer to an open bound of 0 is not written.
const NEAREST: f64 = 1e-40;

/// A number as JSON has it.
fn written(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        (number as i64).into()
    } else {
        number.into()
    }
}

/// The last number within a bound. The library compares digits, and who reads them the doubles
/// that they are rounded to, so that what is just beyond an open bound may be read as the bound:
/// the last one has no more digits than every reader tells apart.
fn last((to, is_open): (f64, bool), is_lower: bool, is_whole: bool) -> f64 {
    match (is_whole, is_lower) {
        (true, true) => return if is_open { (to + 1.0).floor() } else { to.ceil() },
        (true, false) => return if is_open { (to - 1.0).ceil() } else { to.floor() },
        _ => {}
    }
    if to == 0.0 && is_open {
        return if is_lower { NEAREST } else { -NEAREST };
    }
    let mut number = to;
    loop {
        let short = format!("{number:.14e}").parse().unwrap_or(number);
        if (!is_open && short == to) || (short != to && (short > to) == is_lower) {
            return short;
        }
        number = if is_lower { number.next_up() } else { number.next_down() };
    }
}

/// What the library leaves out of the numbers that are nearer to 0 than one: those of its first
/// digits.
fn shorter(to: f64) -> impl Iterator<Item = f64> {
    let text = to.to_string();
    let point = text.find('.').unwrap_or(text.len());
    (point + 2..text.len()).filter_map(move |end| text[..end].parse().ok())
}

/// The ranges that a number lies in, of which there are several where some are cut out of it.
fn ranges(number: &NumberCase) -> Vec<[Option<(f64, bool)>; 2]> {
    let mut cuts = number.none_of.clone();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let within = |cut: &f64| {
        number.least.is_none_or(|(to, _)| *cut >= to)
            && number.most.is_none_or(|(to, _)| *cut <= to)
    };
    let mut least = number.least;
    let mut ranges = Vec::new();
    for cut in cuts.into_iter().filter(within) {
        ranges.push([least, Some((cut, true))]);
        least = Some((cut, true));
    }
    ranges.push([least, number.most]);
    ranges
}

/// What the number is a multiple of.
fn step(number: &NumberCase) -> Result<Option<Step>> {
    let mut all: Option<Step> = None;
    let whole = number.whole.then_some(1.0).filter(|_| !number.multiples.is_empty());
    for of in number.multiples.iter().copied().chain(whole) {
        let step = Step::of(of).and_then(|step| all.map_or(Some(step), |all| all.with(step)));
        let Some(step) = step else {
            return refuse("", "multipleOf", "comes to more digits than are counted");
        };
        all = Some(step);
    }
    Ok(all)
}

pub fn numbers(number: &NumberCase) -> Result<Vec<Value>> {
    if let Some(values) = &number.one_of {
        let values: Vec<Value> = values.iter().map(|value| written(*value)).collect();
        return Ok(vec![json!({ "enum": values })]);
    }
    if number.fractional {
        return refuse("", "type", "of numbers that are not whole is not enforced");
    }
    let step = step(number)?;
    let mut any = Vec::new();
    for [least, most] in ranges(number) {
        let least = least.map(|bound| last(bound, true, number.whole));
        let most = most.map(|bound| last(bound, false, number.whole));
        if let (Some(least), Some(most)) = (least, most)
            && (least > most || step.is_some_and(|step| !step.is_within(least, most)))
        {
            continue;
        }
        let mut schema = json!({ "type": if number.whole { "integer" } else { "number" } });
        for (keyword, bound) in [("minimum", least), ("maximum", most)] {
            if let Some(to) = bound {
                schema[keyword] = written(to);
            }
        }
        if let Some(step) = step {
            schema["multipleOf"] = written(step.number());
        }
        any.push(schema);
        let far = [least.filter(|to| *to < 0.0), most.filter(|to| *to > 0.0)];
        let is_in = |number: &f64| {
            *number != 0.0
                && least.is_none_or(|least| *number >= least)
                && most.is_none_or(|most| *number <= most)
                && step.is_none_or(|step| step.is_within(*number, *number))
        };
        let mut short: Vec<f64> = far.into_iter().flatten().flat_map(shorter).collect();
        short.retain(is_in);
        short.dedup();
        if !short.is_empty() {
            any.push(json!({ "enum": short.into_iter().map(written).collect::<Vec<_>>() }));
        }
    }
    Ok(any)
}

pub fn string(string: &StringCase) -> Result<Value> {
    if let Some(texts) = &string.one_of {
        return Ok(json!({ "enum": texts }));
    }
    if let Some(pattern) = string.not_patterns.first() {
        let why = format!("{pattern:?} is not enforced within \"not\"");
        return Err(Refused { path: String::new(), keyword: "pattern".to_owned(), why });
    }
    let mut patterns: Vec<String> = string.patterns.iter().cloned().collect();
    if !string.none_of.is_empty() {
        patterns.push(pattern::none_of(&string.none_of));
    }
    let mut schema = json!({ "type": "string" });
    if string.least > MOST_CHARACTERS {
        return refuse("", "minLength", format!("is more than {MOST_CHARACTERS}"));
    }
    if string.least > 0 {
        schema["minLength"] = string.least.into();
    }
    if let Some(most) = string.most {
        schema["maxLength"] = most.min(MOST_CHARACTERS).into();
    }
    match &patterns[..] {
        [] => {}
        [one] => schema["pattern"] = one.clone().into(),
        all => {
            let all: Vec<_> =
                all.iter().map(|one| json!({ "type": "string", "pattern": one })).collect();
            schema["allOf"] = all.into();
        }
    }
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is just beyond an open bound is told from it by every reader, and the bound is near.
    #[test]
    fn open_bounds_are_closed_before_what_is_read_as_them() {
        for to in [1.0, -1.0, 0.1, 0.3, 1e-30, 123_456.789, -9e15, 0.30000000000000004] {
            for is_lower in [true, false] {
                let [open, closed] = [true, false].map(|it| last((to, it), is_lower, false));
                let beyond = |number: f64| if is_lower { number > to } else { number < to };
                let digits = open.to_string().bytes().filter(u8::is_ascii_digit).count();
                assert!(beyond(open) && (open - to).abs() <= to.abs() * 1e-13, "{to}: {open}");
                assert!(to.abs() < 0.1 || digits <= 17, "{to}: {open}");
                assert!(closed == to || (beyond(closed) && to.to_string().len() > 15), "{to}");
            }
        }
        assert_eq!(
            [true, false].map(|is_lower| last((0.0, true), is_lower, false)),
            [1e-40, -1e-40]
        );
        assert_eq!([true, false].map(|is_lower| last((0.0, false), is_lower, false)), [0.0, 0.0]);
        for (bound, last_above, last_below) in
            [((1.5, true), 2.0, 1.0), ((1.5, false), 2.0, 1.0), ((2.0, true), 3.0, 1.0)]
        {
            assert_eq!(
                [last(bound, true, true), last(bound, false, true)],
                [last_above, last_below]
            );
        }
    }
}

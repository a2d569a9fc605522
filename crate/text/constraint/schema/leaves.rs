//! Numbers and texts as schemas that the library enforces as they are.

use serde_json::{Value, json};

use super::facts::{NumberCase, StringCase};
use super::{Refused, Result, pattern, refuse};

/// A number as JSON has it.
fn written(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        (number as i64).into()
    } else {
        number.into()
    }
}

pub fn numbers(number: &NumberCase) -> Result<Vec<Value>> {
    if let Some(values) = &number.one_of {
        let values: Vec<Value> = values.iter().map(|value| written(*value)).collect();
        return Ok(vec![json!({ "enum": values })]);
    }
    if number.fractional {
        return refuse("", "type", "of numbers that are not whole is not enforced");
    }
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
        ranges.push((least, Some((cut, true))));
        least = Some((cut, true));
    }
    ranges.push((least, number.most));
    let mut any = Vec::new();
    for (least, most) in ranges {
        let is_empty = match (least, most) {
            (Some((low, open)), Some((high, shut))) if number.whole => {
                let low = if open { (low + 1.0).floor() } else { low.ceil() };
                let high = if shut { (high - 1.0).ceil() } else { high.floor() };
                low > high
            }
            (Some((low, open)), Some((high, shut))) => {
                low > high || (low == high && (open || shut))
            }
            _ => false,
        };
        if is_empty {
            continue;
        }
        let mut schema = json!({ "type": if number.whole { "integer" } else { "number" } });
        for (bound, names) in
            [(least, ["minimum", "exclusiveMinimum"]), (most, ["maximum", "exclusiveMaximum"])]
        {
            if let Some((to, open)) = bound {
                schema[names[usize::from(open)]] = written(to);
            }
        }
        match &number.multiples[..] {
            [] => {}
            [of] => schema["multipleOf"] = written(*of),
            all => {
                let all: Vec<_> = all
                    .iter()
                    .map(|of| json!({ "type": "number", "multipleOf": written(*of) }))
                    .collect();
                schema["allOf"] = all.into();
            }
        }
        any.push(schema);
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
    if string.least > 0 {
        schema["minLength"] = string.least.into();
    }
    if let Some(most) = string.most {
        schema["maxLength"] = most.into();
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

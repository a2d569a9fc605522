//! What Python's values can do in Hugging Face's environment and minijinja's cannot: methods, tests
//! and `%`.

use std::borrow::Cow;

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Rest, StringInput, Tuple, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, State, Value, filters};
use minijinja_contrib::pycompat;

use super::invalid;
use super::limits::{charge, charge_format, charge_reading, pay};
use super::operators::check_key;
use super::source::PERCENT;

type Result<T> = std::result::Result<T, minijinja::Error>;

/// Gives an environment what a template written for transformers expects.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(method);
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    environment.add_filter("wordcount", |text: &str| {
        text.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty()).count()
    });
    environment.add_function(PERCENT, percent);
    environment.add_filter(
        "format",
        |state: &mut State, text: &Value, values: Rest<ValueOrKwargs>| {
            let each: Vec<Value> = values.iter().map(|value| (**value).clone()).collect();
            charge_format(state, text.as_str().unwrap_or_default(), '%', &each)?;
            filters::format(state, text, values)
        },
    );
    environment.add_filter("trim", trim);
}

fn trim(state: &State, text: StringInput<'_>, characters: Option<Cow<'_, str>>) -> Result<Value> {
    charge_reading(
        state,
        text.as_str(),
        characters.as_ref().map_or(0, |characters| characters.len()),
    )?;
    Ok(filters::trim(text, characters))
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Nothing is no collection, though minijinja goes through it; what is not defined is an empty one,
/// as in Jinja. To go through a text would count its letters.
fn is_iterable(value: &Value) -> bool {
    value.as_str().is_some() || (!value.is_none() && value.try_iter().is_ok())
}

/// Jinja asks for a length and for items by key, which texts and mappings have, too.
fn is_sequence(value: &Value) -> bool {
    value.is_undefined()
        || matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Bytes
        )
}

/// `text % values`; values are a tuple, or one that is none.
fn percent(state: &State, text: &str, values: &Value) -> Result<String> {
    let each = match values.downcast_object_ref::<Tuple>() {
        Some(_) => values.try_iter()?.collect(),
        None => vec![values.clone()],
    };
    charge_format(state, text, '%', &each)?;
    format(FormatStyle::Printf, text, &each)
}

fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value> {
    charge_method(state, value, name, args)?;
    let own = match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => text_method(text, name, args)?,
        (ValueKind::Seq, _) => sequence_method(value, name, args)?,
        (ValueKind::Map, _) if name == "copy" => Some(value.clone()),
        _ => None,
    };
    own.map_or_else(|| pycompat::unknown_method_callback(state, value, name, args), Ok)
}

/// Minijinja has methods pay for the text that they are called on and for what they make, once.
fn charge_method(state: &State, value: &Value, name: &str, args: &[Value]) -> Result<()> {
    let first = args.first().and_then(Value::as_str).unwrap_or_default();
    match (name, value.as_str()) {
        ("format", Some(text)) => charge_format(state, text, '{', args),
        ("strip" | "lstrip" | "rstrip", Some(text)) => charge_reading(state, text, first.len()),
        ("swapcase", Some(text)) => charge_reading(state, text, 4),
        ("startswith" | "endswith", Some(_)) => charge(state, args),
        ("get", None) => args.iter().try_for_each(check_key),
        ("join" | "count" | "index", _) => charge(state, args.iter().chain([value])),
        _ => pay(state, args),
    }
}

fn sequence_method(value: &Value, name: &str, args: &[Value]) -> Result<Option<Value>> {
    match name {
        "copy" => Ok(Some(value.clone())),
        "index" => {
            let (item,): (&Value,) = from_args(args)?;
            let place = value.try_iter()?.position(|other| other == *item);
            place
                .map(|place| Some(place.into()))
                .ok_or_else(|| invalid("the value is not in the list"))
        }
        _ => Ok(None),
    }
}

fn text_method(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>> {
    let value = match name {
        "strip" | "lstrip" | "rstrip" => strip(text, name, args)?.into(),
        "split" => split(text, args, false)?,
        "rsplit" => split(text, args, true)?,
        "partition" | "rpartition" => partition(text, name, args)?,
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(args)?;
            let place = if name == "index" { text.find(part) } else { text.rfind(part) };
            let place = place.ok_or_else(|| invalid("the text does not hold this part"))?;
            text[..place].chars().count().into()
        }
        "zfill" => {
            let (width,): (usize,) = from_args(args)?;
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", padding(text, width, '0')?).into()
        }
        "ljust" | "rjust" | "center" => justified(text, name, args)?.into(),
        // Full case folding has about a hundred more letters of more than one; German has this one.
        "casefold" => text.to_lowercase().replace('ß', "ss").into(),
        "swapcase" => {
            let mut swapped = String::with_capacity(text.len());
            for c in text.chars() {
                if c.is_uppercase() {
                    swapped.extend(c.to_lowercase())
                } else {
                    swapped.extend(c.to_uppercase())
                }
            }
            swapped.into()
        }
        "isdecimal" => (!text.is_empty() && text.chars().all(char::is_numeric)).into(),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Python's white space: Unicode's, and four control characters.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn strip<'a>(text: &'a str, name: &str, args: &[Value]) -> Result<&'a str> {
    let (characters,): (Option<&str>,) = from_args(args)?;
    let goes =
        |c: char| characters.map_or_else(|| is_space(c), |characters| characters.contains(c));
    let text = if name == "rstrip" { text } else { text.trim_start_matches(goes) };
    Ok(if name == "lstrip" { text } else { text.trim_end_matches(goes) })
}

/// `split(sep=None, maxsplit=-1)`, from the end where `from_end`.
fn split(text: &str, args: &[Value], from_end: bool) -> Result<Value> {
    let args = from_args::<(Rest<ValueOrKwargs>,)>(args)?.0.into_values();
    let (args, named): (&[Value], Kwargs) = from_args(&args)?;
    let (by_place, most_by_place): (Option<&str>, Option<i64>) = from_args(args)?;
    let by = by_place.map_or_else(|| named.get::<Option<&str>>("sep"), |by| Ok(Some(by)))?;
    let most = most_by_place
        .map_or_else(|| named.get::<Option<i64>>("maxsplit"), |most| Ok(Some(most)))?;
    named.assert_all_used()?;
    let pieces = most
        .and_then(|most| usize::try_from(most).ok())
        .map_or(usize::MAX, |most| most.saturating_add(1));
    Ok(match (by, from_end) {
        (Some(""), _) => return Err(invalid("a text cannot be split by nothing")),
        (Some(by), false) => text.splitn(pieces, by).map(Value::from).collect(),
        (Some(by), true) => text
            .rsplitn(pieces, by)
            .map(Value::from)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect(),
        (None, _) => words(text, pieces, from_end).into_iter().map(Value::from).collect(),
    })
}

/// The words between white space, the last of `most` with all that follows; from the end, the first
/// with all before it.
fn words(text: &str, most: usize, from_end: bool) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_matches(is_space);
    while !rest.is_empty() {
        let end = if from_end { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = end.filter(|_| words.len() + 1 < most) else {
            words.push(rest);
            break;
        };
        let blank = rest[at..].chars().next().map_or(1, char::len_utf8);
        if from_end {
            words.push(&rest[at + blank..]);
            rest = rest[..at].trim_end_matches(is_space);
        } else {
            words.push(&rest[..at]);
            rest = rest[at + blank..].trim_start_matches(is_space);
        }
    }
    if from_end {
        words.reverse();
    }
    words
}

fn partition(text: &str, name: &str, args: &[Value]) -> Result<Value> {
    let (by,): (&str,) = from_args(args)?;
    if by.is_empty() {
        return Err(invalid("a text cannot be split by nothing"));
    }
    let three = match name {
        "partition" => {
            text.split_once(by).map_or([text, "", ""], |(before, after)| [before, by, after])
        }
        _ => text.rsplit_once(by).map_or(["", "", text], |(before, after)| [before, by, after]),
    };
    Ok(Value::from(Tuple::from(three.map(Value::from))))
}

fn justified(text: &str, name: &str, args: &[Value]) -> Result<String> {
    let (width, fill): (usize, Option<char>) = from_args(args)?;
    let fill = fill.unwrap_or(' ');
    let padding = padding(text, width, fill)?;
    let missing = padding.len() / fill.len_utf8();
    Ok(match name {
        "ljust" => format!("{text}{padding}"),
        "rjust" => format!("{padding}{text}"),
        _ => {
            // Where both sides cannot be equal, Python has the wider one left of texts in odd
            // widths.
            let left = missing / 2 + (missing & width & 1);
            let (left, right) = padding.split_at(left * fill.len_utf8());
            format!("{left}{text}{right}")
        }
    })
}

/// The widest text that padding makes.
const WIDEST: usize = 1 << 16;

fn padding(text: &str, width: usize, fill: char) -> Result<String> {
    if width > WIDEST {
        return Err(invalid("the text would be wider than 65536 characters"));
    }
    Ok(std::iter::repeat_n(fill, width.saturating_sub(text.chars().count())).collect())
}

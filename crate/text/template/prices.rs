//! What minijinja does for the price of one instruction, however much that is, and what it costs
//! here: the functions, filters and tests that stand in for it.

use minijinja::machinery::Instruction;
use minijinja::value::{Kwargs, Rest, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, functions};

use super::invalid;
use super::limits::{charge_reading, collect, hold, pay};
use super::operators::{
    check_key, compares, concat, is_in, is_list, is_tuple, item, plus, slice, times,
};

type Result<T> = std::result::Result<T, Error>;

/// What a namespace costs: as many as there can be may hold one another.
const NAMESPACE: u64 = 1000;

/// Names of namespaces. Templates in use have eleven.
pub(super) const MOST_NAMES: usize = 200;

/// Filters that go through what they are given; what is behind the first sign is the name in
/// templates.
const FILTERS: [&str; 30] = [
    "|attr",
    "|batch",
    "|capitalize",
    "|chain",
    "|dictsort",
    "|e",
    "|escape",
    "|format",
    "|groupby",
    "|indent",
    "|join",
    "|lines",
    "|lower",
    "|max",
    "|min",
    "|pprint",
    "|replace",
    "|reverse",
    "|round",
    "|safe",
    "|slice",
    "|sort",
    "|split",
    "|string",
    "|sum",
    "|title",
    "|trim",
    "|unique",
    "|upper",
    "|zip",
];
/// Filters that have something done with each item.
const FILTERS_OF_ITEMS: [&str; 5] = ["|map", "|reject", "|rejectattr", "|select", "|selectattr"];
/// Tests that do.
const TESTS: [&str; 21] = [
    "?!=",
    "?<",
    "?<=",
    "?==",
    "?>",
    "?>=",
    "?endingwith",
    "?eq",
    "?equalto",
    "?ge",
    "?greaterthan",
    "?gt",
    "?in",
    "?le",
    "?lessthan",
    "?lower",
    "?lt",
    "?ne",
    "?sameas",
    "?startingwith",
    "?upper",
];

/// What stands in for an instruction.
pub(super) fn priced<'a>(instruction: &Instruction<'a>) -> Option<Instruction<'a>> {
    let call = |name, count: usize| {
        u16::try_from(count).ok().map(|count| Instruction::CallFunction(name, Some(count)))
    };
    let built = |name, count: Option<usize>| {
        count.map_or(Some(Instruction::CallFunction(name, None)), |count| call(name, count))
    };
    match *instruction {
        Instruction::Eq => call("==", 2),
        Instruction::Ne => call("!=", 2),
        Instruction::Lt => call("<", 2),
        Instruction::Lte => call("<=", 2),
        Instruction::Gt => call(">", 2),
        Instruction::Gte => call(">=", 2),
        Instruction::In => call("in ", 2),
        Instruction::StringConcat => call("~", 2),
        Instruction::Add => call("+", 2),
        Instruction::Mul => call("*", 2),
        Instruction::Slice => call("[:]", 4),
        Instruction::GetItem => call("[", 2),
        Instruction::BuildMap(pairs) => call("{}", 2 * pairs),
        Instruction::BuildList(count) => built("[]", count),
        Instruction::BuildTuple(count) => built("()", count),
        Instruction::ApplyFilter(name, count, local) => {
            let name = named(&FILTERS, name).or_else(|| named(&FILTERS_OF_ITEMS, name));
            name.map(|name| Instruction::ApplyFilter(name, count, local))
        }
        Instruction::PerformTest(name, count, local) => {
            named(&TESTS, name).map(|name| Instruction::PerformTest(name, count, local))
        }
        _ => None,
    }
}

fn named(names: &[&'static str], name: &str) -> Option<&'static str> {
    names.iter().copied().find(|priced| &priced[1..] == name.trim())
}

/// Gives an environment all that stands in for something.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    compares(environment, "==", |a, b| a == b);
    compares(environment, "!=", |a, b| a != b);
    compares(environment, "<", |a, b| a < b);
    compares(environment, "<=", |a, b| a <= b);
    compares(environment, ">", |a, b| a > b);
    compares(environment, ">=", |a, b| a >= b);
    environment.add_function("for ", |state: &State, items: Value| {
        // Letters are counted before the first is taken.
        charge_reading(state, items.as_str().unwrap_or_default(), 1)?;
        Ok(items)
    });
    environment.add_function("in ", is_in);
    environment.add_function("~", concat);
    environment.add_function("+", plus);
    environment.add_function("*", times);
    environment.add_function("[:]", slice);
    environment.add_function("[", item);
    // It writes all that a template has, without an end where something holds itself; the reference
    // does not have it either.
    environment.remove_global("debug");
    environment.add_function("{}", |state: &State, parts: Rest<Value>| {
        for key in parts.iter().step_by(2) {
            // To find its place goes through all that is in a key, which might be another by then.
            if !is_scalar(key) {
                return Err(invalid("a key is neither a text nor a number"));
            }
            check_key(key)?;
        }
        held(
            state,
            Value::from_pairs(parts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()))),
        )
    });
    environment
        .add_function("[]", |state: &State, parts: Rest<Value>| held(state, Value::from(parts.0)));
    environment.add_function("()", |state: &State, parts: Rest<Value>| {
        held(state, Value::from(Tuple::from(parts.0)))
    });
    environment.add_function("dict", |state: &State, value: Option<Value>, named: Kwargs| {
        held(state, functions::dict(value, named)?)
    });
    environment.add_function("namespace", |state: &State, values: Option<ValueOrKwargs>| {
        state.consume_fuel(NAMESPACE)?;
        hold(state, values.as_deref())?;
        if values.as_deref().and_then(Value::len).is_some_and(|names| names > MOST_NAMES) {
            return Err(invalid(&format!("a namespace has more than {MOST_NAMES} names")));
        }
        functions::namespace(values)
    });
    for name in FILTERS {
        environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            pay(state, args.iter())?;
            check_arguments(name, &args)?;
            filtered(state, &name[1..], &args)
        });
    }
    for name in FILTERS_OF_ITEMS {
        environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            pay_for_items(state, name, &args)?;
            filtered(state, &name[1..], &args)
        });
    }
    for name in TESTS {
        environment.add_test(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            pay(state, args.iter())?;
            state.perform_test(&name[1..], &args)
        });
    }
}

/// A value that holds others, once they are paid for.
fn held(state: &State, value: Value) -> Result<Value> {
    hold(state, [&value])?;
    Ok(value)
}

/// What a filter makes. What it would make anew each time that somebody asks, it makes now: that
/// may hold another such, and that a third.
fn filtered(state: &mut State, name: &str, args: &[Value]) -> Result<Value> {
    let value = state.apply_filter(name, args)?;
    let is_made = is_tuple(&value) || value.downcast_object_ref::<Vec<Value>>().is_some();
    if is_list(&value) && !is_made {
        return collect(state, &value).map(Value::from);
    }
    if value.kind() == ValueKind::Map && name == "chain" {
        let pairs =
            collect(state, &value)?.into_iter().map(|key| Ok((key.clone(), value.get_item(&key)?)));
        return Ok(Value::from_pairs(pairs.collect::<Result<Vec<_>>>()?));
    }
    Ok(value)
}

/// What is neither made of others nor long to look at.
fn is_scalar(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::Undefined
            | ValueKind::None
            | ValueKind::Bool
            | ValueKind::Number
            | ValueKind::String
    )
}

/// Refuses what takes more than what was paid for: sums of texts and lists are made anew with each
/// item.
fn check_arguments(name: &str, args: &[Value]) -> Result<()> {
    /// Places before or after the point.
    const MOST_PLACES: i64 = 100;
    let Some((value, others)) = args.split_first() else { return Ok(()) };
    match name {
        "|sum"
            if !others.is_empty()
                || !value.try_iter()?.all(|item| item.kind() == ValueKind::Number) =>
        {
            Err(invalid("sum adds up numbers, and nothing else, here"))
        }
        "|round"
            if others
                .iter()
                .any(|places| places.as_i64().is_some_and(|places| places.abs() > MOST_PLACES)) =>
        {
            Err(invalid("a number is rounded to 100 places at the most"))
        }
        _ => Ok(()),
    }
}

/// Where items are asked for an attribute, or whether something is so of them, that costs what is
/// asked for; otherwise what all items are.
fn pay_for_items(state: &State, name: &str, args: &[Value]) -> Result<()> {
    let Some((items, others)) = args.split_first() else { return Ok(()) };
    // Tests that read a text, and places in a list, which may have to be counted out.
    let is_long = |text: &str| {
        matches!(text, "lower" | "upper" | "in" | "startingwith" | "endingwith")
            || text.split('.').any(|part| part.parse::<u64>().is_ok())
    };
    let is_short = |other: &Value| {
        is_scalar(other)
            && !other.as_str().is_some_and(is_long)
            && !(name == "|map" || other.is_number())
    };
    let is_name = |named: &Value| {
        let attribute = named.get_attr("attribute").unwrap_or_default();
        named.is_kwargs()
            && (attribute.is_undefined() || attribute.as_str().is_some_and(|name| !is_long(name)))
    };
    let is_glance = others.iter().all(|other| is_short(other) || is_name(other));
    if is_glance {
        (0..items.len().unwrap_or(0)).try_for_each(|_| pay(state, others))
    } else {
        pay(state, args)
    }
}

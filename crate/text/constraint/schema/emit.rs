//! Goals as schemas that the library enforces as they are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::depth::depth;
use super::facts::{
    ARRAY, ArrayCase, BOOLEAN, Case, Goal, NULL, NUMBER, OBJECT, ObjectCase, STRING, StringCase,
};
use super::goals::{Goals, item};
use super::leaves::{numbers, string};
use super::places::Places;
use super::{Result, ends, pattern, refuse};

/// Schemas in all.
const MOST: usize = 3000;
/// Properties that may or may not be there, where their number is bounded.
const MOST_OPTIONAL: usize = 5;
const DEPTH: usize = 5;
/// Schemas within schemas: the library goes into each as it meets it, and has a stack to lose.
const DEEPEST: usize = 64;

/// Schemas by the goals that they stand for.
pub struct Emitter {
    goals: Goals,
    names: BTreeMap<Goal, String>,
    left: VecDeque<Goal>,
    /// Schemas without what lies in them by name, and where they come from.
    parts: Vec<(String, Map<String, Value>)>,
}

impl Emitter {
    pub fn new(schema: &Value) -> Result<Emitter> {
        let goals = Goals::new(Places::new(schema.clone())?);
        Ok(Emitter { goals, names: BTreeMap::new(), left: VecDeque::new(), parts: Vec::new() })
    }

    /// The parts of the whole schema, those within others before them.
    pub fn parts(mut self) -> Result<Vec<(String, Map<String, Value>)>> {
        self.schema()?;
        Ok(self.parts)
    }

    /// The whole schema.
    pub fn schema(&mut self) -> Result<Map<String, Value>> {
        let root = self.goals.root()?;
        let mut schema = self.goal(&root)?;
        let mut defs = Map::new();
        while let Some(goal) = self.left.pop_front() {
            let Some(name) = self.names.get(&goal).cloned() else { continue };
            let emitted = self.all(&goal)?;
            defs.insert(name, emitted);
        }
        if let Err(culprit) = ends::cut(&mut schema, &mut defs) {
            return self.none(&root, culprit.map(|name| (defs[&name] == false, name)));
        }
        let Value::Object(mut schema) = schema else { return Ok(Map::new()) };
        if depth(&schema, &defs) > DEEPEST {
            return refuse("", "schema", format!("lies within itself more than {DEEPEST} deep"));
        }
        schema.insert("$defs".to_owned(), defs.into());
        Ok(schema)
    }

    /// Refuses a schema by which nothing is valid, for one of its definitions: whether that is
    /// false, and its name.
    fn none<T>(&mut self, root: &Goal, culprit: Option<(bool, String)>) -> Result<T> {
        let named = |name: &String| self.names.iter().find(|(_, other)| *other == name);
        let goal = culprit.as_ref().and_then(|(_, name)| named(name)).map(|(goal, _)| goal.clone());
        let goal = goal.as_ref().unwrap_or(root);
        match culprit {
            Some((false, _)) => refuse(
                &self.goals.path_of(goal),
                "schema",
                "has a value that must contain itself, so that no answer would ever end",
            ),
            _ => refuse(&self.goals.blamed(goal)?, "schema", "has nothing that is valid by it"),
        }
    }

    /// The schema of a goal, or where it is.
    fn goal(&mut self, goal: &Goal) -> Result<Value> {
        if goal.is_empty() {
            return Ok(true.into());
        }
        if self.goals.is_none(goal, DEPTH)? {
            return Ok(false.into());
        }
        let is_leaf = self.goals.cases(goal)?.iter().all(|case| case.types & (ARRAY | OBJECT) == 0);
        if is_leaf {
            return self.all(goal);
        }
        let name = match self.names.get(goal) {
            Some(name) => name.clone(),
            None => {
                if self.names.len() == MOST {
                    return refuse("", "schema", format!("comes to more than {MOST} schemas"));
                }
                let name = format!("s{}", self.names.len());
                self.names.insert(goal.clone(), name.clone());
                self.left.push_back(goal.clone());
                name
            }
        };
        Ok(json!({ "$ref": format!("#/$defs/{name}") }))
    }

    /// All cases of a goal.
    fn all(&mut self, goal: &Goal) -> Result<Value> {
        let mut any: Vec<Value> = Vec::new();
        for case in self.goals.cases(goal)?.iter() {
            let all = self.case(case).map_err(|why| why.or_at(&self.goals.path_of(goal)))?;
            for schema in all {
                if !any.contains(&schema) {
                    any.push(schema);
                }
            }
        }
        for schema in &any {
            if let Value::Object(part) = without_references(schema) {
                self.parts.push((self.goals.path_of(goal), part));
            }
        }
        Ok(match any.len() {
            0 => false.into(),
            1 => any.swap_remove(0),
            _ => json!({ "anyOf": any }),
        })
    }

    fn case(&mut self, case: &Case) -> Result<Vec<Value>> {
        let types = self.goals.types(case, DEPTH)?;
        if let Some((_, refused)) = case.beyond.iter().find(|(of, _)| types & of != 0) {
            return Err(refused.clone());
        }
        let mut any = Vec::new();
        if types & NULL != 0 {
            any.push(json!({ "type": "null" }));
        }
        if types & BOOLEAN != 0 {
            any.push(match case.booleans {
                [true, true] => json!({ "type": "boolean" }),
                [_, yes] => json!({ "const": yes }),
            });
        }
        if types & NUMBER != 0 {
            any.extend(numbers(&case.number)?);
        }
        if types & STRING != 0 {
            any.push(string(&case.string)?);
        }
        if types & ARRAY != 0 {
            any.extend(self.array(case, &case.array)?);
        }
        if types & OBJECT != 0 {
            any.extend(self.objects(&case.object)?);
        }
        Ok(any)
    }

    fn array(&mut self, case: &Case, array: &ArrayCase) -> Result<Option<Value>> {
        let length = array.items.iter().map(|(first, ..)| first.len()).max().unwrap_or(0);
        let mut most = array.most;
        let mut first = Vec::new();
        for at in 0..length {
            if most.is_some_and(|most| at as u64 >= most) {
                break;
            }
            let schema = self.goal(&item(case, at))?;
            if schema == Value::Bool(false) {
                most = Some(at as u64);
                break;
            }
            first.push(schema);
        }
        let others = match most {
            Some(most) if most as usize <= first.len() => Value::Bool(false),
            _ => self.goal(&item(case, length))?,
        };
        if others == Value::Bool(false) {
            most = Some(most.unwrap_or(u64::MAX).min(first.len() as u64));
        }
        if most.is_some_and(|most| most < array.least) {
            return Ok(None);
        }
        let mut schema = json!({ "type": "array" });
        if !first.is_empty() {
            schema["prefixItems"] = first.into();
        }
        if others != Value::Bool(true) {
            schema["items"] = others;
        }
        if array.least > 0 {
            schema["minItems"] = array.least.into();
        }
        if let Some(most) = most {
            schema["maxItems"] = most.into();
        }
        Ok(Some(schema))
    }

    fn objects(&mut self, object: &ObjectCase) -> Result<Vec<Value>> {
        let mut names: Vec<&String> = Vec::new();
        let named = object.properties.iter().flat_map(|all| all.named.iter().map(|(name, _)| name));
        for name in named.chain(&object.required).chain(&object.absent) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        let (others, patterns) = self.open_names(object, &mut names)?;
        let mut properties = Map::new();
        for name in &names {
            let schema = match self.goals.property(object, name)? {
                Some(goal) => self.goal(&goal)?,
                None => false.into(),
            };
            properties.insert(name.clone(), schema);
        }
        let is_closed = others == Value::Bool(false) && patterns.is_empty();
        let may = |name: &&String| properties[*name] != Value::Bool(false);
        let optional: Vec<String> = names
            .iter()
            .filter(may)
            .filter(|name| !object.required.contains(name))
            .cloned()
            .collect();
        let required = object.required.len() as u64;
        if object.required.iter().any(|name| properties[name] == Value::Bool(false)) {
            return Ok(Vec::new());
        }
        let is_short = object.least > required;
        if is_short && !is_closed {
            // A name may come twice there, and counts once.
            return refuse(
                "",
                "minProperties",
                "is enforced of what is required, and with no other names than those in \
                    \"properties\"",
            );
        }
        let most =
            object.most.filter(|most| !is_closed || *most < required + optional.len() as u64);
        let base = |properties: Map<String, Value>, required: Vec<String>| {
            let mut schema = json!({ "type": "object", "properties": properties });
            if !patterns.is_empty() {
                schema["patternProperties"] = patterns.clone().into();
            }
            if others != Value::Bool(true) {
                schema["additionalProperties"] = others.clone();
            }
            schema["required"] = required.into();
            schema
        };
        if !is_short && most.is_none() {
            return Ok(vec![base(properties, object.required.clone())]);
        }
        if optional.len() > MOST_OPTIONAL {
            return refuse(
                "",
                if is_short { "minProperties" } else { "maxProperties" },
                format!("is enforced beside at most {MOST_OPTIONAL} optional properties"),
            );
        }
        let mut any = Vec::new();
        for some in (0..1u32 << optional.len()).rev() {
            let count = required + u64::from(some.count_ones());
            if count < object.least || most.is_some_and(|most| count > most) {
                continue;
            }
            let (mut properties, mut required) = (properties.clone(), object.required.clone());
            for (at, name) in optional.iter().enumerate() {
                if some >> at & 1 == 1 {
                    required.push(name.clone());
                } else {
                    properties[name] = false.into();
                }
            }
            let mut schema = base(properties, required);
            if let (false, Some(most)) = (is_closed, most) {
                schema["maxProperties"] = most.into();
            }
            any.push(schema);
        }
        Ok(any)
    }

    /// What properties may be that `names` does not have, of which some may come to it.
    fn open_names(
        &mut self,
        object: &ObjectCase,
        names: &mut Vec<String>,
    ) -> Result<(Value, Map<String, Value>)> {
        let others = self.goals.others(object);
        let all: BTreeSet<&String> = object
            .properties
            .iter()
            .flat_map(|all| all.patterns.iter().map(|(pattern, _)| pattern))
            .collect();
        let mut patterns = Map::new();
        for one in all {
            let goal = self.goals.patterned(object, one);
            if goal != others {
                patterns.insert(one.clone(), self.goal(&goal)?);
            }
        }
        let others = self.goal(&others)?;
        if object.names.is_empty() {
            return Ok((others, patterns));
        }
        let cases = self.goals.cases(&object.names)?;
        let mut those: Vec<&Case> = cases.iter().filter(|case| case.types & STRING != 0).collect();
        if let Some((_, refused)) =
            those.iter().flat_map(|case| &case.beyond).find(|(of, _)| of & STRING != 0)
        {
            return Err(refused.clone());
        }
        if those.iter().all(|case| case.string.one_of.is_some()) {
            for name in those.iter().flat_map(|case| case.string.one_of.iter().flatten()) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            return Ok((false.into(), Map::new()));
        }
        let is_free =
            |case: &&Case| string(&case.string).is_ok_and(|s| s == json!({"type": "string"}));
        if those.iter().any(is_free) {
            return Ok((others, patterns));
        }
        let (Some(one), true, true) = (those.pop(), those.is_empty(), patterns.is_empty()) else {
            return refuse("", "propertyNames", "is enforced by one pattern, or one list of names");
        };
        let StringCase { least, most, patterns: asked, .. } = &one.string;
        let most_written = most.map_or(String::new(), |most| most.to_string());
        let is_bounded = *least > 0 || most.is_some();
        let pattern = match (asked.len() + one.string.none_of.len(), is_bounded) {
            (0, true) => format!("^(?s:.){{{least},{most_written}}}$"),
            (1, false) if asked.len() == 1 => asked.iter().next().cloned().unwrap_or_default(),
            (_, false) if asked.is_empty() => pattern::none_of(&one.string.none_of),
            _ => {
                return refuse(
                    "",
                    "propertyNames",
                    "is enforced by one pattern, or by lengths alone",
                );
            }
        };
        Ok((false.into(), Map::from_iter([(pattern, others)])))
    }
}

/// A schema in which anything may be where another is named.
fn without_references(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) if fields.get("$ref").is_some_and(Value::is_string) => true.into(),
        Value::Object(fields) => {
            let inside = |(name, one): (&String, &Value)| (name.clone(), without_references(one));
            Value::Object(fields.iter().map(inside).collect())
        }
        Value::Array(all) => all.iter().map(without_references).collect(),
        other => other.clone(),
    }
}

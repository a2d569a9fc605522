//! Where the schemas of a document lie, and where its references lead.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::{Result, refuse};

/// Keywords whose value is a schema, a list of them, or an object of them.
const ONE: [&str; 11] = [
    "not",
    "if",
    "then",
    "else",
    "items",
    "additionalItems",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LIST: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
const NAMED: [&str; 6] =
    ["$defs", "definitions", "properties", "patternProperties", "dependentSchemas", "dependencies"];

/// Steps from the root to a schema: stacks end.
const DEEPEST: usize = 250;

/// A schema, by where it lies. References to dynamic anchors lead elsewhere by the way that one
/// has come, so places differ by that, too, where there are such references.
#[derive(Clone, Debug)]
pub struct Place {
    pub schema: Rc<Value>,
    /// A JSON pointer from the document's root.
    pub path: Rc<str>,
    /// The resources that one has come through, the outermost first.
    way: Vec<usize>,
}

/// A document's schemas.
pub struct Places {
    root: Value,
    is_dynamic: bool,
    /// Before draft 2019-09, nothing counts beside a reference.
    is_old: bool,
    /// The address of each resource and where it begins.
    resources: Vec<(String, String)>,
    /// Anchors by their resource and name, with where they are, and whether they are dynamic.
    anchors: HashMap<(usize, String), (String, bool)>,
    places: Vec<Place>,
    known: HashMap<(Rc<str>, Vec<usize>), usize>,
}

impl Places {
    pub fn new(root: Value) -> Result<Places> {
        let mut places = Places {
            is_old: root["$schema"]
                .as_str()
                .is_some_and(|draft| draft.starts_with("http://json-schema.org/draft-0")),
            is_dynamic: root.to_string().contains("\"$dynamicRef\""),
            resources: Vec::new(),
            anchors: HashMap::new(),
            places: Vec::new(),
            known: HashMap::new(),
            root: Value::Null,
        };
        places.look(&root, String::new(), None)?;
        places.root = root;
        Ok(places)
    }

    /// Notes resources and anchors from a schema on.
    fn look(&mut self, schema: &Value, path: String, within: Option<usize>) -> Result<()> {
        if path.split('/').count() > DEEPEST {
            return refuse("", "schema", format!("lies within itself more than {DEEPEST} deep"));
        }
        let Some(fields) = schema.as_object() else {
            if within.is_none() {
                self.resources.push((String::new(), path));
            }
            return Ok(());
        };
        let id = fields.get("$id").and_then(Value::as_str);
        let id = id.filter(|_| !(self.is_old && fields.contains_key("$ref")));
        let resource = match (id, within) {
            (None, Some(within)) => within,
            (id, within) => {
                let base = within.map_or("", |within| &self.resources[within].0);
                let address = joined(base, id.unwrap_or_default());
                let address = address.split('#').next().unwrap_or_default().to_owned();
                self.resources.push((address, path.clone()));
                self.resources.len() - 1
            }
        };
        for (keyword, is_dynamic) in [("$anchor", false), ("$dynamicAnchor", true)] {
            if let Some(name) = fields.get(keyword).and_then(Value::as_str) {
                self.anchors.insert((resource, name.to_owned()), (path.clone(), is_dynamic));
            }
        }
        let mut inside = Vec::new();
        for (keyword, value) in fields {
            let at = format!("{path}/{}", escaped(keyword));
            let keyword = keyword.as_str();
            match value {
                Value::Array(all) if LIST.contains(&keyword) => {
                    inside.extend(all.iter().enumerate().map(|(i, one)| (format!("{at}/{i}"), one)))
                }
                Value::Object(all) if NAMED.contains(&keyword) => inside
                    .extend(all.iter().map(|(name, one)| (format!("{at}/{}", escaped(name)), one))),
                one if ONE.contains(&keyword) => inside.push((at, one)),
                _ => {}
            }
        }
        inside.into_iter().try_for_each(|(at, one)| self.look(one, at, Some(resource)))
    }

    /// The fields of a schema that count.
    pub fn fields(&self, place: usize) -> Option<Map<String, Value>> {
        let mut fields = self.places[place].schema.as_object()?.clone();
        if self.is_old && fields.contains_key("$ref") {
            fields.retain(|keyword, _| keyword == "$ref");
        }
        Some(fields)
    }

    pub fn place(&self, place: usize) -> &Place {
        &self.places[place]
    }

    /// The whole document.
    pub fn root(&mut self) -> Result<usize> {
        self.enter(String::new(), &[])
    }

    /// What lies inside a schema, at `steps` from it.
    pub fn inside(&mut self, place: usize, steps: &[&str]) -> Result<usize> {
        let Place { path, way, .. } = self.places[place].clone();
        let path =
            steps.iter().fold(path.to_string(), |path, step| format!("{path}/{}", escaped(step)));
        self.enter(path, &way)
    }

    /// A schema that stands nowhere in the document.
    pub fn made(&mut self, schema: Value, at: &Place) -> usize {
        let path = Rc::from(format!("{}\u{0}{schema}", at.path));
        self.known_or(path, Vec::new(), || schema)
    }

    fn enter(&mut self, path: String, way: &[usize]) -> Result<usize> {
        let Some(schema) = self.root.pointer(&path).cloned() else {
            return refuse(&path, "$ref", "leads nowhere");
        };
        let mut way = way.to_vec();
        if self.is_dynamic {
            let resource = self.resource_of(&path);
            if !way.contains(&resource) {
                way.push(resource);
            }
        }
        Ok(self.known_or(path.into(), way, || schema))
    }

    fn known_or(
        &mut self,
        path: Rc<str>,
        way: Vec<usize>,
        schema: impl FnOnce() -> Value,
    ) -> usize {
        let places = &mut self.places;
        *self.known.entry((path.clone(), way.clone())).or_insert_with(|| {
            places.push(Place { schema: Rc::new(schema()), path, way });
            places.len() - 1
        })
    }

    /// The resource that a place belongs to.
    fn resource_of(&self, path: &str) -> usize {
        let holds = |begin: &str| {
            path.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let resources = self.resources.iter().enumerate();
        resources
            .filter(|(_, (_, begin))| holds(begin))
            .max_by_key(|(_, (_, begin))| begin.len())
            .map_or(0, |(at, _)| at)
    }

    /// Where a reference leads.
    pub fn follow(&mut self, place: usize, keyword: &str, reference: &str) -> Result<usize> {
        let Place { path, way, .. } = self.places[place].clone();
        let base = &self.resources[self.resource_of(&path)].0;
        let address = joined(base, reference);
        let (address, fragment) = address.split_once('#').unwrap_or((&address, ""));
        let fragment = decoded(fragment);
        let Some(resource) = self.resources.iter().position(|(known, _)| known == address) else {
            let why = format!("leads to {address:?}, which is not part of the schema");
            return refuse(&path, keyword, why);
        };
        if fragment.is_empty() || fragment.starts_with('/') {
            let to = format!("{}{fragment}", self.resources[resource].1);
            if self.root.pointer(&to).is_none() {
                return refuse(&path, keyword, format!("leads to {reference:?}, where nothing is"));
            }
            return self.enter(to, &way);
        }
        let Some((to, is_dynamic)) = self.anchors.get(&(resource, fragment.clone())).cloned()
        else {
            return refuse(&path, keyword, format!("leads to {reference:?}, where nothing is"));
        };
        // The outermost of that name, on the way that one has come.
        let outer = way
            .iter()
            .filter(|_| is_dynamic && keyword == "$dynamicRef")
            .find_map(|&outer| self.anchors.get(&(outer, fragment.clone())))
            .filter(|(_, is_dynamic)| *is_dynamic);
        let to = outer.map_or(to, |(outer, _)| outer.clone());
        self.enter(to, &way)
    }
}

fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// What `%41` stands for.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A reference's address, from where it stands: RFC 3986, 5.2, for the forms that schemas have.
fn joined(base: &str, reference: &str) -> String {
    let base = base.split('#').next().unwrap_or_default();
    let has_scheme = reference.split(['/', '?', '#']).next().is_some_and(|first| {
        first.contains(':') && first.starts_with(|c: char| c.is_ascii_alphabetic())
    });
    if has_scheme || base.is_empty() {
        return reference.to_owned();
    }
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let host = base
        .find("://")
        .map_or(0, |at| base[at + 3..].find('/').map_or(base.len(), |slash| at + 3 + slash));
    let (host, path) = base.split_at(host);
    if let Some(rest) = reference.strip_prefix("//") {
        let scheme = host.split("//").next().unwrap_or_default();
        return format!("{scheme}//{rest}");
    }
    let begin = if reference.starts_with('/') {
        ""
    } else {
        path.rfind('/').map_or("/", |slash| &path[..=slash])
    };
    let (steps, rest) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
    let mut straight: Vec<&str> = Vec::new();
    let whole = format!("{begin}{steps}");
    for step in whole.split('/') {
        match step {
            "." => {}
            ".." if straight.len() > 1 => _ = straight.pop(),
            ".." => {}
            step => straight.push(step),
        }
    }
    format!("{host}{}{rest}", straight.join("/"))
}

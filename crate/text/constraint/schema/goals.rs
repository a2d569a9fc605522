//! The ways for a value to be all that is claimed of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::claims::Reader;
use super::facts::{
    ARRAY, AnyOf, Case, Claim, Fact, Goal, MOST_CASES, NUMBER, OBJECT, ObjectCase, Types, Watchers,
    plain,
};
use super::leaves::numbers;
use super::pattern;
use super::places::Places;
use super::{Result, refuse};

/// Steps in all: a schema may have more ways than anybody could follow.
const MOST_STEPS: usize = 50_000;
/// How deep to look for what nothing is.
const DEPTH: usize = 5;
/// Looks within looks: schemas may lie within themselves.
const MOST_LOOKS: usize = 2;

pub struct Goals {
    pub places: Places,
    cases: HashMap<Goal, Rc<Vec<Case>>>,
    steps: usize,
    /// How many looks for what is idle are under way, one within another.
    looks: usize,
}

/// A way that is being looked at.
#[derive(Clone, Default)]
struct Way {
    case: Case,
    todo: VecDeque<(Claim, Watchers)>,
    open: VecDeque<(AnyOf, Watchers)>,
    done: BTreeSet<(Claim, Watchers)>,
}

impl Way {
    /// Takes facts. Whether anything can still be so.
    fn take(&mut self, facts: Vec<Fact>, watchers: &Watchers) -> bool {
        facts.into_iter().all(|fact| match fact {
            Fact::Claim(claim) => {
                self.todo.push_back((claim, watchers.clone()));
                true
            }
            fact => self.case.note(fact, watchers),
        })
    }
}

impl Goals {
    pub fn new(places: Places) -> Goals {
        Goals { places, cases: HashMap::new(), steps: 0, looks: 0 }
    }

    /// All ways to reach a goal, of which some may turn out to be none.
    pub fn cases(&mut self, goal: &Goal) -> Result<Rc<Vec<Case>>> {
        if let Some(known) = self.cases.get(goal) {
            return Ok(known.clone());
        }
        let mut found = Vec::new();
        let todo = goal.iter().map(|claim| (*claim, Watchers::new())).collect();
        let mut left = vec![Way { todo, ..Way::default() }];
        while let Some(way) = left.pop() {
            if let Some(case) = self.follow(way, &mut left)? {
                found.push(case);
            }
            if found.len() + left.len() > MOST_CASES {
                return refuse(
                    &self.path_of(goal),
                    "schema",
                    format!("can be met in more than {MOST_CASES} ways"),
                );
            }
        }
        let found = Rc::new(found);
        self.cases.insert(goal.clone(), found.clone());
        Ok(found)
    }

    /// Where what is claimed first stands.
    pub fn path_of(&self, goal: &Goal) -> String {
        goal.first()
            .map(|claim| self.places.place(claim.place).path.to_string())
            .unwrap_or_default()
    }

    /// Goes on with a way until it is a case; where it parts, the others are left for later.
    fn follow(&mut self, mut way: Way, left: &mut Vec<Way>) -> Result<Option<Case>> {
        loop {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return refuse("", "schema", "has more in it than can be looked at");
            }
            if let Some((claim, watchers)) = way.todo.pop_front() {
                let opposite = Claim { holds: !claim.holds, ..claim };
                if way.done.iter().any(|(done, _)| *done == opposite) {
                    return Ok(None);
                }
                if !way.done.insert((claim, watchers.clone())) {
                    continue;
                }
                if !self.take(&mut way, claim, watchers)? {
                    return Ok(None);
                }
                continue;
            }
            let Some((any, watchers)) = way.open.pop_front() else { return Ok(Some(way.case)) };
            let mut ways = Vec::new();
            for clause in any {
                let mut other = way.clone();
                let clause = self.without_idle(clause)?;
                if other.take(clause, &watchers) {
                    ways.push(other);
                }
            }
            ways.reverse();
            let Some(next) = ways.pop() else { return Ok(None) };
            left.extend(ways);
            way = next;
        }
    }

    fn take(&mut self, way: &mut Way, claim: Claim, mut watchers: Watchers) -> Result<bool> {
        let watches = |fields: Map<String, Value>| {
            ["unevaluatedItems", "unevaluatedProperties"].iter().any(|it| fields.contains_key(*it))
        };
        if self.places.fields(claim.place).is_some_and(watches) {
            watchers.insert(claim.place);
        }
        let reader = Reader::new(&mut self.places, claim.place);
        let all = if claim.holds {
            reader.holds(!watchers.is_empty())?
        } else {
            watchers.clear(); // What does not hold evaluates nothing.
            vec![reader.fails()?]
        };
        for mut any in all {
            if any.len() == 1 {
                if let Some(clause) = any.pop() {
                    let clause = self.without_idle(clause)?;
                    if !way.take(clause, &watchers) {
                        return Ok(false);
                    }
                }
            } else {
                way.open.push_back((any, watchers.clone()));
            }
        }
        Ok(true)
    }

    /// Facts without claims that something does not hold which cannot beside others.
    fn without_idle(&mut self, clause: Vec<Fact>) -> Result<Vec<Fact>> {
        if self.looks == MOST_LOOKS {
            return Ok(clause);
        }
        self.looks += 1;
        let needed = self.needed(clause);
        self.looks -= 1;
        needed
    }

    fn needed(&mut self, clause: Vec<Fact>) -> Result<Vec<Fact>> {
        let holding: Vec<Claim> = clause
            .iter()
            .filter_map(|fact| match fact {
                Fact::Claim(claim) if claim.holds => Some(*claim),
                _ => None,
            })
            .collect();
        let mut needed = Vec::new();
        for fact in clause {
            if let Fact::Claim(claim @ Claim { holds: false, .. }) = fact {
                let mut is_idle = false;
                for other in &holding {
                    let both = Goal::from([*other, Claim { holds: true, ..claim }]);
                    is_idle = is_idle || self.is_none(&both, DEPTH)?;
                }
                if is_idle {
                    continue;
                }
            }
            needed.push(fact);
        }
        Ok(needed)
    }

    /// Whether nothing reaches a goal, as far as is seen.
    pub fn is_none(&mut self, goal: &Goal, depth: usize) -> Result<bool> {
        if goal.is_empty() || depth == 0 {
            return Ok(false);
        }
        for case in self.cases(goal)?.iter() {
            if self.types(case, depth)? != 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The innermost place by which nothing reaches a goal, where nothing does.
    pub fn blamed(&mut self, goal: &Goal) -> Result<String> {
        for case in self.cases(goal)?.iter() {
            let mut inside = Vec::new();
            for name in &case.object.required {
                inside.extend(self.property(&case.object, name)?);
            }
            inside.extend((0..case.array.least.min(64) as usize).map(|at| item(case, at)));
            for goal in inside {
                if self.is_none(&goal, DEPTH)? {
                    return self.blamed(&goal);
                }
            }
        }
        Ok(self.path_of(goal))
    }

    /// The types that values of a case may have, as far as is seen.
    pub fn types(&mut self, case: &Case, depth: usize) -> Result<Types> {
        let mut types = case.types;
        let is_bounded = case.number.least.is_some() && case.number.most.is_some();
        if types & NUMBER != 0
            && is_bounded
            && numbers(&case.number).is_ok_and(|all| all.is_empty())
        {
            types &= !NUMBER;
        }
        if types & OBJECT != 0 {
            for name in &case.object.required {
                let is_none = match self.property(&case.object, name)? {
                    Some(goal) => self.is_none(&goal, depth - 1)?,
                    None => true,
                };
                if is_none {
                    types &= !OBJECT;
                    break;
                }
            }
        }
        if types & ARRAY != 0 {
            for at in 0..case.array.least.min(64) as usize {
                if self.is_none(&item(case, at), depth - 1)? {
                    types &= !ARRAY;
                    break;
                }
            }
        }
        Ok(types)
    }

    /// What is claimed of a property; nothing where it may not be there.
    pub fn property(&mut self, object: &ObjectCase, name: &str) -> Result<Option<Goal>> {
        if object.absent.contains(name) || !self.is_name(&object.names, name)? {
            return Ok(None);
        }
        let mut goal = Goal::new();
        let mut seen: Vec<(&Watchers, bool)> = Vec::new();
        for properties in &object.properties {
            let mut is_seen = false;
            for (_, claim) in properties.named.iter().filter(|(known, _)| known == name) {
                goal.insert(*claim);
                is_seen = true;
            }
            for (pattern, claim) in &properties.patterns {
                if matches(pattern, name)? {
                    goal.insert(*claim);
                    is_seen = true;
                }
            }
            if let (false, Some(others)) = (is_seen, properties.others) {
                goal.insert(others);
                is_seen = true;
            }
            seen.push((&properties.watchers, is_seen));
        }
        goal.extend(unseen(&object.unevaluated, &seen));
        Ok(Some(self.worth(goal)))
    }

    /// What is claimed of properties that no name or pattern has.
    pub fn others(&mut self, object: &ObjectCase) -> Goal {
        let mut goal: Goal = object.properties.iter().filter_map(|all| all.others).collect();
        let seen: Vec<_> =
            object.properties.iter().map(|all| (&all.watchers, all.others.is_some())).collect();
        goal.extend(unseen(&object.unevaluated, &seen));
        self.worth(goal)
    }

    /// What is claimed of properties that this pattern alone has.
    pub fn patterned(&mut self, object: &ObjectCase, pattern: &str) -> Goal {
        let mut goal = Goal::new();
        let mut seen = Vec::new();
        for all in &object.properties {
            let mut those = all.patterns.iter().filter(|(one, _)| one == pattern).peekable();
            let is_seen = those.peek().is_some() || all.others.is_some();
            if those.peek().is_some() {
                goal.extend(those.map(|(_, claim)| *claim));
            } else {
                goal.extend(all.others);
            }
            seen.push((&all.watchers, is_seen));
        }
        goal.extend(unseen(&object.unevaluated, &seen));
        self.worth(goal)
    }

    /// Claims but those that always hold.
    fn worth(&self, goal: Goal) -> Goal {
        let is_idle = |claim: &Claim| plain(&self.places.place(claim.place).schema);
        goal.into_iter().filter(|claim| is_idle(claim) != Some(claim.holds)).collect()
    }

    /// Whether a text is all that is claimed of names.
    fn is_name(&mut self, names: &Goal, name: &str) -> Result<bool> {
        if names.is_empty() {
            return Ok(true);
        }
        let schema = serde_json::json!({ "const": name });
        let at = self.places.place(names.first().map_or(0, |claim| claim.place)).clone();
        let place = self.places.made(schema, &at);
        let mut goal = names.clone();
        goal.insert(Claim { place, holds: true });
        for case in self.cases(&goal)?.iter() {
            if let Some((_, refused)) = case.beyond.first() {
                return Err(refused.clone());
            }
        }
        Ok(!self.is_none(&goal, DEPTH)?)
    }

    /// The whole schema's goal.
    pub fn root(&mut self) -> Result<Goal> {
        let place = self.places.root()?;
        Ok(self.worth(Goal::from([Claim { place, holds: true }])))
    }
}

fn matches(pattern: &str, name: &str) -> Result<bool> {
    match pattern::is_in(pattern, name) {
        Some(is_in) => Ok(is_in),
        None => refuse("", "patternProperties", format!("{pattern:?} takes too much to look for")),
    }
}

/// What is claimed of an item.
pub fn item(case: &Case, at: usize) -> Goal {
    let mut goal = Goal::new();
    let mut seen = Vec::new();
    for (first, others, watchers) in &case.array.items {
        let claim = first.get(at).copied().or(*others);
        goal.extend(claim);
        seen.push((watchers, claim.is_some()));
    }
    goal.extend(unseen(&case.array.unevaluated, &seen));
    goal
}

/// What is claimed of what nobody evaluated in a watcher's sight.
fn unseen(
    unevaluated: &BTreeMap<usize, (Claim, Watchers)>,
    seen: &[(&Watchers, bool)],
) -> Vec<Claim> {
    let sees = |place: &usize| {
        seen.iter().any(|(watchers, is_seen)| *is_seen && watchers.contains(place))
            || unevaluated
                .iter()
                .any(|(other, (_, watchers))| other != place && watchers.contains(place))
    };
    unevaluated.iter().filter(|(place, _)| !sees(place)).map(|(_, (claim, _))| *claim).collect()
}

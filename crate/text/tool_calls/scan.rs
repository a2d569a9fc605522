//! One call, character by character: where its arguments begin and end in the JSON that it is.

/// What a character has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    More,
    /// The call's arguments begin with it: an object.
    ArgumentsBegin,
    /// The arguments end with it.
    ArgumentsEnd,
    /// The call ends with it.
    End,
    /// It cannot stand in JSON here.
    Broken,
}

/// Goes through a JSON object, which begins with the first character.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    /// The closing brackets that are still to come.
    open: Vec<char>,
    is_in_string: bool,
    is_escaped: bool,
    /// The last string on the level of the call's fields.
    last: String,
    /// The field whose value comes next.
    field: Option<String>,
    /// Brackets around the call's fields: 2 where it lies in another's field `function`.
    level: usize,
    is_in_arguments: bool,
}

impl Scan {
    /// Takes the next character.
    pub fn push(&mut self, c: char) -> Step {
        if self.is_in_string {
            return self.in_string(c);
        }
        match c {
            '"' => {
                self.is_in_string = true;
                if self.open.len() == self.level {
                    self.last.clear();
                }
            }
            '{' | '[' => return self.opens(c),
            '}' | ']' => return self.closes(c),
            ':' if self.open.len() == self.level => {
                self.field = Some(std::mem::take(&mut self.last));
                return Step::More;
            }
            c if c.is_ascii_whitespace() => return Step::More,
            ',' | ':' | '0'..='9' | '+' | '-' | '.' | 'E' => {}
            'a' | 'e' | 'f' | 'l' | 'n' | 'r' | 's' | 't' | 'u' => {}
            _ => return Step::Broken,
        }
        if self.open.is_empty() {
            return Step::Broken;
        }
        self.field = None;
        Step::More
    }

    fn in_string(&mut self, c: char) -> Step {
        if self.is_escaped {
            self.is_escaped = false;
        } else if c == '\\' {
            self.is_escaped = true;
        } else if c == '"' {
            self.is_in_string = false;
            return Step::More;
        }
        if self.open.len() == self.level {
            self.last.push(c);
        }
        Step::More
    }

    fn opens(&mut self, c: char) -> Step {
        if self.open.is_empty() && c != '{' {
            return Step::Broken;
        }
        let field = self.field.take().filter(|_| self.open.len() == self.level && c == '{');
        self.open.push(if c == '{' { '}' } else { ']' });
        match field.as_deref() {
            Some("function") if self.level == 1 => self.level = 2,
            Some("arguments" | "parameters") => {
                self.is_in_arguments = true;
                return Step::ArgumentsBegin;
            }
            _ if self.open.len() == 1 => self.level = 1,
            _ => {}
        }
        Step::More
    }

    fn closes(&mut self, c: char) -> Step {
        if self.open.pop() != Some(c) {
            return Step::Broken;
        }
        self.field = None;
        if self.open.is_empty() {
            return Step::End;
        }
        if self.open.len() < self.level {
            // The rest is about the call, which is over.
            self.level = usize::MAX;
        }
        if self.open.len() == self.level && std::mem::take(&mut self.is_in_arguments) {
            return Step::ArgumentsEnd;
        }
        Step::More
    }
}

//! What Hugging Face's environment reads in a template and minijinja does not, in minijinja's
//! words.

/// A template's text as minijinja takes it: every line end is LF, as Jinja makes them; the marks of
/// training masks, `{% generation %}` and `{% endgeneration %}`, print nothing and keep what is
/// between them; `'…' % values` is a call of the function [`PERCENT`].
pub(super) fn for_minijinja(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(at) = rest.find('{') {
        let (text, from_brace) = rest.split_at(at);
        out.push_str(text);
        let length = construct(from_brace);
        let (construct, after) = from_brace.split_at(length);
        match statement(construct) {
            Some("generation") => out.push_str(&construct.replacen("generation", "with", 1)),
            Some("endgeneration") => {
                out.push_str(&construct.replacen("endgeneration", "endwith", 1))
            }
            Some("raw") => {
                let end = end_of_raw(after);
                out.push_str(construct);
                out.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            _ if is_code(construct) => out.push_str(&percent_as_call(construct)),
            _ => out.push_str(construct),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The statements and expressions of a template's text.
pub(super) fn constructs(source: &str) -> impl Iterator<Item = &str> {
    let mut rest = source;
    std::iter::from_fn(move || {
        loop {
            let from_brace = &rest[rest.find('{')?..];
            let (construct, after) = from_brace.split_at(construct(from_brace));
            rest = after;
            if statement(construct) == Some("raw") {
                rest = &after[end_of_raw(after)..];
            } else if is_code(construct) {
                return Some(construct);
            }
        }
    })
}

/// The function that formats as Python's `%` does: the text, then what is to the right of the
/// operator.
pub(super) const PERCENT: &str = "__percent";

fn is_code(construct: &str) -> bool {
    construct.starts_with("{{") || construct.starts_with("{%")
}

/// Bytes of the comment, statement or expression that a text begins with; of the brace alone where
/// it begins none.
fn construct(text: &str) -> usize {
    if text.starts_with("{#") {
        text.find("#}").map_or(text.len(), |end| end + 2)
    } else if is_code(text) {
        end_of_code(text)
    } else {
        1
    }
}

/// The end of a statement or an expression: its closing delimiter outside of texts and brackets.
fn end_of_code(text: &str) -> usize {
    let closing = if text.starts_with("{{") { "}}" } else { "%}" };
    let mut depth = 0_usize;
    let mut at = 2;
    while at < text.len() {
        let rest = &text[at..];
        if depth == 0 && rest.starts_with(closing) {
            return at + 2;
        }
        match rest.as_bytes()[0] {
            quote @ (b'"' | b'\'') => at += literal(rest, quote),
            b'(' | b'[' | b'{' => (depth, at) = (depth + 1, at + 1),
            b')' | b']' | b'}' => (depth, at) = (depth.saturating_sub(1), at + 1),
            _ => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    text.len()
}

/// Bytes of the text literal that `text` begins with, quotes included.
pub(super) fn literal(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// A statement that is one word alone.
fn statement(construct: &str) -> Option<&str> {
    let inner = construct.strip_prefix("{%")?.strip_suffix("%}")?;
    Some(inner.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim())
}

/// Where the statement that ends a raw block begins.
fn end_of_raw(text: &str) -> usize {
    let mut from = 0;
    // Where the next closing delimiter is: looked for once, however many open before it.
    let mut close = 0;
    while let Some(at) = text[from..].find("{%").map(|at| from + at) {
        if close <= at {
            let Some(next) = text[at..].find("%}") else { break };
            close = at + next;
        }
        if close >= at + 2 && is_endraw(&text[at + 2..close]) {
            return at;
        }
        from = at + 2;
    }
    text.len()
}

/// Whether this ends a raw block. Nothing of a longer statement is read twice.
fn is_endraw(inner: &str) -> bool {
    let word = inner.trim_start_matches(['-', '+']).trim_start();
    word.strip_prefix("endraw")
        .is_some_and(|after| after.trim_start().trim_start_matches(['-', '+']).is_empty())
}

/// `'…' % x` as a call. Only what is spelt in the template is known to be a text; of numbers `%`
/// stays the remainder.
fn percent_as_call(construct: &str) -> String {
    let mut out = String::with_capacity(construct.len());
    let mut at = 0;
    while at < construct.len() {
        let rest = &construct[at..];
        let quote = rest.as_bytes()[0];
        if quote != b'"' && quote != b'\'' {
            let length = rest.find(['"', '\'']).unwrap_or(rest.len());
            out.push_str(&rest[..length]);
            at += length;
            continue;
        }
        let length = literal(rest, quote);
        let (text, after) = rest.split_at(length);
        let blank = after.len() - after.trim_start().len();
        match after[blank..].strip_prefix('%').filter(|after| !after.starts_with('}')) {
            Some(right) => {
                let blank_right = right.len() - right.trim_start().len();
                let operand = operand(&right[blank_right..]);
                let values = percent_as_call(&right[blank_right..blank_right + operand]);
                out.push_str(&format!("{PERCENT}({text}, {values})"));
                at += length + blank + 1 + blank_right + operand;
            }
            None => {
                out.push_str(text);
                at += length;
            }
        }
    }
    out
}

/// Bytes of the operand that `text` begins with: a name, a number, a text or brackets, with what is
/// asked of it.
fn operand(text: &str) -> usize {
    let mut at = text.len() - text.trim_start_matches(['-', '+']).len();
    while at < text.len() {
        let rest = &text[at..];
        let first = rest.as_bytes()[0];
        at += match first {
            b'"' | b'\'' => literal(rest, first),
            b'(' | b'[' | b'{' => brackets(rest),
            _ => match rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')) {
                Some(0) => return at,
                Some(length) => length,
                None => rest.len(),
            },
        };
    }
    at
}

/// Bytes of the brackets that `text` begins with, what is between them included.
fn brackets(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        match rest.as_bytes()[0] {
            quote @ (b'"' | b'\'') => at += literal(rest, quote) - 1,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => at += rest.chars().next().map_or(1, char::len_utf8) - 1,
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    at
}

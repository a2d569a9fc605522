//! GSM8K: word problems, each after five examples with their solutions. Its files have an object in
//! JSON on each line.

use rand_mt::Mt;
use regex::Regex;
use serde::Deserialize;

use super::{Problem, json_lines};
use crate::error::{Code, Error, Result, fail};

/// Examples that a problem comes after.
pub const SHOTS: usize = 5;
/// Tokens of an answer at the most: the harness's own number where a task has none.
pub const MAX_TOKENS: usize = 256;
/// What ends an answer.
pub const STOPS: [&str; 3] = ["Question:", "</s>", "<|im_end|>"];

/// What the harness draws examples with.
const SEED: u32 = 1234;
/// What it takes for an answer where it finds none.
const INVALID: &str = "[invalid]";

#[derive(Deserialize)]
struct Record {
    question: String,
    answer: String,
}

impl Record {
    fn asked(&self) -> String {
        format!("Question: {}\nAnswer:", self.question)
    }
}

/// A file's problems, each after other examples, which are drawn from another file as the harness
/// draws them. Both files come with their names.
///
/// # Errors
/// `malformed`, with the file and the line; `bad-option` for more examples than there are.
pub fn problems(
    examples: (&str, &str),
    problems: (&str, &str),
    shots: usize,
) -> Result<Vec<Problem>> {
    let pool = if shots > 0 { json_lines::<Record>(examples.0, examples.1)? } else { Vec::new() };
    if pool.len() < shots {
        fail!(
            Code::BadOption,
            "{} has {} examples, and {shots} are to come before each problem",
            examples.0,
            pool.len()
        );
    }
    let mut random = Python::new(SEED);
    let problem = |(_, record): (u64, Record)| {
        let drawn = random.sample(pool.len(), shots);
        let shown = drawn.into_iter().map(|at| {
            let (_, example) = &pool[at];
            format!("{} {}\n\n", example.asked(), example.answer)
        });
        Problem { prompt: shown.collect::<String>() + &record.asked(), gold: record.answer }
    };
    Ok(json_lines(problems.0, problems.1)?.into_iter().map(problem).collect())
}

/// How the harness finds an answer's number, and compares it.
pub struct Grader {
    strict: Regex,
    flexible: Regex,
    ignored: [Regex; 4],
}

/// Whether an answer is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grade {
    /// By the number after `####`, as the examples have it.
    pub strict: bool,
    /// By the last number that is there.
    pub flexible: bool,
}

impl Grader {
    /// Patterns of the task's YAML.
    ///
    /// # Errors
    /// None: the patterns are right.
    pub fn new() -> Result<Grader> {
        let regex = |pattern: &str| {
            Regex::new(pattern).map_err(|error| Error::new(Code::Internal, error.to_string()))
        };
        Ok(Grader {
            strict: regex(r"#### (-?[0-9.,]+)")?,
            flexible: regex(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")?,
            ignored: [regex(",")?, regex(r"\$")?, regex(r"(?s).*#### ")?, regex(r"\.$")?],
        })
    }

    /// Holds an answer against the right one.
    pub fn grade(&self, answer: &str, gold: &str) -> Grade {
        let strict = self.strict.captures(answer).and_then(|found| found.get(1));
        let flexible = self.flexible.find_iter(answer).last();
        let gold = self.plain(gold);
        let is_right = |found: Option<regex::Match<'_>>| {
            self.plain(found.map_or(INVALID, |found| found.as_str().trim())) == gold
        };
        Grade { strict: is_right(strict), flexible: is_right(flexible) }
    }

    fn plain(&self, text: &str) -> String {
        let left = self
            .ignored
            .iter()
            .fold(text.to_owned(), |text, ignored| ignored.replace_all(&text, "").into_owned());
        left.to_lowercase()
    }
}

/// Python's `random.Random`.
struct Python(Mt);

impl Python {
    fn new(seed: u32) -> Python {
        Python(Mt::new_with_key([seed]))
    }

    /// `random.sample(range(n), k)`.
    fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        // Up to so many it draws from a list, of which what was drawn is taken out.
        let mut few = 21;
        if k > 5 {
            few += 4usize.pow((3.0 * k as f64).log(4.0).ceil() as u32);
        }
        let mut drawn = Vec::with_capacity(k);
        if n <= few {
            let mut pool: Vec<usize> = (0..n).collect();
            for left in (n - k + 1..=n).rev() {
                let at = self.below(left);
                drawn.push(pool[at]);
                pool[at] = pool[left - 1];
            }
        } else {
            while drawn.len() < k {
                let at = self.below(n);
                if !drawn.contains(&at) {
                    drawn.push(at);
                }
            }
        }
        drawn
    }

    /// One of the numbers below `n`, which has at most 32 bits.
    fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let drawn = (self.0.next_u32() >> (32 - bits)) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// `r = random.Random(1234); r.sample(range(7473), 5); r.sample(range(7473), 5);
    /// r.sample(range(20), 5); r.sample(range(100), 8)` in Python 3.11.
    #[test]
    fn examples_are_drawn_as_python_draws() {
        let mut random = Python::new(SEED);
        let expected: [&[usize]; 4] = [
            &[6374, 3610, 957, 61, 742],
            &[7462, 6610, 4769, 286, 5501],
            &[2, 3, 11, 7, 0],
            &[3, 2, 44, 82, 79, 61, 78, 59],
        ];
        for (n, expected) in [7473, 7473, 20, 100].into_iter().zip(expected) {
            assert_eq!(random.sample(n, expected.len()), expected);
        }
    }

    /// What `fewshot_context` of the harness's task makes of the same files.
    #[test]
    fn examples_come_in_the_harness_order() {
        let lines = |count: usize| {
            let line = |at| format!("{{\"question\": \"{at}?\", \"answer\": \"#### {at}\"}}\n");
            (0..count).map(line).collect::<String>()
        };
        let expected =
            [[28, 7, 0, 5, 37], [2, 5, 6, 22, 15], [1, 22, 39, 30, 29]].map(|drawn| drawn.to_vec());
        let found = problems(("train", &lines(40)), ("test", &lines(3)), 5).unwrap();
        for (at, (problem, drawn)) in found.iter().zip(expected).enumerate() {
            let shown = drawn.iter().map(|at| format!("Question: {at}?\nAnswer: #### {at}\n\n"));
            let prompt = shown.collect::<String>() + &format!("Question: {at}?\nAnswer:");
            assert_eq!((&problem.prompt, &problem.gold), (&prompt, &format!("#### {at}")));
        }
        let error = problems(("train", &lines(4)), ("test", &lines(1)), 5).unwrap_err();
        assert_eq!(error.code, Code::BadOption, "{error}");
    }

    #[test]
    fn numbers_are_found_as_the_harness_finds_them() {
        let grader = Grader::new().unwrap();
        let rows = [
            // answer, right by the sign, right by the last number
            (" 6 * 7 = 42\n#### 42", true, true),
            ("#### 1,042.", false, false),
            ("#### 42. Then 7", true, false),
            ("It is $42.", false, true),
            ("so 42 and no more.", false, true),
            ("It is 40 or 42", false, true),
            ("#### -42", false, false),
            ("none", false, false),
        ];
        for (answer, strict, flexible) in rows {
            let found = grader.grade(answer, "6 * 7 = <<6*7=42>>42\n#### 42");
            assert_eq!(found, Grade { strict, flexible }, "{answer}");
        }
        assert!(grader.grade("#### 1,042", "… #### 1042").strict);
    }
}

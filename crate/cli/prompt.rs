//! `phi prompt` and `phi tokenize`: what the model is shown. They need its tokenizer's files and no
//! weights.

use std::fs::File;
use std::io::{self, Read, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use phi_wasm::json::{MOST_VALUES, has_too_many_values, without_mark};
use phi_wasm::openai;
use phi_wasm::text::Ending;
use phi_wasm::text_assets::TextAssets;
use phi_wasm::weights::DirSource;
use phi_wasm::{Code, Error, Result};
use serde_json::Value;

use super::options::{is_stdin, named, read_stdin};
use super::output;

/// Print a conversation as the model reads it: the text that its chat template makes of it, up to
/// where the answer begins.
#[derive(Debug, Args)]
pub struct Prompt {
    /// A GGUF file, or a directory with tokenizer.json and, where there are, tokenizer_config.json
    /// and chat_template.jinja.
    #[arg(short, long, value_name = "PATH")]
    model: PathBuf,
    /// A JSON list that describes tools, as the template wants it: mostly OpenAI's {"type":
    /// "function", "function": …} each.
    #[arg(long, value_name = "TOOLS.json")]
    tools: Option<PathBuf>,
    /// Print the ids of its tokens instead, separated by commas.
    #[arg(long)]
    ids: bool,
    /// The conversation, or - for standard input: a JSON list of messages, {"role": "user",
    /// "content": "…"} each.
    #[arg(value_name = "MESSAGES.json")]
    messages: PathBuf,
}

/// Print a text's tokens: a line for each, with its id and what it stands for.
#[derive(Debug, Args)]
pub struct Tokenize {
    /// A GGUF file, or a directory with tokenizer.json.
    #[arg(short, long, value_name = "PATH")]
    model: PathBuf,
    /// Print their ids alone, separated by commas.
    #[arg(long, conflicts_with = "count")]
    ids: bool,
    /// Print only how many there are.
    #[arg(long)]
    count: bool,
    /// The text, or - for standard input. Control tokens that are spelt in it count as such.
    text: String,
}

impl Prompt {
    /// Renders the conversation and prints it.
    pub async fn run(self) -> Result<()> {
        if is_stdin(&self.messages) && self.tools.as_deref().is_some_and(is_stdin) {
            let both = "MESSAGES.json and --tools are both -, and standard input is read once; \
                name a file for one of them";
            return Err(Error::new(Code::BadOption, both));
        }
        let messages = read_json(&self.messages, "messages, a {\"role\", \"content\"} each")?;
        // By the rules that requests are read by: the same conversation is the same prompt.
        let messages =
            openai::messages(messages).map_err(|error| error.at(named(&self.messages)))?;
        let tools = self.tools.as_deref().map_or_else(|| Ok(Vec::new()), tools)?;
        let assets = TextAssets::open(DirSource::open(&self.model)?).await?;
        let prompt = assets.template?.render(&messages, &tools, Ending::Answer)?;
        if self.ids {
            return output::line(joined(&assets.tokenizer.encode_prompt(&prompt)?));
        }
        // As it is: a line feed more would be another prompt.
        output::piece(prompt.text())
    }
}

impl Tokenize {
    /// Encodes the text and prints its tokens.
    pub async fn run(self) -> Result<()> {
        let text = if self.text == "-" { read_stdin()? } else { self.text };
        let tokenizer = TextAssets::open(DirSource::open(&self.model)?).await?.tokenizer;
        let ids = tokenizer.encode(&text, false)?;
        if self.count {
            return output::line(ids.len());
        }
        if self.ids {
            return output::line(joined(&ids));
        }
        let piece = |id: u32| {
            String::from_utf8_lossy(tokenizer.token_bytes(id).unwrap_or_default()).into_owned()
        };
        ids.into_iter().try_for_each(|id| output::line(format_args!("{id:>8}  {:?}", piece(id))))
    }
}

/// As `phi logits --ids` takes them.
fn joined(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// More than any context has room for.
const LARGEST: u64 = 16 << 20;

/// A JSON file of the user's, or standard input, which should be a list of these.
fn read_json(path: &Path, these: &str) -> Result<Value> {
    let name = named(path);
    let refused = |why: String| Err(Error::new(Code::BadOption, format!("{name} {why}")));
    let bytes = read_start(path).map_err(|error| Error::reading(Path::new(&name), &error))?;
    if bytes.len() as u64 > LARGEST {
        return refused(format!(
            "has more than {LARGEST} bytes, the most that are read; give fewer"
        ));
    }
    if has_too_many_values(&bytes) {
        return refused(format!(
            "has more than {MOST_VALUES} values of JSON, the most that are read; give fewer"
        ));
    }
    serde_json::from_slice(without_mark(&bytes)).or_else(|error| {
        let why = if error.is_eof() {
            "it ends too early".to_owned()
        } else {
            format!("line {}, column {}", error.line(), error.column())
        };
        refused(format!("is not JSON: {why}; give a list of {these}"))
    })
}

/// As much as is read, and a byte that tells whether there is more.
fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if is_stdin(path) {
        stdin().take(LARGEST + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn tools(path: &Path) -> Result<Vec<Value>> {
    match read_json(path, "descriptions of tools")? {
        Value::Array(tools) => Ok(tools),
        _ => Err(Error::new(
            Code::BadOption,
            format!("{} holds no list; give a list of descriptions of tools", path.display()),
        )),
    }
}

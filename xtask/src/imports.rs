//! Plain names for what a module imports. wasm-bindgen ends each with a hash, which is a third of
//! its script by gzip, since no compressor can make anything of it, and hides from compressors that
//! the scripts of two modules are nearly the same.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use wasmparser::{Imports, Parser, Payload};

/// Letters of a hash.
const HASH: usize = 16;
/// How a line of a script begins that begins an import, one that ends it, and one that begins a
/// closure.
const IMPORT: &str = "        ";
const IMPORT_END: &str = "        }";
const CLOSURE: &str = "function wasm_bindgen_";

/// Renames what a module imports, in it and in its script.
pub fn rename(wasm: &Path, script: &Path) -> Result<()> {
    let (module, mut text) = (fs::read(wasm)?, fs::read_to_string(script)?);
    let names = plain(&names(&module)?, |name| body(&text, name));
    fs::write(wasm, with_imports(&module, &names)?)
        .context("the renamed module cannot be written")?;
    for (old, new) in &names {
        ensure!(text.matches(old).count() == 1, "{old} is not once in {}", script.display());
        text = text.replace(old, new);
    }
    fs::write(script, ordered(&text)).context("the renamed script cannot be written")
}

/// The names of all imports.
fn names(module: &[u8]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for_each_import(module, |_, name, _| {
        names.insert(name.to_owned());
    })?;
    Ok(names)
}

fn without_hash(name: &str) -> Option<&str> {
    let (plain, hash) = name.rsplit_once('_')?;
    (hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(plain)
}

/// Old names that end with a hash, and new ones: without it, and with a number where that leaves
/// several the same. They are counted in the order of what they do: hashes differ from module to
/// module.
fn plain(names: &BTreeSet<String>, body: impl Fn(&str) -> String) -> HashMap<String, String> {
    let mut taken: HashMap<&str, usize> = HashMap::new();
    let mut plain = HashMap::new();
    let mut hashed: Vec<_> =
        names.iter().filter_map(|name| Some((name, without_hash(name)?))).collect();
    hashed.sort_by_cached_key(|(name, base)| (*base, body(name), *name));
    for (name, base) in hashed {
        let before = taken.entry(base).or_default();
        plain.insert(
            name.clone(),
            if *before == 0 { base.to_owned() } else { format!("{base}${before}") },
        );
        *before += 1;
    }
    plain
}

/// What a script does for an import, without its comments.
fn body(script: &str, name: &str) -> String {
    let start = script
        .find(&format!("{IMPORT}{name}: function"))
        .map_or(script.len(), |at| at + IMPORT.len() + name.len());
    let lines = script[start..].lines().take_while(|line| !line.starts_with(IMPORT_END));
    lines.filter(|line| !line.trim_start().starts_with("//")).collect()
}

/// The script with imports, and closures, in the order of their names: scripts of modules with the
/// same are then one text.
fn ordered(script: &str) -> String {
    let (mut all, mut run) = (String::new(), Vec::new());
    let mut lines = script.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let is_import = line.starts_with(IMPORT)
            && line[IMPORT.len()..].starts_with(is_of_name)
            && line.contains(": function");
        if !is_import && !line.starts_with(CLOSURE) {
            run.sort_unstable();
            all.extend(run.drain(..));
            all.push_str(line);
            continue;
        }
        let end = if is_import { IMPORT_END } else { "}" };
        let mut block = line.to_owned();
        for line in lines.by_ref() {
            block.push_str(line);
            if line.starts_with(end) {
                break;
            }
        }
        block.extend(lines.next_if_eq(&"\n"));
        run.push(block);
    }
    run.sort_unstable();
    all.extend(run);
    all
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The module with other names; everything else stays as it is.
fn with_imports(module: &[u8], renamed: &HashMap<String, String>) -> Result<Vec<u8>> {
    let (mut count, mut imports) = (0, Vec::new());
    let section = for_each_import(module, |from, name, what| {
        count += 1;
        string(&mut imports, from);
        string(&mut imports, renamed.get(name).map_or(name, String::as_str));
        imports.extend(what);
    })?;
    let mut content = Vec::new();
    number(&mut content, count);
    content.extend(imports);
    // A section is its kind, its length and its content.
    let mut length = Vec::new();
    number(&mut length, section.len());
    ensure!(
        module[..section.start].ends_with(&length),
        "the length of the module's imports is not written as expected"
    );
    let mut all = module[..section.start - length.len()].to_vec();
    number(&mut all, content.len());
    all.extend(content);
    all.extend(&module[section.end..]);
    Ok(all)
}

/// Tells of each import: its module, its name, and what it is, as bytes. Where their section lies.
fn for_each_import(module: &[u8], mut tell: impl FnMut(&str, &str, &[u8])) -> Result<Range<usize>> {
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(reader) = payload? else { continue };
        let section = reader.range();
        let mut found = Vec::new();
        for group in reader.into_iter_with_offsets() {
            let (at, Imports::Single(_, import)) = group? else {
                bail!("the module has imports in groups, which nothing here makes")
            };
            found.push((at, import.module, import.name));
        }
        // Each ends where the next begins.
        let ends = found.iter().map(|(start, _, _)| *start).skip(1).chain([section.end]);
        for (&(at, from, name), end) in found.iter().zip(ends) {
            tell(from, name, &module[at + size(from) + size(name)..end]);
        }
        return Ok(section);
    }
    bail!("the module imports nothing")
}

/// Bytes of a text with its length before it.
fn size(text: &str) -> usize {
    let mut bytes = Vec::new();
    string(&mut bytes, text);
    bytes.len()
}

fn string(into: &mut Vec<u8>, text: &str) {
    number(into, text.len());
    into.extend(text.as_bytes());
}

/// LEB128.
fn number(into: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_hashes_and_stay_different() {
        let names: Vec<_> =
            ["set_0123456789abcdef", "set_fedcba9876543210", "get_0123456789abcdef", "plain"]
                .map(str::to_owned)
                .into();
        let renamed = plain(&names.iter().cloned().collect(), |_| String::new());
        assert_eq!(renamed.len(), 3);
        let new = |old: &str| renamed[old].as_str();
        assert_eq!([new(&names[0]), new(&names[1]), new(&names[2])], ["set", "set$1", "get"]);
    }

    #[test]
    fn scripts_that_do_the_same_are_the_same() {
        let import = |name: &str, does: &str| {
            format!(
                "        {name}: function(arg0) {{\n            // For {name}.\n            \
                    {does};\n        }},\n"
            )
        };
        let closure = |name: &str| {
            format!("function wasm_bindgen_{name}(arg0) {{\n    if (arg0) {{\n    }}\n}}\n\n")
        };
        let script = |imports: [String; 3], closures: [&str; 2]| {
            format!(
                "const imports = {{\n{}    }};\n}}\n\n{}const last = 0;\n",
                imports.concat(),
                closures.map(closure).concat()
            )
        };
        let [first, second] =
            [["0000000000000001", "0000000000000002"], ["0000000000000002", "0000000000000001"]]
                .map(|[one, two]| {
                    let [set, add, plain_name] =
                        [format!("cast_{one}"), format!("cast_{two}"), "plain".to_owned()];
                    let mut imports = [
                        import(&set, "set()"),
                        import(&add, "add()"),
                        import(&plain_name, "leave()"),
                    ];
                    if one > two {
                        imports.swap(0, 1);
                    }
                    let text = script(imports, if one > two { ["a", "b"] } else { ["b", "a"] });
                    let names = plain(&[set, add, plain_name].into(), |name| body(&text, name));
                    let renamed = names.iter().fold(text, |text, (old, new)| {
                        text.replace(&format!("{old}:"), &format!("{new}:"))
                    });
                    ordered(&renamed)
                        .lines()
                        .filter(|line| !line.contains("//"))
                        .collect::<Vec<_>>()
                        .join("\n")
                });
        assert_eq!(first, second);
        assert!(first.find("cast: function").unwrap() < first.find("add()").unwrap(), "{first}");
        assert!(first.find("bindgen_a(").unwrap() < first.find("bindgen_b(").unwrap(), "{first}");
    }

    #[test]
    fn a_module_keeps_all_but_its_names() -> Result<()> {
        // (module (import "m" "f_0123456789abcdef" (func)) (import "m" "g" (memory 1)) (func)
        // (export "e" (func 1)))
        let before = [
            b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".as_slice(),
            b"\x02\x1f\x02\x01m\x12f_0123456789abcdef\0\0\x01m\x01g\x02\0\x01",
            b"\x03\x02\x01\0\x07\x05\x01\x01e\0\x01\x0a\x04\x01\x02\0\x0b",
        ]
        .concat();
        let after = with_imports(&before, &plain(&names(&before)?, |_| String::new()))?;
        let expected =
            [&before[..14], b"\x02\x0e\x02\x01m\x01f\0\0\x01m\x01g\x02\0\x01", &before[47..]]
                .concat();
        assert_eq!(after, expected);
        Ok(())
    }
}

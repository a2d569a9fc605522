//! `--prefix-cache`: what one command has read another need not read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::cli::{phi, scratch, tiny_chat};

/// A model, and a folder that is not there yet.
fn place(name: &str) -> (String, PathBuf) {
    let folder = scratch(&format!("{name}-pages"));
    let _ = fs::remove_dir_all(&folder); // An earlier run's.
    (tiny_chat(name), folder)
}

/// A long question, and how it is asked.
fn asked<'a>(model: &'a str, folder: &'a Path, question: &'a str) -> Vec<&'a str> {
    let folder = folder.to_str().unwrap();
    let fixed = ["run", "--backend", "cpu", "--threads", "1", "--ctx", "2048", "--stats", "json"];
    let given = ["--temperature", "0", "--max-tokens", "16", "--model", model];
    [&fixed[..], &given, &["--prefix-cache", folder, question]].concat()
}

fn question(end: &str) -> String {
    let stem: String = (0..320).map(|at| format!("a{} ", at * 7 % 10)).collect();
    stem + end
}

/// What was said, how much of the prompt was known, and what was told besides.
fn told(output: &Output) -> (String, u64, String) {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let (notes, line) = errors.trim_end().rsplit_once('\n').unwrap_or(("", errors.trim_end()));
    let stats: Value = serde_json::from_str(line).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (said, stats["cached_tokens"].as_u64().unwrap(), notes.to_owned())
}

/// The pages in a folder: every model has one in it.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let inside = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    inside(folder).iter().flat_map(|model| inside(model)).collect()
}

#[test]
fn what_was_read_is_known_to_the_next_command() {
    let (model, folder) = place("prefixes");
    let question = question("end");
    let (said, known, _) = told(&phi(&asked(&model, &folder, &question), ""));
    assert!(known == 0 && pages(&folder).len() > 10);
    let (again, known, notes) = told(&phi(&asked(&model, &folder, &question), ""));
    assert!(again == said && known > 900 && !notes.contains("kept"), "{known}: {notes}");
    // Weights in other bits, and keys and values held otherwise, have pages of their own.
    for other in [["--bits", "8"], ["--kv", "f16"]] {
        let arguments = [&asked(&model, &folder, &question)[..], &other].concat();
        assert_eq!(told(&phi(&arguments, "")).1, 0, "{other:?}");
        assert!(told(&phi(&arguments, "")).1 > 900, "{other:?}");
    }
    #[cfg(unix)]
    for path in pages(&folder) {
        use std::os::unix::fs::PermissionsExt;
        // It holds people's words.
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o77, 0, "{path:?}");
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o77, 0);
    }
}

#[test]
fn where_nothing_can_be_kept_it_is_told_and_the_answer_comes() {
    let (model, folder) = place("prefixes-not-kept");
    let question = question("end");
    let least = [&asked(&model, &folder, &question)[..], &["--prefix-cache-mb", "0"]].concat();
    let (said, _, notes) = told(&phi(&least, ""));
    assert!(notes.contains("not kept: ") && notes.contains("64 tokens take"), "{notes}");
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let (other, _, notes) = told(&phi(&asked(&model, &file, &question), ""));
    assert!(other == said && notes.contains("not kept: "), "{notes}");
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[test]
fn a_kill_while_pages_are_written_leaves_right_answers() {
    let kills = if std::env::var_os("PHI_LONG").is_some() { 50 } else { 6 };
    let (model, folder) = place("prefixes-killed");
    let question = question("end");
    let (expected, ..) = told(&phi(&asked(&model, &folder, &question), ""));
    let all = pages(&folder).len();
    let mut whole = 0;
    for kill in 0..kills {
        fs::remove_dir_all(&folder).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_phi"));
        command.args(asked(&model, &folder, &question));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let least = 1 + kill % (all - 1);
        while pages(&folder).len() < least && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        whole += usize::from(pages(&folder).len() == all);
        let (said, ..) = told(&phi(&asked(&model, &folder, &question), ""));
        assert_eq!(said, expected, "kill {kill}, at {least} pages");
    }
    assert!(whole < kills, "no kill came while pages were written");
}

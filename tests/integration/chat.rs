//! `phi chat`, from a pipe and in a terminal, as many lines as cases.

use std::fs;
#[cfg(unix)]
use std::io::Write;
#[cfg(unix)]
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cli::{phi, tiny_chat};

/// What `/save` wrote.
fn saved(file: &str) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn commands_are_obeyed_and_the_rest_is_asked() {
    let model = tiny_chat("chat-commands");
    let [whole, cleared, told] =
        ["whole", "cleared", "told"].map(|name| format!("{model}/{name}.json"));
    let input = [
        "",
        "/help",
        "  Hello ",
        " \t",
        "/frobnicate now",
        "/usr/bin holds what?",
        "/system - Be terse.",
        &format!("/save {whole}"),
        "/clear",
        &format!("/save {cleared}"),
        "/system",
        "/new",
        "/save",
        &format!("/save {model}"),
        &format!("/save {told}"),
        "/quit",
        "Never asked.",
    ];
    let arguments = [
        "chat",
        "--model",
        &model,
        "--backend",
        "cpu",
        "--max-tokens",
        "2",
        "--system",
        "Be kind.",
    ];
    let output = phi(&arguments, &input.join("\n"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");

    let messages = saved(&whole);
    let [system, rest @ ..] = &messages.as_array().unwrap()[..] else { panic!("{messages}") };
    assert_eq!(system, &json!({"role": "system", "content": "- Be terse."}));
    let asked: Vec<_> = rest
        .iter()
        .filter(|one| one["role"] == "user")
        .map(|one| one["content"].as_str().unwrap())
        .collect();
    assert_eq!(asked, ["Hello", "/usr/bin holds what?"]);
    let roles: Vec<_> = rest.iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
    let answers: String = rest
        .iter()
        .filter(|one| one["role"] == "assistant")
        .map(|one| format!("{}\n", one["content"].as_str().unwrap()))
        .collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), answers);
    assert_eq!(saved(&cleared), json!([system]));
    assert_eq!(saved(&told), json!([]));
    for part in [
        "/save FILE",
        "there is no /frobnicate; /help lists the commands [bad-option]",
        "/save needs the name of a file [bad-option]",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(said.contains(&format!("phi: {model}: a directory; name a file [io]")), "{said}");
}

#[test]
fn a_conversation_is_saved_where_a_shell_would_put_it() {
    let model = tiny_chat("chat-save-names");
    for (named, file) in [
        ("\"a b.json\"", "a b.json"),
        ("'c d.json'", "c d.json"),
        ("e f.json", "e f.json"),
        ("it's.json", "it's.json"),
    ] {
        let named = named.replace(file, &format!("{model}/{file}"));
        let output =
            phi(&["chat", "--model", &model, "--backend", "cpu"], &format!("/save {named}\n"));
        assert_eq!(saved(&format!("{model}/{file}")), json!([]), "{output:?}");
    }
}

/// A user's own folder has another name on Windows.
#[cfg(unix)]
#[test]
fn a_tilde_is_the_users_own_folder() {
    let model = tiny_chat("chat-save-home");
    for (named, file) in
        [("~/a.json", "a.json"), ("\"~/b c.json\"", "b c.json"), ("~d.json", "~d.json")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phi"));
        command
            .args(["chat", "--model", &model, "--backend", "cpu"])
            .env("HOME", &model)
            .current_dir(&model);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("/save {named}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(saved(&format!("{model}/{file}")), json!([]), "{named}");
    }
}

#[test]
fn a_last_question_without_an_answer_is_a_failure_for_programs() {
    let model = tiny_chat("chat-unanswered");
    let long = "x".repeat(60);
    let chat = |input: &str| {
        let output = phi(
            &["chat", "--model", &model, "--backend", "cpu", "--ctx", "32", "--max-tokens", "1"],
            input,
        );
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = chat(&format!("Hi\n{long}\n/help\n"));
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains(
            "; /clear forgets the conversation, and --ctx gives a longer context [prompt-too-long]"
        ),
        "{said}"
    );
    assert!(said.ends_with("phi: the last question has no answer [prompt-too-long]\n"), "{said}");
    let (status, said) = chat(&format!("{long}\nHi\n"));
    assert_eq!(status, Some(0), "{said}");
}

/// A disk that takes nothing is played by a limit on the size of files.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_whole_stays_as_it_was() {
    let model = tiny_chat("chat-save-whole");
    let file = format!("{model}/saved.json");
    let say = |limit: &str, input: &str| {
        let line = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
        let arguments = [
            "-c",
            &line,
            "sh",
            env!("CARGO_BIN_EXE_phi"),
            "chat",
            "--model",
            &model,
            "--backend",
            "cpu",
            "--max-tokens",
            "2",
        ];
        let pipes = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
        let [stdin, stdout, stderr] = pipes;
        let mut shell = Command::new("sh")
            .args(arguments)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(shell.wait_with_output().unwrap().stderr).unwrap()
    };
    let said = say("unlimited", &format!("Hello\n/save {file}\n"));
    assert!(said.contains("has 2 messages"), "{said}");
    let before = saved(&file);
    let said = say("0", &format!("/system Another.\n/save {file}\n"));
    assert!(
        said.contains(&format!("phi: {file}: cannot be written: ")) && said.contains("[io]"),
        "{said}"
    );
    assert_eq!(saved(&file), before);
    let names = fs::read_dir(&model).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("phi-part")));
    // What is no file is written to, and stays what it is.
    let said = say("unlimited", "/system Another.\n/save /dev/null\n");
    assert!(said.contains("/dev/null has 1 message."), "{said}");
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[cfg(unix)]
mod in_a_terminal {
    use std::fs::{self, File};
    use std::io::{PipeWriter, Read, Write};
    use std::os::unix::fs::OpenOptionsExt;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::Path;
    use std::process::{Child, Command, ExitStatus, Stdio};
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::fs::OFlags;
    use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionread};
    use rustix::pipe::fcntl_setpipe_size;
    use rustix::process::{ioctl_tiocsctty, setsid};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use serde_json::json;

    use super::saved;
    use crate::cli::tiny_chat;

    /// What the editor asks of a terminal when it begins to read.
    const READY: &str = "\x1b[?2004h";
    const ERASE_LINE: &str = "\x1b[2K";
    const CTRL_C: &str = "\x03";
    const CTRL_D: &str = "\x04";
    const UP: &str = "\x1b[A";

    /// The command, and the keyboard and screen that it is at.
    struct Terminal {
        child: Child,
        keys: File,
        screen: Receiver<Vec<u8>>,
        /// What came after that which was waited for.
        seen: String,
    }

    impl Terminal {
        fn open(arguments: &[&str]) -> Terminal {
            Terminal::with_output(arguments, None)
        }

        /// With answers that go elsewhere.
        fn with_output(arguments: &[&str], output: Option<PipeWriter>) -> Terminal {
            let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&ours).unwrap();
            unlockpt(&ours).unwrap();
            fcntl_setfd(&ours, FdFlags::CLOEXEC).unwrap(); // Other tests start programs, too.
            let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
            let no_tty_of_ours = OFlags::NOCTTY.bits().cast_signed();
            let theirs = || {
                File::options()
                    .read(true)
                    .write(true)
                    .custom_flags(no_tty_of_ours)
                    .open(&name)
                    .unwrap()
            };
            let mut command = Command::new(env!("CARGO_BIN_EXE_phi"));
            let output = output.map_or_else(|| theirs().into(), Stdio::from);
            command
                .args(arguments)
                .env("TERM", "xterm")
                .stdin(theirs())
                .stdout(output)
                .stderr(theirs());
            let takes_over = || {
                setsid()?;
                ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            };
            // SAFETY: between fork and exec it makes two system calls, and neither allocates nor
            // locks.
            unsafe { command.pre_exec(takes_over) };
            let child = command.spawn().unwrap();
            drop(command); // It holds the other end open.
            let keys = File::from(ours);
            let mut output = keys.try_clone().unwrap();
            // What nobody waits for makes the command wait.
            let (sender, screen) = sync_channel(0);
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                // Linux calls it an error when nobody has the other end any more.
                while let Ok(read @ 1..) = output.read(&mut bytes) {
                    if sender.send(bytes[..read].to_vec()).is_err() {
                        break;
                    }
                }
            });
            Terminal { child, keys, screen, seen: String::new() }
        }

        fn type_in(&mut self, keys: &str) {
            self.keys.write_all(keys.as_bytes()).unwrap();
        }

        /// Waits until this comes, after all that was waited for before.
        fn wait_for(&mut self, text: &str) {
            loop {
                if let Some(at) = self.seen.find(text) {
                    self.seen.drain(..at + text.len());
                    return;
                }
                let come = self.screen.recv_timeout(Duration::from_secs(300));
                let come =
                    come.unwrap_or_else(|error| panic!("no {text:?}, {error}: {:?}", self.seen));
                self.seen.push_str(&String::from_utf8_lossy(&come));
            }
        }

        /// Waits until there is nobody to wait for, and answers what came meanwhile.
        fn end(mut self) -> (ExitStatus, String) {
            while let Ok(come) = self.screen.recv_timeout(Duration::from_secs(300)) {
                self.seen.push_str(&String::from_utf8_lossy(&come));
            }
            (self.child.wait().unwrap(), std::mem::take(&mut self.seen))
        }
    }

    /// Whoever fails leaves no command behind.
    impl Drop for Terminal {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// A model that talks for long.
    fn talker(name: &str) -> String {
        let model = tiny_chat(name);
        let file = Path::new(&model).join("config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        config["max_position_embeddings"] = 32768.into();
        config["eos_token_id"] = json!([]);
        fs::write(file, config.to_string()).unwrap();
        model
    }

    #[test]
    fn ctrl_c_stops_an_answer_and_then_ends() {
        let model = talker("chat-ctrl-c");
        let file = format!("{model}/saved.json");
        let long = ["--ctx", "32768", "--max-tokens", "32000", "--temperature", "3"];
        let mut terminal =
            Terminal::open(&[&["chat", "--model", &model, "--backend", "cpu"][..], &long].concat());
        terminal.wait_for(READY);
        terminal.type_in("Tell me everything.\r");
        terminal.wait_for("word"); // Most of its tokens begin so.
        terminal.type_in(CTRL_C);
        terminal.wait_for("generated at");
        terminal.wait_for(READY);
        terminal.type_in(&format!("/save {file}\r"));
        terminal.wait_for("has 2 messages");
        terminal.wait_for(READY);
        terminal.type_in(CTRL_C);
        let (status, rest) = terminal.end();
        assert!(status.success(), "{rest}");
        assert!(!rest.contains(ERASE_LINE), "what was said is erased: {rest:?}");
        let messages = saved(&file);
        assert_eq!(messages[0], json!({"role": "user", "content": "Tell me everything."}));
        assert_eq!(messages[1]["role"], "assistant");
    }

    /// What Linux says of a process.
    #[cfg(target_os = "linux")]
    fn status(child: &Child, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// An answer that nobody reads waits in the middle of a word, where the first Ctrl-C cannot
    /// stop it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_second_ctrl_c_ends_what_the_first_cannot_stop() {
        let model = talker("chat-ctrl-c-twice");
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl_setpipe_size(&writer, 4096).unwrap();
        let long =
            ["--threads", "1", "--ctx", "32768", "--max-tokens", "32000", "--temperature", "3"];
        let arguments = [&["chat", "--model", &model, "--backend", "cpu"][..], &long].concat();
        let mut terminal = Terminal::with_output(&arguments, Some(writer));
        terminal.wait_for(READY);
        terminal.type_in("Tell me everything.\r");
        let until = |terminal: &mut Terminal, what: &str, is_so: &dyn Fn(&mut Terminal) -> bool| {
            let begun = Instant::now();
            while !is_so(terminal) {
                assert!(begun.elapsed() < Duration::from_secs(300), "it is never {what}");
                thread::sleep(Duration::from_millis(1));
            }
        };
        until(&mut terminal, "full", &|terminal| {
            ioctl_fionread(&reader).unwrap() > 4_000
                && status(&terminal.child, "State").starts_with('S')
        });
        terminal.type_in(CTRL_C);
        terminal.wait_for("^C"); // What is typed shows after what it does.
        until(&mut terminal, "told", &|terminal| {
            status(&terminal.child, "ShdPnd").trim_matches('0').is_empty()
        });
        terminal.type_in(CTRL_C);
        until(&mut terminal, "over", &|terminal| terminal.child.try_wait().unwrap().is_some());
        let (status, rest) = terminal.end();
        assert_eq!(status.signal(), Some(2), "{rest}");
    }

    #[test]
    fn what_is_pasted_is_one_question_and_history_has_it() {
        let model = tiny_chat("chat-paste");
        let file = format!("{model}/saved.json");
        let mut terminal =
            Terminal::open(&["chat", "--model", &model, "--backend", "cpu", "--max-tokens", "2"]);
        let pasted = "first line\r\n\r\nthird line\r\n";
        let typed = [
            &format!("\x1b[200~{pasted}\x1b[201~\r"),
            "\r",
            &format!("{UP} again\r"),
            &format!("/save {file}\r"),
            CTRL_D,
        ];
        for keys in typed {
            terminal.wait_for(READY);
            terminal.type_in(keys);
        }
        let (status, rest) = terminal.end();
        assert!(status.success(), "{rest}");
        let messages = saved(&file);
        assert_eq!(messages[0]["content"], "first line\n\nthird line");
        assert_eq!(messages[2]["content"], "first line\n\nthird line\n again");
    }
}

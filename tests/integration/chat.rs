//! `phi chat`, from a pipe and in a terminal.

use std::fs;

use serde_json::{Value, json};

use crate::cli::{phi, tiny_chat};

/// What `/save` wrote.
fn saved(file: &str) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn commands_are_obeyed_and_the_rest_is_asked() {
    let model = tiny_chat("chat-commands");
    let [whole, cleared, told] = ["whole", "cleared", "told"].map(|name| format!("{model}/{name}.json"));
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
    let arguments = ["chat", "--model", &model, "--backend", "cpu", "--max-tokens", "2", "--system", "Be kind."];
    let output = phi(&arguments, &input.join("\n"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");

    let messages = saved(&whole);
    let [system, rest @ ..] = &messages.as_array().unwrap()[..] else { panic!("{messages}") };
    assert_eq!(system, &json!({"role": "system", "content": "- Be terse."}));
    let asked: Vec<_> = rest.iter().filter(|one| one["role"] == "user").map(|one| one["content"].as_str().unwrap()).collect();
    assert_eq!(asked, ["Hello", "/usr/bin holds what?"]);
    let roles: Vec<_> = rest.iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
    let answers: String =
        rest.iter().filter(|one| one["role"] == "assistant").map(|one| format!("{}\n", one["content"].as_str().unwrap())).collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), answers);
    assert_eq!(saved(&cleared), json!([system]));
    assert_eq!(saved(&told), json!([]));
    for part in
        ["/save FILE", "there is no /frobnicate; /help lists the commands [bad-option]", "/save needs the name of a file [bad-option]"]
    {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(said.contains(&format!("phi: {model}: cannot be written: ")), "{said}");
}

#[cfg(unix)]
mod in_a_terminal {
    use std::fs::{self, File};
    use std::io::{Read, Write};
    use std::os::unix::fs::OpenOptionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, ExitStatus};
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::thread;
    use std::time::Duration;

    use rustix::fs::OFlags;
    use rustix::io::{FdFlags, fcntl_setfd};
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
            let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&ours).unwrap();
            unlockpt(&ours).unwrap();
            fcntl_setfd(&ours, FdFlags::CLOEXEC).unwrap(); // Other tests start programs, too.
            let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
            let no_tty_of_ours = OFlags::NOCTTY.bits().cast_signed();
            let theirs = || File::options().read(true).write(true).custom_flags(no_tty_of_ours).open(&name).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_phi"));
            command.args(arguments).env("TERM", "xterm").stdin(theirs()).stdout(theirs()).stderr(theirs());
            let takes_over = || {
                setsid()?;
                ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            };
            // SAFETY: between fork and exec it makes two system calls, and neither allocates nor locks.
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
                let come = come.unwrap_or_else(|error| panic!("no {text:?}, {error}: {:?}", self.seen));
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
        let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
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
        let mut terminal = Terminal::open(&[&["chat", "--model", &model, "--backend", "cpu"][..], &long].concat());
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

    #[test]
    fn what_is_pasted_is_one_question_and_history_has_it() {
        let model = tiny_chat("chat-paste");
        let file = format!("{model}/saved.json");
        let mut terminal = Terminal::open(&["chat", "--model", &model, "--backend", "cpu", "--max-tokens", "2"]);
        let pasted = "first line\r\n\r\nthird line\r\n";
        let typed = [&format!("\x1b[200~{pasted}\x1b[201~\r"), "\r", &format!("{UP} again\r"), &format!("/save {file}\r"), CTRL_D];
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

//! Devices that are lost, or have no room, while a model loads and answers: it goes on, and the
//! text is what it would have been.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use phi_wasm::backend::Backend;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::gpu::{Gpu, GpuOptions, Switch};
use phi_wasm::op::KvKind;
use phi_wasm::session::{
    Event, GenerateOptions, Generation, Host, LoadOptions, Progress, ResilientAnswer,
    ResilientSession, Session, Wanted,
};
use phi_wasm::text::Sampling;
use phi_wasm::text::template::Message;
use phi_wasm::weights::MemorySource;
use phi_wasm::{Code, Result};
use pollster::block_on;

use crate::common::narrow::Narrow;
use crate::common::tiny_phi::tiny_chat;

fn cpu() -> Result<Cpu> {
    Cpu::new(CpuOptions::default())
}

/// What becomes of a host's GPUs, in the test's hands.
#[derive(Default)]
struct Fate {
    opened: Cell<usize>,
    /// Loads during which the GPU shall be lost.
    spoiled_loads: Cell<usize>,
    lose: RefCell<Option<Box<dyn Fn()>>>,
}

impl Fate {
    fn strike(&self) {
        self.lose.borrow().as_ref().expect("a GPU has been opened")();
    }
}

struct Unlucky(Rc<Fate>);

impl Host for Unlucky {
    type Gpu = Narrow<Gpu>;
    type Cpu = Cpu;
    type Source = MemorySource;

    async fn gpu(&self) -> Result<Narrow<Gpu>> {
        let gpu = Gpu::new(GpuOptions { f16: Switch::Off, ..GpuOptions::default() }).await?;
        *self.0.lose.borrow_mut() = Some(Box::new(gpu.losing()));
        self.0.opened.set(self.0.opened.get() + 1);
        // The question is two chunks.
        Ok(Narrow { chunk: 20, ..Narrow::new(gpu) })
    }
    async fn cpu(&self) -> Result<Cpu> {
        cpu()
    }
    async fn source(&self) -> Result<MemorySource> {
        Ok(tiny_chat())
    }
    fn progress(&self, progress: Progress) {
        let spoiled = &self.0.spoiled_loads;
        if spoiled.get() > 0 && progress.done > progress.total / 2 {
            spoiled.set(spoiled.get() - 1);
            self.0.strike();
        }
    }
}

async fn open(fate: &Rc<Fate>, wanted: Wanted) -> Result<ResilientSession<Unlucky>> {
    ResilientSession::open(Unlucky(fate.clone()), wanted, LoadOptions::default()).await
}

/// What an answer has told so far.
#[derive(Default)]
struct Heard {
    text: String,
    pieces: usize,
    prefills: usize,
    notices: Vec<String>,
    tokens: usize,
    backend: String,
}

/// Listens to an answer, and has the GPU lost before every step where `strikes` says so.
async fn listen<H: Host>(
    mut answer: ResilientAnswer<'_, H>,
    fate: &Fate,
    strikes: impl Fn(&Heard) -> bool,
) -> Result<Heard> {
    let mut heard = Heard::default();
    loop {
        if strikes(&heard) {
            fate.strike();
        }
        match answer.next().await?.expect("an answer ends with its figures") {
            Event::Prefill { .. } => heard.prefills += 1,
            Event::Text { text, .. } => {
                heard.text.push_str(&text);
                heard.pieces += 1;
            }
            Event::Call(call) => panic!("there are no tools, and {} is called", call.index),
            Event::Parsed { .. } => panic!("nobody asked for JSON"),
            Event::Notice { message } => heard.notices.push(message),
            Event::Done(stats) => {
                (heard.tokens, heard.backend) = (stats.generated_tokens, stats.backend);
                return Ok(heard);
            }
        }
    }
}

fn question() -> Vec<Message> {
    vec![Message::system("You are terse."), Message::user("What is a fox?")]
}

fn short() -> GenerateOptions {
    GenerateOptions { max_tokens: 10, ..GenerateOptions::default() }
}

/// What a CPU answers that nobody disturbs.
async fn answer() -> String {
    let mut session =
        Session::open(tiny_chat(), cpu().unwrap(), &LoadOptions::default(), &mut |_| {})
            .await
            .unwrap();
    let mut answer = session.chat(&question(), &short()).unwrap();
    let mut whole = String::new();
    while let Some(event) = answer.next().await.unwrap() {
        if let Event::Text { text, .. } = event {
            whole.push_str(&text);
        }
    }
    whole
}

/// Works at these answers in turns, an event each; their texts.
async fn in_turns<B: Backend>(
    session: &mut Session<B>,
    mut answers: Vec<Generation>,
) -> Vec<String> {
    let mut texts = vec![String::new(); answers.len()];
    let mut told = true;
    while told {
        told = false;
        for (answer, text) in answers.iter_mut().zip(&mut texts) {
            let event = session.next(answer).await.unwrap();
            told |= event.is_some();
            if let Some(Event::Text { text: piece, .. }) = event {
                text.push_str(&piece);
            }
        }
    }
    texts
}

async fn each_says_in_turns_what_it_says_alone(backend: impl Backend) {
    let mut session =
        Session::open(tiny_chat(), backend, &LoadOptions::default(), &mut |_| {}).await.unwrap();
    let sampling = Sampling { temperature: 1.0, seed: Some(7), ..Sampling::default() };
    let asked = [
        (question(), short()),
        (vec![Message::user("And a hen?")], GenerateOptions { sampling, ..short() }),
    ];
    let mut alone = Vec::new();
    for (messages, options) in &asked {
        let answer = session.begin_chat(messages, options).unwrap();
        alone.extend(in_turns(&mut session, vec![answer]).await);
    }
    let both = asked
        .iter()
        .map(|(messages, options)| session.begin_chat(messages, options).unwrap())
        .collect();
    assert_eq!(in_turns(&mut session, both).await, alone);
    assert!(alone[0] == answer().await && alone[1] != alone[0], "{alone:?}");
}

#[test]
fn answers_take_turns() {
    block_on(async {
        each_says_in_turns_what_it_says_alone(cpu().unwrap()).await;
        each_says_in_turns_what_it_says_alone(
            Gpu::new(GpuOptions { f16: Switch::Off, ..GpuOptions::default() }).await.unwrap(),
        )
        .await;
    });
}

#[test]
fn a_bias_is_of_a_token_that_there_is() {
    pollster::block_on(async {
        let mut session =
            Session::open(tiny_chat(), cpu().unwrap(), &LoadOptions::default(), &mut |_| {})
                .await
                .unwrap();
        let mut biased = |id| {
            let sampling = Sampling { logit_bias: [(id, 1.0)].into(), ..Sampling::default() };
            session.chat(&question(), &GenerateOptions { sampling, ..short() }).map(|_| ())
        };
        let vocab_size = 384;
        assert!(biased(vocab_size - 1).is_ok());
        let error = biased(vocab_size).unwrap_err();
        let sentence = "logit_bias names token 384; this model's tokens are 0 to 383";
        assert_eq!((error.code, error.message.as_str()), (Code::BadOption, sentence));
    });
}

/// No word is missing, wrong or said twice.
async fn assert_told_rightly(heard: &Heard) {
    assert_eq!((heard.tokens, &heard.text), (10, &answer().await));
}

#[test]
fn an_answer_goes_on_when_its_device_is_lost() {
    block_on(async {
        let fate: Rc<Fate> = Rc::default();
        let mut model = open(&fate, Wanted::Auto).await.unwrap();

        // Before anything is computed, and again within the prompt.
        let strikes = |heard: &Heard| heard.notices.len() == heard.prefills && heard.prefills < 2;
        let heard =
            listen(model.chat(&question(), &short()).await.unwrap(), &fate, strikes).await.unwrap();
        assert_told_rightly(&heard).await;
        assert!(heard.backend.starts_with("GPU"), "{}", heard.backend);
        assert_eq!((heard.notices.len(), fate.opened.get()), (2, 3));
        for notice in heard.notices {
            assert!(
                notice.starts_with(
                    "The model is loaded again, and the answer goes on: the GPU was lost ("
                ),
                "{notice}"
            );
        }

        // Between words, again between words, and a third time while the model is loaded again.
        let strikes = |heard: &Heard| {
            fate.spoiled_loads.set(usize::from(heard.notices.len() == 2));
            heard.pieces == 2 * (heard.notices.len() + 1) && heard.notices.len() < 2
        };
        let heard =
            listen(model.chat(&question(), &short()).await.unwrap(), &fate, strikes).await.unwrap();
        assert_told_rightly(&heard).await;
        assert_eq!((heard.notices.len(), fate.opened.get()), (3, 5), "{:?}", heard.notices);
        assert!(
            heard.notices[2] == "The CPU answers: the GPU was lost 3 times in a row",
            "{:?}",
            heard.notices
        );
        assert!(heard.backend.starts_with("CPU"), "{}", heard.backend);
    });
}

#[test]
fn who_insists_on_a_gpu_hears_that_it_is_lost_for_good_and_may_ask_again() {
    block_on(async {
        let fate = Rc::default();
        let mut model = open(&fate, Wanted::Gpu).await.unwrap();
        let answer = model.chat(&question(), &short()).await.unwrap();
        let error = listen(answer, &fate, |_| true).await.err().unwrap();
        assert!(
            error.code == Code::GpuLost && error.advice() == Some("load the model again"),
            "{error}"
        );
        assert_eq!(fate.opened.get(), 3);
        let answer = model.chat(&question(), &short()).await.unwrap();
        assert_told_rightly(&listen(answer, &fate, |_| false).await.unwrap()).await;
        assert_eq!(fate.opened.get(), 4);
    });
}

#[test]
fn a_device_lost_while_loading_is_replaced_and_at_last_given_up() {
    block_on(async {
        let fate: Rc<Fate> = Rc::default();
        fate.spoiled_loads.set(2);
        let mut model = open(&fate, Wanted::Auto).await.unwrap();
        assert_eq!((fate.opened.get(), model.notice()), (3, None));
        let answer = model.chat(&question(), &short()).await.unwrap();
        assert_told_rightly(&listen(answer, &fate, |_| false).await.unwrap()).await;

        fate.spoiled_loads.set(3);
        let error = open(&fate, Wanted::Gpu).await.err().unwrap();
        assert!(
            error.code == Code::GpuLost && error.message.contains("3 times in a row"),
            "{error}"
        );
    });
}

/// Another CPU stands for its GPU.
struct Small {
    room: u64,
}

impl Host for Small {
    type Gpu = Narrow<Cpu>;
    type Cpu = Cpu;
    type Source = MemorySource;

    async fn gpu(&self) -> Result<Narrow<Cpu>> {
        Ok(Narrow { room: self.room, chunk: 64, ..Narrow::new(cpu()?) })
    }
    async fn cpu(&self) -> Result<Cpu> {
        cpu()
    }
    async fn source(&self) -> Result<MemorySource> {
        let mut source = tiny_chat();
        let config = String::from_utf8(source.files["config.json"].clone()).unwrap();
        source.files.insert("config.json".into(), config.replace("2048", "8192").into());
        Ok(source)
    }
    fn progress(&self, _: Progress) {}
}

#[test]
fn a_gpu_without_room_gets_a_shorter_context_or_nothing() {
    const MIB: u64 = 1 << 20;
    block_on(async {
        // The weights take 0.7 MiB, and keys and values 1.5 MiB for each 1024 positions.
        let options =
            |ctx_len| LoadOptions { ctx_len, kv: Some(KvKind::F32), ..LoadOptions::default() };
        let load = |room, wanted, ctx_len| {
            ResilientSession::open(Small { room }, wanted, options(ctx_len))
        };
        let model = load(5 * MIB, Wanted::Auto, None).await.unwrap();
        assert_eq!(model.describe().unwrap().ctx_len, 1024);
        assert!(
            model.notice().unwrap().starts_with("The context is 1024 tokens: "),
            "{:?}",
            model.notice()
        );

        // What somebody asked for stays, and where nothing fits the CPU has the whole context.
        for (room, ctx_len) in [(5 * MIB, Some(4096)), (MIB / 2, None)] {
            let model = load(room, Wanted::Auto, ctx_len).await.unwrap();
            assert_eq!(model.describe().unwrap().ctx_len, 4096);
            assert!(
                model.notice().unwrap().starts_with("The CPU answers: "),
                "{:?}",
                model.notice()
            );
        }
        assert_eq!(load(5 * MIB, Wanted::Gpu, None).await.err().unwrap().code, Code::OutOfMemory);
    });
}

#[test]
fn decisions_and_scores_outlive_devices() {
    block_on(async {
        let mut alone =
            Session::open(tiny_chat(), cpu().unwrap(), &LoadOptions::default(), &mut |_| {})
                .await
                .unwrap();
        let choices = ["red", "reddish"].map(str::to_owned);
        let expected = alone.decide(&question(), &choices).await.unwrap();
        let fate = Rc::<Fate>::default();
        let mut session = open(&fate, Wanted::Auto).await.unwrap();
        for round in 1..=2 {
            fate.strike();
            let found = session.decide(&question(), &choices).await.unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                let difference = (found.logprob - expected.logprob).abs();
                assert!(difference < 1e-2, "{found:?} instead of {expected:?}");
            }
            fate.strike();
            assert_eq!(session.score("red").await.unwrap().tokens.len(), 3);
            assert_eq!(fate.opened.get(), 1 + 2 * round);
        }
        let error = session.decide(&question(), &[]).await.unwrap_err();
        assert_eq!(error.code, Code::BadOption);
    });
}

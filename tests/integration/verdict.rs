//! Whether the GPU or the CPU is faster: measured once for a device and a model, kept, and heeded
//! the next time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use phi_wasm::backend::Backend;
use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::gpu::{Gpu, GpuOptions};
use phi_wasm::session::{
    Event, GenerateOptions, Host, LoadOptions, Progress, ResilientSession, Rivals, Verdict, Wanted,
};
use phi_wasm::weights::MemorySource;
use phi_wasm::weights::format::Bits;
use phi_wasm::{Code, Error, Result};
use pollster::block_on;
use serde_json::Value;

use crate::common::narrow::Narrow;
use crate::common::tiny_phi::tiny_chat;

/// What a host has, and what it was asked for and told.
#[derive(Default)]
struct Desk {
    names: RefCell<String>,
    known: RefCell<String>,
    anew: Cell<bool>,
    /// Whether somebody else slows this one down.
    slow: Cell<Option<Side>>,
    cpu_fails: Cell<bool>,
    cpu_is_small: Cell<bool>,
    not_at_hand: Cell<bool>,
    /// GPUs opened, models loaded onto them, verdicts, and how often it was asked who the rivals
    /// are.
    opened: Cell<usize>,
    loaded: Cell<usize>,
    judged: Cell<usize>,
    asked: Cell<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Gpu,
    Cpu,
}

impl Side {
    /// Longer than the other takes for anything, also where that is a GPU which a CPU plays that
    /// has other things to do.
    fn pause(self) -> Duration {
        Duration::from_millis(if self == Side::Gpu { 100 } else { 1000 })
    }
}

impl Desk {
    fn slowed<B: Backend>(&self, side: Side, backend: B) -> Narrow<B> {
        let pause = if self.slow.get() == Some(side) { side.pause() } else { Duration::ZERO };
        Narrow { pause, ..Narrow::new(backend) }
    }

    /// What was measured since this was last asked.
    fn news(&self) -> [usize; 4] {
        [self.opened.take(), self.loaded.take(), self.judged.take(), self.asked.take()]
    }

    /// Has the verdict be this.
    fn settle(&self, gpu: f64, cpu: f64) {
        let mut known: Value = serde_json::from_str(&self.known.borrow()).unwrap();
        for verdict in known.as_object_mut().unwrap().values_mut() {
            *verdict = serde_json::json!({ "gpu": gpu, "cpu": cpu });
        }
        self.known.replace(known.to_string());
    }
}

fn count(calls: &Cell<usize>) {
    calls.set(calls.get() + 1);
}

/// A host over a GPU of some kind: the software adapter, or another CPU in its place, which is
/// there at once.
struct Table<B>(Rc<Desk>, fn() -> Result<B>);

impl<B: Backend> Host for Table<B> {
    type Gpu = Narrow<B>;
    type Cpu = Narrow<Cpu>;
    type Source = MemorySource;

    async fn gpu(&self) -> Result<Narrow<B>> {
        count(&self.0.opened);
        Ok(self.0.slowed(Side::Gpu, self.1()?))
    }
    fn loaded(&self, _: &phi_wasm::engine::Engine<Narrow<B>>) {
        count(&self.0.loaded);
    }
    async fn rivals(&self) -> Option<Rivals> {
        count(&self.0.asked);
        let Desk { names, known, anew, .. } = &*self.0;
        Some(Rivals {
            names: names.borrow().clone(),
            known: known.borrow().clone(),
            anew: anew.get(),
        })
    }
    fn judged(&self, _: Verdict, known: String) {
        count(&self.0.judged);
        self.0.known.replace(known);
    }
    fn is_at_hand(&self) -> bool {
        !self.0.not_at_hand.get()
    }
    async fn cpu(&self) -> Result<Narrow<Cpu>> {
        if self.0.cpu_fails.get() {
            return Err(Error::new(Code::BadOption, "no such threads"));
        }
        let room = if self.0.cpu_is_small.get() { 1 << 16 } else { u64::MAX };
        Ok(Narrow { room, ..self.0.slowed(Side::Cpu, cpu()?) })
    }
    async fn source(&self) -> Result<MemorySource> {
        Ok(tiny_chat())
    }
    fn progress(&self, _: Progress) {}
}

fn cpu() -> Result<Cpu> {
    Cpu::new(CpuOptions { threads: 1, ..CpuOptions::default() })
}

fn gpu() -> Result<Gpu> {
    block_on(Gpu::new(GpuOptions::default()))
}

fn load<B: Backend>(
    desk: &Rc<Desk>,
    gpu: fn() -> Result<B>,
    wanted: Wanted,
    bits: Bits,
) -> ResilientSession<Table<B>> {
    block_on(ResilientSession::open(
        Table(desk.clone(), gpu),
        wanted,
        LoadOptions { format: bits.into(), ..LoadOptions::default() },
    ))
    .unwrap()
}

/// What a model says now, and the verdict that it goes by.
fn told<B: Backend>(model: &mut ResilientSession<Table<B>>) -> (String, Option<Verdict>) {
    let measured = model.describe().unwrap().measured;
    let text = block_on(async {
        let mut answer = model
            .complete("word1", &GenerateOptions { max_tokens: 6, ..GenerateOptions::default() })
            .await
            .unwrap();
        let mut whole = String::new();
        while let Some(event) = answer.next().await.unwrap() {
            if let Event::Text { text, .. } = event {
                whole.push_str(&text);
            }
        }
        whole
    });
    (text, measured)
}

#[test]
fn the_faster_one_computes() {
    let desk: Rc<Desk> = Rc::default();
    let (expected, none) = told(&mut load(&desk, gpu, Wanted::Cpu, Bits::ThirtyTwo));
    assert_eq!(none, None);
    for (slow, computes) in [(Side::Gpu, "CPU"), (Side::Cpu, "GPU")] {
        desk.slow.set(Some(slow));
        desk.anew.set(true);
        let mut model = load(&desk, gpu, Wanted::Auto, Bits::ThirtyTwo);
        let backend = model.describe().unwrap().backend;
        assert!(backend.starts_with(computes), "the {slow:?} is slow and {backend} computes");
        let (text, measured) = told(&mut model);
        // What was timed left nothing behind.
        assert_eq!(text, expected);
        let Verdict { gpu, cpu } = measured.unwrap();
        // 200 tokens, each of a pause for a few layers and one for the head.
        let (slowest, other) = if slow == Side::Gpu { (gpu, cpu) } else { (cpu, gpu) };
        assert!(slowest >= 200.0 * slow.pause().as_secs_f64() && slowest > other, "{gpu} {cpu}");
        assert_eq!((desk.news(), model.notice()), ([1, 1, 1, 1], None));
    }
}

#[test]
fn what_is_known_is_not_measured_again() {
    let desk: Rc<Desk> = Rc::default();
    let auto = |bits| load(&desk, cpu, Wanted::Auto, bits).describe().unwrap().measured.unwrap();
    desk.names.replace("one GPU".into());
    auto(Bits::Four);
    assert_eq!(desk.news(), [1, 1, 1, 1]);
    // Where the CPU is faster no GPU is opened.
    for (gpu, cpu, loaded) in [(2.0, 1.0, 0), (1.0, 2.0, 1), (1.0, 1.0, 1)] {
        desk.settle(gpu, cpu);
        assert_eq!((auto(Bits::Four), desk.news()), (Verdict { gpu, cpu }, [loaded, loaded, 0, 1]));
    }
    let known = desk.known.borrow().clone();
    let version = concat!("phi ", env!("CARGO_PKG_VERSION"));
    assert!(known.contains(version), "{known}");

    // Another size, adapter or version, damage, and whoever asks for it.
    auto(Bits::Eight);
    assert_eq!(desk.news(), [1, 1, 1, 1]);
    assert!(desk.known.borrow().len() > known.len(), "what is known of others is kept");
    desk.names.replace("another GPU".into());
    auto(Bits::Four);
    assert_eq!(desk.news(), [1, 1, 1, 1]);
    desk.names.replace("one GPU".into());
    for odd in [
        known.replace(version, "phi 0.0.1"),
        known.replace(":1.0", ":-1.0"),
        known.replace(":1.0", ":\"1\""),
        "{]".into(),
    ] {
        desk.known.replace(odd.clone());
        auto(Bits::Four);
        assert_eq!(desk.news(), [1, 1, 1, 1], "{odd}");
    }
    desk.known.replace(known);
    desk.anew.set(true);
    auto(Bits::Four);
    assert_eq!(desk.news(), [1, 1, 1, 1]);
    for (wanted, loaded) in [(Wanted::Gpu, 1), (Wanted::Cpu, 0)] {
        let model = load(&desk, cpu, wanted, Bits::Four);
        assert_eq!(
            (model.describe().unwrap().measured, desk.news()),
            (None, [loaded, loaded, 0, 0]),
            "who says {wanted:?} means it"
        );
    }
}

#[test]
fn a_cpu_that_cannot_be_tried_leaves_the_gpu() {
    let desk: Rc<Desk> = Rc::default();
    for flaw in [&desk.cpu_fails, &desk.cpu_is_small] {
        flaw.set(true);
        let model = load(&desk, cpu, Wanted::Auto, Bits::Four);
        assert_eq!(
            (model.describe().unwrap().measured, model.notice(), desk.news()),
            (None, None, [1, 1, 0, 1])
        );
        flaw.set(false);
    }
}

#[test]
fn nothing_is_fetched_twice_for_speed() {
    let desk: Rc<Desk> = Rc::default();
    desk.slow.set(Some(Side::Gpu));
    desk.not_at_hand.set(true);
    let model = load(&desk, gpu, Wanted::Auto, Bits::Four);
    assert!(model.describe().unwrap().backend.starts_with("GPU"));
    let notice = model.notice().unwrap();
    assert!(
        notice.starts_with("The CPU is faster here, and computes from the next load on"),
        "{notice}"
    );
    let model = load(&desk, gpu, Wanted::Auto, Bits::Four);
    assert!(model.describe().unwrap().backend.starts_with("CPU"));
    assert_eq!((model.notice(), desk.news()), (None, [1, 1, 1, 2]));
}

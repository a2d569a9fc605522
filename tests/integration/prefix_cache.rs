//! Pages that outlive the program: found again, of these weights alone, and never a wrong answer
//! whatever became of them.

use std::cell::Cell;
use std::rc::Rc;

use phi_wasm::cpu::{Cpu, CpuOptions};
use phi_wasm::engine::{Key, NewPage, PrefixStore};
use phi_wasm::op::KvKind;
use phi_wasm::prefix_cache::{MemoryPages, PageStorage, PrefixCache, owner_tag};
use phi_wasm::session::{Event, GenerateOptions, LoadOptions, Session, Stats};
use phi_wasm::text::{Message, Sampling};
use phi_wasm::{Code, Error, Result};
use pollster::block_on;

use crate::common::tiny_phi::tiny_chat;

const WEIGHTS: Key = [7; 32];
/// Room for as many pages as anybody here has.
const MUCH: u64 = 64 << 20;

async fn session(kv: KvKind) -> Session<Cpu> {
    let options = LoadOptions { ctx_len: Some(1024), kv: Some(kv), ..LoadOptions::default() };
    let cpu = Cpu::new(CpuOptions { threads: 1, ..CpuOptions::default() }).unwrap();
    Session::open(tiny_chat(), cpu, &options, &mut |_| {}).await.unwrap()
}

/// A session after a reload, whose pages are in a storage.
async fn reloaded<S: PageStorage + 'static>(kv: KvKind, storage: S, most: u64) -> Session<Cpu> {
    let mut session = session(kv).await;
    let page_bytes = session.engine().page_bytes();
    session.set_prefixes(Rc::new(PrefixCache::new(storage, WEIGHTS, page_bytes, most).unwrap()));
    session
}

/// What is said to a question of an owner, its figures, and what was told besides.
async fn answer_to(
    session: &mut Session<Cpu>,
    asked: &str,
    owner: &str,
) -> (String, Stats, Vec<String>) {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let options = GenerateOptions {
        max_tokens: 20,
        sampling,
        prompt_cache_key: owner.to_owned(),
        ..GenerateOptions::default()
    };
    let mut answer = session.chat(&[Message::user(asked)], &options).unwrap();
    let (mut said, mut notices) = (String::new(), Vec::new());
    loop {
        match answer.next().await.unwrap() {
            Some(Event::Text { text, .. }) => said.push_str(&text),
            Some(Event::Notice { message }) => notices.push(message),
            Some(Event::Done(stats)) => return (said, stats, notices),
            _ => {}
        }
    }
}

async fn answer(session: &mut Session<Cpu>, asked: &str) -> (String, Stats, Vec<String>) {
    answer_to(session, asked, "").await
}

/// Some questions that begin alike.
fn questions() -> [String; 2] {
    let stem: String = (0..70).map(|i| format!("a{} ", i * 7 % 10)).collect();
    [format!("{stem} one"), format!("{stem} and another")]
}

fn names(storage: &MemoryPages) -> Vec<String> {
    block_on(storage.list()).unwrap().unwrap()
}

fn bytes_of(storage: &MemoryPages) -> u64 {
    let pages = storage.pages.borrow();
    pages.iter().flatten().map(|(_, bytes)| bytes.len() as u64).sum()
}

const KINDS: [KvKind; 4] = [KvKind::Int8, KvKind::Int4, KvKind::F16, KvKind::F32];

#[test]
fn a_prompt_that_was_read_is_not_read_again_after_a_reload() {
    block_on(async {
        for kv in KINDS {
            let (storage, [one, other]) = (MemoryPages::new(), questions());
            let (expected, fresh, _) =
                answer(&mut reloaded(kv, storage.clone(), MUCH).await, &one).await;
            assert_eq!(fresh.cached_tokens, 0);
            let mut again = reloaded(kv, storage.clone(), MUCH).await;
            let (said, stats, notices) = answer(&mut again, &one).await;
            assert_eq!((said, notices), (expected, Vec::new()), "{kv:?}");
            assert_eq!(stats.cached_tokens, (stats.prompt_tokens - 1) / 64 * 64, "{kv:?}");
            let (_, stats, _) = answer(&mut reloaded(kv, storage, MUCH).await, &other).await;
            assert!(stats.cached_tokens >= 128, "{kv:?}: {}", stats.cached_tokens);
        }
    });
}

#[test]
fn other_weights_and_other_kinds_find_nothing() {
    block_on(async {
        let (storage, [one, _]) = (MemoryPages::new(), questions());
        answer(&mut reloaded(KvKind::Int8, storage.clone(), MUCH).await, &one).await;
        let mut other = session(KvKind::Int8).await;
        let page_bytes = other.engine().page_bytes();
        let prefixes = PrefixCache::new(storage.clone(), [8; 32], page_bytes, MUCH).unwrap();
        other.set_prefixes(Rc::new(prefixes));
        assert_eq!(answer(&mut other, &one).await.1.cached_tokens, 0);
        let mut other = reloaded(KvKind::F16, storage, MUCH).await;
        assert_eq!(answer(&mut other, &one).await.1.cached_tokens, 0);
    });
}

/// Changes a page.
type Damage = fn(&mut Vec<u8>);

#[test]
fn what_was_damaged_costs_that_page_and_those_after_it() {
    const DAMAGES: [Damage; 5] = [
        |bytes| bytes[40] ^= 4,
        |bytes| bytes[3] ^= 1,
        |bytes| *bytes.last_mut().unwrap() ^= 128,
        |bytes| bytes.truncate(bytes.len() / 2),
        Vec::clear,
    ];
    block_on(async {
        let kv = KvKind::Int8;
        let (storage, [one, _]) = (MemoryPages::new(), questions());
        let (expected, whole, _) =
            answer(&mut reloaded(kv, storage.clone(), MUCH).await, &one).await;
        let undamaged = storage.pages.borrow().clone();
        let pages = undamaged.as_ref().unwrap().len();
        assert!(pages >= whole.prompt_tokens / 64 && pages > 2);
        for damage in DAMAGES {
            // What was used last comes last, and that is the beginning.
            for place in 0..pages {
                *storage.pages.borrow_mut() = undamaged.clone();
                damage(&mut storage.pages.borrow_mut().as_mut().unwrap()[pages - 1 - place].1);
                let mut session = reloaded(kv, storage.clone(), MUCH).await;
                let (said, stats, notices) = answer(&mut session, &one).await;
                assert_eq!((&said, notices.len()), (&expected, 0), "page {place}");
                let most = (whole.prompt_tokens - 1) / 64 * 64;
                assert_eq!(stats.cached_tokens, (place * 64).min(most), "page {place}");
                // What was lost has been written again.
                let mut session = reloaded(kv, storage.clone(), MUCH).await;
                assert_eq!(answer(&mut session, &one).await.1.cached_tokens, most);
            }
        }
    });
}

/// A storage whose program is killed after some writes, in the middle of one.
#[derive(Clone)]
struct Mortal {
    storage: MemoryPages,
    left: Rc<Cell<u32>>,
}

impl PageStorage for Mortal {
    async fn list(&self) -> Result<Option<Vec<String>>> {
        self.storage.list().await
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.storage.read(name).await
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                self.storage.write(name, bytes).await
            }
            None => {
                self.storage.write(name, &bytes[..bytes.len() / 3]).await?;
                Err(Error::new(Code::StorageFull, "there is no room"))
            }
        }
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.storage.remove(name).await
    }

    async fn touch(&self, names: &[String]) -> Result<()> {
        self.storage.touch(names).await
    }
}

#[test]
fn what_ends_at_any_write_is_told_and_leaves_right_answers() {
    block_on(async {
        let (kv, [one, other]) = (KvKind::Int8, questions());
        let expected = answer(&mut session(kv).await, &other).await.0;
        for writes in 0..50 {
            let storage = MemoryPages::new();
            let mortal = Mortal { storage: storage.clone(), left: Rc::new(Cell::new(writes)) };
            let mut session = reloaded(kv, mortal, MUCH).await;
            let (said, _, notices) = answer(&mut session, &other).await;
            assert_eq!(said, expected, "{writes} writes");
            let is_over = notices.is_empty();
            assert!(is_over || notices.concat().contains("not kept"), "{notices:?}");
            // It is asked no more.
            assert!(answer(&mut session, &one).await.2.is_empty());
            let (said, _, _) = answer(&mut reloaded(kv, storage, MUCH).await, &other).await;
            assert_eq!(said, expected, "{writes} writes");
            if is_over {
                assert!(writes > 0);
                return;
            }
        }
        panic!("50 writes were not all");
    });
}

#[test]
fn what_was_not_used_for_longest_goes_first_within_the_bytes() {
    block_on(async {
        let kv = KvKind::Int8;
        let page_bytes = session(kv).await.engine().page_bytes();
        let (storage, most) = (MemoryPages::new(), 9 * page_bytes);
        let question =
            |round: u32| -> String { (0..60).map(|i| format!("{round}{} ", i % 10)).collect() };
        for round in 0..6 {
            answer(&mut reloaded(kv, storage.clone(), most).await, &question(round)).await;
            let bytes = bytes_of(&storage);
            assert!(bytes <= most, "{bytes} bytes");
            // The latest is found again, and the one before it as long as it is used.
            let mut session = reloaded(kv, storage.clone(), most).await;
            assert!(answer(&mut session, &question(round)).await.1.cached_tokens > 0);
        }
        let mut first = reloaded(kv, storage, most).await;
        assert_eq!(answer(&mut first, &question(0)).await.1.cached_tokens, 0);
        let error = PrefixCache::new(MemoryPages::new(), WEIGHTS, page_bytes, page_bytes - 1);
        assert_eq!(error.err().map(|error| error.code), Some(Code::BadOption));
    });
}

#[test]
fn what_is_no_page_of_ours_stays_and_counts_for_nothing() {
    block_on(async {
        let (storage, [one, _]) = (MemoryPages::new(), questions());
        let others = ["letter.txt", "a.b.c", "", "0123.4567.12", &format!("{:040}.{:016}.x", 1, 2)];
        for name in others {
            storage.write(name, &[0; 1 << 20]).await.unwrap();
        }
        let mut session = reloaded(KvKind::Int8, storage.clone(), 1 << 20).await;
        let (_, _, notices) = answer(&mut session, &one).await;
        assert!(notices.is_empty(), "{notices:?}");
        let left = names(&storage);
        assert!(others.iter().all(|name| left.iter().any(|left| left == name)), "{left:?}");
        assert!(left.len() > others.len());
    });
}

#[test]
fn an_owners_pages_can_be_told_and_all_that_was_deleted_stays_so() {
    block_on(async {
        let (kv, storage, [one, other]) = (KvKind::Int8, MemoryPages::new(), questions());
        let mut session = reloaded(kv, storage.clone(), MUCH).await;
        answer_to(&mut session, &one, "first").await;
        answer_to(
            &mut session,
            "something else that is long enough for a page or two, so that \
            there is something to be kept of it: this much, and more",
            "second",
        )
        .await;
        let of = |owner: &str| -> Vec<String> {
            let tag = format!(".{}.", owner_tag(owner));
            names(&storage).into_iter().filter(|name| name.contains(&tag)).collect()
        };
        assert!(!of("first").is_empty() && !of("second").is_empty());
        assert_eq!(of("first").len() + of("second").len(), names(&storage).len());
        for name in of("first") {
            storage.remove(&name).await.unwrap();
        }
        // Who says the same keeps it as his own.
        answer_to(&mut session, &other, "third").await;
        assert!(of("first").is_empty() && !of("third").is_empty());
        *storage.pages.borrow_mut() = None;
        let (_, _, notices) = answer_to(&mut session, &one, "first").await;
        assert!(notices.is_empty() && storage.pages.borrow().is_none());
    });
}

#[test]
fn a_session_is_taken_elsewhere_as_bytes() {
    block_on(async {
        let [one, _] = questions();
        let messages = [Message::user(&*one)];
        for kv in KINDS {
            let mut first = session(kv).await;
            let expected = answer(&mut first, &one).await;
            let bytes = first.export(&messages, WEIGHTS).await.unwrap();
            let mut second = session(kv).await;
            let known = second.import(&bytes, &WEIGHTS).await.unwrap();
            assert_eq!(known, expected.1.prompt_tokens / 64 * 64, "{kv:?}");
            let (said, stats, _) = answer(&mut second, &one).await;
            assert_eq!(said, expected.0, "{kv:?}");
            assert_eq!(stats.cached_tokens, (stats.prompt_tokens - 1) / 64 * 64, "{kv:?}");
            // What nobody has read yet is read for it.
            let unread = session(kv).await.export(&messages, WEIGHTS).await.unwrap();
            assert_eq!(unread, bytes, "{kv:?}");
        }
    });
}

#[test]
fn what_is_no_session_of_this_model_is_refused() {
    block_on(async {
        let [one, _] = questions();
        let mut session = session(KvKind::Int8).await;
        let bytes = session.export(&[Message::user(&*one)], WEIGHTS).await.unwrap();
        let code = |imported: Result<usize>| imported.unwrap_err().code;
        for length in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
            let imported = session.import(&bytes[..length], &WEIGHTS).await;
            assert_eq!(code(imported), Code::Corrupt, "{length} bytes");
        }
        for at in [0, 17, 60, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let imported = session.import(&changed, &WEIGHTS).await;
            assert_eq!(code(imported), Code::Corrupt, "byte {at}");
        }
        assert_eq!(code(session.import(&bytes, &[8; 32]).await), Code::BadOption);
        let mut other = self::session(KvKind::F16).await;
        assert_eq!(code(other.import(&bytes, &WEIGHTS).await), Code::BadOption);
    });
}

/// A page of ten bytes.
fn page<'a>(key: &'a Key, chain: &'a [Key]) -> NewPage<'a> {
    NewPage { key, bytes: vec![1; 10], owner: "", chain }
}

/// As a store tells it.
#[test]
fn a_store_has_what_it_was_given() {
    block_on(async {
        let (storage, key) = (MemoryPages::new(), [3; 32]);
        let cache = PrefixCache::new(storage.clone(), WEIGHTS, 10, 1000).unwrap();
        assert!(cache.look().await.unwrap() && !cache.has(&key));
        assert!(cache.write(page(&key, &[key])).await.unwrap());
        assert_eq!(cache.read(&key).await.unwrap(), Some(vec![1; 10]));
        // Without a new look, others' doings are unknown; they do no harm.
        storage.pages.borrow_mut().as_mut().unwrap().clear();
        assert!(cache.has(&key) && cache.read(&key).await.unwrap().is_none());
        // A chain that is longer than the room keeps its beginning.
        let chain: Vec<Key> = (0..30).map(|at| [at; 32]).collect();
        assert!(cache.look().await.unwrap());
        let mut kept = 0;
        for key in &chain {
            kept += usize::from(cache.write(page(key, &chain)).await.unwrap());
        }
        assert_eq!(kept, 1000 / 42);
    });
}

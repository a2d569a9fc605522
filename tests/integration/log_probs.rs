//! How probable tokens, texts and choices are, against softmax over the logits that an engine
//! gives: on the small random model.

use phi_wasm::Code;
use phi_wasm::backend::Backend;
#[cfg(feature = "gpu-tests")]
use phi_wasm::gpu::Switch;
use phi_wasm::session::{Event, Finish, GenerateOptions, LoadOptions, Session, TokenLogprob};
use phi_wasm::text::Sampling;
use phi_wasm::text::template::Message;
use pollster::block_on;

use crate::common::backends;
use crate::common::tiny_phi::tiny_chat;

/// One token after the others is computed by other kernels than many at once.
const TOLERANCE: f64 = 2e-3;

async fn open<B: Backend>(backend: B) -> Session<B> {
    Session::open(tiny_chat(), backend, &LoadOptions::default(), &mut |_| {}).await.unwrap()
}

fn question() -> Vec<Message> {
    vec![Message::system("You are terse."), Message::user("What is a fox?")]
}

/// Log-probabilities after each token of a sequence, by the dumbest code.
async fn softmax<B: Backend>(session: &mut Session<B>, ids: &[u32]) -> Vec<Vec<f64>> {
    let (engine, sequence) = session.engine_and_sequence();
    let mut all = Vec::new();
    engine.plan_rows(sequence, ids, 0).unwrap();
    while sequence.pending() > 0 {
        engine.advance(sequence).await.unwrap();
        let mut note = |_: usize, row: &[f32]| {
            let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
            all.push(row.iter().map(|&logit| f64::from(logit) - sum.ln()).collect());
        };
        engine.chunk_logits(sequence, &mut note).await.unwrap();
    }
    all
}

#[derive(Default)]
struct Heard {
    text: String,
    tokens: Vec<TokenLogprob>,
    finish: Option<Finish>,
    generated: usize,
}

async fn listen<B: Backend>(
    session: &mut Session<B>,
    mut generation: phi_wasm::session::Generation,
) -> Heard {
    let mut heard = Heard::default();
    while let Some(event) = session.next(&mut generation).await.unwrap() {
        match event {
            Event::Text { text, logprobs } => {
                heard.text += &text;
                heard.tokens.extend(logprobs.into_iter().flatten());
            }
            Event::Done(stats) => {
                (heard.finish, heard.generated) = (Some(stats.finish), stats.generated_tokens);
            }
            _ => {}
        }
    }
    heard
}

fn id<B: Backend>(session: &Session<B>, token: &TokenLogprob) -> u32 {
    let bytes = |id: &u32| session.tokenizer().token_bytes(*id) == Some(&token.bytes);
    (0..384).find(bytes).unwrap()
}

fn close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < TOLERANCE, "{what}: {found} instead of {expected}");
}

/// Tokens as they are told, after `prompt`.
async fn are_softmax<B: Backend>(
    session: &mut Session<B>,
    prompt: &[u32],
    tokens: &[TokenLogprob],
    top: usize,
    what: &str,
) {
    let mut ids = prompt.to_vec();
    ids.extend(tokens.iter().map(|token| id(session, token)));
    let rows = softmax(session, &ids).await;
    for (at, token) in tokens.iter().enumerate() {
        let Some(row) = (prompt.len() + at).checked_sub(1).map(|before| &rows[before]) else {
            assert_eq!((token.logprob, token.top_logprobs.len()), (None, 0), "{what}");
            continue;
        };
        close(token.logprob.unwrap(), row[ids[prompt.len() + at] as usize], what);
        let mut order = row.clone();
        order.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(token.top_logprobs.len(), top, "{what}");
        for (found, expected) in token.top_logprobs.iter().zip(order) {
            close(found.logprob, expected, what);
        }
    }
}

async fn answers_tell_how_probable_they_were<B: Backend>(mut session: Session<B>) {
    let prompt = session.template().unwrap().render(&question(), &[], Default::default()).unwrap();
    let prompt = session.tokenizer().encode_prompt(&prompt).unwrap();
    let sampled = Sampling { temperature: 1.5, seed: Some(3), ..Sampling::default() };
    let biased = Sampling { logit_bias: [(40, 3.0)].into(), ..sampled.clone() };
    let typical = Sampling { typical_p: 0.9, repetition_penalty: 1.3, ..sampled.clone() };
    for (sampling, top) in [
        (Sampling::default(), 0),
        (Sampling::default(), 20),
        (sampled, 2),
        (biased, 5),
        (typical, 1),
    ] {
        let what = format!("{sampling:?}");
        let plain = GenerateOptions { max_tokens: 12, sampling, ..GenerateOptions::default() };
        let options = GenerateOptions { log_probs: Some(top), ..plain.clone() };
        let [silent, telling] = [plain, options].map(|options| {
            let begun = session.begin_chat(&question(), &options).unwrap();
            block_on(listen(&mut session, begun))
        });
        assert_eq!((&telling.text, telling.finish), (&silent.text, silent.finish), "{what}");
        assert_eq!(silent.tokens, []);
        assert_eq!(telling.tokens.len(), telling.generated, "{what}");
        let joined: String = telling.tokens.iter().map(|token| token.token.as_str()).collect();
        assert_eq!(joined, telling.text, "{what}");
        are_softmax(&mut session, &prompt, &telling.tokens, top as usize, &what).await;
    }
}

async fn texts_are_scored<B: Backend>(mut session: Session<B>) {
    let text = "A fox is quick. ".repeat(12); // Several rows, and beyond LongRoPE's switch.
    let score = session.score(&text).await.unwrap();
    assert_eq!(score.tokens.iter().map(|token| token.token.as_str()).collect::<String>(), text);
    are_softmax(&mut session, &[], &score.tokens, 0, "score").await;
    close(score.logprob, score.tokens.iter().filter_map(|token| token.logprob).sum(), "sum");

    let echo = |max_tokens, log_probs| GenerateOptions {
        max_tokens,
        log_probs,
        echo: true,
        ..GenerateOptions::default()
    };
    let begun = session.begin_completion(&text, &echo(0, Some(2))).unwrap();
    let told = listen(&mut session, begun).await;
    assert_eq!((&told.text, told.generated, told.finish), (&text, 0, Some(Finish::Length)));
    are_softmax(&mut session, &[], &told.tokens, 2, "echo").await;
    for (found, expected) in told.tokens.iter().zip(&score.tokens) {
        assert_eq!(found.token, expected.token);
        close(found.logprob.unwrap_or(0.0), expected.logprob.unwrap_or(0.0), "echo and score");
    }

    // One that takes turns with another says the same.
    let begun = [(); 2].map(|()| session.begin_completion(&text, &echo(0, Some(2))).unwrap());
    let other = session.begin_completion("Hens are not foxes.", &echo(2, Some(1))).unwrap();
    let [mut one, two] = begun;
    let mut turns = vec![two, other];
    let mut both = Heard::default();
    while let Some(event) = session.next(&mut one).await.unwrap() {
        if let Event::Text { text, logprobs } = event {
            both.text += &text;
            both.tokens.extend(logprobs.into_iter().flatten());
        }
        for turn in &mut turns {
            session.next(turn).await.unwrap();
        }
    }
    assert_eq!(both.text, told.text);
    for (found, expected) in both.tokens.iter().zip(&told.tokens) {
        close(found.logprob.unwrap_or(0.0), expected.logprob.unwrap_or(0.0), "in turns");
    }
    assert_eq!(both.tokens.len(), told.tokens.len());

    // What the cache holds of it is told, too.
    let begun = session.begin_completion(&text, &echo(3, Some(0))).unwrap();
    let told = listen(&mut session, begun).await;
    assert_eq!(told.tokens.len(), score.tokens.len() + told.generated);
    assert!(told.text.starts_with(&text) && told.text.len() > text.len(), "{:?}", told.text);
    let begun = session.begin_completion(&text, &echo(3, None)).unwrap();
    let silent = listen(&mut session, begun).await;
    assert_eq!((silent.text, silent.tokens), (told.text, Vec::new()));
}

async fn choices_are_scored_as_each_alone<B: Backend>(mut session: Session<B>) {
    let prompt = session.template().unwrap().render(&question(), &[], Default::default()).unwrap();
    let prompt = session.tokenizer().encode_prompt(&prompt).unwrap();
    let choices = ["a", "an animal", "an", "no", " spaced"].map(str::to_owned);
    // The second time the cache holds the question, and the choice that came last.
    for _ in 0..2 {
        let decided = session.decide(&question(), &choices).await.unwrap();
        let mut sum = 0.0;
        for (decision, choice) in decided.iter().zip(&choices) {
            assert_eq!(&decision.choice, choice);
            let tokens = session.tokenizer().encode(choice, false).unwrap();
            let ids = [&prompt[..], &tokens].concat();
            let rows = softmax(&mut session, &ids).await;
            let after = &rows[prompt.len() - 1..];
            let said: f64 = tokens.iter().zip(after).map(|(&id, row)| row[id as usize]).sum();
            let ends = &session.text_assets().stop_tokens;
            assert!(!ends.is_empty());
            let end: f64 = ends.iter().map(|&id| after[tokens.len()][id as usize].exp()).sum();
            close(decision.logprob, said + end.ln(), choice);
            sum += decision.probability;
        }
        close(sum, 1.0, "probabilities");
        for other in &decided {
            close(
                (decided[0].probability / other.probability).ln(),
                decided[0].logprob - other.logprob,
                "odds",
            );
        }
    }
    let one = session.decide(&question(), &choices[1..2]).await.unwrap();
    assert_eq!(one[0].probability, 1.0);
}

macro_rules! on_every_backend {
    ($($name:ident = $check:ident),+ $(,)?) => {$(
        #[test]
        fn $name() {
            block_on(async {
                $check(open(backends::simd().await).await).await;
                #[cfg(feature = "gpu-tests")]
                $check(open(backends::gpu(Switch::Off, Switch::Off).await).await).await;
            });
        }
    )+};
}

on_every_backend! {
    answers = answers_tell_how_probable_they_were,
    texts = texts_are_scored,
    choices = choices_are_scored_as_each_alone,
}

#[test]
fn several_answers_are_those_of_the_seeds_that_follow() {
    block_on(async {
        let mut session = open(backends::simd().await).await;
        let with = |seed| {
            let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
            GenerateOptions { max_tokens: 8, sampling, n: 3, ..GenerateOptions::default() }
        };
        let mut texts = Vec::new();
        for index in 0..3 {
            for options in [with(Some(u64::MAX)).of_choice(index), {
                with(Some(u64::MAX.wrapping_add(index.into())))
            }] {
                let begun = session.begin_chat(&question(), &options).unwrap();
                texts.push(listen(&mut session, begun).await.text);
            }
        }
        let (ours, alone): (Vec<_>, Vec<_>) = texts.chunks(2).map(|two| (&two[0], &two[1])).unzip();
        assert_eq!(ours, alone);
        assert!(ours[0] != ours[1] && ours[1] != ours[2], "{ours:?}");
        assert_eq!(with(None).of_choice(1).sampling.seed, None);
    });
}

#[test]
fn what_cannot_be_scored_is_told() {
    block_on(async {
        let mut session = open(backends::simd().await).await;
        let ctx_len = session.engine().ctx_len();
        let long = "x".repeat(ctx_len + 1);
        let texts =
            |choices: &[&str]| choices.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        for (choices, code, sentence) in [
            (texts(&[]), Code::BadOption, "choices is empty: give the texts to decide between"),
            (texts(&["a", ""]), Code::BadOption, "choices[1] is empty: give a text"),
            (
                texts(&["a", "b", "a"]),
                Code::BadOption,
                "choices[2] is the same as choices[0]: give each once",
            ),
            (
                texts(&["a", "b<|e|>"]),
                Code::BadOption,
                "choices[1] has <|e|>, a control token, which no answer has: leave it out",
            ),
            (texts(&["a", &long]), Code::PromptTooLong, "choices[1] has"),
            (texts(&["a", &long[20..]]), Code::PromptTooLong, "choices[1] has"),
        ] {
            let error = session.decide(&question(), &choices).await.unwrap_err();
            assert!(error.code == code && error.message.contains(sentence), "{error}");
        }
        // The last token is only predicted.
        let longer = format!("{long}x");
        for (text, code) in [("", Code::BadOption), (&longer, Code::PromptTooLong)] {
            let error = session.score(text).await.unwrap_err();
            assert_eq!(error.code, code, "{error}");
        }
        let options = GenerateOptions { log_probs: Some(21), ..GenerateOptions::default() };
        let error = session.begin_chat(&question(), &options).err().unwrap();
        assert_eq!(error.message, "top_logprobs is 21: it must be 0 to 20");
        // All of it was refused before anything was read.
        assert_eq!(session.decide(&question(), &texts(&["a"])).await.unwrap().len(), 1);
    });
}

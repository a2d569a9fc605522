//! Pieces, joined, are the text up to the stop string, wherever it is cut.

use phi_wasm::text::{TextStream, Tokenizer};

use super::*;

/// Cuts bytes at random places.
fn cut<'a>(noise: &mut Noise, bytes: &'a [u8], longest: usize) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + noise.below(longest)).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The dumbest oracle: the text up to the stop string that is complete first, the longest of those
/// that end together.
fn up_to_stop(text: &str, stops: &[String]) -> (String, Option<String>) {
    for end in (0..=text.len()).filter(|&i| text.is_char_boundary(i)) {
        let here = stops
            .iter()
            .filter(|stop| !stop.is_empty() && text[..end].ends_with(*stop))
            .max_by_key(|stop| stop.len());
        if let Some(stop) = here {
            return (text[..end - stop.len()].to_owned(), Some(stop.clone()));
        }
    }
    (text.to_owned(), None)
}

fn check_stream(noise: &mut Noise, bytes: &[u8], stops: &[String]) {
    let (expected, stop) = up_to_stop(&String::from_utf8_lossy(bytes), stops);
    for longest in [1, 3, 9, 1000] {
        let mut stream = TextStream::continuing(stops);
        let mut shown = String::new();
        for piece in cut(noise, bytes, longest) {
            shown.push_str(&stream.push_bytes(piece));
            assert!(expected.starts_with(&shown), "{shown:?} is not a beginning of {expected:?}");
        }
        shown.push_str(&stream.finish());
        assert_eq!(
            (&shown, stream.stop(), stream.stopped()),
            (&expected, stop.as_deref(), stop.is_some()),
            "{bytes:?} {stops:?}"
        );
        assert_eq!(
            stream.push_bytes(b"more") + &stream.finish(),
            if stop.is_some() { "" } else { "more" }
        );
    }
}

#[test]
fn streamed_text_is_the_decoded_text() {
    let mut noise = Noise(2);
    let text = "naïve 你好，世界 👩‍👩‍👧 🙂 안녕 e\u{301} \u{10FFFF} ascii";
    for _ in 0..200 {
        check_stream(&mut noise, text.as_bytes(), &[]);
    }
    // Bytes that are not UTF-8, or stop in the middle of a character.
    for _ in 0..2000 {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..noise.below(5) {
            let at = noise.below(bytes.len());
            bytes[at] = noise.next() as u8;
        }
        bytes.truncate(noise.below(bytes.len()) + 1);
        check_stream(&mut noise, &bytes, &[]);
    }
}

#[test]
fn a_stop_string_never_leaks() {
    let mut noise = Noise(3);
    let letters = ["a", "b", "é", "🙂", "\n"];
    let word = |noise: &mut Noise, most: usize| -> String {
        (0..noise.below(most + 1)).map(|_| letters[noise.below(letters.len())]).collect()
    };
    let mut stopped = 0;
    for _ in 0..5000 {
        let stops: Vec<String> = (0..1 + noise.below(3)).map(|_| word(&mut noise, 4)).collect();
        let text = word(&mut noise, 30);
        stopped += usize::from(up_to_stop(&text, &stops).1.is_some());
        check_stream(&mut noise, text.as_bytes(), &stops);
    }
    assert!(
        (1000..4900).contains(&stopped),
        "{stopped} of 5000 stop: too one-sided to test anything"
    );
}

#[test]
fn what_may_begin_a_stop_string_waits_and_no_more() {
    let mut stream = TextStream::continuing(&["END".into(), "<|x|>".into()]);
    let steps = [
        ("abE", "ab"),
        ("N", ""),
        ("d", "ENd"),
        ("<|", ""),
        ("y", "<|y"),
        ("EEN", "E"),
        ("D tail", ""),
    ];
    for (push, shows) in steps {
        assert_eq!(stream.push_bytes(push.as_bytes()), shows, "{push:?}");
    }
    assert_eq!(stream.finish(), "");
    assert_eq!(stream.stop(), Some("END"));
    let mut stream = TextStream::continuing(&["END".into()]);
    assert_eq!((stream.push_bytes(b"the EN").as_str(), stream.finish().as_str()), ("the ", "EN"));
}

#[test]
fn ids_stream_as_they_decode() {
    let golden: Vec<Row> = serde_json::from_str(PHI4_GOLDEN).unwrap();
    let pieces = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    for text in
        golden.iter().map(|row| row.text.as_str()).chain(["  two spaces", "<|user|>\nhi<|end|>"])
    {
        for t in [phi4(), smollm2(), &pieces] {
            let ids = t.encode(text, true).unwrap();
            let mut stream = TextStream::new(t, &[]);
            let shown: String = ids.iter().map(|&id| stream.push(t, id)).collect();
            assert_eq!(shown + &stream.finish(), t.decode(&ids, true).unwrap(), "{text:?}");
        }
    }
}

#[test]
fn sentencepiece_drops_one_leading_space_at_the_start_only() {
    let t = Tokenizer::from_vocabulary(phi3_like()).unwrap();
    let ids = t.encode("the", false).unwrap();
    let stream = |mut stream: TextStream| -> String {
        [&ids[..], &ids].concat().iter().map(|&id| stream.push(&t, id)).collect::<String>()
            + &stream.finish()
    };
    assert_eq!(stream(TextStream::new(&t, &[])), "the the");
    assert_eq!(stream(TextStream::continuing(&[])), " the the");
}

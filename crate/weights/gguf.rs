//! GGUF headers, versions 2 and 3: metadata and where the tensors lie.
//!
//! Only the header is read, in chunks that grow until it is whole. Every length in it is checked
//! against the file's size before anything is allocated, so that a header that lies costs no more
//! than the file is long.

mod metadata;
pub mod write;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use metadata::Number;
pub use metadata::{Metadata, Numbers, Value};

use super::source::{LONGEST_FILE, Source, foreign, missing, place, truncated, truncated_header};
use super::tensor::{Tensor, apart};
use crate::error::{Code, Error, Result};
use crate::layout::element_type::ElementType;

/// The first bytes of every GGUF file.
pub const MAGIC: &[u8; 4] = b"GGUF";
/// No header of a real model comes near: the largest vocabularies need 20 MB.
const LARGEST_HEADER: u64 = 128 << 20;
const FIRST_READ: u64 = 64 << 10;
const DEFAULT_ALIGNMENT: u64 = 32;

/// What one file's header says.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The metadata.
    pub metadata: Metadata,
    /// The tensors in the order of the header.
    pub tensors: Vec<Tensor>,
}

/// Reads the header of a file.
///
/// # Errors
/// `not-found`; `not-a-model` without the magic or for another version; `truncated` when the header
/// or a tensor ends behind the file; `malformed` when it contradicts itself.
pub async fn read_header(source: &impl Source, file: &str) -> Result<Header> {
    let place = &place(file, &source.name());
    let Some(size) = source.size(file).await? else {
        return Err(missing(place));
    };
    let mut bytes = Vec::new();
    let mut wanted = FIRST_READ;
    loop {
        let have = bytes.len();
        bytes.resize(wanted.min(size) as usize, 0);
        source.read(file, have as u64, &mut bytes[have..]).await?;
        match (Reader { bytes: &bytes, at: 0, file, place, size }).header() {
            Ok(header) => return Ok(header),
            Err(Stop::Short { needed }) if needed > size => {
                return Err(truncated_header(place, size));
            }
            Err(Stop::Cut { promised }) => {
                return Err(truncated(file, &source.name(), size, promised));
            }
            Err(Stop::Short { needed }) => {
                wanted = needed.max(4 * bytes.len() as u64).min(LARGEST_HEADER)
            }
            Err(Stop::Bad(error)) => return Err(error),
        }
    }
}

type Parse<T> = std::result::Result<T, Stop>;

/// Why a header was not read.
enum Stop {
    /// The file's first `needed` bytes are needed, at least.
    Short { needed: u64 },
    /// The tensors need so many bytes of the file.
    Cut { promised: u64 },
    /// Nothing will help.
    Bad(Error),
}

/// A cursor over what was read so far.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    file: &'a str,
    /// The file, for people.
    place: &'a str,
    size: u64,
}

impl<'a> Reader<'a> {
    fn header(mut self) -> Parse<Header> {
        let magic = &self.bytes[..self.bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(magic) {
            let why = "not a GGUF file, since it does not begin with GGUF; name one, or a model's \
                directory or its config.json";
            return Err(Stop::Bad(foreign(self.place, why, self.bytes)));
        }
        self.take(MAGIC.len() as u64)?;
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            let why = if (2..=3).contains(&version.swap_bytes()) {
                "it is big-endian".to_owned()
            } else {
                format!("GGUF version {version}")
            };
            let why = format!("{}: {why}; we read little-endian versions 2 and 3", self.place);
            return Err(Stop::Bad(Error::new(Code::NotAModel, why)));
        }
        // The least that a tensor and a pair of key and value can take.
        let (tensors, pairs) = (self.u64()?, self.u64()?);
        self.check_room("tensors", tensors, 24)?;
        self.check_room("keys", pairs, 13)?;
        let mut metadata = BTreeMap::new();
        for _ in 0..pairs {
            let key = self.text("a key")?;
            let id = self.u32()?;
            let value = self.value(id, &key)?;
            if metadata.contains_key(&key) {
                return Err(self.damaged(format_args!("{key} is there twice")));
            }
            metadata.insert(key, value);
        }
        let metadata = Metadata(metadata);
        if let Some((key, wanted)) = metadata.misfit() {
            return Err(self.damaged(format_args!("{key} must be {wanted}")));
        }
        let file: Arc<str> = self.file.into();
        let mut found = Vec::new();
        for _ in 0..tensors {
            found.push(self.tensor(&file)?);
        }
        self.place(&metadata, &mut found)?;
        Ok(Header { metadata, tensors: found })
    }

    fn damaged(&self, why: impl Display) -> Stop {
        Stop::Bad(Error::new(
            Code::Malformed,
            format!("{}: {why}; the file is damaged, fetch it again", self.place),
        ))
    }

    fn take(&mut self, bytes: u64) -> Parse<&'a [u8]> {
        let end = (self.at as u64).saturating_add(bytes);
        if end > LARGEST_HEADER {
            return Err(self.damaged(format_args!(
                "a header of {end} bytes or more, where {LARGEST_HEADER} are the most that any has"
            )));
        }
        if end > self.bytes.len() as u64 {
            return Err(Stop::Short { needed: end });
        }
        let taken = &self.bytes[self.at..end as usize];
        self.at = end as usize;
        Ok(taken)
    }

    /// Refuses a count of things that no header, or not this file, has room for.
    fn check_room(&self, what: &str, count: u64, least_bytes: u64) -> Parse<()> {
        if count > LARGEST_HEADER / least_bytes {
            return Err(self.damaged(format_args!("{count} {what}, which no model has")));
        }
        let needed = count * least_bytes + self.at as u64;
        if needed > self.size { Err(Stop::Short { needed }) } else { Ok(()) }
    }

    fn u32(&mut self) -> Parse<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn u64(&mut self) -> Parse<u64> {
        let (low, high) = (self.u32()?, self.u32()?);
        Ok(u64::from(low) | u64::from(high) << 32)
    }

    fn text(&mut self, what: &str) -> Parse<String> {
        let length = self.u64()?;
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self
                .damaged(format_args!("{what} is not UTF-8, at byte {}", self.at - bytes.len()))),
        }
    }

    fn value(&mut self, id: u32, key: &str) -> Parse<Value> {
        const TEXT: u32 = 8;
        const ARRAY: u32 = 9;
        if id == TEXT {
            return Ok(Value::Text(self.text(key)?));
        }
        if id != ARRAY {
            let number = self.number(id, key)?;
            return Ok(number.value(self.take(number.width() as u64)?));
        }
        let (id, count) = (self.u32()?, self.u64()?);
        if id != TEXT {
            let number = self.number(id, key)?;
            let bytes = self.take(count.saturating_mul(number.width() as u64))?.to_vec();
            return Ok(Value::Numbers(Numbers { number, bytes }));
        }
        self.check_room(&format!("texts in {key}"), count, 8)?;
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.text(key)?);
        }
        Ok(Value::Texts(texts))
    }

    fn number(&self, id: u32, key: &str) -> Parse<Number> {
        Number::from_id(id)
            .ok_or_else(|| self.damaged(format_args!("{key} has the unknown type {id}")))
    }

    /// A tensor, its offset still counted from where the data begin.
    fn tensor(&mut self, file: &Arc<str>) -> Parse<Tensor> {
        let name = self.text("a tensor's name")?;
        let dimensions = self.u32()?;
        if dimensions > 4 {
            return Err(self.damaged(format_args!(
                "{name} has {dimensions} dimensions, where GGUF has at most 4"
            )));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.insert(0, self.u64()?);
        }
        let stored = stored(self.u32()?);
        let offset = self.u64()?;
        let elements = shape.iter().try_fold(1u64, |all, &n| all.checked_mul(n));
        let bytes = match (&stored, elements) {
            (ElementType::Other(_), Some(_)) => Some(0),
            (_, Some(elements)) if whole_rows(&stored, &shape) => stored.bytes(elements),
            _ => None,
        };
        let Some(bytes) = bytes else {
            return Err(self.damaged(format_args!(
                "{name} of type {} cannot have the shape {shape:?}",
                stored.name()
            )));
        };
        Ok(Tensor { name, shape, stored, file: file.clone(), offset, bytes })
    }

    /// Counts the tensors' offsets from the file's begin and checks that they end within it.
    fn place(&self, metadata: &Metadata, tensors: &mut [Tensor]) -> Parse<()> {
        let alignment = metadata.unsigned("general.alignment").unwrap_or(DEFAULT_ALIGNMENT);
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(self.damaged(format_args!(
                "general.alignment is {alignment}, which is no power of two up to 2^20"
            )));
        }
        let data = (self.at as u64).next_multiple_of(alignment);
        for tensor in &mut *tensors {
            tensor.offset = tensor.offset.saturating_add(data);
        }
        let end = |tensor: &Tensor| tensor.offset.saturating_add(tensor.bytes);
        match tensors.iter().max_by_key(|tensor| end(tensor)) {
            Some(last) if end(last) > LONGEST_FILE => Err(self.damaged(format_args!(
                "{} would end at byte {}, which no file has",
                last.name,
                end(last)
            ))),
            Some(last) if end(last) > self.size => Err(Stop::Cut { promised: end(last) }),
            _ => apart(tensors).map_err(Stop::Bad),
        }
    }
}

/// Rows are quantised one by one: a block never spans two.
fn whole_rows(stored: &ElementType, shape: &[u64]) -> bool {
    let row = shape.last().copied().unwrap_or(1);
    stored.block().is_some_and(|(elements, _)| row % elements as u64 == 0)
}

fn stored(id: u32) -> ElementType {
    let other = match id {
        0 => return ElementType::F32,
        1 => return ElementType::F16,
        2 => return ElementType::Q4_0,
        3 => return ElementType::Q4_1,
        6 => return ElementType::Q5_0,
        7 => return ElementType::Q5_1,
        8 => return ElementType::Q8_0,
        10 => return ElementType::Q2K,
        11 => return ElementType::Q3K,
        12 => return ElementType::Q4K,
        13 => return ElementType::Q5K,
        14 => return ElementType::Q6K,
        20 => return ElementType::IQ4NL,
        23 => return ElementType::IQ4XS,
        30 => return ElementType::BF16,
        34 => return ElementType::TQ1_0,
        35 => return ElementType::TQ2_0,
        39 => return ElementType::MXFP4,
        9 => "Q8_1",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        _ => return ElementType::Other(format!("GGUF type {id}")),
    };
    ElementType::Other(other.to_owned())
}

const ENDING: &str = ".gguf";

/// Whether a file is named as GGUF files are, in whatever case: some systems have no other.
pub fn is_gguf(file: &str) -> bool {
    file.to_ascii_lowercase().ends_with(ENDING)
}

/// The names of all files of a split model, given any one of them: `x-00001-of-00003.gguf`. `None`
/// for a name of another form.
pub fn split_names(file: &str, count: u64) -> Option<Vec<String>> {
    let (stem, ending) =
        file.split_at_checked(file.len().checked_sub(ENDING.len())?).filter(|_| is_gguf(file))?;
    let (stem, of) = stem.rsplit_once("-of-")?;
    let (prefix, number) = stem.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(number) || !digits(of) || of.parse() != Ok(count) {
        return None;
    }
    Some((1..=count).map(|number| format!("{prefix}-{number:05}-of-{of}{ending}")).collect())
}

//! What `format` asks of a text, exactly or more strictly: what is written is one, though not
//! everything that is one may be written.

/// The formats that are enforced.
pub const KNOWN: [&str; 12] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "json-pointer",
    "relative-json-pointer",
    "time",
    "uri",
    "uuid",
];

/// A day of the years from 0000 to 9999.
const DATE: &str = concat!(
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))",
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)",
);
/// Without leap seconds, which come when they are decided.
const TIME: &str = concat!(
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?",
    "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
);
/// At most four labels, each of at most 62 characters, without two hyphens in a row.
const HOST: &str = concat!(
    "[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20}){0,2}",
    "(?:\\.[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20}){0,2}){0,3}",
);
const BYTE: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const GROUP: &str = "[0-9A-Fa-f]{1,4}";
const POINTER: &str = "(?:/(?:[^~/]|~[01])*)*";

/// The pattern of a format.
pub fn pattern(format: &str) -> Option<String> {
    let inside = match format {
        "date" => DATE.to_owned(),
        "time" => TIME.to_owned(),
        "date-time" => format!("{DATE}[Tt]{TIME}"),
        "duration" => {
            let time = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
            let date = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)";
            format!("P(?:[0-9]+W|{date}(?:{time})?|{time})")
        }
        "email" => {
            let word = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
            format!("{word}(?:\\.{word}){{0,2}}@{HOST}")
        }
        "hostname" => HOST.to_owned(),
        "ipv4" => format!("{BYTE}(?:\\.{BYTE}){{3}}"),
        "ipv6" => {
            let few = |count: usize| match count {
                0 => String::new(),
                1 => format!("(?:{GROUP})?"),
                count => format!("(?:{GROUP}(?::{GROUP}){{0,{}}})?", count - 1),
            };
            let exactly = |count: usize| match count {
                0 => String::new(),
                count => format!("{GROUP}(?::{GROUP}){{{}}}", count - 1),
            };
            let cut = (0..=7).map(|before| format!("{}::{}", exactly(before), few(7 - before)));
            cut.chain([exactly(8)]).collect::<Vec<_>>().join("|")
        }
        "json-pointer" => POINTER.to_owned(),
        "relative-json-pointer" => format!("(?:0|[1-9][0-9]*)(?:#|{POINTER})"),
        "uri" => {
            let plain = "[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}";
            let step = format!("(?:{plain}|[:@])");
            let path = format!("(?:/{step}*)*");
            format!(
                "[A-Za-z][A-Za-z0-9+.-]*:(?://(?:(?:{plain}|:)*@)?(?:{plain})*(?::[0-9]*)?{path}\
                    |/(?:{step}+{path})?|(?:{step}+{path})?)\
                    (?:\\?(?:{step}|[/?])*)?(?:#(?:{step}|[/?])*)?"
            )
        }
        "uuid" => "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}".to_owned(),
        _ => return None,
    };
    Some(format!("^(?:{inside})$"))
}

//! The simple types that XML Schema has.

use super::bounds::{Decimal, Side};
use super::lark::Lark;
use super::simple::{Blanks, Family, SPELT, Simple};
use super::{NAME, NAME_START};

/// White space in a row that is written where no pattern asks for more.
const MOST_BLANKS: usize = 16;
/// What every processor has to read.
const WHOLE: &str = "-?(?:0|[1-9][0-9]{0,17})";
const DAYS: &str = concat!(
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
);
const LEAP_YEARS: &str =
    "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const TIME: &str = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?";
const ZONE: &str = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?";

/// The type that XML Schema has under this name, or why it is refused.
pub(super) fn built_in(name: &str, lark: &mut Lark) -> std::result::Result<Simple, &'static str> {
    let mut text = |blanks, extra: &str| {
        let any = lark.terminal(&format!("/{SPELT}/"));
        let any = lark.terminal(&format!("{any}*{extra}"));
        let runs = format!(r"~/(?s:.)*[ \t\n]{{{}}}(?s:.)*/", MOST_BLANKS + 1);
        let plain = lark.terminal(&format!("{any} & {runs}"));
        Simple { family: Family::Text, blanks, plain, any }
    };
    let no_breaks = r" & ~/(?s:.)*[\t\n](?s:.)*/";
    match name {
        "string" | "anySimpleType" => return Ok(text(Blanks::Preserved, "")),
        "normalizedString" => return Ok(text(Blanks::Replaced, no_breaks)),
        "token" => {
            return Ok(text(
                Blanks::Collapsed,
                &format!(r"{no_breaks} & ~/ (?s:.)*|(?s:.)* |(?s:.)*  (?s:.)*/"),
            ));
        }
        "QName" | "NOTATION" => return Err("its values depend on namespaces: use xs:NCName"),
        "ID" | "IDREF" | "IDREFS" | "ENTITY" | "ENTITIES" => {
            return Err("it has to do with other values of the document: use xs:NCName");
        }
        _ => {}
    }
    let name_of = || format!("[{NAME_START}][{NAME}]*");
    let whole = |side: &str| match side {
        "" => WHOLE.to_owned(),
        sign => format!("{sign}[1-9][0-9]{{0,17}}"),
    };
    // Plainly, and in all ways.
    let (family, plain, any) = match name {
        "language" => (Family::Text, "[a-zA-Z]{1,8}(?:-[a-zA-Z0-9]{1,8})*".to_owned(), None),
        "Name" | "NCName" => (Family::Text, name_of(), None),
        "NMTOKEN" => (Family::Text, format!("[{NAME}]+"), None),
        "NMTOKENS" => (Family::List, format!("[{NAME}]+(?: [{NAME}]+)*"), None),
        "anyURI" => (Family::Text, uri(), None),
        "boolean" => (Family::Other, "true|false".to_owned(), Some("true|false|1|0".to_owned())),
        "decimal" => (
            Family::Decimal,
            r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,6})?".to_owned(),
            Some(r"[+-]?[0-9]+(?:\.[0-9]+)?".to_owned()),
        ),
        "float" | "double" => (
            Family::Float(if name == "float" { 6 } else { 15 }),
            r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?".to_owned(),
            Some(
                r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?|NaN|-?INF".to_owned(),
            ),
        ),
        "hexBinary" => {
            (Family::Hex, "(?:[0-9A-F]{2})*".to_owned(), Some("(?:[0-9A-Fa-f]{2})*".to_owned()))
        }
        "base64Binary" => (
            Family::Other,
            concat!(
                "(?:[A-Za-z0-9+\\/]{4})*(?:[A-Za-z0-9+\\/][AQgw]==",
                "|[A-Za-z0-9+\\/]{2}[AEIMQUYcgkosw048]=)?"
            )
            .to_owned(),
            None,
        ),
        "duration" => (Family::Other, duration(), None),
        "date" => (Family::Moment("0000-00-00"), date("", ""), None),
        "dateTime" => (Family::Moment("0000-00-00T00:00:00"), date("T", TIME), None),
        "time" => (Family::Moment("00:00:00"), format!("{TIME}{ZONE}"), None),
        "gYear" => (Family::Moment("0000"), format!("[0-9]{{4}}{ZONE}"), None),
        "gYearMonth" => {
            (Family::Moment("0000-00"), format!("[0-9]{{4}}-(?:0[1-9]|1[0-2]){ZONE}"), None)
        }
        "gMonthDay" => (Family::Moment("--00-00"), format!("--(?:{DAYS}|02-29){ZONE}"), None),
        "gMonth" => (Family::Moment("--00"), format!("--(?:0[1-9]|1[0-2]){ZONE}"), None),
        "gDay" => (Family::Moment("---00"), format!("---(?:0[1-9]|[12][0-9]|3[01]){ZONE}"), None),
        _ => {
            let (sign, least, most) = match name {
                "integer" => ("", None, None),
                "nonNegativeInteger" => ("", Some("0"), None),
                "positiveInteger" => ("", Some("1"), None),
                "nonPositiveInteger" => ("", None, Some("0")),
                "negativeInteger" => ("-", None, Some("-1")),
                "long" => ("", Some("-9223372036854775808"), Some("9223372036854775807")),
                "int" => ("", Some("-2147483648"), Some("2147483647")),
                "short" => ("", Some("-32768"), Some("32767")),
                "byte" => ("", Some("-128"), Some("127")),
                "unsignedLong" => ("", Some("0"), Some("18446744073709551615")),
                "unsignedInt" => ("", Some("0"), Some("4294967295")),
                "unsignedShort" => ("", Some("0"), Some("65535")),
                "unsignedByte" => ("", Some("0"), Some("255")),
                _ => return Err("it is no simple type that is known here: check its spelling"),
            };
            let ranges = [(least, Side::AtLeast), (most, Side::AtMost)]
                .into_iter()
                .filter_map(|(bound, side)| Some((Decimal::parse(bound?)?, side)))
                .map(|(bound, side)| lark.terminal(&bound.beyond(side)))
                .collect::<Vec<_>>();
            let within = |form: String| [vec![form], ranges.clone()].concat().join(" & ");
            let plain = lark.terminal(&within(format!("/{}/", whole(sign))));
            let any = lark.terminal(&within("/[+-]?[0-9]{1,24}/".to_owned()));
            let blanks = Blanks::Collapsed;
            return Ok(Simple { family: Family::Decimal, blanks, plain, any });
        }
    };
    // There was no year 0.
    let has_year = matches!(name, "date" | "dateTime" | "gYear" | "gYearMonth");
    let not = match name {
        "decimal" => r" & /[+-]?(?:[0-9]\.?){1,18}/",
        "duration" => r" & ~/.*[PT]/",
        _ if has_year => " & ~/0000.*/",
        _ => "",
    };
    let plain = lark.terminal(&format!("/{plain}/{not}"));
    let any = any.map_or_else(|| plain.clone(), |any| lark.terminal(&format!("/{any}/{not}")));
    Ok(Simple { family, blanks: Blanks::Collapsed, plain, any })
}

/// A date with a day that is in the calendar, and what is after it.
fn date(between: &str, time: &str) -> String {
    format!("(?:[0-9]{{4}}-{DAYS}|{LEAP_YEARS}-02-29){between}{time}{ZONE}")
}

fn duration() -> String {
    let part = |unit: char| format!("(?:[0-9]{{1,4}}{unit})?");
    let seconds = r"(?:[0-9]{1,4}(?:\.[0-9]{1,3})?S)?";
    let (date, time) = (["Y", "M", "D"], ["H", "M"]);
    let parts = |units: &[&str]| units.iter().flat_map(|unit| unit.chars()).map(part).collect();
    let (date, time): (String, String) = (parts(&date), parts(&time));
    format!("-?P{date}(?:T{time}{seconds})?")
}

/// Addresses with a scheme, and those within a place; no IPv6.
fn uri() -> String {
    let c = r"(?:[A-Za-z0-9._~!$'()*+,;=:@\-]|&amp;|%[0-9A-Fa-f]{2})";
    let host = r"[A-Za-z0-9][A-Za-z0-9.\-]*(?::[0-9]{1,4})?";
    let path = format!(r"{c}*(?:\/{c}+)*\/?");
    let query = format!(r"(?:\?(?:{c}|[\/?])*)?(?:#(?:{c}|[\/?])*)?");
    let relative = r"[A-Za-z0-9._~\-]+";
    let beyond = format!(r"https?:\/\/{host}(?:\/{path})?|urn:[a-z0-9]+:{c}+|mailto:{c}+");
    format!(r"(?:{beyond}|{relative}(?:\/{path})?){query}")
}

//! Facets of XML Schema that contradict one another are refused when the request is made, wherever
//! the type is, and what is not refused never comes to a dead end.

use phi_wasm::Code;
use phi_wasm::text::constraint::{Form, Spellings, check, grammars};
use proptest::prelude::*;

const XS: &str = "http://www.w3.org/2001/XMLSchema";
const NO_VALUE: &str = "no value has all that its facets ask for: loosen one";

fn facets(all: &[(&str, &str)]) -> String {
    all.iter().map(|(name, value)| format!("<xs:{name} value='{value}'/>")).collect()
}

fn narrowed(base: &str, all: &[(&str, &str)]) -> String {
    let base = if base.starts_with("own") { base.to_owned() } else { format!("xs:{base}") };
    let facets = facets(all);
    format!(
        "<xs:simpleType><xs:restriction base='{base}'>{facets}</xs:restriction></xs:simpleType>"
    )
}

fn schema(inner: &str, beside: &str) -> Form {
    Form::XmlSchema(format!(
        "<xs:schema xmlns:xs='{XS}'><xs:element name='a'>{inner}</xs:element>{beside}</xs:schema>"
    ))
}

fn refused(form: &Form, place: &str, why: &str) {
    let error = check(form).unwrap_err();
    assert_eq!(error.code, Code::BadConstraint, "{error}");
    assert_eq!(error.message, format!("xml_schema: {place}: {why}"), "{form:?}");
}

#[test]
fn facets_that_contradict_one_another_are_refused_with_their_place() {
    let own = "<xs:simpleType name='own'><xs:restriction base='xs:string'>\
        <xs:maxLength value='3'/></xs:restriction></xs:simpleType>";
    for (base, all) in [
        ("own", &[("minLength", "5")][..]),
        ("string", &[("minLength", "3"), ("pattern", "[a-z]{1,2}")]),
        ("string", &[("pattern", "[0-9]+"), ("enumeration", "red"), ("enumeration", "green")]),
        ("string", &[("enumeration", "four"), ("maxLength", "3")]),
        ("token", &[("pattern", "a  b")]),
        ("integer", &[("minInclusive", "8"), ("maxInclusive", "7")]),
        ("integer", &[("minExclusive", "7"), ("maxExclusive", "8")]),
        ("decimal", &[("minInclusive", "1000"), ("totalDigits", "3")]),
        ("decimal", &[("enumeration", "0.25"), ("fractionDigits", "1")]),
        ("byte", &[("minInclusive", "128")]),
        ("unsignedInt", &[("maxExclusive", "0")]),
        ("float", &[("minInclusive", "2"), ("maxInclusive", "1")]),
        ("date", &[("minInclusive", "2024-03-01"), ("maxInclusive", "2024-02-29")]),
        ("date", &[("pattern", "2023-02-29")]),
        ("boolean", &[("enumeration", "yes")]),
        ("hexBinary", &[("length", "2"), ("pattern", "A")]),
        ("NMTOKENS", &[("minLength", "3"), ("pattern", "a b")]),
    ] {
        let path = if base == "own" { "own".to_owned() } else { format!("xs:{base}") };
        let end = format!("simpleType/restriction[{path}]");
        let simple = narrowed(base, all);
        refused(&schema(&simple, own), &format!("/schema/element[a]/{end}"), NO_VALUE);
        // Where it is only one way of many, and far from the beginning.
        let choice = format!(
            "<xs:complexType><xs:sequence><xs:element name='b' type='xs:int'/><xs:choice>\
                <xs:element name='c' type='xs:int'/><xs:element name='d' minOccurs='0'>{simple}\
                </xs:element></xs:choice></xs:sequence></xs:complexType>"
        );
        let place = format!("/schema/element[a]/complexType/sequence/choice/element[d]/{end}");
        refused(&schema(&choice, own), &place, NO_VALUE);
        let attribute = format!(
            "<xs:complexType><xs:attribute name='b'>{simple}</xs:attribute></xs:complexType>"
        );
        let place = format!("/schema/element[a]/complexType/attribute[b]/{end}");
        refused(&schema(&attribute, own), &place, NO_VALUE);
    }
}

#[test]
fn values_that_cannot_be_written_are_refused_with_their_place() {
    let fixed = "<xs:complexType><xs:attribute name='b' type='xs:int' fixed='x'/></xs:complexType>";
    refused(
        &schema(fixed, ""),
        "/schema/element[a]/complexType/attribute[b]",
        "fixed is \"x\", which is no value of its type: give one",
    );
    let feeds = narrowed("string", &[("pattern", "a\\nb")]);
    let attribute =
        format!("<xs:complexType><xs:attribute name='b'>{feeds}</xs:attribute></xs:complexType>");
    refused(
        &schema(&attribute, ""),
        "/schema/element[a]/complexType/attribute[b]",
        "all its values have tabs or line feeds: use an element",
    );
    assert_eq!(check(&schema(&feeds, "")), Ok(()));
    // A length counts beside others, whichever comes first; no text is a value, too.
    for (all, is_refused) in [
        (&[("length", "5"), ("minLength", "3"), ("pattern", "a{3,4}")][..], true),
        (&[("minLength", "3"), ("length", "5"), ("pattern", "a{5}")], false),
        (&[("length", "0")], false),
        (&[("enumeration", "")], false),
    ] {
        let form = schema(&narrowed("string", all), "");
        assert_eq!(check(&form).is_err(), is_refused, "{all:?}");
    }
    // More types than are looked at together.
    let many = |last: &str| {
        let element = |at: usize| {
            let least = if at == 149 { last } else { "1" };
            let pattern = format!("a{{1,{at}}}");
            let all = [("minLength", least), ("maxLength", "200"), ("pattern", &pattern)];
            format!("<xs:element name='e{at}'>{}</xs:element>", narrowed("string", &all))
        };
        let all: String = (1..150).map(element).collect();
        schema(&format!("<xs:complexType><xs:sequence>{all}</xs:sequence></xs:complexType>"), "")
    };
    assert_eq!(check(&many("149")), Ok(()));
    assert!(check(&many("150")).is_err());
}

#[test]
fn what_asks_for_too_much_is_refused_with_its_place() {
    let pattern = "([ab]*a[ab]{30}|[ab]*b[ab]{31}){2,9}";
    let inner = narrowed("string", &[("pattern", pattern), ("minLength", "90000")]);
    let place = "/schema/element[a]/simpleType/restriction[xs:string]";
    refused(&schema(&inner, ""), place, "it asks for too much: loosen it");
}

/// What tells single bytes from one another.
fn bytes() -> Spellings {
    let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    tokens.push(Vec::new());
    Spellings { tokens, stop_tokens: vec![256], encode: None }
}

fn facet() -> impl Strategy<Value = (&'static str, String)> {
    let patterns = ["[a-c]{2,4}", "-?[0-9]{1,3}", "a|b&amp;|7", "[^a]*", "1.5|.0", "\\S+"];
    let patterns = proptest::sample::select(patterns.to_vec());
    prop_oneof![
        (0..6u32).prop_map(|n| ("minLength", n.to_string())),
        (0..6u32).prop_map(|n| ("maxLength", n.to_string())),
        (1..5u32).prop_map(|n| ("totalDigits", n.to_string())),
        (0..3u32).prop_map(|n| ("fractionDigits", n.to_string())),
        (-20..20i32).prop_map(|n| ("minInclusive", n.to_string())),
        (-200..200i32).prop_map(|n| ("maxExclusive", (f64::from(n) / 10.0).to_string())),
        patterns.prop_map(|pattern| ("pattern", pattern.to_owned())),
        "[a-c7.]{0,3}".prop_map(|text| ("enumeration", text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_not_refused_goes_on_until_it_ends(
        base in proptest::sample::select(vec!["string", "token", "decimal", "int", "NMTOKENS"]),
        all in proptest::collection::vec(facet(), 1..4),
        picks in proptest::collection::vec(0..u32::MAX, 120),
    ) {
        let all: Vec<_> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let inner = narrowed(base, &all);
        let form = schema(
            &format!(
                "<xs:complexType><xs:sequence><xs:element name='b'>{inner}</xs:element>\
                    </xs:sequence></xs:complexType>"
            ),
            "",
        );
        let grammars = grammars(bytes()).unwrap();
        let Ok(mut constraint) = grammars.constraint(&form) else { return Ok(()) };
        for pick in picks {
            let mask = constraint.mask().unwrap();
            let ways: Vec<u32> =
                (0..=256).filter(|id| mask[*id as usize / 32] >> (id % 32) & 1 == 1).collect();
            let token = ways[pick as usize % ways.len()];
            if token == 256 {
                break;
            }
            constraint.accept(token).unwrap();
            if constraint.is_over() {
                break;
            }
        }
    }
}

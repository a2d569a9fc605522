#![allow(clippy::unwrap_used)]

#[cfg(all(feature = "constraints", not(target_family = "wasm")))]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::*;

/// The schemas of tests/golden/xml_schema.
fn schemas() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/xml_schema");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut schemas: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|end| end == "xsd")).collect();
    schemas.sort();
    assert!(schemas.len() >= 12);
    schemas
}

/// Those are the grammars whose documents lxml has called valid: tests/golden/make/xml_schema.py.
#[test]
fn grammars_are_those_that_were_validated() {
    for schema in schemas() {
        let written = grammar(&fs::read_to_string(&schema).unwrap()).unwrap().text;
        let path = schema.with_extension("lark");
        if env::var_os("UPDATE_GRAMMARS").is_some() {
            fs::write(&path, &written).unwrap();
        }
        let validated = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, validated, "{}", schema.display());
    }
}

/// What lxml calls valid, as we write it, is accepted, and nothing that it calls invalid.
#[cfg(all(feature = "constraints", not(target_family = "wasm")))]
#[test]
fn documents_are_accepted_as_lxml_validates() {
    let documents = include_str!("../../../tests/golden/xml_schema/documents.json");
    let documents: BTreeMap<String, BTreeMap<String, Vec<String>>> =
        serde_json::from_str(documents).unwrap();
    let schemas = schemas();
    assert_eq!(documents.len(), schemas.len());
    for schema in schemas {
        let matcher = matcher(&grammar(&fs::read_to_string(&schema).unwrap()).unwrap().text);
        let of = &documents[schema.file_stem().unwrap().to_str().unwrap()];
        for (verdict, documents) in of {
            for document in documents {
                assert_eq!(
                    accepts(&matcher, document),
                    verdict == "valid",
                    "{}: {document}",
                    schema.display()
                );
            }
        }
    }
}

/// What takes documents of a grammar byte by byte.
#[cfg(all(feature = "constraints", not(target_family = "wasm")))]
fn matcher(grammar: &str) -> llguidance::Matcher {
    use llguidance::api::TopLevelGrammar;
    use llguidance::toktrie::ApproximateTokEnv;
    let tokens = ApproximateTokEnv::single_byte_env();
    let factory = llguidance::ParserFactory::new_simple(&tokens).unwrap();
    let grammar = TopLevelGrammar::from_lark(grammar.to_owned());
    llguidance::Matcher::new(factory.create_parser(grammar))
}

/// Whether all of a text is taken, and may end there.
#[cfg(all(feature = "constraints", not(target_family = "wasm")))]
fn accepts(matcher: &llguidance::Matcher, text: &str) -> bool {
    let mut matcher = matcher.deep_clone();
    let bytes: Vec<u32> = text.bytes().map(u32::from).collect();
    let taken = matcher.try_consume_tokens(&bytes).unwrap();
    taken == bytes.len() && matcher.is_accepting().unwrap()
}

#[cfg(all(feature = "constraints", not(target_family = "wasm")))]
#[test]
fn documents_are_like_a_sample() {
    let sample = concat!(
        "<?xml version='1.0'?>\n<!-- What we want. -->\n<menu xmlns='urn:m' day='2024-02-29'>",
        "<dish id='1'><name>Soup &amp; bread</name><price>4.50</price></dish>\n",
        "<dish id='2'><name>Pie</name><price>-3</price><hot>true</hot></dish><note/></menu>"
    );
    let matcher = matcher(&grammar(sample).unwrap().text);
    let dish = "<dish id=\"7\"><name>R&amp;D</name><price>1.5</price></dish>";
    let rows = [
        (format!("{dish}<note></note>"), true),
        (format!("{dish}{dish}\n  {dish}<note>Any &lt;text&gt;</note>"), true),
        (dish.replace("</dish>", "<hot>false</hot></dish>") + "<note></note>", true),
        ("<note></note>".to_owned(), false),
        (dish.to_owned(), false),
        (dish.replace("1.5", "cheap") + "<note></note>", false),
        (dish.replace(" id=\"7\"", "") + "<note></note>", false),
        (format!("{dish}<note><b></b></note>"), false),
    ];
    for (inner, is_like) in rows {
        let document = format!("<menu xmlns=\"urn:m\" day=\"2025-01-31\">{inner}</menu>");
        assert_eq!(accepts(&matcher, &document), is_like, "{inner}");
    }
}

/// A schema of one element with this type, and others beside it.
fn schema(inner: &str, beside: &str) -> String {
    format!(
        "<xs:schema xmlns:xs='{XS}'><xs:element name='a'>{inner}</xs:element>{beside}</xs:schema>"
    )
}

/// Why a schema is no grammar.
fn refused(xml: &str) -> Error {
    grammar(xml).err().unwrap()
}

fn restricted(base: &str, facets: &str) -> String {
    let restriction = format!("<xs:restriction base='xs:{base}'>{facets}</xs:restriction>");
    schema(&format!("<xs:simpleType>{restriction}</xs:simpleType>"), "")
}

fn complex(inner: &str) -> String {
    schema(&format!("<xs:complexType>{inner}</xs:complexType>"), "")
}

/// A number of times of what comes a number of times: all pairs of them.
#[cfg(all(feature = "constraints", not(target_family = "wasm")))]
#[test]
fn what_repeats_is_repeated() {
    let times = [(0, Some(1)), (0, None), (1, None), (2, Some(3)), (1, Some(1)), (0, Some(2))];
    let occurs = |(least, most): (usize, Option<usize>)| {
        let most = most.map_or("unbounded".to_owned(), |most| most.to_string());
        format!("minOccurs='{least}' maxOccurs='{most}'")
    };
    for (outer, inner) in times.iter().flat_map(|outer| times.map(|inner| (*outer, inner))) {
        let inside = format!("<xs:element name='b' type='xs:boolean' {}/>", occurs(inner));
        let xml = complex(&format!("<xs:sequence {}>{inside}</xs:sequence>", occurs(outer)));
        let matcher = matcher(&grammar(&xml).unwrap().text);
        for count in 0..12 {
            let is_so = |groups: usize| {
                count >= groups * inner.0 && inner.1.is_none_or(|most| count <= groups * most)
            };
            let is_valid = (outer.0..=outer.1.unwrap_or(12)).any(is_so);
            let document = format!("<a>{}</a>", "<b>true</b>".repeat(count));
            assert_eq!(accepts(&matcher, &document), is_valid, "{outer:?} of {inner:?}: {count}");
        }
    }
}

#[test]
fn what_a_grammar_does_not_hold_is_refused_with_its_place() {
    let simple = "/schema/element[a]/simpleType/restriction";
    let rows = [
        (
            "<!DOCTYPE a []><a/>".to_owned(),
            "it is no XML that is read here: XML with DTD detected".to_owned(),
        ),
        (
            schema("<xs:key name='k'/>", ""),
            "/schema/element[a]/key[k]: a grammar knows nothing of other places of the document: \
                leave it out"
                .to_owned(),
        ),
        (
            schema("", ""),
            "/schema/element[a]: it has no type, so that anything might be in it: give one"
                .to_owned(),
        ),
        (
            complex("<xs:sequence><xs:any/></xs:sequence>"),
            "/schema/element[a]/complexType/sequence/any: it allows anything: name the elements"
                .to_owned(),
        ),
        (
            complex("<xs:anyAttribute/>"),
            "/schema/element[a]/complexType/anyAttribute: it allows anything: name the attributes"
                .to_owned(),
        ),
        (
            complex("<xs:assert test='true()'/>"),
            "/schema/element[a]/complexType/assert: a grammar does not compute: leave it out"
                .to_owned(),
        ),
        (
            complex("<xs:sequence maxOccurs='20000'/>"),
            "/schema/element[a]/complexType/sequence: maxOccurs is \"20000\": it must be a whole \
                number, 10000 at the most"
                .to_owned(),
        ),
        (
            complex("<xs:sequence minOccurs='2'/>"),
            "/schema/element[a]/complexType/sequence: maxOccurs is below minOccurs: raise it"
                .to_owned(),
        ),
        (
            complex("<xs:attribute name='b' type='xs:ID'/>"),
            "/schema/element[a]/complexType/attribute[b]: xs:ID: it has to do with other values \
                of the document: use xs:NCName"
                .to_owned(),
        ),
        (
            complex("<xs:sequence><xs:element ref='b'/></xs:sequence>"),
            "/schema/element[a]/complexType/sequence/element[b]: \"b\" is not declared here: \
                declare it"
                .to_owned(),
        ),
        (
            schema("", "<xs:import namespace='urn:x'/>"),
            "/schema/import: other files are not read: put what is in it here".to_owned(),
        ),
        (
            schema("<xs:complexType mixed='true'/>", ""),
            "/schema/element[a]/complexType: text between elements is not known here: give it an \
                element"
                .to_owned(),
        ),
        (
            schema(
                "<xs:complexType><xs:group ref='g'/></xs:complexType>",
                "<xs:group name='g'><xs:sequence><xs:group ref='g'/></xs:sequence></xs:group>",
            ),
            "/schema/group[g]: it is made of itself".to_owned(),
        ),
        (
            complex("<xs:sequence><xs:element ref='a'/></xs:sequence>"),
            "an element must contain itself, so that no document would ever end".to_owned(),
        ),
        (
            restricted("base64Binary", "<xs:length value='3'/>"),
            format!(
                "{simple}[xs:base64Binary]/length: length is not enforced of this type: leave \
                it out, or use a pattern"
            ),
        ),
        (
            restricted("duration", "<xs:maxInclusive value='P1D'/>"),
            format!(
                "{simple}[xs:duration]/maxInclusive: maxInclusive is not enforced of this \
                type: leave it out"
            ),
        ),
        (
            restricted("date", "<xs:minInclusive value='2020-01-01+02:00'/>"),
            format!(
                "{simple}[xs:date]/minInclusive: minInclusive \"2020-01-01+02:00\" is no bound \
                that is known here: give it in the shape 0000-00-00, in no time zone or with Z, \
                with something beyond it"
            ),
        ),
        (
            restricted("float", "<xs:minExclusive value='0.1234567'/>"),
            format!(
                "{simple}[xs:float]/minExclusive: minExclusive \"0.1234567\" has more than the \
                6 digits that are exact in this type: use xs:decimal"
            ),
        ),
        (
            restricted("int", "<xs:assertion test='$value mod 2 = 0'/>"),
            format!("{simple}[xs:int]/assertion: test is not known here: leave it out"),
        ),
        (
            restricted("string", "<xs:whiteSpace value='trim'/>"),
            format!(
                "{simple}[xs:string]/whiteSpace: whiteSpace is \"trim\": it must be preserve, \
                replace or collapse"
            ),
        ),
        (
            restricted("string", "<xs:minLength value='4'/><xs:maxLength value='3'/>"),
            format!(
                "{simple}[xs:string]/minLength: the longest length is below the shortest: \
                raise it"
            ),
        ),
        (
            restricted("string", "<xs:minLength value='100000000'/>"),
            format!(
                "{simple}[xs:string]/minLength: minLength is 100000000: it must be 100000 at the \
                most"
            ),
        ),
        (
            restricted("string", "<xs:pattern value='(((a{1000}){1000})?b){2}'/>"),
            format!(
                "{simple}[xs:string]/pattern: the pattern has counts within counts that come to \
                more than 100000: lower them"
            ),
        ),
        (
            "<a><b/>text</a>".to_owned(),
            "/a: text between elements is not known here: give it an element of its own".to_owned(),
        ),
        (
            "<a><b/><c/><b/></a>".to_owned(),
            "/a/b: it comes in several places of the sample: give a schema, which says what may \
                come where"
                .to_owned(),
        ),
    ];
    for (xml, sentence) in rows {
        let error = refused(&xml);
        assert_eq!(error.code, Code::BadConstraint, "{xml}");
        assert!(
            error.message.starts_with(&format!("xml_schema: {sentence}")),
            "{xml}\n{}\n{sentence}",
            error.message
        );
    }
}

#[test]
fn patterns_that_are_none_are_refused() {
    let rows = [
        ("(a", "a group that does not end"),
        ("a)", "is none from \")\" on"),
        ("a**", "'*' where it has no meaning"),
        ("a{2,1}", "{2,1}, which is no number of times"),
        ("a{,2}", "{,2}, which is no number of times"),
        ("a{2", "braces that do not end"),
        ("[a", "a class that is none"),
        ("[]", "a class that is none"),
        ("[z-a]", "the range z-a, which is empty"),
        ("[a-\\d]", "a range up to a class"),
        ("[^\\i]", "\\i or \\c among what is excluded"),
        ("[a-z-[\\c]]", "\\i or \\c among what is excluded"),
        ("\\I", "\\I, which is not known here"),
        ("\\b", "\\b, which is not known here"),
        ("(?=a)", "'?' where it has no meaning"),
        ("\\p{IsGreek}", "\\p{IsGreek}, which is not known here"),
        ("\\p{Foo}", "\\p{Foo}, which is not known here"),
        ("\\pL", "\\p without a name in braces"),
        ("a\\", "a backslash at its end"),
    ];
    for (pattern, words) in rows {
        let facet = format!("<xs:pattern value='{pattern}'/>");
        let error = refused(&restricted("string", &facet));
        assert!(error.message.contains(words), "{pattern}: {}", error.message);
    }
    let deep = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
    let error = refused(&restricted("string", &format!("<xs:pattern value='{deep}'/>")));
    assert!(error.message.contains("nested more than 32 deep"));
}

#[test]
fn what_grows_without_end_is_refused() {
    let chain: String = (0..200)
        .map(|i| {
            format!(
                "<xs:simpleType name='t{i}'><xs:restriction base='t{}'/></xs:simpleType>",
                i + 1
            )
        })
        .collect();
    let xml = schema("<xs:simpleType><xs:restriction base='t0'/></xs:simpleType>", &chain);
    assert!(refused(&xml).message.contains("it is more than 64 deep"));
    // Each has all of the one before it, twice.
    let wide: String = (0..12)
        .map(|i| {
            let part = format!("<xs:sequence><xs:group ref='g{}'/></xs:sequence>", i + 1);
            let group = if i == 11 { "<xs:element ref='a'/>".to_owned() } else { part.repeat(2) };
            format!("<xs:group name='g{i}'><xs:choice>{group}</xs:choice></xs:group>")
        })
        .collect();
    let xml = schema("<xs:complexType><xs:group ref='g0' minOccurs='0'/></xs:complexType>", &wide);
    assert!(grammar(&xml).unwrap().text.len() < 10_000);
    let often = "<xs:sequence maxOccurs='10000'>".repeat(3);
    let inner = "<xs:element name='b' type='xs:int' minOccurs='0' maxOccurs='9'/>";
    let often = grammar(&complex(&format!("{often}{inner}{}", "</xs:sequence>".repeat(3))));
    assert!(often.unwrap().text.contains("{0,2147483647}"));
    let (mut deep, mut end) = (String::new(), String::new());
    for _ in 0..3000 {
        deep += "<xs:complexType><xs:sequence><xs:element name='b'>";
        end += "</xs:element></xs:sequence></xs:complexType>";
    }
    let error = refused(&schema(&format!("{deep}{end}"), ""));
    assert!(error.message.contains("it is more than 256 deep"), "{error}");
    assert!(error.message.starts_with("xml_schema: /schema/element[a]/complexType/sequence/"));
    assert!(error.message.len() < 300, "{error}");
    let long = format!("<xs:maxInclusive value='{}'/>", "a".repeat(1 << 19));
    let error = refused(&restricted("int", &long));
    assert!(error.message.ends_with("is no decimal number: give one"), "{error:.900}");
    assert!(error.message.len() < 600, "{error:.900}");
    assert!(refused(&"<a>".repeat(1 << 19)).message.contains("bytes"));
    assert!(grammar(&"<a>".repeat(1 << 16)).is_err());
}

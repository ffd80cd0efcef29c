//! Documents that must be refused, and with which code; odd ones that must not be. Each is also shown to `xmllint`:
//! nothing that we accept may be refused there, and what we refuse beyond it is said to be so.

use wire::acs_link::*;

use crate::documents::accepted_by_xmllint;

const HEAD: &str = r#"<Msg xmlns="urn:acs-link:1" v="1.0" id="019a9f3e-7c1a-7b7e-9f7e-000000000007" sentAt="2026-11-21T09:15:30.412+03:00""#;

/// A message without a number.
fn plain(body: &str) -> String {
    format!("{HEAD}>{body}</Msg>")
}

/// A durable one.
fn event(content: &str) -> String {
    format!(
        r#"{HEAD} stream="events" seq="5"><PassEvent eventId="e:1" occurredAt="2026-11-21T09:15:29+03:00" clock="synced">{content}</PassEvent></Msg>"#
    )
}

const POINT: &str = "<Point>gate-7</Point>";
const REST: &str = r#"<Direction>in</Direction><Result code="passed"/>"#;

fn noted(text: &str) -> String {
    event(&format!(r#"{POINT}{REST}<Ext name="note">{text}</Ext>"#))
}

fn bye() -> String {
    plain(r#"<Bye reason="shutdown"/>"#)
}

/// What we think of a document, beside what libxml2 thinks.
enum Verdict {
    /// Both accept it.
    Fine,
    /// Both refuse it.
    Refused(Code),
    /// We refuse what the schema would let pass: one of the limits, or a rule outside the schema.
    Stricter(Code),
}
use Verdict::{Fine, Refused, Stricter};

fn judge(cases: Vec<(&str, Vec<u8>, Verdict)>) {
    let documents: Vec<Vec<u8>> = cases.iter().map(|(_, document, _)| document.clone()).collect();
    let mut faults = vec![];
    for ((name, document, verdict), theirs) in cases.iter().zip(accepted_by_xmllint(&documents)) {
        let ours = read(document).map(drop).map_err(|refusal| refusal.code);
        let (wanted, wanted_theirs) = match verdict {
            Fine => (Ok(()), true),
            Refused(code) => (Err(*code), false),
            Stricter(code) => (Err(*code), true),
        };
        if (&ours, theirs) != (&wanted, wanted_theirs) {
            let shown = String::from_utf8_lossy(document);
            faults.push(format!("{name}: we {ours:?}, libxml2 {theirs}; not {wanted:?}, {wanted_theirs}: {shown}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn case(name: &str, document: impl Into<Vec<u8>>, verdict: Verdict) -> (&str, Vec<u8>, Verdict) {
    (name, document.into(), verdict)
}

#[test]
fn what_general_xml_readers_let_pass_is_refused() {
    use Code::{SchemaInvalid, XmlForbidden, XmlLimit, XmlMalformed};
    let doctype = |inside: &str| format!("<!DOCTYPE Msg {inside}>{}", bye());
    let lol = r#"[<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]"#;
    let decl = |text: &str| format!("{text}{}", bye());
    let deep = |depth: usize| plain(&format!("{}{}", "<Bye>".repeat(depth), "</Bye>".repeat(depth)));
    let attributes = |count: usize| {
        let more: String = (0..count).map(|place| format!(r#" p:a{place}="""#)).collect();
        bye().replace(" v=", &format!(r#"{more} xmlns:p="urn:x" v="#))
    };
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(bye().encode_utf16().flat_map(u16::to_le_bytes)).collect();
    judge(vec![
        case("a DOCTYPE", doctype(""), Stricter(XmlForbidden)),
        case("a DOCTYPE from elsewhere", doctype(r#"SYSTEM "http://127.0.0.1:9/x.dtd""#), Stricter(XmlForbidden)),
        case("billion laughs", doctype(lol).replace("shutdown", "&b;"), Stricter(XmlForbidden)),
        case("an outer entity", doctype(r#"[<!ENTITY x SYSTEM "file:///etc/passwd">]"#), Stricter(XmlForbidden)),
        case("a named entity", noted("&nbsp;"), Refused(XmlForbidden)),
        case("a named entity in an attribute", bye().replace("shutdown", "shut&down;"), Refused(XmlForbidden)),
        case("character 0", noted("&#0;"), Refused(XmlMalformed)),
        case("a surrogate", noted("&#xD800;"), Refused(XmlMalformed)),
        case("a number without end", noted("&#99999999999999999999;"), Refused(XmlMalformed)),
        case("a character beyond Unicode", noted("&#x110000;"), Refused(XmlMalformed)),
        case("a reference to a control character", noted("&#1;"), Refused(XmlMalformed)),
        case("a control character", noted("\u{1}"), Refused(XmlMalformed)),
        case("a control character between elements", bye().replace("><Bye", ">\u{c}<Bye"), Refused(XmlMalformed)),
        case("a non-character", noted("\u{FFFE}"), Refused(XmlMalformed)),
        case("another non-character", noted("&#xFFFF;"), Refused(XmlMalformed)),
        case("an element twice", event(&format!("{POINT}{POINT}{REST}")), Refused(SchemaInvalid)),
        case("an attribute twice", bye().replace(" v=", r#" v="1.0" v="#), Refused(XmlMalformed)),
        case(
            "an attribute twice by two prefixes",
            bye().replace(" v=", r#" xmlns:p="urn:x" xmlns:q="urn:x" p:a="1" q:a="2" v="#),
            Stricter(XmlMalformed),
        ),
        case("another namespace", bye().replace("urn:acs-link:1", "urn:acs-link"), Refused(SchemaInvalid)),
        case("another major", bye().replace("urn:acs-link:1", "urn:acs-link:2"), Refused(Code::VersionUnsupported)),
        case("no namespace", bye().replace(r#" xmlns="urn:acs-link:1""#, ""), Refused(SchemaInvalid)),
        case("an undeclared prefix", bye().replace(" v=", r#" p:a="1" v="#), Refused(XmlMalformed)),
        case("an undeclared prefix of an element", bye().replace("<Bye", "<p:Bye"), Refused(SchemaInvalid)),
        case(
            "a prefix for our namespace",
            bye()
                .replace("xmlns=", "xmlns:a=")
                .replace("<Msg", "<a:Msg")
                .replace("</Msg", "</a:Msg")
                .replace("<Bye", "<a:Bye"),
            Stricter(SchemaInvalid),
        ),
        case(
            "an attribute of ours by a prefix",
            bye().replace(" v=", r#" xmlns:x="urn:acs-link:1" x:v="#),
            Refused(SchemaInvalid),
        ),
        case(
            "an attribute of another namespace in place of ours",
            bye().replace(" id=", r#" xmlns:x="urn:x" x:id="#),
            Refused(SchemaInvalid),
        ),
        case("another root", bye().replace("Msg", "Message"), Refused(SchemaInvalid)),
        case("a second document", format!("{}{}", bye(), bye()), Refused(XmlMalformed)),
        case("junk behind the root", format!("{}x", bye()), Refused(XmlMalformed)),
        case("junk in front of the root", format!("x{}", bye()), Refused(XmlMalformed)),
        case("a zero behind the root", format!("{}\0", bye()), Stricter(XmlMalformed)),
        case("cut off", bye()[..bye().len() - 1].to_owned(), Refused(XmlMalformed)),
        case("another end", bye().replace("</Msg>", "</Bye>"), Refused(XmlMalformed)),
        case("an end with more letters", bye().replace("</Msg>", "</Msgs>"), Refused(XmlMalformed)),
        case("nothing", "", Refused(XmlMalformed)),
        case("only blanks", "  \n", Refused(XmlMalformed)),
        case(
            "lists that alternate",
            plain(
                r#"<Hello node="n" role="acs" epoch="019a9f3e-7c1a-7b7e-9f7e-000000000007" minV="1.0" maxV="1.0"><Received stream="commands" seq="1"/><Cap>a</Cap><Received stream="x" seq="1"/></Hello>"#,
            ),
            Refused(SchemaInvalid),
        ),
        case("129 deep", deep(129), Refused(SchemaInvalid)),
        case("24 attributes", attributes(19), Fine),
        case("25 attributes", attributes(20), Stricter(XmlLimit)),
        case("20,000 attributes", attributes(2_000), Stricter(XmlLimit)),
        case(
            "9 declarations",
            bye().replace(" v=", &((0..9).map(|n| format!(r#" xmlns:p{n}="urn:{n}""#)).collect::<String>() + " v=")),
            Stricter(XmlLimit),
        ),
        case(
            "an attribute of 513 characters",
            bye().replace(" v=", &format!(r#" xmlns:p="urn:x" p:a="{}" v="#, "Ж".repeat(513))),
            Stricter(XmlLimit),
        ),
        case(
            "an attribute of 512 characters",
            bye().replace(" v=", &format!(r#" xmlns:p="urn:x" p:a="{}" v="#, "Ж".repeat(512))),
            Fine,
        ),
        case("a text of 513 characters", noted(&"Ж".repeat(513)), Refused(XmlLimit)),
        case("a text of 257 characters", noted(&"Ж".repeat(257)), Refused(SchemaInvalid)),
        case("a text of 256 characters", noted(&"Ж".repeat(256)), Fine),
        case(
            "Windows-1251",
            [decl(r#"<?xml version="1.0" encoding="windows-1251"?>"#).into_bytes(), vec![]].concat(),
            Stricter(XmlForbidden),
        ),
        case(
            "bytes of Windows-1251",
            noted("?")
                .replace('?', "\u{1}")
                .into_bytes()
                .iter()
                .map(|byte| if *byte == 1 { 0xC6 } else { *byte })
                .collect::<Vec<u8>>(),
            Refused(XmlMalformed),
        ),
        case(
            "half a character",
            noted("Ж").into_bytes().into_iter().filter(|byte| *byte != 0x96).collect::<Vec<u8>>(),
            Refused(XmlMalformed),
        ),
        case(
            "an overlong character",
            [noted("Z").into_bytes()]
                .concat()
                .iter()
                .flat_map(|byte| if *byte == b'Z' { vec![0xC0, 0x80] } else { vec![*byte] })
                .collect::<Vec<u8>>(),
            Refused(XmlMalformed),
        ),
        case("UTF-16", utf16, Stricter(XmlMalformed)),
        case("a byte order mark", decl("\u{FEFF}"), Stricter(XmlForbidden)),
        case("a comment", plain(r#"<!-- --><Bye reason="shutdown"/>"#), Stricter(XmlForbidden)),
        case("a comment in a text", noted("12<!-- -->34"), Stricter(XmlForbidden)),
        case("a comment behind the root", format!("{}<!-- -->", bye()), Stricter(XmlForbidden)),
        case(
            "a comment in an empty element",
            bye().replace("/></Msg>", "><!-- --></Bye></Msg>"),
            Stricter(XmlForbidden),
        ),
        case("a processing instruction", plain(r#"<?php x?><Bye reason="shutdown"/>"#), Stricter(XmlForbidden)),
        case("a processing instruction in front", decl("<?x y?>"), Stricter(XmlForbidden)),
        case("a declaration that is late", decl("\n<?xml version=\"1.0\"?>"), Refused(XmlForbidden)),
        case("CDATA", noted("12<![CDATA[34]]>"), Stricter(XmlForbidden)),
        case("]]> in a text", noted("]]>"), Refused(XmlMalformed)),
        case("< in an attribute", bye().replace("shutdown", "shut<down"), Refused(XmlMalformed)),
        case(
            "xsi:nil",
            bye().replace(" v=", r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="false" v="#),
            Refused(SchemaInvalid),
        ),
        case(
            "xsi:schemaLocation",
            bye().replace(
                " v=",
                r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x y" v="#,
            ),
            Stricter(SchemaInvalid),
        ),
        case("xml:lang", bye().replace(" v=", r#" xml:lang="ru" v="#), Stricter(SchemaInvalid)),
    ]);
}

#[test]
fn odd_but_honest_documents_are_accepted() {
    let beat = |attributes: &str| plain(&format!("<Heartbeat {attributes}/>"));
    let seq = |seq: &str| event(&format!("{POINT}{REST}")).replace(r#"seq="5""#, &format!("seq=\"{seq}\""));
    let sent = |at: &str| bye().replace("2026-11-21T09:15:30.412+03:00", at);
    judge(vec![
        case("as it is", bye(), Fine),
        case("an XML declaration", format!("<?xml version=\"1.0\"?>{}", bye()), Fine),
        case("a whole one", format!("<?xml version='1.0' encoding = 'utf-8'  standalone='yes' ?>\n{}", bye()), Fine),
        case("indented", bye().replace("><", ">\r\n\t <") + "\n\n", Fine),
        case("apostrophes", bye().replace('"', "'"), Fine),
        case("blanks around =", bye().replace("v=", "v \n=\t"), Fine),
        case("blanks in tags", bye().replace("/>", "  />").replace("</Msg>", "</Msg \n>"), Fine),
        case("an empty element with two tags", bye().replace("/></Msg>", "></Bye></Msg>"), Fine),
        case("the namespace again", bye().replace("<Bye", r#"<Bye xmlns="urn:acs-link:1""#), Fine),
        case("the namespace written by references", bye().replace("urn:", "&#x75;rn&#58;"), Fine),
        case("an unused prefix inside", bye().replace("<Bye", r#"<Bye xmlns:p="urn:x""#), Fine),
        case("a foreign attribute", bye().replace(" v=", r#" xmlns:p="urn:x" p:trace="a&lt;b" v="#), Fine),
        case("a foreign attribute in Cyrillic", bye().replace(" v=", r#" xmlns:п="urn:x" п:след="1" v="#), Fine),
        case("entities", noted("&lt;&gt;&amp;&quot;&apos;&#65;&#x416;&#x1F600;"), Fine),
        case("]] and >", noted("]] > ]]&gt; >"), Fine),
        case("line ends", noted("a\r\nb\rc\nd&#13;"), Fine),
        case("delete and C1", noted("\u{7F}\u{85}\u{9F}"), Fine),
        case("an empty text", noted(""), Fine),
        case("a number with blanks", seq(" 5\t"), Refused(Code::SchemaInvalid)),
        case("a number with a sign", seq("+5"), Fine),
        case("a number with zeros", seq("000000000000000000000000000005"), Fine),
        case("the largest number", seq("9223372036854775807"), Fine),
        case("a larger one", seq("9223372036854775808"), Refused(Code::SchemaInvalid)),
        case("zero", seq("0"), Refused(Code::SchemaInvalid)),
        case("a negative one", seq("-5"), Refused(Code::SchemaInvalid)),
        case(
            "an unsigned number with blanks",
            beat(r#"clock="synced" queued=" 4294967295 ""#),
            Refused(Code::SchemaInvalid),
        ),
        case("an unsigned number", beat(r#"clock="synced" queued="0004294967295""#), Fine),
        case("one too large", beat(r#"clock="synced" queued="4294967296""#), Refused(Code::SchemaInvalid)),
        case("one with a sign", beat(r#"clock="synced" queued="+1""#), Refused(Code::SchemaInvalid)),
        case("no digits", beat(r#"clock="synced" queued="""#), Refused(Code::SchemaInvalid)),
        case("a boolean 1", bye().replace(" v=", r#" replay="1" v="#), Fine),
        case("a boolean with blanks", bye().replace(" v=", r#" replay=" false " v="#), Fine),
        case("a boolean of capitals", bye().replace(" v=", r#" replay="TRUE" v="#), Refused(Code::SchemaInvalid)),
        case("an instant with blanks", sent(" 2026-11-21T09:15:30Z "), Fine),
        case("midnight at the end of a day", sent("2026-11-21T24:00:00Z"), Fine),
        case("the last offset", sent("2026-11-21T09:15:30+14:00"), Fine),
        case("an offset beyond", sent("2026-11-21T09:15:30+14:01"), Refused(Code::SchemaInvalid)),
        case("30 February", sent("2026-02-30T09:15:30Z"), Refused(Code::SchemaInvalid)),
        case("29 February of a common year", sent("2026-02-29T09:15:30Z"), Refused(Code::SchemaInvalid)),
        case("29 February of a leap year", sent("2028-02-29T09:15:30Z"), Fine),
        case("second 60", sent("2026-12-31T23:59:60Z"), Refused(Code::SchemaInvalid)),
        case("year 0", sent("0000-01-01T00:00:00Z"), Refused(Code::SchemaInvalid)),
        case("year 1", sent("0001-01-01T00:00:00Z"), Fine),
        case("year 9999", sent("9999-12-31T24:00:00-14:00"), Fine),
        case("7 fraction digits", sent("2026-11-21T09:15:30.1234567Z"), Refused(Code::SchemaInvalid)),
        case("a token with a blank", event(&format!("<Point>gate-7 </Point>{REST}")), Refused(Code::SchemaInvalid)),
        case("a token by references", event(&format!("<Point>g&#97;te</Point>{REST}")), Fine),
        case("a UUID in capitals", bye().replace("7c1a", "7C1A"), Refused(Code::SchemaInvalid)),
        case("an unknown reason", bye().replace("shutdown", "moon-phase-9"), Fine),
        case("a reason that is none", bye().replace("shutdown", "Shutdown"), Refused(Code::SchemaInvalid)),
    ]);
}

#[test]
fn what_is_out_of_order_or_out_of_place_is_refused() {
    use Code::SchemaInvalid;
    let result = r#"<Result code="passed"/>"#;
    let ext = r#"<Ext name="n">x</Ext>"#;
    judge(vec![
        case("out of order", event(&format!("{REST}{POINT}")), Refused(SchemaInvalid)),
        case(
            "result in front of direction",
            event(&format!("{POINT}{result}<Direction>in</Direction>")),
            Refused(SchemaInvalid),
        ),
        case("something missing", event(POINT), Refused(SchemaInvalid)),
        case("something unknown", event(&format!("{POINT}{REST}<Photo/>")), Refused(SchemaInvalid)),
        case("text between elements", event(&format!("{POINT}x{REST}")), Refused(SchemaInvalid)),
        case("a reference between elements", event(&format!("{POINT}&#32;{REST}")), Fine),
        case(
            "a blank in an element that is empty",
            event(&format!("{POINT}<Direction>in</Direction><Result code=\"passed\"> </Result>")),
            Refused(SchemaInvalid),
        ),
        case(
            "an element in an element that is empty",
            bye().replace("/></Msg>", "><a/></Bye></Msg>"),
            Refused(SchemaInvalid),
        ),
        case("an element in a text", event(&format!("<Point>a<b/></Point>{REST}")), Refused(SchemaInvalid)),
        case("an unknown attribute", bye().replace("<Bye", r#"<Bye when="now""#), Refused(SchemaInvalid)),
        case("an unknown attribute of Msg", bye().replace(" v=", r#" w="1" v="#), Refused(SchemaInvalid)),
        case(
            "a foreign attribute inside",
            bye().replace("<Bye", r#"<Bye xmlns:p="urn:x" p:a="1""#),
            Refused(SchemaInvalid),
        ),
        case("another namespace inside", bye().replace("<Bye", r#"<Bye xmlns="urn:x""#), Refused(SchemaInvalid)),
        case("no namespace inside", bye().replace("<Bye", r#"<Bye xmlns="""#), Refused(SchemaInvalid)),
        case("an unknown message", bye().replace("Bye", "Farewell"), Refused(SchemaInvalid)),
        case("two messages", plain(r#"<Bye reason="a"/><Bye reason="a"/>"#), Refused(SchemaInvalid)),
        case("no message", plain(""), Refused(SchemaInvalid)),
        case("Msg alone", format!("{HEAD}/>"), Refused(SchemaInvalid)),
        case("no Received in Ack", plain("<Ack/>"), Refused(SchemaInvalid)),
        case(
            "65 Received",
            plain(&format!("<Ack>{}</Ack>", r#"<Received stream="a" seq="0"/>"#.repeat(65))),
            Refused(SchemaInvalid),
        ),
        case("64 Received", plain(&format!("<Ack>{}</Ack>", r#"<Received stream="a" seq="0"/>"#.repeat(64))), Fine),
        case("17 Ext", event(&format!("{POINT}{REST}{}", ext.repeat(17))), Refused(Code::XmlLimit)),
        case("16 Ext", event(&format!("{POINT}{REST}{}", ext.repeat(16))), Fine),
        case(
            "no credential value",
            event(&format!("{POINT}<Credential format=\"qr\"></Credential>{REST}")),
            Refused(SchemaInvalid),
        ),
        case(
            "a durable message without a number",
            event(&format!("{POINT}{REST}")).replace(r#" seq="5""#, ""),
            Stricter(SchemaInvalid),
        ),
        case(
            "a durable message of another stream",
            event(&format!("{POINT}{REST}")).replace("events", "commands"),
            Stricter(SchemaInvalid),
        ),
        case(
            "a number where none belongs",
            bye().replace(" v=", r#" stream="events" seq="5" v="#),
            Stricter(SchemaInvalid),
        ),
        case(
            "an answer in no time",
            plain(
                r#"<AccessRequest occurredAt="2026-11-21T09:15:30Z" answerWithinMs="49" fallback="deny"><Point>a</Point><Credential format="qr">x</Credential><Direction>in</Direction></AccessRequest>"#,
            ),
            Refused(SchemaInvalid),
        ),
    ]);
}

#[test]
fn what_is_not_well_formed_is_refused() {
    use Code::XmlMalformed;
    judge(
        [
            ("no blank between attributes", bye().replace("\" id", "\"id")),
            ("no quotes", bye().replace("\"1.0\"", "1.0")),
            ("two kinds of quotes", bye().replace("\"1.0\"", "\"1.0'")),
            ("an attribute without a value", bye().replace("v=\"1.0\"", "v")),
            ("an attribute without a name", bye().replace("v=\"1.0\"", "=\"1.0\"")),
            ("a name that begins with a digit", bye().replace(" v=", " 1v=\"\" v=")),
            ("a blank in front of a name", bye().replace("<Bye", "< Bye")),
            ("a blank in an end", bye().replace("</Msg", "</ Msg")),
            ("a slash and a blank", bye().replace("/>", "/ >")),
            ("an attribute in an end", bye().replace("</Msg>", "</Msg a=\"\">")),
            ("& alone", noted("a & b")),
            ("& without ;", noted("&amp")),
            ("& and a digit", noted("&1;")),
            ("a reference without digits", noted("&#;")),
            ("a reference without hexadecimal digits", noted("&#x;")),
            ("a reference with a sign", noted("&#+65;")),
            ("a reference of capitals", noted("&#X41;")),
            ("a prefix without a name", bye().replace(" v=", " xmlns:p=\"urn:x\" p:=\"\" v=")),
            ("a name without a prefix", bye().replace(" v=", " :a=\"\" v=")),
            ("two ends", format!("{}</Msg>", bye())),
            ("half a declaration", format!("<?xml version=\"1.0\"{}", bye())),
            ("a declaration without a version", format!("<?xml encoding=\"UTF-8\"?>{}", bye())),
            ("a declaration out of order", format!("<?xml encoding=\"UTF-8\" version=\"1.0\"?>{}", bye())),
            ("a declaration without blanks", format!("<?xml version=\"1.0\"encoding=\"UTF-8\"?>{}", bye())),
            ("stray text that is no text", event("]]>")),
        ]
        .map(|(name, document)| case(name, document, Refused(XmlMalformed)))
        .into(),
    );
}

/// libxml2's tool reports these and goes on.
#[test]
fn what_breaks_the_rules_of_namespaces_is_refused() {
    judge(
        [
            ("two colons", bye().replace(" v=", " xmlns:p=\"urn:x\" p:a:b=\"\" v=")),
            ("a prefix for nothing", bye().replace(" v=", " xmlns:p=\"\" v=")),
            ("the prefix xmlns", bye().replace(" v=", " xmlns:xmlns=\"urn:x\" v=")),
            ("another namespace for xml", bye().replace(" v=", " xmlns:xml=\"urn:x\" v=")),
        ]
        .map(|(name, document)| case(name, document, Stricter(Code::XmlMalformed)))
        .into(),
    );
}

/// Each of these costs a general reader memory, stack or a square of its length.
#[test]
fn what_is_too_much_is_refused_however_much_it_is() {
    use Code::{FrameTooLarge, SchemaInvalid, XmlLimit};
    let attributes = |count: usize| {
        let more: String = (0..count).map(|place| format!(" a{place}=\"\"")).collect();
        bye().replace(" v=", &format!("{more} v="))
    };
    for (name, document, code) in [
        ("a million deep", plain(&"<a>".repeat(1_000_000)), FrameTooLarge),
        ("20,000 deep", plain(&"<a>".repeat(20_000)), SchemaInvalid),
        ("20,000 attributes", attributes(20_000), FrameTooLarge),
        ("6,000 attributes", attributes(6_000), XmlLimit),
        ("an attribute of 20 MB", bye().replace("shutdown", &"a".repeat(20_000_000)), FrameTooLarge),
        ("an attribute of 60,000 bytes", bye().replace("shutdown", &"a".repeat(60_000)), XmlLimit),
        ("a text of 60,000 bytes", noted(&"a".repeat(60_000)), XmlLimit),
        ("10,000 references", noted(&"&amp;".repeat(10_000)), XmlLimit),
        ("100,000 list elements", plain(&format!("<Ack>{}</Ack>", "<Received/>".repeat(100_000))), FrameTooLarge),
        (
            "1,000 list elements",
            plain(&format!("<Ack>{}</Ack>", r#"<Received stream="a" seq="1"/>"#.repeat(1_000))),
            SchemaInvalid,
        ),
    ] {
        assert_eq!(read(document.as_bytes()).map_err(|refusal| refusal.code), Err(code), "{name}");
    }
}

#[test]
fn a_document_cut_anywhere_is_refused() {
    let whole = noted("Главный вход &amp; <").replace("&amp; <", "&amp; &lt;").into_bytes();
    assert!(read(&whole).is_ok());
    for cut in 0..whole.len() {
        let code = read(&whole[..cut]).unwrap_err().code;
        assert_eq!(code, Code::XmlMalformed, "{}", String::from_utf8_lossy(&whole[..cut]));
    }
}

#[test]
fn a_refusal_repeats_nothing_that_came() {
    let secret = "SECRET";
    for document in [
        noted(&format!("&{secret};")),
        event(&format!("<Point>{secret} </Point>{REST}")),
        event(&format!("<{secret}/>")),
        bye().replace("shutdown", secret),
        bye().replace(" v=", &format!(" {secret}=\"{secret}\" v=")),
        bye().replace("Bye", secret),
        bye().replace("urn:acs-link:1", secret),
        event(&format!("{POINT}<Credential format=\"{secret}\">{secret}</Credential>{REST}")),
    ] {
        let refusal = read(document.as_bytes()).unwrap_err();
        assert!(!refusal.to_string().contains(secret), "{refusal}");
        assert!(refusal.fatal() && refusal.text.len() < 200, "{refusal}");
    }
}

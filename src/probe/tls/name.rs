//! Distinguished names as the incumbent prints them, which is how Go's `pkix.Name.String` does: RFC 2253 style, but
//! with the attributes in an order of its own, whatever the certificate has.

use std::fmt::Write as _;

use x509_parser::x509::X509Name;

/// Attributes that Go knows by name, last printed first: (OID, short name, whether several are joined into one RDN).
const KNOWN: [(&str, &str, Repeat); 9] = [
    ("2.5.4.6", "C", Repeat::Joined),
    ("2.5.4.10", "O", Repeat::Joined),
    ("2.5.4.11", "OU", Repeat::Joined),
    ("2.5.4.7", "L", Repeat::Joined),
    ("2.5.4.8", "ST", Repeat::Joined),
    ("2.5.4.9", "STREET", Repeat::Joined),
    ("2.5.4.17", "POSTALCODE", Repeat::Joined),
    ("2.5.4.3", "CN", Repeat::LastOnly),
    ("2.5.4.5", "SERIALNUMBER", Repeat::LastOnly),
];

#[derive(Clone, Copy, PartialEq)]
enum Repeat {
    Joined,
    LastOnly,
}

/// `CN=example.org,O=Example,C=SE`. Attributes without a short name come last, as `1.2.3=#hex`.
pub(super) fn to_text(name: &X509Name<'_>) -> Box<str> {
    let attributes: Vec<(String, String)> = name
        .iter_attributes()
        .map(|attribute| {
            let value = match attribute.as_str() {
                Ok(text) => text.to_owned(),
                Err(_) => decode(attribute.attr_value().tag().0, attribute.as_slice()),
            };
            (attribute.attr_type().to_id_string(), value)
        })
        .collect();

    let mut rdns: Vec<String> = Vec::new();
    for (oid, value) in attributes.iter().filter(|(oid, _)| !KNOWN.iter().any(|(known, ..)| known == oid)) {
        rdns.push(format!("{oid}=#{}", marshalled(value)));
    }
    for (oid, short, repeat) in KNOWN {
        let mut values = attributes.iter().filter(|(o, _)| o == oid).map(|(_, value)| value.as_str());
        let rdn = match repeat {
            Repeat::Joined => values.map(|value| attribute_text(short, value)).collect::<Vec<_>>().join("+"),
            // Go keeps the last and drops an empty one.
            Repeat::LastOnly => {
                values.next_back().filter(|v| !v.is_empty()).map(|v| attribute_text(short, v)).unwrap_or_default()
            }
        };
        if !rdn.is_empty() {
            rdns.push(rdn);
        }
    }
    rdns.reverse();
    rdns.join(",").into_boxed_str()
}

/// BMPString is UTF-16, T61String is taken as Latin-1; anything else that is no UTF-8 is read as well as it goes.
fn decode(tag: u32, bytes: &[u8]) -> String {
    const T61: u32 = 20;
    const BMP: u32 = 30;
    match tag {
        BMP => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        T61 => bytes.iter().map(|&byte| char::from(byte)).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn attribute_text(short: &str, value: &str) -> String {
    let mut text = String::with_capacity(short.len() + 1 + value.len());
    text.push_str(short);
    text.push('=');
    let last = value.len().saturating_sub(1);
    for (index, c) in value.char_indices() {
        let escape = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => index == 0 || index == last,
            '#' => index == 0,
            _ => false,
        };
        if escape {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// The DER that Go would make of the value: PrintableString where the characters allow it, else UTF8String.
fn marshalled(value: &str) -> String {
    const PRINTABLE: u8 = 0x13;
    const UTF8: u8 = 0x0c;
    let printable = value.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'\'' | b'(' | b')' | b'+'..=b'/' | b' ' | b':' | b'=' | b'?')
    });
    let mut hex = String::with_capacity(value.len() * 2 + 8);
    let mut push = |byte: u8| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    };
    push(if printable { PRINTABLE } else { UTF8 });
    match u8::try_from(value.len()) {
        Ok(short @ 0..=127) => push(short),
        _ => {
            let length = value.len().to_be_bytes();
            let significant = length.iter().copied().skip_while(|&b| b == 0);
            push(0x80 | u8::try_from(significant.clone().count()).unwrap_or(0));
            significant.for_each(&mut push);
        }
    }
    value.bytes().for_each(push);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_go_does() {
        for (value, expected) in [
            ("plain", "CN=plain"),
            ("Example, Inc.", r"CN=Example\, Inc."),
            (" both ", r"CN=\ both\ "),
            ("#1", r"CN=\#1"),
            ("a#1", "CN=a#1"),
            (r#"<"a+b;c\d">"#, r#"CN=\<\"a\+b\;c\\d\"\>"#),
            ("", "CN="),
        ] {
            assert_eq!(attribute_text("CN", value), expected);
        }
    }

    #[test]
    fn unknown_attributes_are_hex_of_their_der() {
        assert_eq!(marshalled("abc"), "1303616263");
        assert_eq!(marshalled("a@b"), "0c03614062");
        assert_eq!(marshalled(""), "1300");
        let long = "x".repeat(300);
        assert!(marshalled(&long).starts_with("1382012c7878"));
        assert!(marshalled(&"y".repeat(130)).starts_with("138182"));
    }
}

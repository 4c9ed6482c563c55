//! Go's `regexp.Expand`, whose rules users write `send` and label templates by.
//!
//! The regex crate has the same family of rules, but differs where a template is malformed: Go keeps `${a.b}` and
//! `${1` as they stand, the crate drops or looks up. A name is as long as it can be, so `$1x` is the group `1x`.

use crate::config::Groups;

/// Replaces `$name`, `${name}` and `$$`. A group that is not there, or took no part in the match, is empty.
pub(in crate::probe) fn expand(template: &[u8], groups: &Groups<'_>) -> Vec<u8> {
    let mut expanded = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some(place) = rest.iter().position(|&byte| byte == b'$') {
        expanded.extend_from_slice(&rest[..place]);
        rest = &rest[place + 1..];
        if let Some(after) = rest.strip_prefix(b"$") {
            expanded.push(b'$');
            rest = after;
        } else if let Some((name, after)) = reference(rest) {
            expanded.extend_from_slice(group(name, groups));
            rest = after;
        } else {
            expanded.push(b'$');
        }
    }
    expanded.extend_from_slice(rest);
    expanded
}

/// The name after a dollar sign, and what follows it; `None` when it is none.
fn reference(text: &[u8]) -> Option<(&str, &[u8])> {
    let (braced, inner) = match text.strip_prefix(b"{") {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let length = inner.iter().take_while(|&&byte| byte.is_ascii_alphanumeric() || byte == b'_').count();
    let (name, after) = inner.split_at(length);
    if name.is_empty() {
        return None;
    }
    let after = if braced { after.strip_prefix(b"}")? } else { after };
    Some((std::str::from_utf8(name).ok()?, after))
}

fn group<'a>(name: &str, groups: &Groups<'a>) -> &'a [u8] {
    // Go: digits are a number, but not with a zero in front or beyond 10^8.
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let found = match name.parse::<usize>() {
        Ok(number) if is_number => groups.number(number),
        Ok(_) | Err(_) => groups.name(name),
    };
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Pattern;

    #[test]
    fn templates_expand_as_in_go() {
        let pattern = Pattern::new(r"(\w+)=(?P<value>\w+)( never)?").unwrap();
        let groups = pattern.groups(b"key=v1").unwrap();
        for (template, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$1", "key"),
            ("${1}", "key"),
            ("$0!", "key=v1!"),
            ("$1x", ""),
            ("${1}x", "keyx"),
            ("$value-$1", "v1-key"),
            ("${value}", "v1"),
            ("$3", ""),
            ("$9", ""),
            ("$nothing", ""),
            ("$01", ""),
            ("$$1", "$1"),
            ("$$$1", "$key"),
            ("$", "$"),
            ("a$ b", "a$ b"),
            ("${", "${"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("${a.b}", "${a.b}"),
            ("$-$", "$-$"),
            ("$18446744073709551617", ""),
        ] {
            let expanded = expand(template.as_bytes(), &groups);
            assert_eq!(String::from_utf8(expanded).unwrap(), expected, "{template:?}");
        }
        assert_eq!(expand(b"\xff$1\xfe", &groups), b"\xffkey\xfe");
    }
    #[test]
    fn what_is_sent_back_are_the_bytes_that_came() {
        let pattern = Pattern::new(r"^\+OK (?P<1st>.)(.*) <(?<stamp>[^>]+)>").unwrap();
        let groups = pattern.groups(b"+OK \xfc\xe6\x97 \xc3\xbc <\xff@h>").unwrap();
        let twice = Pattern::new("(?P<n>a)|(?P<n>b)").unwrap();
        assert_eq!(expand(b"<$n>", &twice.groups(b"b").unwrap()), b"<b>");
        assert_eq!(expand(b"$1st|$2|${stamp}|$1", &groups), b"\xfc|\xe6\x97 \xc3\xbc|\xff@h|\xfc");
    }
}

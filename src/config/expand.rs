//! `${VAR}` and `${VAR:-default}` in string values, after the YAML is parsed, so a value can never change the structure.
//!
//! Left alone, because blackbox_exporter's modules are full of dollar signs: a `$` before anything but `{`, `${1}` (a
//! group of a tcp `expect`), and `${name}` in a dialogue that has a group of that name. `$$` is a dollar sign.

use super::node::Node;
use super::problem::{At, Expansion, Problems};

/// Where variables come from; tests have their own.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every string below `node`.
pub(super) fn expand(node: &mut Node, environment: Environment<'_>, at: &At<'_>, problems: &mut Problems) {
    walk(node, environment, &[], at, problems);
}

/// Whether expansion would change nothing below `node`, whatever the environment.
pub(super) fn is_left_alone(node: &Node) -> bool {
    fn walk(node: &Node, groups: &[String]) -> bool {
        match node {
            Node::Text(text) => {
                !text.contains("$$") && pieces(text, groups).iter().all(|piece| matches!(piece, Piece::Literal(_)))
            }
            Node::List(items) => items.iter().all(|item| walk(item, groups)),
            Node::Map(entries) => entries.iter().all(|(key, child)| {
                let own = if key == "query_response" { named_groups(child) } else { Vec::new() };
                walk(child, if own.is_empty() { groups } else { &own })
            }),
            Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(..) | Node::Binary(_) => true,
        }
    }
    walk(node, &[])
}

fn walk(node: &mut Node, environment: Environment<'_>, groups: &[String], at: &At<'_>, problems: &mut Problems) {
    match node {
        Node::Text(text) => {
            if text.contains('$')
                && let Some(value) = scalar(text, environment, groups, at, problems)
            {
                *node = value;
            }
        }
        Node::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, environment, groups, &at.index(index), problems);
            }
        }
        Node::Map(entries) => {
            for (key, child) in entries.iter_mut() {
                let own = if key == "query_response" { named_groups(child) } else { Vec::new() };
                let groups = if own.is_empty() { groups } else { &own };
                walk(child, environment, groups, &at.key(key), problems);
            }
        }
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(..) | Node::Binary(_) => {}
    }
}

/// The names in `(?P<name>...)` of a dialogue's `expect`s: `${name}` after them means the group.
fn named_groups(steps: &Node) -> Vec<String> {
    let Node::List(steps) = steps else { return Vec::new() };
    let mut names = Vec::new();
    for step in steps {
        let Some(Node::Text(pattern)) = step.get("expect") else { continue };
        for marker in ["(?P<", "(?<"] {
            for part in pattern.split(marker).skip(1) {
                if let Some((name, _)) = part.split_once('>') {
                    names.push(name.to_owned());
                }
            }
        }
    }
    names
}

/// One piece of a string with dollar signs in it.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    Variable { name: &'a str, default: Option<&'a str> },
    Unclosed,
    BadName(&'a str),
}

fn pieces<'a>(text: &'a str, groups: &[String]) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let after = &rest[dollar + 1..];
        if let Some(behind) = after.strip_prefix('$') {
            pieces.push(Piece::Literal(&rest[..=dollar]));
            rest = behind;
        } else if let Some(inner) = after.strip_prefix('{') {
            let stays = inner.starts_with(|c: char| !(c.is_ascii_alphabetic() || c == '_'));
            if stays || inner.is_empty() {
                // `${1}`, and what cannot be a name at all, such as the end of a regular expression.
                pieces.push(Piece::Literal(&rest[..dollar + 2]));
                rest = inner;
                continue;
            }
            pieces.push(Piece::Literal(&rest[..dollar]));
            let Some(close) = inner.find('}') else {
                pieces.push(Piece::Unclosed);
                return pieces;
            };
            let body = &inner[..close];
            let (name, default) = match body.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (body, None),
            };
            if groups.iter().any(|group| group == name) {
                pieces.push(Piece::Literal(&rest[dollar..dollar + 2 + close + 1]));
            } else if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                pieces.push(Piece::Variable { name, default });
            } else {
                pieces.push(Piece::BadName(body));
            }
            rest = &inner[close + 1..];
        } else {
            pieces.push(Piece::Literal(&rest[..=dollar]));
            rest = after;
        }
    }
    pieces.push(Piece::Literal(rest));
    pieces
}

/// `None` when nothing is to be changed.
fn scalar(
    text: &str,
    environment: Environment<'_>,
    groups: &[String],
    at: &At<'_>,
    problems: &mut Problems,
) -> Option<Node> {
    let pieces = pieces(text, groups);
    let mut expanded = String::with_capacity(text.len());
    let mut variables = Vec::new();
    let mut failed = false;
    for piece in &pieces {
        match piece {
            Piece::Literal(literal) => expanded.push_str(literal),
            Piece::Variable { name, default } => match (environment(name), default) {
                // As in a shell: `:-` also stands in for an empty value.
                (Some(value), None) => {
                    expanded.push_str(&value);
                    variables.push(((*name).to_owned(), value));
                }
                (Some(value), Some(_)) if !value.is_empty() => {
                    expanded.push_str(&value);
                    variables.push(((*name).to_owned(), value));
                }
                (_, Some(default)) => expanded.push_str(default),
                (None, None) => {
                    failed = true;
                    problems.add(
                        at,
                        format!("the environment variable {name} is not set; set it, or write ${{{name}:-default}}"),
                    );
                }
            },
            Piece::Unclosed => {
                failed = true;
                problems.add(at, "${ is not closed by }; write $${ for a plain ${");
            }
            Piece::BadName(name) => {
                failed = true;
                problems
                    .add(at, format!("${{{name}}} is not ${{NAME}} or ${{NAME:-default}}; write $${{ for a plain ${{"));
            }
        }
    }
    if failed || expanded == text {
        return None;
    }
    let whole = matches!(
        pieces.as_slice(),
        [Piece::Literal(""), Piece::Variable { .. }, Piece::Literal("")] | [Piece::Variable { .. }]
    );
    let node = if whole { typed(&expanded) } else { Node::Text(expanded.clone()) };
    problems.expanded(at, Expansion { written: text.to_owned(), expanded }, variables);
    Some(node)
}

/// A variable that is the whole value may be a number or a boolean, as if the file had it; only where the text says so
/// in the one usual form, so that a string such as `007` stays what it is.
fn typed(text: &str) -> Node {
    match text {
        "true" => Node::Bool(true),
        "false" => Node::Bool(false),
        _ => match text.parse::<i128>() {
            Ok(number) if number.to_string() == text => Node::Int(number),
            Ok(_) | Err(_) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() && text.contains('.') => Node::Float(number, text.into()),
                Ok(_) | Err(_) => Node::Text(text.to_owned()),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::FileId;
    use super::*;

    fn expanded(text: &str) -> Result<Node, usize> {
        let environment = |name: &str| match name {
            "HOST" => Some("a.example".to_owned()),
            "EMPTY" => Some(String::new()),
            "FIVE" => Some("5".to_owned()),
            "YES" => Some("true".to_owned()),
            "ODD" => Some("007".to_owned()),
            _ => None,
        };
        let mut node = Node::Text(text.to_owned());
        let mut problems = Problems::default();
        expand(&mut node, &environment, &At::root(FileId(0)), &mut problems);
        if problems.is_empty() { Ok(node) } else { Err(problems.count()) }
    }

    #[test]
    fn variables_and_defaults_expand_and_other_dollars_stay() {
        let text = |value: &str| Ok(Node::Text(value.to_owned()));
        for (written, meant) in [
            ("http://${HOST}/", "http://a.example/"),
            ("${HOST}${HOST}", "a.examplea.example"),
            ("x${UNSET:-y}", "xy"),
            ("x${EMPTY:-y}", "xy"),
            ("x${EMPTY}", "x"),
            ("x${UNSET:-}", "x"),
            ("${UNSET:-http://h:1/?a=b}", "http://h:1/?a=b"),
            ("$$", "$"),
            ("$${HOST}", "${HOST}"),
            ("$$$${x}", "$${x}"),
            ("^200$", "^200$"),
            ("PONG ${1}", "PONG ${1}"),
            ("${", "${"),
            ("a$b", "a$b"),
            ("(a|b)$|^$", "(a|b)$|^$"),
            ("${ODD}", "007"),
        ] {
            assert_eq!(expanded(written), text(meant), "{written}");
        }
        assert_eq!(expanded("${FIVE}"), Ok(Node::Int(5)));
        assert_eq!(expanded("${YES}"), Ok(Node::Bool(true)));
    }

    #[test]
    fn what_cannot_expand_is_a_problem() {
        for bad in ["${UNSET}", "${HOST", "${HO-ST}", "${HOST:=x}"] {
            assert_eq!(expanded(bad), Err(1), "{bad}");
        }
        assert_eq!(expanded("${UNSET} ${UNSET2}"), Err(2));
    }

    #[test]
    fn a_named_group_of_the_dialogue_is_not_a_variable() {
        let step = |key: &str, value: &str| Node::Map(vec![(key.to_owned(), Node::Text(value.to_owned()))]);
        let steps = Node::List(vec![step("expect", "^v(?P<ver>.*)"), step("send", "${ver}")]);
        let mut node = Node::Map(vec![("query_response".to_owned(), steps)]);
        let before = node.clone();
        let mut problems = Problems::default();
        expand(&mut node, &|_| None, &At::root(FileId(0)), &mut problems);
        assert_eq!(problems.count(), 0);
        assert_eq!(node, before);
    }
}

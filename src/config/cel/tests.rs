#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A value of each type.
const VALUES: &[(&str, &str)] = &[
    ("null", "null"),
    ("bool", "true"),
    ("int", "1"),
    ("uint", "1u"),
    ("double", "1.5"),
    ("string", "'a'"),
    ("bytes", "b'a'"),
    ("list(int)", "[1]"),
    ("list(string)", "['a']"),
    ("map(string,int)", "{'a': 1}"),
    ("timestamp", "timestamp(0)"),
    ("duration", "duration('1h')"),
    ("type", "int"),
    ("dyn", "body"),
];

/// The type as the tables write it; `None` is refused.
fn type_of(source: &str) -> Option<String> {
    let (expression, _) = run::ENVIRONMENT.parser().parse_with_source_info(source).ok()?;
    let checked = check::check(&expression).ok()?;
    Some(checked.gives.to_string().replace(", ", ","))
}

fn written(operator: &str, left: &str, right: &str) -> String {
    match operator {
        "[]" => format!("{left}[{right}]"),
        "?:" => format!("true ? {left} : {right}"),
        _ => format!("{left} {operator} {right}"),
    }
}

/// `name:type` of a row.
fn results<'r>(row: impl Iterator<Item = &'r str>) -> BTreeMap<&'r str, &'r str> {
    row.map(|pair| pair.rsplit_once(':').unwrap()).collect()
}

#[test]
fn each_operator_takes_the_types_that_it_takes_in_cel_go() {
    let mut table = BTreeMap::new();
    for row in include_str!("facts/operators.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = row.split(' ');
        let key = (words.next().unwrap(), words.next().unwrap());
        table.insert(key, results(words));
    }
    for operator in ["+", "-", "*", "/", "%", "==", "<", "&&", "in", "[]", "?:"] {
        for (left, left_value) in VALUES {
            for (right, right_value) in VALUES {
                let source = written(operator, left_value, right_value);
                let mut wanted = table.get(&(operator, *left)).and_then(|row| row.get(right)).copied();
                // It would be refused there as well, after the check, for null, bytes and types.
                if operator == "[]"
                    && *left == "dyn"
                    && !matches!(*right, "bool" | "int" | "uint" | "double" | "string" | "dyn")
                {
                    wanted = None;
                }
                assert_eq!(type_of(&source).as_deref(), wanted, "{source}");
            }
        }
    }
}

#[test]
fn each_function_takes_the_types_that_it_takes_in_cel_go() {
    let mut checked = 0;
    for row in include_str!("facts/functions.txt").lines().filter(|line| !line.starts_with('#')) {
        let (function, row) = row.split_once('\t').unwrap();
        let table = results(row.split_whitespace());
        for (of, value) in VALUES {
            let source = function.replace("{}", value);
            assert_eq!(type_of(&source).as_deref(), table.get(of).copied(), "{source}");
            checked += 1;
        }
    }
    assert_eq!(checked, 42 * VALUES.len());
}

#[test]
fn types_are_found_through_macros_and_literals() {
    for (source, wanted) in [
        ("[]", "list(dyn)"),
        ("{}", "map(dyn,dyn)"),
        ("[1, 'a']", "list(dyn)"),
        ("[[], [1]]", "list(list(int))"),
        ("[1] + []", "list(int)"),
        ("{'a': 1, 'b': 2u}", "map(string,dyn)"),
        ("{1: [], 2: ['a']}", "map(int,list(string))"),
        ("[1].map(x, [x])", "list(list(int))"),
        ("[1].map(x, x > 0, string(x))", "list(string)"),
        ("{'a': 1}.map(k, k)", "list(string)"),
        ("body.map(x, x.y)", "list(dyn)"),
        ("[[1], [2]].filter(x, x.exists(y, y == 1))", "list(list(int))"),
        ("[1].map(x, {x: x})[0]", "map(int,int)"),
        ("true ? [] : [1]", "list(int)"),
        ("type(body)", "type"),
        ("google.protobuf.Duration", "type"),
    ] {
        assert_eq!(type_of(source).as_deref(), Some(wanted), "{source}");
    }
}

#[test]
fn a_refusal_names_the_place_what_was_found_and_what_would_be_right() {
    for (source, wanted) in [
        ("", "is empty; write a CEL expression such as body.status == 'up', or leave the key out"),
        (" \n", "is empty; write a CEL expression such as body.status == 'up', or leave the key out"),
        (
            "body.a ==",
            r#""body.a ==" is not a CEL expression: line 1, column 10: Syntax error: mismatched input '<EOF>'"#,
        ),
        (
            "'größer' ==",
            r#""'größer' ==" is not a CEL expression: line 1, column 12: Syntax error: mismatched input '<EOF>'"#,
        ),
        ("now() > 1", "line 1, column 4: now is not a function of CEL; CEL knows no clock"),
        (
            "1 + 1.0 == 2.0",
            "line 1, column 3: there is no int + double, only int + int; numbers of two types are not mixed: convert one by \
             int(), uint() or double()",
        ),
        ("'a' > 1", "line 1, column 5: there is no string > int, only string > string"),
        ("body.ok &&\n  'größer' > 1", "line 2, column 12: there is no string > int, only string > string"),
        ("1 == 'a'", "line 1, column 3: int == string compares two types that are never equal; dyn(...) allows it"),
        (
            "'a' in [1]",
            "line 1, column 5: string in list(int) looks for a type that cannot be in there; dyn(...) allows it",
        ),
        (
            "size(1) == 1",
            "line 1, column 5: there is no size(int), only size(bytes), size(list), size(map), size(string)",
        ),
        ("'a'.contains(1)", "line 1, column 13: there is no string.contains(int), only string.contains(string)"),
        ("contains(body.a, 'b')", "line 1, column 9: contains is called on a value: x.contains(...)"),
        ("body.a.int() == 1", "line 1, column 11: int is not called on a value: int(...)"),
        ("body.a.startWith('b')", "line 1, column 17: startWith is not a function of CEL; did you mean startsWith?"),
        (
            "body.a.lowerAscii() == 'b'",
            "line 1, column 18: lowerAscii is not a function of CEL; it belongs to an extension, and there are none here",
        ),
        (
            "math.least(body.a, 1) == 1",
            "line 1, column 11: least is not a function of CEL; it belongs to an extension, and there are none here",
        ),
        (
            "bdy.a",
            "line 1, column 1: bdy is not a variable here; the only one is body, the JSON of the answer; did you mean body?",
        ),
        (
            "status == 1",
            "line 1, column 1: status is not a variable here; the only one is body, the JSON of the answer",
        ),
        (
            "body.all(item, itme.a)",
            "line 1, column 16: itme is not a variable here; the only one is body, the JSON of the answer; did you mean item?",
        ),
        ("size == 1", "line 1, column 1: size is a function and not a value; write size(...)"),
        ("body.all(true)", "line 1, column 9: all takes a name and a condition"),
        (
            "'a'.all(c, true)",
            "line 1, column 1: all, exists, exists_one, map and filter go over a list or a map, not string",
        ),
        ("'a'.b == 1", "line 1, column 4: string has no fields, so no b; a map has"),
        ("!1", "line 1, column 1: there is no !int, only !bool"),
        ("1 && body", "line 1, column 1: && takes bool, not int"),
        ("body ? 1 : 'a'", "line 1, column 6: gives int or string; both have to be of one type, or in dyn(...)"),
        ("1 ? true : false", "line 1, column 3: has int where a condition is needed; it has to be bool"),
        ("body.filter(x, 1) == []", "line 1, column 12: has int where a condition is needed; it has to be bool"),
        ("body[null] == 1", "line 1, column 5: null is no index; a list has one by int, a map one by its key"),
        (
            "{1.5: true}[body.a]",
            "line 1, column 2: double cannot be a key here; use a string, an int, a uint or a bool",
        ),
        (
            "google.protobuf.Int32Value{value: 1} == 1",
            "line 1, column 27: google.protobuf.Int32Value cannot be made here; write the value itself",
        ),
        ("body.all(x, .x == 1)", "line 1, column 14: .x is written x here: a macro binds it"),
        ("size(body)", "gives int, and a rule has to give true or false"),
        ("body.a.matches('(')", r#"line 1, column 16: "(" is not a regular expression: unclosed group"#),
        ("matches(body.a, 'a**')", r#"line 1, column 17: "a**" is not a regular expression: ** repeats a repetition"#),
        (
            "timestamp(body.a) > timestamp('noon')",
            "line 1, column 30: timestamp fails whatever the body is: timestamp(): premature end of input; it takes RFC 3339, as 2024-02-29T12:30:00Z",
        ),
        (
            "timestamp(body.a).getHours('Mars') == 1",
            "line 1, column 27: getHours fails whatever the body is: timezone(): unknown time zone Mars",
        ),
        ("1 / 0 == 1", "does not ask for the body, and fails: it divides by zero"),
        ("[true][1]", "does not ask for the body, and fails: the list has no element 1"),
    ] {
        assert_eq!(CelRule::new(source).unwrap_err(), wanted, "{source}");
    }
}

#[test]
fn a_rule_that_goes_over_the_body_stops_when_it_is_told_to() {
    let rule = CelRule::new("body.all(a, true)").unwrap();
    assert!(rule.has_loops());
    let body = || CelDocument::list(vec![CelDocument::null()]);
    let stop = Stop::default();
    assert_eq!(rule.holds(&body(), &stop), Ok(true));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for source in [
        "body.all(a, true)",
        "body.exists(a, false)",
        "body.exists_one(a, true)",
        "body.map(a, a) == []",
        "body.map(a, true, a) == []",
        "body.filter(a, true) == []",
        "true || body.all(a, true) || true",
        "body.exists(a, true) || true",
    ] {
        let stopped = CelRule::new(source).unwrap().holds(&body(), &stop);
        let wanted = match source.starts_with("true") {
            true => Ok(true),
            false => Err(CelFault::Ours("was not done when the run ended".to_owned())),
        };
        assert_eq!(stopped, wanted, "{source}");
    }
    assert!(!CelRule::new("body.a == 1").unwrap().has_loops());
}

#[test]
fn types_that_grow_with_each_step_are_refused_in_time() {
    let mut source = "[[1]]".to_owned();
    for step in 0..40 {
        source += &format!(".map(v{step}, {{'a': [v{step}], 'b': [[v{step}]]}}).map(w{step}, [w{step}, w{step}])");
    }
    let _ = CelRule::new(&(source + " == body"));
    let doubling = (0..45)
        .fold("[1]".to_owned(), |source, step| format!("{source}.map(x{step}, {{x{step}: {{x{step}: x{step}}}}})"));
    let _ = CelRule::new(&(doubling + " == body"));
}

#[test]
fn cel_never_panics_on_bad_input() {
    let deep = "(".repeat(5000);
    let wide = "!".repeat(5000);
    for source in ["", " ", "\0", "'", "\"\\u12", "body.", ")(", "1e999999", "b'\\xff", "`a`", "{", "[1,", &deep, &wide]
    {
        assert!(CelRule::new(source).is_err(), "{source}");
    }
}

#[test]
fn the_deepest_expressions_fit_the_stack_of_a_worker() {
    let chains = [
        (format!("body{} == 1", ".a".repeat(240)), true),
        (format!("body.x == 1{}", " + 1".repeat(240)), true),
        (format!("{}body.a", "!".repeat(241)), true),
        (format!("body == {}1{}", "[".repeat(240), "]".repeat(240)), true),
        (format!("{}body.a{}", "(".repeat(200), ")".repeat(200)), true),
        (format!("body.a{}", " ? true : true".repeat(200)), true),
        (format!("body.a{}", " && true".repeat(400)), true),
        (format!("body{} == 1", ".a".repeat(300)), false),
        (format!("body == {}1{}", "[".repeat(300), "]".repeat(300)), false),
    ];
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for (chain, good) in chains {
            let rule = CelRule::new(&chain);
            assert_eq!(rule.is_ok(), good, "{chain}: {rule:?}");
            if let Ok(rule) = rule {
                let judged = with_levels(rule.levels(), || rule.holds(&CelDocument::null(), &Stop::default())).unwrap();
                assert_eq!(judged.is_err(), !chain.starts_with("body =="), "{chain}");
            }
        }
    });
    worker.unwrap().join().unwrap();
}

proptest! {
    #[test]
    fn cel_takes_any_text(source in "[a-z0-9 .()'\"\\\\\\[\\]{}?:!=<>&|+*/%-]{0,40}|\\PC{0,20}") {
        if let Ok(rule) = CelRule::new(&source) {
            let _ = rule.holds(&CelDocument::null(), &Stop::default());
        }
    }
}

//! CEL expressions of the JSON rules, checked as far as can be without a body.

use ::cel::Program;

use crate::config::problem::{nearest, shorten};

/// Longer expressions are refused.
const MAX_BYTES: usize = 4096;

/// Parser, evaluation and drop recurse: one level for each operator of a chain, many for each bracket. A config must not
/// be able to overflow a stack.
const MAX_OPERATORS: usize = 250;
const MAX_NESTING: usize = 16;

/// # Errors
/// A sentence on what is wrong, with the place in the expression.
pub(super) fn compile(source: &str) -> Result<Program, String> {
    if source.len() > MAX_BYTES {
        return Err(format!("is {} bytes long; a CEL expression has at most {MAX_BYTES}", source.len()));
    }
    bounded(source)?;
    let program = Program::compile(source).map_err(|errors| match errors.errors.first() {
        Some(error) => {
            let message = error.msg.lines().next().unwrap_or_default();
            format!("{:?} is not a CEL expression: {message} at column {}", shorten(source), error.pos.1.max(1))
        }
        None => format!("{:?} is not a CEL expression", shorten(source)),
    })?;
    let references = program.references();
    let bound = bound_by_macros(source);
    let known = |name: &&str| *name == "body" || bound.contains(name);
    let mut unknown: Vec<&str> = references.variables().into_iter().filter(|name| !known(name)).collect();
    unknown.sort_unstable();
    match unknown.first() {
        None => Ok(program),
        Some(name) => {
            let hint = nearest(name, ["body"]).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            Err(format!("{name} is not a variable here; the only one is body, the JSON of the answer{hint}"))
        }
    }
}

/// # Errors
/// When the expression is deep enough to need much stack.
fn bounded(source: &str) -> Result<(), String> {
    let operators = source.bytes().filter(|b| b.is_ascii_punctuation() && !b"_'\",)]}".contains(b)).count();
    if operators > MAX_OPERATORS {
        return Err(format!("has {operators} operators; a CEL expression has at most {MAX_OPERATORS}"));
    }
    let (mut depth, mut deepest, mut quote) = (0_usize, 0_usize, None);
    for c in source.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            // Prefixes and ternaries nest like brackets, and are never closed.
            (None, '(' | '[' | '{' | '?') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        deepest = deepest.max(depth);
    }
    let prefixes = source.split(|c: char| !matches!(c, '!' | '-' | ' ')).map(|run| run.replace(' ', "").len()).max();
    if deepest + prefixes.unwrap_or(0) > MAX_NESTING {
        return Err(format!("nests too deep; a CEL expression has at most {MAX_NESTING} levels of brackets"));
    }
    Ok(())
}

/// `x` of `list.all(x, ...)`, which the crate counts among the variables.
fn bound_by_macros(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (open, _) in source.match_indices('(') {
        let inside = source[open + 1..].trim_start();
        let end = inside.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inside.len());
        if end > 0 && inside[end..].trim_start().starts_with(',') {
            names.push(&inside[..end]);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_over_body_compile_and_others_do_not() {
        for good in [
            "body.foo == 'bar' && body.baz.startsWith('q')",
            "body.items.all(x, x.ok)",
            "body.items.exists(i, i.name == 'a' && i.tags.exists(t, t == 'b'))",
            "has(body.a) && size(body.list) > 3",
            "body.status in ['up', 'degraded']",
            "true",
        ] {
            assert!(compile(good).is_ok(), "{good}: {}", compile(good).err().unwrap());
        }
        for bad in ["body.foo ==", "bdy.foo == 1", "response.code == 200", "(", "'unclosed"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn deep_expressions_end_without_a_stack_overflow() {
        // A worker's stack is 2 MiB; reload runs there.
        let deep = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
            for (unit, tail) in [
                ("(", ""),
                ("!", "true"),
                ("-", "1"),
                ("[", ""),
                ("body.", "a"),
                ("1+", "1"),
                ("true&&", "true"),
                ("true?1:", "1"),
                ("{1:", ""),
            ] {
                eprintln!("{unit}");
                let per_unit = unit.bytes().filter(u8::is_ascii_punctuation).count();
                for times in [MAX_NESTING, MAX_OPERATORS / per_unit, MAX_BYTES] {
                    let source = unit.repeat(times) + tail;
                    if let Ok(program) = compile(&source) {
                        let mut context = ::cel::Context::default();
                        context.add_variable_from_value("body", 1);
                        let _ = program.execute(&context);
                    }
                }
            }
        });
        deep.unwrap().join().unwrap();
    }

    proptest! {
        #[test]
        fn any_text_is_compiled_or_refused(text in "[a-z0-9.()\\[\\]{}'\"&|!=<>+*/%?: -]{0,40}|\\PC{0,20}") {
            let _ = compile(&text);
        }
    }
}

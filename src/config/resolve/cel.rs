//! CEL expressions of the JSON rules, checked as far as can be without a body.

use ::cel::Program;
use ::cel::common::ast::{EntryExpr, Expr, IdedExpr};

use crate::config::problem::{nearest, shorten};

/// Longer expressions are refused.
const MAX_BYTES: usize = 4096;

/// Evaluation recurses, in a debug build with some 30 kB a level; a config must not be able to overflow the stack of
/// the worker that judges an answer.
const MAX_DEPTH: usize = 48;

/// The parser recurses too, with more a level than a worker's stack has for all that it allows.
const PARSER_STACK_BYTES: usize = 64 << 20;

/// The one variable, and the names of types.
const KNOWN_NAMES: &[&str] =
    &["body", "bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// # Errors
/// A sentence on what is wrong, with the place in the expression.
pub(super) fn compile(source: &str) -> Result<Program, String> {
    if source.len() > MAX_BYTES {
        return Err(format!("is {} bytes long; a CEL expression has at most {MAX_BYTES}", source.len()));
    }
    let compiled = std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES);
        parser.spawn_scoped(scope, || parse(source)).map(std::thread::ScopedJoinHandle::join)
    });
    match compiled {
        Ok(Ok(result)) => result,
        Ok(Err(_)) | Err(_) => Err(format!("{:?} could not be read as a CEL expression", shorten(source))),
    }
}

fn parse(source: &str) -> Result<Program, String> {
    let bracket = |b: &u8| matches!(b, b'(' | b'[' | b'{' | b'!' | b'-' | b'?');
    // The parser's own limit does not hold for what is never closed.
    if source.bytes().filter(bracket).count() > 4 * MAX_DEPTH {
        return Err(format!("has too many brackets; a CEL expression is at most {MAX_DEPTH} levels deep"));
    }
    let program = Program::compile(source).map_err(|errors| match errors.errors.first() {
        Some(error) => {
            let message = error.msg.lines().next().unwrap_or_default();
            // The list of all that might stand there helps nobody.
            let message = message.split(" expecting ").next().unwrap_or_default();
            format!("{:?} is not a CEL expression: {message} at column {}", shorten(source), error.pos.1.max(1))
        }
        None => format!("{:?} is not a CEL expression", shorten(source)),
    })?;
    let mut walk = Walk { bound: KNOWN_NAMES.to_vec(), unknown: None, too_deep: false };
    walk.visit(program.expression(), 1);
    if walk.too_deep {
        return Err(format!("is too deep; a CEL expression is at most {MAX_DEPTH} levels deep"));
    }
    if let Some(name) = walk.unknown {
        let hint = nearest(name, ["body"]).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return Err(format!("{name} is not a variable here; the only one is body, the JSON of the answer{hint}"));
    }
    Ok(program)
}

/// Looks for names that nothing binds, and for depth.
struct Walk<'e> {
    bound: Vec<&'e str>,
    unknown: Option<&'e str>,
    too_deep: bool,
}

impl<'e> Walk<'e> {
    fn visit(&mut self, expression: &'e IdedExpr, depth: usize) {
        self.too_deep |= depth > MAX_DEPTH;
        let below = depth + 1;
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                if self.unknown.is_none() && !name.starts_with('@') && !self.bound.contains(&name.as_str()) {
                    self.unknown = Some(name);
                }
            }
            Expr::Call(call) => {
                call.target.iter().for_each(|target| self.visit(target, below));
                call.args.iter().for_each(|argument| self.visit(argument, below));
            }
            Expr::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range, below);
                self.visit(&comprehension.accu_init, below);
                let outer = self.bound.len();
                self.bound.push(&comprehension.iter_var);
                self.bound.extend(comprehension.iter_var2.as_deref());
                self.bound.push(&comprehension.accu_var);
                self.visit(&comprehension.loop_cond, below);
                self.visit(&comprehension.loop_step, below);
                self.visit(&comprehension.result, below);
                self.bound.truncate(outer);
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element, below)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr, below)),
            Expr::Struct(structure) => structure.entries.iter().for_each(|entry| self.entry(&entry.expr, below)),
            Expr::Select(select) => self.visit(&select.operand, below),
        }
    }

    fn entry(&mut self, entry: &'e EntryExpr, depth: usize) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value, depth),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key, depth);
                self.visit(&entry.value, depth);
            }
        }
    }
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
            "type(body.a) == int",
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
                for times in [MAX_DEPTH / 2, MAX_DEPTH - 2, MAX_DEPTH, 90, MAX_BYTES / unit.len()] {
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

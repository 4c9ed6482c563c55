//! CEL, the language of the rules on a JSON body: read, checked and run.
//!
//! | module | what it owns |
//! |---|---|
//! | `types` | the types of expressions, and how they are found |
//! | `declarations` | the functions of the standard library |
//! | `check` | what of an expression cannot work |
//! | `run` | the `cel` crate's interpreter, made to answer as cel-go does |
//!
//! The crate parses and evaluates, but looks at nothing before it does. blackbox_exporter's library, cel-go, checks types
//! when the config is read; a rule that it refuses is refused here too.

mod check;
mod declarations;
mod run;
#[cfg(test)]
mod tests;
mod types;

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};

use self::check::Refusal;
use self::run::Runnable;
use self::types::Type;
use super::problem::shorten;

pub use self::run::{CelDocument, CelFault, Stop};
pub(crate) use self::run::{OutOfStack, with_levels};

/// Longer expressions are refused.
const MAX_BYTES: usize = 16 << 10;

/// How far expressions may be nested, as in cel-go.
const MAX_DEPTH: usize = 250;

/// Most brackets and signs that open something. The parser's own limit does not hold for what is never closed.
const MAX_OPENED: usize = 2 * MAX_DEPTH;

/// The parser recurses, with some 100 kB for a level in an unoptimised build. Only what is used takes memory.
const STACK_BYTES: usize = 512 << 20;

/// A rule: an expression over the variable `body` that can give true or false.
#[derive(Clone)]
pub struct CelRule(Arc<Rule>);

struct Rule {
    source: String,
    runnable: Runnable,
}

impl CelRule {
    /// # Errors
    /// A sentence on what is wrong, with the line and the column in the expression, from 1.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.trim().is_empty() {
            return Err("is empty; write a CEL expression such as body.status == 'up', or leave the key out".to_owned());
        }
        if source.len() > MAX_BYTES {
            return Err(format!("is {} bytes long; a CEL expression has at most {MAX_BYTES}", source.len()));
        }
        let opens = |b: &u8| matches!(b, b'(' | b'[' | b'{' | b'!' | b'-' | b'?');
        if source.bytes().filter(opens).count() > MAX_OPENED {
            return Err(format!(
                "has too many brackets; a CEL expression opens at most {MAX_OPENED} brackets and signs"
            ));
        }
        // A panic of the parser, which is generated code, ends there.
        let read = run::with_stack(STACK_BYTES, || Self::read(source));
        let runnable = read.unwrap_or_else(|_| Err(format!("{:?} could not be read as CEL", shorten(source))))?;
        Ok(Self(Arc::new(Rule { source: source.to_owned(), runnable })))
    }

    fn read(source: &str) -> Result<Runnable, String> {
        let parser = run::ENVIRONMENT.parser().max_recursion_depth(MAX_DEPTH as u16);
        let (expression, places) = parser.parse_with_source_info(source).map_err(|errors| syntax(source, &errors))?;
        let levels = depth(&expression);
        if levels > MAX_DEPTH {
            return Err(format!("is {levels} levels deep; a CEL expression has at most {MAX_DEPTH}"));
        }
        let refusal = |refusal: Refusal| place(&places, refusal.id) + &refusal.message;
        let checked = check::check(&expression).map_err(refusal)?;
        if !matches!(checked.gives, Type::Bool | Type::Dyn | Type::Variable(_)) {
            return Err(format!("gives {}, and a rule has to give true or false", checked.gives));
        }
        let runnable = Runnable::of(expression, levels).map_err(refusal)?;
        if !checked.asks_body
            && let Err(fault) = runnable.run(&CelDocument::null(), &Stop::default())
        {
            return Err(format!("does not ask for the body, and {fault}"));
        }
        Ok(runnable)
    }

    /// As configured.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// How many levels deep it is nested, which bounds the stack that it needs.
    pub fn levels(&self) -> usize {
        self.0.runnable.levels
    }

    /// Whether it goes over elements of the body, so that a body can make it last.
    pub fn has_loops(&self) -> bool {
        self.0.runnable.has_loops
    }

    /// Whether it holds for this body.
    ///
    /// # Errors
    /// When it gives neither true nor false, or was stopped.
    pub fn holds(&self, body: &CelDocument<'_>, stop: &Stop) -> Result<bool, CelFault> {
        self.0.runnable.run(body, stop)
    }
}

impl fmt::Debug for CelRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CelRule({:?})", self.as_str())
    }
}

fn syntax(source: &str, errors: &cel::parser::ParseErrors) -> String {
    let Some(error) = errors.errors.first() else {
        return format!("{:?} is not a CEL expression", shorten(source));
    };
    let message = error.msg.lines().next().unwrap_or_default();
    // The list of all that might stand there helps nobody.
    let message = message.split(" expecting ").next().unwrap_or_default();
    let (line, column) = (error.pos.0.max(1), error.pos.1.max(1));
    format!("{:?} is not a CEL expression: line {line}, column {column}: {message}", shorten(source))
}

/// Where an expression stands, for the beginning of a sentence.
fn place(places: &SourceInfo, id: u64) -> String {
    let Some((start, _)) = places.offset_for(id) else {
        return String::new();
    };
    let before = &places.source.as_bytes()[..places.source.len().min(start as usize)];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(last).chars().count() + 1;
    format!("line {line}, column {column}: ")
}

fn depth(e: &IdedExpr) -> usize {
    let deepest = match &e.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => 0,
        Expr::Call(call) => {
            call.target.iter().map(|target| depth(target)).chain(call.args.iter().map(depth)).max().unwrap_or(0)
        }
        Expr::Comprehension(c) => [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]
            .map(depth)
            .into_iter()
            .max()
            .unwrap_or(0),
        Expr::List(list) => list.elements.iter().map(depth).max().unwrap_or(0),
        Expr::Map(map) => map.entries.iter().map(|entry| depth_of_entry(&entry.expr)).max().unwrap_or(0),
        Expr::Struct(structure) => structure.entries.iter().map(|entry| depth_of_entry(&entry.expr)).max().unwrap_or(0),
        Expr::Select(select) => depth(&select.operand),
    };
    deepest + 1
}

fn depth_of_entry(entry: &EntryExpr) -> usize {
    match entry {
        EntryExpr::StructField(field) => depth(&field.value),
        EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
    }
}

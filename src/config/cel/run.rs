//! Running an expression.
//!
//! The interpreter is the `cel` crate's. Where it answers otherwise than cel-go, the call is replaced, once and for all
//! runs, by one to a function of ours. The names of those begin with `@`, so that no expression can spell them.

use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelNull, CelString, CelUInt, DURATION_TYPE, DYN_TYPE,
    STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, FunctionContext, Value};

use super::check::{Refusal, call_text};
use super::declarations::Style;
use crate::config::Pattern;
use crate::config::problem::shorten;

/// The standard library, without what is optional in it.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // As in Go, where the last one stands.
    env.set_error_on_duplicate_map_keys(false);
    let declared = env
        .add_overload(HAS, "has_field", vec![DYN_TYPE, STRING_TYPE], has)
        .and_then(|()| env.add_overload(IN, "in_any", vec![DYN_TYPE, DYN_TYPE], is_in))
        .and_then(|()| env.add_overload(ADD, "add_any", vec![DYN_TYPE, DYN_TYPE], add))
        .and_then(|()| env.add_overload("int", "duration_to_int64", vec![DURATION_TYPE], nanoseconds))
        .and_then(|()| env.add_overload("matches", "matches", vec![STRING_TYPE, STRING_TYPE], matches))
        .and_then(|()| env.add_member_overload("matches", "matches_string", STRING_TYPE, vec![STRING_TYPE], matches));
    declared.expect("the crate has none of these without its regex feature");
    Arc::new(env)
});

const HAS: &str = "@has";
const IN: &str = "@in_any";
const ADD: &str = "@add";
/// `matches` with a pattern of the rule: its number.
const MATCHES: &str = "@matches";
/// Around what a macro evaluates for each element: the place where a run can be stopped.
const STEP: &str = "@step";

/// Why a rule gave neither true nor false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CelFault {
    /// The body is not what the rule is for.
    Body(String),
    /// The rule or this program is at fault.
    Ours(String),
}

impl fmt::Display for CelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(text) | Self::Ours(text) => f.write_str(text),
        }
    }
}

/// A body, in the interpreter's types. Numbers are doubles, as in blackbox_exporter: Go decodes JSON so.
pub struct CelDocument<'b>(Box<dyn Val + 'b>);

impl<'b> CelDocument<'b> {
    pub fn null() -> Self {
        Self(Box::new(CelNull))
    }

    pub fn bool(value: bool) -> Self {
        Self(Box::new(CelBool::from(value)))
    }

    pub fn number(value: f64) -> Self {
        Self(Box::new(CelDouble::from(value)))
    }

    pub fn text(value: std::borrow::Cow<'b, str>) -> Self {
        Self(Box::new(CelString::from(value)))
    }

    pub fn list(items: Vec<Self>) -> Self {
        Self(Box::new(CelList::from(items.into_iter().map(|item| item.0).collect::<Vec<_>>())))
    }

    /// Of entries with the same key, the last one counts.
    pub fn map(entries: Vec<(std::borrow::Cow<'b, str>, Self)>) -> Self {
        let entry = |(key, value): (std::borrow::Cow<'b, str>, Self)| {
            (cel::common::types::CelMapKey::String(CelString::from(key)), value.0)
        };
        let map: std::collections::HashMap<_, Box<dyn Val + 'b>> = entries.into_iter().map(entry).collect();
        Self(Box::new(CelMap::from(map)))
    }
}

impl VariableResolver for CelDocument<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        matches!(variable, "body" | ".body").then(|| CowVal::Borrowed(&*self.0))
    }
}

/// An expression, adapted to the interpreter.
pub(super) struct Runnable {
    expression: IdedExpr,
    patterns: Arc<[Pattern]>,
    pub(super) levels: usize,
    /// It goes over the elements of something, which the body may make large.
    pub(super) has_loops: bool,
}

/// Tells a rule to stop, when nobody wants to know any more.
pub type Stop = Arc<AtomicBool>;

/// What unwinds out of the interpreter then: an error could be taken for an answer, as in `error || true`.
struct Stopped;

impl Runnable {
    /// # Errors
    /// A call that fails whatever the body is: a pattern that is none, a literal that cannot be converted.
    pub(super) fn of(mut expression: IdedExpr, levels: usize) -> Result<Self, Refusal> {
        let mut adapter = Adapter { patterns: Vec::new(), has_loops: false };
        adapter.adapt(&mut expression)?;
        let Adapter { patterns, has_loops } = adapter;
        Ok(Self { expression, patterns: patterns.into(), levels, has_loops })
    }

    pub(super) fn run(&self, body: &CelDocument<'_>, stop: &Stop) -> Result<bool, CelFault> {
        // The interpreter is young; a panic in it must not end the prober.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
            context.set_variable_resolver(body);
            self.add_functions(&mut context, stop).map_err(|error| CelFault::Ours(error.to_string()))?;
            match Value::resolve_val(&self.expression, &context) {
                Ok(value) => match value.downcast_ref::<CelBool>() {
                    Some(value) => Ok(*value.inner()),
                    None => Err(CelFault::Body(format!("gives {}, not true or false", value.get_type().name()))),
                },
                Err(error) => Err(fault(&error)),
            }
        }));
        result.unwrap_or_else(|panic| match panic.is::<Stopped>() {
            true => Err(CelFault::Ours("was not done when the run ended".to_owned())),
            false => Err(CelFault::Ours("made the interpreter of CEL panic".to_owned())),
        })
    }

    fn add_functions(&self, context: &mut Context<'_, '_>, stop: &Stop) -> Result<(), cel::DeclarationError> {
        if self.has_loops {
            let stop = Arc::clone(stop);
            let function: Function = Box::new(move |call| {
                if stop.load(Ordering::Relaxed) {
                    // Past the panic hook: nothing is wrong.
                    resume_unwind(Box::new(Stopped));
                }
                call.args.pop().ok_or_else(|| ExecutionError::invalid_argument_count(1, 0))
            });
            context.add_function(STEP, function)?;
        }
        if self.patterns.is_empty() {
            return Ok(());
        }
        let patterns = Arc::clone(&self.patterns);
        let function: Function = Box::new(move |call| {
            let [subject, number] = call.args.as_slice() else {
                return Err(ExecutionError::invalid_argument_count(2, call.args.len()));
            };
            let number = number.downcast_ref::<CelInt>().and_then(|number| usize::try_from(*number.inner()).ok());
            let pattern = number.and_then(|number| patterns.get(number));
            match (subject.downcast_ref::<CelString<'_>>(), pattern) {
                (Some(subject), Some(pattern)) => {
                    Ok(CowVal::owned(CelBool::from(pattern.is_match(subject.inner().as_bytes()))))
                }
                _ => {
                    let of = subject.get_type().name().to_owned();
                    Err(ExecutionError::no_such_overload("matches", vec![of, "string".to_owned()]))
                }
            }
        });
        context.add_function(MATCHES, function)
    }
}

/// The crate's type, which has no public name.
type Function = Box<
    dyn for<'context, 'call> Fn(
            &mut FunctionContext<'context, 'call>,
        ) -> Result<CowVal<'context, 'call>, ExecutionError>
        + Send
        + Sync,
>;

/// Who is to blame for an error at run time. What depends on the body alone has been refused before, so that it is the body
/// in which something is missing, or of another type.
#[allow(clippy::wildcard_enum_match_arm, clippy::match_wildcard_for_single_variants)] // the crate may add to them
fn fault(error: &ExecutionError) -> CelFault {
    let text = format!("fails: {}", text_of(error));
    match error {
        ExecutionError::NoSuchKey(_)
        | ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::NotSupportedAsMethod { .. }
        | ExecutionError::UnsupportedIndex(..)
        | ExecutionError::IndexOutOfBounds(_)
        | ExecutionError::FunctionError { .. }
        | ExecutionError::DivisionByZero(_)
        | ExecutionError::RemainderByZero(_)
        | ExecutionError::Overflow(..) => CelFault::Body(text),
        ExecutionError::UnsupportedKeyType(_) => {
            CelFault::Ours(format!("{text}; this program takes only strings, ints, uints and bools as keys"))
        }
        _ => CelFault::Ours(text),
    }
}

/// What is wrong, for people.
#[allow(clippy::wildcard_enum_match_arm)] // the crate may add to them
fn text_of(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no {:?}", shorten(key)),
        ExecutionError::NoSuchOverload(overload) => {
            let given = overload.argument_types();
            let style = if overload.is_member_function() { Style::Member } else { Style::Function };
            no_call(overload.function().trim_start_matches('@'), style, given)
        }
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) => {
            let symbol = match *operator {
                "add" => "_+_",
                "sub" => "_-_",
                "mul" => "_*_",
                "div" => "_/_",
                "rem" => "_%_",
                other => other,
            };
            no_call(symbol, Style::Function, &[one.type_of().to_string(), other.type_of().to_string()])
        }
        ExecutionError::UnexpectedType { got, want } if want == "iterable" => format!("{got} has no elements"),
        ExecutionError::UnexpectedType { got, want } => format!("{got} is not {want}"),
        ExecutionError::IndexOutOfBounds(index) => format!("the list has no element {}", beginning(&Plain(index))),
        ExecutionError::FunctionError { function, message } => {
            let hint = match function.as_str() {
                "timestamp" => "; it takes RFC 3339, as 2024-02-29T12:30:00Z",
                "duration" => "; it takes hours, minutes and seconds, as 1h30m or 1.5s",
                _ => "",
            };
            format!("{function}(): {}{hint}", shorten(message))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".to_owned(),
        // Some print values of the body.
        other => beginning(other),
    }
}

fn no_call(name: &str, style: Style, given: &[String]) -> String {
    let names = given.iter().map(|of| match of.as_str() {
        "float" => "double".to_owned(),
        "google.protobuf.Duration" => "duration".to_owned(),
        "google.protobuf.Timestamp" => "timestamp".to_owned(),
        other => other.to_owned(),
    });
    let mixes = matches!(given, [one, other] if one != other && [one, other].iter().all(|of| is_number(of)));
    let hint = match mixes {
        true => "; the numbers of a body are doubles, so write 1.0 for 1 in the rule, or int(...)",
        false if name == "_%_" => "; the numbers of a body are doubles: use int(...)",
        false => "",
    };
    format!("there is no {}{hint}", call_text(name, style, names))
}

fn is_number(of: &str) -> bool {
    matches!(of, "int" | "uint" | "double" | "float")
}

struct Plain<'v>(&'v Value);

impl fmt::Display for Plain<'_> {
    #[allow(clippy::wildcard_enum_match_arm)] // the others are no index
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Int(number) => write!(f, "{number}"),
            Value::UInt(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// At most 200 characters. The rest, which may be megabytes, is not even put together.
fn beginning(of: &impl fmt::Display) -> String {
    struct Beginning {
        text: String,
        left: usize,
    }

    impl Write for Beginning {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let taken = part.char_indices().nth(self.left).map_or(part.len(), |(end, _)| end);
            self.text.push_str(&part[..taken]);
            self.left -= part[..taken].chars().count();
            if taken < part.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut beginning = Beginning { text: String::new(), left: 200 };
    match write!(beginning, "{of}") {
        Ok(()) => beginning.text,
        Err(fmt::Error) => beginning.text + "...",
    }
}

struct Adapter {
    patterns: Vec<Pattern>,
    has_loops: bool,
}

impl Adapter {
    fn adapt(&mut self, e: &mut IdedExpr) -> Result<(), Refusal> {
        match &mut e.expr {
            Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => {}
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.adapt(element))?,
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| self.entry(&mut entry.expr))?,
            Expr::Struct(made) => made.entries.iter_mut().try_for_each(|entry| self.entry(&mut entry.expr))?,
            Expr::Comprehension(c) => {
                self.has_loops = true;
                for part in [&mut c.iter_range, &mut c.accu_init, &mut c.loop_cond, &mut c.loop_step, &mut c.result] {
                    self.adapt(part)?;
                }
                watch(&mut c.loop_step);
            }
            Expr::Select(select) => {
                self.adapt(&mut select.operand)?;
                if select.test {
                    let operand = std::mem::take(&mut *select.operand);
                    let field = IdedExpr { id: e.id, expr: text(std::mem::take(&mut select.field)) };
                    e.expr = call(HAS, vec![operand, field]);
                }
            }
            Expr::Call(made) => {
                if let Some(target) = &mut made.target {
                    self.adapt(target)?;
                }
                made.args.iter_mut().try_for_each(|argument| self.adapt(argument))?;
                self.call(e.id, made)?;
                must_work(e)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut EntryExpr) -> Result<(), Refusal> {
        match entry {
            EntryExpr::StructField(field) => self.adapt(&mut field.value),
            EntryExpr::MapEntry(entry) => {
                self.adapt(&mut entry.key)?;
                self.adapt(&mut entry.value)
            }
        }
    }

    fn call(&mut self, id: u64, made: &mut CallExpr) -> Result<(), Refusal> {
        match made.func_name.as_str() {
            "@in" => IN.clone_into(&mut made.func_name),
            // The crate knows the sums of map() and filter() by their shape, and is fast with them.
            "_+_" if !made.args.first().is_some_and(is_sum) => ADD.clone_into(&mut made.func_name),
            "matches" => {
                let Some(Expr::Literal(LiteralValue::String(pattern))) = made.args.last().map(|last| &last.expr) else {
                    return Ok(());
                };
                let compiled = Pattern::new(pattern.inner()).map_err(|error| {
                    let message = format!("{:?} is not a regular expression: {error}", pattern.inner());
                    Refusal { id: made.args.last().map_or(id, |last| last.id), message }
                })?;
                made.args.pop();
                made.args.extend(made.target.take().map(|target| *target));
                made.args.push(number(id, self.patterns.len() as i64));
                MATCHES.clone_into(&mut made.func_name);
                self.patterns.push(compiled);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a macro has found so far.
fn is_sum(e: &IdedExpr) -> bool {
    matches!(&e.expr, Expr::Ident(name) if name.starts_with('@'))
}

/// Puts a step around what is evaluated for each element, so that the crate still knows the shape of the loop:
/// `sum && x`, `sum || x`, `x ? sum + .. : sum` and `sum + [x]`.
fn watch(step: &mut IdedExpr) {
    let Expr::Call(made) = &mut step.expr else {
        return;
    };
    let watched = match (made.func_name.as_str(), made.args.as_mut_slice()) {
        ("_&&_" | "_||_", [sum, each]) if is_sum(sum) => each,
        ("_?_:_", [each, _, sum]) if is_sum(sum) => each,
        ("_+_", [sum, IdedExpr { expr: Expr::List(list), .. }]) if is_sum(sum) => match list.elements.as_mut_slice() {
            [each] => each,
            _ => return,
        },
        _ => return,
    };
    let each = std::mem::take(watched);
    *watched = IdedExpr { id: each.id, expr: call(STEP, vec![each]) };
}

/// A function of literals alone gives the same at each run. `timestamp('tomorrow')` gives none.
fn must_work(e: &IdedExpr) -> Result<(), Refusal> {
    let Expr::Call(made) = &e.expr else {
        return Ok(());
    };
    let is_literal = |e: &IdedExpr| matches!(e.expr, Expr::Literal(_));
    if !made.func_name.starts_with(char::is_alphabetic) || !made.args.iter().all(is_literal) {
        return Ok(());
    }
    let with_zone;
    let tried = match &made.target {
        None => e,
        // With a time zone, which is good for all times or for none.
        Some(_) if made.func_name.starts_with("get") && !made.args.is_empty() => {
            let epoch = IdedExpr { id: e.id, expr: call("timestamp", vec![number(e.id, 0)]) };
            let tried =
                CallExpr { func_name: made.func_name.clone(), target: Some(Box::new(epoch)), args: made.args.clone() };
            with_zone = IdedExpr { id: e.id, expr: Expr::Call(tried) };
            &with_zone
        }
        Some(_) => return Ok(()),
    };
    match Value::resolve_val(tried, &Context::with_env(Arc::clone(&ENVIRONMENT))) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("{} fails whatever the body is: {}", made.func_name, text_of(&error));
            Err(Refusal { id: e.id, message })
        }
    }
}

fn call(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}

fn text(of: String) -> Expr {
    Expr::Literal(LiteralValue::String(CelString::from(of)))
}

fn number(id: u64, of: i64) -> IdedExpr {
    IdedExpr { id, expr: Expr::Literal(LiteralValue::Int(CelInt::from(of))) }
}

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn no_overload(name: &str, given: &[CowVal<'_, '_>]) -> ExecutionError {
    ExecutionError::no_such_overload(name, given.iter().map(|value| value.get_type().name().to_owned()).collect())
}

/// What is neither a map nor a list has no fields, which is an answer and not an error.
fn has<'b, 'v>(given: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let [of, field] = given.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, given.len()));
    };
    let has = match of.downcast_ref::<CelMap<'_>>() {
        Some(_) => match of.as_container() {
            Some(container) => container.contains(&**field)?,
            None => false,
        },
        None if of.downcast_ref::<CelList<'_>>().is_some() => return Err(no_overload("has", &given)),
        None => false,
    };
    Ok(CowVal::owned(CelBool::from(has)))
}

/// What cannot be a key is in no map.
fn is_in<'b, 'v>(given: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let [value, within] = given.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, given.len()));
    };
    let Some(container) = within.as_container() else {
        return Err(no_overload("in", &given));
    };
    let can_be_key = value.downcast_ref::<CelString<'_>>().is_some()
        || value.downcast_ref::<CelDouble>().is_some()
        || value.downcast_ref::<CelInt>().is_some()
        || value.downcast_ref::<CelUInt>().is_some()
        || value.downcast_ref::<CelBool>().is_some();
    let is_in = (can_be_key || within.downcast_ref::<CelMap<'_>>().is_none()) && container.contains(&**value)?;
    Ok(CowVal::owned(CelBool::from(is_in)))
}

/// The crate adds the keys of a map to a list.
fn add<'b, 'v>(given: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let [one, other] = given.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, given.len()));
    };
    let is_list = |value: &CowVal<'_, '_>| value.downcast_ref::<CelList<'_>>().is_some();
    match one.as_adder() {
        Some(adder) if is_list(one) == is_list(other) => Ok(CowVal::Owned(adder.add(&**other)?.into_owned())),
        _ => Err(no_overload("+", &given)),
    }
}

fn nanoseconds<'b, 'v>(given: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let duration = given.first().and_then(|value| value.downcast_ref::<CelDuration>());
    let nanoseconds = duration.and_then(|duration| duration.inner().num_nanoseconds());
    let nanoseconds = nanoseconds.ok_or_else(|| ExecutionError::function_error("int", "the duration is too long"))?;
    Ok(CowVal::owned(CelInt::from(nanoseconds)))
}

/// With a pattern that is not a literal, and may be the body's.
fn matches<'b, 'v>(given: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let [subject, pattern] = given.as_slice() else {
        return Err(ExecutionError::invalid_argument_count(2, given.len()));
    };
    let (Some(subject), Some(pattern)) =
        (subject.downcast_ref::<CelString<'_>>(), pattern.downcast_ref::<CelString<'_>>())
    else {
        return Err(no_overload("matches", &given));
    };
    let pattern = Pattern::new(pattern.inner()).map_err(|error| ExecutionError::function_error("matches", error))?;
    Ok(CowVal::owned(CelBool::from(pattern.is_match(subject.inner().as_bytes()))))
}

/// How many levels of an expression and of a body a worker's stack has room for, in an unoptimised build.
const LEVELS_OF_A_WORKER: usize = 40;

/// Enough for Go's 10000 levels of a body and for the deepest expression. Only what is used takes memory.
const STACK_BYTES: usize = 256 << 20;

/// There is no thread to be had, or it panicked.
#[derive(Debug)]
pub(crate) struct OutOfStack;

/// Runs `work`, which recurses so often, where there is room for it. Bodies are dropped and compared that way too.
///
/// # Errors
/// See [`OutOfStack`].
pub(crate) fn with_levels<T: Send>(levels: usize, work: impl FnOnce() -> T + Send) -> Result<T, OutOfStack> {
    match levels <= LEVELS_OF_A_WORKER {
        true => Ok(work()),
        false => with_stack(STACK_BYTES, work),
    }
}

pub(super) fn with_stack<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> Result<T, OutOfStack> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cel".to_owned()).stack_size(bytes);
        let running = thread.spawn_scoped(scope, work).map_err(|_| OutOfStack)?;
        running.join().map_err(|_| OutOfStack)
    })
}

//! The type check: whether an expression can work at all, whatever the body is.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr};

use super::declarations::{self, Overload, Style};
use super::types::{Type, Variables};
use crate::config::problem::{nearest, shorten};

/// Why an expression is refused, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    /// The expression's id, by which the parser knows the place.
    pub(super) id: u64,
    pub(super) message: String,
}

#[derive(Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) gives: Type,
    pub(super) asks_body: bool,
}

/// # Errors
/// What cel-go's checker refuses, and what the interpreter cannot do.
pub(super) fn check(expression: &IdedExpr) -> Result<Checked, Refusal> {
    let mut checker = Checker { scopes: Vec::new(), variables: Variables::default(), asks_body: false };
    let gives = checker.expression(expression)?;
    let gives = checker.variables.resolve(&gives);
    if checker.variables.are_too_many() {
        return Err(refuse(expression, "is too complex: its types cannot be found in reasonable time"));
    }
    Ok(Checked { gives, asks_body: checker.asks_body })
}

struct Checker<'e> {
    /// What macros bind, the innermost last.
    scopes: Vec<(&'e str, Type)>,
    variables: Variables,
    asks_body: bool,
}

fn refuse(at: &IdedExpr, message: impl Into<String>) -> Refusal {
    Refusal { id: at.id, message: message.into() }
}

impl<'e> Checker<'e> {
    fn expression(&mut self, e: &'e IdedExpr) -> Result<Type, Refusal> {
        match &e.expr {
            Expr::Unspecified => Err(refuse(e, "is empty")),
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Bytes(_) => Type::Bytes,
                LiteralValue::Double(_) => Type::Double,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::Null => Type::Null,
                LiteralValue::String(_) => Type::String,
                LiteralValue::UInt(_) => Type::Uint,
            }),
            Expr::Ident(name) => self.name(e, name),
            Expr::Select(select) => self.select(e, select),
            Expr::Call(call) => self.call(e, call),
            Expr::List(list) => {
                let mut element = None;
                for item in &list.elements {
                    let item = self.expression(item)?;
                    element = Some(self.join(element, item));
                }
                Ok(Type::list(element.unwrap_or_else(|| self.variables.fresh())))
            }
            Expr::Map(map) => {
                let (mut key, mut value) = (None, None);
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(refuse(e, "has a field of a message in a map"));
                    };
                    let of_key = self.expression(&entry.key)?;
                    self.key(&entry.key, &of_key)?;
                    key = Some(self.join(key, of_key));
                    let of_value = self.expression(&entry.value)?;
                    value = Some(self.join(value, of_value));
                }
                let key = key.unwrap_or_else(|| self.variables.fresh());
                Ok(Type::map(key, value.unwrap_or_else(|| self.variables.fresh())))
            }
            Expr::Struct(structure) => Err(match structure.type_name.starts_with("google.protobuf.") {
                true => refuse(e, format!("{} cannot be made here; write the value itself", structure.type_name)),
                false => refuse(e, format!("{} is not a type; write a map as {{'key': value}}", structure.type_name)),
            }),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn join(&mut self, one: Option<Type>, other: Type) -> Type {
        match one {
            None => other,
            Some(one) => self.variables.join(&one, &other),
        }
    }

    fn key(&mut self, e: &IdedExpr, of: &Type) -> Result<(), Refusal> {
        let of = self.variables.resolve(of);
        match of.can_be_key() {
            true => Ok(()),
            false => Err(refuse(e, format!("{of} cannot be a key here; use a string, an int, a uint or a bool"))),
        }
    }

    fn name(&mut self, e: &IdedExpr, name: &str) -> Result<Type, Refusal> {
        let plain = name.strip_prefix('.').unwrap_or(name);
        if let Some((_, of)) = self.scopes.iter().rev().find(|(bound, _)| *bound == plain) {
            if plain != name {
                return Err(refuse(e, format!("{name} is written {plain} here: a macro binds it")));
            }
            return Ok(of.clone());
        }
        if plain == "body" {
            self.asks_body = true;
            return Ok(Type::Dyn);
        }
        if declarations::TYPES.contains(&plain) {
            return Ok(Type::Meta);
        }
        let short = shorten(name);
        if let Some(hint) = declarations::arguments_of_macro(plain) {
            return Err(refuse(e, format!("{short} is a macro and not a value; it takes {hint}")));
        }
        if declarations::overloads(plain).is_some() {
            return Err(refuse(e, format!("{short} is a function and not a value; write {short}(...)")));
        }
        let bound = self.scopes.iter().map(|(bound, _)| *bound).filter(|bound| !bound.starts_with('@'));
        let hint = nearest(plain, bound.chain(["body"])).map(|near| format!("; did you mean {near}?"));
        let hint = hint.unwrap_or_default();
        let message = format!("{short} is not a variable here; the only one is body, the JSON of the answer{hint}");
        Err(refuse(e, message))
    }

    fn select(&mut self, e: &'e IdedExpr, select: &'e SelectExpr) -> Result<Type, Refusal> {
        if !select.test
            && let Some(name) = qualified(e)
        {
            let plain = name.strip_prefix('.').unwrap_or(&name);
            if declarations::TYPES.contains(&plain) {
                return Ok(Type::Meta);
            }
            if plain.starts_with("google.") && !self.scopes.iter().any(|(bound, _)| *bound == "google") {
                return Err(refuse(e, format!("{} is not known here", shorten(&name))));
            }
        }
        let operand = self.expression(&select.operand)?;
        let operand = self.variables.resolve(&operand);
        let gives = if let Type::Map(_, value) = &operand {
            (**value).clone()
        } else if self.may_be_any(&operand) {
            Type::Dyn
        } else {
            return Err(refuse(e, format!("{operand} has no fields, so no {}; a map has", select.field)));
        };
        Ok(if select.test { Type::Bool } else { gives })
    }

    fn call(&mut self, e: &'e IdedExpr, call: &'e CallExpr) -> Result<Type, Refusal> {
        let name = call.func_name.as_str();
        let Some(overloads) = declarations::overloads(name) else {
            return Err(refuse(e, self.unknown_function(call)));
        };
        let mut given = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = &call.target {
            given.push(self.expression(target)?);
        }
        for argument in &call.args {
            given.push(self.expression(argument)?);
        }
        if matches!(name, "_&&_" | "_||_") {
            for (argument, of) in call.args.iter().zip(&given) {
                if !self.variables.goes(of, &Type::Bool) {
                    let of = self.variables.resolve(of);
                    return Err(refuse(argument, format!("{} takes bool, not {of}", symbol(name))));
                }
            }
            return Ok(Type::Bool);
        }
        if let ("_[_]", [of, index]) = (name, given.as_slice()) {
            let (of, index) = (self.variables.resolve(of), self.variables.resolve(index));
            if matches!(of, Type::Dyn | Type::Variable(_)) && !index.can_be_key() && index != Type::Double {
                let message = format!("{index} is no index; a list has one by int, a map one by its key");
                return Err(refuse(e, message));
            }
        }
        let style = if call.target.is_some() { Style::Member } else { Style::Function };
        let mut gives = None;
        for overload in overloads.iter().filter(|overload| overload.style == style) {
            let (takes, result) = overload.instance(&mut self.variables);
            if !self.variables.all_go(&given, &takes) {
                continue;
            }
            let result = self.variables.resolve(&result);
            gives = Some(match gives {
                None => result,
                Some(before) if before == result => before,
                Some(_) => Type::Dyn,
            });
        }
        if let Some(gives) = gives {
            return Ok(gives);
        }
        let given: Vec<Type> = given.iter().map(|of| self.variables.resolve(of)).collect();
        Err(refuse(e, no_overload(name, style, &given, overloads)))
    }

    fn unknown_function(&self, call: &CallExpr) -> String {
        let name = shorten(&call.func_name);
        if let Some(takes) = declarations::arguments_of_macro(&call.func_name) {
            return format!("{name} takes {takes}");
        }
        let of_extension = call.target.as_deref().is_some_and(|target| {
            matches!(&target.expr, Expr::Ident(namespace)
                if matches!(namespace.as_str(), "base64" | "cel" | "math" | "optional" | "regex" | "sets" | "strings"))
        });
        let hint = match &*call.func_name {
            _ if of_extension => "; it belongs to an extension, and there are none here".to_owned(),
            "charAt" | "indexOf" | "lastIndexOf" | "lowerAscii" | "upperAscii" | "replace" | "split" | "join"
            | "substring" | "trim" | "format" | "reverse" | "quote" | "flatten" | "distinct" | "slice" | "sort"
            | "sortBy" | "range" => "; it belongs to an extension, and there are none here".to_owned(),
            "now" => "; CEL knows no clock".to_owned(),
            function => {
                let near = nearest(function, declarations::NAMES.iter().copied());
                near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
            }
        };
        format!("{name} is not a function of CEL{hint}")
    }

    fn comprehension(&mut self, comprehension: &'e ComprehensionExpr) -> Result<Type, Refusal> {
        let range = self.expression(&comprehension.iter_range)?;
        let sum = self.expression(&comprehension.accu_init)?;
        let outer = self.scopes.len();
        self.scopes.push((&comprehension.accu_var, sum.clone()));
        let range = self.variables.resolve(&range);
        let element = if let Type::List(element) | Type::Map(element, _) = &range {
            (**element).clone()
        } else if self.may_be_any(&range) {
            Type::Dyn
        } else {
            let message = format!("all, exists, exists_one, map and filter go over a list or a map, not {range}");
            return Err(refuse(&comprehension.iter_range, message));
        };
        self.scopes.push((&comprehension.iter_var, element));
        let condition = self.expression(&comprehension.loop_cond)?;
        self.must_be(&comprehension.loop_cond, &condition, &Type::Bool)?;
        let step = self.expression(&comprehension.loop_step)?;
        self.must_be(&comprehension.loop_step, &step, &sum)?;
        self.scopes.truncate(outer + 1);
        let result = self.expression(&comprehension.result)?;
        self.scopes.truncate(outer);
        Ok(self.variables.resolve(&result))
    }

    /// Whether nothing is known of the type. It is then `dyn` from here on.
    fn may_be_any(&mut self, of: &Type) -> bool {
        matches!(of, Type::Dyn | Type::Variable(_)) && self.variables.goes(&Type::Dyn, of)
    }

    fn must_be(&mut self, e: &IdedExpr, of: &Type, wanted: &Type) -> Result<(), Refusal> {
        if self.variables.goes(wanted, of) {
            return Ok(());
        }
        let (of, wanted) = (self.variables.resolve(of), self.variables.resolve(wanted));
        Err(refuse(e, format!("is {of} where {wanted} is needed")))
    }
}

/// `a.b.c`, when it is nothing but names.
fn qualified(e: &IdedExpr) -> Option<String> {
    if let Expr::Ident(name) = &e.expr {
        return Some(name.clone());
    }
    let Expr::Select(select) = &e.expr else {
        return None;
    };
    let operand = if select.test { None } else { qualified(&select.operand) };
    operand.map(|operand| format!("{operand}.{}", select.field))
}

/// An operator as it is written.
fn symbol(name: &str) -> &str {
    match name {
        "_?_:_" => "?:",
        "_[_]" => "[]",
        "@in" => "in",
        name => name.trim_matches('_'),
    }
}

fn no_overload(name: &str, style: Style, given: &[Type], overloads: &'static [Overload]) -> String {
    let of_style: Vec<&Overload> = overloads.iter().filter(|overload| overload.style == style).collect();
    if of_style.is_empty() {
        let place = match style {
            Style::Function => format!("is called on a value: x.{name}(...)"),
            Style::Member => format!("is not called on a value: {name}(...)"),
        };
        return format!("{name} {place}");
    }
    if name == "_?_:_"
        && let [condition, one, other] = given
    {
        return match matches!(condition, Type::Bool | Type::Dyn | Type::Variable(_)) {
            true => format!("gives {one} or {other}; both have to be of one type, or in dyn(...)"),
            false => format!("has {condition} where a condition is needed; it has to be bool"),
        };
    }
    // Those that agree with the beginning tell most.
    let first = given.first().map(Type::to_string).unwrap_or_default();
    let agrees = |overload: &&&Overload| {
        let declared = overload.takes.first().map(|declared| declared.text());
        declared.is_some_and(|declared| declared == first || first.starts_with(&format!("{declared}(")))
    };
    let mut likely: Vec<&Overload> = of_style.iter().filter(agrees).copied().collect();
    if likely.is_empty() {
        likely = of_style;
    }
    let takes: BTreeSet<String> = likely
        .iter()
        .map(|overload| call_text(name, style, overload.takes.iter().map(|declared| declared.text().to_owned())))
        .collect();
    let takes: Vec<String> = takes.into_iter().collect();
    let found = call_text(name, style, given.iter().map(Type::to_string));
    let mixes = given.len() == 2 && given.iter().all(|of| matches!(of, Type::Int | Type::Uint | Type::Double));
    let hint = match mixes && !name.starts_with(char::is_alphabetic) {
        true => "; numbers of two types are not mixed: convert one by int(), uint() or double()",
        false => "",
    };
    match name {
        "_==_" | "_!=_" => format!("{found} compares two types that are never equal; dyn(...) allows it{hint}"),
        "@in" => format!("{found} looks for a type that cannot be in there; dyn(...) allows it"),
        _ => format!("there is no {found}, only {}{hint}", takes.join(", ")),
    }
}

/// How a call with such arguments looks.
pub(super) fn call_text(name: &str, style: Style, mut arguments: impl Iterator<Item = String>) -> String {
    if name.starts_with(char::is_alphabetic) {
        let target = match style {
            Style::Member => arguments.next().map(|target| format!("{target}.")).unwrap_or_default(),
            Style::Function => String::new(),
        };
        return format!("{target}{name}({})", arguments.collect::<Vec<_>>().join(", "));
    }
    let arguments: Vec<String> = arguments.collect();
    match (symbol(name), arguments.as_slice()) {
        ("[]", [of, index]) => format!("{of}[{index}]"),
        (symbol, [one, other]) => format!("{one} {symbol} {other}"),
        (symbol, [one]) => format!("{symbol}{one}"),
        (symbol, several) => format!("{symbol}({})", several.join(", ")),
    }
}

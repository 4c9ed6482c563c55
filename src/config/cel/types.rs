//! Types of CEL expressions, and what stands for an unknown one of them.
//!
//! The rules are those of cel-go's checker: `dyn` goes with everything, `null` goes with timestamps and durations, and a
//! variable takes the more general of the types that it meets.

use std::fmt;
use std::rc::Rc;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List(Rc<Type>),
    Map(Rc<Type>, Rc<Type>),
    /// Of a type as a value; which one makes no difference.
    Meta,
    /// Not known yet: the elements of `[]`, or a parameter of an overload.
    Variable(usize),
}

impl Type {
    pub(super) fn list(element: Self) -> Self {
        Self::List(Rc::new(element))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Rc::new(key), Rc::new(value))
    }

    /// Whether it is the type of what can be the key of a map in the interpreter.
    pub(super) fn can_be_key(&self) -> bool {
        match self {
            Self::Dyn | Self::Bool | Self::Int | Self::Uint | Self::String | Self::Variable(_) => true,
            Self::Null
            | Self::Double
            | Self::Bytes
            | Self::Timestamp
            | Self::Duration
            | Self::List(_)
            | Self::Map(..)
            | Self::Meta => false,
        }
    }

    fn is_nullable(&self) -> bool {
        matches!(self, Self::Null | Self::Timestamp | Self::Duration)
    }

    /// Whether it is `other`, or more general.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Variable(_), _) => true,
            (_, Self::Dyn | Self::Variable(_)) => false,
            (Self::List(element), Self::List(other)) => element.covers(other),
            (Self::Map(key, value), Self::Map(other_key, other_value)) => {
                key.covers(other_key) && value.covers(other_value)
            }
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn | Self::Variable(_) => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Meta => f.write_str("type"),
        }
    }
}

/// What each variable stands for, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Variables {
    bound: Vec<Option<Type>>,
    /// What was there before, for [`Self::go_back`].
    trail: Vec<(usize, Option<Type>)>,
    steps: usize,
}

/// Types can double in size with each step of an expression, `[1].map(x, [x]).map(y, {y: y})` and so on.
const MAX_STEPS: usize = 1 << 20;

impl Variables {
    pub(super) fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Variable(self.bound.len() - 1)
    }

    /// Whether the types took more work than any rule that a person writes. Answers are then no longer to be trusted.
    pub(super) fn are_too_many(&self) -> bool {
        self.steps > MAX_STEPS
    }

    /// The type with its variables replaced.
    pub(super) fn resolve(&mut self, of: &Type) -> Type {
        if self.tire() {
            return Type::Dyn;
        }
        match of {
            Type::Variable(variable) => match self.bound[*variable].clone() {
                Some(bound) => self.resolve(&bound),
                None => of.clone(),
            },
            Type::List(element) => Type::list(self.resolve(element)),
            Type::Map(key, value) => Type::map(self.resolve(key), self.resolve(value)),
            Type::Dyn
            | Type::Null
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::String
            | Type::Bytes
            | Type::Timestamp
            | Type::Duration
            | Type::Meta => of.clone(),
        }
    }

    /// Whether each of `from` goes where the one of `to` is wanted. When not, nothing is learned.
    pub(super) fn all_go(&mut self, from: &[Type], to: &[Type]) -> bool {
        let mark = self.trail.len();
        let go = from.len() == to.len() && from.iter().zip(to).all(|(from, to)| self.unify(from, to));
        if !go {
            self.go_back(mark);
        }
        go
    }

    pub(super) fn goes(&mut self, from: &Type, to: &Type) -> bool {
        self.all_go(std::slice::from_ref(from), std::slice::from_ref(to))
    }

    /// The type of elements of both types.
    pub(super) fn join(&mut self, one: &Type, other: &Type) -> Type {
        match self.goes(one, other) {
            true if one.covers(other) => one.clone(),
            true => other.clone(),
            false => Type::Dyn,
        }
    }

    fn unify(&mut self, from: &Type, to: &Type) -> bool {
        if self.tire() {
            return true;
        }
        if let Type::Variable(variable) = to {
            match self.substitute(from, *variable) {
                Substitution::Fits => return true,
                Substitution::Clashes => return false,
                Substitution::Circular => {}
            }
        }
        if let Type::Variable(variable) = from {
            return matches!(self.substitute(to, *variable), Substitution::Fits);
        }
        match (from, to) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::Null, other) | (other, Type::Null) => other.is_nullable(),
            (Type::List(from), Type::List(to)) => self.unify(from, to),
            (Type::Map(from_key, from_value), Type::Map(to_key, to_value)) => {
                self.unify(from_key, to_key) && self.unify(from_value, to_value)
            }
            (from, to) => from == to,
        }
    }

    fn substitute(&mut self, wanted: &Type, variable: usize) -> Substitution {
        if *wanted == Type::Variable(variable) {
            return Substitution::Fits;
        }
        if let Some(bound) = self.bound[variable].clone() {
            if *wanted == bound {
                return Substitution::Fits;
            }
            if !self.unify(wanted, &bound) {
                return Substitution::Clashes;
            }
            let general = if wanted.covers(&bound) { wanted.clone() } else { bound };
            if !self.occurs(variable, &general) {
                self.bind(variable, general);
            }
            return Substitution::Fits;
        }
        if self.occurs(variable, wanted) {
            return Substitution::Circular;
        }
        self.bind(variable, wanted.clone());
        Substitution::Fits
    }

    fn occurs(&mut self, variable: usize, within: &Type) -> bool {
        if self.tire() {
            return true;
        }
        match within {
            Type::Variable(other) if *other == variable => true,
            Type::Variable(other) => {
                let bound = self.bound[*other].clone();
                bound.is_some_and(|bound| self.occurs(variable, &bound))
            }
            Type::List(element) => self.occurs(variable, element),
            Type::Map(key, value) => self.occurs(variable, key) || self.occurs(variable, value),
            Type::Dyn
            | Type::Null
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::String
            | Type::Bytes
            | Type::Timestamp
            | Type::Duration
            | Type::Meta => false,
        }
    }

    fn bind(&mut self, variable: usize, to: Type) {
        let before = self.bound[variable].replace(to);
        self.trail.push((variable, before));
    }

    fn go_back(&mut self, mark: usize) {
        for (variable, before) in self.trail.drain(mark..).rev() {
            self.bound[variable] = before;
        }
    }

    fn tire(&mut self) -> bool {
        self.steps += 1;
        self.are_too_many()
    }
}

enum Substitution {
    Fits,
    Clashes,
    /// The variable is part of what it would stand for.
    Circular,
}

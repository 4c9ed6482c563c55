//! The functions and operators of CEL's standard library: what each takes, and gives.
//!
//! It is the list of cel-go's `common/stdlib`, as blackbox_exporter has it: numbers of different types are not compared
//! with each other, and no extension is there.

use super::types::{Type, Variables};

/// The type of a parameter or a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Declared {
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Type,
    /// Any type, the same one at each place.
    A,
    ListOfA,
    MapOfAToB,
    B,
}

use Declared::{
    A, B, Bool, Bytes, Double, Duration, Dyn, Int, ListOfA, MapOfAToB, String, Timestamp, Type as TypeOf, Uint,
};

#[derive(Debug)]
pub(super) struct Overload {
    pub(super) style: Style,
    /// With the value that it is called on, as the first one.
    pub(super) takes: &'static [Declared],
    pub(super) gives: Declared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `f(x)`
    Function,
    /// `x.f()`
    Member,
}

macro_rules! function {
    ($($take:expr),+ => $give:expr) => {
        Overload { style: Style::Function, takes: &[$($take),+], gives: $give }
    };
}

macro_rules! member {
    ($($take:expr),+ => $give:expr) => {
        Overload { style: Style::Member, takes: &[$($take),+], gives: $give }
    };
}

const RELATION: &[Overload] = &[
    function!(Bool, Bool => Bool),
    function!(Int, Int => Bool),
    function!(Uint, Uint => Bool),
    function!(Double, Double => Bool),
    function!(String, String => Bool),
    function!(Bytes, Bytes => Bool),
    function!(Timestamp, Timestamp => Bool),
    function!(Duration, Duration => Bool),
];

/// With a time zone or without.
const OF_A_DATE: &[Overload] = &[member!(Timestamp => Int), member!(Timestamp, String => Int)];

const OF_A_TIME: &[Overload] =
    &[member!(Timestamp => Int), member!(Timestamp, String => Int), member!(Duration => Int)];

const OF_TWO_STRINGS: &[Overload] = &[member!(String, String => Bool)];

/// `None` is a name that nothing has.
pub(super) fn overloads(name: &str) -> Option<&'static [Overload]> {
    Some(match name {
        "_?_:_" => &[function!(Bool, A, A => A)],
        "_&&_" | "_||_" => &[function!(Bool, Bool => Bool)],
        "!_" | "@not_strictly_false" => &[function!(Bool => Bool)],
        "_==_" | "_!=_" => &[function!(A, A => Bool)],
        "_<_" | "_<=_" | "_>_" | "_>=_" => RELATION,
        "_+_" => &[
            function!(Bytes, Bytes => Bytes),
            function!(Double, Double => Double),
            function!(Duration, Duration => Duration),
            function!(Duration, Timestamp => Timestamp),
            function!(Timestamp, Duration => Timestamp),
            function!(Int, Int => Int),
            function!(ListOfA, ListOfA => ListOfA),
            function!(String, String => String),
            function!(Uint, Uint => Uint),
        ],
        "_-_" => &[
            function!(Double, Double => Double),
            function!(Duration, Duration => Duration),
            function!(Int, Int => Int),
            function!(Timestamp, Duration => Timestamp),
            function!(Timestamp, Timestamp => Duration),
            function!(Uint, Uint => Uint),
        ],
        "_*_" | "_/_" => {
            &[function!(Double, Double => Double), function!(Int, Int => Int), function!(Uint, Uint => Uint)]
        }
        "_%_" => &[function!(Int, Int => Int), function!(Uint, Uint => Uint)],
        "-_" => &[function!(Double => Double), function!(Int => Int)],
        "_[_]" => &[function!(ListOfA, Int => A), function!(MapOfAToB, A => B)],
        "@in" => &[function!(A, ListOfA => Bool), function!(A, MapOfAToB => Bool)],
        "size" => &[
            function!(Bytes => Int),
            member!(Bytes => Int),
            function!(ListOfA => Int),
            member!(ListOfA => Int),
            function!(MapOfAToB => Int),
            member!(MapOfAToB => Int),
            function!(String => Int),
            member!(String => Int),
        ],
        "type" => &[function!(A => TypeOf)],
        "dyn" => &[function!(A => Dyn)],
        "bool" => &[function!(Bool => Bool), function!(String => Bool)],
        "bytes" => &[function!(Bytes => Bytes), function!(String => Bytes)],
        "double" => &[
            function!(Double => Double),
            function!(Int => Double),
            function!(String => Double),
            function!(Uint => Double),
        ],
        "duration" => &[function!(Duration => Duration), function!(Int => Duration), function!(String => Duration)],
        "int" => &[
            function!(Int => Int),
            function!(Double => Int),
            function!(Duration => Int),
            function!(String => Int),
            function!(Timestamp => Int),
            function!(Uint => Int),
        ],
        "string" => &[
            function!(String => String),
            function!(Bool => String),
            function!(Bytes => String),
            function!(Double => String),
            function!(Duration => String),
            function!(Int => String),
            function!(Timestamp => String),
            function!(Uint => String),
        ],
        "timestamp" => {
            &[function!(Timestamp => Timestamp), function!(Int => Timestamp), function!(String => Timestamp)]
        }
        "uint" => {
            &[function!(Uint => Uint), function!(Double => Uint), function!(Int => Uint), function!(String => Uint)]
        }
        "contains" | "endsWith" | "startsWith" => OF_TWO_STRINGS,
        "matches" => &[function!(String, String => Bool), member!(String, String => Bool)],
        "getFullYear" | "getMonth" | "getDayOfYear" | "getDayOfMonth" | "getDate" | "getDayOfWeek" => OF_A_DATE,
        "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds" => OF_A_TIME,
        _ => return None,
    })
}

/// What a person can call, for "did you mean".
pub(super) const NAMES: &[&str] = &[
    "all",
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "int",
    "map",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// How many arguments a macro takes; with other numbers it is a function, and there is none.
pub(super) fn arguments_of_macro(name: &str) -> Option<&'static str> {
    match name {
        "all" | "exists" | "exists_one" | "existsOne" | "filter" => Some("a name and a condition"),
        "map" => Some("a name and an expression, with a condition between them or without"),
        "has" => Some("a field: has(body.a)"),
        _ => None,
    }
}

/// Names of types, which are values.
pub(super) const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

impl Overload {
    /// With variables of its own.
    pub(super) fn instance(&self, variables: &mut Variables) -> (Vec<Type>, Type) {
        let (mut a, mut b) = (None, None);
        let mut of = |declared| match declared {
            Dyn => Type::Dyn,
            Bool => Type::Bool,
            Int => Type::Int,
            Uint => Type::Uint,
            Double => Type::Double,
            String => Type::String,
            Bytes => Type::Bytes,
            Timestamp => Type::Timestamp,
            Duration => Type::Duration,
            TypeOf => Type::Meta,
            A => a.get_or_insert_with(|| variables.fresh()).clone(),
            B => b.get_or_insert_with(|| variables.fresh()).clone(),
            ListOfA => Type::list(a.get_or_insert_with(|| variables.fresh()).clone()),
            MapOfAToB => {
                let key = a.get_or_insert_with(|| variables.fresh()).clone();
                Type::map(key, b.get_or_insert_with(|| variables.fresh()).clone())
            }
        };
        let takes = self.takes.iter().map(|declared| of(*declared)).collect();
        let gives = of(self.gives);
        (takes, gives)
    }
}

impl Declared {
    pub(super) fn text(self) -> &'static str {
        match self {
            Dyn => "dyn",
            Bool => "bool",
            Int => "int",
            Uint => "uint",
            Double => "double",
            String => "string",
            Bytes => "bytes",
            Timestamp => "timestamp",
            Duration => "duration",
            TypeOf => "type",
            A | B => "any",
            ListOfA => "list",
            MapOfAToB => "map",
        }
    }
}

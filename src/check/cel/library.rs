//! The functions, operators and type names of CEL's standard library, with their signatures.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::{Bindings, Type};

/// How a function can be called.
#[derive(Debug)]
pub(super) struct Signature {
    /// Called as `x.f(…)`; `x` is the first argument.
    pub member: bool,
    arguments: Vec<Type>,
    result: Type,
}

impl Signature {
    /// Arguments and result with fresh variables in the place of the signature's own.
    pub fn instance(&self, bindings: &mut Bindings) -> (Vec<Type>, Type) {
        let (a, b) = (bindings.fresh(), bindings.fresh());
        let arguments = self.arguments.iter().map(|t| put_in(t, &a, &b)).collect();
        (arguments, put_in(&self.result, &a, &b))
    }
}

const A: u32 = u32::MAX;
const B: u32 = u32::MAX - 1;

fn put_in(of: &Type, a: &Type, b: &Type) -> Type {
    match of {
        Type::Var(A) => a.clone(),
        Type::Var(B) => b.clone(),
        Type::List(item) => Type::List(Box::new(put_in(item, a, b))),
        Type::Map(key, value) => Type::Map(Box::new(put_in(key, a, b)), Box::new(put_in(value, a, b))),
        _ => of.clone(),
    }
}

/// The signatures of a function; `None` when there is no such function.
pub(super) fn signatures(function: &str) -> Option<&'static [Signature]> {
    static LIBRARY: LazyLock<HashMap<&str, Vec<Signature>>> = LazyLock::new(library);
    LIBRARY.get(function).map(Vec::as_slice)
}

/// Whether an identifier names a type.
pub(super) fn is_type_name(name: &str) -> bool {
    matches!(
        name,
        "bool"
            | "bytes"
            | "double"
            | "google.protobuf.Duration"
            | "google.protobuf.Timestamp"
            | "int"
            | "list"
            | "map"
            | "null_type"
            | "string"
            | "type"
            | "uint"
    )
}

/// One signature a line: name, arguments, `->`, result. A dot in front of a name is for member functions, `A` and `B` stand
/// for any type.
const SIGNATURES: &str = "
_?_:_ bool A A -> A
_&&_ bool bool -> bool
_||_ bool bool -> bool
!_ bool -> bool
@not_strictly_false bool -> bool
_==_ A A -> bool
_!=_ A A -> bool
_+_ bytes bytes -> bytes
_+_ double double -> double
_+_ duration duration -> duration
_+_ duration timestamp -> timestamp
_+_ timestamp duration -> timestamp
_+_ int int -> int
_+_ [A] [A] -> [A]
_+_ string string -> string
_+_ uint uint -> uint
_/_ double double -> double
_/_ int int -> int
_/_ uint uint -> uint
_%_ int int -> int
_%_ uint uint -> uint
_*_ double double -> double
_*_ int int -> int
_*_ uint uint -> uint
-_ double -> double
-_ int -> int
_-_ double double -> double
_-_ duration duration -> duration
_-_ int int -> int
_-_ timestamp duration -> timestamp
_-_ timestamp timestamp -> duration
_-_ uint uint -> uint
_[_] [A] int -> A
_[_] {A:B} A -> B
@in A [A] -> bool
@in A {A:B} -> bool
in A [A] -> bool
in A {A:B} -> bool
size bytes -> int
size [A] -> int
size {A:B} -> int
size string -> int
.size bytes -> int
.size [A] -> int
.size {A:B} -> int
.size string -> int
type A -> type
bool bool -> bool
bool string -> bool
bytes bytes -> bytes
bytes string -> bytes
double double -> double
double int -> double
double string -> double
double uint -> double
duration duration -> duration
duration string -> duration
dyn A -> dyn
int int -> int
int double -> int
int duration -> int
int string -> int
int timestamp -> int
int uint -> int
string string -> string
string bool -> string
string bytes -> string
string double -> string
string duration -> string
string int -> string
string timestamp -> string
string uint -> string
timestamp timestamp -> timestamp
timestamp int -> timestamp
timestamp string -> timestamp
uint uint -> uint
uint double -> uint
uint int -> uint
uint string -> uint
.contains string string -> bool
.endsWith string string -> bool
.startsWith string string -> bool
matches string string -> bool
.matches string string -> bool
.getFullYear timestamp -> int
.getFullYear timestamp string -> int
.getMonth timestamp -> int
.getMonth timestamp string -> int
.getDayOfYear timestamp -> int
.getDayOfYear timestamp string -> int
.getDayOfMonth timestamp -> int
.getDayOfMonth timestamp string -> int
.getDate timestamp -> int
.getDate timestamp string -> int
.getDayOfWeek timestamp -> int
.getDayOfWeek timestamp string -> int
.getHours timestamp -> int
.getHours timestamp string -> int
.getHours duration -> int
.getMinutes timestamp -> int
.getMinutes timestamp string -> int
.getMinutes duration -> int
.getSeconds timestamp -> int
.getSeconds timestamp string -> int
.getSeconds duration -> int
.getMilliseconds timestamp -> int
.getMilliseconds timestamp string -> int
.getMilliseconds duration -> int
";

fn library() -> HashMap<&'static str, Vec<Signature>> {
    let mut library: HashMap<&str, Vec<Signature>> = HashMap::new();
    for line in SIGNATURES.lines() {
        let mut words = line.split(' ').filter(|word| *word != "->" && !word.is_empty());
        let Some(name) = words.next() else { continue };
        let mut arguments: Vec<Type> = words.map(type_named).collect();
        let Some(result) = arguments.pop() else { continue };
        let (name, member) = match name.strip_prefix('.') {
            Some(name) => (name, true),
            None => (name, false),
        };
        library.entry(name).or_default().push(Signature {
            member,
            arguments,
            result,
        });
    }
    // Values have an order within their own kind; numbers of different kinds only when they are known at run time.
    let ordered = [
        Type::Bool,
        Type::Int,
        Type::Uint,
        Type::Double,
        Type::String,
        Type::Bytes,
        Type::Timestamp,
        Type::Duration,
    ];
    for operator in ["_<_", "_<=_", "_>_", "_>=_"] {
        let signatures = ordered.iter().map(|kind| Signature {
            member: false,
            arguments: vec![kind.clone(), kind.clone()],
            result: Type::Bool,
        });
        library.insert(operator, signatures.collect());
    }
    library
}

fn type_named(name: &str) -> Type {
    match name {
        "A" => Type::Var(A),
        "B" => Type::Var(B),
        "[A]" => Type::List(Box::new(Type::Var(A))),
        "{A:B}" => Type::Map(Box::new(Type::Var(A)), Box::new(Type::Var(B))),
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "timestamp" => Type::Timestamp,
        "duration" => Type::Duration,
        "type" => Type::Kind,
        _ => Type::Dyn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        let lines = SIGNATURES.lines().filter(|line| !line.is_empty()).count();
        let orders = 4 * 8;
        let read: usize = library().values().map(Vec::len).sum();
        assert_eq!(read, lines + orders);
        assert_eq!(signatures("size").unwrap().len(), 8);
        assert!(signatures("nope").is_none());
    }
}

//! CEL's types, and when one can stand for another, by the rules of cel-go's checker.

use std::collections::HashMap;
use std::fmt;

/// A type, or a variable for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only at run time: the body and everything in it.
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
    /// The type of types.
    Kind,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Var(u32),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dyn | Self::Var(_) => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Kind => "type",
            Self::List(of) => return write!(f, "list({of})"),
            Self::Map(key, value) => return write!(f, "map({key}, {value})"),
        })
    }
}

/// What is known of the variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings {
    bound: HashMap<u32, Type>,
    made: u32,
}

impl Bindings {
    /// A variable that nothing is known of.
    pub fn fresh(&mut self) -> Type {
        self.made += 1;
        Type::Var(self.made)
    }

    /// The type with everything put in that is known.
    pub fn resolve(&self, of: &Type) -> Type {
        match of {
            Type::Var(id) => match self.bound.get(id) {
                Some(bound) => self.resolve(bound),
                None => of.clone(),
            },
            Type::List(item) => Type::List(Box::new(self.resolve(item))),
            Type::Map(key, value) => Type::Map(Box::new(self.resolve(key)), Box::new(self.resolve(value))),
            _ => of.clone(),
        }
    }

    /// Whether all of `given` can stand where `wanted` is asked for. What this tells of variables is kept if so.
    pub fn assign_all(&mut self, given: &[Type], wanted: &[Type]) -> bool {
        if given.len() != wanted.len() {
            return false;
        }
        let mut trial = self.clone();
        let fits = given.iter().zip(wanted).all(|(a, b)| trial.assign(a, b));
        if fits {
            *self = trial;
        }
        fits
    }

    /// As [`assign_all`](Self::assign_all), for one.
    pub fn assign_one(&mut self, given: &Type, wanted: &Type) -> bool {
        self.assign_all(std::slice::from_ref(given), std::slice::from_ref(wanted))
    }

    fn assign(&mut self, a: &Type, b: &Type) -> bool {
        if let Type::Var(id) = b {
            let (valid, was_bound) = self.bind(*id, a);
            if valid || was_bound {
                return valid;
            }
        }
        if let Type::Var(id) = a {
            return self.bind(*id, b).0;
        }
        match (a, b) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            // Null fits what is a message underneath.
            (Type::Null, other) | (other, Type::Null) => {
                matches!(other, Type::Null | Type::Timestamp | Type::Duration)
            }
            (Type::List(a), Type::List(b)) => self.assign(a, b),
            (Type::Map(a, x), Type::Map(b, y)) => self.assign(a, b) && self.assign(x, y),
            _ => a == b,
        }
    }

    /// Binds a variable, or widens what it is bound to: whether that is possible, and whether it was bound before.
    fn bind(&mut self, id: u32, to: &Type) -> (bool, bool) {
        if *to == Type::Var(id) {
            return (true, true);
        }
        let Some(bound) = self.bound.get(&id).cloned() else {
            let free = !self.occurs(id, to);
            if free {
                self.bound.insert(id, to.clone());
            }
            return (free, false);
        };
        if bound == *to {
            return (true, true);
        }
        if !self.assign(to, &bound) {
            return (false, true);
        }
        let general = most_general(to, &bound).clone();
        if !self.occurs(id, &general) {
            self.bound.insert(id, general);
        }
        (true, true)
    }

    fn occurs(&self, id: u32, within: &Type) -> bool {
        match within {
            Type::Var(other) => {
                *other == id || self.bound.get(other).is_some_and(|bound| self.occurs(id, bound))
            }
            Type::List(item) => self.occurs(id, item),
            Type::Map(key, value) => self.occurs(id, key) || self.occurs(id, value),
            _ => false,
        }
    }
}

/// Of two types that fit each other, the one that says less.
pub(super) fn most_general<'t>(a: &'t Type, b: &'t Type) -> &'t Type {
    if says_no_more(a, b) { a } else { b }
}

fn says_no_more(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Dyn | Type::Var(_), _) => true,
        (_, Type::Dyn | Type::Var(_)) => false,
        (Type::List(a), Type::List(b)) => says_no_more(a, b),
        (Type::Map(a, x), Type::Map(b, y)) => says_no_more(a, b) && says_no_more(x, y),
        _ => a == b,
    }
}

//! The type check of an expression, by the rules of cel-go: what it rejects at load, we do.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};

use super::library::{is_type_name, signatures};
use super::types::{Bindings, Type, most_general};

/// Deepest tree that is accepted. cel-go stops at 250 levels of the text, which macros make somewhat more of.
const MAX_DEPTH: usize = 400;

/// Checks an expression in which `body` is declared, and returns how deeply it nests.
///
/// # Errors
/// A name or function that does not exist, types that no function takes, or an expression that nests too deeply.
pub(super) fn check(expression: &IdedExpr) -> Result<usize, String> {
    let mut checker = Checker {
        bindings: Bindings::default(),
        scopes: Vec::new(),
        depth: 0,
        deepest: 0,
    };
    checker.check(expression)?;
    Ok(checker.deepest)
}

struct Checker {
    bindings: Bindings,
    /// Variables of the comprehensions around, outermost first.
    scopes: Vec<(String, Type)>,
    depth: usize,
    deepest: usize,
}

type Checked = Result<Type, String>;

impl Checker {
    fn check(&mut self, expression: &IdedExpr) -> Checked {
        if self.depth == MAX_DEPTH {
            return Err(format!("expression recursion limit exceeded: {MAX_DEPTH}"));
        }
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let checked = self.check_here(expression);
        self.depth -= 1;
        checked
    }

    fn check_here(&mut self, expression: &IdedExpr) -> Checked {
        match &expression.expr {
            Expr::Unspecified => Err("empty expression".to_owned()),
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Bytes(_) => Type::Bytes,
                LiteralValue::Double(_) => Type::Double,
                LiteralValue::Int(_) => Type::Int,
                LiteralValue::Null => Type::Null,
                LiteralValue::String(_) => Type::String,
                LiteralValue::UInt(_) => Type::Uint,
            }),
            Expr::Ident(name) => self.identifier(name),
            Expr::Select(select) => {
                if let Some(name) = qualified_name(expression)
                    && is_type_name(name.trim_start_matches('.'))
                {
                    return Ok(Type::Kind);
                }
                let operand = self.check(&select.operand)?;
                let selected = match self.bindings.resolve(&operand) {
                    Type::Map(_, value) => *value,
                    Type::Dyn => Type::Dyn,
                    Type::Var(_) => {
                        self.bindings.assign_one(&Type::Dyn, &operand);
                        Type::Dyn
                    }
                    other => return Err(format!("type '{other}' does not support field selection")),
                };
                Ok(if select.test {
                    Type::Bool
                } else {
                    self.bindings.resolve(&selected)
                })
            }
            Expr::Call(call) => {
                let mut given = Vec::with_capacity(call.args.len() + 1);
                for argument in &call.args {
                    given.push(self.check(argument)?);
                }
                if let Some(target) = &call.target {
                    given.insert(0, self.check(target)?);
                }
                if call.func_name == "_[_]" {
                    judge_index(call.args.get(1))?;
                }
                self.call(&call.func_name, call.target.is_some(), &given)
            }
            Expr::List(list) => {
                let mut item = None;
                for element in &list.elements {
                    let next = self.check(element)?;
                    item = Some(self.join(item, next));
                }
                let item = item.unwrap_or_else(|| self.bindings.fresh());
                Ok(Type::List(Box::new(item)))
            }
            Expr::Map(map) => {
                let (mut key, mut value) = (None, None);
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err("not a map entry".to_owned());
                    };
                    let next = self.check(&entry.key)?;
                    key = Some(self.join(key, next));
                    let next = self.check(&entry.value)?;
                    value = Some(self.join(value, next));
                }
                let key = key.unwrap_or_else(|| self.bindings.fresh());
                let value = value.unwrap_or_else(|| self.bindings.fresh());
                Ok(Type::Map(Box::new(key), Box::new(value)))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(message) => Err(format!("undeclared reference to '{}'", message.type_name)),
        }
    }

    fn identifier(&self, name: &str) -> Checked {
        let (scopes, plain) = match name.strip_prefix('.') {
            Some(plain) => (&[][..], plain),
            None => (self.scopes.as_slice(), name),
        };
        if let Some((_, found)) = scopes.iter().rev().find(|(scoped, _)| scoped == plain) {
            return Ok(found.clone());
        }
        match plain {
            "body" => Ok(Type::Dyn),
            _ if is_type_name(plain) => Ok(Type::Kind),
            _ => Err(format!("undeclared reference to '{name}'")),
        }
    }

    fn call(&mut self, function: &str, member: bool, given: &[Type]) -> Checked {
        let Some(signatures) = signatures(function) else {
            return Err(format!("undeclared reference to '{function}'"));
        };
        let mut result: Option<Type> = None;
        for signature in signatures.iter().filter(|s| s.member == member) {
            let (wanted, returned) = signature.instance(&mut self.bindings);
            if !self.bindings.assign_all(given, &wanted) {
                continue;
            }
            let returned = self.bindings.resolve(&returned);
            result = Some(match result {
                None => returned,
                // Several fit, because something is known only at run time.
                Some(known) if known == Type::Dyn || known == returned => known,
                Some(_) => Type::Dyn,
            });
        }
        result.ok_or_else(|| {
            let given: Vec<String> = given
                .iter()
                .map(|t| self.bindings.resolve(t).to_string())
                .collect();
            format!(
                "found no matching overload for '{function}' applied to '({})'",
                given.join(", ")
            )
        })
    }

    fn join(&mut self, known: Option<Type>, next: Type) -> Type {
        match known {
            None => next,
            Some(known) if self.bindings.assign_one(&known, &next) => most_general(&known, &next).clone(),
            Some(_) => Type::Dyn,
        }
    }

    fn comprehension(&mut self, of: &ComprehensionExpr) -> Checked {
        let range = self.check(&of.iter_range)?;
        let start = self.check(&of.accu_init)?;
        let two = of.iter_var2.is_some();
        let (first, second) = match self.bindings.resolve(&range) {
            Type::List(item) if two => (Type::Int, *item),
            Type::List(item) => (*item, Type::Dyn),
            Type::Map(key, value) => (*key, *value),
            Type::Dyn => (Type::Dyn, Type::Dyn),
            Type::Var(_) => {
                self.bindings.assign_one(&Type::Dyn, &range);
                (Type::Dyn, Type::Dyn)
            }
            other => {
                return Err(format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                ));
            }
        };
        let outer = self.scopes.len();
        self.scopes.push((of.accu_var.clone(), start.clone()));
        let inner = self.scopes.len();
        self.scopes.push((of.iter_var.clone(), first));
        if let Some(name) = &of.iter_var2 {
            self.scopes.push((name.clone(), second));
        }
        let condition = self.check(&of.loop_cond)?;
        self.expect(&Type::Bool, &condition)?;
        let step = self.check(&of.loop_step)?;
        self.expect(&start, &step)?;
        self.scopes.truncate(inner);
        let result = self.check(&of.result)?;
        self.scopes.truncate(outer);
        Ok(self.bindings.resolve(&result))
    }

    fn expect(&mut self, wanted: &Type, given: &Type) -> Result<(), String> {
        if self.bindings.assign_one(wanted, given) {
            return Ok(());
        }
        let (wanted, given) = (self.bindings.resolve(wanted), self.bindings.resolve(given));
        Err(format!("expected type '{wanted}' but found '{given}'"))
    }
}

/// Rejects an index that can never be one, as cel-go does when it makes a program.
fn judge_index(index: Option<&IdedExpr>) -> Result<(), String> {
    match index.map(|index| &index.expr) {
        Some(Expr::Literal(LiteralValue::Bytes(_))) => Err("invalid qualifier type: bytes".to_owned()),
        Some(Expr::Literal(LiteralValue::Null)) => Err("invalid qualifier type: null".to_owned()),
        Some(Expr::Ident(name)) if is_type_name(name) => Err("invalid qualifier type: type".to_owned()),
        _ => Ok(()),
    }
}

/// `a.b.c` when the expression is nothing but that.
fn qualified_name(expression: &IdedExpr) -> Option<String> {
    match &expression.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", qualified_name(&select.operand)?, select.field))
        }
        _ => None,
    }
}

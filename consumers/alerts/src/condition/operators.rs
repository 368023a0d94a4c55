//! What operators and functions of a condition take and give.

use cel::{
    Context, IdedExpr, Value,
    common::ast::{CallExpr, Expr, LiteralValue, operators},
};

use crate::{
    condition::{
        check::Checker,
        functions::{FUNCTIONS, decimals_of, parse_units},
        types::Type,
        u256,
    },
    nearest::correction,
};

impl Checker<'_> {
    pub(super) fn call(&mut self, node: u64, call: &mut CallExpr) -> Type {
        let target = call.target.as_deref_mut().map(|target| self.expression(target));
        let arguments: Vec<Type> =
            call.args.iter_mut().map(|argument| self.expression(argument)).collect();
        match (call.func_name.as_str(), arguments.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
                self.all_bool(call, &arguments)
            }
            (operators::NOT_STRICTLY_FALSE, _) => Type::Bool,
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.conditional(node, condition, yes, no)
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                self.equality(node, call, left, right)
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                [left, right],
            ) => self.ordering(node, call, left, right),
            (
                name @ (operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO),
                [left, right],
            ) => self.arithmetic(node, name, left, right),
            (operators::NEGATE, [operand]) => self.negation(node, operand),
            (operators::IN, [item, list]) => self.membership(node, call, item, list),
            (operators::INDEX, [Type::List(element), Type::Int | Type::Any]) => (**element).clone(),
            (operators::INDEX, [Type::Map | Type::Any, _]) => Type::Any,
            (name, _) if name.starts_with(['_', '@']) => {
                self.report(node, "this operator does not fit here".to_owned(), None);
                Type::Any
            }
            _ => self.function(node, call, target.as_ref(), &arguments),
        }
    }

    fn all_bool(&mut self, call: &CallExpr, arguments: &[Type]) -> Type {
        for (argument, argument_type) in call.args.iter().zip(arguments) {
            if !matches!(argument_type, Type::Bool | Type::Any) {
                let message = format!("a truth value is needed here, this is {argument_type}");
                self.report(argument.id, message, None);
            }
        }
        Type::Bool
    }

    fn conditional(&mut self, node: u64, condition: &Type, yes: &Type, no: &Type) -> Type {
        if !matches!(condition, Type::Bool | Type::Any) {
            self.report(node, format!("the condition before ? is {condition}"), None);
        }
        yes.join(no).unwrap_or_else(|| {
            self.report(node, format!("one branch is {yes}, the other {no}"), None);
            Type::Any
        })
    }

    fn equality(&mut self, node: u64, call: &mut CallExpr, left: &Type, right: &Type) -> Type {
        if !left.can_equal(right) {
            let hint = self.u256_hint(call, left, right);
            self.report(node, format!("{left} can never equal {right}"), hint);
        }
        if let [left_node, right_node] = call.args.as_mut_slice() {
            if let Type::Hex(bytes) = left {
                self.normalise_hex(*bytes, right_node);
            }
            if let Type::Hex(bytes) = right {
                self.normalise_hex(*bytes, left_node);
            }
        }
        Type::Bool
    }

    fn ordering(&mut self, node: u64, call: &CallExpr, left: &Type, right: &Type) -> Type {
        if let (true, Some(key)) =
            (left.is_number() || right.is_number(), call.args.iter().find_map(|one| self.key(one)))
        {
            let hint =
                format!("write `double({key})`, or `u256({key})` and u256(\"…\") to be exact");
            let message = format!("{key} is text, which has no order with a number");
            self.report(node, message, Some(hint));
            return Type::Bool;
        }
        if !left.can_order(right) {
            let hint = match (left, right) {
                (Type::Null, _) | (_, Type::Null) => {
                    Some("null is compared by == and != only".to_owned())
                }
                _ => self.u256_hint(call, left, right),
            };
            self.report(node, format!("{left} has no order with {right}"), hint);
        }
        Type::Bool
    }

    /// `fields["key"]` as it is written, where a node is that.
    fn key(&self, node: &IdedExpr) -> Option<String> {
        let Expr::Call(call) = &node.expr else { return None };
        let [map, key] = call.args.as_slice() else { return None };
        let (Expr::Ident(name), Expr::Literal(LiteralValue::String(key))) = (&map.expr, &key.expr)
        else {
            return None;
        };
        let is_index = call.func_name == operators::INDEX && self.is_map(name);
        is_index.then(|| format!("{name}[\"{}\"]", key.inner()))
    }

    fn u256_hint(&self, call: &CallExpr, left: &Type, right: &Type) -> Option<String> {
        if !(*left == Type::U256 && right.is_number() || left.is_number() && *right == Type::U256) {
            return None;
        }
        let number = call.args.iter().find_map(|argument| match &argument.expr {
            Expr::Literal(LiteralValue::Int(number)) => Some(number.inner().to_string()),
            Expr::Literal(LiteralValue::UInt(number)) => Some(number.inner().to_string()),
            _ => None,
        });
        let number = number.unwrap_or_else(|| "1000".to_owned());
        Some(format!("raw amounts are compared exactly: write u256(\"{number}\")"))
    }

    fn arithmetic(&mut self, node: u64, operator: &str, left: &Type, right: &Type) -> Type {
        let sign = operator.trim_matches('_');
        match (left, right) {
            (Type::Any, _) | (_, Type::Any) => Type::Any,
            (one, two)
                if one == two && one.is_number() && !(sign == "%" && *one == Type::Double) =>
            {
                one.clone()
            }
            (one, two) if sign == "+" && one.is_text() && two.is_text() => Type::Text,
            (Type::List(_), Type::List(_)) if sign == "+" => left.join(right).unwrap_or(Type::Any),
            _ => {
                let hint = (left.is_number() && right.is_number())
                    .then(|| "both sides need one type: write 1.0, or double(…)".to_owned());
                self.report(node, format!("{left} {sign} {right} has no meaning"), hint);
                Type::Any
            }
        }
    }

    fn negation(&mut self, node: u64, operand: &Type) -> Type {
        if !matches!(operand, Type::Int | Type::Double | Type::Any) {
            self.report(node, format!("{operand} has no negative"), None);
        }
        operand.clone()
    }

    fn membership(&mut self, node: u64, call: &mut CallExpr, item: &Type, list: &Type) -> Type {
        match list {
            Type::List(element) => {
                if !item.can_equal(element) {
                    self.report(node, format!("{item} is never in {list}"), None);
                }
                if let (Type::Hex(bytes), [_, list_node]) = (item, call.args.as_mut_slice()) {
                    self.normalise_hex(*bytes, list_node);
                }
            }
            Type::Map | Type::Any => {}
            other => {
                let hint = other.is_text().then(|| "write `text.contains(part)`".to_owned());
                self.report(node, format!("`in` needs a list, this is {other}"), hint);
            }
        }
        Type::Bool
    }

    fn function(
        &mut self,
        node: u64,
        call: &CallExpr,
        target: Option<&Type>,
        arguments: &[Type],
    ) -> Type {
        let name = call.func_name.as_str();
        // `x.size()` and `size(x)` are the same: the target is the first argument.
        let all: Vec<&Type> = target.into_iter().chain(arguments).collect();
        let Some(known) = FUNCTIONS.iter().find(|known| known.name == name) else {
            self.unknown_function(node, name);
            return Type::Any;
        };
        self.check_literals(call);
        if let Some(value) = (known.check)(target.is_some(), &all) {
            return value;
        }
        if !all.contains(&&Type::Any) {
            let given: Vec<String> = all.iter().map(ToString::to_string).collect();
            let message = format!("`{name}` does not take ({})", given.join(", "));
            self.report(node, message, Some(format!("write {}", known.usage)));
        }
        Type::Any
    }

    /// Arguments that are written out are tried, so that broken ones are refused now.
    fn check_literals(&mut self, call: &CallExpr) {
        match call.func_name.as_str() {
            "matches" => self.check_pattern(call),
            "u256" => self.check_u256(call),
            "units" | "ether" | "gwei" => self.check_amount(call),
            _ => {}
        }
    }

    /// `ether("1.5")`, `units("1.5", 6)`.
    fn check_amount(&mut self, call: &CallExpr) {
        let literal = |argument: usize| call.args.get(argument).map(|argument| &argument.expr);
        let decimals = match literal(1) {
            Some(Expr::Literal(LiteralValue::Int(decimals))) => {
                usize::try_from(*decimals.inner()).ok()
            }
            _ => decimals_of(&call.func_name),
        };
        let (Some(decimals), Some(Expr::Literal(LiteralValue::String(text)))) =
            (decimals, literal(0))
        else {
            return;
        };
        if parse_units(text.inner(), decimals).is_none() {
            let message = format!(
                "{:?} is no amount with at most {decimals} digits after its point",
                text.inner()
            );
            self.report(call.args[0].id, message, Some("digits such as \"1.5\"".to_owned()));
        }
    }

    fn unknown_function(&mut self, node: u64, name: &str) {
        let hint = correction(name, FUNCTIONS.iter().map(|function| function.name));
        self.report(node, format!("unknown function `{name}`"), Some(hint));
    }

    fn check_u256(&mut self, call: &CallExpr) {
        let [argument] = call.args.as_slice() else { return };
        if let Expr::Literal(LiteralValue::String(text)) = &argument.expr
            && u256::parse(text.inner()).is_none()
        {
            let message = format!("{:?} is no number of at most 256 bits", text.inner());
            self.report(argument.id, message, Some("digits, or 0x and hex digits".to_owned()));
        }
    }

    /// A pattern that is written out is tried once, so that a broken one is refused now.
    fn check_pattern(&mut self, call: &CallExpr) {
        let Some(pattern) = call.args.last() else { return };
        let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else { return };
        let literal = |text: &str| IdedExpr {
            id: 0,
            expr: Expr::Literal(LiteralValue::String(text.to_owned().into())),
        };
        let trial = IdedExpr {
            id: 0,
            expr: Expr::Call(CallExpr {
                func_name: "matches".to_owned(),
                target: Some(Box::new(literal(""))),
                args: vec![literal(text.inner())],
            }),
        };
        let tried = Value::resolve_val(&trial, &Context::with_env(self.env.clone())).map(drop);
        if let Err(error) = tried {
            self.report(pattern.id, format!("not a regular expression: {error}"), None);
        }
    }
}

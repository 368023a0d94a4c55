//! The one walk over everything in an expression.

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr},
};

/// Calls `see` for an expression and everything in it.
pub(super) fn visit(node: &IdedExpr, see: &mut impl FnMut(&IdedExpr)) {
    see(node);
    match &node.expr {
        Expr::Call(call) => {
            call.target.iter().for_each(|target| visit(target, see));
            call.args.iter().for_each(|argument| visit(argument, see));
        }
        Expr::List(list) => list.elements.iter().for_each(|element| visit(element, see)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    visit(&entry.key, see);
                    visit(&entry.value, see);
                }
            }
        }
        Expr::Comprehension(all) => {
            for part in [&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step] {
                visit(part, see);
            }
            visit(&all.result, see);
        }
        Expr::Select(select) => visit(&select.operand, see),
        _ => {}
    }
}

//! Whether two conditions can never both hold, as far as that is plain to see.

use super::syntax::{Binary, Expr, What};

/// Whether no request can meet both: a part of one is the opposite of a part of the other. `false` when in doubt.
pub(super) fn excludes(one: &Expr, other: &Expr) -> bool {
    parts(one).iter().any(|one| parts(other).iter().any(|other| are_opposite(one, other)))
}

/// What has to hold, all of it.
fn parts(expr: &Expr) -> &[Expr] {
    match &expr.what {
        What::And(parts) => parts,
        _ => std::slice::from_ref(expr),
    }
}

fn are_opposite(one: &Expr, other: &Expr) -> bool {
    let denies = |one: &Expr, other: &Expr| matches!(&one.what, What::Not(of) if **of == *other);
    if denies(one, other) || denies(other, one) {
        return true;
    }
    let (What::Binary(sign, left, right), What::Binary(other_sign, other_left, other_right)) = (&one.what, &other.what)
    else {
        return false;
    };
    left == other_left
        && match (sign, other_sign) {
            (Binary::Equal, Binary::Equal) => is_text(right) && is_text(other_right) && right != other_right,
            (Binary::Equal, Binary::Unequal) | (Binary::Unequal, Binary::Equal) => right == other_right,
            _ => false,
        }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr.what, What::Text(_))
}

//! What was typed into a form of an account, kept while something of it is wrong. Pure.

use crate::pages::query::Query;

/// One form of the account as it was sent; nothing where none was, or where what it was about has changed.
#[derive(Default)]
pub struct Kept {
    name: &'static str,
    form: Query,
}

impl Kept {
    /// What the form of this name was sent with.
    pub fn of(name: &'static str, form: &Query) -> Self {
        Self { name, form: form.clone() }
    }

    /// Whether it was this form.
    pub fn is_of(&self, name: &str) -> bool {
        self.name == name
    }

    /// What was typed into a field.
    pub fn text(&self, name: &str, key: &str) -> &str {
        if self.is_of(name) { self.form.one(key).unwrap_or_default() } else { "" }
    }

    /// Whether a choice was made, or is there from the beginning.
    pub fn is_chosen(&self, name: &str, key: &str, code: &str, is_first: bool) -> bool {
        if self.is_of(name) { self.form.one(key) == Some(code) } else { is_first }
    }

    /// Whether an item is to be paid.
    pub fn is_ticked(&self, id: &str) -> bool {
        let is_it = |item: &str| item.split_once(':').is_some_and(|(ticked, _)| ticked == id);
        !self.is_of("pay") || self.form.all("item").any(is_it)
    }

    /// How much of an item is to be paid.
    pub fn part<'a>(&'a self, id: &str, open: &'a str) -> &'a str {
        self.form.one(&format!("amount-{id}")).filter(|_| self.is_of("pay")).unwrap_or(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_what_was_typed_into_it_and_the_others_nothing() {
        let kept = Kept::of("pay", &Query::read("item=a:100&amount-a=0.50&amount-b=2&method=card&amount=7"));
        assert!(kept.is_ticked("a") && !kept.is_ticked("b"));
        assert_eq!((kept.part("a", "1.00"), kept.part("b", "3.00"), kept.part("c", "4.00")), ("0.50", "2", "4.00"));
        assert!(kept.is_chosen("pay", "method", "card", false) && !kept.is_chosen("pay", "method", "cash", true));
        assert!(kept.is_chosen("in", "method", "cash", true));
        assert_eq!((kept.text("pay", "amount"), kept.text("in", "amount")), ("7", ""));
        let none = Kept::default();
        assert!(
            none.is_ticked("a") && none.part("a", "1.00") == "1.00" && none.is_chosen("pay", "method", "cash", true)
        );
    }
}

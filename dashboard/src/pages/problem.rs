//! Where a page says what was not done: beside the form that asked for it. Pure.

/// What was not done, and the form of the page at which it is said; an empty name is the page itself.
#[derive(Default)]
pub struct Problem {
    form: &'static str,
    words: Option<String>,
}

impl Problem {
    /// Said at a form.
    pub fn at(form: &'static str, words: String) -> Self {
        Self { form, words: Some(words) }
    }

    /// Whether anything is wrong.
    pub const fn is_some(&self) -> bool {
        self.words.is_some()
    }

    /// What is wrong at this form.
    pub fn of(&self, form: &str) -> Option<&str> {
        self.words.as_deref().filter(|_| self.form == form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_said_at_its_own_form_only() {
        let problem = Problem::at("price", "no price".to_owned());
        assert_eq!((problem.of("price"), problem.of("service"), problem.of("")), (Some("no price"), None, None));
        assert_eq!(Problem::default().of(""), None);
    }
}

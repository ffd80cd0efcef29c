//! Closed lists of words: an enum, the stable code of each value, and the way back.
//!
//! Codes stand in files, in the database, on the bus and as keys of translations; they are never renamed.

/// Declares an enum whose values have stable codes: `ALL`, `as_str`, `parse` and `Display`.
///
/// `parse` takes `-` in place of `_`, as people write it, and answers `None` for a code that this version does not know.
#[macro_export]
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Reads a code, `-` in place of `_` too; `None` for an unknown one.
            pub fn parse(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| {
                    code.len() == value.as_str().len()
                        && code.bytes().map(|b| if b == b'-' { b'_' } else { b }).eq(value.as_str().bytes())
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

//! The macro by which `events.rs` declares the lines of the log, so that each is in one place. Owns
//! no line.

/// Declares [`Event`] by target: the documentation, name, level, message and fields of each. Fields
/// are written under their names and in their order.
macro_rules! events {
    ($(
        $(#[doc = $subject:literal])*
        $target:literal {
            $(
                $(#[$documentation:meta])*
                $name:ident: $level:ident $message:literal
                $({ $($field:ident: $type:ty),* $(,)? })?;
            )*
        }
    )*) => {
        /// All targets, by which `RUST_LOG` tells lines apart.
        ///
        $(#[doc = concat!("- `", $target, "`:", $($subject),*)])*
        pub const TARGETS: &[&str] = &[$($target),*];

        /// Something that is logged.
        #[derive(Clone, Copy)]
        pub enum Event<'a> {
            $($($(#[$documentation])* $name $({ $($field: $type),* })?,)*)*
        }

        impl Event<'_> {
            /// The level of the line.
            #[inline]
            pub fn level(&self) -> Level {
                match self {
                    $($(Event::$name $({ $($field: _),* })? => Level::$level,)*)*
                }
            }

            /// The target of the line.
            fn target(&self) -> &'static str {
                match self {
                    $($(Event::$name $({ $($field: _),* })? => $target,)*)*
                }
            }
        }

        /// Writes the line without its level.
        impl Display for Event<'_> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                match self {
                    $($(Event::$name $({ $($field),* })? => {
                        f.write_str($message)?;
                        $($($field.write(stringify!($field), f)?;)*)?
                    })*)*
                }
                Ok(())
            }
        }
    };
}

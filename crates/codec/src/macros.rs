//! Declarations of wire types: `record!`, `choice!`, `codes!`.

/// Declares a struct that encodes as an integer-keyed map.
///
/// Keys are ascending (checked when compiling); a field of type `Option` is left out when `None`.
///
/// ```ignore
/// record! {
///     /// A visit.
///     #[derive(Clone, Debug, PartialEq, Eq)]
///     pub struct Visit {
///         /// When.
///         1 => pub at: Millis,
///         /// Where, if known.
///         2 => pub ward: Option<String>,
///     }
/// }
/// ```
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $key:literal => $field_vis:vis $field:ident : $ty:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[$field_meta])* $field_vis $field: $ty, )*
        }

        const _: () = $crate::__assert_ascending(&[$($key),*]);

        impl $crate::Encode for $name {
            fn encode(&self, w: &mut $crate::Writer) {
                let absent: &[bool] = &[$($crate::Encode::is_absent(&self.$field)),*];
                w.map(absent.iter().filter(|absent| !**absent).count());
                $(
                    if !$crate::Encode::is_absent(&self.$field) {
                        w.uint($key);
                        $crate::Encode::encode(&self.$field, w);
                    }
                )*
            }
        }

        impl $crate::Decode for $name {
            fn decode(r: &mut $crate::Reader<'_>) -> ::core::result::Result<Self, $crate::Error> {
                #[allow(unused_mut, reason = "a record without fields takes none")]
                let mut fields = r.fields()?;
                $( let $field = fields.take::<$ty>($key, r)?; )*
                fields.end()?;
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Declares an enum that encodes as the array `[tag, body]`, or `[tag]` without a body.
///
/// `tag()` gives a value's tag. Tags are ascending (checked when compiling).
///
/// ```ignore
/// choice! {
///     /// What happened.
///     #[derive(Clone, Debug, PartialEq, Eq)]
///     pub enum Event {
///         /// A visit.
///         1 => Visit(Visit),
///         /// Nothing.
///         2 => Nothing,
///     }
/// }
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$variant_meta:meta])* $tag:literal => $variant:ident $(($ty:ty))? ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $( $(#[$variant_meta])* $variant $(($ty))?, )*
        }

        const _: () = $crate::__assert_ascending(&[$($tag),*]);

        impl $name {
            /// The tag of this choice in its encoding.
            $vis const fn tag(&self) -> u64 {
                match self {
                    $( Self::$variant { .. } => $tag, )*
                }
            }
        }

        impl $crate::Encode for $name {
            fn encode(&self, w: &mut $crate::Writer) {
                match self {
                    $(
                        $crate::__choice!(pattern $variant body $($ty)?) => {
                            $crate::__choice!(encode w $tag body $($ty)?)
                        }
                    )*
                }
            }
        }

        impl $crate::Decode for $name {
            fn decode(r: &mut $crate::Reader<'_>) -> ::core::result::Result<Self, $crate::Error> {
                let at = r.position();
                let count = r.array()?;
                if count == 0 {
                    return Err($crate::Error::WrongLength { at, expected: 1 });
                }
                match r.uint()? {
                    $(
                        $tag => {
                            let expected = $crate::__choice!(count $($ty)?);
                            if count != expected {
                                return Err($crate::Error::WrongLength { at, expected });
                            }
                            Ok(Self::$variant $((<$ty as $crate::Decode>::decode(r)?))?)
                        }
                    )*
                    tag => Err($crate::Error::UnknownTag { tag }),
                }
            }
        }
    };
}

/// Declares an enum of names that encodes as an unsigned integer and reads as a word: `ALL`,
/// `code()`, `as_str()`, `Display`, `FromStr`, serde as the word.
///
/// ```ignore
/// codes! {
///     /// How loud.
///     pub enum Volume {
///         /// Barely.
///         1 => Quiet = "quiet",
///         /// Very.
///         2 => Loud = "loud",
///     }
/// }
/// ```
#[macro_export]
macro_rules! codes {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$variant_meta:meta])* $code:literal => $variant:ident = $word:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[$variant_meta])* $variant, )*
        }

        const _: () = $crate::__assert_ascending(&[$($code),*]);

        impl $name {
            /// Every value, in the order of their codes.
            $vis const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The integer of the encoding.
            $vis const fn code(self) -> u64 {
                match self {
                    $( Self::$variant => $code, )*
                }
            }

            /// The word.
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )*
                }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(word: &str) -> ::core::result::Result<Self, $crate::Error> {
                match word {
                    $( $word => Ok(Self::$variant), )*
                    _ => Err($crate::Error::Invalid(concat!("it is none of:", $(" ", $word),*))),
                }
            }
        }

        impl $crate::Encode for $name {
            fn encode(&self, w: &mut $crate::Writer) {
                w.uint(self.code());
            }
        }

        impl $crate::Decode for $name {
            fn decode(r: &mut $crate::Reader<'_>) -> ::core::result::Result<Self, $crate::Error> {
                match r.uint()? {
                    $( $code => Ok(Self::$variant), )*
                    tag => Err($crate::Error::UnknownTag { tag }),
                }
            }
        }

        impl $crate::__serde::Serialize for $name {
            fn serialize<S: $crate::__serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::__serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                let word = <::std::string::String as $crate::__serde::Deserialize>::deserialize(
                    deserializer,
                )?;
                word.parse().map_err($crate::__serde::de::Error::custom)
            }
        }
    };
}

/// The parts of `choice!` that differ between variants with and without a body.
#[doc(hidden)]
#[macro_export]
macro_rules! __choice {
    (pattern $variant:ident $body:ident $ty:ty) => {
        Self::$variant($body)
    };
    (pattern $variant:ident $body:ident) => {
        Self::$variant
    };
    (encode $w:ident $tag:literal $body:ident $ty:ty) => {{
        $w.array(2);
        $w.uint($tag);
        <$ty as $crate::Encode>::encode($body, $w);
    }};
    (encode $w:ident $tag:literal $body:ident) => {{
        $w.array(1);
        $w.uint($tag);
    }};
    (count $ty:ty) => {
        2
    };
    (count) => {
        1
    };
}

#[doc(hidden)]
pub const fn __assert_ascending(keys: &[u64]) {
    let mut i = 1;
    while i < keys.len() {
        assert!(keys[i - 1] < keys[i], "keys must be ascending");
        i += 1;
    }
}

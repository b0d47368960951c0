//! Tables of the file, such as `[[issuers]]`, whose keys have neither a flag nor a variable.

/// A struct that one table of the file fills, made by `file_table!`.
pub trait FileTable {
    /// The name of the table in the file.
    const NAME: &'static str;
    /// Introduces the table in the example file.
    const DESCRIPTION: &'static [&'static str];
    const COLUMNS: &'static [Column];
}

/// A key of a table.
pub struct Column {
    pub key: &'static str,
    /// Its doc comment, one line each.
    pub description: &'static [&'static str],
    /// The default in Markdown; `None` if the key is required.
    pub default: Option<&'static str>,
    /// A TOML value for the example file; `None` leaves the key out.
    pub example: Option<&'static str>,
}

/// Declares a struct that serde reads from a table of the file:
///
/// ```text
/// file_table! {
///     /// An extension of a resource type.
///     pub struct ExtensionSettings in "extensions" {
///         required {
///             /// `User`, `Group` or a type that the file declares.
///             pub resource_type: String = (Some("\"User\"")),
///         }
///         optional {
///             /// Attributes that filters find by an index.
///             pub indexed: Vec<String> = ("none", Some("[\"building\"]")),
///         }
///     }
/// }
/// ```
///
/// After each field: its default as the reference shows it, where it is optional, and a value for
/// the example file.
macro_rules! file_table {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident in $table:literal {
            required {
                $(
                    $(#[doc = $doc:literal])*
                    $key_vis:vis $key:ident: $type:ty = ($example:expr)
                ),* $(,)?
            }
            optional {
                $(
                    $(#[doc = $optional_doc:literal])*
                    $optional_vis:vis $optional:ident: $optional_type:ty
                        = ($default:literal, $optional_example:expr)
                ),* $(,)?
            }
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $vis struct $name {
            $( $(#[doc = $doc])* $key_vis $key: $type, )*
            $( $(#[doc = $optional_doc])* #[serde(default)] $optional_vis $optional: $optional_type, )*
        }

        impl $crate::settings::FileTable for $name {
            const NAME: &'static str = $table;
            const DESCRIPTION: &'static [&'static str] = &[$($about),*];
            const COLUMNS: &'static [$crate::settings::Column] = &[
                $( $crate::settings::Column {
                    key: stringify!($key),
                    description: &[$($doc),*],
                    default: None,
                    example: $example,
                }, )*
                $( $crate::settings::Column {
                    key: stringify!($optional),
                    description: &[$($optional_doc),*],
                    default: Some($default),
                    example: $optional_example,
                }, )*
            ];
        }
    };
}

pub(crate) use file_table;

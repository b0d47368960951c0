//! Structs whose fields are settings.

use crate::settings::setting::{Setting, ShownDefault};
use crate::settings::sources::{ConfigError, Sources};

/// A struct whose fields are settings, made by `settings!`.
pub trait Settings: Sized {
    /// Adds the settings of this struct to a list.
    fn declare(list: &mut Vec<Setting>);

    /// Reads and checks the value of every field.
    ///
    /// # Errors
    /// The first value that cannot be used, with the location that set it.
    fn load(sources: &Sources) -> Result<Self, ConfigError>;

    /// The settings of this struct.
    fn declared() -> Vec<Setting> {
        let mut list = Vec::new();
        Self::declare(&mut list);
        list
    }
}

/// A group that is absent unless the settings that it requires are set.
impl<S: Settings> Settings for Option<S> {
    fn declare(list: &mut Vec<Setting>) {
        S::declare(list);
    }

    fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let declared = S::declared();
        for setting in &declared {
            sources.check(setting)?;
        }
        let (given, missing): (Vec<&Setting>, Vec<&Setting>) = declared
            .iter()
            .filter(|setting| setting.default == ShownDefault::Required)
            .partition(|setting| sources.given(setting.key).is_some());
        match (given.first(), missing.first()) {
            (Some(given), Some(missing)) => {
                let problem = format!("`{}` must be set too", missing.key);
                Err(sources.error(given.key, &problem))
            }
            (Some(_), None) => S::load(sources).map(Some),
            (None, _) => Ok(None),
        }
    }
}

/// Declares a struct whose fields are settings:
///
/// ```text
/// settings! {
///     /// Limits on request bodies.
///     #[derive(Debug, Clone, Copy)]
///     pub struct BodyLimits {
///         /// Largest request body, counted after decompression.
///         pub size_bytes: usize = setting("body_limit_bytes", bytes(1024..=1 << 30), 16 << 20),
///         pub rates: Rates = section,
///         pub round: Duration = fixed(ROUND),
///     }
///     validate = check_limits;
/// }
/// ```
///
/// A field is a `setting(key, kind, default)`, a `section` that is another such struct (with the
/// heading of its table in the reference, `section("Limits")`), or a value that is `fixed`. The
/// optional function sees the whole and the sources: `fn(&Self, &Sources) -> Result<(),
/// ConfigError>`.
macro_rules! settings {
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field_vis:vis $field:ident: $type:ty = $role:ident $(($($how:tt)*))?
            ),* $(,)?
        }
        $(validate = $validate:path;)?
    ) => {
        $(#[$outer])*
        $vis struct $name {
            $( $(#[doc = $doc])* $field_vis $field: $type, )*
        }

        impl $crate::settings::Settings for $name {
            fn declare(list: &mut Vec<$crate::settings::Setting>) {
                $( $crate::settings::declare_field!(
                    list, [$($doc),*], $type, $role $(($($how)*))?
                ); )*
            }

            fn load(
                sources: &$crate::settings::Sources,
            ) -> Result<Self, $crate::settings::ConfigError> {
                let loaded = Self {
                    $( $field: $crate::settings::load_field!(
                        sources, $type, $role $(($($how)*))?
                    ), )*
                };
                $( $validate(&loaded, sources)?; )?
                Ok(loaded)
            }
        }
    };
}

macro_rules! declare_field {
    ($list:ident, [$($doc:literal),*], $type:ty, setting($key:literal, $kind:expr, $default:expr)) => {
        $list.push($crate::settings::Setting::new::<$type>(
            $key,
            &[$($doc),*],
            $kind,
            $crate::settings::Fallback::from($default),
        ));
    };
    ($list:ident, $docs:tt, $type:ty, section) => {
        <$type as $crate::settings::Settings>::declare($list);
    };
    ($list:ident, $docs:tt, $type:ty, section($heading:literal)) => {
        for mut setting in <$type as $crate::settings::Settings>::declared() {
            setting.heading = $heading;
            $list.push(setting);
        }
    };
    ($list:ident, $docs:tt, $type:ty, fixed($value:expr)) => {};
}

macro_rules! load_field {
    ($sources:ident, $type:ty, setting($key:literal, $kind:expr, $default:expr)) => {{
        let kind: $crate::settings::Kind<$type> = $kind;
        $sources.load($key, &kind, $crate::settings::Fallback::from($default))?
    }};
    ($sources:ident, $type:ty, section $(($heading:literal))?) => {
        <$type as $crate::settings::Settings>::load($sources)?
    };
    ($sources:ident, $type:ty, fixed($value:expr)) => {
        $value
    };
}

pub(crate) use {declare_field, load_field, settings};

//! One declaration and all that derives from it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::settings::{
    GivenValue, Origin, Settings as _, ShownDefault, Sources, absent, choice, milliseconds, number,
    parsed, required, seconds, secret, settings,
};

settings! {
    #[derive(Debug, PartialEq)]
    struct Oven {
        /// The heat, as in
        /// [the manual](manual.md#heat).
        degrees: u16 = setting("degrees", number(50..=250), 180),
        /// The time.
        time: Duration = setting("bake_time_s", seconds(1..=3600), 60),
        /// `on` blows.
        fan: bool = setting("fan", choice(&[("on", true), ("off", false)]), "off"),
        /// A name.
        name: Option<String> = setting(
            "oven_name",
            parsed("NAME", "text", |text| Ok(text.to_owned())).optional(),
            absent("its number", "Agatha")
        ),
        lamp: Option<Lamp> = section,
        shelves: usize = fixed(3),
    }
    validate = check_heat;
}

settings! {
    #[derive(Debug, PartialEq)]
    struct Lamp {
        /// Its color.
        color: String = setting(
            "lamp_color",
            parsed("COLOR", "text", |text| Ok(text.to_owned())),
            required("red")
        ),
        /// Its brightness.
        watts: u32 = setting("lamp_watts", number(1..=9), 5),
        /// Its pause.
        blink: Duration = setting("lamp_blink_ms", milliseconds(1..=9), 2),
        /// Its switch.
        switch: String = setting(
            "lamp_switch",
            parsed("SWITCH", "text", |text| Ok(text.to_owned())),
            required("left")
        ),
    }
}

fn check_heat(oven: &Oven, sources: &Sources) -> Result<(), crate::settings::ConfigError> {
    if oven.fan && oven.degrees > 200 {
        return Err(sources.error("degrees", "too hot for the fan"));
    }
    Ok(())
}

fn layer(location: &str, values: &[(&str, &str)]) -> BTreeMap<String, GivenValue> {
    let value = |text: &str| GivenValue {
        text: text.to_owned(),
        location: location.to_owned(),
    };
    values
        .iter()
        .map(|(key, text)| ((*key).to_owned(), value(text)))
        .collect()
}

fn load(values: &[(&str, &str)]) -> Result<Oven, String> {
    let sources = Sources::new(vec![
        layer("above", values),
        layer("below", &[("fan", "on")]),
    ]);
    Oven::load(&sources).map_err(|error| error.to_string())
}

#[test]
fn the_strongest_source_wins_and_defaults_fill_the_rest() {
    let expected = Oven {
        degrees: 200,
        time: Duration::from_secs(60),
        fan: true,
        name: None,
        lamp: None,
        shelves: 3,
    };
    assert_eq!(load(&[("degrees", "200")]), Ok(expected));
    assert!(!load(&[("fan", "off")]).unwrap().fan);
}

#[test]
fn an_error_names_the_setting_and_its_source() {
    let check = |values: &[(&str, &str)], expected: &str| {
        assert_eq!(load(values), Err(expected.to_owned()));
    };
    check(
        &[("degrees", "9")],
        "degrees (above): a whole number from 50 to 250 was expected, and not `9`",
    );
    check(&[("fan", "yes")], "fan (above): `on` or `off` was expected");
    check(
        &[("degrees", "201")],
        "degrees (above): too hot for the fan",
    );
    check(
        &[("lamp_color", "red")],
        "lamp_color (above): `lamp_switch` must be set too",
    );
    check(
        &[("lamp_watts", "10")],
        "lamp_watts (above): a whole number from 1 to 9 was expected, and not `10`",
    );
}

#[test]
fn a_group_is_there_if_its_required_settings_are() {
    let oven = load(&[("lamp_color", "red"), ("lamp_switch", "left")]).unwrap();
    assert_eq!(oven.lamp.unwrap().watts, 5);
    assert_eq!(load(&[("lamp_watts", "4")]).unwrap().lamp, None);
}

#[test]
fn a_declaration_has_all_that_the_documentation_needs() {
    let declared = Oven::declared();
    let keys: Vec<&str> = declared.iter().map(|setting| setting.key).collect();
    assert_eq!(
        keys,
        [
            "degrees",
            "bake_time_s",
            "fan",
            "oven_name",
            "lamp_color",
            "lamp_watts",
            "lamp_blink_ms",
            "lamp_switch"
        ]
    );
    let [degrees, _, fan, name, color, ..] = declared.as_slice() else {
        panic!("{keys:?}");
    };
    assert_eq!(degrees.flag(), "degrees");
    assert_eq!(degrees.variable(), "ROLLCALL_DEGREES");
    assert_eq!(degrees.values, "50 to 250");
    assert_eq!(
        degrees.description,
        "The heat, as in [the manual](manual.md#heat)."
    );
    assert_eq!(
        degrees.help(),
        "The heat, as in the manual (docs/manual.md). [default: 180]"
    );
    assert_eq!(fan.placeholder, "on|off");
    assert_eq!(fan.values, "`on`, `off`");
    assert_eq!(name.flag(), "oven-name");
    assert_eq!(name.default, ShownDefault::Description("its number"));
    assert_eq!(name.help(), "A name. [default: its number]");
    assert_eq!(color.default, ShownDefault::Required);
    assert_eq!(color.help(), "Its color.");
}

#[test]
fn a_secret_has_no_flag() {
    assert_eq!(secret("text", |_| Ok(())).origin, Origin::Environment);
    assert_eq!(
        secret("text", |_| Ok(())).optional().origin,
        Origin::Environment
    );
}

//! Sections: mappings with known keys. [`section!`] makes the struct and everything that reads, describes and prints it from
//! one table.

use std::marker::PhantomData;

use go_yaml::Id;
use serde_json::{Map, json};

use super::decode::Decoder;
use super::schema::Sections;
use super::tree::Tree;
use super::value::{Codec, Json, Value};

/// A mapping with known keys.
pub(crate) trait Section: Fields + Default {
    /// Fields without which it is an error.
    const REQUIRED: &'static [&'static str] = &[];

    /// How fields must fit together, as JSON Schema.
    fn rules() -> Vec<Json> {
        Vec::new()
    }

    /// Checks and completes what was read from `node`.
    fn judge(&mut self, _node: Id, _d: &mut Decoder<'_, '_>) {}
}

/// The known keys of a section; [`section!`] writes it from the list of fields.
pub(crate) trait Fields {
    /// Reads a field; `false` when there is none of that name.
    fn field(&mut self, name: &str, value: Id, d: &mut Decoder<'_, '_>) -> bool;
    /// Appends the names of all fields.
    fn names(out: &mut Vec<&'static str>);
    /// Adds what each field may be, as JSON Schema.
    fn properties(out: &mut Map<String, Json>, sections: &mut Sections);
    /// Appends the fields that are printed.
    fn write(&self, out: &mut Vec<(String, Tree)>);
    /// Whether all fields have Go's zero value.
    fn is_zero(&self) -> bool;
}

/// The names of all fields of a section.
pub(crate) fn names<F: Fields>() -> Vec<&'static str> {
    let mut names = Vec::new();
    F::names(&mut names);
    names
}

/// Whatever its fields are.
impl<S: Section> Value for S {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            if d.document().is_null(node) {
                return false;
            }
            d.fields(node, &mut |d, key, name, value| {
                if !self.field(&name, value, d) {
                    d.unknown_field(key, &name, &names::<S>());
                }
            });
            self.judge(node, d);
            true
        })
    }

    fn schema(sections: &mut Sections) -> Json {
        let name = std::any::type_name::<Self>()
            .rsplit("::")
            .next()
            .unwrap_or_default();
        if !sections.contains_key(name) {
            // The name is taken before the fields are described, which may need it.
            sections.insert(name.to_owned(), Json::Null);
            let mut properties = Map::new();
            Self::properties(&mut properties, sections);
            let mut written = Vec::new();
            Self::default().write(&mut written);
            for (field, tree) in written {
                let default = match tree {
                    Tree::Bool(truth) => Json::from(truth),
                    Tree::Int(number) => Json::from(number),
                    _ => continue,
                };
                if let Some(Json::Object(property)) = properties.get_mut(&field) {
                    property.insert("default".to_owned(), default);
                }
            }
            let mut described = json!({
                "type": ["object", "null"],
                "properties": properties,
                "additionalProperties": false,
            });
            if let (Json::Object(described), required @ [_, ..]) = (&mut described, Self::REQUIRED) {
                described.insert("required".to_owned(), json!(required));
            }
            if let (Json::Object(described), rules @ [_, ..]) = (&mut described, &*Self::rules()) {
                described.insert("allOf".to_owned(), json!(rules));
            }
            sections.insert(name.to_owned(), described);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }
    fn is_zero(&self) -> bool {
        Fields::is_zero(self)
    }
    fn tree(&self) -> Tree {
        let mut out = Vec::new();
        self.write(&mut out);
        Tree::Section(out)
    }
}

/// What a field of type `T` adds to the [`Fields`] of its section; `own` is the field's name.
pub(crate) trait Field<T> {
    fn field(place: &mut T, own: &str, name: &str, value: Id, d: &mut Decoder<'_, '_>) -> bool;
    fn names(own: &'static str, out: &mut Vec<&'static str>);
    fn properties(own: &str, out: &mut Map<String, Json>, sections: &mut Sections);
    fn write(place: &T, own: &str, out: &mut Vec<(String, Tree)>);
    fn is_zero(place: &T) -> bool;
}

/// A key of its own, which `C` reads and writes; with `OMITS`, a zero value is not printed.
pub(crate) struct Key<C, const OMITS: bool>(PhantomData<C>);

impl<T, C: Codec<T>, const OMITS: bool> Field<T> for Key<C, OMITS> {
    fn field(place: &mut T, own: &str, name: &str, value: Id, d: &mut Decoder<'_, '_>) -> bool {
        if name == own {
            C::decode(place, value, d);
        }
        name == own
    }
    fn names(own: &'static str, out: &mut Vec<&'static str>) {
        out.push(own);
    }
    fn properties(own: &str, out: &mut Map<String, Json>, sections: &mut Sections) {
        out.insert(own.to_owned(), C::schema(sections));
    }
    fn write(place: &T, own: &str, out: &mut Vec<(String, Tree)>) {
        if !OMITS || !C::is_zero(place) {
            out.push((own.to_owned(), C::tree(place)));
        }
    }
    fn is_zero(place: &T) -> bool {
        C::is_zero(place)
    }
}

/// A section whose fields stand among those of the section around it.
pub(crate) struct Inline;

impl<T: Fields> Field<T> for Inline {
    fn field(place: &mut T, _: &str, name: &str, value: Id, d: &mut Decoder<'_, '_>) -> bool {
        place.field(name, value, d)
    }
    fn names(_: &'static str, out: &mut Vec<&'static str>) {
        T::names(out);
    }
    fn properties(_: &str, out: &mut Map<String, Json>, sections: &mut Sections) {
        T::properties(out, sections);
    }
    fn write(place: &T, _: &str, out: &mut Vec<(String, Tree)>) {
        place.write(out);
    }
    fn is_zero(place: &T) -> bool {
        place.is_zero()
    }
}

/// Not a setting.
pub(crate) struct Skip;

impl<T> Field<T> for Skip {
    fn field(_: &mut T, _: &str, _: &str, _: Id, _: &mut Decoder<'_, '_>) -> bool {
        false
    }
    fn names(_: &'static str, _: &mut Vec<&'static str>) {}
    fn properties(_: &str, _: &mut Map<String, Json>, _: &mut Sections) {}
    fn write(_: &T, _: &str, _: &mut Vec<(String, Tree)>) {}
    fn is_zero(_: &T) -> bool {
        true
    }
}

/// Makes a section's struct, whose fields are all public and stand in the order in which they are printed, and its defaults.
///
/// `omit` leaves zero values out of what is printed, `always` does not; `inline` takes the fields of another section in;
/// `skip` is for what is not a setting. Behind the field's name stands its key where that is another one, behind the type
/// `as` its [`Codec`] where the type does not say how it is read, and `=` its default where that is not the type's.
macro_rules! section {
    ($(#[$about:meta])* pub struct $section:ident {
        $($(#[$doc:meta])* $how:ident $field:ident $(($key:literal))?: $kind:ty $(as $codec:ty)? $(= $default:expr)?,)*
    }) => {
        $(#[$about])*
        pub struct $section {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl Default for $section {
            fn default() -> Self {
                Self {
                    $($field: $crate::config::codec::section::section!(@default $($default)?),)*
                }
            }
        }

        impl $crate::config::codec::section::Fields for $section {
            fn field(
                &mut self,
                name: &str,
                value: $crate::config::yaml::Id,
                d: &mut $crate::config::codec::decode::Decoder<'_, '_>,
            ) -> bool {
                $(<$crate::config::codec::section::section!(@how $how $($codec)?) as $crate::config::codec::section::Field<$kind>>::field(
                    &mut self.$field, $crate::config::codec::section::section!(@key $field $($key)?), name, value, d,
                ))||*
            }
            fn names(out: &mut Vec<&'static str>) {
                $(<$crate::config::codec::section::section!(@how $how $($codec)?) as $crate::config::codec::section::Field<$kind>>::names(
                    $crate::config::codec::section::section!(@key $field $($key)?), out,
                );)*
            }
            fn properties(
                out: &mut serde_json::Map<String, serde_json::Value>,
                sections: &mut $crate::config::codec::schema::Sections,
            ) {
                $(<$crate::config::codec::section::section!(@how $how $($codec)?) as $crate::config::codec::section::Field<$kind>>::properties(
                    $crate::config::codec::section::section!(@key $field $($key)?), out, sections,
                );)*
            }
            fn write(&self, out: &mut Vec<(String, $crate::config::codec::tree::Tree)>) {
                $(<$crate::config::codec::section::section!(@how $how $($codec)?) as $crate::config::codec::section::Field<$kind>>::write(
                    &self.$field, $crate::config::codec::section::section!(@key $field $($key)?), out,
                );)*
            }
            fn is_zero(&self) -> bool {
                true $(&& <$crate::config::codec::section::section!(@how $how $($codec)?) as $crate::config::codec::section::Field<$kind>>::is_zero(&self.$field))*
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@how omit $codec:ty) => { $crate::config::codec::section::Key<$codec, true> };
    (@how always $codec:ty) => { $crate::config::codec::section::Key<$codec, false> };
    (@how inline $codec:ty) => { $crate::config::codec::section::Inline };
    (@how skip $codec:ty) => { $crate::config::codec::section::Skip };
    (@how $how:ident) => { $crate::config::codec::section::section!(@how $how $crate::config::codec::value::AsIs) };
}
pub(crate) use section;

//! Sections: how each is read, described and printed as a value, whatever its fields are.

use go_yaml::Id;
use serde_json::{Map, json};

use super::{Json, Value};
use crate::config::codec::decode::Decoder;
use crate::config::codec::schema::Sections;
use crate::config::codec::section::{Fields, Section, names};
use crate::config::codec::tree::Tree;

impl<S: Section> Value for S {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            if d.document().is_null(node) {
                return false;
            }
            d.mapping(node, &mut |d, key, name, value| {
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
            if let (Json::Object(described), one_of @ [_, ..]) = (&mut described, Self::ONE_OF) {
                let needs = |field: &&str| json!({"required": [field]});
                described.insert("anyOf".to_owned(), one_of.iter().map(needs).collect());
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

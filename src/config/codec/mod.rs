//! How settings are read from YAML, described as JSON Schema, and turned into what is printed: once for each kind of value.
//! [`section::section!`] makes a section of a table of its fields, [`words::words!`] a setting of a few words.

pub(crate) mod confidential;
pub(crate) mod decode;
pub(crate) mod environment;
pub(crate) mod hints;
pub mod meant;
pub(crate) mod named;
pub mod problem;
pub(crate) mod schema;
pub(crate) mod secret;
pub(crate) mod section;
pub(crate) mod shared;
pub(crate) mod tree;
pub(crate) mod value;
pub(crate) mod words;
pub(crate) mod yaml_version;

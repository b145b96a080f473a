//! `tcp.starttls` (ours): the protocol whose command for TLS comes before the dialogue.

use super::decode::{Decoder, Value};
use super::problem::one_of;
use super::schema::{self, Sections};
use super::tree::Tree;
use super::value::Write;
use super::yaml::Id;

/// A protocol that begins in the clear and goes on in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StartTls {
    Smtp,
    Lmtp,
    Imap,
    Pop3,
    Ftp,
    Ldap,
    Xmpp,
    XmppServer,
    Postgres,
    Mysql,
    Sieve,
    Nntp,
    Irc,
}

impl StartTls {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 13] = [
        Self::Smtp,
        Self::Lmtp,
        Self::Imap,
        Self::Pop3,
        Self::Ftp,
        Self::Ldap,
        Self::Xmpp,
        Self::XmppServer,
        Self::Postgres,
        Self::Mysql,
        Self::Sieve,
        Self::Nntp,
        Self::Irc,
    ];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Ftp => "ftp",
            Self::Ldap => "ldap",
            Self::Xmpp => "xmpp",
            Self::XmppServer => "xmpp-server",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sieve => "sieve",
            Self::Nntp => "nntp",
            Self::Irc => "irc",
        }
    }
}

impl Value for Option<StartTls> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let Some(name) = d.text(node) else { return false };
            let all = StartTls::ALL;
            *self = all.into_iter().find(|protocol| protocol.name() == name);
            if self.is_none() {
                let help = one_of(&name, all.map(StartTls::name));
                d.report(node, format!("there is no starttls for {name:?}"), Some(help));
            }
            true
        })
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        schema::words(StartTls::ALL.map(StartTls::name))
    }
}

impl Write for Option<StartTls> {
    fn is_zero(&self) -> bool {
        self.is_none()
    }
    fn tree(&self) -> Tree {
        self.map_or(Tree::Null, |protocol| Tree::text(protocol.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn each_is_read_and_printed() {
        for protocol in StartTls::ALL {
            let name = protocol.name();
            let text = format!("modules: {{m: {{prober: tcp, tcp: {{starttls: {name}}}}}}}");
            let parsed = config::parse(&text);
            assert_eq!(parsed.problems, [], "{name}");
            let printed = config::write::config(&parsed.config);
            assert!(printed.contains(&format!("starttls: {name}")), "{printed}");
            assert_eq!(config::parse(&printed).config.modules, parsed.config.modules);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let rows = [
            ("starttls: smpt", "there is no starttls for \"smpt\""),
            ("starttls: true", "there is no starttls for \"true\""),
            ("starttls: ''", "there is no starttls for \"\""),
            (
                "starttls: smtp, tls: true",
                "tls and starttls are mutually exclusive: starttls begins without TLS",
            ),
            (
                "starttls: smtp, query_response: [{send: a}, {starttls: true}]",
                "the connection is in TLS already: the field starttls of the section began it",
            ),
        ];
        for (fields, want) in rows {
            let text = format!("modules: {{m: {{prober: tcp, tcp: {{{fields}}}}}}}");
            let problems = config::parse(&text).problems;
            assert_eq!(problems.len(), 1, "{fields}: {problems:?}");
            assert_eq!(problems[0].message, want);
        }
    }
}

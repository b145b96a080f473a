//! `tcp.starttls` (ours): the protocol whose command for TLS comes before the dialogue.

use crate::config::codec::words::words;

words! {
    /// A protocol that begins in the clear and goes on in TLS.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub enum StartTls: "there is no starttls for {word:?}" {
        Smtp = "smtp",
        Lmtp = "lmtp",
        Imap = "imap",
        Pop3 = "pop3",
        Ftp = "ftp",
        Ldap = "ldap",
        Xmpp = "xmpp",
        XmppServer = "xmpp-server",
        Postgres = "postgres",
        Mysql = "mysql",
        Sieve = "sieve",
        Nntp = "nntp",
        Irc = "irc",
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

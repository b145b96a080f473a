//! Fields of every module (ours): whether the server's certificate is revoked, asked by OCSP, and what follows from it.

use go_yaml::Id;

use crate::config::codec::decode::Decoder;
use crate::config::codec::section::{Section, section};
use crate::config::codec::words::words;

section! {
    /// What is asked of OCSP, and whether revoked certificates fail a probe.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Revocation {
        /// Whose answer is judged.
        omit ocsp: Ocsp,
        /// Whether a certificate that is revoked, by OCSP or a list, fails the probe.
        omit fail_if_cert_revoked: bool,
    }
}

words! {
    /// Whose answer is judged.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Ocsp: "{word:?} is not a value of ocsp" {
        /// Nobody's.
        #[default]
        Off = "off",
        /// The one that the server sends along.
        Staple = "staple",
        /// The responder's that the certificate names; without one, the server's.
        Query = "query",
    }

    fn is_zero(self) -> bool {
        self == Self::Off
    }
}

impl Section for Revocation {}

impl Revocation {
    /// Checks what was read from the module at `node`; `has_tls` if its probes can speak TLS, `has_lists` if it looks into lists
    /// of revoked certificates.
    pub(crate) fn judge(self, has_tls: bool, has_lists: bool, node: Id, d: &mut Decoder<'_, '_>) {
        if !has_tls && self != Self::default() {
            let field = if self.ocsp == Ocsp::Off {
                "fail_if_cert_revoked"
            } else {
                "ocsp"
            };
            d.warn(node, field, "it has no effect: the module does not use TLS", None);
        } else if self.fail_if_cert_revoked && self.ocsp == Ocsp::Off && !has_lists {
            let help = "set ocsp to staple or query, or check_revoked in the prober's section";
            d.warn(
                node,
                "fail_if_cert_revoked",
                "it has no effect: neither OCSP nor revocation lists are used",
                help,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config;

    #[test]
    fn it_is_read_printed_and_judged() {
        for text in [
            "modules: {m: {prober: tcp, ocsp: query, fail_if_cert_revoked: true, tcp: {tls: true}}}",
            "modules: {m: {prober: tcp, ocsp: query, params: {tls: {}}}}",
            "modules: {m: {prober: unix, ocsp: query, unix: {query_response: [{starttls: true}]}}}",
            "modules: {m: {prober: dns, ocsp: staple, dns: {query_name: a, transport_protocol: quic}}}",
            "modules: {m: {prober: http, ocsp: off, fail_if_cert_revoked: true, http: {check_revoked: true}}}",
        ] {
            let parsed = config::parse(text);
            assert_eq!(
                (&*parsed.problems, &*parsed.warnings),
                (&[][..], &[][..]),
                "{text}"
            );
            let printed = config::write::config(&parsed.config);
            assert_eq!(printed.contains("ocsp"), !text.contains("off"), "{printed}");
            let again = config::parse(&printed);
            assert_eq!(again.config.modules, parsed.config.modules, "{printed}");
        }
        let parsed = config::parse("modules:\n  m: {prober: tcp, ocsp: stapled}\n");
        assert_eq!(parsed.problems[0].message, "\"stapled\" is not a value of ocsp");
        for module in [
            "{prober: icmp, ocsp: query}",
            "{prober: tcp, ocsp: query}",
            "{prober: unix, ocsp: staple}",
            "{prober: grpc, ocsp: staple}",
            "{prober: dns, ocsp: query, dns: {query_name: a}}",
            "{prober: tcp, tcp: {tls: true}, fail_if_cert_revoked: true}",
        ] {
            let text = format!("modules:\n  m: {module}\n");
            let parsed = config::parse(&text);
            assert_eq!(parsed.problems, []);
            assert!(
                parsed.warnings[0].message.contains("it has no effect"),
                "{module}"
            );
        }
    }
}

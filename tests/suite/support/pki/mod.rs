//! Certificates of every shape, well formed or not, what revokes them, and a TLS server that presents them.
//!
//! They are put together byte by byte, because no library makes the ones that matter here: old versions, bad numbers, broken
//! extensions, signatures that are none.

mod revocation;
mod server;

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{KeyPair, SignatureAlgorithm, SigningKey};

pub use revocation::{List, Ocsp};
pub use server::{asking, certified, saying, serve, serve_each, server_config};

/// DER: an element of that tag around these parts.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    match body.len() {
        n @ 0..=127 => out.push(n as u8),
        n @ 128..=255 => out.extend([0x81, n as u8]),
        n @ 256..=65_535 => out.extend([0x82, (n >> 8) as u8, n as u8]),
        n => out.extend([0x83, (n >> 16) as u8, (n >> 8) as u8, n as u8]),
    }
    out.extend(body);
    out
}

/// An object identifier from dotted decimals.
pub fn oid(text: &str) -> Vec<u8> {
    let numbers: Vec<u64> = text.split('.').map(|n| n.parse().unwrap()).collect();
    let mut body = Vec::new();
    for number in [&[numbers[0] * 40 + numbers[1]], &numbers[2..]].concat() {
        let mut digits = vec![(number & 0x7f) as u8];
        let mut rest = number >> 7;
        while rest > 0 {
            digits.insert(0, 0x80 | (rest & 0x7f) as u8);
            rest >>= 7;
        }
        body.extend(digits);
    }
    tlv(6, &[&body])
}

/// One attribute of a name: its identifier, the tag of its value and the value.
pub fn attribute(id: &str, tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&oid(id), &tlv(tag, &[value])])
}

/// A name of one common name.
pub fn common_name(text: &str) -> Vec<u8> {
    tlv(
        0x30,
        &[&tlv(0x31, &[&attribute("2.5.4.3", 0x0c, text.as_bytes())])],
    )
}

/// A certificate in the making.
#[derive(Clone)]
pub struct Cert {
    pub version: u8,
    pub serial: Vec<u8>,
    pub subject: Vec<u8>,
    /// Years; each ends with its 1 January.
    pub years: (u32, u32),
    pub extensions: Vec<Vec<u8>>,
    /// The key; a new one of P-256 if none is given.
    pub key: Option<Arc<KeyPair>>,
    /// Instead of the algorithm that the issuer's key says.
    pub algorithm: Option<Vec<u8>>,
    /// Instead of what the key says of itself.
    pub key_info: Option<Vec<u8>>,
    /// Instead of a signature by the issuer.
    pub signature: Option<Vec<u8>>,
    /// Changes the finished certificate.
    pub spoil: Option<fn(&mut Vec<u8>)>,
}

/// A finished certificate with its key.
#[derive(Clone)]
pub struct Made {
    pub der: Vec<u8>,
    pub subject: Vec<u8>,
    pub key: Arc<KeyPair>,
    /// The year it ends with the beginning of.
    pub until: u32,
}

pub fn key(algorithm: &'static SignatureAlgorithm) -> Arc<KeyPair> {
    Arc::new(KeyPair::generate_for(algorithm).unwrap())
}

impl Cert {
    /// For a server.
    pub fn leaf() -> Self {
        Self {
            version: 3,
            serial: vec![0x12, 0x34],
            subject: common_name("leaf"),
            years: (2020, 2040),
            extensions: Vec::new(),
            key: None,
            algorithm: None,
            key_info: None,
            signature: None,
            spoil: None,
        }
        .names(&["v4.test"])
    }

    /// Without any extension.
    pub fn bare(name: &str) -> Self {
        Self {
            subject: common_name(name),
            extensions: Vec::new(),
            ..Self::leaf()
        }
    }

    /// For a CA of that name.
    pub fn ca(name: &str) -> Self {
        Self::bare(name).basic(true, None).usage(0x06, 1)
    }

    pub fn subject(mut self, subject: Vec<u8>) -> Self {
        self.subject = subject;
        self
    }

    pub fn years(mut self, from: u32, to: u32) -> Self {
        self.years = (from, to);
        self
    }

    pub fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    pub fn serial(mut self, bytes: &[u8]) -> Self {
        self.serial = bytes.to_vec();
        self
    }

    pub fn key(mut self, key: &Arc<KeyPair>) -> Self {
        self.key = Some(Arc::clone(key));
        self
    }

    pub fn algorithm(mut self, id: &str, parameters: &[u8]) -> Self {
        self.algorithm = Some(tlv(0x30, &[&oid(id), parameters]));
        self
    }

    pub fn spoil(mut self, spoil: fn(&mut Vec<u8>)) -> Self {
        self.spoil = Some(spoil);
        self
    }

    /// With an RSA key of these numbers, which need not be any.
    pub fn rsa(mut self, modulus: &[u8], exponent: &[u8]) -> Self {
        let key = tlv(0x30, &[&tlv(2, &[&[0], modulus]), &tlv(2, &[exponent])]);
        let algorithm = tlv(0x30, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]);
        self.key_info = Some(tlv(0x30, &[&algorithm, &tlv(3, &[&[0], &key])]));
        self
    }

    /// With these bytes as a signature of RSA with SHA-256.
    pub fn rsa_signature(mut self, signature: &[u8]) -> Self {
        self.signature = Some(signature.to_vec());
        self.algorithm("1.2.840.113549.1.1.11", &[5, 0])
    }

    /// Any extension.
    pub fn extension(mut self, id: &str, critical: bool, value: &[u8]) -> Self {
        let critical = if critical { &[1, 1, 0xff][..] } else { &[] };
        self.extensions
            .push(tlv(0x30, &[&oid(id), critical, &tlv(4, &[value])]));
        self
    }

    /// Takes all extensions of that kind out.
    pub fn without(mut self, id: &str) -> Self {
        let id = oid(id);
        self.extensions.retain(|e| !e.windows(id.len()).any(|w| w == id));
        self
    }

    pub fn basic(self, ca: bool, path_length: Option<u8>) -> Self {
        let ca = if ca { tlv(1, &[&[0xff]]) } else { Vec::new() };
        let length = path_length.map_or_else(Vec::new, |n| tlv(2, &[&[n]]));
        self.without("2.5.29.19")
            .extension("2.5.29.19", true, &tlv(0x30, &[&ca, &length]))
    }

    /// Key usage: the byte of bits (0x80 is digitalSignature, 0x04 keyCertSign) and how many of its bits are unused.
    pub fn usage(self, bits: u8, unused: u8) -> Self {
        self.without("2.5.29.15")
            .extension("2.5.29.15", true, &tlv(3, &[&[unused, bits]]))
    }

    pub fn purposes(self, ids: &[&str]) -> Self {
        let ids: Vec<Vec<u8>> = ids.iter().map(|id| oid(id)).collect();
        self.extension("2.5.29.37", false, &tlv(0x30, &[&ids.concat()]))
    }

    /// Alternative names: addresses as such, `user@host` as mail, `scheme:` as URI, everything else as DNS name.
    pub fn names(self, names: &[&str]) -> Self {
        let names: Vec<Vec<u8>> = names.iter().map(|name| general_name(name)).collect();
        self.without("2.5.29.17")
            .extension("2.5.29.17", false, &tlv(0x30, &[&names.concat()]))
    }

    /// Name constraints, written as the names are; networks as `address/mask`.
    pub fn constraints(self, permitted: &[&str], excluded: &[&str]) -> Self {
        let subtrees = |tag, names: &[&str]| {
            let trees: Vec<Vec<u8>> = names
                .iter()
                .map(|name| tlv(0x30, &[&general_name(name)]))
                .collect();
            if trees.is_empty() {
                Vec::new()
            } else {
                tlv(tag, &[&trees.concat()])
            }
        };
        let value = tlv(0x30, &[&subtrees(0xa0, permitted), &subtrees(0xa1, excluded)]);
        self.extension("2.5.29.30", true, &value)
    }

    /// Points where lists of revoked certificates are, each of one URL.
    pub fn revocation(self, urls: &[String]) -> Self {
        let point = |url: &String| {
            let name = tlv(0xa0, &[&tlv(0x86, &[url.as_bytes()])]);
            tlv(0x30, &[&tlv(0xa0, &[&name])])
        };
        let points: Vec<u8> = urls.iter().flat_map(point).collect();
        self.extension("2.5.29.31", false, &tlv(0x30, &[&points]))
    }

    /// Where a responder is, and where the issuer's certificate.
    pub fn authority(self, responder: &str, issuer: &str) -> Self {
        let place = |id, urls: &str| -> Vec<u8> {
            let places = urls.split_whitespace();
            places
                .flat_map(|url| tlv(0x30, &[&oid(id), &tlv(0x86, &[url.as_bytes()])]))
                .collect()
        };
        let (responder, issuer) = (
            place("1.3.6.1.5.5.7.48.1", responder),
            place("1.3.6.1.5.5.7.48.2", issuer),
        );
        self.extension("1.3.6.1.5.5.7.1.1", false, &tlv(0x30, &[&responder, &issuer]))
    }

    pub fn policies(self, ids: &[&str]) -> Self {
        let list: Vec<Vec<u8>> = ids.iter().map(|id| tlv(0x30, &[&oid(id)])).collect();
        self.extension("2.5.29.32", false, &tlv(0x30, &[&list.concat()]))
    }

    pub fn key_ids(self, own: &[u8], issuer: &[u8]) -> Self {
        self.extension("2.5.29.14", false, &tlv(4, &[own])).extension(
            "2.5.29.35",
            false,
            &tlv(0x30, &[&tlv(0x80, &[issuer])]),
        )
    }

    /// Signed by its own key.
    pub fn self_signed(mut self) -> Made {
        let key = self
            .key
            .take()
            .unwrap_or_else(|| key(&rcgen::PKCS_ECDSA_P256_SHA256));
        let subject = self.subject.clone();
        self.finish(&subject, &key, Arc::clone(&key))
    }

    /// Signed by another's.
    pub fn by(mut self, issuer: &Made) -> Made {
        let key = self
            .key
            .take()
            .unwrap_or_else(|| key(&rcgen::PKCS_ECDSA_P256_SHA256));
        self.finish(&issuer.subject, &issuer.key, key)
    }

    fn finish(self, issuer: &[u8], signer: &KeyPair, key: Arc<KeyPair>) -> Made {
        let algorithm = self.algorithm.unwrap_or_else(|| signature_algorithm(signer));
        let version = match self.version {
            1 => Vec::new(),
            n => tlv(0xa0, &[&tlv(2, &[&[n - 1]])]),
        };
        let extensions = match self.version {
            3 if !self.extensions.is_empty() => tlv(0xa3, &[&tlv(0x30, &[&self.extensions.concat()])]),
            _ => Vec::new(),
        };
        let tbs = tlv(
            0x30,
            &[
                &version,
                &tlv(2, &[&self.serial]),
                &algorithm,
                issuer,
                &tlv(0x30, &[&new_year(self.years.0), &new_year(self.years.1)]),
                &self.subject,
                &self
                    .key_info
                    .unwrap_or_else(|| rcgen::PublicKeyData::subject_public_key_info(&*key)),
                &extensions,
            ],
        );
        let signature = self.signature.unwrap_or_else(|| signer.sign(&tbs).unwrap());
        let mut der = tlv(0x30, &[&tbs, &algorithm, &tlv(3, &[&[0], &signature])]);
        if let Some(spoil) = self.spoil {
            spoil(&mut der);
        }
        Made {
            der,
            subject: self.subject,
            key,
            until: self.years.1,
        }
    }
}

/// The beginning of a year.
fn new_year(year: u32) -> Vec<u8> {
    tlv(0x18, &[format!("{year}0101000000Z").as_bytes()])
}

fn signature_algorithm(key: &KeyPair) -> Vec<u8> {
    let known: [(&SignatureAlgorithm, &str, &[u8]); 5] = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, "1.2.840.10045.4.3.2", &[]),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "1.2.840.10045.4.3.3", &[]),
        (&rcgen::PKCS_ECDSA_P521_SHA512, "1.2.840.10045.4.3.4", &[]),
        (&rcgen::PKCS_ED25519, "1.3.101.112", &[]),
        (&rcgen::PKCS_RSA_SHA256, "1.2.840.113549.1.1.11", &[5, 0]),
    ];
    let algorithm = rcgen::PublicKeyData::algorithm(key);
    let (_, id, parameters) = known.iter().find(|(a, _, _)| *a == algorithm).unwrap();
    tlv(0x30, &[&oid(id), parameters])
}

fn general_name(name: &str) -> Vec<u8> {
    if let Ok(ip) = name.parse::<IpAddr>() {
        return match ip {
            IpAddr::V4(ip) => tlv(0x87, &[&ip.octets()]),
            IpAddr::V6(ip) => tlv(0x87, &[&ip.octets()]),
        };
    }
    if let Some((Ok(IpAddr::V4(base)), Ok(IpAddr::V4(mask)))) =
        name.split_once('/').map(|(a, b)| (a.parse(), b.parse()))
    {
        return tlv(0x87, &[&base.octets(), &mask.octets()]);
    }
    let tag = match name {
        _ if name.contains(':') => 0x86,
        _ if name.contains('@') => 0x81,
        _ => 0x82,
    };
    tlv(tag, &[name.as_bytes()])
}

pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|c| std::str::from_utf8(c).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

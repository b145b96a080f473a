//! What revokes certificates: lists and OCSP responses.

use rcgen::SigningKey as _;

use super::{Made, new_year, oid, signature_algorithm, tlv};

/// A list of revoked certificates in the making.
#[derive(Clone)]
pub struct List {
    /// From the beginning of that year.
    pub this_update: u32,
    /// Until the beginning of that year.
    pub next_update: Option<u32>,
    /// Serial numbers.
    pub revoked: Vec<Vec<u8>>,
    /// Extensions of each entry.
    pub of_entries: Vec<u8>,
    pub extensions: Vec<u8>,
}

impl List {
    /// Of these serial numbers, valid.
    pub fn of(revoked: &[&[u8]]) -> Self {
        Self {
            this_update: 2020,
            next_update: Some(2050),
            revoked: revoked.iter().map(|serial| serial.to_vec()).collect(),
            of_entries: Vec::new(),
            extensions: Vec::new(),
        }
    }

    /// With a critical extension, its value in DER.
    pub fn extension(mut self, id: &str, value: &[u8]) -> Self {
        self.extensions.extend(critical(id, value));
        self
    }

    /// With a critical extension in each entry.
    pub fn entry_extension(mut self, id: &str, value: &[u8]) -> Self {
        self.of_entries.extend(critical(id, value));
        self
    }

    pub fn years(mut self, this_update: u32, next_update: Option<u32>) -> Self {
        (self.this_update, self.next_update) = (this_update, next_update);
        self
    }

    pub fn by(&self, issuer: &Made) -> Vec<u8> {
        let algorithm = signature_algorithm(&issuer.key);
        let list_of = |extensions: &[u8]| match extensions {
            [] => Vec::new(),
            extensions => tlv(0x30, &[extensions]),
        };
        let of_entries = list_of(&self.of_entries);
        let entries: Vec<u8> = self
            .revoked
            .iter()
            .flat_map(|serial| tlv(0x30, &[&tlv(2, &[serial]), &new_year(2024), &of_entries]))
            .collect();
        let entries = if entries.is_empty() {
            Vec::new()
        } else {
            tlv(0x30, &[&entries])
        };
        let next_update = self.next_update.map_or_else(Vec::new, new_year);
        let extensions = match &*self.extensions {
            [] => Vec::new(),
            extensions => tlv(0xa0, &[&list_of(extensions)]),
        };
        let tbs = tlv(
            0x30,
            &[
                &tlv(2, &[&[1]]),
                &algorithm,
                &issuer.subject,
                &new_year(self.this_update),
                &next_update,
                &entries,
                &extensions,
            ],
        );
        let signature = issuer.key.sign(&tbs).unwrap();
        tlv(0x30, &[&tbs, &algorithm, &tlv(3, &[&[0], &signature])])
    }
}

fn critical(id: &str, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&oid(id), &tlv(1, &[&[0xff]]), &tlv(4, &[value])])
}

/// An OCSP response in the making, about one certificate.
#[derive(Clone)]
pub struct Ocsp {
    /// The CertStatus.
    pub status: Vec<u8>,
    pub this_update: u32,
    pub next_update: Option<u32>,
    pub serial: Vec<u8>,
    /// Whether the responder names itself by its key.
    pub by_key: bool,
    /// Certificates that are sent along.
    pub certificates: Vec<Vec<u8>>,
}

impl Ocsp {
    /// About the certificate of that serial number: `good`, `revoked`, or unknown.
    pub fn of(serial: &[u8], status: &str) -> Self {
        Self {
            status: match status {
                "good" => tlv(0x80, &[]),
                "revoked" => tlv(0xa1, &[&new_year(2024)]),
                _ => tlv(0x82, &[]),
            },
            this_update: 2020,
            next_update: Some(2050),
            serial: serial.to_vec(),
            by_key: false,
            certificates: Vec::new(),
        }
    }

    pub fn years(mut self, this_update: u32, next_update: Option<u32>) -> Self {
        (self.this_update, self.next_update) = (this_update, next_update);
        self
    }

    pub fn by_key(mut self) -> Self {
        self.by_key = true;
        self
    }

    pub fn with(mut self, certificate: &Made) -> Self {
        self.certificates.push(certificate.der.clone());
        self
    }

    /// Of a certificate by this issuer, signed by a responder.
    pub fn by(&self, issuer: &Made, responder: &Made) -> Vec<u8> {
        let sha1 = |bytes: &[u8]| {
            let sha1 = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
            tlv(4, &[aws_lc_rs::digest::digest(sha1, bytes).as_ref()])
        };
        let key = |made: &Made| sha1(rcgen::PublicKeyData::der_bytes(&*made.key));
        let id = tlv(
            0x30,
            &[
                &tlv(0x30, &[&oid("1.3.14.3.2.26"), &[5, 0]]),
                &sha1(&issuer.subject),
                &key(issuer),
                &tlv(2, &[&self.serial]),
            ],
        );
        let next_update = self.next_update.map(|year| tlv(0xa0, &[&new_year(year)]));
        let this_update = new_year(self.this_update);
        let single = tlv(
            0x30,
            &[&id, &self.status, &this_update, &next_update.unwrap_or_default()],
        );
        let name = match self.by_key {
            true => tlv(0xa2, &[&key(responder)]),
            false => tlv(0xa1, &[&responder.subject]),
        };
        let data = tlv(0x30, &[&name, &this_update, &tlv(0x30, &[&single])]);
        let signature = responder.key.sign(&data).unwrap();
        let certificates = match self.certificates.concat() {
            none if none.is_empty() => none,
            some => tlv(0xa0, &[&tlv(0x30, &[&some])]),
        };
        let algorithm = signature_algorithm(&responder.key);
        let basic = tlv(
            0x30,
            &[&data, &algorithm, &tlv(3, &[&[0], &signature]), &certificates],
        );
        let bytes = tlv(0x30, &[&oid("1.3.6.1.5.5.7.48.1.1"), &tlv(4, &[&basic])]);
        tlv(0x30, &[&tlv(0x0a, &[&[0]]), &tlv(0xa0, &[&bytes])])
    }
}

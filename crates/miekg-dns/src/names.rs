//! The names of DNS types, classes and response codes, with the numbers they stand for.
//!
//! The lists are those of miekg/dns, which upstream reads the configuration and prints records with: a name it does
//! not know is an error there, so it is one here. IANA's registry of DNS parameters is the source of the numbers.

/// Types by number. `None` and `Reserved` are names like the others.
const TYPES: &[(u16, &str)] = &[
    (0, "None"),
    (1, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (23, "NSAP-PTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (28, "AAAA"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (39, "DNAME"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (53, "SMIMEA"),
    (55, "HIP"),
    (56, "NINFO"),
    (57, "RKEY"),
    (58, "TALINK"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (128, "NXNAME"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
    (256, "URI"),
    (257, "CAA"),
    (258, "AVC"),
    (260, "AMTRELAY"),
    (261, "RESINFO"),
    (32768, "TA"),
    (32769, "DLV"),
    (65535, "Reserved"),
];

const CLASSES: &[(u16, &str)] = &[
    (1, "IN"),
    (2, "CS"),
    (3, "CH"),
    (4, "HS"),
    (254, "NONE"),
    (255, "ANY"),
];

const RCODES: &[(u16, &str)] = &[
    (0, "NOERROR"),
    (1, "FORMERR"),
    (2, "SERVFAIL"),
    (3, "NXDOMAIN"),
    (4, "NOTIMP"),
    (5, "REFUSED"),
    (6, "YXDOMAIN"),
    (7, "YXRRSET"),
    (8, "NXRRSET"),
    (9, "NOTAUTH"),
    (10, "NOTZONE"),
    (11, "DSOTYPENI"),
    (16, "BADSIG"),
    (17, "BADKEY"),
    (18, "BADTIME"),
    (19, "BADMODE"),
    (20, "BADNAME"),
    (21, "BADALG"),
    (22, "BADTRUNC"),
    (23, "BADCOOKIE"),
];

/// The number of a type (`AAAA`), as the configuration writes it: upper case only.
pub fn type_number(name: &str) -> Option<u16> {
    number(TYPES, name)
}

/// The names of all types.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(_, name)| *name)
}

/// The name of a type.
pub fn type_name(number: u16) -> Option<&'static str> {
    name(TYPES, number)
}

/// The number of a class (`IN`).
pub fn class_number(name: &str) -> Option<u16> {
    number(CLASSES, name)
}

/// The names of all classes.
pub fn class_names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(_, name)| *name)
}

/// The name of a class.
pub fn class_name(number: u16) -> Option<&'static str> {
    name(CLASSES, number)
}

/// The number of a response code (`NXDOMAIN`); `NOTIMPL` is understood besides `NOTIMP`.
pub fn rcode_number(name: &str) -> Option<u16> {
    match name {
        "NOTIMPL" => Some(4),
        name => number(RCODES, name),
    }
}

/// The name of a response code.
pub fn rcode_name(number: u16) -> Option<&'static str> {
    name(RCODES, number)
}

/// Every response code with its name, in order.
pub fn rcodes() -> impl Iterator<Item = (u16, &'static str)> {
    RCODES.iter().copied()
}

fn number(list: &[(u16, &str)], name: &str) -> Option<u16> {
    list.iter()
        .find(|(_, known)| *known == name)
        .map(|(number, _)| *number)
}

fn name(list: &[(u16, &'static str)], number: u16) -> Option<&'static str> {
    let index = list.binary_search_by_key(&number, |(known, _)| *known).ok()?;
    list.get(index).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_by_number() {
        for list in [TYPES, CLASSES, RCODES] {
            assert!(list.is_sorted_by(|a, b| a.0 < b.0), "{list:?}");
        }
    }

    #[test]
    fn names_and_numbers_belong_together() {
        assert_eq!(type_number("AAAA"), Some(28));
        assert_eq!(type_number("aaaa"), None);
        assert_eq!(type_name(65535), Some("Reserved"));
        assert_eq!(type_name(65280), None);
        assert_eq!(class_number("CH"), Some(3));
        assert_eq!(rcode_number("NOTIMPL"), Some(4));
        assert_eq!(rcode_name(16), Some("BADSIG"));
    }
}
